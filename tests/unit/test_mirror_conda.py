"""The conda mirror's pages and answers, without a client."""

import json
from hashlib import sha256

import pytest
import zstandard
from msgspec.structs import replace

from corpora.mirrorsite import MirrorSite, ask
from lockgate.core.conda import CONDA_FORMAT, CondaPackage, conda_purl
from lockgate.core.errors import MalformedDocumentError
from lockgate.core.wire import checked, encode
from lockgate.mirror import LayoutError, generate_pages


def package(name="leaf", version="1.0", subdir="linux-64", extension=".conda", **facts):
    return CondaPackage(
        format=CONDA_FORMAT,
        name=name,
        version=version,
        build="h0_1",
        subdir=subdir,
        extension=extension,
        **facts,
    )


LEAF = package(depends=("tree >=1",), licence="MIT", timestamp=7, site_packages="lib/x")
TREE = package("tree", "1!2.0+local", "noarch", ".tar.bz2", noarch="generic", constrains=("root",))


@pytest.fixture
def site(tmp_path):
    """Return a site that a test may change."""
    return filled(MirrorSite(tmp_path))


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """Return a site for tests that only look."""
    return filled(MirrorSite(tmp_path_factory.mktemp("site")))


def filled(site):
    site.add_conda(LEAF, b"leaf")
    site.add_conda(TREE, b"tree")
    site.add_conda(package("alone"), b"alone", channel="other")
    site.publish()
    return site


def index(app, path="science/linux-64/repodata.json"):
    answer = ask(app, f"/conda/{path}")
    assert answer.status == 200
    return json.loads(answer.body)


def test_an_index_lists_what_lies_there_by_its_digest(standing):
    app = standing.app()
    found = index(app)
    assert found["info"] == {"subdir": "linux-64"}
    assert found["packages"] == {}
    assert found["packages.conda"] == {
        "leaf-1.0-h0_1.conda": {
            "build": "h0_1",
            "build_number": 0,
            "depends": ["tree >=1"],
            "license": "MIT",
            "name": "leaf",
            "python_site_packages_path": "lib/x",
            "sha256": sha256(b"leaf").hexdigest(),
            "size": 4,
            "subdir": "linux-64",
            "timestamp": 7,
            "version": "1.0",
        }
    }
    noarch = index(app, "science/noarch/repodata.json")
    (record,) = noarch["packages"].values()
    assert (record["noarch"], record["constrains"]) == ("generic", ["root"])
    assert ask(app, "/conda/science/linux-64/leaf-1.0-h0_1.conda").body == b"leaf"
    for written in ("tree-1!2.0+local-h0_1", "tree-1%212.0%2Blocal-h0_1"):
        assert ask(app, f"/conda/science/noarch/{written}.tar.bz2").body == b"tree"
    assert ask(app, "/conda/science/linux-64/leaf-1.0-h0_1.conda.json").status == 404


def test_every_form_of_an_index_says_the_same_and_each_channel_has_a_noarch(standing):
    app = standing.app()
    plain = ask(app, "/conda/science/linux-64/repodata.json").body
    for name in ("repodata.json.zst", "current_repodata.json.zst"):
        body = ask(app, f"/conda/science/linux-64/{name}").body
        assert zstandard.ZstdDecompressor().decompress(body) == plain
    assert ask(app, "/conda/science/linux-64/current_repodata.json").body == plain
    empty = index(app, "other/noarch/repodata.json")
    assert (empty["packages"], empty["packages.conda"]) == ({}, {})
    assert list(index(app, "other/linux-64/repodata.json")["packages.conda"]) == ["alone-1.0-h0_1.conda"]


def test_a_tag_answers_304_and_a_download_goes_on(standing):
    app = standing.app()
    path = "/conda/science/linux-64/repodata.json.zst"
    tag = ask(app, path).headers["etag"]
    assert ask(app, path, if_none_match=tag).status == 304
    part = ask(app, "/conda/science/linux-64/leaf-1.0-h0_1.conda", range="bytes=2-")
    assert (part.status, part.body) == (206, b"af")


def test_what_a_newer_crossing_brings_under_one_path_is_listed_alone(site):
    site.add_conda(LEAF, b"other leaf", crossing=2)
    site.publish()
    (record,) = index(site.app())["packages.conda"].values()
    assert record["sha256"] == sha256(b"other leaf").hexdigest()


def test_pages_do_not_depend_on_the_order_of_what_is_admitted(standing):
    pages = generate_pages(standing.entries, standing.blobs.read)
    assert generate_pages(standing.entries[::-1], standing.blobs.read) == pages


def test_misses_are_packages_and_channels_and_not_what_clients_try(standing):
    app = standing.app()
    tried = (
        "science/linux-64/repodata_shards.msgpack.zst",
        "science/noarch/repodata.json.bz2",
        "science/notices.json",
    )
    missing = ("science/noarch/absent-1-0.conda", "absent/noarch/repodata.json")
    for path in (*tried, *missing):
        assert ask(app, f"/conda/{path}").status == 404
    assert {name for _, name in app.state.site.misses.counts()} == set(missing)


def test_a_document_about_another_package_or_channel_is_refused(site):
    artifact = site.add_conda(package("late"), b"late")
    entry = site.entries.pop()
    liar = site.file(artifact.files[1].path, encode(package("late", "9.9")), artifact.files[1].role)
    changed = replace(entry, artifact=replace(artifact, files=(artifact.files[0], liar)))
    with pytest.raises(LayoutError, match=r"is about late-9\.9"):
        generate_pages([*site.entries, changed], site.blobs.read)
    changed = replace(entry, artifact=replace(artifact, attributes={"channel": "other"}))
    with pytest.raises(LayoutError, match="is about late"):
        generate_pages([*site.entries, changed], site.blobs.read)


@pytest.mark.parametrize(
    "facts",
    [
        {"name": "../leaf"},
        {"name": "Leaf"},
        {"version": "1/2"},
        {"build": ""},
        {"subdir": "linux/64"},
        {"extension": ".zip"},
        {"depends": ["a\nb"]},
        {"noarch": "perl"},
        {"unknown": "x"},
    ],
)
def test_no_field_of_a_package_leads_elsewhere(facts):
    given = {name: getattr(LEAF, name) for name in LEAF.__struct_fields__}
    assert checked(CondaPackage, given) == LEAF
    with pytest.raises(MalformedDocumentError):
        checked(CondaPackage, {**given, **facts})


def test_package_urls_name_build_channel_and_platform():
    assert conda_purl("science", LEAF) == (
        "pkg:conda/leaf@1.0?build=h0_1&channel=science&subdir=linux-64&type=conda"
    )
    assert LEAF.release == "1.0-h0_1"
