"""Collecting RPM packages with the machine's own dnf and rpm, out of a folder that a test signs."""

import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from corpora.rpms import EPOCH, RpmFile, RpmUpstream, VendorKey, erratum, module, updateinfo
from lockgate.collect import collect, parse_manifest, plan
from lockgate.collect.errors import (
    BadPackageError,
    BadReleaseError,
    CollectLimitError,
    DigestMismatchError,
    DiskFullError,
    DuplicateNameError,
    ManifestError,
    UnresolvableError,
)
from lockgate.collect.ports import Limits
from lockgate.collect.rpm import DnfCommand
from lockgate.collect.rpm.errata import modules_of
from lockgate.collect.rpm.markup import elements
from lockgate.core.artifact import Kind, Role
from lockgate.core.ports import Silent
from lockgate.core.rpm import Relation, RpmPackage, RpmRepository
from lockgate.core.wire import decode
from lockgate.store import FileBlobs

OLD = RpmFile("libtree", "1.2", "3", lines=("Provides: tree(api) = 2",))
SHELL = RpmFile("shell", "5", lines=("Provides: /bin/sh",))
NEW = RpmFile("libtree", "1.3", "1", lines=("Provides: tree(api) = 2",), script="touch /ran")
LEAF = RpmFile("leaf", "1.0", epoch=1, lines=("Requires: libtree >= 1", "Recommends: words"))
WORDS = RpmFile("words", "7")
ARM = RpmFile("native", "1", architecture="aarch64")
LEFT = RpmFile("left", "1", lines=("Conflicts: right",))
RIGHT = RpmFile("right", "1", lines=("Conflicts: left",))
STREAM = RpmFile("wood", "2.0", lines=("Requires: words",))
ROGUE = RpmFile("rogue", "1")
PACKAGES = [SHELL, OLD, NEW, LEAF, WORDS, ARM, LEFT, RIGHT, STREAM]
ERRATA = updateinfo(erratum("E-2", NEW), erratum("E-1", WORDS, kind="bugfix"), erratum("E-3", ROGUE))
MODULES = module("wood", "2", STREAM) + module("wood", "3", ROGUE) + module("iron", "1", ROGUE)


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """Return a repository for tests that only look."""
    made = RpmUpstream(
        tmp_path_factory.mktemp("upstream") / "repository",
        packages=PACKAGES,
        unsigned=[ROGUE],
        updateinfo=ERRATA,
        modules=MODULES,
    )
    made.publish()
    return made


@pytest.fixture
def upstream(standing, tmp_path):
    """Return a repository that a test may change."""
    root = tmp_path / "repository"
    shutil.copytree(standing.root, root)
    return RpmUpstream(root, packages=PACKAGES, unsigned=[ROGUE], key=standing.key)


@dataclass
class Low:
    """A low side's store and work folder, and one manifest."""

    root: Path
    upstream: RpmUpstream
    notes: tuple = ()
    previous: object = None
    options: dict = field(default_factory=dict)

    def __post_init__(self):
        self.blobs = FileBlobs(self.root / "blobs")
        self.client = DnfCommand(os.environ)
        self.keyring = self.upstream.key.keyring

    def manifest(self, extra="", **facts):
        given = {"name": "rocky", "architectures": ["x86_64"], **facts}
        upstream = {"name": "base", "url": f"file://{self.upstream.root}", "keyring": str(self.keyring)}
        lines = ["[[rpm]]", *(f"{key} = {_toml(value)}" for key, value in given.items())]
        lines += ["[[rpm.upstream]]", *(f"{key} = {_toml(value)}" for key, value in upstream.items()), extra]
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
            rpm=self.client,
            previous=self.previous,
            **options,
        )
        self.lock, self.notes = found.lock, found.log
        return {a.purl: a for a in found.lock.artifacts}

    def about(self, found):
        (file,) = [f for f in found["pkg:generic/rpm/rocky/base/x86_64"].files if f.role is Role.MANIFEST]
        return decode(RpmRepository, self.blobs.read(file.sha256))


def _toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    return "[" + ", ".join(f'"{v}"' for v in value) + "]" if isinstance(value, list) else f'"{value}"'


@pytest.fixture
def low(tmp_path, standing):
    return Low(tmp_path, standing)


@pytest.fixture
def changed(tmp_path, upstream):
    """Return a low side whose repository a test may change."""
    return Low(tmp_path, upstream)


def flipped(data):
    return data[:-1] + bytes((data[-1] ^ 1,))


def names(found):
    return sorted(f"{a.name}-{a.version}" for a in found.values() if a.attributes.get("places"))


