"""Unmodified git against the mirror, in a namespace that has no network but loopback."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from corpora.gitrepo import OWN, GitRepo
from corpora.mirrorserver import PORT, Server
from corpora.mirrorsite import MirrorSite
from lockgate.mirror import client_config

NAME = "code.example/group/tool"


def written(folder):
    made = GitRepo(folder)
    for number in range(3):
        made.step(number)
    made.tag("v1.0+rc-1")
    return made


def offer(site, repo, crossing=1):
    site.add_git(NAME, repo.bundle(), repo.refs(), crossing=crossing)
    site.publish()


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    return written(tmp_path_factory.mktemp("repo") / "work")


@pytest.fixture(scope="module")
def server(repo, tmp_path_factory):
    """Return a server for tests that only look."""
    site = MirrorSite(tmp_path_factory.mktemp("mirror"))
    offer(site, repo)
    with Server(site) as running:
        yield running


@pytest.fixture
def own_repo(tmp_path):
    return written(tmp_path / "work")


@pytest.fixture
def own(own_repo, tmp_path):
    """Return a server whose channel a test moves."""
    site = MirrorSite(tmp_path / "mirror")
    offer(site, own_repo)
    with Server(site) as running:
        yield running


class Git:
    """git in the server's namespace, configured as `lockgate client-config git` says."""

    def __init__(self, server, folder, *, port=PORT):
        self.server, self.folder = server, folder
        folder.mkdir()
        self.url = f"https://{NAME}.git"
        text = client_config("git", f"http://127.0.0.1:{port}").files[0].text
        (folder / "config").write_text(text)

    def __call__(self, *words, place=".", check=True):
        given = {**OWN, "GIT_CONFIG_GLOBAL": str(self.folder / "config"), "HOME": str(self.folder)}
        command = ("env", "-C", str(self.folder / place), "git", *words)
        return self.server.run(*command, check=check, **given, GIT_TERMINAL_PROMPT="0")


@pytest.fixture
def git(server, tmp_path):
    return Git(server, tmp_path / "client")


def test_a_clone_has_every_reference_and_passes_gits_own_check(git, repo):
    git("clone", "-q", git.url, "tool")
    assert git("rev-parse", "HEAD", place="tool").stdout.strip() == repo.refs()["refs/heads/main"]
    assert git("tag", place="tool").stdout.split() == ["v1.0+rc-1"]
    git("fsck", "--strict", place="tool")
    assert (git.folder / "tool/file-2.py").read_text() == "x = 1\n"


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_every_version_of_the_protocol_and_shallow_clones(git, version):
    git("-c", f"protocol.version={version}", "clone", "-q", "--depth", "1", git.url, "tool")
    assert git("rev-list", "--count", "HEAD", place="tool").stdout.strip() == "1"
    git("-c", f"protocol.version={version}", "fetch", "-q", "--unshallow", place="tool")
    assert git("rev-list", "--count", "HEAD", place="tool").stdout.strip() == "3"


def test_a_clone_without_blobs_fetches_them_when_they_are_needed(git):
    git("clone", "-q", "--filter=blob:none", "--no-checkout", git.url, "tool")
    git("checkout", "-q", "main", place="tool")
    assert (git.folder / "tool/poem.txt").read_text().startswith("line 0\n")


def test_a_fetch_brings_what_a_later_snapshot_holds(own, own_repo, tmp_path):
    git, server, repo = Git(own, tmp_path / "client"), own, own_repo
    git("clone", "-q", git.url, "tool")
    newest = repo.step(7)
    offer(server.site, repo, crossing=2)
    git("pull", "-q", "--ff-only", place="tool")
    assert git("rev-parse", "HEAD", place="tool").stdout.strip() == newest


def test_git_lfs_checks_out_large_files_whole_and_says_what_is_missing(own, own_repo, tmp_path):
    git, server, repo = Git(own, tmp_path / "client"), own, own_repo
    data, absent = os.urandom(300_000), os.urandom(2000)
    repo.keep_large()
    repo.step(3, {"model.bin": data})
    server.site.add_git(NAME, repo.bundle(), repo.refs(), crossing=2, large=(data,))
    server.site.publish()
    git("lfs", "install", "--skip-repo")
    git("clone", "-q", git.url, "tool")
    assert (git.folder / "tool/model.bin").read_bytes() == data
    git("lfs", "fsck", place="tool")
    (git.folder / "tool/model.bin").write_bytes(b"mine")
    git("commit", "-q", "-a", "-m", "mine", place="tool")
    refused = git("push", place="tool", check=False)
    assert refused.returncode != 0
    repo.step(4, {"model.bin": absent})
    server.site.add_git(NAME, repo.bundle(), repo.refs(), crossing=3, large=(data,))
    server.site.publish()
    done = git("clone", "-q", git.url, "other", check=False)
    assert done.returncode != 0
    assert "No such large file has been admitted" in done.stderr


