"""The pages that mirrors generate: their shapes, their order, and what is refused."""

import hashlib
import json
import subprocess
from html.parser import HTMLParser

import msgspec
import pytest

from corpora.mirrorsite import COMMIT, MirrorSite, ask
from corpora.wheels import build_wheel
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.mirror import AmbiguousSnapshotError, LayoutError, generate_pages
from lockgate.mirror.pages.huggingface import LFS_FROM


class Links(HTMLParser):
    def __init__(self, body):
        super().__init__()
        self.links, self.meta, self.text = [], {}, []
        self.feed(body.decode())

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.links.append(dict(attrs))
        if tag == "meta" and dict(attrs).get("name"):
            self.meta[dict(attrs)["name"]] = dict(attrs)["content"]


@pytest.fixture
def site(tmp_path):
    return MirrorSite(tmp_path)


def pages(site):
    return {page.path: page for page in generate_pages(site.entries, site.blobs.read)}


def test_simple_json_has_what_the_peps_demand(site):
    wheel = build_wheel("Tiny.Box", "1.10", requires_python=">=3.9")
    older = build_wheel("Tiny.Box", "1.9")
    site.add_wheels("tiny-box", "1.10", wheel, requires_python=">=3.9")
    site.add_wheels("tiny-box", "1.9", older, yanked="broken")
    page = json.loads(pages(site)["simple/tiny-box/index.json"].body)
    assert page["meta"] == {"api-version": "1.4"}
    assert page["name"] == "tiny-box"
    assert page["versions"] == ["1.9", "1.10"]
    first, second = page["files"]
    assert first["yanked"] == "broken"
    assert "requires-python" not in first
    assert second == {
        "filename": wheel.filename,
        "url": f"../../packages/{wheel.sha256}/{wheel.filename}",
        "hashes": {"sha256": wheel.sha256},
        "size": len(wheel.data),
        "upload-time": "2026-05-01T12:00:00Z",
        "requires-python": ">=3.9",
        "core-metadata": {"sha256": hashlib.sha256(wheel.metadata).hexdigest()},
        "data-dist-info-metadata": {"sha256": hashlib.sha256(wheel.metadata).hexdigest()},
        "yanked": False,
    }


def test_simple_html_says_the_same_as_the_json(site):
    wheel = build_wheel("box", "1", requires_python=">=3.9,<4")
    site.add_wheels("box", "1", wheel, requires_python=">=3.9,<4", yanked="broken")
    made = pages(site)
    html = Links(made["simple/box/index.html"].body)
    entry = json.loads(made["simple/box/index.json"].body)["files"][0]
    (link,) = html.links
    assert html.meta["pypi:repository-version"] == "1.4"
    assert link["href"] == f"{entry['url']}#sha256={wheel.sha256}"
    assert link["data-requires-python"] == entry["requires-python"] == ">=3.9,<4"
    assert link["data-core-metadata"] == f"sha256={entry['core-metadata']['sha256']}"
    assert link["data-yanked"] == entry["yanked"] == "broken"
    root = Links(made["simple/index.html"].body)
    assert [a["href"] for a in root.links] == ["box/"]
    assert json.loads(made["simple/index.json"].body)["projects"] == [{"name": "box"}]


def test_a_project_says_where_it_was_taken_from_and_what_its_index_says_of_it(site):
    first = {"index": "https://one.invalid/simple/box/", "project_status": "deprecated"}
    site.add_wheels("box", "1", build_wheel("box", "1"), crossing=1, **first)
    new = {
        "index": "https://two.invalid/box/",
        "alternate_locations": "https://a.invalid/ https://b.invalid/",
    }
    status = {"project_status": "archived", "project_status_reason": 'moved to "chest"'}
    site.add_wheels("box", "2", build_wheel("box", "2"), crossing=2, **new, **status)
    made = pages(site)
    page = json.loads(made["simple/box/index.json"].body)
    assert page["meta"]["tracks"] == ["https://one.invalid/simple/box/", "https://two.invalid/box/"]
    assert page["alternate-locations"] == ["https://a.invalid/", "https://b.invalid/"]
    assert page["project-status"] == {"status": "archived", "reason": 'moved to "chest"'}
    assert len(page["files"]) == 2
    html = Links(made["simple/box/index.html"].body)
    assert html.meta["pypi:tracks"] == "https://two.invalid/box/"
    assert html.meta["pypi:alternate-locations"] == "https://b.invalid/"
    assert html.meta["pypi:project-status"] == "archived"
    assert html.meta["pypi:project-status-reason"] == 'moved to "chest"'


