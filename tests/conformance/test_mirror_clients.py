"""Unmodified clients against the mirror, in a namespace that has no network but loopback."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from corpora.mirrorserver import Server
from corpora.mirrorsite import COMMIT, MirrorSite
from corpora.wheels import build_wheel

WEIGHTS = b"GGUF" + bytes(range(256)) * 40_000
LEAF = build_wheel("leaf", "2.0", padding=os.urandom(1 << 20))
TREE = build_wheel("Tree.Trunk", "1.0", requires=("leaf>=1",), requires_python=">=3.9")
PIP = (sys.executable, "-m", "pip", "--isolated", "--no-input")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = MirrorSite(tmp_path_factory.mktemp("mirror"))
    site.add_wheels("tree-trunk", "1.0", TREE, requires_python=">=3.9")
    site.add_wheels("leaf", "2.0", LEAF)
    site.add_wheels("leaf", "3.0", build_wheel("leaf", "3.0"), yanked="broken")
    site.add_wheels("bare", "1.0", build_wheel("bare", "1.0"), metadata=False)
    site.add_model("org/m", {"model.gguf": WEIGHTS, "config.json": b"{}", "sub/notes.txt": b"notes"})
    site.publish()
    with Server(site) as running:
        yield running


def index(server):
    return ("--index-url", f"{server.url}/simple/", "--no-cache-dir")


def requirements(server, name, *wheels):
    file = server.home / name
    file.write_text("".join(f"{project} --hash=sha256:{w.sha256}\n" for project, w in wheels))
    return str(file)


def test_the_clients_really_have_no_network(server):
    assert [line.split(":")[0].strip() for line in interfaces(server)] == ["lo"]


def interfaces(server):
    return server.run("cat", "/proc/net/dev").stdout.splitlines()[2:]


def test_pip_installs_with_hashes(server):
    target = server.home / "pip"
    file = requirements(server, "pip.txt", ("Tree.Trunk==1.0", TREE), ("leaf==2.0", LEAF))
    server.run(*PIP, "install", "--require-hashes", "-r", file, "--target", str(target), *index(server))
    assert (target / "tree_trunk" / "__init__.py").read_text() == 'VERSION = "1.0"\n'
    assert (target / "leaf" / "padding.bin").stat().st_size == 1 << 20


def test_pip_resolves_dependencies_and_passes_over_yanked_versions(server):
    target = server.home / "resolved"
    command = (*PIP, "install", "-v", "tree_trunk", "bare", "--target", str(target))
    done = server.run(*command, *index(server))
    asked = [line for line in done.stdout.splitlines() if "Obtaining dependency information" in line]
    assert any(f"{LEAF.sha256}/{LEAF.filename}.metadata" in line for line in asked)
    assert (target / "leaf-2.0.dist-info").is_dir()
    assert (target / "bare").is_dir()


def test_pip_refuses_another_hash(server):
    file = requirements(server, "wrong.txt", ("leaf==2.0", TREE))
    done = server.run(*PIP, "download", "--require-hashes", "-r", file, *index(server), check=False)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr


def test_pip_says_plainly_what_is_missing(server):
    done = server.run(*PIP, "download", "absent-thing", *index(server), check=False)
    assert done.returncode != 0
    assert "No matching distribution found for absent-thing" in done.stderr
    assert server.metric("lockgate_mirror_misses_total") >= 1


def test_uv_installs_with_hashes_and_resolves_by_metadata_alone(server):
    file = server.home / "in.txt"
    file.write_text("tree-trunk\n")
    before = server.metric("lockgate_mirror_response_bytes_total")
    compiled = server.run("uv", "pip", "compile", "--generate-hashes", "--no-cache", "in.txt").stdout
    assert f"--hash=sha256:{LEAF.sha256}" in compiled
    assert server.metric("lockgate_mirror_response_bytes_total") - before < len(LEAF.data) / 10
    (server.home / "locked.txt").write_text(compiled)
    target = server.home / "uv"
    arguments = ("--require-hashes", "--no-cache", "--target", str(target), "-r", "locked.txt")
    server.run("uv", "pip", "install", "--python", sys.executable, *arguments)
    assert (target / "tree_trunk" / "__init__.py").is_file()
    assert (target / "leaf" / "padding.bin").stat().st_size == 1 << 20


def test_uv_says_plainly_what_is_missing(server):
    command = (
        "uv",
        "pip",
        "install",
        "--python",
        sys.executable,
        "--no-cache",
        "--target",
        "x",
        "absent-thing",
    )
    done = server.run(*command, check=False)
    assert done.returncode != 0
    assert "absent-thing was not found in the package registry" in done.stderr


def test_hf_downloads_a_model_and_verifies_it(server):
    target = server.home / "model"
    server.run("hf", "download", "org/m", "--local-dir", str(target), HF_HOME=str(server.home / "hf1"))
    assert (target / "model.gguf").read_bytes() == WEIGHTS
    assert (target / "sub" / "notes.txt").read_bytes() == b"notes"
    code = (
        "import json, huggingface_hub as h; api = h.HfApi()\n"
        f"v = api.verify_repo_checksums('org/m', local_dir={str(target)!r})\n"
        "refs = api.list_repo_refs('org/m'); info = api.model_info('org/m', files_metadata=True)\n"
        "top = [f.path for f in api.list_repo_tree('org/m')]\n"
        "print(json.dumps([v.checked_count, len(v.mismatches), refs.branches[0].target_commit,"
        " info.sha, {s.rfilename: s.size for s in info.siblings}, top]))"
    )
    done = server.run(sys.executable, "-c", code, HF_HOME=str(server.home / "hf2"))
    checked, mismatches, target_commit, sha, sizes, top = json.loads(done.stdout)
    assert (checked, mismatches) == (3, 0)
    assert target_commit == sha == COMMIT
    assert sizes == {"config.json": 2, "model.gguf": len(WEIGHTS), "sub/notes.txt": 5}
    assert top == ["config.json", "model.gguf", "sub"]


def test_a_second_snapshot_download_fetches_no_bytes_again(server):
    code = "import huggingface_hub as h; print(h.snapshot_download('org/m', revision='main'))"
    home = {"HF_HOME": str(server.home / "hf3")}
    first = server.run(sys.executable, "-c", code, **home).stdout
    before = server.metric("lockgate_mirror_response_bytes_total")
    assert server.run(sys.executable, "-c", code, **home).stdout == first
    assert server.metric("lockgate_mirror_response_bytes_total") - before < len(WEIGHTS) / 10


def test_what_is_missing_is_the_right_error_in_huggingface_hub(server):
    code = """
