"""Connections of the mirrors: files lent to the kernel while somebody writes, and clients that hold on."""

import asyncio
import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from corpora.mirrorsite import MirrorSite
from corpora.ports import free_ports
from lockgate.app.high.authority import AuthorityFolder
from lockgate.mirror.door import Door
from lockgate.mirror.ready import READY, ReadyAnswer
from lockgate.trust.authority import Bounds, Names, Use

WEIGHTS = os.urandom(1 << 20) * 32
HOST = "127.0.0.1"


class Mirror:
    """A mirror in a process of its own, and sockets to it."""

    def __init__(self, root, tls=None):
        self.tls = tls
        self.site = MirrorSite(root)
        self.site.add_model("org/m", {"model.gguf": WEIGHTS, "config.json": b"{}"})
        self.site.publish()
        self.blob = self.site.blobs.path(self.site.entries[0].artifact.files[0].sha256)
        self.blob.chmod(0o644)  # before the server looks at it: a new mode counts as a change
        self.path = "/org/m/resolve/main/model.gguf"
        (self.port,) = free_ports(1)
        self.log = (root / "log").open("w+")

    @contextlib.contextmanager
    def running(self):
        files = [str(self.tls / name) for name in ("cert.pem", "key.pem", "cert.pem")] if self.tls else []
        tls = f"Tls(*map(Path, {files!r}))" if files else None
        code = (
            "from pathlib import Path; from lockgate.app.high.tls import Tls; "
            "from lockgate.mirror import serve; "
            f"serve('corpora.hastydoor:app', {HOST!r}, {self.port}, tls={tls})"
        )
        paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
        environment = {**os.environ, "LOCKGATE_HOME": str(self.site.root), "PYTHONPATH": paths}
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=self.log, stderr=self.log
        )
        try:
            self.wait()
            yield self
        finally:
            self.process.terminate()
            assert self.process.wait(120) == 0
            self.log.close()

    def wait(self):
        deadline = time.monotonic() + 120
        while True:
            try:
                assert self.get("/healthz")[0] == 200
            except OSError:
                assert self.process.poll() is None, Path(self.log.name).read_text()
                assert time.monotonic() < deadline
            else:
                return

    def open(self, path=None, *headers, window=None):
        """Send a request; return its socket."""
        client = socket.socket()
        if window:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        client.settimeout(120)
        try:
            client.connect((HOST, self.port))
            if self.tls:
                context = ssl.create_default_context(cafile=self.tls / "chain.pem")
                client = context.wrap_socket(client, server_hostname=HOST)
        except OSError:
            client.close()
            raise
        client.sendall(request(path or self.path, *headers))
        return client

    def get(self, path=None, *headers):
        """Return status and body of an answer."""
        with self.open(path, *headers, "Connection: close") as client:
            return answer(client)

    def leases(self):
        """Return how many leases the kernel has of the weights (proc_locks(5))."""
        inode = f":{self.blob.stat().st_ino} "
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
        return sum("LEASE" in line and inode in line for line in lines)

    def until(self, done):
        deadline = time.monotonic() + 120
        while not done():
            assert time.monotonic() < deadline
            time.sleep(0.02)


def request(path, *headers):
    lines = [f"GET {path} HTTP/1.1", "Host: mirror", *headers, "", ""]
    return "\r\n".join(lines).encode()


def answer(client):
    return parted(everything(client))


def everything(client):
    """Return all bytes that come until the connection ends."""
    return b"".join(iter(lambda: client.recv(1 << 20), b""))


def parted(data):
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


@pytest.fixture
def mirror(tmp_path):
    with Mirror(tmp_path).running() as running:
        yield running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return the folder of a server's certificate, and beside it who issued that."""
    root, now = tmp_path_factory.mktemp("authority"), datetime.now(UTC).replace(microsecond=0)
    authority = AuthorityFolder(root / "ca")
    authority.make("Plant CA", Bounds.of(["plant.internal"]), now)
    authority.issue("mirror", Names.of([HOST]), Use.SERVER, root / "tls", days=9, now=now)
    (root / "tls/chain.pem").write_bytes(authority.certificate_file.read_bytes())
    return root / "tls"


