"""Unmodified dnf against the mirror, in a private root, where no network is but loopback."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from corpora.dnfclient import Dnf
from corpora.lanekey import LaneKey
from corpora.mirrorserver import PORT, Server
from corpora.mirrorsite import START, MirrorSite
from corpora.rpms import RpmFile, RpmUpstream, VendorKey, erratum, module, updateinfo
from corpora.rpmsite import fill
from lockgate.core.statement import Operation
from lockgate.mirror import DnfRepositories, DnfSource, client_config

SHELL = RpmFile("shell", "5", lines=("Provides: /bin/sh",))
TREE = RpmFile("libtree", "1.2", "3", content=os.urandom(400_000))
FIXED = RpmFile("libtree", "1.3", "1", content=os.urandom(400_000))
LEAF = RpmFile("leaf", "1.0+git~rc1", epoch=1, lines=("Requires: libtree >= 1", "Requires: /etc/words.conf"))
WORDS = RpmFile("words", "7")
BROKEN = RpmFile("broken", "1", lines=("Requires: not-carried",))
WOOD = RpmFile("wood", "2")
LATE = RpmFile("late", "1")
IRON = RpmFile("iron", "1")
CARRIED = (SHELL, TREE, LEAF, WORDS, BROKEN, WOOD)
ALL = [*CARRIED, FIXED, LATE]  # of iron no package is built: its stream is only listed


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    made = RpmUpstream(
        tmp_path_factory.mktemp("upstream") / "repository",
        packages=ALL,
        updateinfo=updateinfo(erratum("E-1", FIXED), erratum("E-2", LATE), erratum("E-3", WORDS, LATE)),
        modules=module("wood", "2", WOOD) + module("iron", "1", IRON),
    )
    made.publish()
    return made


@pytest.fixture(scope="module")
def server(upstream, tmp_path_factory):
    site = fill(MirrorSite(tmp_path_factory.mktemp("mirror")), upstream, *CARRIED)
    fill(site, upstream, FIXED, channel="updates")
    site.publish()
    with Server(site) as running:
        yield running


def client(server, upstream, folder, *, port=PORT, channels=("base", "updates")):
    """Return a dnf that is configured as `lockgate client-config dnf` says."""
    key = LaneKey.at(server.site.root / "repository.key")
    sources = tuple(DnfSource("rocky", name, upstream.key.certificate) for name in channels)
    known = DnfRepositories(key.certificate, key.key.fingerprint, sources)
    config = client_config("dnf", f"http://127.0.0.1:{port}", dnf=known)
    return Dnf(server, folder, {file.path: file.text for file in config.files})


@pytest.fixture
def dnf(server, upstream, tmp_path):
    return client(server, upstream, tmp_path / "dnf")


def test_dnf_installs_what_is_depended_on_with_both_signatures_checked(dnf):
    assert "gpgcheck=1" in (dnf.repos / "lockgate.repo").read_text()
    done = dnf("install", "leaf")
    assert dnf.says("leaf") == "leaf 1.0+git~rc1"
    assert dnf.says("libtree") == "libtree 1.3"
    assert dnf.says("words") == "words 7"
    assert "Importing GPG key" in done.stderr + done.stdout
    assert "leaf-1:1.0+git~rc1-1.noarch" in dnf("repoquery", "--installed", "leaf", refresh=False).stdout


def test_dnf_asks_for_its_root_documents_again_and_for_no_index_that_it_holds(dnf, server):
    """It asks for repomd.xml of each repository and its signature, whole, and compares what they name."""
    start = server.answered("rpm", 200)
    dnf("makecache")
    first = server.answered("rpm", 200) - start
    dnf("makecache")
    again = server.answered("rpm", 200) - start - first
    assert again == 4  # two repositories, two documents each
    assert first > again


def test_dnf_reads_every_index(dnf):
    said = dnf("repoquery", "--requires", "leaf").stdout
    assert "libtree >= 1" in said
    assert "/etc/words.conf" in dnf("repoquery", "--list", "words", refresh=False).stdout
    assert "leaf" in dnf("repoquery", "--whatrequires", "libtree", refresh=False).stdout
    assert "- Begin" in dnf("repoquery", "--changelogs", "words", refresh=False).stdout
    assert "words-0:7-1.noarch" in dnf("repoquery", "--file", "/usr/share/words/says", refresh=False).stdout
    info = dnf("info", "libtree-1.2", refresh=False).stdout
    assert "the libtree & <its> kin" in info


def test_errata_tell_of_what_was_admitted_and_of_nothing_else(dnf):
    dnf("install", "libtree-1.2")
    listed = dnf("updateinfo", "list", "--available", refresh=False).stdout
    assert "E-1" in listed
    assert "E-2" not in listed
    assert "late" not in dnf("updateinfo", "info", "--all", refresh=False).stdout
    dnf("upgrade", "--security", refresh=False)
    assert dnf.says("libtree") == "libtree 1.3"


def test_modules_are_those_of_admitted_packages(dnf):
    listed = dnf("module", "list").stdout
    assert "wood" in listed
    assert "iron" not in listed
    assert dnf("install", "wood", check=False, refresh=False).returncode
    dnf("module", "enable", "wood:2", refresh=False)
    dnf("install", "wood", refresh=False)
    assert dnf.says("wood") == "wood 2"


def test_dnf_says_plainly_what_is_missing(dnf, server):
    done = dnf("install", "absent", check=False)
    assert done.returncode == 1
    assert "No match for argument: absent" in done.stdout + done.stderr
    done = dnf("install", "broken", check=False, refresh=False)
    assert "nothing provides not-carried" in done.stdout + done.stderr
    dnf.edit("/rocky/updates/", "/rocky/trixie/")
    done = dnf("install", "words", check=False)
    assert done.returncode == 1
    assert "Status code: 404" in done.stdout + done.stderr


def test_dnf_refuses_an_index_that_another_lanes_key_signed(dnf, tmp_path):
    other = LaneKey.at(tmp_path / "other.key").certificate
    (dnf.repos / "lockgate.asc").write_text(other)
    done = dnf("install", "words", check=False)
    assert done.returncode == 1
    assert "GPG" in done.stderr + done.stdout or "repomd.xml" in done.stderr
    assert not (dnf.root / "usr/share/words").exists()


def test_dnf_refuses_packages_of_another_distributions_key(dnf, tmp_path):
    other = VendorKey(tmp_path / "other.key").certificate
    for name in ("base", "updates"):
        (dnf.repos / f"lockgate-rocky-{name}.asc").write_text(other)
    done = dnf("install", "words", check=False)
    assert done.returncode == 1
    assert "GPG check FAILED" in done.stderr + done.stdout
    assert not (dnf.root / "usr/share/words").exists()


@pytest.fixture
def cutting(server):
    """Return a proxy in the namespace that cuts the first answer for every package."""
    script = str(Path(__file__).parents[1] / "corpora/cuttingproxy.py")
    command = server.inside(sys.executable, script, "8714", str(PORT), ".rpm")
    proxy = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert proxy.stdout.readline() == "ready\n"
    yield proxy
    proxy.kill()
    proxy.communicate()


def test_a_download_that_broke_off_is_whole_in_the_end(server, cutting, upstream, tmp_path):
    """Where the disk knows extended attributes librepo goes on where it was; elsewhere it begins again."""
    dnf = client(server, upstream, tmp_path / "cut", port=8714)
    dnf("install", "--downloadonly", "libtree")
    (file,) = (dnf.folder / "cache").rglob(FIXED.filename)
    assert file.read_bytes() == (upstream.root / "Packages" / FIXED.filename).read_bytes()
    assert FIXED.filename in cutting.stdout.readline()


def test_two_clients_at_once_while_the_channel_moves_there_and_back(upstream, tmp_path):
    """Each installation ends whole or takes nothing, and a rollback reaches who had the newer snapshot.

    dnf asks for the index and for its signature apart, now and then over two connections. When the channel
    moves just in between, the signature is of another index: dnf says so, takes nothing, and is asked again.
    """
    site = fill(MirrorSite(tmp_path / "own"), upstream, *CARRIED)
    site.publish()
    before, version = list(site.entries), 1
    with Server(site) as own:
        clients = [client(own, upstream, tmp_path / f"client-{n}", channels=("base",)) for n in range(2)]
        failed, rounds, between, done = [], [0, 0], [0, 0], threading.Event()

        def work(number):
            while not done.is_set() and not failed:
                try:
                    clients[number]("install", "--downloadonly", "leaf")
                    rounds[number] += 1
                except (AssertionError, OSError, subprocess.SubprocessError) as error:
                    between[number] += "Bad GPG signature" in str(error)
                    if "Bad GPG signature" not in str(error) or between[number] > 2:
                        failed.append(str(error))
                shutil.rmtree(clients[number].folder / "cache", ignore_errors=True)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        while min(rounds) < 2 and not failed:
            version += 1
            site.entries = list(before)
            if version % 2 == 0:
                fill(site, upstream, LATE, crossing=2)
            asked = requests(own)
            site.publish(created=START.replace(minute=version % 60, hour=12 + version // 60))
            # A few older tables are kept for addresses by digest: nobody sees more moves in one installation.
            while (requests(own) < asked + 3 or version > min(rounds) + 3) and not failed and min(rounds) < 2:
                time.sleep(0.01)
        done.set()
        for thread in threads:
            thread.join()
        assert not failed, failed
        fill(site, upstream, LATE, crossing=2)
        site.publish(created=START.replace(day=19))
        assert "late" in clients[0]("repoquery", "late").stdout
        site.entries = list(before)
        site.publish(operation=Operation.ROLLBACK, created=START.replace(day=20))
        assert "late" not in clients[0]("repoquery", "late").stdout


def requests(server):
    lines = server.run("curl", "-sf", f"{server.url}/metrics").stdout.splitlines()
    name = "lockgate_mirror_requests_total"
    chosen = [line for line in lines if line.startswith(name) and 'protocol="rpm"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in chosen)
