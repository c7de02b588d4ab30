"""Uploads of models by the Hub's protocol: a key for each name, nothing left of what is refused."""

import base64
import hashlib
import json
import os
import tomllib

import pytest
from test_mirror_push import Journal

from corpora.mirrorsite import MirrorSite, ask
from corpora.spreadsite import SpreadSite
from lockgate.core.submission import FIRST
from lockgate.mirror import Caller, Callers
from lockgate.mirror.errors import BadUploadError, PushLimitError
from lockgate.mirror.taking import hub_commit as commits
from lockgate.mirror.taking.hub_commit import OBJECT_SECONDS, HubDoor, Staging, is_model

MODEL = "team/tuned"
WEIGHTS = b"GGUF" + bytes(range(256)) * 8


class Keys(Callers):
    """One may upload what begins with team/, another one model. A test double."""

    def find(self, secret):
        labels = {"team": {"push:hf/team/*"}, "other": {"push:hf/team/*"}, "one": {"push:hf/one/model"}}
        return Caller(secret, frozenset(labels[secret])) if secret in labels else None


def digest(data):
    return hashlib.sha256(data).hexdigest()


class Uploads:
    """A mirror that takes models, and what waits behind its door."""

    def __init__(self, site, total=1 << 20):
        self.folder, self.staging = site.root / "drop", site.root / "staging"
        self.journal = Journal()
        self.door = HubDoor(
            models=("team/*", "one/model"),
            callers=Keys(),
            folder=self.folder,
            staging=self.staging,
            total_bytes=total,
            journal=self.journal,
            is_weights=lambda path: path.endswith(".gguf"),
            revision=lambda files: digest(repr(files).encode())[:40],
        )
        self.app = site.app(models=self.door)

    def post(self, path, body, key="team", method="POST"):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return ask(self.app, path, method, body=data, **headers)

    def batch(self, *contents, key="team", model=MODEL, **said):
        objects = [{"oid": digest(data), "size": len(data)} for data in contents]
        body = {"operation": "upload", "transfers": ["basic"], "hash_algo": "sha256", "objects": objects}
        return self.post(f"/{model}.git/info/lfs/objects/batch", {**body, **said}, key)

    def put(self, data, key="team"):
        answer = self.batch(data, key=key)
        assert answer.status == 200, answer.body
        href = json.loads(answer.body)["objects"][0]["actions"]["upload"]["href"]
        return self.post("/hub-objects/" + href.rpartition("/")[2], data, key="", method="PUT")

    def commit(self, *lines, key="team", model=MODEL, revision="main"):
        header = {"key": "header", "value": {"summary": "x", "description": ""}}
        body = b"".join(json.dumps(line).encode() + b"\n" for line in (header, *lines))
        return self.post(f"/api/models/{model}/commit/{revision}", body, key)

    @property
    def waiting(self):
        return sorted(p.name for p in self.folder.iterdir()) if self.folder.is_dir() else []


def small(path, data):
    content = base64.b64encode(data).decode()
    return {"key": "file", "value": {"path": path, "content": content, "encoding": "base64"}}


def large(path, data, **said):
    value = {"path": path, "algo": "sha256", "oid": digest(data), "size": len(data), **said}
    return {"key": "lfsFile", "value": value}


@pytest.fixture
def site(tmp_path):
    site = MirrorSite(tmp_path)
    site.add_model("team/crossed", {"model.gguf": b"GGUF"})
    site.publish()
    return site


@pytest.fixture
def uploads(site):
    return Uploads(site)


def test_a_commit_is_laid_as_one_folder_beside_who_brought_it(uploads):
    assert uploads.put(WEIGHTS).status == 200
    lines = (large("model.gguf", WEIGHTS), large("copy/model.gguf", WEIGHTS), small("README.md", b"# it\n"))
    answer = uploads.commit(*lines, small(".gitattributes", b"x"), {"key": "deletedFile", "value": {}})
    assert answer.status == 200, answer.body
    commit = json.loads(answer.body)["commitOid"]
    name = f"team--tuned-{commit[:12]}"
    assert uploads.waiting == [name, f"{name}.toml"]
    laid = uploads.folder / name
    held = {p.relative_to(laid).as_posix(): p.read_bytes() for p in laid.rglob("*") if p.is_file()}
    assert held == {"model.gguf": WEIGHTS, "copy/model.gguf": WEIGHTS, "README.md": b"# it\n"}
    about = tomllib.loads((uploads.folder / f"{name}.toml").read_text())
    assert about == {"by": "team", "way": "hf", "model": MODEL}
    assert list(uploads.staging.iterdir()) == []
    assert uploads.journal.events[0][1] == {"model": MODEL, "commit": commit, "key": "team"}
    assert ask(uploads.app, f"/api/models/{MODEL}").status == 404
    uploads.put(WEIGHTS)
    assert uploads.commit(*lines).status == 400, "the very same commit waits already"


