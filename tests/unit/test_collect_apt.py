"""Collecting Debian packages with the machine's own apt, out of a folder that a test signs as upstream."""

import os
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from corpora.debs import DebFile, SourceFiles, Upstream
from lockgate.collect import collect, parse_manifest, plan
from lockgate.collect.apt import AptCommand, AptSection
from lockgate.collect.apt.hostsources import find_sources, source_files
from lockgate.collect.apt.ports import Source
from lockgate.collect.errors import (
    BadReleaseError,
    CollectLimitError,
    DigestMismatchError,
    DiskFullError,
    DuplicateNameError,
    ManifestError,
    UnresolvableError,
)
from lockgate.collect.ports import Limits
from lockgate.core.artifact import Kind, Role
from lockgate.core.deb import AptSuite, DebPackage
from lockgate.core.places import places_of
from lockgate.core.ports import Silent
from lockgate.core.wire import decode
from lockgate.store import FileBlobs

LEAF = DebFile(
    "leaf", "1:2.0+dfsg~rc1-1", fields={"Depends": "libtree1", "Recommends": "words", "Priority": "optional"}
)
TREE = DebFile("libtree1", "1.2-3", fields={"Source": "tree (1.2)"})
WORDS = DebFile("words", "7", "all")
BASE = DebFile("base", "1", fields={"Priority": "required", "Essential": "yes"})
ARM = DebFile("leaf", "1:2.0+dfsg~rc1-1", "arm64")
LEFT = DebFile("left", "1", fields={"Conflicts": "right"})
RIGHT = DebFile("right", "1", fields={"Conflicts": "left"})


@dataclass
class Low:
    """A low side's store and work folder, and one manifest."""

    root: Path
    keyring: Path
    lock: object = None
    notes: tuple = ()
    previous: object = None
    options: dict = field(default_factory=dict)

    def __post_init__(self):
        self.blobs = FileBlobs(self.root / "blobs")
        self.client = AptCommand(os.environ)

    def manifest(self, **facts):
        given = {"name": "debian", "architectures": ["amd64"], "upstream": ["bookworm"], **facts}
        upstream = given.pop("upstream")
        lines = ["[[apt]]", *(f"{key} = {_toml(value)}" for key, value in given.items())]
        for suite in upstream:
            lines += ["[[apt.upstream]]", f'url = "file://{self.root}/repository"', f'suites = ["{suite}"]']
            lines += [f'keyring = "{self.keyring}"']
        file = self.root / "manifest.toml"
        file.write_text("\n".join(lines) + "\n")
        return file

    def collect(self, manifest=None, **facts):
        options = {"limits": Limits(), "free": None, **self.options}
        found = collect(
            manifest or self.manifest(**facts),
            blobs=self.blobs,
            work=self.root / "work",
            lane="harbour",
            clock=lambda: datetime(2026, 5, 1, tzinfo=UTC),
            progress=Silent(),
            packages=None,
            web=None,
            apt=self.client,
            previous=self.previous,
            **options,
        )
        self.lock, self.notes = found.lock, found.log
        return {a.purl: a for a in found.lock.artifacts}


def _toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    return "[" + ", ".join(f'"{v}"' for v in value) + "]" if isinstance(value, list) else f'"{value}"'


@pytest.fixture
def upstream(tmp_path):
    made = Upstream(tmp_path / "repository", debs=[LEAF, TREE, WORDS, BASE, LEFT, RIGHT])
    made.publish()
    return made


@pytest.fixture
def low(tmp_path, upstream):
    return Low(tmp_path, upstream.keyring)


def purl(deb):
    return f"pkg:deb/debian/{deb.name}@{deb.version.replace('+', '%2B')}?arch={deb.architecture}"


