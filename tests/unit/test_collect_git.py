"""Collecting git repositories with the machine's own git, out of a folder that a test writes."""

import os
from datetime import UTC, datetime
from shutil import which

import pytest

from corpora.gitrepo import GitRepo, git
from lockgate.collect import collect, parse_manifest, plan
from lockgate.collect.errors import (
    BadRepositoryError,
    CollectLimitError,
    DigestMismatchError,
    DuplicateNameError,
    InstallerError,
    ManifestError,
    UnresolvableError,
)
from lockgate.collect.git import GitCommand
from lockgate.collect.ports import Limits
from lockgate.core.artifact import Kind, Role
from lockgate.core.digests import sha256
from lockgate.core.errors import MalformedDocumentError
from lockgate.core.git import is_ref, is_repository_name, large_path, refs_of
from lockgate.core.ports import Silent
from lockgate.store import FileBlobs


class Low:
    """A low side's store and work folder beside a repository."""

    def __init__(self, root):
        self.root, self.blobs, self.previous = root, FileBlobs(root / "blobs"), None
        self.repo = GitRepo(root / "tools/helper")
        self.first = self.repo.step(1)
        self.repo.tag("v1")
        self.second = self.repo.step(2)

    def collect(self, *refs, limits=None, more="", offline=False):
        names = ", ".join(f'"{ref}"' for ref in refs)
        (self.root / "m.toml").write_text(f'[[git]]\nurl = "tools/helper"\nrefs = [{names}]\n{more}')
        found = collect(
            self.root / "m.toml",
            blobs=self.blobs,
            work=self.root / "work",
            lane="harbour",
            clock=lambda: datetime(2026, 5, 1, tzinfo=UTC),
            progress=Silent(),
            packages=None,
            web=None,
            git=GitCommand(os.environ, limits=limits),
            previous=self.previous,
            offline=offline,
            limits=limits,
        )
        self.lock, self.notes = found.lock, found.log
        return found.lock.artifacts[0]


@pytest.fixture
def low(tmp_path):
    return Low(tmp_path)


def test_branches_and_tags_are_pinned_and_bundled(low, tmp_path):
    found = low.collect("main", "v1")
    assert (found.kind, found.name, found.version) == (Kind.GIT, "tools/helper", low.second)
    refs = refs_of(found.attributes["refs"])
    assert refs == {"refs/heads/main": low.second, "refs/tags/v1": low.repo.refs()["refs/tags/v1"]}
    bundle = tmp_path / "out.bundle"
    bundle.write_bytes(low.blobs.read(found.files[0].sha256))
    git(tmp_path, "clone", "-q", "-b", "main", str(bundle), "again")
    assert git(tmp_path / "again", "rev-parse", "HEAD") == low.second
    assert not list((low.root / "work").iterdir())


def test_a_commit_is_pinned_by_itself(low):
    found = low.collect(low.first)
    assert refs_of(found.attributes["refs"]) == {f"refs/pins/{low.first}": low.first}


def test_what_did_not_move_is_not_bundled_again(low):
    low.collect("main")
    low.previous = low.lock
    again = low.collect("main")
    assert low.lock is low.previous
    low.repo.step(3)
    assert low.collect("main").files[0].sha256 != again.files[0].sha256


def test_what_is_missing_is_told(low):
    with pytest.raises(UnresolvableError, match="no branch or tag 'absent'"):
        low.collect("absent")
    with pytest.raises((UnresolvableError, InstallerError)):
        low.collect("0" * 39 + "1")


def test_nothing_of_a_hostile_repository_runs(low):
    """A hook, a filter, an alternate and an option in a configuration that git would read where it works."""
    flag = low.root / "ran"
    low.repo.step(5, {".gitattributes": b"* filter=evil\n", ".gitmodules": b'[submodule "x"]\n\tpath = x\n'})
    hooks = low.repo.folder / ".git/hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "reference-transaction", "post-update", "pre-auto-gc"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {flag}\n")
        (hooks / name).chmod(0o755)
    for key in ("filter.evil.smudge", "filter.evil.clean", "uploadpack.packObjectsHook", "core.fsmonitor"):
        git(low.repo.folder, "config", key, f"touch {flag};")
    flag.unlink(missing_ok=True)
    low.collect("main")
    assert not flag.exists()


def test_malformed_objects_are_refused(low):
    """A tree that names .git is what a checkout would be led astray by."""
    (low.root / "evil").write_bytes(b"x")
    name = git(low.repo.folder, "hash-object", "-w", str(low.root / "evil"))
    (low.root / "tree").write_bytes(b"100644 .git\x00" + bytes.fromhex(name))
    tree = git(low.repo.folder, "hash-object", "-t", "tree", "--literally", "-w", str(low.root / "tree"))
    commit = git(low.repo.folder, "commit-tree", tree, "-m", "evil")
    git(low.repo.folder, "update-ref", "refs/heads/evil", commit)
    with pytest.raises(BadRepositoryError):
        low.collect("evil")


def test_growth_is_bounded(low):
    low.repo.step(6, {"noise.bin": os.urandom(200_000)})
    with pytest.raises(CollectLimitError):
        low.collect("main", limits=Limits(git_bytes=50_000))