@pytest.fixture(params=["clear", "tls"])
def either(request, tmp_path):
    """Return a mirror in the clear, and one that speaks TLS."""
    tls = request.getfixturevalue("certificate") if request.param == "tls" else None
    with Mirror(tmp_path, tls).running() as running:
        yield running


def test_what_leaves_under_a_lease_is_what_was_hashed(either):
    assert either.get() == (200, WEIGHTS)
    assert either.get(None, "Range: bytes=1000000-29999999") == (206, WEIGHTS[1_000_000:30_000_000])
    assert either.get(None, "Range: bytes=-5") == (206, WEIGHTS[-5:])
    either.until(lambda: either.leases() == 0)
    _, text = either.get("/metrics")
    sent = next(line for line in text.decode().splitlines() if 'bytes_total{protocol="huggingface"}' in line)
    assert float(sent.split()[-1]) == len(WEIGHTS) + 29_000_000 + 5


def test_a_lease_is_held_while_bytes_are_on_their_way_and_given_back(either):
    with either.open(window=4096) as client:
        either.until(lambda: either.leases() == 1)
        data = client.recv(1 << 16)
        assert data.startswith(b"HTTP/1.1 200")
    either.until(lambda: either.leases() == 0)


def test_answers_on_one_connection_follow_one_another(either):
    both = request(either.path, "Range: bytes=0-9999999") + request(either.path, "Connection: close")
    with either.open(either.path, "Range: bytes=5-9") as client:
        client.sendall(both)
        data = everything(client)
    _, first, second, third = data.split(b"HTTP/1.1 ")
    bodies = [part.partition(b"\r\n\r\n")[2] for part in (first, second, third)]
    assert bodies == [WEIGHTS[5:10], WEIGHTS[:10_000_000], WEIGHTS]


def test_whoever_writes_while_bytes_are_on_their_way_ends_the_answer_first(either):
    client = either.open(window=4096)
    either.until(lambda: either.leases() == 1)
    time_taken = time.monotonic()
    with either.blob.open("r+b") as file:  # waits until the mirror has let go
        assert either.leases() == 0
        file.write(b"!" * len(WEIGHTS))
    assert time.monotonic() - time_taken < 40  # the kernel alone would make it wait for 45
    data = bytearray()
    with client, contextlib.suppress(ConnectionResetError):
        while part := client.recv(1 << 16):
            data += part
    body = data.partition(b"\r\n\r\n")[2]
    assert len(body) < len(WEIGHTS)
    assert WEIGHTS.startswith(bytes(body))
    status, refusal = either.get()
    assert (status, b"LG-2901" in refusal) == (500, True)


def test_a_file_that_is_open_for_writing_is_not_lent(either):
    with either.blob.open("r+b"), either.open(window=4096) as client:
        client.recv(1)
        assert either.leases() == 0
    with either.blob.open("r+b"):
        assert either.get() == (200, WEIGHTS)


def test_a_writer_between_the_hash_and_the_answer_is_noticed(either):
    assert either.get() == (200, WEIGHTS)
    either.until(lambda: either.leases() == 0)
    with either.blob.open("r+b") as file:
        file.seek(20_000_000)
        file.write(b"!!!")
    status, refusal = either.get()
    assert (status, b"LG-2901" in refusal) == (500, True)


def test_a_client_that_takes_nothing_is_let_go(either):
    with either.open(window=4096):
        either.until(lambda: either.leases() == 1)
        either.until(lambda: either.leases() == 0)  # while it still holds its end
    assert either.get("/healthz")[0] == 200


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: mir"])
def test_a_head_that_does_not_come_ends_the_connection(mirror, sent):
    with socket.create_connection((HOST, mirror.port), 60) as client:
        client.sendall(sent)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(100) == b""


def test_a_head_that_never_ends_is_refused(mirror):
    for line in (b"X-A: " + b"a" * 200_000 + b"\r\n\r\n", b"X-A: b\r\n" * 20_000 + b"\r\n"):
        with socket.create_connection((HOST, mirror.port), 60) as client:
            sending = threading.Thread(target=send, args=(client, b"GET / HTTP/1.1\r\nHost: m\r\n" + line))
            sending.start()
            assert b" 431 " in client.recv(100)
            sending.join()
    assert mirror.get("/healthz")[0] == 200


