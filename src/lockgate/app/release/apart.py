"""Running a new version apart: without network, keys and homes, in a sandbox that sees only copies.

Bubblewrap binds the copies, so that they may be long. Where it may make no namespaces, the root-owned helper
does (`lockgate.inspect.helper`): nothing of the host can be written there, so copies go in and out as
archives, and lie in memory in between.
"""

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from lockgate.app.release import inside
from lockgate.app.release.slots import Installed
from lockgate.core.digests import sha256_stream
from lockgate.core.errors import HostError, TrustError
from lockgate.inspect.errors import JobOutputError, JobTimeoutError, SandboxUnavailableError
from lockgate.inspect.helper import MOST_MEMORY
from lockgate.inspect.launch import PROCESSES, Bubblewrap, Launcher, Layout, Room, launcher
from lockgate.inspect.sandbox import Streams, drain

TRIAL_SECONDS = 1800
"""Longest time that the new version may take for one step."""
ANSWER_LIMIT = 1 << 20
"""Longest answer of the new version that is read, in bytes."""
BROUGHT_LIMIT = 256 << 20
"""Most bytes that come out of the helper's sandbox."""
ROOM_BYTES = 1 << 30
"""What the new version may write into memory there, beside three times what goes in."""

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache")
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
_PROGRAM = "/code/inside.py"
_BOOT = f"import runpy; runpy.run_path({_PROGRAM!r}, run_name='__main__')"
_EVERYBODY = 0o005


class TrialFailedError(TrustError):
    """The new version does not do what the running one does."""

    code = "LG-2f15"
    advice = "Do not activate it. The running version goes on; send what it said to whoever made the release."


class NoSandboxError(HostError):
    """The new version cannot be run apart."""

    code = "LG-5f14"
    advice = (
        "Install bubblewrap, or start the helper where user namespaces are forbidden"
        " (docs/runbooks/hardened-hosts.md); `lockgate doctor` says whether it works."
    )


@dataclass(frozen=True, slots=True)
class Said:
    """What a command of the new version printed, and the digests of the files that it left."""

    answer: dict[str, Any]
    files: frozenset[str]


def run_version(installed: Installed, work: Path, words: list[str], bring: str = "") -> Said:
    """Run the new version's command in a sandbox and return the one object that it prints.

    Args:
        installed: The new version.
        work: The folder that it sees and starts in; paths in `words` are relative to it.
        words: The command's words.
        bring: Folder below `work` whose files are hashed afterwards; none when left out.

    Raises:
        TrialFailedError: It refuses, takes too long, or answers with something else.
        NoSandboxError: It cannot be run apart.

    """
    command = [str(installed.folder / "bin" / "python"), "-I", str(installed.program), *words]
    try:
        found = launcher()
    except SandboxUnavailableError as error:
        what = f"A new version cannot be tried: {error.what}"
        raise NoSandboxError(what) from error
    if isinstance(found, Bubblewrap):
        status, out, err = _bound(found, installed, work, command)
        files = _hashed(work / bring) if bring else frozenset()
    else:
        status, out, err, files = _carried(found, installed, work, command, bring)
    if status:
        if err.startswith("bwrap:"):
            what = f"The sandbox does not work here: {_line(err)}"
            raise NoSandboxError(what)
        what = f"The new version refuses to {' '.join(words[:2])}: {_line(err)}"
        raise TrialFailedError(what)
    return Said(_object(out, words), files)


