"""An answer that is kept ready is given to the very same request of the same table, and to no other."""

import asyncio
import contextlib
import gc
import socket
from datetime import UTC, datetime

import pytest
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from corpora.images import artifact_of, image, index
from corpora.mirrorsite import MirrorSite, ask, asking
from corpora.registry import mirroring
from corpora.wheels import build_wheel
from lockgate.core.statement import Operation
from lockgate.mirror import Access, build_app
from lockgate.mirror.access import Caller, Callers
from lockgate.mirror.door import Door
from lockgate.mirror.pages.pypi import SIMPLE_HTML, SIMPLE_JSON

IMAGE = "registry.test/team/app"
PATHS = ("/simple/", "/simple/demo/", f"/v2/{IMAGE}/manifests/latest", f"/v2/{IMAGE}/tags/list")


@pytest.fixture
def site(tmp_path):
    site = MirrorSite(tmp_path)
    site.add_wheels("demo", "1.0", build_wheel("demo", "1.0"))
    site.add(artifact_of(site, IMAGE, index(image()), "latest"))
    site.publish()
    return site


def shell(app):
    """Return the outermost layer of an application that has answered, and what it keeps."""
    layer = app.middleware_stack
    while not hasattr(layer, "_ready"):
        layer = layer.app
    return layer


@pytest.mark.parametrize("path", PATHS)
def test_the_second_answer_is_the_first(site, path) -> None:
    app = site.app()
    first, second = ask(app, path, accept="*/*"), ask(app, path, accept="*/*")
    assert len(shell(app)._ready._answers) == 1
    assert (first.status, first.headers, first.body) == (second.status, second.headers, second.body)
    assert second.complete
    assert second.headers["x-content-type-options"] == "nosniff"


def test_a_kept_answer_is_counted(site) -> None:
    app = site.app()
    bodies = [ask(app, "/simple/demo/").body for _ in range(3)]
    text = ask(app, "/metrics").body.decode()
    assert 'lockgate_mirror_requests_total{protocol="pypi",status="200"} 3.0' in text
    assert f'response_bytes_total{{protocol="pypi"}} {float(3 * len(bodies[0]))}' in text


def test_every_header_counts(site) -> None:
    app = site.app()
    page = ask(app, "/simple/demo/", accept=SIMPLE_JSON)
    assert ask(app, "/simple/demo/", accept=SIMPLE_HTML).headers["content-type"] == SIMPLE_HTML
    assert ask(app, "/simple/demo/", accept=SIMPLE_JSON).body == page.body
    tag = page.headers["etag"]
    assert ask(app, "/simple/demo/", accept=SIMPLE_JSON, if_none_match=tag).status == 304
    assert ask(app, "/simple/demo/", accept=SIMPLE_JSON, range="bytes=0-3").body == page.body[:4]
    assert ask(app, "/simple/demo/", "HEAD", accept=SIMPLE_JSON).body == b""
    assert ask(app, "/simple/demo/", "DELETE", accept=SIMPLE_JSON).status == 405
    tags = f"/v2/{IMAGE}/tags/list"
    assert ask(app, tags).body != ask(app, tags, query="n=0").body


def test_another_snapshot_throws_it_away_and_its_client_goes_on(site) -> None:
    app = site.app()

    async def one(client, **options):
        return await asking(app, "/simple/", client=("host", client), accept=SIMPLE_JSON, **options)

    async def run():
        first = [await one(1), await one(1)]
        site.add_wheels("more", "1.0", build_wheel("more", "1.0"))
        site.publish()
        new = [await one(2), await one(2)]
        old = [await one(1), await one(1)]
        site.add_wheels("third", "1.0", build_wheel("third", "1.0"))
        site.publish(operation=Operation.HOLD)
        return first, new, old, [await one(1), await one(2)]

    first, new, old, last = asyncio.run(run())
    assert {a.body for a in (*first, *old)} == {first[0].body}
    assert {a.body for a in new} == {new[0].body} != {first[0].body}
    assert b"more" in new[0].body
    assert all(b"third" in a.body for a in last)


