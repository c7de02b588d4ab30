"""pip, uv, poetry and pdm against the mirror, in a namespace that has no network but loopback.

What pip and uv do with plain requirements stands in `test_mirror_clients`; here are projects with lock files,
withdrawn versions, downloads that break off, odd names, source archives and what clients hold already.
"""

import os
import re
import sys

import pytest

from corpora.builds import BUILDER, MADE
from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite
from corpora.proxies import CUTTING_PORT, cutting
from corpora.pythonclients import PDM, POETRY, Manager, installed_python_clients, project, versions
from corpora.wheels import build_wheel

LEAF = build_wheel("leaf", "2.0")
BIG = build_wheel("big", "1.0", padding=os.urandom(3 << 20))
LOCAL = build_wheel("Odd.Name-x", "1!2.0rc1+cu.121")
DIGITS = build_wheel("0x9", "7")
TREE = build_wheel("tree", "1.0", requires=("leaf>=1", "odd-name_X>=1!0rc1"))
PIP = (sys.executable, "-m", "pip", "--isolated", "--no-input")


def fill(site):
    site.add_wheels("leaf", "2.0", LEAF)
    site.add_wheels("leaf", "3.0", build_wheel("leaf", "3.0"), yanked="eats <disks>")
    site.add_wheels("big", "1.0", BIG)
    site.add_wheels("odd-name-x", "1!2.0rc1+cu.121", LOCAL)
    site.add_wheels("0x9", "7", DIGITS)
    site.add_wheels("tree", "1.0", TREE)
    site.add_wheels("tiny-builder", "1.0", BUILDER)
    site.add_wheels("made", "1.0", MADE, metadata=False)
    site.publish()
    return site


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(fill(MirrorSite(tmp_path_factory.mktemp("mirror")))) as running:
        yield running


@pytest.fixture(scope="module")
def programs():
    return installed_python_clients()


@pytest.fixture
def cut(server):
    with cutting(server, ".whl"):
        yield f"http://127.0.0.1:{CUTTING_PORT}"


def into(target):
    """Return what makes uv install into a folder, without its cache."""
    return ("--python", sys.executable, "--no-cache", "--target", str(target))


def answered(server, status):
    """Return how often the mirror has answered so."""
    text = server.run("curl", "-sf", f"{server.url}/metrics").stdout
    found = re.findall(rf'lockgate_mirror_requests_total{{protocol="pypi",status="{status}"}} (\S+)', text)
    return sum(map(float, found))


def test_uv_syncs_a_lock_file_that_named_another_host(server, tmp_path):
    folder = project(tmp_path / "app", server.url, "tree")
    uv = ("uv", "--project", str(folder), "--no-cache")
    server.run(*uv, "lock", "--python", sys.executable)
    lock = folder / "uv.lock"
    foreign = lock.read_text().replace(server.url, "https://elsewhere.example")
    lock.write_text(foreign)
    sync = (*uv, "sync", "--frozen", "--python", sys.executable)
    assert server.run(*sync, check=False, UV_HTTP_RETRIES="0").returncode != 0
    server.run("lockgate", "lockfile", "rewrite", str(lock), "--to", server.url)
    server.run(*sync)
    assert versions(folder / ".venv") == {"tree": "1.0", "leaf": "2.0", "odd_name_x": "1!2.0rc1+cu.121"}
    assert [LEAF.sha256 in text for text in (foreign, lock.read_text())] == [True, True]


def test_a_withdrawn_version_is_taken_only_where_it_is_pinned_and_its_reason_is_told(server, tmp_path):
    index = ("--index-url", f"{server.url}/simple/", "--no-cache-dir")
    done = server.run(*PIP, "install", "leaf==3.0", "--target", str(tmp_path / "pip"), *index)
    assert "eats <disks>" in done.stderr
    done = server.run("uv", "pip", "install", *into(tmp_path / "uv"), "leaf==3.0")
    assert "eats <disks>" in done.stderr
    server.run("uv", "pip", "install", *into(tmp_path / "newest"), "leaf")
    assert (tmp_path / "newest" / "leaf-2.0.dist-info").is_dir()


def test_a_missing_name_is_404_with_a_sentence(server):
    for accept in ("application/vnd.pypi.simple.v1+json", "text/html"):
        command = (
            "curl",
            "-s",
            "-w",
            "%{http_code}",
            "-H",
            f"Accept: {accept}",
            f"{server.url}/simple/absent-thing/",
        )
        assert server.run(*command).stdout == "No project called absent-thing has been admitted.\n404"


def test_odd_names_and_local_versions_are_installed(server, tmp_path):
    index = ("--index-url", f"{server.url}/simple/", "--no-cache-dir")
    wanted = ("ODD_name.X==1!2.0rc1+cu.121", "0X9")
    server.run(*PIP, "install", *wanted, "--target", str(tmp_path / "pip"), *index)
    server.run("uv", "pip", "install", *into(tmp_path / "uv"), *wanted)
    for name in ("pip", "uv"):
        made = sorted(path.name for path in (tmp_path / name).glob("*.dist-info"))
        assert made == ["0x9-7.dist-info", "odd_name_x-1!2.0rc1+cu.121.dist-info"]


