"""From a manifest to a lock, over doubles."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from collect_doubles import NOW, make_wheel, run, sha
from lockgate.collect import State
from lockgate.collect.errors import (
    BadWheelError,
    CollectLimitError,
    DigestMismatchError,
    DiskFullError,
    DuplicateNameError,
    ManifestError,
    MemberMissingError,
    QuarantinedError,
    SourceMissingError,
    UnresolvableError,
)
from lockgate.collect.memory import MemoryPackages, MemoryWeb
from lockgate.collect.ports import Limits
from lockgate.collect.simple import SIMPLE_JSON
from lockgate.core.artifact import Kind, Role
from lockgate.core.digests import sha256
from lockgate.core.wire import decode, encode
from lockgate.store import MemoryBlobs

THING = make_wheel("thing", "1.0")
WEIGHTS = make_wheel(
    "weights", "2.0", members={"weights/a.gguf": b"GGUF" + bytes(5000), "weights/big": bytes(9)}
)
TOKENS = make_wheel("tokens", "1.0", members={"tokens/t.json": b"{}"})
PAGE = "https://index.invalid/simple/thing/"
MODEL = """
[[model]]
name = "org/small"
licence = "MIT"
format = "gguf"
task = "chat"
[[model.files]]
from_wheel = "weights==2.0"
member = "weights/a.gguf"
path = "a.gguf"
[[model.files]]
from_wheel = "tokens==1.0"
member = "tokens/t.json"
path = "t.json"
role = "tokenizer"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "m.toml"
    path.write_text(text)
    return path


def packages(pages: dict[str, tuple[str, ...]] | None = None) -> MemoryPackages:
    return MemoryPackages(dict([THING, WEIGHTS, TOKENS]), pages)


def index(**file: object) -> tuple[str, bytes]:
    entry = {"filename": THING[0], "hashes": {"sha256": sha(THING[1])}, "url": "x", **file}
    return SIMPLE_JSON, json.dumps({"meta": {"api-version": "1.4"}, "files": [entry]}).encode()


def test_everything_at_once(tmp_path: Path) -> None:
    (tmp_path / "book" / "deep").mkdir(parents=True)
    (tmp_path / "book" / "01-start.md").write_text("intro\n# The *start* of it #\n")
    (tmp_path / "book" / "deep" / "x.html").write_text("<title>Deep &amp; wide</title>")
    (tmp_path / "book" / "02-no_title.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "book" / ".hidden.md").write_text("# no")
    (tmp_path / "book" / "skip.txt").write_text("no")
    (tmp_path / "tool.bin").write_bytes(b"tool")
    manifest = write(
        tmp_path,
        f"""
[[python]]
requirements = ["thing"]
[[documents]]
collection = "book"
folder = "book"
[[file]]
name = "tool"
version = "3"
url = "tool.bin"
sha256 = "{sha(b"tool")}"
{MODEL}""",
    )
    found, blobs = run(manifest, packages())
    lock = found.lock
    assert (lock.lane, lock.created, lock.manifest_sha256) == ("test", NOW, sha256(manifest.read_bytes()))
    assert decode(type(lock), encode(lock)) == lock
    for file in (f for a in lock.artifacts for f in a.files):
        assert len(blobs.read(file.sha256)) == file.size
    by_name = {a.name: a for a in lock.artifacts}
    assert [(n, a.attributes["title"]) for n, a in by_name.items() if a.kind is Kind.DOCUMENT] == [
        ("book/01-start.md", "The *start* of it"),
        ("book/02-no_title.pdf", "No title"),
        ("book/deep/x.html", "Deep & wide"),
    ]
    assert by_name["tool"].purl == "pkg:generic/tool@3"
    thing = by_name["thing"]
    assert (thing.purl, thing.licence) == ("pkg:pypi/thing@1.0", "MIT")
    assert [(f.path, f.role) for f in thing.files] == [
        ("python/thing/thing-1.0-py3-none-any.whl", Role.DISTRIBUTION),
        ("python/thing/thing-1.0-py3-none-any.whl.metadata", Role.CORE_METADATA),
    ]
    assert {str(c.state) for c in found.difference.changes} == {"new"}
    assert found.difference.fresh == sum(a.size for a in lock.artifacts)


def test_rules_are_an_artifact_of_their_own_kind(tmp_path: Path) -> None:
    (tmp_path / "site.yar").write_bytes(b"rule a { condition: false }")
    table = f"""
[[rules]]
name = "site-rules"
version = "7"
url = "site.yar"
sha256 = "{sha(b"rule a { condition: false }")}"
"""
    (made,) = run(write(tmp_path, table), packages())[0].lock.artifacts
    assert (made.kind, made.purl) == (Kind.RULES, "pkg:generic/site-rules@7")
    assert made.files[0].path == "files/site-rules/site.yar"
    with pytest.raises(DuplicateNameError):
        run(write(tmp_path, table + table.replace("[[rules]]", "[[file]]")), packages())


def test_a_folder_of_advisories_is_packed_the_same_way_each_time(tmp_path: Path) -> None:
    folder = tmp_path / "osv" / "PyPI"
    folder.mkdir(parents=True)
    for name in ("B-2", "A-1"):
        (folder / f"{name}.json").write_text("{}")
    table = '[[advisories]]\nname = "osv"\nurl = "osv"\n'
    (first,) = run(write(tmp_path, table), packages())[0].lock.artifacts
    (folder / "B-2.json").touch()
    found, blobs = run(write(tmp_path, table), packages())
    assert found.lock.artifacts == (first,)
    assert (first.attributes, first.files[0].path) == ({"advisories": "osv"}, "files/osv/all.zip")
    with zipfile.ZipFile(io.BytesIO(blobs.read(first.files[0].sha256))) as packed:
        assert packed.namelist() == ["PyPI/A-1.json", "PyPI/B-2.json"]
    pinned = f'sha256 = "{first.files[0].sha256}"\n'
    run(write(tmp_path, table + pinned), packages())
    (folder / "B-2.json").write_text("[]")
    with pytest.raises(ManifestError, match="not those that the manifest pins"):
        run(write(tmp_path, table + pinned), packages())
    (folder / "C-3.json").symlink_to("/etc/hostname")
    with pytest.raises(SourceMissingError):
        run(write(tmp_path, table), packages())
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceMissingError):
        run(write(tmp_path, table.replace('"osv"\n', '"empty"\n')), packages())
    with pytest.raises(ManifestError, match="not its SHA-256"):
        run(write(tmp_path, '[[advisories]]\nname = "kev"\nurl = "kev.json"\n'), packages())