def send(client, data):
    with contextlib.suppress(OSError):
        client.sendall(data)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: m\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : m\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: m\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: m\r\nHost: m\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_ends(mirror, sent):
    with socket.create_connection((HOST, mirror.port), 60) as client:
        client.sendall(sent)
        status, _ = answer(client)
    assert status == 400


def test_a_client_that_sends_no_more_gets_everything_that_it_asked_for(mirror):
    with socket.create_connection((HOST, mirror.port), 60) as client:
        client.sendall(request("/healthz") + request(mirror.path) + request(mirror.path, "Range: bytes=0-9"))
        client.shutdown(socket.SHUT_WR)
        _, first, second, third = everything(client).split(b"HTTP/1.1 ")
    assert first.startswith(b"200")
    assert [part.partition(b"\r\n\r\n")[2] for part in (second, third)] == [WEIGHTS, WEIGHTS[:10]]


def test_a_client_that_ends_in_the_middle_of_a_body_is_let_go(mirror):
    with socket.create_connection((HOST, mirror.port), 60) as client:
        client.sendall(b"POST /healthz HTTP/1.1\r\nHost: m\r\nContent-Length: 5\r\n\r\nab")
        client.shutdown(socket.SHUT_WR)
        assert everything(client).count(b"HTTP/1.1 ") <= 1


QUESTION = b"/api/models/org/m/paths-info/main"
INSIDE = rb'{"paths": ["config.json", "\r\nGET /metrics HTTP/1.1\r\nHost: m\r\n\r\n"]}'
FRAMED = {
    b"Content-Length: %d" % len(INSIDE): INSIDE,
    b"Transfer-Encoding: chunked": b"%x\r\n%s\r\n0\r\n\r\n" % (len(INSIDE), INSIDE),
}


def test_the_body_of_a_request_for_another_protocol_is_its_body_and_no_request(mirror):
    """Java's own client asks for h2c with its first request, curl does with ``--http2``."""
    line = b"POST %s HTTP/1.1\r\nHost: m\r\nConnection: Upgrade\r\nUpgrade: %s\r\n%s\r\n"
    last = request("/healthz", "Connection: close")
    for protocol, framing in product((b"h2c", b"websocket"), FRAMED):
        head = line % (QUESTION, protocol, framing) + b"Content-Type: application/json\r\n\r\n"
        with socket.create_connection((HOST, mirror.port), 60) as client:
            client.sendall(head + FRAMED[framing] + head + FRAMED[framing] + last)
            together = everything(client).split(b"HTTP/1.1 ")[1:]
        with socket.create_connection((HOST, mirror.port), 60) as client:
            client.sendall(head)
            assert mirror.get("/healthz")[0] == 200  # by then the server has read the head alone
            client.sendall(FRAMED[framing] + last)
            apart = everything(client).split(b"HTTP/1.1 ")[1:]
        assert [part[:3] for part in together] == [b"200"] * 3
        assert [part[:3] for part in apart] == [b"200"] * 2
        for answered in (*together[:2], apart[0]):
            (found,) = json.loads(answered.partition(b"\r\n\r\n")[2])
            assert found["path"] == "config.json"


def test_many_requests_for_another_protocol_at_once_are_answered_one_after_another(mirror):
    one = request("/healthz", "Connection: Upgrade", "Upgrade: h2c")
    with socket.create_connection((HOST, mirror.port), 60) as client:
        sending = threading.Thread(
            target=send, args=(client, one * 1500 + request("/healthz", "Connection: close"))
        )
        sending.start()
        assert everything(client).count(b"HTTP/1.1 200") == 1501
        sending.join()


