"""An engine in a sandbox: its model comes from quarantine, and nothing of it gets out but bounded answers."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

import lockgate
from lockgate.core.errors import HostError
from lockgate.core.golden import TOKENS, Engine, GoldenPrompt
from lockgate.infer.golden import Answered, Order
from lockgate.infer.installation import Installation
from lockgate.inspect.errors import SandboxUnavailableError
from lockgate.inspect.tally import printable

SEED = 1
CONTEXT = 2048
MEMORY_BYTES = 16 << 30
"""Address space of the engine beside twice its model."""

ANSWER_BYTES = 16 << 20
START_SECONDS = 180.0
PROMPT_SECONDS = 120.0
"""How long an engine may take to load its model, and for each prompt."""

_NOBODY = "65534"
_BOOT = "import sys; sys.path[:0] = ['/code', '/site']; from lockgate.infer.golden import main; main()"
_FOLDERS = ("/usr", "/bin", "/lib", "/lib64")
_SAID = 200


class EngineReplayError(HostError):
    """The sandboxed engine gave no answers."""

    code = "LG-5fb0"
    advice = (
        "Look at what it said; the engine has to run on this machine, and the model has to be a GGUF file."
    )


@dataclass(frozen=True, slots=True)
class Setup:
    """An engine and how it is run; `threads` 0: one for each processor."""

    installation: Installation
    context: int = CONTEXT
    seed: int = SEED
    threads: int = 0

    @property
    def engine(self) -> Engine:
        """Return what golden sets name it by."""
        made = self.installation
        return Engine(name=made.name, sha256=made.sha256, context=self.context, seed=self.seed)


def ask(
    setup: Setup, model: Path, model_sha256: str, prompts: Sequence[GoldenPrompt]
) -> list[tuple[str, ...]]:
    """Return the tokens of the greedy answer to each prompt.

    Args:
        setup: The engine.
        model: The model's file; it is hashed again inside.
        model_sha256: What it has to hash to.
        prompts: What it is asked.

    Raises:
        SandboxUnavailableError: There is no bubblewrap here.
        EngineReplayError: The engine did not start, answer in time, or answer what can be read.

    """
    size = model.stat().st_size
    made = setup.installation
    order = Order(
        model="/model.gguf",
        model_sha256=model_sha256,
        model_size=size,
        root="/engine",
        executable=made.executable,
        files=dict(made.files),
        name=made.name,
        folder="/tmp/run",  # noqa: S108  # a file system of the sandbox's own
        context=setup.context,
        threads=setup.threads or os.cpu_count() or 1,
        seed=setup.seed,
        start_seconds=START_SECONDS,
        memory_bytes=MEMORY_BYTES + 2 * size,
        prompts=tuple(prompts),
    )
    said = _run(made, model, msgspec.json.encode(order), START_SECONDS + PROMPT_SECONDS * len(prompts))
    try:
        answered = msgspec.json.decode(said, type=Answered)
    except msgspec.DecodeError as error:
        raise EngineReplayError("The sandboxed engine answered nothing that can be read.") from error
    if answered.problem:
        raise EngineReplayError(printable(answered.problem))
    if len(answered.answers) != len(prompts) or any(len(tokens) > TOKENS for tokens in answered.answers):
        raise EngineReplayError("The sandboxed engine answered something else than it was asked.")
    return list(answered.answers)


def _run(made: Installation, model: Path, order: bytes, seconds: float) -> bytes:
    program = shutil.which("bwrap")
    if program is None:
        raise SandboxUnavailableError("The program bwrap is not installed.")
    command = [program, *_layout(made, model)]
    try:
        with subprocess.Popen(  # noqa: S603  # our own command
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}, cwd="/"
        ) as child:
            try:
                out, said = child.communicate(order, timeout=seconds)
            finally:
                child.kill()
    except subprocess.TimeoutExpired as error:
        what = f"The sandboxed engine did not end within {seconds:g} seconds."
        raise EngineReplayError(what) from error
    except OSError as error:
        what = f"The sandboxed engine cannot be started: {error}."
        raise EngineReplayError(what) from error
    if child.returncode or len(out) > ANSWER_BYTES:
        last = printable(said.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1], _SAID)
        what = f"The sandboxed engine ended with status {child.returncode}: {last}"
        raise EngineReplayError(what)
    return out


def _layout(made: Installation, model: Path) -> Iterator[str]:
    """Yield bubblewrap's arguments: every namespace, the system and the engine read-only, one model."""
    yield from ("--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
    yield from ("--uid", _NOBODY, "--gid", _NOBODY, "--hostname", "lockgate", "--clearenv")
    yield from ("--setenv", "LANG", "C.UTF-8", "--setenv", "PATH", "/usr/bin:/bin")
    for folder in _FOLDERS:
        if Path(folder).is_symlink():
            yield from ("--symlink", str(Path(folder).readlink()), folder)
        else:
            yield from ("--ro-bind-try", folder, folder)
    yield from ("--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache")
    interpreter = Path(sys.executable).resolve()
    stdlib, library = Path(sysconfig.get_path("stdlib")), sysconfig.get_config_var("LIBDIR") or "/usr/lib"
    for path in (interpreter, stdlib, Path(library) / str(sysconfig.get_config_var("INSTSONAME") or "none")):
        if path.exists() and not path.is_relative_to("/usr"):
            yield from ("--ro-bind", str(path), str(path))
    yield from ("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp")  # noqa: S108  # the sandbox's own
    yield from ("--ro-bind", str(Path(lockgate.__file__).parent), "/code/lockgate")
    yield from ("--ro-bind", sysconfig.get_path("purelib"), "/site")
    yield from ("--ro-bind", str(made.root.resolve()), "/engine")
    yield from ("--ro-bind", str(model.resolve()), "/model.gguf")
    yield from ("--remount-ro", "/", "--chdir", "/tmp", "--")  # noqa: S108  # the sandbox's own
    yield from (str(interpreter), "-I", "-S", "-B", "-X", "utf8", "-c", _BOOT)
