"""`lockgate mirror serve` on a home with nothing published, and a client that speaks HTTP to it."""

import http.client
import os
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

from corpora.servers import free_ports, until

NAMESPACE = "internal/team"


@dataclass
class Answer:
    """What a server said; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Registry:
    """A client of one server; every request is a connection of its own."""

    def __init__(self, port):
        self.port = port
        self.host = f"127.0.0.1:{port}"
        self.url = f"http://{self.host}"

    def ask(self, method, path, body=None, **headers):
        """Send one request; addresses may be relative, as in Location headers."""
        address = urljoin(self.url, path).removeprefix(self.url)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            named = {key.replace("_", "-"): str(value) for key, value in headers.items()}
            connection.request(method, address, body, named, encode_chunked="Transfer-Encoding" in named)
            answer = connection.getresponse()
            data = answer.read()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, data)
        finally:
            connection.close()

    def ready(self):
        try:
            urllib.request.urlopen(f"{self.url}/healthz", timeout=2).close()  # noqa: S310 - loopback
        except urllib.error.HTTPError:
            return True  # it answers, and has nothing to serve
        except OSError:
            return False
        return True


def make_home(folder):
    """Return the high side of a fresh lane."""
    lockgate = str(Path(sys.executable).parent / "lockgate")
    subprocess.run([lockgate, "lane", "init", str(folder / "lane")], check=True, capture_output=True)
    return folder / "lane" / "high"


@contextmanager
def serving(home, *options):
    """Run the mirrors over a home until the block ends."""
    (port,) = free_ports(1)
    lockgate = str(Path(sys.executable).parent / "lockgate")
    command = [lockgate, "mirror", "serve", "--home", str(home), "--port", str(port), *options]
    log = home / "mirror.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=dict(os.environ)
        )
    try:
        client = Registry(port)
        until(client.ready, process, log)
        yield client
    finally:
        process.terminate()
        process.wait(30)