def test_a_package_comes_with_what_it_depends_on_and_with_its_suite(low):
    found = low.collect(packages=["leaf"])
    assert set(found) == {
        "pkg:deb/debian/leaf@1:2.0%2Bdfsg~rc1-1?arch=amd64",
        "pkg:deb/debian/libtree1@1.2-3?arch=amd64",
        "pkg:generic/apt/debian/bookworm",
    }
    leaf = found[purl(LEAF)]
    assert leaf.kind is Kind.APT
    assert (leaf.attributes["places"], leaf.attributes["scripts"]) == ("debian:bookworm:main", "none")
    package, known = leaf.files
    assert package.path == "apt/debian/pool/main/l/leaf/leaf_2.0+dfsg~rc1-1_amd64.deb"
    assert low.blobs.read(package.sha256) == LEAF.data
    described = decode(DebPackage, low.blobs.read(known.sha256))
    assert (described.name, described.version) == ("leaf", "1:2.0+dfsg~rc1-1")
    assert described.field("Description") == "the leaf\n It says so.\n .\n At length."
    assert found[purl(TREE)].files[0].path == "apt/debian/pool/main/t/tree/libtree1_1.2-3_amd64.deb"


def test_a_suite_carries_what_clients_pin_and_who_signed_it(low, upstream):
    found = low.collect(packages=["words"])["pkg:generic/apt/debian/bookworm"]
    roles = {file.role: low.blobs.read(file.sha256) for file in found.files}
    about = decode(AptSuite, roles[Role.MANIFEST])
    assert (about.origin, about.name, about.codename) == ("Debian", "oldstable", "bookworm")
    assert about.released == upstream.date
    assert about.signed_by == (upstream.key.fingerprint,)
    assert roles[Role.PROVENANCE] == (upstream.root / "dists/bookworm/InRelease").read_bytes()


def test_recommends_priorities_and_whole_suites_are_taken_when_asked_for(low):
    assert purl(WORDS) in low.collect(packages=["leaf"], recommends=True)
    assert set(low.collect(priorities=["required"])) == {purl(BASE), "pkg:generic/apt/debian/bookworm"}
    assert len(low.collect(whole=True)) == 7


def test_packages_that_exclude_one_another_are_resolved_each_by_itself(low):
    found = low.collect(packages=["left", "right"])
    assert {purl(LEFT), purl(RIGHT)} <= set(found)
    assert any("do not fit on one system" in note for note in low.notes)


def test_upgrades_for_an_installed_system_are_what_it_lacks(low):
    status = low.root / "server.status"
    lines = ["Package: leaf", "Status: install ok installed", "Version: 1:1.0", "Architecture: amd64"]
    status.write_text("\n".join([*lines, "Maintainer: x <x@example.org>", "Description: old", ""]) + "\n")
    found = low.collect(status="server.status")
    assert {purl(LEAF), purl(TREE)} <= set(found)
    assert purl(WORDS) not in found


def test_several_architectures_are_resolved_each_by_itself(low, upstream):
    upstream.debs, upstream.architectures = [LEAF, TREE, WORDS, ARM], ("amd64", "arm64")
    upstream.publish()
    found = low.collect(packages=["leaf"], architectures=["amd64", "arm64"])
    assert {purl(LEAF), purl(ARM), purl(TREE)} <= set(found)
    assert len({a.files[0].path for a in found.values()}) == len(found)


def test_sources_come_with_every_file_and_in_a_folder_of_their_version(low, upstream):
    source = SourceFiles("tree", "1.2", binary="libtree1")
    upstream.sources = [source]
    upstream.publish()
    found = low.collect(packages=["leaf"], sources=True)["pkg:deb/debian/tree@1.2?arch=source"]
    files = {Path(f.path).name: low.blobs.read(f.sha256) for f in found.files if f.role is Role.DISTRIBUTION}
    assert files == source.files
    assert found.files[0].path.startswith("apt/debian/pool/main/t/tree/1.2/")
    assert any("The sources of leaf" in note for note in low.notes)


def test_two_suites_list_one_package_once_with_both_places(low, upstream):
    other = Upstream(upstream.root, "bookworm-security", [LEAF, TREE], signer=upstream.signer)
    other.publish()
    found = low.collect(packages=["leaf"], upstream=["bookworm", "bookworm-security"])
    assert [p.suite for p in places_of(found[purl(LEAF)].attributes["places"])] == [
        "bookworm",
        "bookworm-security",
    ]


