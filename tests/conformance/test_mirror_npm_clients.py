"""Unmodified npm, pnpm and yarn against the mirror, in a namespace that has no network but loopback."""

import json
import os
import shutil
import subprocess
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from corpora.advisories import archive, osv
from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite
from corpora.nodeclients import Node
from corpora.npmpackages import NpmPackage
from corpora.proxies import CUTTING_PORT, cutting
from lockgate.advisories import Loading, Shelf, Wish, load
from lockgate.core.npm import NpmSignature
from lockgate.core.ports import Silent

LEAF_1 = NpmPackage("leaf", "1.0.0", facts={"deprecated": "leaf 1 has a hole, use 2"})
LEAF_2 = NpmPackage("leaf", "2.1.0", facts={"tags": ("latest",), "description": "A leaf of a tree"})
LEAF_3 = NpmPackage("leaf", "3.0.0-rc.1", facts={"tags": ("next",)})
SCOPED = NpmPackage(
    "@garden/Tree.trunk",
    "1.0.0",
    {"dependencies": {"leaf": "^2"}, "bin": {"trunk": "cli.js"}},
    files={"cli.js": b"#!/usr/bin/env node\nconsole.log('a trunk with ' + require('leaf'));\n"},
    facts={"keywords": ("wood", "forestry"), "maintainers": ("ann <ann@example.org>",)},
)
OPTIONAL = NpmPackage("picky", "1.0.0", {"optionalDependencies": {"leaf": "^2", "not-for-us": "^1"}})
BIG = NpmPackage("big", "1.0.0", files={"noise.bin": os.urandom(400_000)})


