"""npm packages on the low side: what is read of locks and archives, and what is refused."""

import hashlib
import io
import json
import tarfile
from base64 import b64encode

import pytest

from collect_doubles import make_lock, make_room
from corpora import npmregistry
from corpora.npmpackages import NpmPackage, integrity_of, make_tarball
from corpora.signing import REPOSITORY, World
from lockgate.collect import parse_manifest
from lockgate.collect.errors import (
    BadTarballError,
    CollectLimitError,
    DigestMismatchError,
    DiskFullError,
    DuplicateNameError,
    InstallerError,
    LockfileError,
    ManifestError,
    NoAttestationsError,
    NotFromRegistryError,
    SourceMissingError,
    UnreachableError,
    UnresolvableError,
)
from lockgate.collect.manifest import load_manifest
from lockgate.collect.npm.attested import sources_of
from lockgate.collect.npm.client import blame
from lockgate.collect.npm.facts import describe
from lockgate.collect.npm.lockfile import for_platforms, read_lock, sha512_hex
from lockgate.collect.npm.memory import MemoryNpm
from lockgate.collect.npm.ports import Locked
from lockgate.collect.npm.section import NpmSection, split_spec
from lockgate.collect.npm.service import npm_packages, project_of
from lockgate.collect.npm.tarball import Packed, read_tarball
from lockgate.collect.ports import Limits
from lockgate.core.artifact import Role
from lockgate.core.npm import NpmVersion, is_name, is_version, npm_purl, version_key
from lockgate.core.wire import decode
from lockgate.store import FileBlobs

LEAF = NpmPackage("leaf", "2.1.0", {"license": "MIT", "description": "A leaf"})
TREE = NpmPackage(
    "@garden/tree", "1.0.0", {"dependencies": {"leaf": "^2"}, "scripts": {"postinstall": "node x"}}
)
SUM = integrity_of(b"")


def lock_of(**packages):
    return json.dumps({"lockfileVersion": 3, "packages": {"": {"name": "p"}, **packages}}).encode()


def entry(version="1.0.0", **more):
    return {"version": version, "integrity": SUM, **more}


def test_a_lock_names_each_version_once():
    data = lock_of(
        **{
            "node_modules/a": entry(),
            "node_modules/b/node_modules/a": entry(optional=True),
            "node_modules/b": entry(resolved="https://r.invalid/b/-/b-1.0.0.tgz", dev=True),
            "node_modules/alias": entry("2.0.0", name="@x/real"),
            "node_modules/inside": entry(inBundle=True),
            "node_modules/link": {"resolved": "packages/w", "link": True},
            "packages/w": {"version": "1.0.0"},
        }
    )
    found = read_lock(data, "l", Limits())
    assert [(f.name, f.version, f.optional, f.development) for f in found] == [
        ("@x/real", "2.0.0", False, False),
        ("a", "1.0.0", False, False),
        ("b", "1.0.0", False, True),
    ]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"{", LockfileError),
        (b"[]", LockfileError),
        (b'{"lockfileVersion": 1}', LockfileError),
        (lock_of(**{"node_modules/a": entry("1")}), LockfileError),
        (lock_of(**{"node_modules/..": entry()}), LockfileError),
        (
            lock_of(**{"node_modules/a": entry(), "x/node_modules/a": entry(integrity=integrity_of(b"1"))}),
            LockfileError,
        ),
        (
            lock_of(**{"node_modules/a": entry(integrity="sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=")}),
            NotFromRegistryError,
        ),
        (lock_of(**{"node_modules/a": entry(integrity="sha512-AAAA")}), NotFromRegistryError),
        (
            lock_of(**{"node_modules/a": entry(resolved="git+ssh://git@x.invalid/a.git#1")}),
            NotFromRegistryError,
        ),
        (lock_of(**{"node_modules/a": entry(resolved="file:../a")}), NotFromRegistryError),
    ],
)
def test_a_lock_that_cannot_be_held_to_is_refused(data, error):
    with pytest.raises(error):
        read_lock(data, "l", Limits())


def test_a_lock_is_bounded():
    with pytest.raises(CollectLimitError):
        read_lock(lock_of(**{f"node_modules/a{n}": entry() for n in range(3)}), "l", Limits(npm_packages=3))


