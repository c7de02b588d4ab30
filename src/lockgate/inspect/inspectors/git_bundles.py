"""Git bundles: every object of the pack unpacked, hashed and named by its trees; each file inspected.

Formats: gitformat-bundle(5), version 2; gitformat-pack(5), version 2; objects as in "Git Internals".
"""

import hashlib
import re
import zlib
from dataclasses import dataclass, field

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_LINE = re.compile(rb"([0-9a-f]{40}) (refs/[\x21-\x7e]{1,1000}|HEAD)")
_SHA = 20
_COMMIT, _TREE, _BLOB, _TAG, _OFFSET, _REF = 1, 2, 3, 4, 6, 7
_NAMES = {_COMMIT: b"commit", _TREE: b"tree", _BLOB: b"blob", _TAG: b"tag"}
_PIECE = 1 << 16
_PACK_HEAD = 12
_DIRECTORY, _SUBMODULE, _LINK = b"40000", b"160000", b"120000"
_HEADER_BYTES = 16 << 20
_URL = re.compile(rb"^[^\S\n]*(?:url|path|update)\s*=\s*(\S(?:.*\S)?)", re.MULTILINE)
_HOSTILE_URL = re.compile(rb"-|!|ext::|file:|[^\x20-\x7e]|\.\./")


@dataclass(slots=True)
class _Objects:
    """What a pack holds: kind and content by object id, ids by the place in the pack, names by id."""

    known: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    places: dict[int, bytes] = field(default_factory=dict)
    names: dict[bytes, str] = field(default_factory=dict)

    def add(self, at: int, kind: int, content: bytes) -> None:
        head = b"%s %d\x00" % (_NAMES[kind], len(content))
        name = hashlib.sha1(head + content, usedforsecurity=False).digest()
        self.known[name] = (kind, content)
        self.places[at] = name