@pytest.mark.parametrize(("key", "status"), [("", 401), ("wrong", 401), ("one", 403)])
def test_who_may_not_upload_a_model_is_refused_at_each_step(uploads, key, status):
    create = {"organization": "team", "name": "tuned"}
    assert uploads.post("/api/repos/create", create, key).status == status
    assert uploads.post(f"/api/models/{MODEL}/preupload/main", {"files": []}, key).status == status
    assert uploads.batch(WEIGHTS, key=key).status == status
    assert uploads.commit(small("model.gguf", WEIGHTS), key=key).status == status
    assert uploads.waiting == []


@pytest.mark.parametrize(
    "model", ["team/crossed", "team/Crossed", "other/model", "team/.hidden", "team/a..b"]
)
def test_a_name_that_crossed_or_is_not_open_is_not_taken(uploads, model):
    answer = uploads.commit(small("model.gguf", WEIGHTS), model=model)
    assert answer.status == 403
    assert answer.headers["x-error-message"]
    assert uploads.waiting == []


@pytest.mark.parametrize("model", ["team/crossed", "team/Crossed", "team/own"])
def test_a_name_that_crossed_is_known_where_a_snapshot_is_in_parts(tmp_path, model):
    site = SpreadSite(tmp_path)
    site.add_model("team/crossed", {"model.gguf": b"GGUF"})
    site.add_model("team/own", {"model.gguf": b"GGUF"}, crossing=FIRST)
    site.publish()
    answer = Uploads(site).commit(small("model.gguf", WEIGHTS), model=model)
    assert answer.status == (200 if model == "team/own" else 403)


def test_a_newer_version_of_what_was_made_inside_is_taken(site, uploads):
    site.add_model("team/own", {"model.gguf": b"GGUF"}, crossing=FIRST)
    site.publish()
    assert uploads.commit(small("model.gguf", WEIGHTS), model="team/own").status == 200


def test_small_files_come_with_the_commit_and_large_ones_before(uploads):
    files = [{"path": "a", "size": 8 << 20}, {"path": "b", "size": (8 << 20) + 1, "sample": "AA=="}]
    answer = uploads.post(f"/api/models/{MODEL}/preupload/main", {"files": files})
    modes = {file["path"]: file["uploadMode"] for file in json.loads(answer.body)["files"]}
    assert modes == {"a": "regular", "b": "lfs"}
    answer = uploads.post("/api/repos/create", {"organization": "team", "name": "tuned", "type": "model"})
    assert json.loads(answer.body)["url"].endswith(f"/{MODEL}")
    dataset = {"organization": "team", "name": "tuned", "type": "dataset"}
    assert uploads.post("/api/repos/create", dataset).status == 403
    asked = uploads.post(f"/api/models/{MODEL}/xet-write-token/main", b"", method="GET")
    assert "HF_HUB_DISABLE_XET=1" in asked.headers["x-error-message"]


@pytest.mark.parametrize(
    "lines",
    [
        [small("README.md", b"no weights")],
        [small("../model.gguf", WEIGHTS)],
        [small("/model.gguf", WEIGHTS)],
        [small("a/../model.gguf", WEIGHTS)],
        [small("model.gguf", WEIGHTS), small("model.gguf", b"twice")],
        [small("model.gguf", WEIGHTS), small("model.gguf/below", b"x")],
        [large("model.gguf", WEIGHTS)],
        [{"key": "file", "value": {"path": "model.gguf", "content": "!!", "encoding": "base64"}}],
        [{"key": "file", "value": {"path": "model.gguf", "content": "AA==", "encoding": "utf-8"}}],
        [{"key": "symlink", "value": {"path": "model.gguf", "to": "/etc/passwd"}}],
        [{"key": "file", "value": {"path": "model.gguf"}}],
        [["no", "object"]],
    ],
)
def test_a_commit_that_is_none_leaves_nothing(uploads, lines):
    answer = uploads.commit(*lines)
    assert answer.status == 400, answer.body
    assert uploads.waiting == []


@pytest.mark.parametrize("query", ["refs%2Fpr%2F1", "dev"])
def test_models_are_uploaded_to_main(uploads, query):
    assert uploads.commit(small("model.gguf", WEIGHTS), revision=query).status == 400
    assert uploads.commit(small("model.gguf", WEIGHTS), revision="main?create_pr=1").status == 400