def test_a_model_names_where_each_file_was_taken_from(tmp_path: Path) -> None:
    found, blobs = run(write(tmp_path, MODEL), packages())
    (model,) = found.lock.artifacts
    assert model.purl == f"pkg:huggingface/org/small@{model.version}"
    assert len(model.version) == 40
    assert model.origin is not None
    assert (model.origin.purl, model.origin.member) == ("pkg:pypi/weights@2.0", "weights/a.gguf")
    assert model.origin.sha256 == sha(WEIGHTS[1])
    assert blobs.read(model.files[0].sha256) == b"GGUF" + bytes(5000)
    assert model.files[1].source.startswith(f"pkg:pypi/tokens@1.0?checksum=sha256:{sha(TOKENS[1])}")
    assert model.files[1].source.endswith("#tokens/t.json")
    assert not [f for a in found.lock.artifacts for f in a.files if f.path.endswith(".whl")]


def test_the_revision_follows_the_content(tmp_path: Path) -> None:
    one, _ = run(write(tmp_path, MODEL), packages())
    same, _ = run(write(tmp_path, MODEL + "\n# a comment\n"), packages())
    other, _ = run(write(tmp_path, MODEL.replace('path = "t.json"', 'path = "u.json"')), packages())
    versions = [f.lock.artifacts[0].version for f in (one, same, other)]
    assert versions[0] == versions[1] != versions[2]


def test_a_second_run_fetches_nothing_and_keeps_the_lock(tmp_path: Path) -> None:
    manifest = write(tmp_path, '[[python]]\nrequirements = ["thing"]\n' + MODEL)
    first, blobs = run(manifest, packages())
    again = packages()
    second, _ = run(manifest, again, blobs=blobs, previous=first.lock)
    assert second.lock is first.lock
    assert again.downloaded == []
    assert {c.state for c in second.difference.changes} == {State.SAME}


def test_members_that_are_held_need_no_wheel(tmp_path: Path) -> None:
    first, blobs = run(write(tmp_path, MODEL), packages())
    only = MemoryBlobs()
    for file in first.lock.artifacts[0].files:
        only.put_bytes(blobs.read(file.sha256))
    nothing = MemoryPackages({})  # not even resolved
    second, _ = run(tmp_path / "m.toml", nothing, blobs=only, previous=first.lock)
    assert second.lock is first.lock
    other = write(tmp_path, MODEL.replace("weights==2.0", "weights==2.1"))
    with pytest.raises(UnresolvableError):
        run(other, nothing, blobs=only, previous=first.lock)


