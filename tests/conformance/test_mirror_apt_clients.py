"""Unmodified apt-get against the mirror, in private folders, where no network is but loopback."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from corpora.aptclient import Apt
from corpora.debs import DebFile, SourceFiles, suite
from corpora.lanekey import LaneKey
from corpora.mirrorserver import PORT, Server
from corpora.mirrorsite import START, MirrorSite
from lockgate.core.statement import Operation
from lockgate.mirror import AptSource, AptSuites, client_config

BIG = os.urandom(400_000)
LEAF_1 = DebFile("leaf", "1:1.0", fields={"Depends": "libtree1"})
LEAF_2 = DebFile("leaf", "1:2.0+dfsg~rc1-1", fields={"Depends": "libtree1 (>= 1), words"})
TREE = DebFile("libtree1", "1.2-3", fields={"Source": "tree (1.2)"}, files={"usr/share/tree/noise": BIG})
WORDS = DebFile("words", "7", "all", fields={"Multi-Arch": "foreign"})
BROKEN = DebFile("broken", "1", fields={"Depends": "not-carried"})
FIXED = DebFile("words", "7+deb12u1", "all", fields={"Multi-Arch": "foreign"})
ARM = DebFile("leaf", "1:2.0+dfsg~rc1-1", "arm64", fields={"Depends": "words"})
SUITES = ("bookworm", "bookworm-security")
SOURCE = SourceFiles("tree", "1.2", binary="libtree1")


def fill(site):
    site.add_suite(suite(architectures=("amd64", "arm64"), sources=True))
    site.add_suite(suite("bookworm-security", label="Debian-Security", name="oldstable-security"))
    for deb in (LEAF_1, LEAF_2, TREE, WORDS, BROKEN, ARM):
        site.add_deb(deb, "bookworm")
    site.add_deb(FIXED, "bookworm-security")
    site.add_source(SOURCE, "bookworm")
    site.publish()
    return site


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(fill(MirrorSite(tmp_path_factory.mktemp("mirror")))) as running:
        yield running


def client(server, folder, *, port=PORT, architectures="amd64"):
    """Return an apt that is configured as `lockgate client-config apt` says."""
    key = LaneKey.at(server.site.root / "repository.key")
    sources = tuple(AptSource("debian", (s,), ("main",), sources=s == "bookworm") for s in SUITES)
    known = AptSuites(key.certificate, key.key.fingerprint, sources)
    text = client_config("apt", f"http://127.0.0.1:{port}", known).files[0].text
    return Apt(server, folder, text, architectures=architectures)


@pytest.fixture
def apt(server, tmp_path):
    return client(server, tmp_path / "apt")


def test_apt_updates_without_a_warning_and_shows_what_crossed(apt):
    done = apt("update")
    assert "W:" not in done.stderr
    assert "E:" not in done.stderr
    shown = apt("policy", "leaf", tool="apt-cache").stdout
    assert "Candidate: 1:2.0+dfsg~rc1-1" in shown
    pins = apt("policy", tool="apt-cache").stdout
    assert "release v=12.12,o=Debian,a=oldstable,n=bookworm,l=Debian,c=main" in pins
    assert "At length." in apt("show", "leaf", tool="apt-cache").stdout
    lists = {path.name for path in (apt.folder / "lists").iterdir()}
    assert any(name.endswith("bookworm_InRelease") for name in lists)


def test_apt_downloads_what_is_depended_on_and_takes_the_security_update(apt):
    apt("update")
    apt("install", "--download-only", "-y", "leaf")
    assert apt.held() == {
        "leaf_1%3a2.0+dfsg~rc1-1_amd64.deb",
        "libtree1_1.2-3_amd64.deb",
        "words_7+deb12u1_all.deb",
    }


def test_apt_installs_into_a_root_of_its_own_and_an_older_version_by_name(apt):
    apt("update")
    apt("install", "-y", "leaf=1:1.0")
    assert apt.says("leaf") == "leaf 1:1.0"
    done = apt("upgrade", "-y", "--with-new-pkgs")
    assert "1 upgraded, 1 newly installed" in done.stdout
    assert apt.says("leaf") == "leaf 1:2.0+dfsg~rc1-1"
    assert apt.says("words") == "words 7+deb12u1"
    status = (apt.folder / "root/var/lib/dpkg/status").read_text()
    assert status.count("Status: install ok installed") == 3


def test_apt_fetches_and_unpacks_a_source_package(apt):
    apt("update")
    apt("source", "--download-only", "libtree1")
    assert (apt.folder / SOURCE.filename).read_bytes() == SOURCE.archive
    assert (apt.folder / "tree_1.2.dsc").read_bytes() == SOURCE.dsc


def test_apt_sees_two_architectures(server, tmp_path):
    apt = client(server, tmp_path / "multi", architectures="amd64 arm64")
    apt("update")
    apt("install", "--download-only", "-y", "leaf:arm64")
    assert "leaf_1%3a2.0+dfsg~rc1-1_arm64.deb" in apt.held()


def test_a_second_update_fetches_nothing_again(apt, server):
    apt("update")
    before, unchanged = sample(server, "bytes"), sample(server, "requests", '"304"')
    done = apt("update")
    assert done.stdout.count("Hit:") == 2
    assert sample(server, "requests", '"304"') - unchanged == 2
    assert sample(server, "bytes") == before


def sample(server, what, status=""):
    name = {"bytes": "lockgate_mirror_response_bytes_total", "requests": "lockgate_mirror_requests_total"}[
        what
    ]
    lines = server.run("curl", "-sf", f"{server.url}/metrics").stdout.splitlines()
    chosen = [line for line in lines if line.startswith(name) and 'protocol="apt"' in line and status in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in chosen)


def test_apt_says_plainly_what_is_missing(apt):
    apt("update")
    done = apt("install", "-y", "absent", check=False)
    assert done.returncode == 100
    assert "Unable to locate package absent" in done.stderr
    done = apt("install", "-y", "broken", check=False)
    assert done.returncode == 100
    assert "Depends: not-carried" in done.stdout
    sources = apt.folder / "etc/sources.list.d/lockgate.sources"
    sources.write_text(sources.read_text().replace("bookworm-security", "trixie"))
    done = apt("update", check=False)
    assert "404  Not Found" in done.stdout
    assert "does not have a Release file" in done.stderr


def test_apt_refuses_what_another_lanes_key_signed(server, tmp_path):
    apt = client(server, tmp_path / "apt")
    sources = apt.folder / "etc/sources.list.d/lockgate.sources"
    other = LaneKey.at(tmp_path / "other.key").certificate
    text = sources.read_text()
    head = text[: text.index("Signed-By:")]
    block = "".join(f" {line or '.'}\n" for line in other.splitlines())
    sources.write_text(f"{head}Signed-By:\n{block}")
    done = apt("update", check=False)
    assert done.returncode == 100
    assert "is not signed" in done.stderr


@pytest.fixture
def cutting(server):
    """Return a proxy in the namespace that cuts the first answer for every package."""
    script = str(Path(__file__).parents[1] / "corpora/cuttingproxy.py")
    command = server.inside(sys.executable, script, "8712", str(PORT), ".deb")
    proxy = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert proxy.stdout.readline() == "ready\n"
    yield proxy
    proxy.kill()
    proxy.communicate()


def test_a_download_that_broke_off_goes_on_where_it_was(server, cutting, tmp_path):
    apt = client(server, tmp_path / "cut", port=8712)
    apt("update")
    done = apt("install", "--download-only", "-y", "libtree1", check=False)
    assert done.returncode == 100
    partial = apt.folder / "archives/partial/libtree1_1.2-3_amd64.deb"
    kept = partial.stat().st_size
    assert 0 < kept < len(TREE.data)
    before = sample(server, "requests", '"206"')
    apt("install", "--download-only", "-y", "libtree1")
    assert sample(server, "requests", '"206"') == before + 1
    assert (apt.folder / "archives/libtree1_1.2-3_amd64.deb").read_bytes() == TREE.data


def test_two_clients_at_once_while_the_channel_moves_there_and_back(tmp_path):
    """Each update and each download ends whole, and a rollback reaches who had the newer snapshot."""
    site = fill(MirrorSite(tmp_path / "own"))
    with Server(site) as own:
        clients = [client(own, tmp_path / f"client-{n}") for n in range(2)]
        failed, rounds, done = [], [0, 0], threading.Event()

        def work(number):
            while not done.is_set() and not failed:
                try:
                    clients[number]("update", "-o", "APT::Update::Error-Mode=any")
                    clients[number]("install", "--download-only", "-y", "--reinstall", "leaf")
                    shutil.rmtree(clients[number].folder / "archives")
                    (clients[number].folder / "archives/partial").mkdir(parents=True)
                    rounds[number] += 1
                except (AssertionError, OSError, subprocess.SubprocessError) as error:
                    failed.append(str(error))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        late, before = DebFile("late", "1"), list(site.entries)
        version = 1
        while min(rounds) < 2 and not failed:
            version += 1
            site.entries = list(before)
            if version % 2 == 0:
                site.add_deb(late, "bookworm", crossing=2)
            asked = sample(own, "requests", 'protocol="apt"')
            site.publish(created=START.replace(minute=version % 60, hour=12 + version // 60))
            # A few older tables are kept for addresses by hash: every one of them is asked for something.
            while sample(own, "requests", 'protocol="apt"') < asked + 3 and not failed:
                time.sleep(0.01)
        done.set()
        for thread in threads:
            thread.join()
        assert not failed, failed
        site.entries = list(before)
        site.publish(operation=Operation.ROLLBACK, created=START.replace(day=20))
        clients[0]("update")
        assert clients[0]("show", "late", tool="apt-cache", check=False).returncode == 100
        assert clients[0]("show", "leaf", tool="apt-cache").returncode == 0