import json, huggingface_hub as h
def name(call, *a, **k):
    try:
        call(*a, **k)
    except Exception as error:
        return type(error).__name__
print(json.dumps([
    name(h.hf_hub_download, 'org/absent', 'config.json'),
    name(h.snapshot_download, 'org/absent'),
    name(h.hf_hub_download, 'org/m', 'config.json', revision='v9'),
    name(h.snapshot_download, 'org/m', revision='v9'),
    name(h.hf_hub_download, 'org/m', 'absent.json'),
    h.file_exists('org/m', 'absent.json'), h.file_exists('org/m', 'config.json'),
    h.repo_exists('org/absent'), h.revision_exists('org/m', 'v9'),
]))
"""
    done = server.run(sys.executable, "-c", code, HF_HOME=str(server.home / "hf4"))
    assert json.loads(done.stdout) == [
        "RepositoryNotFoundError",
        "RepositoryNotFoundError",
        "RevisionNotFoundError",
        "RevisionNotFoundError",
        "RemoteEntryNotFoundError",
        False,
        True,
        False,
        False,
    ]


def test_curl_resumes_and_does_not_fetch_again(server):
    part = server.home / "resumed.gguf"
    address = f"{server.url}/org/m/resolve/{COMMIT}/model.gguf"
    part.write_bytes(WEIGHTS[:1_000_000])
    before = server.metric("lockgate_mirror_response_bytes_total")
    server.run("curl", "-sSf", "-C", "-", "-o", str(part), address)
    assert part.read_bytes() == WEIGHTS
    assert server.metric("lockgate_mirror_response_bytes_total") - before < len(WEIGHTS) - 900_000
    head = server.run("curl", "-sSf", "-I", address).stdout.lower()
    assert f'etag: "{hashlib.sha256(WEIGHTS).hexdigest()}"' in head
    tag = f'If-None-Match: "{hashlib.sha256(WEIGHTS).hexdigest()}"'
    status = ("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", "-H", tag, address)
    assert server.run(*status).stdout == "304 0"


def test_a_download_that_breaks_off_is_resumed_by_hf(server):
    """The client's own connection is cut in the middle; it goes on with a range request."""
    code = """
import huggingface_hub as h, huggingface_hub.file_download as f, httpx2, sys
original, cuts = httpx2.Response.iter_bytes, []
def cut(self, chunk_size=None):
    for chunk in original(self, 65536):
        yield chunk
        if not cuts and self.request.url.path.endswith('.gguf'):
            cuts.append(self.request.url)
            raise httpx2.RemoteProtocolError('cut')
httpx2.Response.iter_bytes = cut
path = h.hf_hub_download('org/m', 'model.gguf', local_dir=sys.argv[1])
print(len(cuts), path)
"""
    target = str(server.home / "cut")
    done = server.run(sys.executable, "-c", code, target, HF_HOME=str(server.home / "hf5"))
    assert done.stdout.startswith("1 ")
    assert "Trying to resume" in done.stderr
    assert (Path(target) / "model.gguf").read_bytes() == WEIGHTS