def test_a_project_that_is_not_from_its_index_alone_tracks_nothing(site):
    site.add_wheels("box", "1", build_wheel("box", "1"), index="https://one.invalid/simple/box/")
    site.add_wheels("box", "2", build_wheel("box", "2"))
    site.add_wheels("box", "3", build_wheel("box", "3"), index="https://one.invalid/simple/box/")
    made = pages(site)
    assert json.loads(made["simple/box/index.json"].body)["meta"] == {"api-version": "1.4"}
    assert list(Links(made["simple/box/index.html"].body).meta) == ["pypi:repository-version"]


def test_a_project_in_quarantine_offers_no_file(site):
    site.add_wheels("box", "1", build_wheel("box", "1"), crossing=1)
    wheel = build_wheel("box", "2")
    site.add_wheels("box", "2", wheel, crossing=2, project_status="quarantined")
    made = pages(site)
    page = json.loads(made["simple/box/index.json"].body)
    assert (page["files"], page["project-status"]) == ([], {"status": "quarantined"})
    assert Links(made["simple/box/index.html"].body).links == []
    site.publish()
    app = site.app()
    assert ask(app, f"/packages/{wheel.sha256}/{wheel.filename}").status == 404
    app.state.site.blobs.close()


def test_metadata_is_advertised_only_where_it_is_kept(site):
    site.add_wheels("box", "1", build_wheel("box", "1"), metadata=False)
    made = pages(site)
    assert json.loads(made["simple/box/index.json"].body)["files"][0]["core-metadata"] is False
    assert "metadata" not in made["simple/box/index.html"].body.decode()


def test_provenance_is_linked(site):
    wheel = build_wheel("box", "1")
    artifact = site.add_wheels("box", "1", wheel)
    kept = site.file(f"python/box/{wheel.filename}.provenance", b"{}", Role.PROVENANCE)
    site.entries.clear()
    site.add(msgspec.structs.replace(artifact, files=(*artifact.files, kept)))
    made = pages(site)
    address = f"../../packages/{wheel.sha256}/{wheel.filename}.provenance"
    assert json.loads(made["simple/box/index.json"].body)["files"][0]["provenance"] == address
    assert Links(made["simple/box/index.html"].body).links[0]["data-provenance"] == address


def test_a_hostile_attribute_stays_text(site):
    site.add_wheels("box", "1", build_wheel("box", "1"), yanked='"><script>alert(1)</script>')
    body = pages(site)["simple/box/index.html"].body
    assert b"<script" not in body
    assert Links(body).links[0]["data-yanked"] == '"><script>alert(1)</script>'


@pytest.mark.parametrize(
    ("filename", "words"),
    [
        ("other-1-py3-none-any.whl", "says other 1"),
        ("box-2-py3-none-any.whl", "says box 2"),
        ("box-1.exe", "not the name of a wheel"),
        ("box.whl", "not the name of a wheel"),
    ],
)
def test_a_file_name_that_lies_is_refused(site, filename, words):
    wheel = build_wheel("box", "1")
    site.add_wheels("box", "1", type(wheel)(filename, wheel.data, wheel.metadata))
    with pytest.raises(LayoutError, match=words):
        pages(site)


def test_source_archives_are_listed(site):
    wheel = build_wheel("box", "1")
    site.add_wheels("box", "1", type(wheel)("box-1.tar.gz", b"not looked into here", b"x"), metadata=False)
    assert b"box-1.tar.gz" in pages(site)["simple/box/index.html"].body


