"""Printed configuration and rewritten lock files, taken by real clients in a namespace without a network."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from corpora.images import artifact_of, image
from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite
from corpora.nodeclients import installed_clients
from corpora.npmpackages import NpmPackage
from corpora.wheels import build_wheel
from lockgate.mirror import client_config, rewrite

LEAF = NpmPackage("leaf", "2.1.0", facts={"tags": ("latest",)})
TREE = NpmPackage("@garden/tree", "1.0.0", {"dependencies": {"leaf": "^2"}})
WHEEL = build_wheel("twig", "1.0", padding=b"x")
ELSEWHERE = "https://upstream.invalid"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = MirrorSite(tmp_path_factory.mktemp("mirror"))
    for package in (LEAF, TREE):
        site.add_npm(package)
    site.add_wheels("twig", "1.0", WHEEL)
    site.add_model("org/m", {"model.gguf": b"GGUF" + bytes(1000), "config.json": b"{}"})
    site.add(artifact_of(site, "upstream.example/library/app", image(), "1.0"))
    site.publish()
    with Server(site) as running:
        yield running


class Home:
    """A home folder that holds what `client-config` prints, and nothing else."""

    def __init__(self, server, folder, client):
        self.server, self.folder = server, folder
        self.config = client_config(client, server.url)
        for file in self.config.files:
            path = folder / file.path.removeprefix("~/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text)
        self.project = folder / "project"
        self.project.mkdir(parents=True)

    def package(self, **depends):
        names = {name.replace("__", "/"): wanted for name, wanted in depends.items()}
        value = {"name": "project", "version": "1.0.0", "dependencies": names}
        (self.project / "package.json").write_text(json.dumps(value))

    def __call__(self, *command, check=True, **environment):
        cache = str(self.folder / "cache-yarn")  # as root, yarn 1 would share one with all
        keep = {
            "HOME": str(self.folder),
            "YARN_CACHE_FOLDER": cache,
            "PATH": self.server.environment()["PATH"],
            "LANG": "C.UTF-8",
        }
        settings = [f"{k}={v}" for k, v in {**keep, **dict(self.config.environment), **environment}.items()]
        return self.server.run("env", "-i", "-C", str(self.project), *settings, *command, check=check)


def test_npm_asks_the_mirror_alone(server, tmp_path):
    home = Home(server, tmp_path, "npm")
    home.package(**{"@garden/tree": "1"})
    home("npm", "install", "--no-audit")
    assert (home.project / "node_modules/leaf/package.json").is_file()


@pytest.fixture
def foreign_lock(server, tmp_path):
    """Return a home whose project has a lock file that names another registry."""
    home = Home(server, tmp_path, "npm")
    home.package(leaf="2")
    home("npm", "install", "--no-audit", "--package-lock-only", "--omit-lockfile-registry-resolved=false")
    lock = home.project / "package-lock.json"
    lock.write_text(lock.read_text().replace(f"{server.url}/npm/", f"{ELSEWHERE}/"))
    return home


def test_a_foreign_package_lock_installs_by_the_printed_settings_alone(foreign_lock):
    assert ELSEWHERE in (foreign_lock.project / "package-lock.json").read_text()
    foreign_lock("npm", "ci", "--no-audit")
    assert (foreign_lock.project / "node_modules/leaf/index.js").is_file()


def test_a_foreign_package_lock_installs_once_it_is_rewritten(foreign_lock, server):
    plain = ("npm", "ci", "--no-audit", "--replace-registry-host=never", "--fetch-retries=0")
    assert foreign_lock(*plain, check=False).returncode != 0
    lock = foreign_lock.project / "package-lock.json"
    lock.write_text(rewrite("package-lock.json", lock.read_text(), server.url).text)
    foreign_lock(*plain)
    assert (foreign_lock.project / "node_modules/leaf/index.js").is_file()


def test_pip_asks_the_mirror_alone(server, tmp_path):
    home = Home(server, tmp_path, "pip")
    home(sys.executable, "-m", "pip", "download", "twig", "-d", str(tmp_path / "out"))
    assert (tmp_path / "out" / WHEEL.filename).read_bytes() == WHEEL.data


def test_uv_asks_the_mirror_alone_and_syncs_from_a_rewritten_lock(server, tmp_path):
    home = Home(server, tmp_path, "uv")
    (home.project / "pyproject.toml").write_text(
        '[project]\nname = "project"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["twig"]\n'
    )
    python = {"UV_PYTHON": sys.executable, "UV_CACHE_DIR": str(tmp_path / "cache")}
    home("uv", "lock", **python)
    lock = home.project / "uv.lock"
    assert f"{server.url}/simple/" in lock.read_text()
    lock.write_text(lock.read_text().replace(server.url, ELSEWHERE).replace(f"{WHEEL.sha256}/", "x/"))
    fresh = {**python, "UV_CACHE_DIR": str(tmp_path / "fresh"), "UV_HTTP_RETRIES": "0"}
    assert home("uv", "sync", "--frozen", check=False, **fresh).returncode != 0
    lock.write_text(rewrite("uv.lock", lock.read_text(), server.url).text)
    home("uv", "sync", "--frozen", **fresh)
    assert list(home.project.glob(".venv/lib/python*/site-packages/twig/__init__.py"))


def test_hf_asks_the_mirror_alone(server, tmp_path):
    home = Home(server, tmp_path, "huggingface")
    hf = f"{Path(sys.executable).parent}/hf"
    home(hf, "download", "org/m", "--local-dir", str(tmp_path / "out"))
    assert (tmp_path / "out/model.gguf").stat().st_size == 1004


def test_what_podman_reads_is_taken_by_skopeo(server, tmp_path):
    """podman, buildah and skopeo read one library's configuration (containers-registries.conf(5))."""
    (file,) = client_config("podman", server.url).files
    folder = tmp_path / ".config/containers"
    folder.mkdir(parents=True)
    wanted = (
        "skopeo",
        "inspect",
        "--raw",
        f"docker://{server.url.partition('//')[2]}/upstream.example/library/app:1.0",
    )
    assert server.run(*wanted, check=False, HOME=str(tmp_path)).returncode != 0
    (folder / "registries.conf").write_text(file.text)
    raw = server.run(*wanted, HOME=str(tmp_path)).stdout
    assert json.loads(raw)["schemaVersion"] == 2


