"""Unmodified clients with an API key, as `client-config` prints it: they alone get what is restricted."""

import os
import sys
from datetime import UTC, datetime

import msgspec
import pytest

from corpora.aptclient import Apt
from corpora.debs import DebFile, suite
from corpora.dnfclient import Dnf
from corpora.gitrepo import GitRepo
from corpora.images import artifact_of, image
from corpora.lanekey import LaneKey
from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite
from corpora.nodeclients import installed_clients
from corpora.npmpackages import NpmPackage
from corpora.rpms import RpmFile, RpmUpstream
from corpora.rpmsite import fill
from corpora.wheels import build_wheel
from lockgate.infer.keys import FileKeys, new_key
from lockgate.mirror import AptSource, AptSuites, DnfRepositories, DnfSource, client_config

WHEEL, OPEN = build_wheel("secret", "1.0", padding=b"x"), build_wheel("plain", "1.0", padding=b"y")
LEAF = NpmPackage("secret", "1.0.0", facts={"tags": ("latest",)})
DEB = DebFile("leaf", "1.0")
WORDS = RpmFile("words", "7")
WRONG = "lg-0123456789ab-" + "A" * 43


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = MirrorSite(tmp_path_factory.mktemp("mirror"))
    site.add_wheels("secret", "1.0", WHEEL)
    site.add_npm(LEAF)
    site.add_model("team/secret", {"model.gguf": b"GGUF" + bytes(1000), "config.json": b"{}"})
    site.add(artifact_of(site, "upstream.example/team/secret", image(), "1.0"))
    site.add_suite(suite(architectures=("amd64",)))
    site.add_deb(DEB, "bookworm")
    vendor = RpmUpstream(tmp_path_factory.mktemp("upstream") / "repository", packages=[WORDS])
    vendor.publish()
    fill(site, vendor, WORDS)
    repo = GitRepo(tmp_path_factory.mktemp("repo") / "work")
    repo.step(1)
    site.add_git("code.example/team/secret", repo.bundle(), repo.refs())
    site.entries = [
        msgspec.structs.replace(e, artifact=msgspec.structs.replace(e.artifact, label="restricted"))
        for e in site.entries
    ]
    site.add_wheels("plain", "1.0", OPEN)
    site.publish()
    with Server(site, "corpora.mirrorsite:app_with_keys") as running:
        yield running


@pytest.fixture(scope="module")
def key(server):
    secret, kept = new_key("analysts", ("restricted",), lambda: datetime.now(UTC), os.urandom)
    FileKeys(server.site.root / "trust" / "api-keys.json").add(kept)
    return secret


