"""The server, asked without a network: every protocol's answers, headers and refusals."""

import asyncio
import hashlib
import json
import re
import socket
from urllib.parse import urljoin

import pytest

from corpora.mirrorsite import COMMIT, MirrorSite, ask, asking
from corpora.wheels import build_wheel
from lockgate.mirror import Asked, clients
from lockgate.mirror.blobs import CHUNK
from lockgate.mirror.misses import MISS_LENGTH, MISS_LIMIT, Misses
from lockgate.mirror.pages.pypi import SIMPLE_HTML, SIMPLE_JSON

WHEEL = build_wheel("Tiny-Box", "1.0", padding=bytes(range(256)) * (CHUNK // 128))
LOCAL = build_wheel("Tiny-Box", "2.0+cu121")
CONFIG = b'{"a": 1}'
WEIGHTS = b"GGUF" + bytes(3000)
PACKAGE = f"/packages/{WHEEL.sha256}/{WHEEL.filename}"
TAG = f'"{WHEEL.sha256}"'


@pytest.fixture
def site(tmp_path):
    made = MirrorSite(tmp_path)
    made.add_wheels("tiny-box", "1.0", WHEEL)
    made.add_model("org/m", {"model.gguf": WEIGHTS, "config.json": CONFIG, "sub/dir/é.txt": b"x"})
    made.add_model("solo", {"model.gguf": WEIGHTS})
    made.add_document("documents/h/01 a.md", b"# one")
    made.add_document("documents/h/index.html", b"<script>alert(1)</script>")
    made.publish()
    return made


@pytest.fixture
def app(site):
    made = site.app()
    yield made
    made.state.site.blobs.close()


def test_index_pages_are_negotiated(app):
    for accept, kind in ((SIMPLE_JSON, SIMPLE_JSON), (SIMPLE_HTML, SIMPLE_HTML), ("*/*", "text/html")):
        for path in ("/simple/", "/simple/tiny-box/"):
            answer = ask(app, path, accept=accept)
            assert answer.status == 200
            assert answer.headers["content-type"].startswith(kind)
            assert answer.headers["vary"] == "Accept"
            assert answer.headers["cache-control"] == "no-cache"
    names = json.loads(ask(app, "/simple/", accept=SIMPLE_JSON).body)["projects"]
    assert names == [{"name": "tiny-box"}]
    assert ask(app, "/simple/", accept="image/png").status == 406


def test_all_that_a_page_advertises_is_served_and_is_what_it_says(site, app):
    site.add_wheels("tiny-box", "2.0+cu121", LOCAL, yanked="broken", requires_python=">=3.9")
    site.publish()
    page = json.loads(ask(app, "/simple/tiny-box/", accept=SIMPLE_JSON).body)
    html = ask(app, "/simple/tiny-box/", accept="text/html").body.decode()
    assert [f["filename"] for f in page["files"]] == [WHEEL.filename, LOCAL.filename]
    assert [f["yanked"] for f in page["files"]] == [False, "broken"]
    for file in page["files"]:
        path = urljoin("/simple/tiny-box/", file["url"])
        answer = ask(app, path)
        assert (answer.status, len(answer.body)) == (200, file["size"])
        assert hashlib.sha256(answer.body).hexdigest() == file["hashes"]["sha256"]
        metadata = ask(app, f"{path}.metadata")
        assert metadata.status == 200
        assert hashlib.sha256(metadata.body).hexdigest() == file["core-metadata"]["sha256"]
        assert f'href="{file["url"]}#sha256={file["hashes"]["sha256"]}"' in html
        assert ask(app, path.replace("+", "%2B")).body == answer.body


def test_names_are_normalised_by_redirect(app):
    for path, target in {
        "/simple": "/simple/",
        "/simple/tiny-box": "/simple/tiny-box/",
        "/simple/Tiny_Box/": "/simple/tiny-box/",
        "/simple/tiny..BOX/": "/simple/tiny-box/",
        "/files": "/files/",
    }.items():
        answer = ask(app, path)
        assert (answer.status, answer.headers["location"]) == (301, target)


def test_absent_projects_are_not_found_and_noted(app):
    assert ask(app, "/simple/absent/").status == 404
    assert ask(app, "/simple/absent/").status == 404
    assert ask(app, "/simple/%3Cscript%3E/").status == 404
    assert ask(app, "/simple/" + "a" * 300 + "/").status == 404
    assert app.state.site.misses.counts() == {("pypi", "absent"): 2}
    assert 'lockgate_mirror_misses_total{protocol="pypi"} 2.0' in ask(app, "/metrics").body.decode()


def test_a_package_is_served_whole_with_a_lasting_tag(app):
    answer = ask(app, PACKAGE)
    assert (answer.status, answer.body, answer.complete) == (200, WHEEL.data, True)
    assert answer.headers["etag"] == TAG
    assert answer.headers["content-length"] == str(len(WHEEL.data))
    assert answer.headers["accept-ranges"] == "bytes"
    assert "immutable" in answer.headers["cache-control"]
    assert ask(app, PACKAGE + ".metadata").body == WHEEL.metadata


def test_head_sends_what_get_would_without_the_bytes(app):
    get, head = ask(app, PACKAGE), ask(app, PACKAGE, "HEAD")
    assert head.headers == get.headers
    assert head.body == b""


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-", 10, None),
        ("bytes=-5", -5, None),
        (f"bytes=1-{CHUNK + 5}", 1, CHUNK + 6),
    ],
)
def test_single_ranges(app, asked, start, stop):
    answer = ask(app, PACKAGE, range=asked)
    expected = WHEEL.data[start:stop]
    first = WHEEL.data.index(expected) if start < 0 else start
    assert (answer.status, answer.body) == (206, expected)
    assert answer.headers["content-length"] == str(len(expected))
    last = first + len(expected) - 1
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(WHEEL.data)}"