def test_platforms_choose_among_what_is_optional():
    def one(name, **more):
        return Locked(name, "1.0.0", SUM, **{"optional": True, **more})

    all_ = (
        one("linux", os=("linux",), cpu=("x64",)),
        one("musl", os=("linux",), cpu=("x64",), libc=("musl",)),
        one("mac", os=("darwin",)),
        one("not-windows", os=("!win32",)),
        one("any", cpu=("any",)),
        one("needed", os=("darwin",), optional=False),
    )

    def names(*platforms):
        return [o.name for o in for_platforms(all_, platforms)]

    assert names() == [o.name for o in all_]
    assert names("linux-x64") == ["linux", "musl", "not-windows", "any", "needed"]
    assert names("linux-x64-glibc") == ["linux", "not-windows", "any", "needed"]
    assert names("win32-x64") == ["any", "needed"]
    assert names("darwin-arm64", "linux-x64-musl") == [o.name for o in all_]


def test_integrity_texts_are_read():
    digest = sha512_hex(SUM)
    assert digest is not None
    assert sha512_hex(f"sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk= {SUM}?opt") == digest
    assert sha512_hex("sha512-!!") is None
    assert sha512_hex("") is None


def test_names_and_versions():
    assert all(is_name(n) for n in ("left-pad", "@a/b", "JSONStream", "a.b_c~d"))
    assert not any(
        is_name(n) for n in ("", "-", "-x", ".x", "_x", "@a", "@a/", "@/b", "a/b", "a b", "x" * 215, "ä")
    )
    assert all(is_version(v) for v in ("1.2.3", "0.0.0-rc.1", "1.0.0+b.1"))
    assert not any(is_version(v) for v in ("1", "1.2", "01.2.3", "v1.2.3", "1.2.3-", "1.2.3 ", "1.2.3-é"))
    sorted_ = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0",
        "1.10.0",
    ]
    assert sorted(set(sorted_), key=version_key) == sorted_
    assert npm_purl("@garden/tree", "1.0.0") == "pkg:npm/%40garden/tree@1.0.0"


@pytest.mark.parametrize("text", ["leaf", "leaf@^1", "@a/b@>=1 <2 || 3", "a@next", "a@*", "a@1.x"])
def test_a_wish_for_a_registry_is_read(text):
    name, wanted = split_spec(text)
    assert is_name(name)
    assert wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "a@",
        "a@file:x",
        "a@git+https://x.invalid/a",
        "a@x/y",
        "a@npm:b@1",
        "../a",
        "a@1;x",
        "https://x.invalid/a",
        "--x",
        "a@$(x)",
    ],
)
def test_a_wish_for_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="is not a package of a registry"):
        split_spec(text)


@pytest.mark.parametrize(
    "text",
    [
        "[[npm]]\n",
        '[[npm]]\npackages = ["a"]\nlockfile = "l"\n',
        '[[npm]]\npackages = ["a@file:b"]\n',
        '[[npm]]\npackages = ["a"]\nplatforms = ["dos-x86"]\n',
        '[[npm]]\npackages = ["a"]\nscripts = true\n',
    ],
)
def test_a_wrong_table_is_named(text):
    with pytest.raises(ManifestError):
        parse_manifest(text.encode())


def packed(tmp_path, members, limits=None, data=None):
    file = tmp_path / "x.tgz"
    file.write_bytes(data if data is not None else make_tarball(members))
    return read_tarball(file, "x", limits or Limits())


def test_an_archive_is_read_whatever_its_folder_is_called(tmp_path):
    data = make_tarball(
        {"package.json": b'\xef\xbb\xbf{"name":"x"}', "binding.gyp": b"{}", "sub/package.json": b"!"},
        "strange",
    )
    found = packed(tmp_path, None, data=data)
    assert (found.package, found.gyp, found.files) == ({"name": "x"}, True, 3)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"other": b"{}"},
        {"package.json": b"{"},
        {"package.json": b"[]"},
        {"package.json": b"\xff"},
        [("package.json", b"{}"), ("package.json", b'{"scripts":{}}')],
        [("package.json", b"{}"), ("../other/package.json", b"{}"), ("package.json", b"{}")],
    ],
)
def test_an_archive_that_says_two_things_or_nothing_is_refused(tmp_path, members):
    with pytest.raises(BadTarballError):
        packed(tmp_path, members)


@pytest.mark.parametrize("data", [b"", b"not packed", make_tarball({"package.json": b"{}" * 50_000})[:-200]])
def test_a_damaged_archive_is_refused(tmp_path, data):
    with pytest.raises(BadTarballError):
        packed(tmp_path, None, data=data)


