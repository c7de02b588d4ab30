"""The machine's own git, led so that a hostile repository runs nothing and fills no disk.

Nothing is checked out: there is no working tree, hence no filter, no submodule and no link. Hooks lead
nowhere, only named transports are allowed, every object is checked as it arrives.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from lockgate.collect.errors import (
    BadRepositoryError,
    CollectLimitError,
    DiskFullError,
    InstallerError,
    UnreachableError,
    UnresolvableError,
)
from lockgate.collect.ports import Limits
from lockgate.collect.runner import REASON_LENGTH, Client, Run, run
from lockgate.core.errors import LockgateError

_OID = re.compile(r"[0-9a-f]{64}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_SECRETS = re.compile(r"(?<=://)[^/\s@]+@")
_SIGNS: tuple[tuple[str, type[LockgateError]], ...] = (
    ("fsck", BadRepositoryError),
    ("error: object", BadRepositoryError),
    ("did not receive expected object", BadRepositoryError),
    ("index-pack failed", BadRepositoryError),
    ("missing blob", BadRepositoryError),
    ("missing tree", BadRepositoryError),
    ("Object does not exist on the server", UnresolvableError),
    ("error: failed to fetch some objects", UnresolvableError),
    ("No space left on device", DiskFullError),
    ("couldn't find remote ref", UnresolvableError),
    ("not our ref", UnresolvableError),
    ("does not appear to be a git repository", UnresolvableError),
    ("not found", UnresolvableError),
    ("Could not resolve host", UnreachableError),
    ("unable to access", UnreachableError),
    ("Connection", UnreachableError),
)
_SAFE = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "transfer.fsckObjects=true",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "pack.threads=1",
    "credential.interactive=false",
)
_ADVICE = "Check address and names; `git ls-remote` shows what a repository offers."


def blame(words: str, status: int) -> LockgateError:
    """Return the error that fits what git said, with its own reason in one line."""
    kind = next((error for sign, error in _SIGNS if sign in words), InstallerError)
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("fatal:", "error:"))]
    reason = _SECRETS.sub("", (told or lines or [f"it ended with status {status}"])[0])
    what = f"git: {reason[:REASON_LENGTH].rstrip('.')}."
    return kind(what, advice=_ADVICE) if kind is UnresolvableError else kind(what)


_GIT = Client("git", "", blame)


@dataclass(frozen=True, slots=True)
class LargeFiles:
    """Large files of a repository: the first path that names each, by its SHA-256, and where they lie.

    `sought` says whether anybody could look: without git-lfs nobody can.
    """

    paths: Mapping[str, str]
    folder: Path
    sought: bool = True

    def file(self, oid: str) -> Path:
        """Return where a large file lies (Git LFS specification, "Intercepting git")."""
        return self.folder / oid[:2] / oid[2:4] / oid


class GitClient(ABC):
    """git, with the machine's own way to the network."""

    @abstractmethod
    def offered(self, url: str, work: Path) -> Mapping[str, str]:
        """Return the branches and tags of a repository, by their whole name.

        Raises:
            UnresolvableError, UnreachableError, InstallerError: There is none, or no way to it.

        """

    @abstractmethod
    def bundle(self, url: str, refs: Mapping[str, str], work: Path, seen: Callable[[int], None]) -> Path:
        """Fetch references at their objects, check all of it, and return a bundle of it.

        Raises:
            UnresolvableError: The repository has not what was asked for.
            BadRepositoryError: An object is malformed or missing.
            CollectLimitError: It is too large.

        """

    @abstractmethod
    def large(self, url: str, refs: Mapping[str, str], work: Path, seen: Callable[[int], None]) -> LargeFiles:
        """Fetch the large files (Git LFS) of what was bundled in this folder, as its references have them.

        Raises:
            UnresolvableError: The repository names one that its server has not.
            InstallerError, UnreachableError: git-lfs failed, or there is no way to the server.
            CollectLimitError: They are too large.

        """