@pytest.fixture(scope="session")
def clients():
    return installed_clients()


@pytest.mark.online
@pytest.mark.parametrize(
    ("client", "script"),
    [
        ("pnpm", "pnpm/bin/pnpm.cjs"),
        ("yarn", "yarn/bin/yarn.js"),
        ("yarn", "@yarnpkg/cli-dist/bin/yarn.js"),
    ],
)
def test_pnpm_and_both_yarns_ask_the_mirror_alone(server, tmp_path, clients, client, script):
    home = Home(server, tmp_path, client)
    home.package(**{"@garden/tree": "1"})
    home("node", str(clients / script), "install")
    if "yarnpkg" in script:  # it installs without a node_modules folder
        loaded = home("node", str(clients / script), "node", "-p", "require('@garden/tree')")
        assert "@garden/tree 1.0.0" in loaded.stdout
    else:
        assert (home.project / "node_modules/@garden/tree/index.js").is_file()


@pytest.mark.online
def test_yarn_1_installs_from_a_rewritten_lock(server, tmp_path, clients):
    home = Home(server, tmp_path, "yarn")
    home.package(leaf="2")
    yarn = ("node", str(clients / "yarn/bin/yarn.js"), "install")
    home(*yarn)
    lock = home.project / "yarn.lock"
    lock.write_text(lock.read_text().replace(f"{server.url}/npm/", f"{ELSEWHERE}/"))
    for left in ("node_modules", "../cache-yarn"):
        subprocess.run(["rm", "-rf", str(home.project / left)], check=True)
    frozen = (*yarn, "--frozen-lockfile", "--network-timeout", "3000")
    assert home(*frozen, check=False).returncode != 0
    lock.write_text(rewrite("yarn.lock", lock.read_text(), server.url).text)
    home(*frozen)
    assert (home.project / "node_modules/leaf/index.js").is_file()