def test_one_repository_stands_once(low):
    with pytest.raises(DuplicateNameError):
        low.collect("main", more='[[git]]\nurl = "tools/helper"\nrefs = ["v1"]\n')


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('url = "ext::sh -c touch% /tmp/x"', "url has to be a path"),
        ('url = "http://code.example/x"', "url has to be a path"),
        ('url = "ssh://git@code.example/x"', "url has to be a path"),
        ('url = "https://ann@code.example/x"', "url has to be a path"),
        ('url = "--upload-pack=touch"', "url has to be a path"),
        ('url = "https://code.example/x"\nrefs = ["--all"]', "no branch, tag or commit"),
        ('url = "https://code.example/x"\nrefs = ["a..b"]', "no branch, tag or commit"),
        ('url = "https://code.example/x"\nname = "../x"', "cannot name a repository"),
    ],
)
def test_tables_that_cannot_be_carried_out_say_why(line, reason):
    refs = "" if "refs" in line else 'refs = ["main"]'
    with pytest.raises(ManifestError, match=reason):
        parse_manifest(f"[[git]]\n{line}\n{refs}\n".encode())


def test_names_that_git_reads_in_another_way_are_none():
    assert is_ref("refs/tags/v1.0+rc-1")
    for name in ("refs/heads/a.lock", "refs/heads/a@{1}", "refs/heads/.a", "refs/notes/a", "refs/heads/a b"):
        assert not is_ref(name)
    assert is_repository_name("code.example/group/tool")
    for name in ("a.git/b", "a//b", "/a", "a/../b", "a/.b"):
        assert not is_repository_name(name)
    for text in ("", "refs/heads/a=12", f"refs/heads/a={'0' * 40} refs/heads/a={'1' * 40}"):
        with pytest.raises(MalformedDocumentError):
            refs_of(text)


def test_large_files_come_with_the_references_that_name_them(low):
    old, new = os.urandom(3000), os.urandom(4000)
    low.repo.keep_large()
    low.repo.step(3, {"deep.bin": old})
    low.repo.step(4, {"deep.bin": new, "same.bin": new})
    found = low.collect("main")
    bundle, *large = found.files
    assert bundle.role is Role.DISTRIBUTION
    assert [(f.sha256, f.size, f.role) for f in large] == [(sha256(new), 4000, Role.BLOB)]
    assert large[0].path == f"git/tools/helper/lfs/{sha256(new)}/deep.bin"
    assert low.blobs.read(large[0].sha256) == new
    low.previous = low.lock
    assert low.collect("main").files == found.files


def test_a_large_file_that_is_not_there_or_altered_is_told(low):
    data = os.urandom(3000)
    low.repo.keep_large()
    low.repo.step(3, {"model.bin": data})
    objects = low.repo.folder / ".git/lfs/objects"
    held = next(path for path in objects.rglob("*") if path.is_file())
    held.chmod(0o600)
    held.write_bytes(bytes(3000))
    with pytest.raises((UnresolvableError, DigestMismatchError, InstallerError)):
        low.collect("main")
    held.unlink()
    with pytest.raises(UnresolvableError):
        low.collect("main")


def test_a_repository_does_not_say_where_its_large_files_are_fetched(low):
    data = os.urandom(3000)
    low.repo.keep_large()
    lead = b"[lfs]\nurl = http://127.0.0.1:9/elsewhere\n"
    low.repo.step(3, {"model.bin": data, ".lfsconfig": lead})
    git(low.repo.folder, "branch", "master")  # git-lfs reads that file where a new repository's HEAD leads
    assert low.collect("master").files[1].sha256 == sha256(data)


def test_where_there_is_no_git_lfs_that_is_noted(low, tmp_path, monkeypatch):
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").symlink_to(which("git"))
    monkeypatch.setenv("PATH", str(programs))
    assert len(low.collect("main").files) == 1
    assert any("git-lfs is not installed" in note for note in low.notes)


def test_the_name_of_a_large_file_goes_along_where_it_may():
    assert large_path("a/b", "0" * 64, "deep/x y.bin").endswith("/x y.bin")
    assert large_path("a/b", "0" * 64, "..").endswith("/object")
    assert large_path("a/b", "0" * 64, "").endswith("/object")


def test_references_are_told_before_anything_is_fetched(low):
    def told(*, offline=False, text=None):
        if text is not None:
            (low.root / "m.toml").write_text(text)
        given = {"blobs": low.blobs, "work": low.root / "work", "progress": Silent(), "packages": None}
        found = plan(
            low.root / "m.toml",
            web=None,
            git=GitCommand(os.environ),
            previous=low.previous,
            offline=offline,
            **given,
        )
        return [(f.kind, f.name, f.before, f.now) for f in found]

    low.collect("main", "v1")
    tag = f"tags/v1 {low.repo.refs()['refs/tags/v1'][:12]}"
    first = (f"heads/main {low.second[:12]}", tag)
    assert told() == [("git", "tools/helper", (), first)]
    low.previous = low.lock
    assert told() == []
    third = low.repo.step(3)
    assert told() == [("git", "tools/helper", first, (f"heads/main {third[:12]}", tag))]
    far = '[[git]]\nurl = "https://git.invalid/far"\nrefs = ["main"]\n'
    assert told(offline=True, text=far) == []
    without = '[[documents]]\ncollection = "c"\nfolder = "."\ninclude = ["m.toml"]\n'
    assert told(text=without)[1:] == [("git", "tools/helper", first, ())]