def test_a_connection_that_begins_beside_another_of_its_client_sees_what_that_one_sees(mirror):
    def commit(connection, agent="uv/1"):
        connection.request("GET", "/api/models/org/m", headers={"User-Agent": agent})
        return json.loads(connection.getresponse().read())["sha"]

    def connect():
        return contextlib.closing(http.client.HTTPConnection(HOST, mirror.port, timeout=120))

    with connect() as first:
        before = commit(first)
        mirror.site.add_model("org/m", {"model.gguf": b"GGUF"}, commit="b" * 40, crossing=2)
        mirror.site.publish()
        with connect() as other:
            assert commit(other, "pip/1") == "b" * 40
        with connect() as second:
            assert commit(second) == before
        assert commit(first) == before
    deadline = time.monotonic() + 120
    seen = before
    while seen == before:  # the server learns a little later that both connections ended
        assert time.monotonic() < deadline
        with connect() as third:
            seen = commit(third)
    assert seen == "b" * 40


class Kept(asyncio.Transport):
    """A transport that keeps what is done to it."""

    def __init__(self):
        super().__init__()
        self.written, self.reading, self.aborted, self.closed = b"", True, False, False

    def is_closing(self):
        return self.aborted

    def write(self, data):
        self.written += data

    def abort(self):
        self.aborted = True

    def close(self):
        self.closed = True

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True


def a_door(app, transport):
    """Return a connection of an application, whose other end is a test."""
    config = Config(app, http=Door, ws="none", log_config=None)
    config.load()
    connection = Door(config, ServerState(), {})
    connection.connection_made(transport)
    return connection


def test_the_time_for_a_head_does_not_run_while_the_answers_before_it_are_given():
    """apt sends ten requests ahead; where a packet ends in one of them, a long download had been cut off."""

    async def serve():
        done, transport = asyncio.Event(), Kept()

        async def app(scope, receive, send):
            await done.wait()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        connection = a_door(app, transport)
        whole = request("/")
        connection.data_received(whole + whole + whole[:20])
        assert not transport.reading
        connection._too_slow()
        assert not transport.aborted
        done.set()
        while connection.tasks:
            await asyncio.gather(*connection.tasks)
        assert transport.written.count(b"HTTP/1.1 204") == 2
        assert transport.reading
        connection._too_slow()
        assert transport.aborted
        connection.connection_lost(None)

    asyncio.run(serve())


def test_the_rest_of_a_body_that_nobody_reads_holds_no_connection_open():
    """A client that had its answer, sent one byte more and then nothing had kept its connection for ever."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 405, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def serve():
        connection = a_door(app, Kept())
        connection.data_received(b"POST / HTTP/1.1\r\nHost: m\r\nContent-Length: 4\r\n\r\na")
        await asyncio.gather(*connection.tasks)
        assert connection._drain is not None
        for piece in (b"b", b"c", b"d"):  # the last one ends the body, and another request may follow
            connection.data_received(piece)
            assert connection.timeout_keep_alive_task is not None
        connection.timeout_keep_alive_handler()
        assert connection.transport.closed
        connection.data_received(request("/"))
        await asyncio.gather(*connection.tasks)
        assert connection._drain is None
        assert connection.transport.written.count(b"HTTP/1.1 405") == 2
        connection.connection_lost(None)

    asyncio.run(serve())


class Gone(asyncio.Transport):
    """The transport of a connection that was closed a moment ago: whoever writes to it fails."""

    def is_closing(self):
        return True

    def close(self):
        """Do nothing: it is closed."""

    def write(self, data):
        what = "unable to perform operation on a closed transport"
        raise RuntimeError(what)


@pytest.mark.parametrize("ready", [False, True])
def test_an_answer_to_a_client_that_has_just_left_is_no_failure(ready, caplog):
    """The kernel tells that a client is gone before the request hears of it."""
    sent = []

    async def app(scope, receive, send):
        if ready:
            sent.append(await scope["extensions"][READY](ReadyAnswer("pypi", None, [], b"", b"body")))
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        sent.append(await send({"type": "http.response.body", "body": b"body"}))

    async def serve():
        connection = a_door(app, Gone())
        connection.data_received(request("/"))
        await asyncio.gather(*connection.tasks)
        connection.connection_lost(None)

    asyncio.run(serve())
    assert sent == [None]
    assert caplog.records == []