def test_a_newer_version_in_the_security_suite_is_what_is_taken(low, upstream):
    newer = DebFile("libtree1", "1.2-3+deb12u1", fields={"Source": "tree (1.2)"})
    other = Upstream(upstream.root, "bookworm-security", [newer], signer=upstream.signer)
    other.publish()
    found = low.collect(packages=["leaf"], upstream=["bookworm", "bookworm-security"])
    assert purl(newer) in found
    assert purl(TREE) not in found


def test_collecting_again_fetches_nothing_and_keeps_the_lock(low):
    low.collect(packages=["leaf"])
    low.previous = low.lock

    class Deaf(AptCommand):
        def fetch(self, *_):
            raise AssertionError

    low.client = Deaf(os.environ)
    low.collect(low.root / "manifest.toml")
    assert low.lock is low.previous


def test_nothing_of_the_host_is_touched_or_left_behind(low):
    before = {p: p.stat().st_mtime_ns for p in Path("/var/lib/apt/lists").iterdir()}
    low.collect(packages=["leaf"])
    assert {p: p.stat().st_mtime_ns for p in Path("/var/lib/apt/lists").iterdir()} == before
    assert list((low.root / "work").iterdir()) == []


def test_a_plan_tells_versions_and_sizes_and_fetches_nothing(low):
    seen = plan(
        low.manifest(packages=["leaf"]),
        blobs=low.blobs,
        work=low.root / "work",
        progress=Silent(),
        packages=None,
        web=None,
        apt=low.client,
    )
    told = {one.name: (one.now, one.size) for one in seen}
    assert told["debian/leaf"] == (("1:2.0+dfsg~rc1-1",), len(LEAF.data))
    assert not low.blobs.has(sha256(LEAF.data).hexdigest())


def test_names_that_no_suite_has_are_told_as_apt_tells_them(low):
    with pytest.raises(UnresolvableError, match="Unable to locate package absent"):
        low.collect(packages=["absent"])
    with pytest.raises(UnresolvableError, match="was not found"):
        low.collect(packages=["leaf=9"])


def test_another_key_than_the_named_one_is_refused(low, tmp_path):
    low.keyring = Upstream(tmp_path / "other/repository").keyring
    with pytest.raises(BadReleaseError):
        low.collect(packages=["leaf"])


@pytest.mark.parametrize("what", ["InRelease", "Packages", "deb", "expired"])
def test_what_was_altered_on_the_way_is_refused_and_nothing_of_it_is_kept(low, upstream, what):
    if what == "expired":
        upstream.extra = {"Valid-Until": "Sat, 02 May 2026 12:00:00 UTC"}
        upstream.publish()
    elif what == "InRelease":
        file = upstream.root / "dists/bookworm/InRelease"
        file.write_bytes(file.read_bytes().replace(b"Origin: Debian", b"Origin: Debiam"))
    elif what == "Packages":
        for file in (upstream.root / "dists/bookworm/main/binary-amd64").iterdir():
            file.write_bytes(file.read_bytes() + b"\n")
    else:
        file = next(upstream.root.rglob(LEAF.filename))
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    refused = DigestMismatchError if what in {"deb", "Packages"} else BadReleaseError
    with pytest.raises(refused):
        low.collect(packages=["leaf"])
    assert not low.blobs.has(sha256(LEAF.data[:-1] + b"x").hexdigest())


def test_the_index_is_compared_with_the_signed_file_by_us_too(low, upstream):
    class Lying(AptCommand):
        def update(self, setup, seen):
            found = super().update(setup, seen)
            for index in found:
                index.file.chmod(stat.S_IRUSR | stat.S_IWUSR)
                index.file.write_bytes(index.file.read_bytes().replace(b"leaf", b"loaf"))
            return found

    low.client = Lying(os.environ)
    with pytest.raises(BadReleaseError, match="is not the one that its Release file names"):
        low.collect(packages=["words"])