def test_a_package_comes_with_what_it_depends_on_and_with_its_repository(low, standing):
    found = low.collect(packages=["leaf"])
    assert set(found) == {
        "pkg:rpm/rocky/leaf@1.0-1?arch=noarch&epoch=1",
        "pkg:rpm/rocky/libtree@1.3-1?arch=noarch",
        "pkg:rpm/rocky/shell@5-1?arch=noarch",
        "pkg:generic/rpm/rocky/base/x86_64",
    }
    leaf = found["pkg:rpm/rocky/leaf@1.0-1?arch=noarch&epoch=1"]
    assert (leaf.kind, leaf.version, leaf.licence) == (Kind.RPM, "1:1.0-1", "MIT")
    assert leaf.attributes["places"] == "rocky:base:x86_64"
    said = {artifact.name: artifact.attributes.get("scripts") for artifact in found.values()}
    assert (said["rocky/libtree"], said["rocky/leaf"]) == ("scriptlets", "none")  # NEW has a %post
    package, known = leaf.files
    assert package.path == "rpm/rocky/Packages/l/leaf-1.0-1.noarch.rpm"
    data = (standing.root / "Packages" / LEAF.filename).read_bytes()
    assert low.blobs.read(package.sha256) == data
    described = decode(RpmPackage, low.blobs.read(known.sha256))
    assert described.summary == "the leaf & <its> kin"
    assert [c.name for c in described.relations[Relation.RECOMMENDS]] == ["words"]
    assert {f.path for f in described.files} > {"/usr/share/leaf/says", "/etc/leaf.conf"}
    assert [c.text for c in described.changes] == ["- Begin"]
    assert not (low.root / "work/ran").exists()


def test_a_repository_carries_its_signed_index_its_keys_and_who_signed_it(low, standing):
    found = low.collect(packages=["words"])
    artifact = found["pkg:generic/rpm/rocky/base/x86_64"]
    files = {f.path.rpartition("/")[2]: low.blobs.read(f.sha256) for f in artifact.files}
    about = decode(RpmRepository, files["repository.json"])
    assert about.signed_by == (standing.key.key.fingerprint,)
    assert about.repomd_sha256 == sha256(files["repomd.xml"]).hexdigest()
    assert about.revision == str(EPOCH)
    assert files["repomd.xml"] == (standing.root / "repodata/repomd.xml").read_bytes()
    assert files["repomd.xml.asc"] == (standing.root / "repodata/repomd.xml.asc").read_bytes()
    assert files["keys.asc"].decode() == standing.key.certificate


def test_errata_and_modules_come_as_far_as_their_packages_do(low):
    about = low.about(low.collect(packages=["libtree"]))
    assert [e.id for e in about.errata] == ["E-2"]
    (erratum_,) = about.errata
    assert (erratum_.type, erratum_.severity, erratum_.title) == ("security", "Important", "E-2 & more")
    assert erratum_.collections[0].packages[0].suggests == ("reboot",)
    assert about.modules == ()
    about = low.about(low.collect(packages=["wood"], modules=["wood:2"], platform="platform:el9"))
    assert [(m.name, m.stream, m.packages) for m in about.modules] == [("wood", "2", (STREAM.nevra,))]
    assert [e.id for e in about.errata] == ["E-1"]


def test_a_stream_is_taken_from_only_where_it_is_named(low):
    with pytest.raises(UnresolvableError, match=r"dnf: .*wood"):
        low.collect(packages=["wood"])


def test_weak_dependencies_versions_and_errata_are_taken_when_asked_for(low):
    assert names(low.collect(packages=["leaf"], weak=True)) == [
        "rocky/leaf-1:1.0-1",
        "rocky/libtree-1.3-1",
        "rocky/shell-5-1",
        "rocky/words-7-1",
    ]
    assert names(low.collect(packages=["libtree-1.2-3"])) == ["rocky/libtree-1.2-3"]
    assert names(low.collect(errata=["security"])) == ["rocky/libtree-1.3-1", "rocky/shell-5-1"]
    assert names(low.collect(errata=["E-1"])) == ["rocky/words-7-1"]
    with pytest.raises(UnresolvableError, match="No erratum"):
        low.collect(errata=["E-9"])


def test_packages_that_conflict_are_resolved_one_by_one(low):
    assert names(low.collect(packages=["left", "right"])) == ["rocky/left-1-1", "rocky/right-1-1"]
    assert any("do not fit on one system" in note for note in low.notes)