def test_other_ranges(app):
    size = len(WHEEL.data)
    beyond = ask(app, PACKAGE, range=f"bytes={size}-")
    assert (beyond.status, beyond.body, beyond.headers["content-range"]) == (416, b"", f"bytes */{size}")
    for whole in ("bytes=0-1,5-6", "bytes=5-1", "lines=1-2"):
        assert ask(app, PACKAGE, range=whole).status == 200
    assert ask(app, PACKAGE, range="bytes=0-1", if_range=TAG).status == 206
    assert ask(app, PACKAGE, range="bytes=0-1", if_range='"other"').status == 200
    assert ask(app, PACKAGE, "HEAD", range="bytes=0-1").status == 200


def test_what_the_client_holds_is_not_sent_again(app):
    for path in (PACKAGE, "/simple/", "/org/m/resolve/main/config.json", "/files/"):
        tag = ask(app, path).headers["etag"]
        for method in ("GET", "HEAD"):
            answer = ask(app, path, method, if_none_match=f'"x", W/{tag}')
            assert (answer.status, answer.body) == (304, b"")
            assert answer.headers["etag"] == tag
            assert "content-length" not in answer.headers
        assert ask(app, path, if_none_match='"x"').status == 200


@pytest.mark.parametrize(
    "path",
    [
        f"/packages/{'0' * 64}/{WHEEL.filename}",
        f"/packages/{WHEEL.sha256}/other.whl",
        f"/packages/{WHEEL.sha256}",
        "/packages/../../channel.json",
        "/packages/%2e%2e/%2e%2e/channel.json",
        "/files/../channel.json",
        "/files/documents/h/absent",
        "/files/%2Fetc%2Fpasswd",
        "/nothing",
    ],
)
def test_nothing_else_is_served(app, path):
    answer = ask(app, path)
    assert answer.status == 404
    assert len(answer.body) < 200


def test_only_reading_is_allowed(app):
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        answer = ask(app, PACKAGE, method)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    assert ask(app, "/simple/" + "a" * 5000).status == 414


