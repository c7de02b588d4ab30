"""rattler, the library under pixi, against the mirror, where no network is but loopback."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from corpora.condas import CondaFile
from corpora.condasite import fill
from corpora.mirrorserver import PORT, Server
from corpora.mirrorsite import MirrorSite

BIG = os.urandom(400_000)
LEAF = CondaFile("leaf", "1.0", ("tree >=1", "__unix"), content=BIG)
OLD = CondaFile("tree", "1.2", subdir="noarch", extension=".tar.bz2")
TREE = CondaFile("tree", "1.3", subdir="noarch")
ODD = CondaFile("odd", "1!2.0+local")
BROKEN = CondaFile("broken", "1", ("not-carried",))
LATE = CondaFile("late", "1")
CLIENT = Path(__file__).parent / "clients/conda_client.py"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = fill(MirrorSite(tmp_path_factory.mktemp("mirror")), LEAF, OLD, TREE, ODD, BROKEN)
    site.publish()
    with Server(site) as running:
        yield running


def install(server, folder, *specs, check=True, port=PORT):
    folder.mkdir(exist_ok=True)
    url = f"http://127.0.0.1:{port}/conda/science"
    return server.run(sys.executable, str(CLIENT), url, str(folder), *specs, check=check)


def says(folder, name):
    return (folder / f"prefix/share/{name}/says").read_text().strip()


def test_an_environment_is_solved_and_installed_with_every_digest_checked(server, tmp_path):
    found = json.loads(install(server, tmp_path, "leaf").stdout)
    assert found == {LEAF.filename: LEAF.sha256, TREE.filename: TREE.sha256}
    assert says(tmp_path, "leaf") == "leaf 1.0"
    assert says(tmp_path, "tree") == "tree 1.3"
    assert (tmp_path / "prefix/share/leaf/content").read_bytes() == BIG


def test_the_older_form_and_odd_versions_are_installed(server, tmp_path):
    install(server, tmp_path, "tree 1.2.*", "odd")
    assert says(tmp_path, "tree") == "tree 1.2"
    assert says(tmp_path, "odd") == "odd 1!2.0+local"


def test_what_is_missing_is_named(server, tmp_path):
    done = install(server, tmp_path, "absent", check=False)
    assert "No candidates were found for absent" in done.stderr
    done = install(server, tmp_path, "broken", check=False)
    assert "not-carried" in done.stderr
    assert not (tmp_path / "prefix/share").exists()


def test_an_unchanged_index_is_not_sent_again(server, tmp_path):
    install(server, tmp_path, "tree")
    before = answered(server, "304")
    install(server, tmp_path, "tree")
    assert answered(server, "304") > before


def answered(server, status):
    lines = server.run("curl", "-sf", f"{server.url}/metrics").stdout.splitlines()
    chosen = [line for line in lines if f'protocol="conda",status="{status}"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in chosen)


def test_a_download_that_broke_off_is_whole_in_the_end(server, tmp_path):
    script = str(Path(__file__).parents[1] / "corpora/cuttingproxy.py")
    command = server.inside(sys.executable, script, "8716", str(PORT), ".conda")
    proxy = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert proxy.stdout.readline() == "ready\n"
        for _ in range(2):  # a client that does not try again by itself is started again
            if install(server, tmp_path, "leaf", port=8716, check=False).returncode == 0:
                break
    finally:
        proxy.kill()
        cut = proxy.communicate()[0]
    assert LEAF.filename in cut
    assert (tmp_path / "prefix/share/leaf/content").read_bytes() == BIG


def test_two_clients_at_once_while_the_channel_moves(tmp_path):
    site = fill(MirrorSite(tmp_path / "own"), LEAF, TREE)
    site.publish()
    before = list(site.entries)
    with Server(site) as own:
        failed, done = [], []

        def work(number):
            for turn in range(3):
                try:
                    install(own, tmp_path / f"client-{number}-{turn}", "leaf")
                except (AssertionError, subprocess.SubprocessError) as error:
                    failed.append(str(error))
            done.append(number)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        turn = 0
        while len(done) < 2 and not failed:
            turn += 1
            site.entries = list(before)
            if turn % 2:
                fill(site, LATE, crossing=2)
            asked = answered(own, "200")
            site.publish()
            while answered(own, "200") < asked + 1 and len(done) < 2 and not failed:
                threading.Event().wait(0.01)
        for thread in threads:
            thread.join()
        assert not failed, failed
        site.entries = list(before)
        fill(site, LATE, crossing=2)
        site.publish()
        install(own, tmp_path / "late", "late")
        assert says(tmp_path / "late", "late") == "late 1"
