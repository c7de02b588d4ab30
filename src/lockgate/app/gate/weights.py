"""Comparing a file of weights with its predecessor, in a sandbox of its own."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from lockgate.admit import ToInspect
from lockgate.admit.ports import WeightsReader
from lockgate.core.digests import sha256_stream
from lockgate.core.errors import InputError, LockgateError
from lockgate.core.weights import Compared, WeightsFacts, printable
from lockgate.inspect import Job, Limits
from lockgate.inspect.errors import SandboxUnavailableError
from lockgate.inspect.sandbox import ProcessSandbox, open_regular
from lockgate.inspect.streaming import job_stream
from lockgate.inspect.weights.entry import ENTRY, CompareArgs

DISTRIBUTIONS = {"msgspec": ("msgspec",), "numpy": ("numpy", "numpy.libs")}
"""What the comparing process sees of third-party code."""

MEMORY_BYTES = 1 << 30
"""Address space of the comparing process beside the two files that are mapped into it."""

ANSWER_BYTES = 1 << 20
WALL_SECONDS = 120
BYTES_PER_SECOND = 4 << 20
"""Slowest comparison that is waited for, in bytes of both files."""


class NoWeightsError(InputError):
    """There is nothing to compare with, or no answer that can be believed."""

    code = "LG-1fb0"
    advice = "Name a file of weights (safetensors or GGUF), or a folder whose files have the same names."


def comparing_sandbox() -> ProcessSandbox:
    """Return the sandbox that comparisons run in.

    Raises:
        SandboxUnavailableError: Nothing can be compared safely here.

    """
    return ProcessSandbox(distributions=DISTRIBUTIONS)


def compare_weights(
    base: Path, new: Path, sandbox: ProcessSandbox, *, names: tuple[str, str] = ("", "")
) -> WeightsFacts:
    """Return what changed from one file to another; a file that cannot be read gives a problem instead.

    Args:
        base: The file before.
        new: The file now.
        sandbox: Where both are read.
        names: What the two are called; their file names when left out.

    Raises:
        SandboxUnavailableError: Nothing can be compared safely here.

    """
    (old_digest, old_size), (digest, size) = _digest(base), _digest(new)
    compared, problem = None, ""
    try:
        compared = _answered(base, new, sandbox, old_size + size)
    except SandboxUnavailableError:
        raise
    except LockgateError as error:
        last = error.where.get("last")
        problem = f"{error.what} ({last})" if last else error.what
    return WeightsFacts(
        path=names[1] or new.name,
        sha256=digest,
        size=size,
        base_path=names[0] or base.name,
        base_sha256=old_digest,
        base_size=old_size,
        compared=compared,
        problem=problem[:240],
    )


def _answered(base: Path, new: Path, sandbox: ProcessSandbox, size: int) -> Compared:
    seconds = WALL_SECONDS + size // BYTES_PER_SECOND
    job = Job(
        entry=ENTRY,
        file=new,
        wall_seconds=float(seconds),
        cpu_seconds=seconds,
        memory_bytes=MEMORY_BYTES + size,
        output_bytes=ANSWER_BYTES,
    )

    def args(descriptors: Sequence[int]) -> bytes:
        return msgspec.json.encode(CompareArgs(descriptors[0], Limits()))

    with job_stream(sandbox, job, [base], args) as stream:
        answer = stream.readall() or b""
    try:
        compared = msgspec.json.decode(answer, type=Compared)
    except msgspec.DecodeError as error:
        raise NoWeightsError("The comparing process answered nothing that can be read.") from error
    if not printable(compared):
        raise NoWeightsError("The comparing process answered what no terminal may show.")
    return compared


def _digest(file: Path) -> tuple[str, int]:
    with os.fdopen(open_regular(file), "rb", buffering=0) as stream:
        return sha256_stream(stream)


class SandboxedWeights(WeightsReader):
    """Compares each pair in a process of its own."""

    def compare(self, pairs: Sequence[tuple[ToInspect, ToInspect]]) -> Sequence[WeightsFacts]:
        """Return what changed for each pair, in order; without a sandbox nothing is compared.

        Raises:
            SandboxUnavailableError: There are pairs, and nothing can be compared safely here.

        """
        sandbox = comparing_sandbox() if pairs else None
        return [
            compare_weights(old.on_disk, new.on_disk, sandbox, names=(old.file.path, new.file.path))
            for new, old in pairs
            if sandbox is not None
        ]


def counterpart(base: Path, new: Path, paths: Sequence[Path]) -> Path | None:
    """Return what a file is compared with; None where it is no file of weights, or has no counterpart.

    Args:
        base: The file or folder before.
        new: The file now, as it was found below `paths`.
        paths: What was named: a file is compared with a file, a folder's by its place in the folder.

    Raises:
        NoWeightsError: `base` does not exist.

    """
    if not base.exists():
        what = f"{base} does not exist."
        raise NoWeightsError(what)
    if not is_weights(new.name):
        return None
    if base.is_file():
        return base
    roots = [path for path in paths if path.is_dir() and new.is_relative_to(path)]
    found = base / (new.relative_to(roots[0]) if roots else new.name)
    return found if found.is_file() else None


def is_weights(name: str) -> bool:
    """Tell whether a file's name promises weights that can be compared."""
    return name.lower().endswith((".safetensors", ".gguf"))
