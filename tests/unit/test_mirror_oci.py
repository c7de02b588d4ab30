"""The registry, asked without a network: manifests byte for byte, tags, referrers, refusals."""

import json

import pytest

from corpora.images import (
    IMAGE,
    INDEX,
    SIGNATURE,
    artifact_of,
    descriptor,
    digest,
    image,
    index,
    refers,
    to_json,
)
from corpora.mirrorsite import MirrorSite, ask
from lockgate.core.errors import TooLargeError
from lockgate.core.oci import MANIFEST_LIMIT, BadManifestError, is_name, parse_manifest
from lockgate.mirror import LayoutError

AMD, ARM = image(), image({"hello": b"other\n"}, "arm64")
BOTH = index(AMD, ARM)
SIGNED, LISTED = refers(BOTH, by="one"), refers(BOTH, "application/vnd.example.sbom", b'{"parts": []}')
NAME = "registry.test/team/app"


def whole():
    made = index(AMD, ARM)
    return made.include(SIGNED).include(LISTED)


@pytest.fixture
def site(tmp_path):
    made = MirrorSite(tmp_path)
    made.add(artifact_of(made, NAME, whole(), "1.0", "latest"))
    made.add(artifact_of(made, "other.test_5000/solo", AMD, *[f"t{n}" for n in range(5)]))
    made.publish()
    return made


@pytest.fixture
def app(site):
    made = site.app()
    yield made
    made.state.site.blobs.close()


def errors(answer):
    return [error["code"] for error in json.loads(answer.body)["errors"]]


def test_the_base_says_that_this_is_a_registry_even_with_nothing_published(tmp_path, app):
    empty = MirrorSite(tmp_path / "empty").app()
    for each in (app, empty):
        for path in ("/v2", "/v2/"):
            answer = ask(each, path)
            assert (answer.status, answer.headers["docker-distribution-api-version"]) == (200, "registry/2.0")
    nothing = ask(empty, f"/v2/{NAME}/manifests/latest")
    assert (nothing.status, errors(nothing)) == (503, ["UNAVAILABLE"])
    empty.state.site.blobs.close()


def test_manifests_are_served_byte_for_byte_by_tag_and_digest(app):
    for reference in ("1.0", "latest", BOTH.root):
        answer = ask(app, f"/v2/{NAME}/manifests/{reference}")
        assert answer.body == BOTH.manifests[BOTH.root]
        assert answer.headers["content-type"] == INDEX
        assert answer.headers["docker-content-digest"] == BOTH.root
    head = ask(app, f"/v2/{NAME}/manifests/{AMD.root}", "HEAD")
    assert (head.status, head.headers["content-type"], head.body) == (200, IMAGE, b"")
    assert int(head.headers["content-length"]) == len(AMD.manifests[AMD.root])
    assert "immutable" in head.headers["cache-control"]
    assert ask(app, f"/v2/{NAME}/manifests/1.0").headers["cache-control"] == "no-cache"


def test_an_image_without_a_media_type_is_served_under_the_one_that_its_members_show(tmp_path):
    bare = json.loads(AMD.manifests[AMD.root])
    del bare["mediaType"]
    body = to_json(bare)
    made = image()
    made.root, made.manifests = digest(body), {digest(body): body}
    site = MirrorSite(tmp_path)
    site.add(artifact_of(site, "h.test/bare", made, "a"))
    site.publish()
    app = site.app()
    answer = ask(app, "/v2/h.test/bare/manifests/a")
    assert (answer.body, answer.headers["content-type"]) == (body, IMAGE)
    app.state.site.blobs.close()


def test_blobs_come_whole_and_in_ranges(app):
    for key, data in AMD.blobs.items():
        address = f"/v2/{NAME}/blobs/{key}"
        answer = ask(app, address)
        assert (answer.status, answer.body, answer.headers["docker-content-digest"]) == (200, data, key)
        assert "location" not in answer.headers
        assert int(ask(app, address, "HEAD").headers["content-length"]) == len(data)
        part = ask(app, address, range="bytes=5-9")
        assert (part.status, part.body) == (206, data[5:10])
        assert part.headers["content-range"] == f"bytes 5-9/{len(data)}"
        for wrong in ("bytes=9-5", "bytes=100000-"):
            assert ask(app, address, range=wrong).status == 416


def test_a_blob_is_served_only_from_a_repository_that_holds_it(app):
    (key, *_) = ARM.blobs
    assert ask(app, f"/v2/{NAME}/blobs/{key}").status == 200
    other = ask(app, f"/v2/other.test_5000/solo/blobs/{key}")
    assert (other.status, errors(other)) == (404, ["BLOB_UNKNOWN"])
    manifest_as_blob = ask(app, f"/v2/{NAME}/blobs/{AMD.root}")
    assert (manifest_as_blob.status, errors(manifest_as_blob)) == (404, ["BLOB_UNKNOWN"])