def test_large_files_are_answered_for_reading_alone(own, own_repo):
    server, repo = own, own_repo
    data = os.urandom(5000)
    oid = hashlib.sha256(data).hexdigest()
    server.site.add_git(NAME, repo.bundle(), repo.refs(), crossing=2, large=(data,))
    server.site.publish()
    base = f"{server.url}/git/{NAME}.git/info/lfs"

    def status(path, *words):
        return server.run("curl", "-s", "-o", "got", "-w", "%{http_code}", *words, f"{base}/{path}").stdout

    def batch(text):
        return status("objects/batch", "--data-binary", text)

    wanted = json.dumps({"operation": "download", "objects": [{"oid": oid, "size": len(data)}]})
    assert batch(wanted) == "200"
    told = json.loads((server.home / "got").read_text())["objects"][0]
    assert told["actions"]["download"]["href"].endswith(f"/objects/{oid}")
    assert batch(wanted.replace("download", "upload")) == "403"
    assert batch(wanted.replace("5000", "4999")) == "200"
    assert json.loads((server.home / "got").read_text())["objects"][0]["error"]["code"] == 404
    assert batch("{}") == "422"
    assert status("locks/verify", "-d", "{}") == "403"
    assert status(f"objects/{oid}", "-r", "4990-") == "206"
    assert (server.home / "got").read_bytes() == data[4990:]
    for path in (f"objects/{'0' * 64}", "objects/", "other", f"objects/../{oid}"):
        assert status(path, "--path-as-is") == "404"
    wrong = f"{server.url}/git/absent.git/info/lfs/objects/batch"
    assert server.run("curl", "-s", "-o", "x", "-w", "%{http_code}", "-d", wanted, wrong).stdout == "404"


def test_what_is_missing_and_what_is_not_offered_is_said_plainly(git, server):
    done = git("clone", "-q", "https://code.example/absent.git", check=False)
    assert done.returncode == 128
    assert "not found" in done.stderr
    git("clone", "-q", git.url, "tool")
    git("commit", "-q", "--allow-empty", "-m", "mine", place="tool")
    done = git("push", place="tool", check=False)
    assert done.returncode == 128
    assert "403" in done.stderr
    base = f"{server.url}/git/{NAME}.git"

    def status(*words):
        return server.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *words).stdout

    assert status(f"{base}/info/refs") == "403"
    assert status("-X", "DELETE", base) == "405"
    assert status("-X", "POST", f"{base}/git-upload-pack") == "415"
    assert status(f"{base}/HEAD") == "404"
    assert status(f"{server.url}/git/{NAME}/../../etc/info/refs?service=git-upload-pack") == "404"


def test_a_clone_that_broke_off_succeeds_when_it_is_repeated(own, own_repo, tmp_path):
    server, repo = own, own_repo
    repo.step(9, {"noise.bin": os.urandom(300_000)})
    offer(server.site, repo, crossing=2)
    script = str(Path(__file__).parents[1] / "corpora/cuttingproxy.py")
    command = server.inside(sys.executable, script, "8714", str(PORT), "/git-upload-pack")
    proxy = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert proxy.stdout.readline() == "ready\n"
        git = Git(server, tmp_path / "cut", port=8714)
        done = git("-c", "protocol.version=0", "clone", "-q", git.url, "tool", check=False)
        assert done.returncode == 128
        assert not (git.folder / "tool").exists()
        git("-c", "protocol.version=0", "clone", "-q", git.url, "tool")
        assert len((git.folder / "tool/noise.bin").read_bytes()) == 300_000
    finally:
        proxy.kill()
        proxy.communicate()


def test_two_clients_clone_while_the_channel_moves_and_see_one_snapshot_each(own, own_repo, tmp_path):
    server, repo = own, own_repo
    clients = [Git(server, tmp_path / f"client-{n}") for n in range(2)]
    failed, heads, done = [], [set(), set()], threading.Event()
    known = {repo.refs()["refs/heads/main"]}

    def work(number):
        while not done.is_set() and not failed:
            try:
                target = f"tool-{len(heads[number])}-{threading.get_ident()}-{os.urandom(4).hex()}"
                clients[number]("clone", "-q", clients[number].url, target)
                clients[number]("fsck", place=target)
                heads[number].add(clients[number]("rev-parse", "HEAD", place=target).stdout.strip())
            except AssertionError as error:
                failed.append(str(error))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    number = 10
    while min(map(len, heads)) < 2 and not failed and number < 60:
        known.add(repo.step(number))
        offer(server.site, repo, crossing=number)
        number += 1
    done.set()
    for thread in threads:
        thread.join()
    assert not failed, failed
    assert heads[0] | heads[1] <= known


def test_a_bundle_that_holds_other_references_is_not_served(own, own_repo, tmp_path):
    git, server, repo = Git(own, tmp_path / "client"), own, own_repo
    refs = {**repo.refs(), "refs/heads/other": repo.refs()["refs/heads/main"]}
    server.site.add_git(NAME, repo.bundle(), refs, crossing=2)
    server.site.publish()
    done = git("clone", "-q", git.url, "tool", check=False)
    assert done.returncode == 128
    log = (server.site.root / "server.log").read_text()
    assert "LG-2921" in log


def test_a_question_may_be_compressed(server, repo):
    want = repo.refs()["refs/heads/main"]
    body = f"0032want {want}\n00000009done\n".encode()
    file = server.home / "question.gz"
    file.write_bytes(gzip.compress(body))
    address = f"{server.url}/git/{NAME}/git-upload-pack"
    kind = "Content-Type: application/x-git-upload-pack-request"
    command = ["curl", "-s", "-H", kind, "-H", "Content-Encoding: gzip", "--data-binary", f"@{file}", address]
    done = subprocess.run(server.inside(*command), capture_output=True, check=True, timeout=120)
    assert done.stdout.startswith(b"0008NAK\nPACK")
