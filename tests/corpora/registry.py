"""`lockgate mirror serve` on a home with nothing published, and a client that speaks HTTP to it."""

import http.client
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

from corpora.ports import free_ports
from corpora.servers import until

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
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            named = {key.replace("_", "-"): str(value) for key, value in headers.items()}
            connection.request(method, address, body, named, encode_chunked="Transfer-Encoding" in named)
            answer = connection.getresponse()
            data = answer.read()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, data)
        finally:
            connection.close()

    def push(self, repository, made, tag):
        """Push an image with plain HTTP."""
        for key, data in made.blobs.items():
            location = self.ask("POST", f"/v2/{repository}/blobs/uploads/").headers["location"]
            joined = f"{location}{'&' if '?' in location else '?'}digest={key}"
            assert self.ask("PUT", joined, data, Content_Type="application/octet-stream").status == 201
        for key, data in sorted(made.manifests.items(), key=lambda item: item[0] == made.root):
            kind = json.loads(data)["mediaType"]
            for reference in [key, *([tag] if key == made.root else [])]:
                answer = self.ask("PUT", f"/v2/{repository}/manifests/{reference}", data, Content_Type=kind)
                assert answer.status == 201, answer.body

    def ready(self):
        return self.answers("/healthz")

    def answers(self, path):
        try:
            urllib.request.urlopen(f"{self.url}{path}", timeout=2).close()  # noqa: S310 - loopback
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
        process.wait(120)


@contextmanager
def mirroring(site):
    """Run a mirror over a `MirrorSite` on loopback until the block ends."""
    (port,) = free_ports(1)
    factory = "corpora.mirrorsite:app_from_environment"
    code = f"from lockgate.mirror import serve; serve({factory!r}, '127.0.0.1', {port})"
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]
    environment = {**os.environ, "LOCKGATE_HOME": str(site.root), "PYTHONPATH": os.pathsep.join(paths)}
    log = site.root / "mirror.log"
    with log.open("ab") as out:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=out, stderr=out, env=environment)
    try:
        client = Registry(port)
        until(client.ready, process, log)
        yield client
    finally:
        process.terminate()
        process.wait(120)


@contextmanager
def docker_registry(folder):
    """Run Debian's docker-registry on loopback until the block ends."""
    (port,) = free_ports(1)
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {folder}/data}}\n"
        f"  delete: {{enabled: true}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
    )
    log = folder / "registry.log"
    environment = {**os.environ, "OTEL_TRACES_EXPORTER": "none"}
    with log.open("ab") as out:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(config)], stdout=out, stderr=out, env=environment
        )
    try:
        client = Registry(port)
        until(lambda: client.answers("/v2/"), process, log)
        yield client
    finally:
        process.terminate()
        process.wait(120)