def test_another_architecture_is_resolved_on_this_machine(low):
    found = low.collect(packages=["native"], architectures=["aarch64"])
    (purl,) = [p for p in found if "native" in p]
    assert purl == "pkg:rpm/rocky/native@1-1?arch=aarch64"
    assert found[purl].attributes["places"] == "rocky:base:aarch64"


def test_what_is_missing_is_named_and_what_was_asked_for_twice_keeps_its_lock(low):
    with pytest.raises(UnresolvableError, match=r"dnf: .*absent"):
        low.collect(packages=["absent"])
    low.collect(packages=["words"])
    low.previous = low.lock
    low.collect(packages=["words"])
    assert low.lock is low.previous


def test_a_plan_tells_versions_and_sizes_before_anything_is_fetched(low, standing):
    found = plan(
        low.manifest(packages=["leaf"]),
        blobs=low.blobs,
        work=low.root / "work",
        progress=Silent(),
        packages=None,
        web=None,
        rpm=low.client,
    )
    sizes = {f.name: f.size for f in found}
    assert sizes["rocky/leaf"] == (standing.root / "Packages" / LEAF.filename).stat().st_size
    assert not list(low.blobs.digests())


def test_an_index_that_another_key_signed_is_refused(low, tmp_path):
    low.keyring = VendorKey(tmp_path / "other.key").keyring
    with pytest.raises(BadReleaseError, match="No signature over a repository's index"):
        low.collect(packages=["words"])


def test_an_index_that_was_altered_or_lost_its_signature_is_refused(changed, upstream):
    index = upstream.root / "repodata/repomd.xml"
    good = index.read_bytes()
    index.write_bytes(good.replace(b"<revision>", b"<revision>1"))
    with pytest.raises(BadReleaseError, match="No signature over a repository's index"):
        changed.collect(packages=["words"])
    index.write_bytes(good)
    assert changed.collect(packages=["words"])
    index.with_name("repomd.xml.asc").unlink()
    with pytest.raises(Exception, match="cannot be read"):
        changed.collect(packages=["words"])


def test_a_list_of_packages_that_the_index_does_not_name_is_refused(changed, upstream):
    (primary,) = (upstream.root / "repodata").glob("*-primary.xml.gz")
    primary.write_bytes(flipped(primary.read_bytes()))
    with pytest.raises(DigestMismatchError, match="primary"):
        changed.collect(packages=["words"])


def test_an_older_index_is_refused_though_its_signature_verifies(changed, upstream):
    upstream.publish(revision=EPOCH + 100)
    changed.collect(packages=["words"])
    changed.previous = changed.lock
    upstream.publish(revision=EPOCH)
    with pytest.raises(BadReleaseError, match="older than the one that was collected before"):
        changed.collect(packages=["words"])
    upstream.publish(revision=EPOCH + 101)
    assert changed.collect(packages=["words"])


def test_a_package_without_a_signature_is_refused_though_its_index_is_signed(low):
    with pytest.raises(BadPackageError) as caught:
        low.collect(packages=["rogue"], modules=["iron:1"], platform="platform:el9")
    assert caught.value.code == "LG-2542"
    assert not list(low.blobs.digests())


def test_a_package_that_another_key_signed_is_refused(changed, upstream, tmp_path):
    VendorKey(tmp_path / "other.key").sign_packages(
        RpmFile("foreign", "1")
        .build(tmp_path / "build")
        .rename(upstream.root / "Packages/foreign-1-1.noarch.rpm")
    )
    upstream.publish()
    with pytest.raises(BadPackageError, match="no signature that verifies"):
        changed.collect(packages=["foreign"])


def test_a_package_that_is_not_what_the_index_says_is_refused(changed, upstream):
    file = upstream.root / "Packages" / WORDS.filename
    file.write_bytes(flipped(file.read_bytes()))
    with pytest.raises(DigestMismatchError, match="words-7"):
        changed.collect(packages=["words"])


def test_a_package_that_is_held_is_checked_against_todays_keys(low, tmp_path):
    """The store may hold a package since a time when other keys counted."""
    low.collect(packages=["words"])
    keyring = low.keyring
    both = tmp_path / "both.asc"
    other = VendorKey(tmp_path / "other.key")
    upstream = RpmUpstream(tmp_path / "resigned", key=other)
    shutil.copytree(low.upstream.root / "Packages", upstream.root / "Packages")
    upstream.publish()
    low.upstream, low.keyring = upstream, other.keyring
    with pytest.raises(BadPackageError):
        low.collect(packages=["words"])
    both.write_text(keyring.read_text() + other.certificate)
    low.keyring = both
    assert low.collect(packages=["words"])


