"""Asks services over HTTP, without proxies, redirects or names to look up elsewhere."""

import http.client
import ssl

from lockgate.watch.errors import ReplyTooLongError, ServiceReplyError, ServiceUnreachableError
from lockgate.watch.ports import REPLY_LIMIT, REPLY_SECONDS, Probe, Reply


class HttpProbe(Probe):
    """A `Probe` over HTTP; it heeds no proxy variable and follows no redirect."""

    def __init__(self, seconds: float = REPLY_SECONDS, tls: ssl.SSLContext | None = None) -> None:
        """Wait at most `seconds` for each step; with `tls` every service is asked over it."""
        self._seconds = seconds
        self._tls = tls

    def _connection(self, host: str, port: int) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(host, port, timeout=self._seconds)
        return http.client.HTTPSConnection(host, port, timeout=self._seconds, context=self._tls)

    def get(self, host: str, port: int, path: str) -> Reply:
        """Return the answer to a GET request."""
        where = f"{host}:{port}"
        connection = self._connection(host, port)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read(REPLY_LIMIT + 1)
        except http.client.HTTPException as error:
            what = f"What listens on {where} does not speak HTTP."
            raise ServiceReplyError(what, path=path) from error
        except OSError as error:
            what = f"Nothing answers on {where}: {error.strerror or 'no answer in time'}."
            raise ServiceUnreachableError(what, path=path) from error
        finally:
            connection.close()
        if len(body) > REPLY_LIMIT:
            what = f"The answer of {where} is over {REPLY_LIMIT} bytes."
            raise ReplyTooLongError(what, limit="REPLY_LIMIT", path=path)
        return Reply(answer.status, body)
