"""Collections through the machine's own npm: from another mirror without a network, and from a registry."""

import hashlib
import json
import os
import sys
from datetime import UTC, datetime

import pytest

from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite, admitted
from corpora.npmpackages import NpmPackage
from lockgate.collect import NpmCommand, PipPackages, UrlWeb, collect
from lockgate.collect.errors import UnresolvableError
from lockgate.core.artifact import Kind, Lock
from lockgate.core.ports import Silent
from lockgate.core.wire import decode, encode
from lockgate.mirror import generate_pages
from lockgate.store import FileBlobs

PACKAGES = (
    NpmPackage(
        "leaf",
        "1.0.0",
        facts={"deprecated": "leaf 1 has a hole", "maintainers": ("ann <ann@example.org>",)},
    ),
    NpmPackage("leaf", "2.1.0", facts={"tags": ("latest",), "maintainers": ("ann <ann@example.org>",)}),
    NpmPackage("a-b", "1.0.0"),
    NpmPackage("@a/b", "1.0.0", {"dependencies": {"leaf": "^2"}}),
    NpmPackage("scripted", "1.0.0", {"scripts": {"preinstall": "touch was-run"}}),
    NpmPackage("wants-leaf-1", "1.0.0", {"peerDependencies": {"leaf": "^1"}}),
    NpmPackage("wants-leaf-2", "1.0.0", {"peerDependencies": {"leaf": "^2"}}),
)
COLLECT = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from lockgate.collect import NpmCommand, PipPackages, UrlWeb, collect
from lockgate.core.errors import LockgateError
from lockgate.core.ports import Silent
from lockgate.core.wire import decode, encode
from lockgate.core.artifact import Lock
from lockgate.store import FileBlobs
folder = Path(sys.argv[1])
lock = folder / "lock.json"
try:
    found = collect(
        folder / "m.toml", blobs=FileBlobs(folder / "blobs"), work=folder / "work", lane="x",
        clock=lambda: datetime.now(UTC), progress=Silent(), packages=PipPackages(os.environ), web=UrlWeb(),
        npm=NpmCommand(os.environ), previous=decode(Lock, lock.read_bytes()) if lock.exists() else None,
    )
except LockgateError as error:
    sys.exit(str(error))
lock.write_bytes(encode(found.lock))
print("\\n".join(found.log))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = MirrorSite(tmp_path_factory.mktemp("upstream"))
    for package in PACKAGES:
        site.add_npm(package)
    site.publish()
    with Server(site) as running:
        yield running