def _bound(found: Bubblewrap, installed: Installed, work: Path, command: list[str]) -> tuple[int, bytes, str]:
    """Run a command in bubblewrap, which binds the folder of work; return status, output and errors."""
    out, err = work / ".out", work / ".err"
    try:
        with out.open("wb") as said, err.open("wb") as complained:
            ran = subprocess.run(  # noqa: S603  # the slot that was just installed and verified
                [*_sandbox(found, installed, work), *command],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=complained,
                timeout=TRIAL_SECONDS,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise _late(command) from error
    except OSError as error:
        what = f"The new version cannot be run: {error.strerror}."
        raise NoSandboxError(what) from error
    return ran.returncode, _start(out), _start(err).decode("utf-8", "replace")


def _sandbox(found: Bubblewrap, installed: Installed, work: Path) -> list[str]:
    """Return bubblewrap's words: no network, no home, no key; the slot and the system only to read."""
    words = [found.program, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv"]
    mounts, links = _system(installed)
    for place, target in links:
        words += ["--symlink", target, place]
    words += [*PROCESSES, "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108  # the sandbox's own
    for path, place in mounts:
        words += ["--ro-bind", str(path), place]
    words += ["--bind", str(work), str(work)]
    for name, value in {**_ENVIRONMENT, "HOME": str(work)}.items():
        words += ["--setenv", name, value]
    return [*words, "--chdir", str(work)]


def _carried(
    found: Launcher, installed: Installed, work: Path, command: list[str], bring: str
) -> tuple[int, bytes, str, frozenset[str]]:
    """Run a command where nothing of the host can be written; return status, output, errors and digests."""
    if installed.folder.stat().st_mode & _EVERYBODY != _EVERYBODY:
        what = f"The account nobody, which the helper starts it as, may not read {installed.folder.name}."
        raise NoSandboxError(
            what, advice="Set the umask of the account to 022, remove the slot, and try again."
        )
    order = {
        "command": command,
        "environment": _ENVIRONMENT,
        "seconds": TRIAL_SECONDS,
        "bring": [bring] if bring else [],
    }
    with _packed(work) as (archive, size):
        if 3 * size + ROOM_BYTES > MOST_MEMORY:
            what = f"The copies of {size} bytes do not fit into the memory of the helper's sandbox."
            raise NoSandboxError(what, limit="MOST_MEMORY")
        mounts, links = _system(installed)
        mounts.append((Path(inside.__file__), _PROGRAM))
        python = (str(Path(sys.executable).resolve()), "-I", "-S", "-B", "-X", "utf8", "-c")
        room = Room(3 * size + ROOM_BYTES, _ENVIRONMENT)
        layout = Layout(tuple(mounts), tuple(links), python, room)
        streams = Streams(BROUGHT_LIMIT)
        try:
            with found.start(layout, (_BOOT, json.dumps(order)), archive.fileno(), (), answers=True) as child:
                try:
                    drain(child, streams, time.monotonic() + TRIAL_SECONDS, time.monotonic)
                finally:
                    child.kill()
        except (JobTimeoutError, JobOutputError) as error:
            raise _late(command) from error
        except SandboxUnavailableError as error:
            what = f"A new version cannot be tried: {error.what}"
            raise NoSandboxError(what) from error
    if child.wait():
        what = f"The sandbox does not work here: {_line(streams.error.decode('utf-8', 'replace'))}"
        raise NoSandboxError(what)
    return _unpacked(bytes(streams.answer))


def _system(installed: Installed) -> tuple[list[tuple[Path, str]], list[tuple[str, str]]]:
    """Return what is seen read-only, and links: the system, the interpreter, the new version."""
    paths = [Path(name) for name in _SYSTEM]
    links = [(str(path), str(path.readlink())) for path in paths if path.is_symlink() and path.is_dir()]
    mounts = [path for path in paths if path.exists() and str(path) not in dict(links)]
    mounts += [Path(sys.base_prefix).resolve(), installed.folder]
    seen = [path for path in mounts if path == Path("/usr") or not path.is_relative_to("/usr")]
    return [(path, str(path)) for path in seen], links


@contextmanager
def _packed(work: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Give a folder as an archive in a file without a name, and its size in bytes."""
    with tempfile.TemporaryFile(dir=work.parent) as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for each in sorted(work.iterdir()):
                archive.add(each, each.name)
        size = file.tell()
        file.seek(0)
        yield file, size


def _unpacked(answer: bytes) -> tuple[int, bytes, str, frozenset[str]]:
    """Return what the program inside told; nothing of its archive is written, its files are hashed.

    Raises:
        TrialFailedError: It told something else.

    """
    line, _, archived = answer.partition(b"\n")
    try:
        told = json.loads(line)
        status, out, err = int(told["status"]), str(told["out"]), str(told["err"])
        digests = set()
        with tarfile.open(fileobj=BytesIO(archived), mode="r|") as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isreg() else None
                if stream:
                    digests.add(hashlib.sha256(stream.read()).hexdigest())
    except (ValueError, KeyError, TypeError, tarfile.TarError, OSError, RecursionError) as error:
        raise TrialFailedError("The new version left something that cannot be read.") from error
    return status, out.encode(), err, frozenset(digests)


def _hashed(folder: Path) -> frozenset[str]:
    """Return the digests of the files below a folder; links are passed over."""
    found = set()
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                found.add(sha256_stream(stream)[0])
    return frozenset(found)


def _late(command: list[str]) -> TrialFailedError:
    return TrialFailedError(
        f"The new version took longer than {TRIAL_SECONDS} seconds to {command[3]}, or left too much."
    )


def _object(data: bytes, words: list[str]) -> dict[str, Any]:
    try:
        found = json.loads(data) if len(data) <= ANSWER_LIMIT else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        what = f"The new version answers {words[0]} with something that is no object."
        raise TrialFailedError(what)
    return found


def _start(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(ANSWER_LIMIT + 1)


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[-400:].strip()
