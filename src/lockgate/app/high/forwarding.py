"""A port on loopback that passes requests on with a key, for programs that can send none.

The port asks for no key itself, so it answers programs of this process's own account alone.
"""

import http.client
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

BODY_LIMIT = 8 << 20
"""Largest body that is passed on, either way, in bytes."""

SECONDS = 600.0


GUARDED = 400
"""Status of a request that a guard stopped."""


def _stopped(data: bytes) -> bytes | None:
    """Return an answer that says that a guard stopped the request; None where something else is wrong.

    Programs that measure attacks would end at such a refusal, which to them is a model's own.
    """
    try:
        error = json.loads(data)["error"]
        if error["code"] != "content_filter":
            return None
    except (ValueError, KeyError, TypeError):
        return None
    message = {"role": "assistant", "content": "I cannot do that."}
    choice = {"index": 0, "message": message, "finish_reason": "content_filter"}
    usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    answer = {"id": "guarded", "object": "chat.completion", "created": 0, "model": "guarded"}
    return json.dumps({**answer, "choices": [choice], "usage": usage}).encode()


def own_connection(port: int, account: int) -> bool:
    """Tell whether a connection from a port of loopback is a process's of an account (proc_net(5))."""
    wanted = f"0100007F:{port:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:])
    return any(row[1] == wanted and int(row[7]) == account for row in rows)


@contextmanager
def forwarded(url: str, key: str) -> Iterator[int]:
    """Listen on a free port of loopback while the block runs, and yield the port.

    Args:
        url: Where requests go, up to and with ``/v1``.
        key: The API key that is added to them.

    """
    parts = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    connect = kinds[parts.scheme]
    base = parts.path.rstrip("/").removesuffix("/v1")

    class Handler(BaseHTTPRequestHandler):
        """Passes one request on."""

        def do_GET(self) -> None:
            """Pass a request without a body on."""
            self._pass(None)

        def do_POST(self) -> None:
            """Pass a request with its body on."""
            size = int(self.headers.get("Content-Length", 0))
            if not 0 <= size <= BODY_LIMIT:
                self.send_error(413)
                return
            self._pass(self.rfile.read(size))

        def log_message(self, *_: object) -> None:
            """Write nothing."""

        def _pass(self, body: bytes | None) -> None:
            if not own_connection(self.client_address[1], os.getuid()):
                self.send_error(403)
                return
            connection = connect(parts.hostname or "", parts.port, timeout=SECONDS)
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            try:
                connection.request(self.command, f"{base}{self.path}", body=body, headers=headers)
                answer = connection.getresponse()
                data = answer.read(BODY_LIMIT)
            except (OSError, http.client.HTTPException):
                self.send_error(502)
                return
            finally:
                connection.close()
            status = answer.status
            if status == GUARDED and (stopped := _stopped(data)) is not None:
                status, data = 200, stopped
            self.send_response(status)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