def test_an_archive_is_bounded(tmp_path):
    members = {"package.json": b"{}", "a": b"1" * 100}
    for limits in (Limits(members=1), Limits(file_bytes=50), Limits(metadata_bytes=1)):
        with pytest.raises(CollectLimitError):
            packed(tmp_path, members, limits)


def test_an_endless_header_is_not_read_into_memory(tmp_path):
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        info = tarfile.TarInfo("package/x")
        info.type, info.size = tarfile.XHDTYPE, 1 << 32
        archive.addfile(info)
    with pytest.raises(BadTarballError, match="extended header"):
        packed(tmp_path, None, data=sink.getvalue())


def described(package, said=None, *, gyp=False):
    one = Locked(package.name, package.version, package.integrity)
    manifest = {"name": package.name, "version": package.version, **package.package}
    return describe(
        one,
        "0" * 40,
        Packed(manifest, gyp=gyp, shrinkwrap=False, files=1, unpacked=1),
        {**manifest, **(said or {})},
    )


def test_what_registry_and_archive_say_is_kept():
    said = {
        "dist": {"signatures": [{"keyid": "k", "sig": "s"}, {"keyid": 1}]},
        "time": {"1.0.0": "2026-01-02T03:04:05.678Z"},
        "dist-tags": {"latest": "1.0.0", "next": "2.0.0"},
        "deprecated": "use another",
        "maintainers": ["bob <b@example.org>", {"name": "ann", "email": "a@example.org"}, 7],
    }
    found = described(TREE, said)
    version = found.version
    assert version.signatures[0].sig == "s"
    assert len(version.signatures) == 1
    assert version.published is not None
    assert version.published.isoformat() == "2026-01-02T03:04:05+00:00"
    assert version.tags == ("latest",)
    assert version.maintainers == ("ann <a@example.org>", "bob <b@example.org>")
    assert version.install_script
    assert version.scripts == {"postinstall": "node x"}
    assert found.differs == ()


@pytest.mark.parametrize(
    ("said", "differs"),
    [
        ({"dependencies": {}}, ("dependencies",)),
        ({"scripts": {}}, ("install_script",)),
        ({"bin": "evil.js"}, ("bin",)),
        ({"optionalDependencies": {"x": "1"}}, ("optional",)),
        ({"peerDependencies": {"x": "1"}}, ("peers",)),
        ({"dependencies": {"leaf": "^2", "o": "1"}, "optionalDependencies": {"o": "1"}}, ("optional",)),
        ({"scripts": {"postinstall": "node x", "test": "y"}}, ()),
    ],
)
def test_manifest_confusion_is_seen_and_the_archive_believed(said, differs):
    found = described(TREE, said)
    assert found.differs == differs
    assert found.version.dependencies == {"leaf": "^2"}
    assert found.version.install_script
    assert found.version.optional == found.version.peers == found.version.bin == {}


def test_a_gyp_file_is_a_script():
    found = described(NpmPackage("a", "1.0.0"), gyp=True)
    assert found.version.scripts == {"install": "node-gyp rebuild"}


def test_an_archive_of_another_version_is_refused():
    for change in ({"name": "other"}, {"version": "9.9.9"}, {"version": None}):
        with pytest.raises(BadTarballError):
            described(NpmPackage("a", "1.0.0", change))


def test_strange_values_do_no_harm():
    strange = {
        "dependencies": ["x"], "bin": 7, "os": 1, "keywords": "one", "license": {"type": "MIT"},
        "repository": "r",
        "engines": ["node"], "bundleDependencies": True, "scripts": "x",
        "peerDependenciesMeta": {"p": {"optional": True}, "q": 1},
        "description": "a\nb\x00c", "homepage": {"x": 1},
    }  # fmt: skip
    found = described(NpmPackage("a", "1.0.0", strange)).version
    assert (found.licence, found.repository, found.description) == ("MIT", "r", "a b c")
    assert (found.optional_peers, found.keywords, found.dependencies, found.bin) == (("p",), ("one",), {}, {})


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("npm error code E404\nnpm error 404 Not Found - GET https://u:p@r.invalid/x", UnresolvableError),
        ("npm ERR! code ETARGET\nnpm ERR! notarget No matching version", UnresolvableError),
        ("npm error code EINTEGRITY\nnpm error sha512-x integrity checksum failed", DigestMismatchError),
        ("npm error code ECONNREFUSED\nnpm error syscall connect", UnreachableError),
        ("npm error code ENOSPC\nnpm error nospc", DiskFullError),
        ("something else", InstallerError),
        ("", InstallerError),
    ],
)
def test_what_npm_says_becomes_the_right_error(words, kind):
    error = blame(words, 1)
    assert type(error) is kind
    assert "u:p@" not in str(error)