def test_an_index_by_xz_or_zstandard_and_a_repository_that_signs_packages_alone(tmp_path, standing):
    upstream = RpmUpstream(tmp_path / "other", packages=[WORDS], key=standing.key, compress="xz")
    (upstream.root / "Packages").mkdir()
    shutil.copy(standing.root / "Packages" / WORDS.filename, upstream.root / "Packages")
    upstream.publish()
    (upstream.root / "repodata/repomd.xml.asc").unlink()
    low = Low(tmp_path, upstream)
    found = low.collect(low.manifest("unsigned_index = true", packages=["words"]))
    assert found["pkg:generic/rpm/rocky/base/x86_64"].attributes["signed"] == "no"
    assert any("not signed" in note for note in low.notes)


def test_two_tables_share_a_distribution_and_one_package_has_one_label(low):
    one = low.manifest(packages=["words"]).read_text()
    two = low.manifest(packages=["libtree"]).read_text()
    (low.root / "manifest.toml").write_text(one + two)
    found = low.collect(low.root / "manifest.toml")
    assert [e.id for e in low.about(found).errata] == ["E-1", "E-2"]
    (low.root / "manifest.toml").write_text(
        one + two.replace('name = "rocky"', 'name = "rocky"\nlabel = "other"')
    )
    with pytest.raises(DuplicateNameError, match="two labels"):
        low.collect(low.root / "manifest.toml")


def test_bounds_and_a_full_disk_are_named(low):
    for limits, name in ((Limits(rpms=1), "rpms"), (Limits(index_bytes=100), None)):
        low.options = {"limits": limits}
        with pytest.raises(CollectLimitError) as caught:
            low.collect(packages=["leaf"])
        assert name is None or caught.value.where["limit"] == name
    low.options = {"free": lambda: 10}
    with pytest.raises(DiskFullError):
        low.collect(packages=["leaf"])


@pytest.mark.parametrize(
    "lines",
    [
        'packages = ["--installroot=/"]',
        'packages = ["@group"]',
        'packages = ["/etc/passwd"]',
        'errata = ["a b"]',
        'modules = ["x"]\nplatform = "platform:el9"\nwhole = true',
        'modules = ["x:1"]\nwhole = true',
        'architectures = ["noarch"]\nwhole = true',
        "weak = true",
    ],
)
def test_a_table_asks_for_packages_and_for_nothing_else(lines):
    upstream = '[[rpm.upstream]]\nname = "base"\nurl = "https://example.org/"\nkeyring = "k"\n'
    with pytest.raises(ManifestError):
        parse_manifest(f'[[rpm]]\nname = "rocky"\n{lines}\n{upstream}'.encode())
    assert parse_manifest(f'[[rpm]]\nname = "rocky"\nwhole = true\n{upstream}'.encode())


@pytest.mark.parametrize(
    "lines",
    [
        'name = "a/b"\nurl = "https://example.org"',
        'name = "a"',
        'name = "a"\nurl = "https://example.org"\nmirrorlist = "https://example.org"',
        'name = "a"\nurl = "https://user@example.org"',
        'name = "a"\nurl = "ftp://example.org"',
        'name = "a"\nurl = "http://example.org"\nunsigned_index = true',
    ],
)
def test_an_upstream_is_one_address_whose_trust_is_clear(lines):
    head = '[[rpm]]\nname = "rocky"\nwhole = true\n[[rpm.upstream]]\nkeyring = "k"\n'
    with pytest.raises(ManifestError):
        parse_manifest(f"{head}{lines}\n".encode())


def test_metadata_declares_no_entities_and_is_no_deeper_than_it_need_be(tmp_path):
    file = tmp_path / "primary.xml"
    file.write_text('<!DOCTYPE a [<!ENTITY x "y">]><a><package>&x;</package></a>')
    with pytest.raises(BadReleaseError, match="document type"):
        list(elements(file, "package", 1 << 20))
    file.write_text("<a>" * 20 + "</a>" * 20)
    with pytest.raises(CollectLimitError, match="deeper"):
        list(elements(file, "package", 1 << 20))
    file.write_text("<a><package>")
    with pytest.raises(BadReleaseError, match="no well-formed XML"):
        list(elements(file, "package", 1 << 20))


def test_a_module_without_a_name_or_in_two_documents_cannot_cross(tmp_path):
    file = tmp_path / "modules.yaml"
    file.write_text("---\ndocument: modulemd\ndata:\n  stream: 1\n")
    with pytest.raises(BadReleaseError, match="names no module"):
        list(modules_of(file, Limits()))
    file.write_text("--- \n" + MODULES.replace("...\n", "... \n"))
    assert [m.stream for m in modules_of(file, Limits())] == ["2", "3", "1"]