def gather(server, folder, manifest, *, check=True):
    folder.mkdir(exist_ok=True)
    (folder / "m.toml").write_text(manifest)
    environment = {
        "npm_config_registry": f"{server.url}/npm/",
        "npm_config_cache": str(folder / "cache"),
        "npm_config_userconfig": str(folder / "none.npmrc"),
        "npm_config_globalconfig": str(folder / "none-global.npmrc"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = server.run(sys.executable, "-c", COLLECT, str(folder), check=check, **environment)
    lock = folder / "lock.json"
    return (decode(Lock, lock.read_bytes()) if lock.exists() else None), done


ALL = '[[npm]]\npackages = ["leaf@^1", "leaf", "a-b", "@a/b@1", "scripted"]\n'


def test_a_mirror_of_a_mirror_is_the_same_byte_for_byte(server, tmp_path):
    lock, done = gather(server, tmp_path / "own", ALL)
    blobs = FileBlobs(tmp_path / "own/blobs")
    mine = {p.path: p.body for p in generate_pages([admitted(a) for a in lock.artifacts], blobs.read)}
    theirs = [e for e in server.site.entries if not e.artifact.name.startswith("wants")]
    other = {p.path: p.body for p in generate_pages(theirs, server.site.blobs.read)}
    kept = [path for path in mine if path.startswith("npm/")]
    assert len(kept) == 9
    for path in kept:
        assert json.loads(mine[path]) == json.loads(other[path]), path
        assert mine[path] == other[path]
    assert "leaf 1.0.0 is deprecated upstream: leaf 1 has a hole" in done.stdout
    assert not list(tmp_path.rglob("was-run"))
    scripted = next(a for a in lock.artifacts if a.name == "scripted")
    assert scripted.attributes["install-script"] == "yes"


def test_nothing_is_fetched_again_and_the_lock_stays(server, tmp_path):
    first, _ = gather(server, tmp_path / "own", ALL)
    (tmp_path / "own/lock.json").write_bytes(encode(first))
    again, _ = gather(server, tmp_path / "own", ALL)
    assert again == first


def test_wishes_that_do_not_fit_together_are_resolved_apart(server, tmp_path):
    lock, done = gather(server, tmp_path / "own", '[[npm]]\npackages = ["wants-leaf-1", "wants-leaf-2"]\n')
    assert {(a.name, a.version) for a in lock.artifacts} >= {("leaf", "1.0.0"), ("leaf", "2.1.0")}
    assert "each was resolved by itself" in done.stdout


def test_a_project_and_its_lock_are_collected_alike(server, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "package.json").write_text('{"dependencies": {"@a/b": "^1"}, "devDependencies": {"a-b": "^1"}}')
    lock, _ = gather(server, folder, '[[npm]]\npackage_json = "package.json"\n')
    assert [a.name for a in lock.artifacts] == ["@a/b", "a-b", "leaf"]
    without, _ = gather(server, folder, '[[npm]]\npackage_json = "package.json"\ndevelopment = false\n')
    assert [a.name for a in without.artifacts] == ["@a/b", "leaf"]
    place = (
        "env",
        "-C",
        str(folder),
        "npm",
        "install",
        "--package-lock-only",
        "--registry",
        f"{server.url}/npm/",
    )
    server.run(*place)
    by_lock, _ = gather(server, folder, '[[npm]]\nlockfile = "package-lock.json"\n')
    assert by_lock.artifacts == lock.artifacts


def test_the_settings_of_another_project_above_are_not_taken(server, tmp_path):
    folder = tmp_path / "own"
    (folder / "web").mkdir(parents=True)
    (folder / "package.json").write_text("{}")
    (folder / ".npmrc").write_text("@a:registry=http://127.0.0.1:9/\nfetch-retries=0\n")
    (folder / "web/.npmrc").write_text(f"@a:registry={server.url}/npm/\n")
    (folder / "web/package.json").write_text('{"dependencies": {"@a/b": "^1"}}')
    lock, _ = gather(server, folder, '[[npm]]\npackage_json = "web/package.json"\n')
    assert [a.name for a in lock.artifacts] == ["@a/b", "leaf"]


@pytest.mark.parametrize(
    ("wanted", "code"), [("absent", "E404"), ("leaf@^9", "ETARGET"), ("@a/absent", "E404")]
)
def test_what_nobody_offers_is_told_in_npms_words(server, tmp_path, wanted, code):
    lock, done = gather(server, tmp_path / "own", f'[[npm]]\npackages = ["{wanted}"]\n', check=False)
    assert lock is None
    assert "LG-1502" in done.stderr
    assert code in done.stderr


def test_an_update_is_shown_before_it_is_fetched(tmp_path):
    """The command itself, with a registry that moves on between two collections."""
    from corpora.commands import Commands

    site = MirrorSite(tmp_path / "upstream")
    site.add_npm(NpmPackage("leaf", "1.0.0", facts={"maintainers": ("ann",)}))
    site.publish()
    Commands().json("lane", "init", tmp_path / "lane", "--name", "plant")
    manifest = tmp_path / "m.toml"
    manifest.write_text('[[npm]]\npackages = ["leaf"]\n')
    with Server(site) as server:

        def lockgate(*words):
            settings = {"npm_config_registry": f"{server.url}/npm/", "PYTHONPATH": os.pathsep.join(sys.path)}
            settings |= {"npm_config_cache": str(tmp_path / "cache"), "npm_config_prefer_online": "true"}
            command = (sys.executable, "-m", "lockgate.cli.main", *map(str, words))
            return json.loads(
                server.run(*command, "--home", tmp_path / "lane/low", "--json", **settings).stdout
            )

        assert lockgate("collect", manifest)["artifacts"] == 1
        assert lockgate("collect", manifest, "--update", "--dry-run") == {"foreseen": []}
        later = NpmPackage(
            "leaf", "1.1.0", {"scripts": {"install": "true"}}, facts={"maintainers": ("ann", "eve")}
        )
        site.add_npm(later, crossing=2)
        site.publish()
        archives = len(list((tmp_path / "lane/low/blobs").rglob("*")))
        (found,) = lockgate("collect", manifest, "--update", "--dry-run")["foreseen"]
        assert (found["before"], found["now"]) == (["1.0.0"], ["1.1.0"])
        assert found["warnings"] == [
            "new maintainer eve",
            "runs a script at installation, for the first time",
        ]
        assert len(list((tmp_path / "lane/low/blobs").rglob("*"))) == archives
        (change,) = lockgate("collect", manifest, "--update", "--yes", "--only", "npm")["changes"]
        assert change["warnings"] == found["warnings"]


@pytest.mark.online
def test_real_packages_of_the_configured_registry(tmp_path):
    (tmp_path / "m.toml").write_text(
        '[[npm]]\nplatforms = ["linux-x64"]\npackages = ["is-odd", "@sindresorhus/is@^4", "esbuild@0.21.5"]'
    )

    def once(previous=None):
        return collect(
            tmp_path / "m.toml",
            blobs=FileBlobs(tmp_path / "blobs"),
            work=tmp_path / "work",
            lane="online",
            clock=lambda: datetime.now(UTC),
            progress=Silent(),
            packages=PipPackages(os.environ),
            web=UrlWeb(),
            npm=NpmCommand(os.environ),
            previous=previous,
        )

    found = once()
    names = {a.name: a for a in found.lock.artifacts}
    assert {"is-odd", "is-number", "@sindresorhus/is", "esbuild", "@esbuild/linux-x64"} == set(names)
    assert all(a.kind is Kind.NPM and a.licence == "MIT" for a in names.values())
    assert names["esbuild"].attributes["install-script"] == "yes"
    assert names["is-odd"].files[0].uploaded is not None
    assert once(found.lock).lock is found.lock
    (tmp_path / "m.toml").write_text('[[npm]]\npackages = ["is-odd@0.0.1-absent"]\n')
    with pytest.raises(UnresolvableError, match="is-odd"):
        once()


def test_attestations_are_asked_of_the_registry_that_npm_names_and_verify(tmp_path):
    from corpora.npmregistry import SLSA, answer, registry, statement
    from corpora.signing import NOW, REPOSITORY, World
    from lockgate.core.provenance import State
    from lockgate.inspect.provenance import npm_attestations

    world = World()
    demo, lost, plain = (NpmPackage(name, "1.0.0") for name in ("@acme/demo", "lost", "plain"))
    purl, digest = "pkg:npm/%40acme/demo@1.0.0", hashlib.sha512(demo.data).hexdigest()
    kept = answer((SLSA, world.bundle(statement(purl, digest))))
    with registry((demo, lost, plain), {"@acme/demo@1.0.0": kept, "lost@1.0.0": b""}) as (address, asked):
        environment = {
            "PATH": os.environ["PATH"],
            "npm_config_registry": f"{address}/",
            "npm_config_cache": str(tmp_path / "cache"),
            "npm_config_userconfig": str(tmp_path / "none"),
            "npm_config_globalconfig": str(tmp_path / "none-global"),
        }
        (tmp_path / "m.toml").write_text('[[npm]]\npackages = ["@acme/demo", "lost", "plain"]\n')
        blobs = FileBlobs(tmp_path / "blobs")
        found = collect(
            tmp_path / "m.toml", blobs=blobs, work=tmp_path / "work", lane="x", clock=lambda: NOW,
            progress=Silent(), packages=PipPackages(environment), web=UrlWeb(), npm=NpmCommand(environment),
        )  # fmt: skip
    by_name = {a.name: a for a in found.lock.artifacts}
    roles = {name: [f.role.value for f in a.files] for name, a in by_name.items()}
    assert roles["@acme/demo"] == ["distribution", "core-metadata", "provenance"]
    assert roles["lost"] == roles["plain"] == ["distribution", "core-metadata"]
    assert any("lost 1.0.0: attestations are named but were not kept" in line for line in found.log)
    assert by_name["@acme/demo"].attributes["publishers"] == REPOSITORY
    assert not any(path.endswith("plain@1.0.0") for path in asked)
    (fact,) = npm_attestations.judge(
        blobs.read(by_name["@acme/demo"].files[2].sha256), purl, digest, world.roots(), NOW
    )
    assert (fact.state, fact.repository) == (State.VERIFIED, REPOSITORY)