def test_tags_are_listed_in_parts_with_a_link_to_the_rest(app):
    address = "/v2/other.test_5000/solo/tags/list"
    whole_list = ask(app, address)
    assert json.loads(whole_list.body) == {
        "name": "other.test_5000/solo",
        "tags": [f"t{n}" for n in range(5)],
    }
    first = ask(app, address, query="n=2")
    assert json.loads(first.body)["tags"] == ["t0", "t1"]
    assert first.headers["link"] == f'<{address}?n=2&last=t1>; rel="next"'
    last = ask(app, address, query="n=9&last=t3")
    assert json.loads(last.body)["tags"] == ["t4"]
    assert "link" not in last.headers
    assert json.loads(ask(app, address, query="n=0").body)["tags"] == []
    assert json.loads(ask(app, address, query="last=t2").body)["tags"] == ["t3", "t4"]
    for wrong in ("n=x", "n=-1", "n=%D9%A1"):
        assert ask(app, address, query=wrong).status == 400


def test_referrers_are_listed_filtered_and_never_missing(app):
    address = f"/v2/{NAME}/referrers/{BOTH.root}"
    answer = ask(app, address)
    assert answer.headers["content-type"] == INDEX
    listed = {entry["digest"]: entry for entry in json.loads(answer.body)["manifests"]}
    assert set(listed) == {SIGNED.root, LISTED.root}
    assert listed[SIGNED.root] == descriptor(
        SIGNED.manifests[SIGNED.root], IMAGE, artifactType=SIGNATURE, annotations={"by": "one"}
    )
    filtered = ask(app, address, query="artifactType=application%2Fvnd.example.sbom")
    assert filtered.headers["oci-filters-applied"] == "artifactType"
    assert [entry["digest"] for entry in json.loads(filtered.body)["manifests"]] == [LISTED.root]
    for path in (f"/v2/{NAME}/referrers/{AMD.root}", f"/v2/absent/thing/referrers/{AMD.root}"):
        nothing = ask(app, path)
        assert (nothing.status, json.loads(nothing.body)["manifests"]) == (200, [])
    assert errors(ask(app, f"/v2/{NAME}/referrers/sha256:short")) == ["DIGEST_INVALID"]


def test_names_are_found_below_the_host_that_a_client_names_or_alone(app):
    for path, query in (
        (f"/v2/{NAME}/manifests/1.0", ""),
        ("/v2/team/app/manifests/1.0", ""),
        ("/v2/team/app/manifests/1.0", "ns=registry.test"),
        ("/v2/solo/manifests/t1", "ns=other.test:5000"),
    ):
        assert ask(app, path, query=query).status == 200


def test_a_short_name_that_could_be_two_stands_for_neither(tmp_path):
    site = MirrorSite(tmp_path)
    for host in ("a.test", "b.test"):
        site.add(artifact_of(site, f"{host}/app", AMD, "1"))
    site.publish()
    app = site.app()
    assert ask(app, "/v2/app/manifests/1").status == 404
    assert ask(app, "/v2/app/manifests/1", query="ns=b.test").status == 200
    app.state.site.blobs.close()


def test_what_is_missing_or_malformed_is_said_in_the_registry_s_words(app):
    for path, status, code in (
        ("/v2/absent/thing/manifests/1.0", 404, "NAME_UNKNOWN"),
        ("/v2/absent/thing/tags/list", 404, "NAME_UNKNOWN"),
        (f"/v2/{NAME}/manifests/2.0", 404, "MANIFEST_UNKNOWN"),
        (f"/v2/{NAME}/manifests/.odd", 404, "MANIFEST_UNKNOWN"),
        (f"/v2/{NAME}/manifests/{BOTH.root.removeprefix('sha256:')}", 404, "MANIFEST_UNKNOWN"),
        (f"/v2/{NAME}/manifests/sha256:{'0' * 64}", 404, "MANIFEST_UNKNOWN"),
        (f"/v2/{NAME}/manifests/sha512:{'0' * 128}", 404, "MANIFEST_UNKNOWN"),
        (f"/v2/{NAME}/blobs/sha256:short", 400, "DIGEST_INVALID"),
        (f"/v2/{NAME}/blobs/sha256:{'0' * 64}", 404, "BLOB_UNKNOWN"),
        ("/v2/UPPER/case/manifests/1", 404, "NAME_INVALID"),
        ("/v2/a%2Fb%20/manifests/1", 404, "NAME_INVALID"),
        ("/v2/manifests/1", 404, "NAME_INVALID"),
        (f"/v2/{NAME}/other/thing", 404, "UNSUPPORTED"),
    ):
        answer = ask(app, path)
        assert (answer.status, errors(answer)) == (status, [code]), path
    assert ("oci", "absent/thing") in app.state.site.misses.counts()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_written(app, method):
    for path in (f"/v2/{NAME}/blobs/uploads/", f"/v2/{NAME}/manifests/1.0", f"/v2/{NAME}/blobs/{AMD.root}"):
        answer = ask(app, path, method)
        assert (answer.status, errors(answer), answer.headers["allow"]) == (405, ["UNSUPPORTED"], "GET, HEAD")