def test_every_answer_bears_the_security_headers(app):
    for path in (
        "/simple/",
        PACKAGE,
        "/files/documents/h/index.html",
        "/healthz",
        "/nothing",
        "/simple/absent/",
    ):
        headers = ask(app, path).headers
        assert "sandbox" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_files_listings_and_checksums(app):
    listing = ask(app, "/files/documents/h/")
    assert b"01%20a.md" in listing.body
    assert listing.headers["content-type"] == "text/html; charset=utf-8"
    document = ask(app, "/files/documents/h/01%20a.md")
    assert document.body == b"# one"
    assert document.headers["content-type"] == "text/markdown; charset=utf-8"
    assert b"alert" in ask(app, "/files/documents/h/index.html").body  # the document, not our listing
    assert hashlib.sha256(b"# one").hexdigest().encode() in ask(app, "/files/SHA256SUMS").body


def test_model_information_by_name_and_revision(app):
    for path in (
        "/api/models/org/m",
        f"/api/models/org/m/revision/{COMMIT}",
        "/api/models/org/m/revision/main",
    ):
        answer = ask(app, path)
        assert json.loads(answer.body)["sha"] == COMMIT
        assert answer.headers["x-repo-commit"] == COMMIT
    assert json.loads(ask(app, "/api/models/solo").body)["id"] == "solo"
    branches = json.loads(ask(app, "/api/models/org/m/refs").body)["branches"]
    assert branches == [{"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT}]


def test_trees_whole_and_in_part(app):
    def paths(path, query=""):
        return [e["path"] for e in json.loads(ask(app, f"/api/models/org/m/tree/{path}", query=query).body)]

    assert paths("main") == ["config.json", "model.gguf", "sub"]
    everything = ["config.json", "model.gguf", "sub", "sub/dir", "sub/dir/é.txt"]
    assert paths(COMMIT, "recursive=true&expand=false") == everything
    assert paths("main/sub") == ["sub/dir"]
    assert paths("main/sub%2Fdir") == ["sub/dir/é.txt"]
    assert paths("main/sub", "recursive=True") == ["sub/dir", "sub/dir/é.txt"]
    assert ask(app, "/api/models/org/m/tree/main/absent").headers["x-error-code"] == "EntryNotFound"


def test_model_files_carry_the_hubs_headers(app):
    weights = ask(app, "/org/m/resolve/main/model.gguf", "HEAD").headers
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    assert weights["etag"] == weights["x-linked-etag"] == f'"{digest}"'
    assert weights["x-linked-size"] == weights["content-length"] == str(len(WEIGHTS))
    assert weights["x-repo-commit"] == COMMIT
    config = ask(app, f"/org/m/resolve/{COMMIT}/config.json")
    git = hashlib.sha1(b"blob %d\0" % len(CONFIG) + CONFIG, usedforsecurity=False).hexdigest()
    assert config.headers["etag"] == f'"{git}"'
    assert "x-linked-etag" not in config.headers
    assert config.body == CONFIG
    assert ask(app, "/org/m/resolve/main/sub/dir/%C3%A9.txt").body == b"x"
    assert ask(app, "/solo/resolve/main/model.gguf").body == WEIGHTS
    assert not [name for name in weights if "xet" in name]


@pytest.mark.parametrize(
    ("path", "code", "commit"),
    [
        ("/api/models/org/absent", "RepoNotFound", None),
        ("/api/datasets/org/m", "RepoNotFound", None),
        ("/org/absent/resolve/main/config.json", "RepoNotFound", None),
        ("/api/models/org/m/revision/v9", "RevisionNotFound", None),
        ("/org/m/resolve/refs%2Fpr%2F1/config.json", "RevisionNotFound", None),
        ("/api/models/org/m/tree/v9", "RevisionNotFound", None),
        ("/org/m/resolve/main/absent.json", "EntryNotFound", COMMIT),
        ("/org/m/resolve/main/", "EntryNotFound", COMMIT),
        ("/org/m/resolve", "EntryNotFound", COMMIT),
        ("/api/models/org/m/absent/main", "EntryNotFound", COMMIT),
    ],
)
def test_what_is_missing_on_the_hub_is_named(app, path, code, commit):
    for method in ("GET", "HEAD"):
        answer = ask(app, path, method)
        assert answer.status == 404
        assert answer.headers["x-error-code"] == code
        assert answer.headers.get("x-repo-commit") == commit


def test_files_above_the_clients_bound_hide_their_length_in_head(app, monkeypatch):
    monkeypatch.setattr("lockgate.mirror.protocols.hub.HUB_HTTP_LIMIT", 100)
    head = ask(app, "/org/m/resolve/main/model.gguf", "HEAD").headers
    assert "content-length" not in head
    assert "x-linked-size" not in head
    get = ask(app, "/org/m/resolve/main/model.gguf")
    assert get.headers["content-length"] == str(len(WEIGHTS))


def test_health_and_metrics_say_what_is_served(site, app):
    health = ask(app, "/healthz")
    assert health.status == 200
    assert json.loads(health.body)["status"] == "serving"
    assert json.loads(health.body)["version"] == 1
    ask(app, PACKAGE)
    text = ask(app, "/metrics").body.decode()
    assert "lockgate_mirror_channel_version 1.0" in text
    assert "lockgate_mirror_snapshot_age_seconds 3600.0" in text
    assert 'lockgate_mirror_requests_total{protocol="pypi",status="200"} 1.0' in text
    registry = app.state.site.metrics.registry
    sent = registry.get_sample_value("lockgate_mirror_response_bytes_total", {"protocol": "pypi"})
    assert sent == len(WHEEL.data)
    site.write_channel(b"{")
    degraded = ask(app, "/healthz")
    assert degraded.status == 200
    assert json.loads(degraded.body)["status"] == "degraded"
    assert json.loads(degraded.body)["refused"] == "LG-1001"
    assert "lockgate_mirror_channel_refused 1.0" in ask(app, "/metrics").body.decode()
    assert ask(app, PACKAGE).status == 200


def test_a_browser_is_told_what_is_served_and_where(site, app):
    answer = ask(app, "/")
    page = answer.body.decode()
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f"version 1, snapshot <code>{app.state.site.view.status.statement.snapshot_sha256}</code>" in page
    for place in re.findall(r'href="([^"]+)"', page):
        assert ask(app, f"/{place}").status == 200
    told = re.findall("client-config ([a-z]+)<", page)
    assert {"pip", "npm", "apt", "dnf", "conda", "docker", "ollama", "huggingface", "git"} <= set(told)
    assert set(told) <= set(clients())
    elsewhere = ask(site.app(asked=Asked(address="https://m.test/<b>")), "/").body.decode()
    assert "client-config pip --url https://m.test/&lt;b&gt;</code>" in elsewhere


def test_before_the_first_snapshot_the_front_page_says_so(tmp_path):
    assert "Nothing is published yet." in ask(MirrorSite(tmp_path).app(), "/").body.decode()


def test_before_the_first_snapshot_there_is_503(tmp_path):
    app = MirrorSite(tmp_path).app()
    health = ask(app, "/healthz")
    assert (health.status, json.loads(health.body)["status"]) == (503, "empty")
    for path in ("/simple/", "/org/m/resolve/main/a", "/files/"):
        answer = ask(app, path)
        assert answer.status == 503
        assert answer.headers["x-error-code"] == "LG-5902"
    assert "lockgate_mirror_channel_version 0.0" in ask(app, "/metrics").body.decode()
    app.state.site.blobs.close()


def test_misses_are_bounded_in_number_and_length():
    misses = Misses()
    misses.add("pypi", "first")
    for n in range(MISS_LIMIT):
        misses.add("pypi", f"n{n}")
    misses.add("pypi", "n0")
    misses.add("pypi", "x" * 10_000)
    counts = misses.counts()
    assert len(counts) == MISS_LIMIT
    assert ("pypi", "first") not in counts
    assert counts["pypi", "n0"] == 2
    assert max(len(name) for _, name in counts) == MISS_LENGTH


def test_a_failure_nobody_expected_tells_nothing(app, monkeypatch):
    def broken(*arguments):
        what = "secret path"
        raise ZeroDivisionError(what)

    monkeypatch.setattr("lockgate.mirror.protocols.pypi.choose", broken)
    answer = ask(app, "/simple/")
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert json.loads(answer.body)["code"] == "LG-0000"


def test_a_download_goes_on_while_the_channel_moves(site, app):
    def publish_without(answer):
        if len(answer.body) == CHUNK:
            site.entries = [e for e in site.entries if e.artifact.name != "tiny-box"]
            site.publish()

    async def run():
        going_on = await asyncio.gather(asking(app, PACKAGE, on_chunk=publish_without))
        other = {"client": ("client", 2)}
        after, page = await asking(app, PACKAGE, **other), await asking(app, "/simple/tiny-box/", **other)
        return going_on[0], after, page, await asking(app, "/simple/tiny-box/")

    before, after, page, same_client = asyncio.run(run())
    assert before.body == WHEEL.data
    assert (after.status, page.status) == (200, 404)  # by its digest until downloads end, by its name no more
    assert same_client.status == 200


def test_the_server_hashes_large_blobs_ahead_and_ends_its_threads(site, monkeypatch):
    monkeypatch.setattr("lockgate.mirror.server.LARGE", 1000)
    from lockgate.mirror import build_app
    from lockgate.mirror.server import _hash_large

    app = build_app(site.view(), site.blobs, lambda: None)
    blobs = app.state.site.blobs
    path = site.blobs.path(hashlib.sha256(WEIGHTS).hexdigest())
    path.chmod(0o644)
    path.write_bytes(WEIGHTS[:-1] + b"!")

    async def run():
        async with app.router.lifespan_context(app):
            await _hash_large(app.state.site)
            return set(blobs._known)

    assert asyncio.run(run()) == {WHEEL.sha256}
    assert app.state.site.metrics.refused_blobs._value.get() > 0
    with pytest.raises(RuntimeError, match="shutdown"):
        asyncio.run(blobs.open(WHEEL.sha256, len(WHEEL.data)))


def test_the_server_starts_with_nothing_published(tmp_path):
    from lockgate.mirror import build_app

    site = MirrorSite(tmp_path)
    app = build_app(site.view(), site.blobs, lambda: None)

    async def run():
        async with app.router.lifespan_context(app):
            return await asking(app, "/healthz")

    assert asyncio.run(run()).status == 503


def test_a_port_that_somebody_listens_on_is_refused():
    """The server itself would share it silently (SO_REUSEPORT)."""
    from lockgate.mirror import CannotListenError, serve

    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CannotListenError, match="cannot listen"):
            serve("nowhere:nothing", "127.0.0.1", taken.getsockname()[1])


def test_the_room_has_no_other_names():
    import lockgate.mirror

    assert all(hasattr(lockgate.mirror, name) for name in lockgate.mirror.__all__)
    assert not hasattr(lockgate.mirror, "nothing_of_this_name")


def test_a_page_that_is_kept_in_memory_stays_what_was_signed(site, app):
    address = "/simple/tiny-box/"
    signed = ask(app, address, accept=SIMPLE_JSON)
    entry = app.state.site.view.table.projects["tiny-box"].json
    path = site.blobs.path(entry.sha256)
    path.chmod(0o644)
    path.write_bytes(b"x" * entry.size)
    assert ask(app, address, accept=SIMPLE_JSON).body == signed.body
    part = ask(app, address, accept=SIMPLE_JSON, range="bytes=2-5")
    assert (part.status, part.body) == (206, signed.body[2:6])
    fresh = site.app()
    assert ask(fresh, address, accept=SIMPLE_JSON).status == 500  # what was never hashed is not served
    fresh.state.site.blobs.close()


def test_pages_in_memory_have_a_bound(site, app, monkeypatch):
    monkeypatch.setattr("lockgate.mirror.blobs.KEPT_BYTES", 100)
    table = app.state.site.view
    table.refresh()
    entries = [table.table.index.json, table.table.index.html]
    for path, accept in (("/simple/", SIMPLE_JSON), ("/simple/", SIMPLE_HTML)):
        assert ask(app, path, accept=accept).status == 200
    assert [app.state.site.blobs.kept(e.sha256) is not None for e in entries] == [False, False]
    monkeypatch.setattr("lockgate.mirror.blobs.KEPT_BYTES", 10_000)
    assert ask(app, "/simple/", accept=SIMPLE_JSON, user_agent="another").status == 200
    assert app.state.site.blobs.kept(entries[0].sha256) is not None
