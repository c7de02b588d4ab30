"""A hundred requests that no honest client sends, byte by byte, to every protocol of a real mirror.

Each is refused, or answered as what it asks for; nothing is leaked, held open or written to the log as a
failure, and the next client is served.
"""

import socket

import pytest

from corpora.debs import DebFile
from corpora.images import artifact_of, image
from corpora.mirrorsite import MirrorSite
from corpora.npmpackages import NpmPackage
from corpora.registry import mirroring
from corpora.wheels import build_wheel

NAME = "registry.test/team/app"
IMAGE = image()
PATHS = {
    "python": "/simple/leaf/",
    "npm": "/npm/leaf",
    "npm archive": "/npm/leaf/-/leaf-1.0.0.tgz",
    "image": f"/v2/{NAME}/manifests/1",
    "blob": f"/v2/{NAME}/blobs/{next(iter(IMAGE.blobs))}",
    "files": "/files/note.txt",
    "hub": "/team/model/resolve/main/model.gguf",
    "hub's words": "/api/models/team/model",
    "apt": "/apt/debian/pool/main/l/leaf/leaf_1_amd64.deb",
    "git": "/git/none.git/info/refs?service=git-upload-pack",
    "metrics": "/metrics",
}
CLOSE = "Connection: close"

RANGES = ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1-2-3", "bytes=--5", "bytes=0-0,", "bytes=,"]
RANGES += ["bytes= 0-1", "bytes=0 -1", "BYTES=0-1", "bytes 0-1", "bytes=18446744073709551616-", "bytes=-0"]
RANGES += ["bytes=0x0-0x1", "bytes=+0-1", "bytes=1e1-", "seconds=0-1", "bytes=0-1;q=1", "bytes=5-2"]
RANGES += ["bytes=0-1,2-3", f"bytes=-{'9' * 40}", "bytes=\xd9\xa0-\xd9\xa1", "x" * 30_000]
ODD_HEADERS = [f"Range: {value}" for value in RANGES]
ODD_HEADERS += ['If-Range: "x\r\nRange: bytes=0-1', 'If-None-Match: "', 'If-None-Match: "a"' + ',"a"' * 9000]
ODD_HEADERS += ["If-Modified-Since: yesterday", "Accept: ;;,/", "Accept-Encoding: \xff", "Expect: the-worst"]
ODD_HEADERS += ["Range: bytes=0-1\r\nRange: bytes=2-3", "Expect: 100-continue", "Authorization: Basic !!!"]
ODD_HEADERS += ["Authorization: Bearer \xff\xfe", f"Cookie: {'a' * 60_000}", "X-Forwarded-For: <script>"]
ODD_HEADERS += ["Content-Type: \xff/;;", "npm-session: \xff", "\r\n".join(f"X-{n}: y" for n in range(3000))]
ODD_HEADERS += [
    "Upgrade: h2c\r\nConnection: Upgrade, close",
    "Upgrade: websocket\r\nConnection: Upgrade, close",
]
"""What a request may say beside what it asks for: understood or passed over, never a reason to fail."""

NO_REQUESTS = [
    "Range: bytes=0-1\0",
    "Connection: \x02",
    "Transfer-Encoding: gzip",
    "Transfer-Encoding: xchunked",
]
NO_REQUESTS += ["Content-Length: 3\r\nContent-Length: 4", "Content-Length: -1", "Content-Length: +3"]
NO_REQUESTS += [
    "Content-Length: abc",
    f"Content-Length: {'9' * 40}",
    "Content-Length: 3\r\nTransfer-Encoding: chunked",
]
NO_REQUESTS += [
    "Host: other",
    "X-A : b",
    "X-A: b\r\n c",
    "X-A: b\0c",
    "XAb",
    ": b",
    "X-A: b\rc",
    "X-\xc3\xa9: y",
]
"""What makes a request none: refused, and the connection ends."""

TAILS = [
    "%",
    "%2",
    "%zz",
    "%00",
    "%c0%ae%c0%ae%2f",
    "/../../../etc/passwd",
    "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
]
TAILS += ["%2f..%2f..%2fetc%2fpasswd", "\\..\\..\\x", ";x=y/..;/", "#frag", f"?{'a=b&' * 9000}", "//", "/./"]
TAILS += [
    "%0d%0aSet-Cookie:%20a",
    "%e2%80%ae",
    "%ef%bc%8e%ef%bc%8e/",
    "%252e%252e%252f",
    "a" * 5000,
    "/~root",
]
TAILS += ["+a", ":80", "@other", "*", "{}", "\"'<>", "|", "/%2E%2E;/"]
"""What is put behind an address: there is no such thing, or it is passed over."""

