"""Bare repositories that the mirror unpacks for itself out of admitted bundles, and git's own backend.

They lie in a folder that only this process reads and that goes with it. Each is made from a bundle whose
bytes were hashed by descriptor, checked by git, and compared with the references that the snapshot names.
No configuration, hook or template of the host is read, and nothing is ever checked out.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lockgate.mirror.blobs import CHUNK, VerifiedBlobs
from lockgate.mirror.entries import GitEntries
from lockgate.mirror.errors import BadBundleError, NoGitError

PROCESSES = 8
"""How many git processes answer at a time; more wait."""

SECONDS = 3600.0
"""Longest time that one answer or one unpacking takes, in seconds."""

KEPT = 256
"""Most repositories that are kept unpacked; beyond it the one that was made first goes."""

HEAD_LIMIT = 1 << 16
"""Longest head of an answer of git's backend, in bytes."""

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "transfer.fsckObjects=true",
    "gc.auto=0",
    "http.receivepack=false",
    "uploadpack.allowFilter=true",
    "safe.directory=*",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What git's backend says: status, headers, and the body as it comes."""

    status: int
    headers: Mapping[str, str]
    body: AsyncGenerator[bytes, None]


class Repositories:
    """Unpacks repositories when they are first asked for.

    Args:
        blobs: Opens bundles, hashed.

    """

    def __init__(self, blobs: VerifiedBlobs) -> None:
        """Unpack nothing yet."""
        self._blobs = blobs
        self._folder: Path | None = None
        self._made: dict[str, asyncio.Task[Path]] = {}
        self._slots = asyncio.Semaphore(PROCESSES)

    def close(self) -> None:
        """Remove what was unpacked."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    async def folder(self, entry: GitEntries) -> Path:
        """Return the bare repository of a bundle.

        Raises:
            TamperedBlobError, MissingBlobError: The bundle is not what the snapshot says.
            BadBundleError: It does not hold what the snapshot names.
            NoGitError: There is no git, or it failed.

        """
        digest = entry.bundle.sha256
        task = self._made.get(digest)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._made[digest] = asyncio.ensure_future(self._unpack(entry))
            while len(self._made) > KEPT:
                await self._forget(next(iter(self._made)))
        return await asyncio.shield(task)

    async def ask(self, folder: Path, request: Mapping[str, str], body: bytes) -> Answer:
        """Give a request to ``git http-backend`` (CGI, RFC 3875) and return its answer.

        Raises:
            NoGitError: It did not answer.

        """
        await self._slots.acquire()
        process, feeding = None, None
        try:
            process = await _start(["http-backend"], {**request, "GIT_PROJECT_ROOT": str(folder)})
            feeding = asyncio.ensure_future(_feed(process, body))
            status, headers = await asyncio.wait_for(_head(process), SECONDS)
        except BaseException:
            _end(process, feeding)
            self._slots.release()
            raise
        return Answer(status, headers, self._body(process, feeding))

    async def _body(
        self, process: asyncio.subprocess.Process, feeding: "asyncio.Future[None]"
    ) -> AsyncGenerator[bytes, None]:
        """Yield the answer; whoever leaves takes the process with them."""
        try:
            if process.stdout is not None:
                while piece := await asyncio.wait_for(process.stdout.read(CHUNK), SECONDS):
                    yield piece
        finally:
            _end(process, feeding)
            self._slots.release()

    async def _unpack(self, entry: GitEntries) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="lockgate-git-"))
        target = self._folder / entry.bundle.sha256
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        bundle = target / "bundle"
        await self._copy(entry, bundle)
        await _run(target, "init", "--quiet", "--bare", "--template=", "repository")
        place = target / "repository"
        await _run(place, "fetch", "--quiet", "--no-tags", str(bundle), "+refs/*:refs/*")
        bundle.unlink()
        listed = await _run(place, "for-each-ref", "--format=%(objectname) %(refname)")
        found = {name: at for at, _, name in (line.partition(" ") for line in listed.splitlines())}
        if found != dict(entry.refs):
            what = "A bundle holds other references than the snapshot names."
            raise BadBundleError(what, digest=entry.bundle.sha256)
        first = next(iter(entry.refs))
        if first.startswith("refs/heads/"):
            await _run(place, "symbolic-ref", "HEAD", first)
        return place

    async def _copy(self, entry: GitEntries, target: Path) -> None:
        blob = await self._blobs.open(entry.bundle.sha256, entry.bundle.size)
        try:
            at = 0
            with target.open("xb") as file:
                while at < entry.bundle.size:
                    piece = await self._blobs.part(blob, at, min(CHUNK, entry.bundle.size - at))
                    await asyncio.to_thread(file.write, piece)
                    at += len(piece)
        finally:
            blob.close()

    async def _forget(self, digest: str) -> None:
        task = self._made.pop(digest)
        if self._folder is not None and task.done():
            await asyncio.to_thread(shutil.rmtree, self._folder / digest, ignore_errors=True)


def _environ(more: Mapping[str, str]) -> dict[str, str]:
    settings = [setting.partition("=") for setting in _SETTINGS]
    given = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, _, value) in enumerate(settings):
        given |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file",
        "GIT_HTTP_EXPORT_ALL": "1",
        **given,
        **more,
    }


async def _start(
    words: list[str], environ: Mapping[str, str], place: Path | None = None
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            "git",
            *words,
            env=_environ(environ),
            cwd=place,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        what = f"git could not be started: {error.strerror}."
        raise NoGitError(what) from error


def _end(process: asyncio.subprocess.Process | None, feeding: "asyncio.Future[None] | None") -> None:
    """Leave no process behind; nothing is waited for, since a client that left cancels every wait."""
    if feeding is not None:
        feeding.cancel()
    if process is not None and process.returncode is None:
        process.kill()


async def _run(place: Path, *words: str) -> str:
    process = await _start(list(words), {}, place)
    try:
        out, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    except (TimeoutError, asyncio.CancelledError) as error:
        process.kill()
        await process.wait()
        if isinstance(error, asyncio.CancelledError):
            raise
        what = f"git {words[0]} took longer than {SECONDS:.0f} seconds."
        raise NoGitError(what) from error
    if process.returncode != 0:
        what = f"git {words[0]} ended with status {process.returncode}."
        raise BadBundleError(what) if words[0] == "fetch" else NoGitError(what)
    return out.decode("utf-8", "replace")


async def _feed(process: asyncio.subprocess.Process, body: bytes) -> None:
    if process.stdin is None:
        return
    try:
        process.stdin.write(body)
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        return  # git had enough of it
    finally:
        process.stdin.close()


async def _head(process: asyncio.subprocess.Process) -> tuple[int, dict[str, str]]:
    status, headers, size = 200, {}, 0
    while process.stdout is not None and (line := await process.stdout.readline()).strip():
        size += len(line)
        if size > HEAD_LIMIT:
            break
        name, _, value = line.decode("latin-1").partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers[name] = value.strip()
    if not headers and process.stdout is not None and process.stdout.at_eof():
        raise NoGitError("git's backend said nothing.")
    return status, headers