def test_an_index_that_leads_out_of_its_repository_is_refused(low, upstream):
    class Evil(Upstream):
        def _stanza(self, deb):
            return super()._stanza(deb).replace("Filename: pool/", "Filename: pool/../../")

    Evil(upstream.root, debs=[LEAF, TREE], signer=upstream.signer).publish()
    with pytest.raises(BadReleaseError, match="outside of its repository"):
        low.collect(packages=["leaf"])


def test_bounds_are_named(low):
    low.options = {"limits": Limits(debs=1)}
    with pytest.raises(CollectLimitError, match="bound: 1"):
        low.collect(packages=["leaf"])
    low.options = {"limits": Limits(index_bytes=10)}
    with pytest.raises(CollectLimitError, match="bound: 10"):
        low.collect(packages=["leaf"])
    low.options = {"free": lambda: 10}
    with pytest.raises(DiskFullError):
        low.collect(packages=["leaf"])


def test_two_tables_share_a_repository_and_do_not_contradict_one_another(low):
    first = low.manifest(packages=["leaf"]).read_text()
    second = first.replace('"leaf"', '"words", "leaf"')
    both = low.root / "both.toml"
    both.write_text(first + second)
    assert {purl(LEAF), purl(WORDS)} <= set(low.collect(both))
    both.write_text(first + second.replace("[[apt]]", '[[apt]]\nlabel = "secret"'))
    with pytest.raises(DuplicateNameError):
        low.collect(both)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('packages = ["--option"]', "not a package"),
        ('packages = ["leaf-"]', "not a package"),
        ('packages = ["leaf;rm"]', "not a package"),
        ("", "give packages"),
        ('packages = ["leaf"]\narchitectures = ["all"]', "not an architecture"),
        ('packages = ["leaf"]\nsuites = ["../x"]', "cannot name a suite"),
        ('packages = ["leaf"]\nname = "a/b"', "cannot name a repository"),
        ('packages = ["leaf"]\nupstream = []\nsuites = []', "give either suites"),
    ],
)
def test_tables_that_cannot_be_carried_out_say_why(line, reason):
    given = {"name": 'name = "debian"', "suites": 'suites = ["bookworm"]'}
    lines = [text for key, text in given.items() if f"{key} =" not in line]
    with pytest.raises(ManifestError, match=reason):
        parse_manifest("\n".join(["[[apt]]", *lines, line]).encode())


def test_a_table_says_what_it_brings():
    section = AptSection(name="debian", suites=("bookworm",), packages=("jq",), sources=True)
    assert section.brings() == (
        "Debian packages with sources for this host's architecture out of bookworm, as 'debian': jq."
    )


def test_the_hosts_sources_are_read_in_both_formats_and_nothing_weakens_them(tmp_path):
    parts = tmp_path / "parts"
    parts.mkdir()
    (tmp_path / "sources.list").write_text(
        "# a comment\ndeb [arch=amd64 trusted=yes signed-by=/k.gpg,/l.gpg] https://one.example/d stable"
        " main extra # end\n"
        "deb-src https://one.example/d stable main\n"
    )
    (parts / "a.sources").write_text(
        "Types: deb deb-src\nURIs: https://two.example/d\nSuites: stable next\nComponents: main\n"
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abcd\n -----END PGP PUBLIC KEY BLOCK-----\n"
        "Trusted: yes\n\nTypes: deb\nEnabled: no\nURIs: https://off.example\nSuites: off\nComponents: main\n"
    )
    (parts / "b.list.disabled").write_text("deb https://three.example off main\n")
    files = source_files(tmp_path / "sources.list", parts)
    found = find_sources(files, ["stable", "next"])
    assert found[0] == Source("https://one.example/d", ("stable",), ("main", "extra"), "/k.gpg /l.gpg")
    assert (found[1].url, found[1].suites, found[1].components) == (
        "https://two.example/d",
        ("next",),
        ("main",),
    )
    assert "BEGIN PGP" in found[1].signed_by
    with pytest.raises(UnresolvableError, match="do not name the suite 'off'"):
        find_sources(files, ["off"])
