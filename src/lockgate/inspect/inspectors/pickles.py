"""Pickles: walked opcode by opcode, and refused unless a profile holds every global they name.

A pickle is a program. A profile (`pickle_profiles`) holds the constructors that one kind of data
needs; a pickle that names nothing else, uses no odd construction and is followed by nothing but more
of its kind loads data and nothing more. It is *opaque*: data that nobody has understood.
"""

import bz2
import lzma
import zlib
from dataclasses import dataclass, field

from lockgate.core.pickles import PickleProfile as Profile
from lockgate.core.verdict import Severity
from lockgate.inspect.errors import OverLimitError
from lockgate.inspect.inspectors.pickle_letters import words
from lockgate.inspect.inspectors.pickle_machine import PROBE_STEPS, walk
from lockgate.inspect.inspectors.pickle_profiles import PROFILES, Allowed, candidates
from lockgate.inspect.inspectors.pickle_values import Walk
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

SHOWN = 6
_MOST_PICKLES = 10_000
_MOST_UNPACKED, _UNPACKED_ALL, _UNPACKING = 4 << 20, 64 << 20, 64 << 20
"""How much of one and of all that is packed inside is read, and what unpacking may take, in bytes."""
_PLAIN = b"\x80c("
"""What pickles that name something begin with."""
_LEGACY_MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
"""What ``torch.save`` wrote first before it wrote ZIP archives, as a pickle of its own."""


@dataclass(slots=True)
class Stream:
    """Some pickles that follow one another: what they did, and where the last one ends."""

    walks: list[Walk] = field(default_factory=list)
    end: int = 0

    @property
    def complete(self) -> bool:
        """Whether each ended with its STOP."""
        return bool(self.walks) and all(seen.complete for seen in self.walks)


