"""Repositories of a Hub: pinned, chosen, checked; over a double and from another mirror."""

import hashlib
import io
import json
from contextlib import contextmanager

import pytest

from collect_doubles import NOW
from corpora.mirrorsite import COMMIT, MirrorSite, admitted
from corpora.registry import mirroring
from lockgate.collect.errors import (
    CollectLimitError,
    DigestMismatchError,
    ManifestError,
    UnreachableError,
    UnresolvableError,
)
from lockgate.collect.hub import Hub, WebHub
from lockgate.collect.hub.card import base_models
from lockgate.collect.manifest import parse_manifest
from lockgate.collect.memory import MemoryPackages, MemoryWeb
from lockgate.collect.plan import plan
from lockgate.collect.service import collect
from lockgate.core.artifact import Kind, Role
from lockgate.core.errors import LockgateError
from lockgate.core.ports import Silent
from lockgate.store import MemoryBlobs
from lockgate.store.blobs import FileBlobs

BASE = "https://hub.invalid"
FILES = {
    "config.json": b'{"a": 1}',
    "model.safetensors": b"\x08" + bytes(200),
    "pytorch_model.bin": b"pickle",
    "tokenizer.json": b"{}",
    "LICENSE": b"MIT",
    "sub/odd name+.txt": b"odd",
}
LARGE = ("model.safetensors", "pytorch_model.bin")
TEXT = f'[[huggingface]]\nrepository = "org/m"\nendpoint = "{BASE}"\ntask = "chat"\n'


def entry(path, data):
    identity = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    made = {"type": "file", "path": path, "oid": identity, "size": len(data)}
    if path in LARGE:
        made["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
    return made


class MemoryHub(Hub):
    """A Hub in memory, whose tree comes in two pages. A test double."""

    def __init__(self):
        self.files = dict(FILES)
        self.tree = [entry(path, data) for path, data in FILES.items()]
        self.commit = COMMIT
        self.asked = []

    def page(self, url):
        self.asked.append(url)
        path = url.removeprefix(BASE)
        if path == "/api/models/org/m/revision/main":
            return json.dumps({"sha": self.commit}).encode(), ""
        if path == f"/api/models/org/m/tree/{COMMIT}?recursive=true":
            folder = {"type": "directory", "path": "sub", "oid": "0" * 40, "size": 0}
            return json.dumps([folder, *self.tree[:3]]).encode(), f"{BASE}/next"
        if path == "/next":
            return json.dumps(self.tree[3:]).encode(), ""
        what = "no such page"
        raise UnresolvableError(what)

    @contextmanager
    def file(self, url):
        self.asked.append(url)
        path = url.removeprefix(f"{BASE}/org/m/resolve/{COMMIT}/").replace("%20", " ").replace("%2B", "+")
        yield "application/octet-stream", io.BytesIO(self.files[path])


def gather(folder, hub, text=TEXT, *, blobs=None, endpoint="", offline=False):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "m.toml").write_text(text)
    held = MemoryBlobs() if blobs is None else blobs
    return lock_of(folder, hub, held, endpoint=endpoint, offline=offline).artifacts, held


def lock_of(folder, hub, held, *, endpoint="", offline=False):
    return collect(
        folder / "m.toml",
        blobs=held,
        work=folder / "work",
        lane="test",
        clock=lambda: NOW,
        progress=Silent(),
        packages=MemoryPackages({}),
        web=MemoryWeb({}),
        hub=hub,
        hub_endpoint=endpoint,
        offline=offline,
    ).lock


def paths(artifact):
    return {f.path.removeprefix(f"{artifact.kind}s/{artifact.name}/"): f for f in artifact.files}