@pytest.fixture
def own(tmp_path):
    site = MirrorSite(tmp_path)
    site.add_wheels("leaf", "2.0", LEAF)
    site.publish()
    with Server(site) as running:
        yield running


def test_a_new_snapshot_is_served_without_a_restart(own):
    download = (*PIP, "download", "late", "-d", str(own.home), *index(own))
    assert own.run(*download, check=False).returncode != 0
    own.site.add_wheels("late", "1.0", build_wheel("late", "1.0"))
    own.site.publish()
    own.run(*download)
    assert own.metric("lockgate_mirror_channel_version") == 2


def test_an_altered_blob_reaches_no_client(own):
    path = own.site.blobs.path(LEAF.sha256)
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(len(LEAF.data) // 2)
        file.write(b"!!!!")
    done = own.run(*PIP, "download", "--retries", "0", "leaf", "-d", str(own.home), *index(own), check=False)
    assert done.returncode != 0
    assert not list(own.home.glob("leaf*"))
    answer = own.run("curl", "-s", "-i", f"{own.url}/packages/{LEAF.sha256}/{LEAF.filename}").stdout
    assert "500" in answer.splitlines()[0]
    assert '"code":"LG-2901"' in answer


def test_it_stops_when_asked_and_a_running_download_ends_whole(own):
    big = os.urandom(8 << 20)
    own.site.add_document("documents/big.bin", big)
    own.site.publish()
    got = own.home / "big.bin"
    command = ["curl", "-sS", "--limit-rate", "8M", "-o", str(got), f"{own.url}/files/documents/big.bin"]
    client = subprocess.Popen(own.inside(*command), env=own.environment())
    while not (got.exists() and got.stat().st_size):
        assert client.poll() is None
    assert own.stop() == 0
    assert client.wait(120) == 0
    assert got.read_bytes() == big


def test_a_port_that_is_taken_is_our_error(own):
    code = "from corpora.mirrorserver import main; main()"
    paths = os.pathsep.join(sys.path)
    home = str(own.site.root)
    done = own.run(sys.executable, "-c", code, check=False, PYTHONPATH=paths, LOCKGATE_HOME=home)
    assert done.returncode != 0
    assert "LG-5903" in done.stderr


def test_a_server_that_is_killed_leaves_no_process_and_no_listener(own):
    task = Path(f"/proc/{own.process.pid}/task/{own.process.pid}/children")
    assert task.read_text().split() == []  # nobody who could outlive it
    own.process.kill()
    assert own.process.wait(120) < 0
