"""The Hub's read API for models, data sets and spaces, asked without a network."""

import asyncio
import json
from urllib.parse import urlencode

import pytest

from corpora.mirrorsite import COMMIT, Answer, MirrorSite, ask
from lockgate.core.artifact import Artifact, Kind, Role
from lockgate.mirror.protocols import hub as serve_hub

README = b"---\nlicense: mit\n---\n# Rows\n"
ROWS = b"a,b\n1,2\n"


def repository(site, kind, name, contents, commit=COMMIT):
    """Return a repository of a kind as a lock lists it."""
    files = tuple(site.file(f"{kind}s/{name}/{path}", data, Role.OTHER) for path, data in contents.items())
    owner, _, rest = name.rpartition("/")
    purl = f"pkg:huggingface/{owner + '/' if owner else ''}{rest}@{commit}?repository_type={kind}"
    return Artifact(purl=purl, kind=kind, name=name, version=commit, files=files)


@pytest.fixture
def app(tmp_path):
    site = MirrorSite(tmp_path)
    site.add_model("org/m", {"model.gguf": b"GGUF", "config.json": b"{}", "a/b/c.txt": b"c"})
    site.add(repository(site, Kind.DATASET, "org/m", {"README.md": README, "data/train.csv": ROWS}))
    site.add(repository(site, Kind.SPACE, "solo", {"app.py": b"print()\n"}))
    site.publish()
    made = site.app()
    yield made
    made.state.site.blobs.close()


def post(app, path, body, content_type="application/x-www-form-urlencoded"):
    """Send a body and return the answer."""
    answer = Answer()
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"root_path": "", "headers": [(b"content-type", content_type.encode())]}

    async def receive():
        return next(messages)

    async def send(message):
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {k.decode().lower(): v.decode() for k, v in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    asyncio.run(app(scope, receive, send))
    return answer


def test_each_kind_has_an_api_of_its_own(app):
    for path, identity, names in (
        ("models/org/m", "org/m", {"model.gguf", "config.json", "a/b/c.txt"}),
        ("datasets/org/m", "org/m", {"README.md", "data/train.csv"}),
        ("spaces/solo", "solo", {"app.py"}),
        ("datasets/org/m/revision/main", "org/m", {"README.md", "data/train.csv"}),
    ):
        facts = json.loads(ask(app, f"/api/{path}").body)
        assert (facts["id"], facts["sha"]) == (identity, COMMIT)
        assert {s["rfilename"] for s in facts["siblings"]} == names
        assert ("modelId" in facts) == path.startswith("models")


def test_files_of_each_kind_are_resolved(app):
    for path, body in (
        ("datasets/org/m/resolve/main/data/train.csv", ROWS),
        (f"spaces/solo/resolve/{COMMIT}/app.py", b"print()\n"),
        ("org/m/resolve/main/config.json", b"{}"),
    ):
        answer = ask(app, f"/{path}")
        assert (answer.status, answer.body, answer.headers["x-repo-commit"]) == (200, body, COMMIT)
    for path, code in (
        ("datasets/org/absent/resolve/main/x", "RepoNotFound"),
        ("datasets/org/m/resolve/v9/README.md", "RevisionNotFound"),
        ("datasets/org/m/resolve/main/model.gguf", "EntryNotFound"),
        ("spaces/org/m/resolve/main/app.py", "RepoNotFound"),
    ):
        answer = ask(app, f"/{path}", "HEAD")
        assert (answer.status, answer.headers["x-error-code"]) == (404, code)


def test_a_tree_comes_in_parts_with_a_link_to_the_rest(app, monkeypatch):
    whole = json.loads(ask(app, "/api/models/org/m/tree/main", query="recursive=true").body)
    assert [e["path"] for e in whole] == ["a", "a/b", "a/b/c.txt", "config.json", "model.gguf"]
    monkeypatch.setattr(serve_hub, "TREE_PAGE", 2)
    found, query = [], "recursive=true"
    while True:
        answer = ask(app, "/api/models/org/m/tree/main", query=query, host="mirror.test")
        page = json.loads(answer.body)
        assert len(page) <= 2
        found += page
        if "link" not in answer.headers:
            break
        address = answer.headers["link"].partition(">")[0].removeprefix("<")
        assert address.startswith("http://mirror.test/api/models/org/m/tree/main?")
        query = address.partition("?")[2]
    assert found == whole
    assert json.loads(ask(app, "/api/models/org/m/tree/main", query="cursor=x&limit=-1").body)


def test_entries_tell_their_commit_where_they_are_asked_to(app):
    entries = json.loads(ask(app, "/api/datasets/org/m/tree/main/data", query="expand=true").body)
    assert [(e["path"], e["lastCommit"]["id"]) for e in entries] == [("data/train.csv", COMMIT)]
    commits = json.loads(ask(app, "/api/datasets/org/m/commits/main").body)
    assert [c["id"] for c in commits] == [COMMIT]
    refs = json.loads(ask(app, "/api/datasets/org/m/refs").body)
    assert refs["branches"][0]["targetCommit"] == COMMIT


def test_paths_are_told_of_as_a_form_and_as_json(app):
    path = "/api/datasets/org/m/paths-info/main"
    form = urlencode({"paths": ["data", "README.md", "absent"], "expand": "true"}, doseq=True).encode()
    asked = post(app, path, form)
    entries = json.loads(asked.body)
    assert {(e["path"], e["type"]) for e in entries} == {("data", "directory"), ("README.md", "file")}
    assert all(e["lastCommit"]["id"] == COMMIT for e in entries)
    said = post(app, path, b'{"paths": ["README.md"]}', "application/json")
    assert [e["path"] for e in json.loads(said.body)] == ["README.md"]
    assert "lastCommit" not in json.loads(said.body)[0]
    for body, kind in (
        (b"{", "application/json"),
        (b'{"paths": 3}', "application/json"),
        (b"\xff", "text/plain"),
    ):
        assert post(app, path, body, kind).status == 400
    assert post(app, path, b"paths=" + b"a" * serve_hub.BODY_LIMIT).status == 413
    assert post(app, "/api/datasets/org/m/paths-info/v9", form).headers["x-error-code"] == "RevisionNotFound"
    assert post(app, "/api/datasets/org/m", b"").status == 405


def test_nothing_names_a_service_that_is_not_here(app):
    for path in ("/api/models/org/m", "/api/models/org/m/tree/main", "/org/m/resolve/main/model.gguf"):
        answer = ask(app, path)
        assert b"xet" not in answer.body.lower()
        assert not [name for name in answer.headers if "xet" in name]
