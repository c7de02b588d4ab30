"""Cpio archives in the new portable form, as RPM packages and kernels carry them; nothing is extracted.

Format: cpio(5), "New ASCII Format" and "New CRC Format": headers of hexadecimal numbers, names and contents
padded to four bytes, a last member named ``TRAILER!!!``.
"""

import stat
from dataclasses import dataclass

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.tars import SYSTEMS, Seen, check_link, check_name, known_setuid
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_HEAD, _FIELDS, _WIDTH = 110, 13, 8
_MAGIC = {b"070701": False, b"070702": True}
"""Magic → whether the last field is the sum of the bytes."""
_LAST = "TRAILER!!!"
_ALIGN = 4
_MODE, _LINKS, _SIZE, _NAME_SIZE, _SUM = 1, 4, 6, 11, 12
_SPECIAL_BITS = stat.S_ISUID | stat.S_ISGID


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    mode: int
    data: memoryview
    at: int
    start: int
    stop: int


class CpioInspector(Inspector):
    """Walks the headers, inspects each file, reports everything that is not a plain file."""

    name = "cpio"
    version = 2
    detects = frozenset({"cpio"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim headers, padding and the bytes of wholly understood members."""
        at, seen = 0, Seen()
        while True:
            member = _member(data, at)
            tally.claim(at, member.start)
            tally.claim(member.start + len(member.data), member.stop)
            at = member.stop
            if member.name == _LAST and not member.data:
                break
            self._look(member, tally, context, seen)
        if any(data[at:]):
            tally.note("cpio-tail", Severity.HIGH, "Bytes follow the last member.", at)
        else:
            tally.claim(at, len(data))

    def _look(self, member: _Member, tally: Tally, context: Context, seen: Seen) -> None:
        name, at, kind = member.name.removesuffix("/"), member.at, stat.S_IFMT(member.mode)
        context.budget.member(len(member.data))
        check_name(tally, name, seen, at, context.limits)
        if member.mode & _SPECIAL_BITS and kind != stat.S_IFDIR:
            severity = Severity.INFO if known_setuid(name, context.role) else Severity.HIGH
            tally.note("cpio-setuid", severity, f"{name} has a set-id bit.", at)
        if kind == stat.S_IFLNK:
            target = bytes(member.data).decode("utf-8")
            check_link(tally, name, "symbolic link", target, (at, context.role in SYSTEMS))
            seen.links.add(name.removeprefix("./"))
            tally.claim(member.start, member.start + len(member.data))
        elif kind == stat.S_IFREG:
            if tally.absorb(context.inspect(member.data, context.member(name))):
                tally.claim(member.start, member.start + len(member.data))
        elif kind != stat.S_IFDIR:
            tally.note("cpio-device", Severity.HIGH, f"{name} is neither file nor folder nor link.", at)


def _member(data: memoryview, at: int) -> _Member:
    """Return a member after checking its header.

    Raises:
        BrokenContentError: It is malformed or cut short.

    """
    head = bytes(data[at : at + _HEAD])
    summed = _MAGIC.get(head[:6])
    if len(head) < _HEAD or summed is None:
        what = "A header is missing, or of another form."
        raise BrokenContentError(what, at=at)
    words = [head[6 + _WIDTH * index : 6 + _WIDTH * (index + 1)] for index in range(_FIELDS)]
    if any(word.strip(b"0123456789abcdefABCDEF") for word in words):
        what = "A number in a header is not hexadecimal."
        raise BrokenContentError(what, at=at)
    numbers = [int(word, 16) for word in words]
    demand(numbers[_NAME_SIZE], 1 << 16, "name_bytes")
    raw = bytes(data[at + _HEAD : at + _HEAD + numbers[_NAME_SIZE]])
    start = _aligned(at + _HEAD + len(raw))
    end = start + numbers[_SIZE]
    stop = _aligned(end)
    whole = raw.endswith(b"\x00") and raw.find(0) == len(raw) - 1 and stop <= len(data)
    if not whole or any(data[at + _HEAD + len(raw) : start]) or any(data[end:stop]):
        what = "A member ends past the file, or its name or padding is not as it must be."
        raise BrokenContentError(what, at=at)
    content = data[start:end]
    if summed and sum(content) & 0xFFFFFFFF != numbers[_SUM]:
        what = "A member does not match its sum."
        raise BrokenContentError(what, at=at)
    return _Member(raw[:-1].decode("utf-8"), numbers[_MODE], content, at, start, stop)


def _aligned(at: int) -> int:
    return -(-at // _ALIGN) * _ALIGN