def test_a_source_archive_is_built_with_what_the_mirror_has(server, tmp_path):
    index = ("--index-url", f"{server.url}/simple/", "--no-cache-dir")
    server.run(*PIP, "install", "made", "--target", str(tmp_path / "pip"), *index)
    server.run("uv", "pip", "install", *into(tmp_path / "uv"), "made")
    for name in ("pip", "uv"):
        assert (tmp_path / name / "made.py").is_file()


def test_what_a_client_holds_is_not_sent_again(server, tmp_path):
    index = ("--index-url", f"{server.url}/simple/", "--cache-dir", str(tmp_path / "pip-cache"))
    index = (*index, "--trusted-host", "127.0.0.1")  # pip keeps nothing that came over plain HTTP else
    uv = ("uv", "--cache-dir", str(tmp_path / "uv-cache"), "pip", "install", "--python", sys.executable)
    for name, client in {"pip": (*PIP, "install", "big", *index), "uv": (*uv, "big")}.items():
        server.run(*client, "--target", str(tmp_path / f"{name}-first"))
        before, sent = answered(server, 304), server.metric("lockgate_mirror_response_bytes_total")
        server.run(*client, "--target", str(tmp_path / f"{name}-then"))
        assert server.metric("lockgate_mirror_response_bytes_total") - sent < len(BIG.data) / 10
        if name == "pip":  # uv believes a page for a while without asking
            assert answered(server, 304) > before


def test_uv_goes_on_after_a_download_that_broke_off(server, cut, tmp_path):
    server.run("uv", "pip", "install", *into(tmp_path), "big", UV_DEFAULT_INDEX=f"{cut}/simple/")
    assert (tmp_path / "big/padding.bin").stat().st_size == 3 << 20


def test_a_project_that_appears_is_there_for_the_client_that_waited(tmp_path):
    with Server(fill(MirrorSite(tmp_path / "own"))) as own:
        install = ("uv", "--cache-dir", str(tmp_path / "cache"), "pip", "install", "--python", sys.executable)
        wanted = (*install, "late", "--target", str(tmp_path / "out"))
        assert own.run(*wanted, check=False).returncode != 0
        own.site.add_wheels("late", "1.0", build_wheel("late", "1.0"), crossing=2)
        own.site.publish()
        own.run(*wanted)
        assert (tmp_path / "out" / "late").is_dir()


@pytest.mark.online
def test_the_newest_pip_resumes_a_download_that_broke_off(server, cut, programs, tmp_path):
    before = server.metric("lockgate_mirror_response_bytes_total")
    index = ("--index-url", f"{cut}/simple/", "--no-cache-dir", "--isolated")
    pip = (str(programs / "pip"), "install", "big", "--target", str(tmp_path), *index)
    done = server.run(*pip)
    assert (tmp_path / "big/padding.bin").stat().st_size == 3 << 20
    assert "resum" in (done.stdout + done.stderr).lower()
    assert answered(server, 206) >= 1
    assert server.metric("lockgate_mirror_response_bytes_total") > before


EXPECTED = {"tree": "1.0", "leaf": "2.0", "odd_name_x": "1!2.0rc1+cu.121"}


@pytest.mark.online
def test_poetry_locks_and_syncs_also_a_lock_file_that_named_another_host(server, programs, tmp_path):
    poetry = Manager(server, programs, project(tmp_path / "app", server.url, "tree", table=POETRY), "poetry")
    poetry("lock")
    lock = poetry.folder / "poetry.lock"
    lock.write_text(lock.read_text().replace(server.url, "https://elsewhere.example"))
    server.run("lockgate", "lockfile", "rewrite", str(lock), "--to", server.url)
    poetry("sync")
    assert EXPECTED.items() <= versions(poetry.folder / ".venv").items()
    done = poetry("add", "absent-thing", check=False)
    assert done.returncode != 0
    assert "absent-thing" in done.stdout + done.stderr
    poetry("add", "leaf==3.0")
    assert versions(poetry.folder / ".venv")["leaf"] == "3.0"


@pytest.mark.online
def test_pdm_locks_and_syncs_also_a_lock_file_that_named_another_host(server, programs, tmp_path):
    pdm = Manager(server, programs, project(tmp_path / "app", server.url, "tree", table=PDM), "pdm")
    server.run("uv", "venv", "--python", sys.executable, str(pdm.folder / ".venv"))
    pdm("lock", "--strategy", "static_urls")
    lock = pdm.folder / "pdm.lock"
    assert server.url in lock.read_text()
    lock.write_text(lock.read_text().replace(server.url, "https://elsewhere.example"))
    assert pdm("sync", check=False).returncode != 0
    server.run("lockgate", "lockfile", "rewrite", str(lock), "--to", server.url)
    pdm("sync")
    assert EXPECTED.items() <= versions(pdm.folder / ".venv").items()
    done = pdm("add", "absent-thing", check=False)
    assert done.returncode != 0
    assert "absent-thing" in done.stdout + done.stderr