def test_a_lost_blob_is_fetched_again(tmp_path: Path) -> None:
    first, _ = run(write(tmp_path, MODEL), packages())
    again = packages()
    second, blobs = run(tmp_path / "m.toml", again, previous=first.lock)
    assert sorted(again.downloaded) == sorted([WEIGHTS[0], TOKENS[0]])
    assert second.lock == first.lock
    assert all(blobs.has(f.sha256) for f in second.lock.artifacts[0].files)


def test_the_index_gives_upload_time_and_provenance(tmp_path: Path) -> None:
    manifest = write(tmp_path, '[[python]]\nrequirements = ["thing"]')
    web = MemoryWeb(
        {
            PAGE: index(provenance="/p", yanked="bad build", **{"upload-time": "2026-01-02T03:04:05.9Z"}),
            "https://index.invalid/p": ("application/json", b'{"version":1,"attestation_bundles":[]}'),
        }
    )
    found, blobs = run(manifest, packages({"thing": (PAGE,)}), web=web)
    (thing,) = found.lock.artifacts
    wheel, _, provenance = thing.files
    assert wheel.uploaded is not None
    assert wheel.uploaded.isoformat() == "2026-01-02T03:04:05+00:00"
    assert (provenance.role, provenance.path) == (Role.PROVENANCE, wheel.path + ".provenance")
    assert blobs.read(provenance.sha256).startswith(b'{"version":1')
    assert thing.attributes["yanked"] == "bad build"
    assert any("yanked" in note for note in found.log)
    assert not any("no provenance" in note for note in found.log)


def test_the_index_and_the_status_of_a_project_are_kept_and_quarantine_is_obeyed(tmp_path: Path) -> None:
    manifest = write(tmp_path, '[[python]]\nrequirements = ["thing"]')
    kind, data = index()
    said = json.loads(data)
    said["project-status"] = {"status": "deprecated", "reason": "use another"}
    web = MemoryWeb({PAGE: (kind, json.dumps(said).encode())})
    found, _ = run(manifest, packages({"thing": (PAGE,)}), web=web)
    (thing,) = found.lock.artifacts
    assert thing.attributes["index"] == PAGE
    assert thing.attributes["project-status"] == "deprecated"
    assert thing.attributes["project-status-reason"] == "use another"
    said["project-status"] = {"status": "quarantined", "reason": "malware"}
    web = MemoryWeb({PAGE: (kind, json.dumps(said).encode())})
    with pytest.raises(QuarantinedError) as caught:
        run(manifest, packages({"thing": (PAGE,)}), web=web)
    assert caught.value.where["reason"] == "malware"


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {PAGE: ("text/html", b"<html>")},
        {PAGE: (SIMPLE_JSON, b"{")},
        {PAGE: index(provenance="/p")},
        {PAGE: index(provenance="/p"), "https://index.invalid/p": ("application/json", b"[]")},
        {PAGE: index(filename="other.whl")},
    ],
)
def test_what_the_index_lacks_is_noted_and_not_fatal(
    tmp_path: Path, answers: dict[str, tuple[str, bytes]]
) -> None:
    manifest = write(tmp_path, '[[python]]\nrequirements = ["thing"]')
    found, _ = run(manifest, packages({"thing": (PAGE,)}), web=MemoryWeb(answers))
    (thing,) = found.lock.artifacts
    assert [f.role for f in thing.files] == [Role.DISTRIBUTION, Role.CORE_METADATA]
    assert "1 of 1 wheels have no provenance (PEP 740) to keep." in found.log


def test_each_page_is_read_once(tmp_path: Path) -> None:
    manifest = write(tmp_path, '[[python]]\nrequirements = ["thing", "weights", "tokens"]')
    pages = dict.fromkeys(("thing", "weights", "tokens"), (PAGE,))
    web = MemoryWeb({PAGE: index()})
    run(manifest, packages(pages), web=web)
    assert web.asked == [PAGE]


def test_other_metadata_than_the_index_promises_is_refused(tmp_path: Path) -> None:
    manifest = write(tmp_path, '[[python]]\nrequirements = ["thing"]')
    web = MemoryWeb({PAGE: index(**{"core-metadata": {"sha256": "0" * 64}})})
    with pytest.raises(DigestMismatchError):
        run(manifest, packages({"thing": (PAGE,)}), web=web)


