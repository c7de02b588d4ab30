"""The machine's own dnf and rpm, with folders of their own: no state, cache, plugin or key of the host.

dnf's solver runs in its own interpreter (`solve`), on folders that were verified before: it never sees the
network, and nothing is installed, so that no scriptlet runs.
"""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import which

from lockgate.collect.errors import (
    BadPackageError,
    BadReleaseError,
    CollectLimitError,
    InstallerError,
    UnresolvableError,
)
from lockgate.collect.openpgp import KEYS_LIMIT, bounded, gpgv, rings
from lockgate.collect.ports import Limits
from lockgate.collect.rpm.ports import RpmClient, Wish
from lockgate.collect.runner import REASON_LENGTH, run_text
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError

_SCRIPT = Path(__file__).with_name("solve.py")
_REFUSED = 3
_CHECKED = re.compile(r"^(.+): digests signatures OK$", re.MULTILINE)
_STRICT = ("--define", "_pkgverify_level all", "--define", "_pkgverify_flags 0x0")
"""rpm's own switch for taking no package whose signature or digest is missing (rpm 4.14.2 and later)."""

_ADVICE = "Check names, versions and repositories; `dnf repoquery NAME` shows what a repository has."


class DnfCommand(RpmClient):
    """dnf's interpreter, rpmkeys and gpgv in child processes; no address stands in here."""

    def __init__(self, environ: Mapping[str, str], *, limits: Limits | None = None) -> None:
        """Use an environment that says where programs lie."""
        self._environ = {**environ, "LC_ALL": "C.UTF-8"}
        self._limits = limits or Limits()

    def architecture(self) -> str:
        """Ask rpm."""
        return run_text(["rpm", "--eval", "%{_target_cpu}"], self._environ, client="rpm").strip()

    def verify(self, file: Path, signature: Path, keyring: Path, work: Path) -> tuple[str, ...]:
        """Verify with gpgv."""
        signers = gpgv([str(signature), str(file)], rings(str(keyring), (), work), self._environ, work)
        if not signers:
            what = "No signature over a repository's index verifies with the named keys."
            raise BadReleaseError(what, file=file.name)
        return signers

    def solve(self, repositories: Mapping[str, Path], wish: Wish, work: Path) -> Sequence[tuple[str, str]]:
        """Solve in dnf's interpreter, on a system where nothing is installed."""
        for name in ("root", "cache", "state", "log", "none"):
            (work / name).mkdir(exist_ok=True)
        asked = {
            "work": str(work),
            "architecture": wish.architecture,
            "platform": wish.platform,
            "weak": wish.weak,
            "repositories": {name: folder.as_uri() for name, folder in repositories.items()},
            "modules": wish.modules,
            "names": wish.names,
        }
        done = self._run([*self._interpreter(), str(_SCRIPT)], work, json.dumps(asked))
        if done.returncode:
            raise _blame(done.stderr, done.returncode)
        return [(str(name), str(digest)) for name, digest in json.loads(done.stdout)]

    def check(self, packages: Sequence[Path], keyring: Path, work: Path) -> None:
        """Verify with rpmkeys, in a database that holds these keys alone."""
        database = work / f"keys-{sha256(bytes(keyring))[:16]}"
        if not database.is_dir():
            self._import(keyring, database, work)
        command = ["rpmkeys", *_STRICT, "--dbpath", str(database), "--checksig", *map(str, packages)]
        good = set(_CHECKED.findall(self._run(command, work).stdout))
        for file in packages:
            if str(file) not in good:
                what = "A package bears no signature that verifies with the named keys."
                raise BadPackageError(what, file=file.name)

    def _import(self, keyring: Path, database: Path, work: Path) -> None:
        bounded(keyring, KEYS_LIMIT, "KEYS_LIMIT")
        database.mkdir()
        done = self._run(["rpmkeys", "--dbpath", str(database), "--import", str(keyring)], work)
        if done.returncode:
            what = f"rpm takes no keys from {keyring.name}: {_line(done.stderr)}."
            raise BadReleaseError(what, advice="Give OpenPGP keys in ASCII armour.")

    def _interpreter(self) -> list[str]:
        """Return the interpreter that dnf names in its first line: the one that has its modules."""
        program = which("dnf", path=self._environ.get("PATH"))
        if program is None:
            what = "dnf is not installed."
            raise InstallerError(what, advice="Install dnf 4 (Debian ships it), or collect where it is.")
        with Path(program).open("rb") as stream:
            first = stream.readline(256).decode("utf-8", "replace")
        if not first.startswith("#!/"):
            what = "dnf is no Python program here, and its solver cannot be asked."
            raise InstallerError(what, advice="Install dnf 4 beside it.")
        return [first[2:].split()[0], "-I"]

    def _run(self, command: list[str], work: Path, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program whose home is the folder for work: none of the host's own macros count."""
        environ = {**self._environ, "HOME": str(work), "TMPDIR": str(work)}
        try:
            return subprocess.run(  # noqa: S603  # arguments are a list; paths are our own
                command,
                env=environ,
                cwd=work,
                input=given,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=self._limits.client_seconds,
            )
        except subprocess.TimeoutExpired:
            what = f"{command[0]} took longer than {self._limits.client_seconds} seconds."
            raise CollectLimitError(what, limit="client_seconds") from None
        except OSError as error:
            what = f"{command[0]} could not be started: {error.strerror}."
            raise InstallerError(what, advice="Install dnf and rpm, or collect where they are.") from error


def _blame(words: str, status: int) -> LockgateError:
    reason = _line(words) or f"it ended with status {status}"
    if status == _REFUSED:
        return UnresolvableError(f"dnf: {reason}.", advice=_ADVICE)
    return InstallerError(f"dnf: {reason}.", advice="Run `dnf --version`; its solver has to be dnf 4's.")


def _line(words: str) -> str:
    """Return what a program said last, in one line."""
    told = words.rpartition("E: ")[2] if "E: " in words else (words.strip().splitlines() or [""])[-1]
    return " ".join(told.split())[:REASON_LENGTH].rstrip(".")