NO_TAILS = ["\0", " x", "\tx", "\xff\xfe", "\xc3\xa9", "?\xff"]
METHODS = ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "LOCK", "PURGE"]
NO_METHODS = ["get", "A" * 9000, "G\0T", "QUÉRY", ""]
LEAKS = (b"Traceback", b"site-packages", b"root:x", b".py", b"\nSet-Cookie", b"\nset-cookie")


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    site = MirrorSite(tmp_path_factory.mktemp("raw"))
    site.add_wheels("leaf", "1", build_wheel("leaf", "1"))
    site.add_npm(NpmPackage("leaf", "1.0.0"))
    site.add(artifact_of(site, NAME, IMAGE, "1"))
    site.add_document("note.txt", b"a note of some length")
    site.add_model("team/model", {"model.gguf": b"GGUF" + bytes(99), "config.json": b"{}"})
    site.add_deb(DebFile("leaf", "1"), "bookworm")
    site.publish()
    with mirroring(site) as client:
        client.root = site.root
        yield client
    log = (site.root / "mirror.log").read_text()
    assert "Traceback" not in log
    assert "unexpected failure" not in log


def request(path, *headers, method="GET", version="HTTP/1.1", host="Host: mirror", body=""):
    lines = [f"{method} {path} {version}", *([host] if host else []), *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body.encode("latin-1")


def statuses(mirror, sent):
    """Send bytes and no more; return the status of each answer, and check what all of them keep to."""
    with socket.create_connection(("127.0.0.1", mirror.port), 60) as client:
        data = b""
        try:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            while part := client.recv(1 << 20):
                data += part
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before everything was sent
    assert not any(word in data for word in (*LEAKS, str(mirror.root).encode())), sent[:200]
    return [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:] if part[:3] != b"100"]


@pytest.mark.parametrize("protocol", sorted(PATHS))
def test_what_a_request_says_beside_is_no_reason_to_fail(mirror, protocol):
    path = PATHS[protocol]
    for header in ODD_HEADERS:
        (status,) = statuses(mirror, request(path, header, CLOSE))
        refused = {406} if (protocol, header[:7]) == ("python", "Accept:") else set()
        assert status in ({404} if protocol == "git" else {200, 206, 416} | refused), header[:80]


@pytest.mark.parametrize("protocol", sorted(PATHS))
def test_what_is_no_request_is_refused(mirror, protocol):
    path = PATHS[protocol]
    bad = [request(path, header) for header in NO_REQUESTS]
    bad += [request(path.partition("?")[0] + tail) for tail in NO_TAILS]
    bad += [request(path, method=method) for method in NO_METHODS]
    bad += [request(path, host=None), request(path[1:]), request(path, version="HTPP/1.1")]
    bad += [request(path, version="HTTP/1.2"), request(path).replace(b"\r\n", b"\n")]
    for body in ("zz\r\nabc\r\n0\r\n\r\n", "-1\r\nabc\r\n0\r\n\r\n", f"{'f' * 18}\r\nabc"):
        bad.append(request(path, "Transfer-Encoding: chunked", body=body))
    for sent in bad:
        assert statuses(mirror, sent)[:1] == [400], sent[:200]
    for version in ("HTTP/2.0", ""):
        assert statuses(mirror, request(path, version=version))[0] in {400, 505}


@pytest.mark.parametrize("protocol", sorted(PATHS))
def test_an_address_that_leads_nowhere_is_not_found(mirror, protocol):
    path = PATHS[protocol].partition("?")[0]
    for tail in TAILS:
        (status,) = statuses(mirror, request(path.rstrip("/") + tail, CLOSE))
        assert status in ({200, 301} if tail[0] in "?#" else {301, 400, 404, 414}) | {404}, tail[:80]
    (status,) = statuses(mirror, request(path + "a" * 70_000))
    assert status == 431


@pytest.mark.parametrize("protocol", sorted(PATHS))
def test_a_method_that_changes_something_is_refused(mirror, protocol):
    for method in METHODS:
        (status,) = statuses(
            mirror, request(PATHS[protocol], "Content-Length: 3", CLOSE, method=method, body="abc")
        )
        assert status in ({404, 405} if protocol == "git" else {405}), method


def test_other_protocols_and_nothing_at_all_end_the_connection(mirror):
    words = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100), bytes(1000), b"SSH-2.0-x\r\n"]
    words += [b"EHLO x\r\n", b"*1\r\n$4\r\nPING\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"]
    words += [b"CONNECT other.test:443 HTTP/1.1\r\nHost: other.test\r\n\r\n"]
    for sent in words:
        assert statuses(mirror, sent) == [400], sent[:40]
    for sent in (b"", b"\r\n" * 5000, b"G", b"GET ", b"GET / HTTP/1.1\r\nHo"):
        assert statuses(mirror, sent) == [], sent[:40]
    assert mirror.ask("GET", "/healthz").status == 200