class GitBundleInspector(Inspector):
    """Unpacks a bundle that needs nothing beside itself."""

    name = "git-bundle"
    version = 1
    detects = frozenset({"git-bundle"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim header and pack once every object is unpacked, hashed and reached."""
        end, tips = _header(data, tally)
        objects = _pack(data, end, context)
        missing = [tip for tip in tips if tip not in objects.known]
        if missing:
            what = "The bundle names objects that its pack does not hold."
            raise BrokenContentError(what, at=0)
        _walk(objects, tally)
        tally.claim(0, len(data))
        for name, (kind, content) in objects.known.items():
            if kind == _BLOB:
                label = objects.names.get(name, name.hex())
                tally.absorb(context.inspect(memoryview(content), context.member(label)))
            elif kind in {_COMMIT, _TAG}:
                label = f"{_NAMES[kind].decode()}-{name.hex()[:12]}.txt"
                tally.absorb(context.inspect(memoryview(content), context.member(label)))


def _header(data: memoryview, tally: Tally) -> tuple[int, list[bytes]]:
    """Return where the pack begins and what the references stand for."""
    raw = bytes(data[:_HEADER_BYTES])
    end = raw.find(b"\n\n")
    if end < 0:
        what = "The bundle's list of references does not end."
        raise BrokenContentError(what, at=0)
    tips = []
    for line in raw[:end].split(b"\n")[1:]:
        match = _LINE.fullmatch(line)
        if match is None:
            tally.unfinished("git-header", "The bundle needs objects of elsewhere, or has another form.", 0)
            continue
        tips.append(bytes.fromhex(match[1].decode()))
    return end + 2, tips


def _pack(data: memoryview, start: int, context: Context) -> _Objects:
    """Unpack every object, deltas included, and compare the pack's own digest."""
    head, stop = bytes(data[start : start + _PACK_HEAD]), len(data) - _SHA
    if head[:8] != b"PACK\x00\x00\x00\x02" or stop < start + _PACK_HEAD:
        what = "There is no pack of version 2 behind the list."
        raise BrokenContentError(what, at=start)
    if hashlib.sha1(data[start:stop], usedforsecurity=False).digest() != bytes(data[stop:]):
        what = "The pack does not hash to what its end says."
        raise BrokenContentError(what, at=stop)
    objects, at = _Objects(), start + _PACK_HEAD
    waiting: list[tuple[int, bytes, bytes]] = []
    for _ in range(demand(int.from_bytes(head[8:]), context.limits.members, "members")):
        place = at
        kind, size, at = _object_head(data, at, stop)
        base = b""
        if kind == _OFFSET:
            distance, at = _distance(data, at, stop)
            base = objects.places.get(place - distance, b"")
        elif kind == _REF:
            base, at = bytes(data[at : at + _SHA]), at + _SHA
        context.budget.member(size)
        content, at = _inflated(data, at, stop, size)
        if kind in _NAMES:
            objects.add(place, kind, content)
        elif kind in {_OFFSET, _REF} and base in objects.known:
            _resolve(objects, place, base, content, context)
        elif kind == _REF:
            waiting.append((place, base, content))
        else:
            what = "An object of the pack is of no known kind, or its base is not before it."
            raise BrokenContentError(what, at=place)
    if at != stop:
        what = "The pack has bytes behind its last object."
        raise BrokenContentError(what, at=at)
    _resolve_late(objects, waiting, context)
    return objects


def _resolve_late(objects: _Objects, waiting: list[tuple[int, bytes, bytes]], context: Context) -> None:
    while waiting:
        ready = [one for one in waiting if one[1] in objects.known]
        if not ready:
            what = "A difference of the pack has no base in it."
            raise BrokenContentError(what, at=waiting[0][0])
        for place, base, content in ready:
            _resolve(objects, place, base, content, context)
        waiting[:] = [one for one in waiting if one[0] not in objects.places]


def _resolve(objects: _Objects, place: int, base: bytes, delta: bytes, context: Context) -> None:
    kind, source = objects.known[base]
    before, at = _number(delta, 0)
    size, at = _number(delta, at)
    context.budget.member(size)
    if before != len(source):
        what = "A difference of the pack is to a base of another length."
        raise BrokenContentError(what, at=place)
    out = bytearray()
    while at < len(delta):
        order = delta[at]
        at += 1
        if order & 0x80:
            numbers = []
            for shift, bits in ((0, 4), (4, 3)):
                value = 0
                for bit in range(bits):
                    if order & (1 << (shift + bit)):
                        value |= delta[at] << (8 * bit) if at < len(delta) else 0
                        at += 1
                numbers.append(value)
            offset, length = numbers[0], numbers[1] or 0x10000
            out += source[offset : offset + length]
        else:
            out += delta[at : at + order]
            at += order
        demand(len(out), size, "the size that a difference of the pack names")
    if len(out) != size:
        what = "A difference of the pack gives another length than it says."
        raise BrokenContentError(what, at=place)
    objects.add(place, kind, bytes(out))


def _object_head(data: memoryview, at: int, stop: int) -> tuple[int, int, int]:
    """Return kind, length and where the content begins."""
    octet, at = _octet(data, at, stop)
    kind, size, shift = (octet >> 4) & 7, octet & 15, 4
    while octet & 0x80:
        octet, at = _octet(data, at, stop)
        size |= (octet & 0x7F) << shift
        shift += 7
        demand(shift, 63, "the length of an object in the pack")
    return kind, size, at


def _distance(data: memoryview, at: int, stop: int) -> tuple[int, int]:
    octet, at = _octet(data, at, stop)
    value = octet & 0x7F
    while octet & 0x80:
        octet, at = _octet(data, at, stop)
        value = ((value + 1) << 7) | (octet & 0x7F)
        demand(value, 1 << 40, "the distance of a base in the pack")
    return value, at


def _number(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while at < len(data):
        octet = data[at]
        value |= (octet & 0x7F) << shift
        at, shift = at + 1, demand(shift + 7, 70, "a number in a difference of the pack")
        if not octet & 0x80:
            return value, at
    what = "A difference of the pack ends inside its head."
    raise BrokenContentError(what, at=at)


def _octet(data: memoryview, at: int, stop: int) -> tuple[int, int]:
    if at >= stop:
        what = "The pack ends inside an object."
        raise BrokenContentError(what, at=at)
    return data[at], at + 1


def _inflated(data: memoryview, at: int, stop: int, size: int) -> tuple[bytes, int]:
    """Return content of a known length, and where its stream ends."""
    stream, out = zlib.decompressobj(), bytearray()
    try:
        while not stream.eof and at < stop:
            piece = data[at : min(at + _PIECE, stop)]
            out += stream.decompress(piece, size + 1 - len(out))
            used = len(piece) - len(stream.unused_data) - len(stream.unconsumed_tail)
            at += used
            if len(out) > size or (not used and not stream.eof):
                break
    except zlib.error as error:
        what = f"An object of the pack is not compressed as it must be: {error}."
        raise BrokenContentError(what, at=at) from error
    if not stream.eof or len(out) != size:
        what = "An object of the pack has another length than it says."
        raise BrokenContentError(what, at=at)
    return bytes(out), at


def _walk(objects: _Objects, tally: Tally) -> None:
    """Name blobs by the trees that hold them, and note what a checkout could be led astray by."""
    for kind, content in list(objects.known.values()):
        if kind == _TREE:
            for mode, name, target in _entries(content):
                _entry(objects, tally, mode, name, target)


def _entries(tree: bytes) -> list[tuple[bytes, bytes, bytes]]:
    found, at = [], 0
    while at < len(tree):
        space, zero = tree.find(b" ", at), tree.find(b"\x00", at)
        if not at < space < zero or zero + 1 + _SHA > len(tree):
            what = "A tree of the pack is malformed."
            raise BrokenContentError(what, at=at)
        found.append((tree[at:space], tree[space + 1 : zero], tree[zero + 1 : zero + 1 + _SHA]))
        at = zero + 1 + _SHA
    return found


def _entry(objects: _Objects, tally: Tally, mode: bytes, name: bytes, target: bytes) -> None:
    shown = name.decode("utf-8", "replace")
    plain = name.lower().rstrip(b" .")
    if name in {b"", b".", b".."} or b"/" in name or b"\\" in name or plain in {b".git", b"git~1"}:
        tally.note("git-name", Severity.HIGH, f"A tree names {shown!r}, which leads out of a checkout.")
    if mode == _SUBMODULE:
        tally.note("git-submodule", Severity.INFO, f"{shown} is another repository, which is not in here.")
        return
    if target not in objects.known:
        what = "A tree of the pack names an object that is not in it."
        raise BrokenContentError(what, at=0)
    content = objects.known[target][1]
    if mode != _DIRECTORY:
        objects.names.setdefault(target, shown)
    if mode == _LINK and (content.startswith(b"/") or b".." in content.split(b"/")):
        tally.note("git-link", Severity.LOW, f"{shown} is a link that may lead out of a checkout.")
    if plain == b".gitmodules":
        for url in _URL.findall(content):
            if _HOSTILE_URL.match(url):
                told = url[:80].decode("utf-8", "replace")
                tally.note("git-module-url", Severity.HIGH, f"A submodule is to come from {told!r}.")
