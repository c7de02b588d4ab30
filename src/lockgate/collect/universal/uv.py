"""The machine's own uv as the client that locks for several environments: nothing is built or installed.

Uses `uv lock` in a folder of its own and `uv export` to the standard lock file format (PEP 751). Building is
switched off but for the projects that may come as source archives, and those are described beforehand, so
that nothing that a project brings is run here.
"""

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from lockgate.collect.errors import (
    CollectLimitError,
    DigestMismatchError,
    DiskFullError,
    IndexPinError,
    InstallerError,
    UnreachableError,
    UnresolvableError,
)
from lockgate.collect.pip import settings_of
from lockgate.collect.ports import Limits, Resolution
from lockgate.collect.runner import REASON_LENGTH, Client, Run, run, without_secrets
from lockgate.collect.universal.ports import Locker, Scope
from lockgate.collect.universal.project import project_file
from lockgate.collect.universal.pylock import read_lock
from lockgate.collect.universal.settings import Machine
from lockgate.core.errors import LockgateError

_SIGNS: tuple[tuple[str, type[LockgateError]], ...] = (
    ("Hash mismatch", DigestMismatchError),
    ("No space left on device", DiskFullError),
    ("No solution found", UnresolvableError),
    ("conflicting", UnresolvableError),
    ("was not found in the", UnresolvableError),
    ("Failed to parse", UnresolvableError),
    ("Failed to fetch", UnreachableError),
    ("Request failed", UnreachableError),
    ("Could not connect", UnreachableError),
    ("error sending request", UnreachableError),
)


def blame(words: str, status: int) -> LockgateError:
    """Return the error that fits what uv said, with its reason in one line."""
    kind = next((error for sign, error in _SIGNS if sign in words), InstallerError)
    lines = [line.strip() for line in words.splitlines()]
    told = [
        line for line in lines if line and not line.startswith(("Using CPython", "Resolved ", "warning:"))
    ]
    reason = " ".join(told) or f"it ended with status {status}"
    what = f"uv: {without_secrets(reason)[:REASON_LENGTH].rstrip('.')}."
    return kind(what)


UV = Client("uv", ".whl", blame)


class UvLocker(Locker):
    """uv in a child process; no address stands in here."""

    def __init__(
        self, environ: Mapping[str, str], *, python: str = sys.executable, limits: Limits | None = None
    ) -> None:
        """Use the uv that lies beside an interpreter, or on the path, and the pip of the interpreter."""
        self._environ = dict(environ)
        self._python = python
        self._limits = limits or Limits()
        self._pip: Mapping[str, str] | None = None

    def resolve(self, scope: Scope, work: Path, seen: Callable[[int], None]) -> Resolution:
        """Resolve with `uv lock`; see `Locker.resolve`."""
        if self._pip is None:
            self._pip = settings_of(self._python, self._environ)
        machine = Machine(self._environ, self._pip)
        if scope.offline and scope.indexes:
            what = f"Projects are pinned to the index {scope.indexes[0].name!r}, which is not asked offline."
            raise IndexPinError(what)
        named = replace(
            scope,
            indexes=tuple(machine.named(index) for index in scope.indexes),
            find_links=(*scope.find_links, *machine.find_links()),
        )
        offline = scope.offline or machine.no_index()
        folder = work / "project"
        folder.mkdir()
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        text = project_file(named, here, machine.constraints())
        (folder / "pyproject.toml").write_text(text, encoding="utf-8")
        environ = machine.environment(work, named.pinned())
        lock = [*self._program("lock", folder), *(["--no-index"] if offline else [])]
        sources = [word for s in named.sources for word in ("--no-binary-package", s.project)]
        run(Run([*lock, "--no-build", *sources], environ, work, self._limits.client_seconds, UV), seen)
        export = [*self._program("export", folder), "--frozen", "--no-emit-project", "--no-default-groups"]
        target = work / "pylock.toml"
        command = [*export, "--format", "pylock.toml", "--output-file", str(target)]
        run(Run(command, environ, work, self._limits.client_seconds, UV), seen)
        return self._read(target, named)

    def _read(self, target: Path, scope: Scope) -> Resolution:
        if target.stat().st_size > self._limits.report_bytes:
            what = f"uv's lock is longer than {self._limits.report_bytes} bytes."
            raise CollectLimitError(what, limit="report_bytes")
        found = read_lock(target.read_text(encoding="utf-8"), scope)
        if len(found.wheels) > self._limits.wheels:
            what = f"The requirements resolve to more than {self._limits.wheels} wheels."
            raise CollectLimitError(what, limit="wheels")
        return found

    def _program(self, command: str, folder: Path) -> list[str]:
        beside = Path(self._python).with_name("uv")
        uv = str(beside) if beside.is_file() else shutil.which("uv", path=self._environ.get("PATH"))
        if uv is None:
            what = "uv is not installed here, and several environments are locked by it."
            raise InstallerError(what, advice="Install uv, as with `pip install 'lockgate[clients]'`.")
        options = ["--project", str(folder), "--directory", str(folder), "--python", self._python]
        return [uv, command, *options, "--color", "never", "--no-progress"]