class GitCommand(GitClient):
    """git in child processes."""

    def __init__(self, environ: Mapping[str, str], *, git: str = "git", limits: Limits | None = None) -> None:
        """Use a git, with an environment that says how to reach the network."""
        kept = {key: value for key, value in environ.items() if not key.startswith("GIT_")}
        self._environ = {
            **kept,
            "LC_ALL": "C.UTF-8",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "GIT_ALLOW_PROTOCOL": "https:file",
            "GIT_LFS_SKIP_SMUDGE": "1",
        }
        self._git = git
        self._limits = limits or Limits()

    def offered(self, url: str, work: Path) -> Mapping[str, str]:
        """Ask with `git ls-remote`."""
        out = work / "offered.txt"
        self._run(["ls-remote", "--heads", "--tags", "--refs", "--", url], work, lambda _: None, out)
        if out.stat().st_size > self._limits.report_bytes:
            what = f"A repository names more references than fit into {self._limits.report_bytes} bytes."
            raise CollectLimitError(what, limit="report_bytes")
        lines = (line.partition("\t") for line in out.read_text(errors="replace").splitlines())
        return {name: commit for commit, _, name in lines}

    def bundle(self, url: str, refs: Mapping[str, str], work: Path, seen: Callable[[int], None]) -> Path:
        """Fetch, check with `git fsck --strict`, and bundle."""
        folder = work / "tmp" / "repository"
        folder.parent.mkdir(exist_ok=True)
        self._run(["init", "--quiet", "--bare", "--template=", "--", str(folder)], work, lambda _: None)
        bounded = _Bounded(seen, self._limits.git_bytes)
        specs = [f"+{name if not name.startswith('refs/pins/') else at}:{name}" for name, at in refs.items()]
        place = ["-C", str(folder)]
        self._run(
            [*place, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", url, *specs],
            work,
            bounded,
        )
        for name, at in refs.items():
            self._run([*place, "update-ref", "--no-deref", name, at], work, lambda _: None)
        self._run([*place, "fsck", "--strict", "--no-dangling", "--no-progress"], work, lambda _: None)
        target = work / "repository.bundle"
        self._run([*place, "bundle", "create", "--quiet", str(target), *refs], work, lambda _: None)
        return target

    def large(self, url: str, refs: Mapping[str, str], work: Path, seen: Callable[[int], None]) -> LargeFiles:
        """List with `git lfs ls-files`, and fetch with `git lfs fetch` where anything is listed.

        The server is named here: a repository's own ``.lfsconfig`` would lead elsewhere.
        """
        place = work / "tmp" / "repository"
        objects = place / "lfs" / "objects"
        if which("git-lfs", path=self._environ.get("PATH")) is None:
            return LargeFiles({}, objects, sought=False)
        paths: dict[str, str] = {}
        for number, name in enumerate(refs):
            out = work / f"large-{number}.txt"
            self._run(["-C", str(place), "lfs", "ls-files", "--long", name], work, lambda _: None, out)
            paths = {**self._listed(out), **paths}
        if paths:
            remote = url if _SCHEME.match(url) else Path(url).as_uri()
            server = f"{url.rstrip('/').removesuffix('.git')}.git/info/lfs" if remote == url else remote
            given = ["-c", f"remote.origin.url={remote}", "-c", f"lfs.url={server}"]
            bounded = _Bounded(seen, self._limits.git_bytes)
            self._run(["-C", str(place), *given, "lfs", "fetch", "origin", *refs], work, bounded)
        return LargeFiles(paths, objects)

    def _listed(self, out: Path) -> dict[str, str]:
        """Return the large files of one reference: the first path of each, by its digest."""
        if out.stat().st_size > self._limits.report_bytes:
            what = f"A repository names more large files than fit into {self._limits.report_bytes} bytes."
            raise CollectLimitError(what, limit="report_bytes")
        found: dict[str, str] = {}
        for line in out.read_text(errors="replace").splitlines():
            oid, _, path = line.partition(" ")
            if not _OID.fullmatch(oid):
                raise BadRepositoryError("git-lfs lists a large file by something that is no SHA-256.")
            found.setdefault(oid, path.partition(" ")[2])
        return found

    def _run(
        self, words: list[str], work: Path, seen: Callable[[int], None], output: Path | None = None
    ) -> None:
        settings = [word for setting in _SAFE for word in ("-c", setting)]
        command = [self._git, *settings, *words]
        run(Run(command, self._environ, work, self._limits.client_seconds, _GIT, output), seen)


class _Bounded:
    """Tells of growth, and ends a fetch that grows past its bound."""

    def __init__(self, seen: Callable[[int], None], limit: int) -> None:
        self._seen, self._limit, self._size = seen, limit, 0

    def __call__(self, count: int) -> None:
        self._size += count
        if self._size > self._limit:
            what = f"A repository is larger than {self._limit} bytes."
            raise CollectLimitError(what, limit="git_bytes")
        self._seen(count)