def test_what_an_older_table_alone_holds_is_not_kept(site) -> None:
    """A digest that only the table before has is answered for a while, which a kept answer would extend."""
    app = site.app()
    (held,) = {e.artifact.version for e in site.entries if e.artifact.name == IMAGE}
    path = f"/v2/{IMAGE}/manifests/{held}"

    async def run():
        assert (await asking(app, path, client=("host", 1))).status == 200
        site.entries = [e for e in site.entries if e.artifact.name != IMAGE]
        site.add(artifact_of(site, IMAGE, index(image({"other": b"x"})), "latest"))
        site.publish()
        return [(await asking(app, path, client=("host", 2))).status for _ in range(2)]

    assert asyncio.run(run()) == [200, 200]
    assert path.encode() not in {key[0] for key in shell(app)._ready._answers}


class Everybody(Callers):
    def find(self, secret):
        return Caller("somebody", frozenset({"internal"}))


def test_a_mirror_that_asks_who_reads_keeps_nothing(site) -> None:
    access = Access(Everybody(), frozenset(), (), site.blobs.read)
    app = build_app(site.view(), site.blobs, lambda: datetime.now(UTC), hash_ahead=False, access=access)
    assert ask(app, "/simple/", authorization="Bearer x").status == 200
    assert ask(app, "/simple/").status == 401
    assert shell(app)._ready is None


def test_what_is_kept_has_bounds(site, monkeypatch) -> None:
    app = site.app()
    ask(app, "/simple/", accept="text/html", user_agent="x" * 3000)
    ready = shell(app)._ready
    assert not ready._answers
    monkeypatch.setattr("lockgate.mirror.ready.READY_LIMIT", 2)
    for agent in "abc":
        ask(app, "/simple/", user_agent=agent)
    assert [key[2][0][1] for key in ready._answers] == [b"b", b"c"]
    size = len(ask(app, "/simple/").body)
    monkeypatch.setattr("lockgate.mirror.ready.READY_BYTES", 2 * size - 1)
    ask(app, "/simple/", user_agent="d")
    assert len(ready._answers) == 1
    assert ready._bytes == size


def spoken(port, *requests):
    """Return all that a server says to requests that are sent at once on one connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as client:
        client.sendall(b"".join(requests))
        said = b""
        while data := client.recv(1 << 16):
            said += data
    return said


def test_over_a_connection_it_is_the_same_to_the_byte(site) -> None:
    head = b"GET /simple/demo/ HTTP/1.1\r\nHost: m\r\n"
    with mirroring(site) as server:
        last = head + b"Connection: close\r\n\r\n"
        both = [spoken(server.port, last) for _ in range(2)]
        first, second = ([x for x in each.split(b"\r\n") if b"date: " not in x] for each in both)
        assert sorted(first) == sorted(second)
        assert b"connection: close" in second
        several = spoken(server.port, head + b"\r\n", head + b"\r\n", last)
        assert several.count(b"HTTP/1.1 200 OK\r\n") == 3
        assert several.count(b"connection: close") == 1
        assert several.count(second[-1]) == 3
        old = spoken(server.port, b"GET /simple/demo/ HTTP/1.0\r\nHost: m\r\n\r\n")
        assert old == spoken(server.port, b"GET /simple/demo/ HTTP/1.0\r\nHost: m\r\n\r\n")
        assert b"connection: close" in old


@pytest.mark.parametrize("path", ["/simple/demo/", "/simple/", "/simple/absent/", "/healthz", "/files/none"])
def test_requests_leave_nothing_to_the_garbage_collector(site, path) -> None:
    """Circles of many requests are found late and all at once, while every client waits."""

    async def run():
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        bound.listen()  # so that the client may come before the server does
        server = Server(Config(site.app(), http=Door, log_config=None, ws="none", lifespan="on"))
        serving = asyncio.ensure_future(server.serve(sockets=[bound]))
        with contextlib.closing(bound):
            reader, writer = await asyncio.open_connection(*bound.getsockname())
            request = f"GET {path} HTTP/1.1\r\nHost: m\r\n\r\n".encode()
            for _ in range(20):
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(x for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:"))
                await reader.readexactly(int(length.split()[1]))
            alive = sum(isinstance(each, RequestResponseCycle) for each in gc.get_objects())
            writer.close()
            server.should_exit = True
            await serving
        return alive

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(run()) <= 2  # the connection's last one, and one whose task ends just now
    finally:
        gc.enable()