def test_a_digest_that_is_none_is_called_so_though_nothing_can_be_pushed(app):
    """So ask the older forms of the specification's suite, of registries that are read only too."""
    for method, status, code in (("PUT", 400, "DIGEST_INVALID"), ("GET", 404, "MANIFEST_UNKNOWN")):
        answer = ask(app, f"/v2/{NAME}/manifests/sha256:totallywrong", method)
        assert (answer.status, errors(answer)) == (status, [code])


def test_a_tag_stands_for_what_the_newest_crossing_tagged(tmp_path):
    site = MirrorSite(tmp_path)
    site.add(artifact_of(site, "h.test/app", AMD, "latest"), crossing=2)
    site.add(artifact_of(site, "h.test/app", ARM, "latest"), crossing=1)
    site.publish()
    app = site.app()
    assert ask(app, "/v2/h.test/app/manifests/latest").headers["docker-content-digest"] == AMD.root
    assert ask(app, f"/v2/h.test/app/manifests/{ARM.root}").status == 200
    app.state.site.blobs.close()


def test_an_index_may_lack_platforms_and_an_image_may_lack_nothing(tmp_path):
    site = MirrorSite(tmp_path)
    absent = descriptor(b"absent", IMAGE, platform={"os": "linux", "architecture": "arm64"})
    site.add(artifact_of(site, "h.test/sparse", index(AMD, missing=[absent]), "1"))
    site.publish()
    holed = image({"hello": b"third\n"})
    holed.blobs.popitem()
    site.add(artifact_of(site, "h.test/holed", holed, "1"))
    with pytest.raises(LayoutError, match="lacks its blob"):
        site.publish()


@pytest.mark.parametrize(
    "change",
    [
        {"attributes": {"tags": "-wrong"}},
        {"name": "h.test/../app"},
        {"name": "h.test/Upper"},
        {"version": f"sha256:{'0' * 64}"},
    ],
)
def test_an_artifact_that_is_not_laid_out_as_an_image_is_refused(tmp_path, change):
    import msgspec

    site = MirrorSite(tmp_path)
    site.add(msgspec.structs.replace(artifact_of(site, "h.test/app", AMD, "1"), **change))
    with pytest.raises(LayoutError):
        site.publish()


@pytest.mark.parametrize(
    "body",
    [
        b"blabla",
        b"[]",
        b'{"schemaVersion": 1, "fsLayers": []}',
        b'{"schemaVersion": 2}',
        to_json({"schemaVersion": 2, "mediaType": "text/html\r\nX-Evil: 1", "manifests": []}),
        to_json({"schemaVersion": 2, "manifests": [{"mediaType": IMAGE, "digest": "md5:0", "size": 1}]}),
        to_json({"schemaVersion": 2, "manifests": [{"mediaType": IMAGE, "digest": AMD.root, "size": -1}]}),
        to_json(
            {"schemaVersion": 2, "manifests": [{"mediaType": IMAGE, "digest": AMD.root, "size": 1 << 63}]}
        ),
    ],
)
def test_what_is_no_manifest_is_refused(body):
    with pytest.raises(BadManifestError):
        parse_manifest(body)


def test_a_manifest_has_a_longest_length():
    with pytest.raises(TooLargeError, match="MANIFEST_LIMIT"):
        parse_manifest(b" " * (MANIFEST_LIMIT + 1))


def test_names_of_repositories():
    for good in ("a", "a/b", "a.b/c__d/e-f", "h.test_5000/x"):
        assert is_name(good)
    for bad in ("", "/a", "a/", "a//b", "A", "a..b", "_a", "a/-b", "a\n", "a" * 256):
        assert not is_name(bad)


def test_what_a_tag_named_before_a_switch_is_still_fetched_by_digest(tmp_path):
    site = MirrorSite(tmp_path)
    site.add(artifact_of(site, NAME, BOTH, "1.0"))
    site.publish()
    app = site.app()
    assert ask(app, f"/v2/{NAME}/manifests/1.0").body == BOTH.manifests[BOTH.root]
    site.entries.clear()
    site.add(artifact_of(site, NAME, ARM, "1.0"), crossing=2)
    site.publish()
    second = {"npm_session": "second"}  # another connection, which begins with the newest snapshot
    assert ask(app, f"/v2/{NAME}/manifests/1.0", **second).body == ARM.manifests[ARM.root]
    assert ask(app, f"/v2/{NAME}/manifests/{AMD.root}", **second).status == 200
    for blob in AMD.blobs:
        assert ask(app, f"/v2/{NAME}/blobs/{blob}", **second).status == 200
    app.state.site.blobs.close()
