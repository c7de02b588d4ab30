"""What a target is, and how one is made of a parser.

A target's `run` takes any bytes. It returns where the parser answered, or refused with one of Lockgate's own
errors; everything else that it raises is a failure. Nothing of Lockgate is imported before a target runs, so
that an engine can instrument it first.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

Run = Callable[[bytes], object]


@dataclass(frozen=True)
class Target:
    """One parser, or a few that read the same bytes.

    `covers` names what it runs: ``module.function`` or ``module.Class.method``, below the package.
    """

    name: str
    covers: tuple[str, ...]
    run: Run = field(repr=False)
    seeds: Callable[[], Iterable[bytes]] = field(repr=False, default=lambda: (b"{}",))


def found(where: str) -> Callable[..., Any]:
    module, name = where.rsplit(".", 1)
    found: Callable[..., Any] = getattr(import_module(f"lockgate.{module}"), name)
    return found


def late(where: str) -> Callable[..., Any]:
    """Return a function that is imported when it is called."""

    def called(*arguments: Any) -> Any:
        return found(where)(*arguments)

    return called


def refusing(run: Run) -> Run:
    """Return a run whose refusals are answers."""

    def refused(data: bytes) -> object:
        from lockgate.core.errors import LockgateError

        try:
            return run(data)
        except LockgateError:
            return None

    return refused


def plain(
    name: str, where: str, seeds: Callable[[], Iterable[bytes]], *more: Any, also: tuple[str, ...] = ()
):
    """Return a target of a function of bytes, with further arguments made by functions."""

    def run(data: bytes) -> object:
        arguments = [each() if callable(each) else each for each in more]
        return found(where)(data, *arguments)

    return Target(name, (where, *also), refusing(run), seeds)


def drained(name: str, where: str, seeds: Callable[[], Iterable[bytes]], *more: Any):
    """Return a target of an entry that runs in the sandbox; its answer is read to the end."""

    def run(data: bytes) -> object:
        arguments = [each() if callable(each) else each for each in more]
        said = found(where)(memoryview(data), *arguments)
        return said if isinstance(said, bytes) else [len(part) for part in said]

    return Target(name, (where,), confined(run), seeds)


def confined(run: Run) -> Run:
    """Return a run of what only ever runs in a process of its own: any exception is that job's failure.

    The gate calls such a file incomplete. What is left to find is a hang, a crash of the interpreter, too
    much memory, and an escape.
    """

    def ended(data: bytes) -> object:
        try:
            return run(data)
        except Exception:  # noqa: BLE001  # as in lockgate.inspect.nursery
            return None

    return ended


def two_inputs(run: Callable[[bytes, bytes], object]) -> Run:
    """Return a run of two inputs: the first two bytes are the length of the first."""

    def both(data: bytes) -> object:
        at = 2 + int.from_bytes(data[:2])
        return run(data[2:at], data[at:])

    return refusing(both)


@cache
def limits() -> Any:
    from lockgate.inspect.limits import Limits

    mib = 1 << 20
    return Limits(member_bytes=16 * mib, unpacked_bytes=64 * mib, stream_bytes=8 * mib, text_bytes=4 * mib)