def test_a_revision_is_pinned_and_pickles_beside_safetensors_are_left_out(tmp_path):
    (found,), held = gather(tmp_path, MemoryHub())
    assert (found.kind, found.name, found.version) == (Kind.MODEL, "org/m", COMMIT)
    assert found.purl == f"pkg:huggingface/org/m@{COMMIT}"
    assert found.attributes == {"format": "safetensors", "task": "chat"}
    files = paths(found)
    assert {path: held.read(f.sha256) for path, f in files.items()} == {
        path: data for path, data in FILES.items() if path != "pytorch_model.bin"
    }
    roles = [Role.WEIGHTS, Role.TOKENIZER, Role.LICENCE, Role.CONFIGURATION, Role.OTHER]
    named = ("model.safetensors", "tokenizer.json", "LICENSE", "config.json", "sub/odd name+.txt")
    assert [files[name].role for name in named] == roles


def test_what_signs_a_repository_is_kept_as_its_provenance(tmp_path):
    hub = MemoryHub()
    for name in ("model.sig", "claims.sigstore.json"):
        hub.files[name] = b"{}"
        hub.tree.append(entry(name, b"{}"))
    (found,), _ = gather(tmp_path, hub)
    assert {n for n, f in paths(found).items() if f.role is Role.PROVENANCE} == {
        "model.sig",
        "claims.sigstore.json",
    }


def test_patterns_choose(tmp_path):
    (found,), _ = gather(tmp_path, MemoryHub(), f'{TEXT}include = ["*.bin", "*.json"]\nexclude = ["tok*"]\n')
    assert set(paths(found)) == {"pytorch_model.bin", "config.json"}
    with pytest.raises(UnresolvableError, match="choose no file"):
        gather(tmp_path, MemoryHub(), f'{TEXT}include = ["*.onnx"]\n')


