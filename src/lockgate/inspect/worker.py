"""The program inside the sandbox: confines itself, runs one function over one file, answers.

The file is descriptor 0, opened read-only by the parent; the answer goes to descriptor 1. Nothing
of the file is read before every layer of the confinement stands.
"""

import gc
import mmap
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import msgspec

from lockgate.inspect.confine import Bounds, confine
from lockgate.inspect.engine import inspect_bytes
from lockgate.inspect.errors import BadEntryError
from lockgate.inspect.limits import Limits

INSPECT = "lockgate.inspect.worker:inspect_entry"
READY = b"LGW1"
"""Written once the process is confined: from here on, a failure is the file's and not the sandbox's."""

MOST_ARGS = 16 << 20
_SHORT = 1 << 16
"""Longest file, in bytes, that is read at once: mapping one costs more."""


class InspectArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the inspecting function is told."""

    name: str
    kind: str
    limits: Limits
    profile: str = "auto"
    role: str = ""
    site: tuple[str, ...] = ()


def inspect_entry(data: memoryview, args: bytes) -> bytes:
    """Inspect one file: the entry that `lockgate.inspect.service` runs."""
    given = msgspec.json.decode(args, type=InspectArgs)
    part = inspect_bytes(
        data, given.name, given.kind, given.limits, given.profile, role=given.role, site=given.site
    )
    return msgspec.json.encode(part)


def call(entry: str, data: memoryview, args: bytes) -> bytes | Iterator[bytes]:
    """Call a function of ours by its name; it answers at once, or part by part.

    Raises:
        BadEntryError: The name is not that of a function of Lockgate.

    """
    module, _, name = entry.partition(":")
    if not module.startswith("lockgate.") or not name.isidentifier() or name.startswith("_"):
        what = f"{entry[:120]!r} is no function of Lockgate."
        raise BadEntryError(what)
    said: bytes | Iterator[bytes] = getattr(import_module(_alone(module)), name)(data, args)
    return said


def _alone(module: str) -> str:
    """Let a part of a room be imported without the room's front, whose libraries are not visible here."""
    room, _, part = module.rpartition(".")[0].rpartition(".")
    if room.count(".") == 1 and part and room not in sys.modules:
        front = ModuleType(room)
        front.__path__ = [str(Path(__file__).parents[1] / room.rpartition(".")[2])]
        sys.modules[room] = front
    return module


def content(descriptor: int) -> memoryview:
    """Return a file's bytes, mapped read-only where they are many."""
    size = os.fstat(descriptor).st_size
    if size <= _SHORT and len(data := os.pread(descriptor, size, 0)) == size:
        return memoryview(data)
    return memoryview(mmap.mmap(descriptor, size, prot=mmap.PROT_READ) if size else b"")


def main() -> None:
    """Take the arguments, confine this process, run, answer."""
    entry, args, cpu, memory = sys.argv[1:5]
    with os.fdopen(int(args), "rb") as stream:
        given = stream.read(MOST_ARGS)
    gc.disable()  # one short job; syntax trees hold no cycles, and RLIMIT_AS bounds the rest
    confine(Bounds(cpu_seconds=int(cpu), memory_bytes=int(memory)))
    answer(READY)
    said = call(entry, content(0), given)
    for part in [said] if isinstance(said, bytes) else said:
        answer(part)


def answer(data: bytes) -> None:
    """Write a part of the answer, whole."""
    while data:
        data = data[os.write(1, data) :]
