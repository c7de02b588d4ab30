"""An engine in a sandbox: its model comes from quarantine, and nothing of it gets out but bounded answers."""

import os
import sys
import sysconfig
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

import lockgate
from lockgate.core.errors import HostError
from lockgate.core.golden import TOKENS, Engine, GoldenPrompt
from lockgate.infer.engines.installation import Installation
from lockgate.infer.golden import Answered, Order
from lockgate.inspect.errors import JobOutputError, JobTimeoutError
from lockgate.inspect.launch import Layout, Room, launcher
from lockgate.inspect.sandbox import Streams, drain
from lockgate.inspect.tally import printable

SEED = 1
CONTEXT = 2048
MEMORY_BYTES = 16 << 30
"""Address space of the engine beside twice its model."""

ANSWER_BYTES = 16 << 20
START_SECONDS = 180.0
PROMPT_SECONDS = 120.0
"""How long an engine may take to load its model, and for each prompt."""

ROOM_BYTES = 1 << 30
"""What the engine may write, in memory that goes with it."""

_ENVIRONMENT = {"LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}
_BOOT = (
    "import sys; sys.path[:0] = ['/code', '/site']; from lockgate.inspect.confine import close_ways;"
    " close_ways(); from lockgate.infer.golden import main; main()"
)
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
        SandboxUnavailableError: Nothing makes namespaces here.
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
    started = launcher()
    asked = os.memfd_create("order")
    try:
        os.write(asked, order)
        os.lseek(asked, 0, os.SEEK_SET)
        with started.start(_layout(made, model), (_BOOT,), asked, (), answers=True) as child:
            streams = Streams(ANSWER_BYTES)
            try:
                drain(child, streams, time.monotonic() + seconds, time.monotonic)
            finally:
                child.kill()
    except (JobTimeoutError, JobOutputError) as error:
        what = f"The sandboxed engine did not end within {seconds:g} seconds, or answered too much."
        raise EngineReplayError(what) from error
    finally:
        os.close(asked)
    status = child.wait()
    if status:
        last = printable(streams.error.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1], _SAID)
        what = f"The sandboxed engine ended with status {status}: {last}"
        raise EngineReplayError(what)
    return bytes(streams.answer)


def _layout(made: Installation, model: Path) -> Layout:
    """Return what the engine sees: the system and itself read-only, one model, no file of this side."""
    links = tuple((each, str(Path(each).readlink())) for each in _FOLDERS if Path(each).is_symlink())
    mounts = [(Path(each), each) for each in _FOLDERS if not Path(each).is_symlink()]
    interpreter = Path(sys.executable).resolve()
    library = Path(sysconfig.get_config_var("LIBDIR") or "/usr/lib")
    shared = library / str(sysconfig.get_config_var("INSTSONAME") or "none")
    own = (interpreter, Path(sysconfig.get_path("stdlib")), shared)
    mounts += [(path, str(path)) for path in own if not path.is_relative_to("/usr")]
    mounts.append((Path("/etc/ld.so.cache"), "/etc/ld.so.cache"))
    mounts = [(path, place) for path, place in mounts if path.exists()]
    mounts.append((Path(lockgate.__file__).parent, "/code/lockgate"))
    mounts.append((Path(sysconfig.get_path("purelib")), "/site"))
    mounts.append((made.root.resolve(), "/engine"))
    mounts.append((model.resolve(), "/model.gguf"))
    python = (str(interpreter), "-I", "-S", "-B", "-X", "utf8", "-c")
    return Layout(tuple(mounts), links, python, Room(ROOM_BYTES, _ENVIRONMENT))
