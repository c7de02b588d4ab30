"""What no honest client sends, to each protocol: the right status, nothing leaked, all bytes or none."""

import pytest

from corpora.debs import DebFile
from corpora.images import artifact_of, image
from corpora.mirrorsite import MirrorSite, ask
from corpora.npmpackages import NpmPackage
from corpora.wheels import build_wheel

IMAGE = image()
NAME = "registry.test/team/app"
WHOLE = {
    "python": "/simple/leaf/",
    "npm": "/npm/leaf",
    "npm archive": "/npm/leaf/-/leaf-1.0.0.tgz",
    "image": f"/v2/{NAME}/manifests/1",
    "blob": f"/v2/{NAME}/blobs/{next(iter(IMAGE.blobs))}",
    "files": "/files/note.txt",
    "hub": "/team/model/resolve/main/model.gguf",
    "hub's words": "/api/models/team/model",
    "apt": "/apt/debian/pool/main/l/leaf/leaf_1_amd64.deb",
}
"""One address of each kind that is there."""

ROOTS = ("/simple/", "/npm/", f"/v2/{NAME}/manifests/", f"/v2/{NAME}/blobs/", "/files/", "/api/models/team/")
ROOTS += ("/team/model/resolve/main/", "/apt/debian/", "/rpm/", "/conda/", "/git/")
NO_RANGES = ("bytes=x", "bytes=5-2", "bytes=-", "items=0-1", f"bytes={'9' * 40}-", "bytes=" + "0-1," * 400)
TAILS = {
    "climbing": "..%2f..%2f..%2fetc%2fpasswd",
    "climbing by its letters": "%2e%2e/%2e%2e/etc/passwd",
    "a zero byte": "a%00b",
    "no text": "%ff%fe",
    "a second header": "x%0d%0aSet-Cookie:%20a=b",
    "a digest that is none": "sha256:zz",
}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    site = MirrorSite(tmp_path_factory.mktemp("site"))
    site.add_wheels("leaf", "1", build_wheel("leaf", "1"))
    site.add_npm(NpmPackage("leaf", "1.0.0"))
    site.add(artifact_of(site, NAME, IMAGE, "1"))
    site.add_document("note.txt", b"a note of some length")
    site.add_model("team/model", {"model.gguf": b"GGUF" + bytes(99), "config.json": b"{}"})
    site.add_deb(DebFile("leaf", "1"), "bookworm")
    site.publish()
    return site.app()


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_a_range_that_is_none_gets_the_whole_or_is_refused_without_a_byte_of_it(app, name):
    whole = ask(app, WHOLE[name], host="mirror")
    assert whole.status == 200
    for asked in NO_RANGES:
        answer = ask(app, WHOLE[name], host="mirror", range=asked)
        assert (answer.status, answer.body == whole.body) in {(200, True), (416, False)}, asked
        assert answer.status == 200 or answer.body == b"", asked
    beyond = ask(app, WHOLE[name], host="mirror", range="bytes=999999999-")
    assert beyond.status in {200, 416}


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_a_media_type_that_nobody_knows_and_a_method_that_nobody_has(app, name):
    for accept in ("application/x-nobody", "\x7f;;q=x", "a/b;q=" + "9" * 500):
        answer = ask(app, WHOLE[name], host="mirror", accept=accept)
        assert answer.status == (406 if name == "python" else 200), accept
    for method in ("DELETE", "TRACE", "PROPFIND", "NOBODYS"):
        assert ask(app, WHOLE[name], method, host="mirror").status == 405, method


@pytest.mark.parametrize("tail", sorted(TAILS))
@pytest.mark.parametrize("root", ROOTS)
def test_a_path_that_leads_nowhere_tells_nothing(app, root, tail):
    answer = ask(app, root + TAILS[tail], host="mirror")
    assert answer.status in {301, 400, 404}
    assert not any(said in answer.body for said in (b"Traceback", b"/tmp", b"root:", b"site-packages"))
    assert "set-cookie" not in answer.headers
    assert not any("\r" in value or "\n" in value for value in answer.headers.values())


@pytest.mark.parametrize("root", ROOTS)
def test_an_address_that_is_too_long_is_refused_before_it_is_looked_up(app, root):
    assert ask(app, root + "a" * 9000, host="mirror").status == 414