def room(tmp_path):
    made = make_room(tmp_path)
    object.__setattr__(made, "blobs", FileBlobs(tmp_path / "blobs"))
    return made


def gather(tmp_path, client, previous=None, **section):
    made = room(tmp_path)
    chosen = NpmSection(**(section or {"packages": ("@garden/tree",)}))
    return npm_packages(made, client, [chosen], previous), made


def test_a_list_becomes_artifacts_with_two_files_each(tmp_path):
    client = MemoryNpm([LEAF, TREE])
    found, made = gather(tmp_path, client)
    assert [a.purl for a in found] == ["pkg:npm/%40garden/tree@1.0.0", "pkg:npm/leaf@2.1.0"]
    tree = found[0]
    assert [(f.path, f.role) for f in tree.files] == [
        ("npm/@garden/tree/tree-1.0.0.tgz", Role.DISTRIBUTION),
        ("npm/@garden/tree/tree-1.0.0.tgz.json", Role.CORE_METADATA),
    ]
    assert tree.attributes["install-script"] == "yes"
    assert made.blobs.read(tree.files[0].sha256) == TREE.data
    known = decode(NpmVersion, made.blobs.read(tree.files[1].sha256))
    assert known.integrity == TREE.integrity
    assert "runs a script when it is installed" in " ".join(made.notes)


def test_what_the_previous_lock_holds_is_not_fetched_again(tmp_path):
    client = MemoryNpm([LEAF, TREE])
    found, _ = gather(tmp_path, client)
    assert sorted(client.fetched) == ["@garden/tree@1.0.0", "leaf@2.1.0"]
    again, _ = gather(tmp_path, client, make_lock(*found))
    assert again == found
    assert len(client.fetched) == 2


def test_an_archive_that_is_not_what_the_lock_says_is_refused(tmp_path):
    client = MemoryNpm([LEAF, TREE])
    client.swap = {"leaf@2.1.0": make_tarball({"package.json": b'{"name":"leaf","version":"2.1.0"}'})}
    with pytest.raises(DigestMismatchError, match="registry's archive"):
        gather(tmp_path, client)
    held = FileBlobs(tmp_path / "blobs")
    assert not held.has(hashlib.sha256(client.swap["leaf@2.1.0"]).hexdigest())


def test_a_lock_file_is_taken_as_it_is(tmp_path):
    (tmp_path / "package-lock.json").write_bytes(
        lock_of(**{"node_modules/leaf": entry("2.1.0", integrity=LEAF.integrity)})
    )
    client = MemoryNpm([LEAF])
    found, _ = gather(tmp_path, client, lockfile="package-lock.json")
    assert [a.name for a in found] == ["leaf"]
    assert client.locked == []
    with pytest.raises(SourceMissingError):
        gather(tmp_path, client, lockfile="absent.json")


def test_development_dependencies_can_be_left_out(tmp_path):
    lock = lock_of(**{"node_modules/leaf": entry("2.1.0", integrity=LEAF.integrity, dev=True)})
    (tmp_path / "l.json").write_bytes(lock)
    assert gather(tmp_path, MemoryNpm([LEAF]), lockfile="l.json", development=False)[0] == []


@pytest.mark.parametrize(
    "package",
    [
        b"{",
        b"[]",
        b'{"workspaces": ["a"]}',
        b'{"dependencies": {"a": "git+https://x.invalid/a.git"}}',
        b'{"devDependencies": {"a": "file:../a"}}',
        b'{"optionalDependencies": {"a": "user/repository"}}',
        b'{"dependencies": {"a": 7}}',
        b'{"dependencies": ["a"]}',
    ],
)
def test_a_project_that_would_lead_npm_elsewhere_is_refused(tmp_path, package):
    (tmp_path / "package.json").write_bytes(package)
    with pytest.raises(LockfileError):
        gather(tmp_path, MemoryNpm([LEAF]), package_json="package.json")


def test_a_projects_own_settings_reach_the_client(tmp_path):
    (tmp_path / "web").mkdir()
    (tmp_path / "web/package.json").write_text('{"dependencies": {"leaf": "npm:leaf@^2"}}')
    (tmp_path / "web/.npmrc").write_text("registry=https://r.invalid/\n")
    client = MemoryNpm([LEAF])
    gather(tmp_path, client, package_json="web/package.json")
    assert client.settings == {b"registry=https://r.invalid/\n"}