class PickleInspector(Inspector):
    """Walks the opcodes of protocols 0 to 5 without loading anything."""

    name = "pickle"
    version = 7
    detects = frozenset({"pickle"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Refuse the pickle, or claim it when a profile covers it wholly."""
        if bytes(data[: len(_LEGACY_MAGIC)]) == _LEGACY_MAGIC:
            from lockgate.inspect.inspectors.torch_legacy import inspect_legacy  # noqa: PLC0415  # it needs this

            inspect_legacy(data, tally, context)
            return
        stream = follow(data)
        allowed = candidates(context.profile, own=context.own)
        covered = judge(tally, stream, allowed)
        if covered is None:
            return
        tally.claim(0, stream.end)
        if stream.end < len(data):
            rest = len(data) - stream.end
            tally.note("pickle-tail", Severity.MEDIUM, f"{rest} bytes follow the last pickle.", stream.end)


def _packed(tally: Tally, stream: Stream, allowed: tuple[Allowed, ...]) -> None:
    """Note a pickle among the data of another, compressed or not, that no profile covers.

    Loading does not run it; whoever loads what he finds in his data does. Where more is carried than is
    unpacked, the verdict stays open: what lies behind many harmless values may be anything.
    """
    left = _UNPACKED_ALL
    for raw in (raw for seen in stream.walks for raw in seen.packed):
        plain = _unpacked(raw)
        left -= len(plain)
        if left < 0:
            break
        if names := imports(plain, allowed or PROFILES):
            why = f"Among its data is a pickle that imports {', '.join(names[:SHOWN])}."
            tally.note("pickle-nested", Severity.HIGH, why)
            return
    if left < 0 or any(seen.more_packed for seen in stream.walks):
        tally.unfinished("over-limit", "It carries more that may be pickles than is looked at.")


def in_text(text: str) -> tuple[int, list[str]] | None:
    """Return where a text carries, in letters, a pickle that no profile covers, and what that imports.

    Raises:
        OverLimitError: It carries more that may be pickles than is looked at.

    """
    unpacked = 0
    for at, raw in words(text):
        plain = _unpacked(raw)
        unpacked = demand(unpacked + len(plain), _UNPACKED_ALL, "bytes that may be pickles")
        if names := imports(plain, PROFILES):
            return at, names
    return None


def imports(plain: bytes, allowed: tuple[Allowed, ...]) -> list[str]:
    """Return what a pickle among data imports, sorted; nothing where a profile covers it or it calls none."""
    seen = walk(memoryview(plain), PROBE_STEPS)
    if not seen.calls or not seen.globals or not all(item.refused(seen) for item in allowed):
        return []
    return sorted({str(found) for found in seen.globals})


def _unpacked(raw: bytes) -> bytes:
    """Return the beginning of what some bytes are compressed from; themselves where they are a pickle."""
    if raw[:1] in _PLAIN:
        return raw
    try:
        if raw[:1] == b"B":
            return bz2.BZ2Decompressor().decompress(raw, _MOST_UNPACKED)
        if raw[:1] == b"\xfd":
            return lzma.LZMADecompressor(memlimit=_UNPACKING).decompress(raw, _MOST_UNPACKED)
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(raw, _MOST_UNPACKED)
    except (OSError, lzma.LZMAError, zlib.error):
        return b""


def follow(data: memoryview) -> Stream:
    """Walk the pickles that lie one behind the other from the first byte on."""
    stream = Stream()
    for _ in range(_MOST_PICKLES):
        seen = walk(data, start=stream.end)
        if not seen.complete and stream.walks and not seen.globals and not seen.foreign:
            break  # what follows is no pickle: it stays unclaimed
        stream.walks.append(seen)
        stream.end = seen.end
        if not seen.complete:
            break
        if bytes(data[stream.end :]) in {b"\n", b"\r\n"}:
            stream.end = len(data)
        if stream.end >= len(data):
            break
    else:
        demand(_MOST_PICKLES + 1, _MOST_PICKLES, "pickles in one file")
    return stream


def judge(tally: Tally, stream: Stream, allowed: tuple[Allowed, ...]) -> Profile | None:
    """Note what speaks against some pickles; return the profile that covers all of them, if any.

    Raises:
        OverLimitError: There are more opcodes than are followed.

    """
    _packed(tally, stream, allowed)
    names = ", ".join(sorted({str(item) for seen in stream.walks for item in seen.globals})[:SHOWN])
    why = f"A pickle is a program that loading runs; this one imports {names or 'nothing by name'}."
    fitting = [item for item in allowed if not any(item.refused(seen) for seen in stream.walks)]
    persistent = any(seen.persistent for seen in stream.walks)
    if persistent:
        fitting = [item for item in fitting if item.persistent]
    odd = _odd(stream)
    broken = next((seen.trouble for seen in stream.walks if seen.trouble), "")
    if not fitting or odd:
        tail = f" It breaks off: {broken}." if broken else ""
        tally.note("pickle", Severity.CRITICAL, f"{why}{f' {odd}' if odd else ''}{tail}")
        tally.complete = False
        return None
    if any(seen.endless for seen in stream.walks):
        what = "It has more opcodes than are followed (limit pickle steps)."
        raise OverLimitError(what, limit="pickle steps")
    if broken:
        tally.unfinished("pickle-broken", f"The pickle breaks off: {broken}.", stream.end)
        return None
    profile = fitting[0].profile
    tally.opaque.add("pickle")
    tally.note(
        "pickle-profile", Severity.INFO, f"Within the profile {profile}; it imports {names or 'nothing'}."
    )
    return profile


def _odd(stream: Stream) -> str:
    """Say what no writer of data makes, or nothing."""
    if any(seen.odd for seen in stream.walks):
        return "It is built so that loaders read it differently, or changes a class or function."
    if any(seen.foreign for seen in stream.walks):
        return "It calls what only code outside the stream can tell."
    if any(seen.codecs for seen in stream.walks):
        return "It calls a codec that pickle itself never writes."
    return ""