def test_two_labels_for_one_project_are_refused(tmp_path: Path) -> None:
    one = '[[python]]\nrequirements = ["thing"]\nlabel = '
    found, _ = run(write(tmp_path, f'{one}"public"\n{one}"public"\n'), packages())
    assert found.lock.artifacts[0].label == "public"
    two = '[[python]]\nrequirements = ["thing==1.0"]\nlabel = "secret"\n'
    offered = packages()
    other = make_wheel("thing", "1.0", members={"thing/more": b"x"})
    offered.wheels["thing-1.0-1-py3-none-any.whl"] = other[1]
    run(write(tmp_path, f'{one}"public"\n'), offered)
    del offered.wheels[THING[0]]
    with pytest.raises(DuplicateNameError):
        run(write(tmp_path, f'{one}"public"\n{two}'), packages())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('[[python]]\nrequirements = ["absent"]', UnresolvableError),
        (MODEL.replace("weights==2.0", "weights==3.0"), UnresolvableError),
        (MODEL.replace("weights/a.gguf", "weights/b.gguf"), MemberMissingError),
        (MODEL.replace('"t.json"', '"a.gguf"'), DuplicateNameError),
        ('[[documents]]\ncollection = "b"\nfolder = "absent"', SourceMissingError),
        ('[[documents]]\ncollection = "b"\nfolder = "empty"', SourceMissingError),
        ('[[documents]]\ncollection = "b"\nfolder = "empty"\ninclude = ["/etc/*"]', SourceMissingError),
        ('[[documents]]\ncollection = "b"\nfolder = "links"', SourceMissingError),
        ('[[documents]]\ncollection = "b"\nfolder = "empty"\ninclude = ["../m.toml"]', SourceMissingError),
        (f'[[file]]\nname = "f"\nurl = "absent"\nsha256 = "{sha(b"")}"', SourceMissingError),
        (f'[[file]]\nname = "f"\nurl = "m.toml"\nsha256 = "{sha(b"other")}"', DigestMismatchError),
    ],
)
def test_refusals(tmp_path: Path, text: str, error: type[Exception]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a.md").symlink_to(tmp_path / "m.toml")
    with pytest.raises(error):
        run(write(tmp_path, text), packages())


def test_pinned_addresses_are_fetched_and_checked(tmp_path: Path) -> None:
    url = "https://files.invalid/x/weights.gguf?token=secret"
    text = MODEL.split("[[model.files]]", maxsplit=1)[0]
    text += f'[[model.files]]\npath = "w.gguf"\nurl = "{url}"\nsha256 = "{sha(b"GGUF")}"\n'
    web = MemoryWeb({url: ("application/octet-stream", b"GGUF")})
    found, blobs = run(write(tmp_path, text), packages(), web=web)
    (model,) = found.lock.artifacts
    assert blobs.read(model.files[0].sha256) == b"GGUF"
    assert model.origin is None
    assert model.files[0].source == "https://files.invalid/x/weights.gguf"
    web.answers[url] = ("application/octet-stream", b"EVIL")
    with pytest.raises(DigestMismatchError) as caught:
        run(write(tmp_path, text), packages(), web=web)
    assert "secret" not in str(caught.value)


def test_a_wheel_that_lies_about_itself_is_refused(tmp_path: Path) -> None:
    offered = packages()
    offered.wheels["thing-9.0-py3-none-any.whl"] = THING[1]
    with pytest.raises(BadWheelError):
        run(write(tmp_path, '[[python]]\nrequirements = ["thing"]'), offered)


def test_bounds_are_named(tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    for n in range(3):
        (tmp_path / "book" / f"{n}.md").write_text("# long enough")
    manifest = write(tmp_path, '[[documents]]\ncollection = "b"\nfolder = "book"')
    for limits, name in ((Limits(documents=2), "documents"), (Limits(document_bytes=5), "document_bytes")):
        with pytest.raises(CollectLimitError) as caught:
            run(manifest, packages(), limits=limits)
        assert caught.value.where["limit"] == name


def test_a_full_disk_is_seen_before_the_first_byte(tmp_path: Path) -> None:
    manifest = write(tmp_path, '[[python]]\nrequirements = ["thing"]')
    offered = packages({"thing": (PAGE,)})
    with pytest.raises(DiskFullError):
        run(manifest, offered, web=MemoryWeb({PAGE: index(size=1 << 30)}), free=1 << 30)
    assert offered.downloaded == []