def test_a_large_file_has_to_be_what_was_announced_and_its_address_works_once(uploads):
    href = json.loads(uploads.batch(WEIGHTS).body)["objects"][0]["actions"]["upload"]["href"]
    path = "/hub-objects/" + href.rpartition("/")[2]
    assert uploads.post(path, WEIGHTS[:-1] + b"!", key="", method="PUT").status == 400
    assert uploads.post(path, WEIGHTS, key="", method="PUT").status == 400
    assert uploads.post("/hub-objects/guess", WEIGHTS, method="PUT").status == 400
    href = json.loads(uploads.batch(WEIGHTS).body)["objects"][0]["actions"]["upload"]["href"]
    path = "/hub-objects/" + href.rpartition("/")[2]
    assert uploads.post(path, WEIGHTS + b"!", key="", method="PUT").status == 413
    assert list(uploads.staging.iterdir()) == []


def test_what_came_is_not_asked_for_again_and_belongs_to_who_brought_it(uploads):
    assert uploads.put(WEIGHTS).status == 200
    assert "actions" not in json.loads(uploads.batch(WEIGHTS).body)["objects"][0]
    assert "actions" in json.loads(uploads.batch(WEIGHTS, key="other").body)["objects"][0]
    assert uploads.commit(large("model.gguf", WEIGHTS), key="other").status == 400
    assert uploads.commit(large("model.gguf", WEIGHTS, size=1)).status == 400
    assert uploads.commit(large("model.gguf", WEIGHTS)).status == 200


@pytest.mark.parametrize(
    "said",
    [
        {"operation": "download"},
        {"transfers": ["xet"]},
        {"hash_algo": "md5"},
        {"objects": [{"oid": "../../etc", "size": 1}]},
        {"objects": [{"oid": "0" * 64, "size": -1}]},
        {"objects": 7},
    ],
)
def test_other_questions_about_large_files_are_refused(uploads, said):
    assert uploads.batch(WEIGHTS, **said).status == 400


def test_what_waits_is_bounded(site, monkeypatch):
    uploads = Uploads(site, total=len(WEIGHTS) + 100)
    assert uploads.batch(WEIGHTS + bytes(101)).status == 413
    assert uploads.commit(small("model.gguf", WEIGHTS + bytes(101))).status == 413
    assert uploads.waiting == []
    monkeypatch.setattr(commits, "LINE_LIMIT", 100)
    assert uploads.commit(small("model.gguf", WEIGHTS)).status == 413
    monkeypatch.setattr(commits, "LINE_LIMIT", 1 << 20)
    monkeypatch.setattr(commits, "FILES_LIMIT", 1)
    assert uploads.commit(small("model.gguf", b"1"), small("b", b"2")).status == 413
    monkeypatch.setattr(commits, "OBJECTS_LIMIT", 1)
    assert uploads.batch(b"1").status == 200
    assert uploads.batch(b"2").status == 413
    assert uploads.waiting == []


def test_large_files_without_a_commit_are_removed_in_time_and_with_the_server(uploads):
    now = [0.0]
    staging = Staging(uploads.door, lambda: now[0])
    token = staging.expect("team", digest(WEIGHTS), len(WEIGHTS))
    with staging.receiving(token) as receiving:
        receiving.write(WEIGHTS)
        receiving.finish()
    assert list(staging.of("team")) == [digest(WEIGHTS)]
    late = staging.expect("team", digest(b"1"), 1)
    now[0] = OBJECT_SECONDS
    assert staging.of("team") == {}
    assert list(uploads.staging.iterdir()) == []
    with pytest.raises(BadUploadError), staging.receiving(late):
        pass
    (uploads.staging / "left").write_bytes(b"x")
    Staging(uploads.door)
    assert list(uploads.staging.iterdir()) == []


def test_a_client_that_leaves_leaves_nothing(uploads):
    staging = Staging(uploads.door)
    token = staging.expect("team", digest(WEIGHTS), len(WEIGHTS))

    def leave():
        with staging.receiving(token) as receiving:
            receiving.write(WEIGHTS[:10])
            raise PushLimitError("gone", limit="x")

    with pytest.raises(PushLimitError):
        leave()
    assert list(uploads.staging.iterdir()) == []


def test_without_an_open_name_nothing_is_written_to(site):
    app = site.app()
    for path in ("/api/repos/create", f"/api/models/{MODEL}/commit/main", "/a/b.git/info/lfs/objects/batch"):
        assert ask(app, path, "POST", body=b"{}").status == 405
    assert ask(app, "/hub-objects/x", "PUT", body=b"{}").status in {404, 405}


def test_names_of_models():
    assert is_model("team/tuned-1.0_a")
    for wrong in ("team", "a/b/c", "/b", "a/", "a/-b", "a/b.", "a b/c", "a/" + "x" * 97, os.sep):
        assert not is_model(wrong)