@pytest.mark.parametrize("path", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("change", [lambda d: d + b"x", lambda d: d[:-1], lambda d: b"!" + d[1:]])
def test_a_file_that_is_not_what_the_tree_says_is_refused(tmp_path, path, change):
    hub = MemoryHub()
    hub.files[path] = change(hub.files[path])
    with pytest.raises(DigestMismatchError, match=path):
        gather(tmp_path, hub)


def test_a_tree_that_contradicts_itself_or_climbs_is_refused(tmp_path):
    hub = MemoryHub()
    hub.tree[1]["size"] += 1
    with pytest.raises(DigestMismatchError):
        gather(tmp_path, hub)
    climbing = MemoryHub()
    climbing.tree.append(entry("../../evil", b"x"))
    with pytest.raises(LockgateError, match="not allowed"):
        gather(tmp_path, climbing)
    long = MemoryHub()
    long.tree[0]["size"] = 1 << 30
    with pytest.raises(CollectLimitError, match="no large file"):
        gather(tmp_path, long)
    wrong = MemoryHub()
    wrong.commit = "main"
    with pytest.raises(UnresolvableError, match="names no commit"):
        gather(tmp_path, wrong)


def test_a_hub_has_to_be_named_and_is_not_asked_offline(tmp_path):
    bare = TEXT.replace(f'endpoint = "{BASE}"\n', "")
    with pytest.raises(ManifestError, match="No address"):
        gather(tmp_path, MemoryHub(), bare)
    assert gather(tmp_path, MemoryHub(), bare, endpoint=f"{BASE}/")[0][0].version == COMMIT
    with pytest.raises(UnresolvableError, match="offline"):
        gather(tmp_path, MemoryHub(), offline=True)


@pytest.mark.parametrize(
    "line",
    [
        'repository = "a/b/c"',
        'repository = "../x"',
        'repository = "a/b"\nrevision = "-x"',
        'repository = "a/b"\nrevision = "a/../b"',
        'repository = "a/b"\ntype = "user"',
        'repository = "a/b"\nendpoint = "ftp://x"',
        'repository = "a/b"\nendpoint = "https://me:pw@x.test"',
    ],
)
def test_a_table_that_is_wrong_is_refused(line):
    with pytest.raises(ManifestError):
        parse_manifest(f"[[huggingface]]\n{line}\n".encode())


def test_a_mirror_of_a_mirror_serves_the_same_repository(tmp_path):
    one = MirrorSite(tmp_path / "one")
    one.add_model("org/m", FILES, weights=LARGE)
    one.publish()
    with mirroring(one) as mirror:
        text = f'[[huggingface]]\nrepository = "org/m"\ninclude = ["*"]\nendpoint = "{mirror.url}"\n'
        (found,), _ = gather(tmp_path / "two", WebHub(), text, blobs=FileBlobs(tmp_path / "two" / "blobs"))
        with pytest.raises(UnresolvableError, match="no such repository"):
            gather(tmp_path / "two", WebHub(), text.replace("org/m", "org/absent"))
        two = MirrorSite(tmp_path / "two")
        two.entries.append(admitted(found))
        two.publish()
        with mirroring(two) as second:
            for path in (f"/api/models/org/m/tree/{COMMIT}?recursive=true", "/api/models/org/m/refs"):
                assert second.ask("GET", path).body == mirror.ask("GET", path).body
            for path, data in FILES.items():
                address = f"/org/m/resolve/main/{path.replace(' ', '%20').replace('+', '%2B')}"
                pair = [m.ask("GET", address) for m in (mirror, second)]
                assert pair[0].body == pair[1].body == data
                assert pair[0].headers["etag"] == pair[1].headers["etag"]
    with pytest.raises(UnreachableError):
        gather(tmp_path / "two", WebHub(), text)


CARD = b"""---
license: mit
base_model: "org/base"
tags:
- a/b
---
base_model: no/more
"""


def test_a_card_names_what_its_model_was_made_of(tmp_path):
    for data, names in (
        (CARD, ("org/base",)),
        (b"---\nbase_model:\n- org/one\n - org/two\nlicense: mit\n- x/y\n---\n", ("org/one", "org/two")),
        (b"---\nbase_model: [org/one, 'org/two']\n---\n", ("org/one", "org/two")),
        (b"---\nbase_model: ../../etc\n---\n", ()),
        (b"---\nbase_model: org/\x1b[2J\n---\n", ()),
        (b"base_model: org/base\n", ()),
        (b"---\n" + b"base_model: a/b\n" * 9, ("a/b",)),
        (b"", ()),
    ):
        assert base_models(data) == names, data

    class Carded(MemoryHub):
        def __init__(self):
            super().__init__()
            self.files = {**self.files, "README.md": CARD}
            self.tree.append(entry("README.md", CARD))

    (found,), _ = gather(tmp_path / "a", Carded())
    assert found.attributes["tuned-from"] == "org/base"
    text = TEXT.replace('task = "chat"', 'task = "chat"\ntuned_from = "org/other"')
    (found,), _ = gather(tmp_path / "b", Carded(), text)
    assert found.attributes["tuned-from"] == "org/other"
    with pytest.raises(ManifestError):
        gather(tmp_path / "c", Carded(), TEXT.replace('task = "chat"', 'tuned_from = "../x"'))


def test_a_commit_is_told_before_anything_is_fetched(tmp_path):
    hub = MemoryHub()
    (artifact,), blobs = gather(tmp_path, hub)
    lock = lock_of(tmp_path, hub, blobs)

    def told(previous, *, offline=False):
        hub.asked.clear()
        found = plan(
            tmp_path / "m.toml",
            blobs=blobs,
            work=tmp_path / "work",
            progress=Silent(),
            packages=MemoryPackages({}),
            web=MemoryWeb({}),
            hub=hub,
            previous=previous,
            offline=offline,
        )
        assert not any("/resolve/" in url for url in hub.asked)
        return [(f.kind, f.name, f.before, f.now, f.size) for f in found]

    small = sum(len(data) for path, data in FILES.items() if path not in LARGE)
    assert told(None) == [("model", "org/m", (), (COMMIT,), small)]
    assert told(lock) == told(lock, offline=True) == []
    assert hub.asked == []
    assert artifact.version == COMMIT
