"""Every check of the public conformance suite of OCI's distribution specification, in our own words.

Its workflows are pull, push, content discovery and content management, against a namespace that is
open for pushes, on a home with nothing published. Both forms of the suite are followed: that of
version 1.1, and the later one that walks through many kinds of content by several digests.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpora.images import CONFIG, EMPTY, IMAGE, INDEX, LAYER, SIGNATURE, digest, to_json
from corpora.registry import NAMESPACE, make_home, serving
from lockgate.app.settings import load_settings
from lockgate.app.trust import audit_log

REPO, OTHER = f"{NAMESPACE}/repo1", f"{NAMESPACE}/repo2"
BINARY = "application/octet-stream"
CODES = {
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    home = make_home(tmp_path_factory.mktemp("conformance"))
    with serving(home, "--open-namespace", NAMESPACE) as client:
        client.home = home
        yield client


def by(algorithm, data):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def codes(answer):
    found = [error["code"] for error in json.loads(answer.body)["errors"]]
    assert found
    assert set(found) <= CODES
    return found


def start(registry, repo=REPO, query="", **headers):
    answer = registry.ask("POST", f"/v2/{repo}/blobs/uploads/{query}", **headers)
    assert answer.status == 202
    return answer.headers["location"]


def with_digest(location, key):
    return f"{location}{'&' if '?' in location else '?'}digest={key}"


def push(registry, data, key=None, repo=REPO):
    """Push a blob by POST and PUT; check the Location that it is found under."""
    key = key or digest(data)
    answer = registry.ask("PUT", with_digest(start(registry, repo), key), data, Content_Type=BINARY)
    assert answer.status == 201
    assert registry.ask("GET", answer.headers["location"]).body == data
    return key


def put(registry, reference, body, media_type=IMAGE, repo=REPO):
    return registry.ask("PUT", f"/v2/{repo}/manifests/{reference}", body, Content_Type=media_type)


def a_manifest(registry, algorithm="sha256", repo=REPO, layers=1, **members):
    """Push the blobs of a fresh image, and return its manifest."""
    salt = os.urandom(8).hex()
    config = to_json(
        {"architecture": "amd64", "os": "linux", "author": salt, "rootfs": {"type": "layers", "diff_ids": []}}
    )
    listed = []
    for _ in range(layers):
        layer = os.urandom(512)
        listed.append(
            {
                "mediaType": LAYER,
                "digest": push(registry, layer, by(algorithm, layer), repo),
                "size": len(layer),
            }
        )
    entry = {
        "mediaType": CONFIG,
        "digest": push(registry, config, by(algorithm, config), repo),
        "size": len(config),
    }
    return to_json({"schemaVersion": 2, "mediaType": IMAGE, "config": entry, "layers": listed, **members})


def described(body, media_type=IMAGE, algorithm="sha256", **members):
    return {"mediaType": media_type, "digest": by(algorithm, body), "size": len(body), **members}


# --- base and empty ---


def test_ping(registry):
    assert registry.ask("GET", "/v2/").status == 200


def test_an_empty_repository(registry):
    assert registry.ask("GET", f"/v2/{NAMESPACE}/fresh/tags/list").status in {200, 404}
    answer = registry.ask("GET", f"/v2/{NAMESPACE}/fresh/referrers/{digest(os.urandom(8))}")
    assert (answer.status, answer.headers["content-type"]) == (200, INDEX)
    assert json.loads(answer.body) == {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}


# --- pull ---


def test_pull_of_blobs(registry):
    data = os.urandom(300)
    key = push(registry, data)
    absent = digest(b"hello world")
    for method in ("HEAD", "GET"):
        assert registry.ask(method, f"/v2/{REPO}/blobs/{absent}").status == 404
        answer = registry.ask(method, f"/v2/{REPO}/blobs/{key}")
        assert (answer.status, answer.headers["docker-content-digest"]) == (200, key)
        assert answer.headers["content-length"] == str(len(data))
        assert answer.body == (data if method == "GET" else b"")


def test_pull_of_manifests(registry):
    body = a_manifest(registry)
    assert put(registry, "tagtest0", body).status == 201
    for reference in ("tagtest0", digest(body)):
        for method in ("HEAD", "GET"):
            answer = registry.ask(method, f"/v2/{REPO}/manifests/{reference}", Accept=IMAGE)
            assert (answer.status, answer.headers["docker-content-digest"]) == (200, digest(body))
            assert (answer.headers["content-type"], answer.headers["content-length"]) == (
                IMAGE,
                str(len(body)),
            )
            assert answer.body == (body if method == "GET" else b"")
    for absent in (".INVALID_MANIFEST_NAME", "missing-tag", digest(os.urandom(9))):
        for method in ("HEAD", "GET"):
            assert registry.ask(method, f"/v2/{REPO}/manifests/{absent}").status == 404


def test_an_error_has_the_body_that_the_specification_says(registry):
    for reference in ("sha256:totallywrong", "sha256:baddigeststring"):
        answer = put(registry, reference, b"blablabla")
        assert answer.status == 400
        assert codes(answer)
        assert registry.ask("GET", f"/v2/{REPO}/manifests/{reference}").status in {400, 404}
    good = put(registry, "sha256:baddigeststring", a_manifest(registry))
    assert (good.status, codes(good)) == (400, ["DIGEST_INVALID"])


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_ranges_of_blobs(registry, algorithm):
    data = os.urandom(2048)
    key = push(registry, data, by(algorithm, data))
    for asked, (first, last) in {
        "500-1499": (500, 1499),
        "500-": (500, 2047),
        "-500": (1548, 2047),
        "2000-5000": (2000, 2047),
    }.items():
        answer = registry.ask("GET", f"/v2/{REPO}/blobs/{key}", Range=f"bytes={asked}")
        assert (answer.status, answer.body) == (206, data[first : last + 1])
        assert answer.headers["content-range"] == f"bytes {first}-{last}/2048"
        assert answer.headers["content-length"] == str(last - first + 1)
    for asked in ("500-0", "5000-10000"):
        assert registry.ask("GET", f"/v2/{REPO}/blobs/{key}", Range=f"bytes={asked}").status == 416


# --- push ---


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("data", [b"", b"{}", b"NBA Jam on my NBA toast"])
def test_a_blob_is_streamed_or_sent_whole(registry, data, algorithm):
    key = by(algorithm, data)
    streamed = registry.ask("PATCH", start(registry), data, Content_Type=BINARY)
    assert streamed.status == 202
    done = registry.ask("PUT", with_digest(streamed.headers["location"], key), b"", Content_Type=BINARY)
    whole = registry.ask("POST", f"/v2/{REPO}/blobs/uploads/?digest={key}", data, Content_Type=BINARY)
    for answer in (done, whole):
        assert (answer.status, answer.headers["docker-content-digest"]) == (201, key)
        assert registry.ask("GET", answer.headers["location"]).body == data
    assert push(registry, data, key) == key


def test_a_stream_needs_no_length(registry):
    data = os.urandom(3000)
    pieces = (data[at : at + 500] for at in range(0, 3000, 500))
    streamed = registry.ask("PATCH", start(registry), pieces, Transfer_Encoding="chunked")
    assert (streamed.status, streamed.headers["range"]) == (202, "0-2999")
    done = registry.ask("PUT", with_digest(streamed.headers["location"], digest(data)))
    assert registry.ask("GET", done.headers["location"]).body == data


@pytest.mark.parametrize("put_last", [False, True])
@pytest.mark.parametrize("out_of_order", [False, True])
def test_a_blob_is_sent_in_chunks(registry, put_last, out_of_order):
    data = os.urandom(3067)
    key, size, location = digest(data), 1024, start(registry, Content_Length=0)
    for first in range(0, len(data), size):
        last = min(first + size, len(data)) - 1
        if out_of_order:
            wrong = first + size if first + size < len(data) else 0
            upto = min(wrong + size, len(data)) - 1
            method, where = "PATCH", location
            if put_last and upto == len(data) - 1:
                method, where = "PUT", with_digest(location, key)
            refused = registry.ask(method, where, data[wrong : upto + 1], Content_Range=f"{wrong}-{upto}")
            assert refused.status == 416
            assert codes(refused) == ["BLOB_UPLOAD_INVALID"]
            state = registry.ask("GET", refused.headers["location"])
            assert (state.status, state.headers["range"]) == (204, f"0-{max(first - 1, 0)}")
            location = state.headers["location"]
        final = put_last and last == len(data) - 1
        where = with_digest(location, key) if final else location
        part = registry.ask(
            "PUT" if final else "PATCH",
            where,
            data[first : last + 1],
            Content_Range=f"{first}-{last}",
            Content_Type=BINARY,
        )
        assert part.status == (201 if final else 202)
        if not final:
            assert part.headers["range"] == f"0-{last}"
            location = part.headers["location"]
    if not put_last:
        part = registry.ask("PUT", with_digest(location, key), b"")
        assert part.status == 201
    assert registry.ask("GET", part.headers["location"]).body == data


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_bytes_with_another_digest_are_refused(registry, algorithm):
    data = os.urandom(600)
    key = by(algorithm, data)
    wrong = data + b"oh no"
    refused = [
        registry.ask("POST", f"/v2/{REPO}/blobs/uploads/?digest={key}", wrong),
        registry.ask("PUT", with_digest(start(registry), key), wrong),
    ]
    patched = registry.ask("PATCH", start(registry), wrong)
    refused.append(registry.ask("PUT", with_digest(patched.headers["location"], key), b""))
    chunked = registry.ask("PATCH", start(registry), wrong[:300], Content_Range="0-299")
    refused.append(
        registry.ask(
            "PUT", with_digest(chunked.headers["location"], key), wrong[300:], Content_Range="300-604"
        )
    )
    for answer in refused:
        assert (answer.status, codes(answer)) == (400, ["DIGEST_INVALID"])
    assert registry.ask("GET", f"/v2/{REPO}/blobs/{key}").status == 404


def test_an_upload_is_told_of_and_cancelled(registry):
    location = start(registry)
    assert registry.ask("PATCH", location, b"abc").headers["range"] == "0-2"
    state = registry.ask("GET", location)
    assert (state.status, state.headers["range"], state.headers["location"]) == (204, "0-2", location)
    assert registry.ask("DELETE", location).status == 204
    gone = registry.ask("GET", location)
    assert (gone.status, codes(gone)) == (404, ["BLOB_UPLOAD_UNKNOWN"])


def test_blobs_are_mounted_from_another_repository(registry):
    for query in (f"&from={OTHER}", ""):
        data = os.urandom(100)
        key = push(registry, data, repo=OTHER)
        assert registry.ask("HEAD", f"/v2/{REPO}/blobs/{key}").status == 404
        mounted = registry.ask("POST", f"/v2/{REPO}/blobs/uploads/?mount={key}{query}")
        assert (mounted.status, mounted.headers["location"]) == (201, f"/v2/{REPO}/blobs/{key}")
        assert registry.ask("GET", mounted.headers["location"]).body == data
        assert registry.ask("DELETE", f"/v2/{OTHER}/blobs/{key}").status == 202
        assert registry.ask("GET", mounted.headers["location"]).body == data  # its own now


def test_what_cannot_be_mounted_becomes_an_upload(registry):
    data = os.urandom(100)
    key = digest(data)
    for source in (OTHER, "foreign/repo"):
        location = start(registry, query=f"?mount={key}&from={source}")
        assert registry.ask("PUT", with_digest(location, key), data).status == 201
        assert registry.ask("DELETE", f"/v2/{REPO}/blobs/{key}").status == 202


def test_manifests_are_taken_by_tag_and_digest(registry):
    body = a_manifest(registry, layers=2)
    for reference in (*[f"test{n}" for n in range(4)], digest(body)):
        answer = put(registry, reference, body)
        assert (answer.status, answer.headers["docker-content-digest"]) == (201, digest(body))
        found = registry.ask("GET", answer.headers["location"])
        assert (found.body, found.headers["content-type"]) == (body, IMAGE)
    assert put(registry, "without-layers", a_manifest(registry, layers=0)).status == 201
    changed = put(registry, digest(body), body + b"  ")
    assert (changed.status, codes(changed)) == (400, ["DIGEST_INVALID"])


def test_a_manifest_is_taken_under_tags_beside_its_digest(registry):
    for algorithm in ("sha256", "sha512"):
        body = a_manifest(registry, algorithm)
        answer = put(registry, f"{by(algorithm, body)}?tag=one-{algorithm}&tag=two-{algorithm}", body)
        assert answer.headers["oci-tag"] == f"one-{algorithm}, two-{algorithm}"
        for tag in ("one", "two"):
            found = registry.ask("GET", f"/v2/{REPO}/manifests/{tag}-{algorithm}")
            assert (found.body, found.headers["docker-content-digest"]) == (body, by(algorithm, body))


def kinds_of_content(registry, algorithm):
    """Yield name, body and media type of every kind of manifest that the suite pushes."""
    plain, arm = a_manifest(registry, algorithm), a_manifest(registry, algorithm)
    yield "image", plain, IMAGE
    yield "arm", arm, IMAGE
    notes = {f"large-annotation-{n}": "A" * 10_000 for n in range(390)}
    yield "large", a_manifest(registry, algorithm, annotations=notes), IMAGE
    platforms = [
        described(b, algorithm=algorithm, platform={"os": "linux", "architecture": a})
        for b, a in ((plain, "amd64"), (arm, "arm64"))
    ]
    index = to_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": platforms})
    yield "index", index, INDEX
    nested = [described(index, INDEX, algorithm)]
    yield "nested", to_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": nested}), INDEX
    yield "empty", to_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}), INDEX
    listed = {"schemaVersion": 2, "mediaType": INDEX, "artifactType": SIGNATURE, "manifests": platforms}
    yield "artifact-index", to_json(listed), INDEX
    empty = {**described(b"{}", EMPTY, algorithm), "data": "e30="}
    push(registry, b"{}", by(algorithm, b"{}"))
    artifact = {
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "artifactType": SIGNATURE,
        "config": empty,
        "layers": [empty],
    }
    yield "artifact", to_json(artifact), IMAGE
    far = {
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "digest": by(algorithm, os.urandom(9)),
        "size": 123456,
        "urls": ["https://store.example.com/x"],
    }
    yield "nondistributable", to_json({**json.loads(plain), "layers": [far]}), IMAGE
    yield "custom-fields", to_json({**json.loads(plain), "org.example.field": {"a": [1, 2.5, None]}}), IMAGE
    missing = described(b"never pushed", algorithm=algorithm)
    yield "sparse", to_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [missing]}), INDEX


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_every_kind_of_content_comes_back_as_it_went(registry, algorithm):
    repo, pushed = REPO, {}
    for name, body, media_type in kinds_of_content(registry, algorithm):
        key = by(algorithm, body)
        answer = put(registry, key, body, media_type)
        assert (answer.status, answer.headers["docker-content-digest"]) == (201, key), name
        for method in ("HEAD", "GET"):
            found = registry.ask(method, f"/v2/{repo}/manifests/{key}", Accept=f"{IMAGE}, {INDEX}")
            assert (found.status, found.headers["content-type"]) == (200, media_type), name
            assert found.body == (body if method == "GET" else b"")
            assert found.headers["content-length"] == str(len(body))
        pushed[key] = name
    for key in pushed:
        assert registry.ask("DELETE", f"/v2/{repo}/manifests/{key}").status == 202
        assert registry.ask("HEAD", f"/v2/{repo}/manifests/{key}").status == 404


# --- content discovery ---


def test_tags_are_listed_in_parts(registry):
    repo = f"{NAMESPACE}/tags"
    body = a_manifest(registry, repo=repo)
    for number in range(4):
        assert put(registry, f"test{number}", body, repo=repo).status == 201
    whole = json.loads(registry.ask("GET", f"/v2/{repo}/tags/list").body)
    assert whole == {"name": repo, "tags": [f"test{n}" for n in range(4)]}
    half = registry.ask("GET", f"/v2/{repo}/tags/list?n=2")
    assert json.loads(half.body)["tags"] == ["test0", "test1"]
    address, _, relation = half.headers["link"].partition(";")
    assert relation.strip() == 'rel="next"'
    rest = registry.ask("GET", address.strip("<> "))
    assert json.loads(rest.body)["tags"] == ["test2", "test3"]
    assert "link" not in rest.headers
    assert json.loads(registry.ask("GET", f"/v2/{repo}/tags/list?last=test1").body)["tags"] == [
        "test2",
        "test3",
    ]
    assert json.loads(registry.ask("GET", f"/v2/{repo}/tags/list?n=0").body)["tags"] == []


def test_referrers_before_and_after_their_subject_and_without_one(registry):
    repo = f"{NAMESPACE}/referrers"
    subject = a_manifest(registry, repo=repo)
    payload, blob = os.urandom(20), "application/vnd.example.blob"
    push(registry, payload, repo=repo)
    push(registry, b"{}", repo=repo)
    key = digest(subject)

    def referring(number, artifact_type=None, target=subject, config=EMPTY, media_type=IMAGE):
        body = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "subject": described(target),
            "annotations": {"org.example.number": str(number)},
        }
        if media_type == IMAGE:
            body |= {"config": described(b"{}", config), "layers": [described(payload, blob)]}
        else:
            body |= {"manifests": [described(subject)]}
        return to_json(body | ({"artifactType": artifact_type} if artifact_type else {}))

    before = [
        (
            referring(1, config="application/vnd.nba.strawberry.jam.croissant"),
            IMAGE,
            "application/vnd.nba.strawberry.jam.croissant",
        ),
        (referring(2, "application/vnd.nba.kind"), IMAGE, "application/vnd.nba.kind"),
        (referring(3, "application/vnd.food.stand", media_type=INDEX), INDEX, "application/vnd.food.stand"),
    ]
    after = [
        (referring(4, config="application/vnd.other"), IMAGE, "application/vnd.other"),
        (referring(5, "application/vnd.nba.kind"), IMAGE, "application/vnd.nba.kind"),
    ]
    absent = to_json({"never": "pushed"})
    lone = referring(6, "application/vnd.lone", target=absent)
    for body, media_type, _ in before:
        answer = put(registry, digest(body), body, media_type, repo)
        assert (answer.status, answer.headers["oci-subject"]) == (201, key)
    assert put(registry, "subject", subject, repo=repo).status == 201
    for body, media_type, _ in after:
        assert put(registry, digest(body), body, media_type, repo).headers["oci-subject"] == key
    assert put(registry, digest(lone), lone, repo=repo).headers["oci-subject"] == digest(absent)

    answer = registry.ask("GET", f"/v2/{repo}/referrers/{key}")
    assert (answer.status, answer.headers["content-type"]) == (200, INDEX)
    listed = {entry["digest"]: entry for entry in json.loads(answer.body)["manifests"]}
    assert len(listed) == 5
    for body, media_type, artifact_type in (*before, *after):
        entry = listed[digest(body)]
        assert (entry["mediaType"], entry["size"], entry["artifactType"]) == (
            media_type,
            len(body),
            artifact_type,
        )
        assert entry["annotations"] == json.loads(body)["annotations"]
    filtered = registry.ask("GET", f"/v2/{repo}/referrers/{key}?artifactType=application/vnd.nba.kind")
    assert filtered.headers["oci-filters-applied"] == "artifactType"
    assert {e["digest"] for e in json.loads(filtered.body)["manifests"]} == {
        digest(before[1][0]),
        digest(after[1][0]),
    }
    alone = json.loads(registry.ask("GET", f"/v2/{repo}/referrers/{digest(absent)}").body)["manifests"]
    assert [entry["digest"] for entry in alone] == [digest(lone)]
    nothing = registry.ask("GET", f"/v2/{repo}/referrers/{digest(b'hello world')}")
    assert (nothing.status, json.loads(nothing.body)["manifests"]) == (200, [])
    assert registry.ask("DELETE", f"/v2/{repo}/manifests/{digest(lone)}").status == 202
    again = json.loads(registry.ask("GET", f"/v2/{repo}/referrers/{digest(absent)}").body)["manifests"]
    assert again == []


# --- content management ---


def test_tags_manifests_and_blobs_are_removed_at_once(registry):
    repo = f"{NAMESPACE}/managed"
    data = os.urandom(64)
    key = push(registry, data, repo=repo)
    body = a_manifest(registry, repo=repo)
    for tag in ("tagtest0", "other"):
        assert put(registry, tag, body, repo=repo).status == 201
    assert registry.ask("DELETE", f"/v2/{repo}/manifests/tagtest0").status == 202
    assert registry.ask("HEAD", f"/v2/{repo}/manifests/tagtest0").status == 404
    listed = registry.ask("GET", f"/v2/{repo}/tags/list")
    assert (listed.status, json.loads(listed.body)["tags"]) == (200, ["other"])
    assert registry.ask("DELETE", f"/v2/{repo}/manifests/{digest(body)}").status == 202
    for reference in (digest(body), "other"):
        assert registry.ask("GET", f"/v2/{repo}/manifests/{reference}").status == 404
    assert json.loads(registry.ask("GET", f"/v2/{repo}/tags/list").body)["tags"] == []
    assert registry.ask("DELETE", f"/v2/{repo}/blobs/{key}").status == 202
    for method in ("GET", "HEAD"):
        assert registry.ask(method, f"/v2/{repo}/blobs/{key}").status == 404
    for what in (f"blobs/{key}", f"manifests/{digest(body)}", "manifests/other"):
        gone = registry.ask("DELETE", f"/v2/{repo}/{what}")
        assert gone.status == 404
        assert codes(gone)


def test_only_the_open_namespace_takes_pushes(registry):
    for name in ("internal", "internal/teams", "other/repo"):
        for method, what in (("POST", "blobs/uploads/"), ("PUT", "manifests/a"), ("DELETE", "manifests/a")):
            answer = registry.ask(method, f"/v2/{name}/{what}", b"")
            assert (answer.status, codes(answer)) == (405, ["UNSUPPORTED"])


def test_the_operator_sees_what_was_pushed_and_the_log_has_it(registry):
    repo = f"{NAMESPACE}/seen"
    body = a_manifest(registry, repo=repo)
    assert put(registry, "1.0", body, repo=repo).status == 201
    lockgate = str(Path(sys.executable).parent / "lockgate")
    command = [lockgate, "mirror", "pushed", "--home", str(registry.home), "--json"]
    shown = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["repositories"]
    assert {"name": repo, "tags": ["1.0"], "state": "internal, not admitted"} in shown
    events = [event for _, event in audit_log(load_settings(registry.home)).events()]
    assert events[0]["facts"] == {"namespaces": [NAMESPACE]}
    mine = [n for n, e in enumerate(events) if e["kind"] == "intent" and e["facts"].get("repository") == repo]
    assert [events[n]["action"] for n in mine][-1] == "oci push manifest"
    outcomes = {e["intent"]: e["status"] for e in events if e["kind"] == "outcome"}
    assert {outcomes[n] for n in mine} == {"done"}