def test_a_list_that_does_not_fit_together_is_resolved_apart(tmp_path):
    client = MemoryNpm([LEAF, TREE], quarrel=True)
    found, made = gather(tmp_path, client, packages=("leaf", "@garden/tree"))
    assert [a.name for a in found] == ["@garden/tree", "leaf"]
    assert any("each was resolved by itself" in note for note in made.notes)


def test_two_labels_for_one_version_are_refused(tmp_path):
    sections = [NpmSection(packages=("leaf",)), NpmSection(packages=("leaf",), label="public")]
    with pytest.raises(DuplicateNameError):
        npm_packages(room(tmp_path), MemoryNpm([LEAF]), sections, None)


def test_space_is_demanded_before_anything_is_fetched(tmp_path):
    made = room(tmp_path)
    object.__setattr__(made, "free", lambda: 10)
    client = MemoryNpm([LEAF], unpacked=1000)
    with pytest.raises(DiskFullError):
        npm_packages(made, client, [NpmSection(packages=("leaf",))], None)
    assert client.fetched == []


def test_aliases_of_a_list_cannot_collide():
    project = json.loads(project_of(["a@1", "a@2", "@b/a"]))
    assert sorted(project["dependencies"].values()) == ["npm:@b/a@*", "npm:a@1", "npm:a@2"]


def test_the_example_of_a_manifest_is_read(tmp_path):
    file = tmp_path / "m.toml"
    file.write_text('[[npm]]\npackages = ["leaf@^2"]\nplatforms = ["linux-x64"]\n')
    assert load_manifest(file, Limits()).content.npm[0].platforms == ("linux-x64",)


def test_attestations_cross_beside_the_archive_and_are_asked_for_once(tmp_path):
    world = World()
    at = f"memory:{npmregistry.BELOW}leaf@2.1.0"
    made = world.bundle(npmregistry.statement("pkg:npm/leaf@2.1.0", hashlib.sha512(LEAF.data).hexdigest()))
    client = MemoryNpm([LEAF, TREE])
    client.attestations = {at: npmregistry.answer((npmregistry.SLSA, made))}
    found, room_ = gather(tmp_path, client)
    leaf = next(a for a in found if a.name == "leaf")
    kept = leaf.files[-1]
    assert (kept.path, kept.role) == ("npm/leaf/leaf-2.1.0.tgz.provenance", Role.PROVENANCE)
    assert room_.blobs.read(kept.sha256) == client.attestations[at]
    assert leaf.attributes["publishers"] == REPOSITORY
    assert leaf.attributes["signed"] == "yes"
    assert room_.notes == ["@garden/tree 1.0.0 runs a script when it is installed."]
    client.attestations[at] = b""  # named, and no longer given
    again, _ = gather(tmp_path, client, make_lock(*found))
    assert again == found
    without, room_ = gather(tmp_path, client)
    assert len(next(a for a in without if a.name == "leaf").files) == 2
    assert any("leaf 2.1.0: attestations are named but were not kept" in note for note in room_.notes)
    client.attestations[at] = b'{"error": "not found"}'
    without, room_ = gather(tmp_path, client)
    assert len(next(a for a in without if a.name == "leaf").files) == 2
    assert any("holds no attestations" in note for note in room_.notes)


def test_what_attestations_name_as_their_source_is_one_line():
    def said(predicate):
        payload = b64encode(json.dumps({"predicate": predicate}).encode()).decode()
        return sources_of(json.dumps({"attestations": [{"bundle": {"dsseEnvelope": {"payload": payload}}}]}))

    old = {"invocation": {"configSource": {"uri": "git+https://forge.example/acme/demo@refs/heads/main"}}}
    assert said(old) == ("https://forge.example/acme/demo",)
    assert said({"name": "demo"}) == ()
    assert said({"invocation": {"configSource": {"uri": "a,b\x1b[2J"}}}) == ()
    assert said({"invocation": {"configSource": {"uri": "a,\n b"}}}) == ("a b",)
    for data in (
        b"",
        b"{}",
        b'{"attestations": []}',
        b'{"attestations":[{"bundle":{"dsseEnvelope":{"payload":"e"}}}]}',
    ):
        with pytest.raises(NoAttestationsError):
            sources_of(data)