class Client:
    """A home folder that holds what `client-config` prints for one key, and nothing else."""

    def __init__(self, server, folder, client, key):
        self.server, self.folder = server, folder
        self.config = client_config(client, server.url, key=key)
        for file in self.config.files:
            path = folder / file.path.removeprefix("~/").removeprefix("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text)
        folder.mkdir(exist_ok=True)

    def __call__(self, *command, check=True):
        keep = {"HOME": str(self.folder), "PATH": self.server.environment()["PATH"], "LANG": "C.UTF-8"}
        keep |= {**dict(self.config.environment), "GIT_TERMINAL_PROMPT": "0", "HF_HUB_DISABLE_XET": "1"}
        settings = [f"{name}={value}" for name, value in keep.items()]
        return self.server.run("env", "-i", "-C", str(self.folder), *settings, *command, check=check)


@pytest.fixture
def with_keys(server, key, tmp_path):
    """Return what makes three clients: with the key, with a wrong one, without any."""

    def made(client):
        return [
            Client(server, tmp_path / f"{client}-{name}", client, each)
            for name, each in (("mine", key), ("wrong", WRONG), ("none", ""))
        ]

    return made


def test_pip(with_keys):
    mine, wrong, none = with_keys("pip")
    command = (sys.executable, "-m", "pip", "download", "--no-input", "--no-deps", "-d", "out")
    mine(*command, "secret", "plain")
    assert (mine.folder / "out" / WHEEL.filename).read_bytes() == WHEEL.data
    none(*command, "plain")
    assert "No matching distribution" in none(*command, "secret", check=False).stderr
    refused = wrong(*command, "plain", check=False)
    assert refused.returncode != 0
    assert WRONG not in refused.stderr + refused.stdout


def test_uv(with_keys):
    mine, wrong, none = with_keys("uv")
    command = ("uv", "pip", "install", "--target", "out", "--python", sys.executable)
    mine(*command, "secret")
    assert (mine.folder / "out/secret/__init__.py").is_file()
    assert "was not found" in none(*command, "secret", check=False).stderr
    assert "401" in wrong(*command, "secret", check=False).stderr


def test_npm(with_keys):
    mine, wrong, none = with_keys("npm")
    command = ("npm", "install", "secret", "--no-audit", "--fetch-retries=0")
    mine(*command)
    assert (mine.folder / "node_modules/secret/index.js").is_file()
    assert "E404" in none(*command, check=False).stderr
    assert "E401" in wrong(*command, check=False).stderr


@pytest.mark.online
@pytest.mark.parametrize(
    ("client", "script"),
    [
        ("pnpm", "pnpm/bin/pnpm.cjs"),
        ("yarn", "yarn/bin/yarn.js"),
        ("yarn", "@yarnpkg/cli-dist/bin/yarn.js"),
    ],
)
def test_pnpm_and_both_yarns(with_keys, client, script):
    program = str(installed_clients() / script)
    cache = ("env", "YARN_CACHE_FOLDER=cache", "YARN_NODE_LINKER=node-modules")  # nobody else's cache

    def install(each, **options):
        (each.folder / "package.json").write_text('{"name": "project", "dependencies": {"secret": "^1"}}')
        return each(*cache, "node", program, "install", **options)

    mine, wrong, none = with_keys(client)
    install(mine)
    assert (mine.folder / "node_modules/secret/index.js").is_file()
    for other in (none, wrong):
        refused = install(other, check=False)
        assert refused.returncode != 0
        assert WRONG not in refused.stdout + refused.stderr


def test_hugging_face(with_keys):
    mine, wrong, none = with_keys("huggingface")
    command = ("hf", "download", "team/secret", "config.json", "--local-dir", "out")
    mine(*command)
    assert (mine.folder / "out/config.json").read_bytes() == b"{}"
    assert "not found" in none(*command, check=False).stderr.lower()
    assert "401" in wrong(*command, check=False).stderr


def test_git(with_keys):
    mine, wrong, none = with_keys("git")
    command = ("git", "clone", "-q", "https://code.example/team/secret", "out")
    mine(*command)
    assert (mine.folder / "out/.git").is_dir()
    assert none(*command, check=False).returncode != 0
    assert wrong(*command, check=False).returncode != 0


def test_a_registrys_client_logs_in_and_pulls(server, key, tmp_path):
    host = server.url.removeprefix("http://")
    source = f"docker://{host}/upstream.example/team/secret:1.0"
    base = ("skopeo", "--insecure-policy", "copy", "--src-tls-verify=false")
    server.run(
        *base, "--src-creds", f"__token__:{key}", source, f"oci:{tmp_path / 'mine'}:1", TMPDIR=str(tmp_path)
    )
    assert (tmp_path / "mine/index.json").is_file()
    none = server.run(*base, source, f"oci:{tmp_path / 'none'}:1", check=False, TMPDIR=str(tmp_path))
    assert "name unknown" in none.stderr.lower() or "not found" in none.stderr.lower() or "404" in none.stderr
    wrong = server.run(
        *base,
        "--src-creds",
        f"__token__:{WRONG}",
        source,
        f"oci:{tmp_path / 'wrong'}:1",
        check=False,
        TMPDIR=str(tmp_path),
    )
    assert "unauthorized" in wrong.stderr.lower() or "401" in wrong.stderr
    assert (
        server.run(
            "skopeo",
            "login",
            "--tls-verify=false",
            "--username",
            "__token__",
            "--password",
            key,
            "--authfile",
            str(tmp_path / "auth.json"),
            host,
            TMPDIR=str(tmp_path),
        ).returncode
        == 0
    )


def test_buildah_pulls_with_the_key_that_it_logged_in_with(server, key, tmp_path):
    host = server.url.removeprefix("http://")
    policy = tmp_path / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    store = ("--root", str(tmp_path / "store"), "--runroot", str(tmp_path / "run"), "--storage-driver", "vfs")
    authfile = ("--authfile", str(tmp_path / "auth.json"), "--tls-verify=false")
    image_name = f"{host}/upstream.example/team/secret:1.0"
    pull = ("buildah", *store, "pull", *authfile, "--signature-policy", str(policy), image_name)
    isolated = {"BUILDAH_ISOLATION": "chroot", "TMPDIR": str(tmp_path)}
    assert server.run(*pull, check=False, **isolated).returncode != 0
    (tmp_path / "key").write_text(key)
    login = f"buildah login {' '.join(authfile)} -u __token__ --password-stdin {host} < {tmp_path / 'key'}"
    server.run("sh", "-c", login, **isolated)
    server.run(*pull, **isolated)
    assert image_name in server.run("buildah", *store, "images", "--json").stdout


@pytest.mark.parametrize("whose", ["mine", "wrong", "none"])
def test_apt(server, key, tmp_path, whose):
    lane = LaneKey.at(server.site.root / "repository.key")
    known = AptSuites(
        lane.certificate, lane.key.fingerprint, (AptSource("debian", ("bookworm",), ("main",)),)
    )
    config = client_config("apt", server.url, known, key={"mine": key, "wrong": WRONG, "none": ""}[whose])
    apt = Apt(server, tmp_path / "apt", config.files[0].text)
    for file in config.files[1:]:
        path = apt.folder / file.path.removeprefix("/etc/apt/").replace("auth", "etc/auth", 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
    done = apt("update", check=False)
    if whose == "mine":
        assert done.returncode == 0, done.stderr
        apt("install", "--download-only", "-y", "leaf")
        assert apt.held()
    else:
        assert done.returncode != 0
        assert ("401" in done.stderr) == (whose == "wrong")


@pytest.mark.parametrize("whose", ["mine", "wrong", "none"])
def test_dnf(server, key, tmp_path, whose):
    lane = LaneKey.at(server.site.root / "repository.key")
    known = DnfRepositories(lane.certificate, lane.key.fingerprint, (DnfSource("rocky", "base", ""),))
    given = {"mine": key, "wrong": WRONG, "none": ""}[whose]
    config = client_config("dnf", server.url, dnf=known, key=given)
    dnf = Dnf(server, tmp_path / "dnf", {file.path: file.text for file in config.files})
    done = dnf("repoquery", "words", check=False)
    if whose == "mine":
        assert "words-0:7-1.noarch" in done.stdout, done.stderr
    else:
        assert done.returncode != 0
        assert ("401" in done.stderr) == (whose == "wrong")