def fill(site):
    for package in (LEAF_1, LEAF_2, LEAF_3, SCOPED, OPTIONAL, BIG):
        site.add_npm(package)
    site.publish()
    return site


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = fill(MirrorSite(tmp_path_factory.mktemp("mirror")))
    hole = osv(
        "GHSA-1",
        "leaf",
        ("introduced", "0"),
        ("fixed", "2.0.0"),
        ecosystem="npm",
        type="SEMVER",
        summary="A hole in old leaves",
        severity=[{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
    )
    data = archive(site.root / "osv.zip", [hole])
    load(Shelf(site.root / "advisories"), data, Wish(), Loading(datetime.now(UTC), Silent()))
    with Server(site) as running:
        yield running


@pytest.fixture
def npm(server, tmp_path):
    return Node(server, tmp_path / "project", "npm")


TREE = {"@garden/Tree.trunk": "^1", "leaf": "^2"}


def test_npm_installs_a_scoped_package_and_what_it_depends_on(npm):
    npm.package(**TREE)("install", "--no-audit")
    assert npm.says("leaf") == "leaf 2.1.0"
    assert npm("exec", "--offline", "trunk").stdout.strip() == "a trunk with leaf 2.1.0"
    lock = json.loads((npm.folder / "package-lock.json").read_text())["packages"]
    assert lock["node_modules/leaf"]["integrity"] == LEAF_2.integrity
    assert lock["node_modules/leaf"]["resolved"] == f"{npm.registry}leaf/-/leaf-2.1.0.tgz"


def test_npm_ci_installs_from_the_lock_and_refuses_another_digest(npm, server, tmp_path):
    npm.package(**TREE)("install", "--no-audit")
    again = Node(server, tmp_path / "again", "npm")
    for name in ("package.json", "package-lock.json"):
        (again.folder / name).write_bytes((npm.folder / name).read_bytes())
    again("ci", "--no-audit")
    assert again.says("leaf") == "leaf 2.1.0"
    lock = again.folder / "package-lock.json"
    lock.write_text(lock.read_text().replace(LEAF_2.integrity, LEAF_1.integrity))
    done = again("ci", "--no-audit", "--cache", str(tmp_path / "fresh"), check=False)
    assert done.returncode != 0
    assert "EINTEGRITY" in done.stderr


def test_npm_is_told_of_deprecation_and_follows_tags(npm):
    done = npm.package(leaf="1.0.0")("install", "--no-audit")
    assert "leaf 1 has a hole, use 2" in done.stderr
    npm("install", "--no-audit", "leaf@next")
    assert npm.says("leaf") == "leaf 3.0.0-rc.1"
    tags = npm("dist-tag", "ls", "leaf").stdout.split()
    assert tags == ["latest:", "2.1.0", "next:", "3.0.0-rc.1"]


def test_an_optional_package_that_did_not_cross_hinders_nobody(npm):
    npm.package(picky="1")("install", "--no-audit")
    assert npm.says("picky") == "picky 1.0.0"
    assert npm.says("leaf") == "leaf 2.1.0"


def test_npm_says_plainly_what_is_missing(npm, server):
    before = server.metric("lockgate_mirror_misses_total")
    done = npm.package(**{"@garden/absent": "1"})("install", check=False)
    assert done.returncode != 0
    assert "E404" in done.stderr
    assert "No package called @garden/absent has been admitted." in done.stderr
    assert server.metric("lockgate_mirror_misses_total") > before
    done = npm.package(leaf="^9")("install", check=False)
    assert "ETARGET" in done.stderr


def test_npm_views_and_searches(npm):
    seen = json.loads(npm("view", "leaf", "--json").stdout)
    assert seen["versions"] == ["1.0.0", "2.1.0", "3.0.0-rc.1"]
    assert seen["dist-tags"] == {"latest": "2.1.0", "next": "3.0.0-rc.1"}
    assert seen["time"]["2.1.0"] == "2026-01-02T03:04:05.000Z"
    assert seen["license"] == "MIT"
    found = json.loads(npm("search", "FORESTRY", "--json").stdout)
    assert [(f["name"], f["version"]) for f in found] == [("@garden/Tree.trunk", "1.0.0")]
    assert json.loads(npm("search", "nothing-of-this", "--json").stdout) == []
    assert "PONG" in npm("ping").stderr


def test_npm_revalidates_and_fetches_nothing_again(npm, server):
    npm.package(**TREE)("install", "--no-audit")
    before, unchanged = sent(server), not_modified(server)
    (npm.folder / "package-lock.json").unlink()
    subprocess.run(["rm", "-r", str(npm.folder / "node_modules")], check=True)
    npm("install", "--no-audit", "--prefer-online")
    assert not_modified(server) - unchanged >= 2
    assert sent(server) == before


def sample(server, name):
    lines = server.run("curl", "-sf", f"{server.url}/metrics").stdout.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def sent(server):
    return sample(server, 'lockgate_mirror_response_bytes_total{protocol="npm"}')


def not_modified(server):
    return sample(server, 'lockgate_mirror_requests_total{protocol="npm",status="304"}')


def test_npm_audits_against_the_loaded_advisories(npm):
    done = npm.package(leaf="1.0.0")("install")
    assert "1 critical severity vulnerability" in done.stdout
    report = npm("audit", "--json", check=False)
    assert report.returncode == 1
    found = json.loads(report.stdout)["vulnerabilities"]["leaf"]
    assert (found["severity"], found["via"][0]["range"]) == ("critical", "<2.0.0")
    assert found["via"][0]["title"] == "A hole in old leaves"
    assert found["fixAvailable"]["version"] == "2.1.0"
    npm("install", "leaf@2")
    assert "found 0 vulnerabilities" in npm("audit").stdout


def test_without_advisories_an_audit_is_no_clean_one(tmp_path):
    with Server(fill(MirrorSite(tmp_path / "bare"))) as bare:
        npm = Node(bare, tmp_path / "project", "npm").package(leaf="^2")
        npm("install")
        done = npm("audit", check=False)
        assert done.returncode != 0
        assert "audit endpoint returned an error" in done.stderr


VERIFY = """
const [registry, name, version] = process.argv.slice(1)
const own = require(require('path').join(process.env.NPM, 'node_modules/npm-registry-fetch'))
const pacote = require(require('path').join(process.env.NPM, 'node_modules/pacote'))
const pem = key => `-----BEGIN PUBLIC KEY-----\\n${key}\\n-----END PUBLIC KEY-----`
const at = registry.replace(/^https?:/, '') + ':_keys'
own.json('/-/npm/v1/keys', { registry })
  .then(said => said.keys.map(key => ({ ...key, pemkey: pem(key.key) })))
  .then(keys => pacote.manifest(`${name}@${version}`, { registry, [at]: keys, verifySignatures: true }))
  .then(found => console.log(found._signatures.length, found._id), error => console.log(error.code))
"""


def test_npms_own_verifier_believes_registry_signatures_by_the_keys_that_are_told(tmp_path):
    """``npm audit signatures`` does this once it has asked Sigstore's own server, which is not here."""
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    site = MirrorSite(tmp_path / "site")
    for name, signer in (("signed", key), ("forged", other)):
        package = NpmPackage(name, "1.0.0")
        said = f"{name}@1.0.0:{package.integrity}".encode()
        signature = b64encode(signer.sign(said, ec.ECDSA(hashes.SHA256()))).decode()
        package.facts["signatures"] = (NpmSignature(keyid="SHA256:registry", sig=signature),)
        site.add_npm(package)
    site.publish()
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    (site.root / "npm-keys").mkdir()
    (site.root / "npm-keys/SHA256:registry.der").write_bytes(key.public_key().public_bytes(*form))
    installed = str(Path(shutil.which("npm")).resolve().parents[1])

    with Server(site) as server:

        def verified(name):
            script = ("node", "-e", VERIFY, f"{server.url}/npm/", name, "1.0.0")
            return server.run(*script, NPM=installed).stdout.split()

        assert verified("signed") == ["1", "signed@1.0.0"]
        assert verified("forged") == ["EINTEGRITYSIGNATURE"]


@pytest.fixture
def cut(server):
    with cutting(server, ".tgz") as proxy:
        yield proxy


def test_a_download_that_breaks_off_leaves_nothing_broken_behind(server, cut, tmp_path):
    """npm repeats no answer that breaks off in the middle: the same command is what goes on."""
    npm = Node(server, tmp_path / "cut", "npm", port=CUTTING_PORT).package(big="1")
    done = npm("install", "--no-audit", check=False)
    assert done.returncode != 0
    assert "ECONNRESET" in done.stderr
    assert cut.seen(done) == "/npm/big/-/big-1.0.0.tgz"
    assert not (npm.folder / "node_modules/big").exists()
    npm("install", "--no-audit")
    assert npm.says("big") == "big 1.0.0"
    assert (npm.folder / "node_modules/big/noise.bin").read_bytes() == BIG.files["noise.bin"]
    lock = json.loads((npm.folder / "package-lock.json").read_text())["packages"]
    assert lock["node_modules/big"]["resolved"].startswith(f"http://127.0.0.1:{CUTTING_PORT}/npm/")


def test_a_new_snapshot_reaches_a_project_that_another_client_is_installing_from(tmp_path):
    with Server(fill(MirrorSite(tmp_path / "own"))) as own:
        first = Node(own, tmp_path / "first", "npm").package(big="1", **TREE)
        second = Node(own, tmp_path / "second", "npm").package(late="1")
        assert second("install", "--no-audit", check=False).returncode != 0
        place = ("env", "-C", str(first.folder))
        running = subprocess.Popen(
            own.inside(*place, "npm", "install", "--no-audit"),
            env={**own.environment(), **first.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        own.site.add_npm(NpmPackage("late", "1.0.0"), crossing=2)
        own.site.publish()
        second("install", "--no-audit", "--prefer-online")
        assert second.says("late") == "late 1.0.0"
        output, _ = running.communicate(timeout=120)
        assert running.returncode == 0, output
        assert first.says("leaf") == "leaf 2.1.0"
        assert own.metric("lockgate_mirror_channel_version") == 2


@pytest.fixture(params=["pnpm", "yarn1", "yarn4"])
def other(request, server, tmp_path):
    return Node.of(request.param, server, tmp_path / "project")


@pytest.mark.online
def test_other_clients_install_by_lock_and_say_what_is_missing(other, tmp_path):
    # yarn 1 asks for optional packages by the archive's own package.json once it has a cache.
    wanted = TREE if other.kind == "yarn1" else {"picky": "^1", **TREE}
    other.package(**wanted)("install")
    assert other.says("leaf") == "leaf 2.1.0"
    assert "Tree.trunk 1.0.0" in other.says("@garden/Tree.trunk")
    frozen = {"yarn4": "--immutable"}.get(other.kind, "--frozen-lockfile")
    subprocess.run(["rm", "-r", str(other.folder / "node_modules")], check=True)
    other("install", frozen)
    assert other.says("leaf") == "leaf 2.1.0"
    lock = {"pnpm": "pnpm-lock.yaml"}.get(other.kind, "yarn.lock")
    assert "leaf" in (other.folder / lock).read_text()
    done = other("add", "@garden/absent", check=False)
    assert done.returncode != 0
    words = (done.stdout + done.stderr).replace("%2f", "/")
    says = {
        "pnpm": "ERR_PNPM_FETCH_404",
        "yarn1": "No package called @garden/absent has been admitted.",
        "yarn4": "Package not found",
    }
    assert says[other.kind] in words
    assert "@garden/absent" in words


@pytest.mark.online
@pytest.mark.parametrize("other", ["pnpm", "yarn4"], indirect=True)
def test_other_clients_audit_against_the_loaded_advisories(other):
    """The audit of yarn 1 asks one registry that is written into its code, whatever is configured."""
    other.package(leaf="1.0.0")("install")
    words = ("npm", "audit", "--json") if other.kind == "yarn4" else ("audit", "--json")
    done = other(*words, check=False)
    assert done.returncode != 0
    assert "A hole in old leaves" in done.stdout
    assert "<2.0.0" in done.stdout


@pytest.mark.online
def test_other_clients_refuse_an_archive_that_was_altered(other):
    other.package(leaf="^2")("install")
    name = {"pnpm": "pnpm-lock.yaml"}.get(other.kind, "yarn.lock")
    lock = other.folder / name
    text = lock.read_text()
    if other.kind == "yarn4":
        sum_ = next(line.split("/")[-1] for line in text.splitlines() if "checksum:" in line)
        lock.write_text(text.replace(sum_, "0" * len(sum_)))
    else:
        lock.write_text(text.replace(LEAF_2.integrity, LEAF_1.integrity))
    for left in ("node_modules", ".yarn", "cache", "cache-yarn", ".cache", ".local"):
        subprocess.run(["rm", "-rf", str(other.folder / left)], check=True)
    frozen = {"yarn4": "--immutable"}.get(other.kind, "--frozen-lockfile")
    done = other("install", frozen, check=False)
    assert done.returncode != 0
    words = (done.stdout + done.stderr).lower()
    assert "integrity" in words or "checksum" in words