def test_one_name_for_two_files_is_refused_and_the_same_file_twice_is_not(site):
    site.add_wheels("box", "1", build_wheel("box", "1"))
    site.add_wheels("box", "1", build_wheel("box", "1"), crossing=2)
    assert len(json.loads(pages(site)["simple/box/index.json"].body)["files"]) == 1
    site.add_wheels("box", "1", build_wheel("box", "1", source="import os"), crossing=3)
    with pytest.raises(AmbiguousSnapshotError, match="Two different files"):
        pages(site)


def test_pages_do_not_depend_on_the_order_of_what_is_admitted(site):
    site.add_wheels("b", "1", build_wheel("b", "1"))
    site.add_wheels("a", "2", build_wheel("a", "2"))
    site.add_model("org/m", {"model.gguf": b"w", "sub/config.json": b"{}"})
    site.add_document("documents/h/01.md", b"# one")
    forward = generate_pages(site.entries, site.blobs.read)
    site.entries.reverse()
    assert generate_pages(site.entries, site.blobs.read) == forward
    assert [page.path for page in forward] == sorted(page.path for page in forward)


def test_git_ids_are_those_of_git(site, tmp_path):
    """Git itself, where the large file is its pointer, computes the same tree."""
    weights = b"w" * 100
    contents = {"config.json": b"{}\n", "a/b.txt": b"b", "a.txt": b"a", "model.gguf": weights}
    site.add_model("org/m", contents)
    tree = {e["path"]: e for e in json.loads(pages(site)[f"hub/org/m/{COMMIT}/tree.json"].body)}
    digest = hashlib.sha256(weights).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 100\n".encode()
    work = tmp_path / "git"
    work.mkdir()
    for path, data in {**contents, "model.gguf": pointer}.items():
        (work / path).parent.mkdir(exist_ok=True)
        (work / path).write_bytes(data)

    def git(*arguments):
        command = ["git", "-c", "core.autocrlf=false", "-C", str(work), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    git("add", ".")
    root = git("write-tree").strip()
    expected = {}
    for line in git("ls-tree", "-r", "-t", root).splitlines():
        facts, path = line.split("\t")
        expected[path] = facts.split()[2]
    assert {path: entry["oid"] for path, entry in tree.items()} == expected
    assert tree["model.gguf"]["lfs"] == {"oid": digest, "size": 100, "pointerSize": len(pointer)}
    assert tree["a"]["type"] == "directory"
    assert "lfs" not in tree["config.json"]


def test_model_information(site):
    site.add_model("org/m", {"model.gguf": b"w", "config.json": b"{}"}, format="gguf", task="chat")
    information = json.loads(pages(site)[f"hub/org/m/{COMMIT}/info.json"].body)
    assert information["id"] == "org/m"
    assert information["sha"] == COMMIT
    assert information["pipeline_tag"] == "text-generation"
    assert information["tags"] == ["gguf", "text-generation"]
    assert [s["rfilename"] for s in information["siblings"]] == ["config.json", "model.gguf"]
    assert "xet" not in json.dumps(information).lower()


def test_main_is_the_revision_of_the_newest_crossing(site):
    site.add_model("org/m", {"model.gguf": b"new"}, commit="a" * 40, crossing=7)
    site.add_model("org/m", {"model.gguf": b"old"}, commit="f" * 40, crossing=3)
    references = json.loads(pages(site)["hub/org/m/refs.json"].body)
    assert references["branches"][0]["targetCommit"] == "a" * 40
    assert f"hub/org/m/{'f' * 40}/tree.json" in pages(site)


def test_long_files_are_not_read_to_be_listed(site):
    digest = "ab" * 32
    file = ArtifactFile(path="models/org/m/notes.bin", role=Role.OTHER, size=LFS_FROM + 1, sha256=digest)
    purl = f"pkg:huggingface/org/m@{COMMIT}"
    site.add(Artifact(purl=purl, kind=Kind.MODEL, name="org/m", version=COMMIT, files=(file,)))
    tree = json.loads(pages(site)[f"hub/org/m/{COMMIT}/tree.json"].body)
    assert tree[0]["lfs"]["oid"] == digest


@pytest.mark.parametrize(
    "purl",
    [
        f"pkg:pypi/m@{COMMIT}",
        "pkg:huggingface/org/m@main",
        "pkg:huggingface/org/m",
        f"pkg:huggingface/a/b/c@{COMMIT}",
        f"pkg:huggingface/simple/m@{COMMIT}",
        "nonsense",
    ],
)
def test_a_model_without_a_proper_name_is_refused(site, purl):
    artifact = site.add_model("org/m", {"model.gguf": b"w"})
    site.entries.clear()
    site.add(msgspec.structs.replace(artifact, purl=purl))
    with pytest.raises(LayoutError):
        pages(site)


def test_a_model_with_a_file_outside_its_folder_is_refused(site):
    artifact = site.add_model("org/m", {"model.gguf": b"w"})
    site.entries.clear()
    site.add(msgspec.structs.replace(artifact, purl=f"pkg:huggingface/org/other@{COMMIT}"))
    with pytest.raises(LayoutError, match="does not lie in"):
        pages(site)


def test_one_revision_with_two_contents_is_refused(site):
    site.add_model("org/m", {"model.gguf": b"one"})
    site.add_model("org/m", {"model.gguf": b"two"}, crossing=2)
    with pytest.raises(AmbiguousSnapshotError, match="two different contents"):
        pages(site)


def test_checksums_are_accepted_by_sha256sum(site, tmp_path):
    contents = {"documents/h/01 ä.md": b"# one", "documents/h/sub/02.md": b"# two", "documents/x.pdf": b"%"}
    for path, data in contents.items():
        site.add_document(path, data)
        (tmp_path / "out" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / path).write_bytes(data)
    made = pages(site)
    for folder in ("", "documents/", "documents/h/"):
        (tmp_path / "sums").write_bytes(made[f"files/{folder}SHA256SUMS"].body)
        command = ["sha256sum", "--strict", "-c", str(tmp_path / "sums")]
        done = subprocess.run(command, cwd=tmp_path / "out" / folder, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
    assert len(made["files/SHA256SUMS"].body.splitlines()) == 3
    links = Links(made["files/documents/h/index.html"].body).links
    assert [a["href"] for a in links] == ["sub/", "01%20%C3%A4.md", "SHA256SUMS"]


def test_a_folder_lists_what_lies_in_it_and_nothing_of_neighbours_with_like_names(site):
    """Names beside ``a/`` in the order of their characters, where a folder's end could be missed."""
    every = ["a", "a!b", "a-b/c", "a.d", "aa/z", "a0", "a0/x", "b/a/q", "c/a", "c/a0", "c/b"]
    inside = ["a/ ", "a/0", "a/b/c", "a/b0", "a/~ü", "a/\U0001f600"]
    files = [path for path in every + inside if path not in {"a", "a0"}]
    for path in files:
        site.add_document(path, path.encode())
    made = pages(site)

    def listed(folder):
        return [line[66:] for line in made[f"files/{folder}SHA256SUMS"].body.decode().splitlines()]

    assert listed("") == sorted(files)
    assert listed("a/") == sorted(path.removeprefix("a/") for path in inside)
    assert listed("a/b/") == ["c"]
    assert (listed("a0/"), listed("b/"), listed("b/a/"), listed("c/")) == (
        ["x"],
        ["a/q"],
        ["q"],
        ["a", "a0", "b"],
    )


def test_the_newest_document_is_served_under_its_path(site):
    site.add_document("documents/h/a.md", b"new", crossing=5)
    site.add_document("documents/h/a.md", b"old", crossing=2)
    sums = pages(site)["files/documents/h/SHA256SUMS"].body.decode()
    assert sums == f"{hashlib.sha256(b'new').hexdigest()}  a.md\n"
    site.add_document("documents/h/a.md", b"other", crossing=5)
    with pytest.raises(AmbiguousSnapshotError):
        pages(site)


def test_a_snapshot_of_nothing_has_empty_lists(site):
    assert sorted(pages(site)) == [
        "files/SHA256SUMS",
        "files/index.html",
        "simple/index.html",
        "simple/index.json",
    ]


def test_two_protocols_cannot_claim_one_page(site, monkeypatch):
    from lockgate.mirror.pages import files, pypi

    monkeypatch.setattr(files, "generate", pypi.generate)
    with pytest.raises(AmbiguousSnapshotError, match="Two pages"):
        pages(site)
