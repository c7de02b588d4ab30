"""Git bundles under inspection: real ones are read wholly, hostile ones are told or refused."""

import hashlib
import os
import subprocess
import zlib
from pathlib import Path

import pytest

from lockgate.core.artifact import Kind
from lockgate.core.verdict import Outcome
from lockgate.inspect import InspectItem, Limits, inspect_file
from lockgate.inspect.insecure import InsecureInProcessSandbox

WHO = {
    f"GIT_{who}_{what}": "ann@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}
WHEN = {f"GIT_{who}_DATE": "2026-05-01T12:00:00Z" for who in ("AUTHOR", "COMMITTER")}


def git(folder, *words):
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **WHO, **WHEN}
    done = subprocess.run(["git", "-C", str(folder), *words], env=environ, check=True, capture_output=True)
    return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for number in range(4):  # long texts that differ little, so that the pack holds differences
        (folder / "poem.txt").write_text("\n".join(f"line {n}" for n in range(400 + number)))
        (folder / f"file-{number}.py").write_text(f"print({number})\n")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", f"step {number}")
    git(folder, "tag", "-a", "v1", "-m", "first")
    return folder


def verdict(folder, data=None):
    file = folder.parent / "x.bundle"
    if data is None:
        git(folder, "bundle", "create", "-q", str(file), "--all")
        data = file.read_bytes()
    file.write_bytes(data)
    item = InspectItem(
        path="git/x.bundle", kind=Kind.GIT, file=file, sha256=hashlib.sha256(data).hexdigest(), size=len(data)
    )
    return inspect_file(item, InsecureInProcessSandbox(), limits=Limits()), data


def test_a_repository_with_differences_is_read_wholly(repository):
    git(repository, "gc", "-q", "--aggressive")
    found, _ = verdict(repository)
    assert (found.detected, found.outcome) == ("git-bundle", Outcome.CLEAN), found
    assert found.covered == found.size


def test_what_lies_in_an_old_commit_is_inspected_too(repository):
    (repository / "blob.bin").write_bytes(b"\x00\x01\x02nobody knows this" * 9)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "add")
    (repository / "blob.bin").unlink()
    git(repository, "commit", "-q", "-a", "-m", "remove")
    found, _ = verdict(repository)
    assert found.outcome is Outcome.INCOMPLETE


@pytest.mark.parametrize("where", ["pack", "trailer", "cut", "behind"])
def test_a_damaged_bundle_is_not_clean(repository, where):
    _, data = verdict(repository)
    body = bytearray(data)
    if where == "pack":
        body[len(body) // 2] ^= 1
        pack = body.index(b"PACK")
        body[-20:] = sha1(body[pack:-20]).digest()
    elif where == "trailer":
        body[-1] ^= 1
    elif where == "cut":
        del body[-30:]
    else:
        body += b"more"
    assert verdict(repository, bytes(body))[0].outcome is not Outcome.CLEAN


def test_a_bundle_that_needs_others_is_incomplete(repository):
    file = repository.parent / "thin.bundle"
    git(repository, "bundle", "create", "-q", str(file), "main~1..main")
    assert verdict(repository, file.read_bytes())[0].outcome is not Outcome.CLEAN


def sha1(data):
    return hashlib.sha1(data, usedforsecurity=False)


def made(*objects, ref):
    """Return a bundle of objects that git itself would not write."""
    pack = b"PACK" + (2).to_bytes(4) + len(objects).to_bytes(4)
    names = {b"commit": 1, b"tree": 2, b"blob": 3}
    for kind, content in objects:
        size, head = len(content) >> 4, (names[kind] << 4) | (len(content) & 15)
        while size:
            pack += bytes((head | 0x80,))
            head, size = size & 0x7F, size >> 7
        pack += bytes((head,)) + zlib.compress(content)
    pack += sha1(pack).digest()
    return b"# v2 git bundle\n" + ref + b" refs/heads/main\n\n" + pack


def identity(kind, content):
    return sha1(b"%s %d\x00%s" % (kind, len(content), content)).digest()


@pytest.mark.parametrize(
    ("mode", "name", "content", "code"),
    [
        (b"100644", b".git", b"x", "git-name"),
        (b"100644", b"..", b"x", "git-name"),
        (b"100644", b"GIT~1", b"x", "git-name"),
        (b"100644", b"a/b", b"x", "git-name"),
        (b"120000", b"link", b"../../etc/passwd", "git-link"),
        (b"100644", b".gitmodules", b'[submodule "x"]\n\turl = --upload-pack=touch x\n', "git-module-url"),
        (b"100644", b".gitmodules", b'[submodule "x"]\n\turl = ext::sh -c x\n', "git-module-url"),
    ],
)
def test_what_leads_a_checkout_astray_is_told(tmp_path, mode, name, content, code):
    blob = identity(b"blob", content)
    tree = mode + b" " + name + b"\x00" + blob
    commit = b"tree " + identity(b"tree", tree).hex().encode() + b"\nauthor a <a> 1 +0000\n\nm\n"
    ref = identity(b"commit", commit).hex().encode()
    data = made((b"commit", commit), (b"tree", tree), (b"blob", content), ref=ref)
    found, _ = verdict(Path(tmp_path) / "none", data)
    assert code in {finding.code for finding in found.findings}


def test_an_object_that_is_longer_than_it_says_is_refused(tmp_path):
    commit = b"tree " + b"0" * 40 + b"\n\nm\n"
    ref = identity(b"commit", commit).hex().encode()
    data = bytearray(made((b"commit", commit), ref=ref))
    at = data.index(b"PACK") + 12
    data[at] = (data[at] & 0xF0) | ((data[at] & 15) - 1)
    pack = data.index(b"PACK")
    data[-20:] = sha1(data[pack:-20]).digest()
    assert verdict(Path(tmp_path) / "none", bytes(data))[0].outcome is not Outcome.CLEAN
