"""poetry and pdm in the situations of `client_matrix.toml`, each with the real mirror.

What a client does not do (it asks for no range, or for a page again and again) is what the mirror counted.
"""

import json
import os
import sys

import pytest

from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite
from corpora.proxies import CUTTING_PORT, HOLDING_PORT, cutting, holding
from corpora.pythonclients import PDM, POETRY, Manager, installed_python_clients, project, versions
from corpora.wheels import build_wheel

pytestmark = pytest.mark.online

BIG = build_wheel("big", "1.0", padding=os.urandom(1 << 20))
TABLES = {"poetry": POETRY, "pdm": PDM}
PATIENT = {"POETRY_REQUESTS_TIMEOUT": "600", "PDM_REQUEST_TIMEOUT": "600"}


def tree(version):
    """Return a project and what it needs, both of one version and of no other."""
    return (
        build_wheel("tree", version, requires=(f"leaf=={version}",)),
        build_wheel("leaf", version),
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = MirrorSite(tmp_path_factory.mktemp("mirror"))
    site.add_wheels("big", "1.0", BIG)
    site.add_wheels("leaf", "3.0", build_wheel("leaf", "3.0"), yanked="eats <disks>")
    site.add_wheels("odd-name-x", "1!2.0rc1+cu.121", build_wheel("Odd.Name-x", "1!2.0rc1+cu.121"))
    site.add_wheels("0x9", "7", build_wheel("0x9", "7"))
    site.publish()
    with Server(site) as running:
        yield running


@pytest.fixture(params=TABLES)
def kind(request):
    return request.param


def manager(kind, server, folder, *wanted, url=""):
    """Return a client in a project of its own, with an empty environment."""
    url = url or server.url
    made = project(folder, url, *wanted, table=TABLES[kind])
    if kind == "pdm":
        server.run("uv", "venv", "--python", sys.executable, str(made / ".venv"))
    return Manager(server, installed_python_clients(), made, kind, url=url, **PATIENT)


def test_a_download_that_breaks_off_ends_with_the_right_bytes(server, kind, tmp_path):
    """pdm asks for the whole again by itself; poetry says what failed, and installs it when run again."""
    before = server.answered("pypi", 206)
    with cutting(server, ".whl") as cut:
        client = manager(kind, server, tmp_path / "app", "big", url=f"http://127.0.0.1:{CUTTING_PORT}")
        client("lock")
        done = client("sync", check=False)
        assert cut.seen(done).endswith(BIG.filename)
        assert (done.returncode != 0) == (kind == "poetry"), done.stdout + done.stderr
        if kind == "poetry":
            assert "Cannot install big." in done.stdout + done.stderr
            assert "big" not in versions(client.folder / ".venv")
            client("sync")
    (padding,) = client.folder.glob(".venv/lib/python*/site-packages/big/padding.bin")
    assert padding.read_bytes() in BIG.data
    assert padding.stat().st_size == 1 << 20
    assert server.answered("pypi", 206) == before


def test_names_and_versions_that_are_odd_are_installed(server, kind, tmp_path):
    client = manager(kind, server, tmp_path / "app", "ODD_name.X==1!2.0rc1+cu.121", "0X9")
    client("lock")
    client("sync")
    expected = {"odd_name_x": "1!2.0rc1+cu.121", "0x9": "7"}
    assert expected.items() <= versions(client.folder / ".venv").items()


def test_a_withdrawn_version_is_taken_where_it_is_pinned_and_nowhere_else(server, kind, tmp_path):
    """poetry tells the reason; pdm says nothing of it."""
    client = manager(kind, server, tmp_path / "app", "leaf==3.0")
    said = client("lock")
    then = client("sync")
    assert versions(client.folder / ".venv")["leaf"] == "3.0"
    told = said.stdout + said.stderr + then.stdout + then.stderr
    assert ("eats <disks>" in told) == (kind == "poetry")
    assert manager(kind, server, tmp_path / "other", "leaf")("lock", check=False).returncode != 0


def test_a_missing_name_is_named(server, kind, tmp_path):
    before = server.answered("pypi", 404)
    done = manager(kind, server, tmp_path / "app", "absent-thing")("lock", check=False)
    assert done.returncode != 0
    assert "absent-thing" in done.stdout + done.stderr
    assert server.answered("pypi", 404) > before


def test_a_page_that_is_held_already_is_not_sent_again(server, kind, tmp_path):
    client = manager(kind, server, tmp_path / "app", "big")
    client("lock")
    for lock in client.folder.glob("*.lock"):
        lock.unlink()
    before = {status: server.answered("pypi", status) for status in (200, 304)}
    client("lock")
    assert server.answered("pypi", 200) == before[200]
    assert server.answered("pypi", 304) > before[304]


def test_two_clients_at_once_see_one_snapshot_each_while_the_channel_moves(kind, tmp_path):
    site = MirrorSite(tmp_path / "site")
    for wheel in tree("1.0"):
        site.add_wheels(wheel.filename.partition("-")[0], "1.0", wheel)
    site.publish()
    with (
        Server(site, "corpora.mirrorsite:app_without_haste") as server,
        holding(server, "/simple/leaf") as one,
        holding(server, "/simple/leaf", HOLDING_PORT + 1) as two,
    ):
        clients = [
            manager(kind, server, tmp_path / f"at-{n}", "tree", url=f"http://127.0.0.1:{HOLDING_PORT + n}")
            for n in range(2)
        ]
        running = [client.begin("install") for client in clients]
        assert [h.seen(p) for h, p in zip((one, two), running, strict=True)] == ["/simple/leaf/"] * 2
        site.entries.clear()
        for wheel in tree("2.0"):
            site.add_wheels(wheel.filename.partition("-")[0], "2.0", wheel, crossing=2)
        site.publish()
        while json.loads(server.run("curl", "-sf", f"{server.url}/healthz").stdout)["version"] != 2:
            assert server.process.poll() is None
        for held in (one, two):
            held.release()
        for client, process in zip(clients, running, strict=True):
            output, _ = process.communicate(timeout=600)
            assert process.returncode == 0, output
            assert {"tree": "1.0", "leaf": "1.0"}.items() <= versions(client.folder / ".venv").items()
        later = manager(kind, server, tmp_path / "later", "tree")
        later("install")
        assert {"tree": "2.0", "leaf": "2.0"}.items() <= versions(later.folder / ".venv").items()
