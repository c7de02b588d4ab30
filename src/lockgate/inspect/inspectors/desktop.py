"""Small files of desktops and terminals: colour profiles, cursors, terminals' descriptions, embedded fonts.

Formats: ICC.1:2022 (profile header, tag table); Xcursor(3), "CURSOR FILES"; term(5) with its extended form;
Embedded OpenType (W3C member submission of 2008), versions 1, 2.1 and 2.2. What they hold is opaque.
"""

import struct

from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.shapes import EOT, EOT_FIXED, EOT_VERSIONS, ICC_HEAD, terminal_end
from lockgate.inspect.inspectors.texts import scan
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_ICC_TAG = struct.Struct(">4s2I")
_ICC_TAGS = 1000
_ICC_TEXTS = frozenset({b"text", b"desc"})
_CURSOR, _CURSOR_ENTRY = struct.Struct("<4s3I"), struct.Struct("<3I")
_CURSOR_IMAGE, _CURSOR_COMMENT = 0xFFFD0002, 0xFFFE0001
_CURSOR_SIDE = 0x7FFF
_EOT_PACKED = 0x10000004
"""Flags of a font that is compressed (MicroType Express) or masked: its tables cannot be told."""


class ColourInspector(Inspector):
    """A colour profile: a table of tags, each inside the file."""

    name = "icc"
    version = 2
    detects = frozenset({"icc"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim header, table and tags, and the zeros that align them."""
        del context
        (count,) = struct.unpack_from(">I", data, ICC_HEAD)
        demand(count, _ICC_TAGS, "icc tags")
        table = ICC_HEAD + 4 + count * _ICC_TAG.size
        if table > len(data):
            raise _broken("The profile ends inside its table.", ICC_HEAD)
        tally.claim(0, table)
        for index in range(count):
            _, at, size = _ICC_TAG.unpack_from(data, ICC_HEAD + 4 + index * _ICC_TAG.size)
            if at < table or at + size > len(data):
                raise _broken("A tag of the profile ends past the file.", at)
            if bytes(data[at : at + 4]) in _ICC_TEXTS:
                scan(tally, bytes(data[at + 8 : at + size]).decode("ascii", "replace"), lenient=True)
            tally.claim(at, at + size)
        tally.opaque.add("icc")
        if bytes(data[-1:]) == b"\n":
            tally.claim(len(data) - 1, len(data))  # an editor's, behind a profile that a repository keeps
        _aligned(data, tally)


def _aligned(data: memoryview, tally: Tally) -> None:
    for start, end in tally.gaps():
        if end - start < 4 and not any(data[start:end]):  # noqa: PLR2004  # alignment
            tally.claim(start, end)


class CursorInspector(Inspector):
    """Cursors of X: pictures and comments where the table of contents says."""

    name = "xcursor"
    version = 1
    detects = frozenset({"xcursor"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the table and each chunk."""
        _, head, _, count = _CURSOR.unpack_from(data)
        demand(count, context.limits.entries, "entries")
        table = head + count * _CURSOR_ENTRY.size
        if head != _CURSOR.size or table > len(data):
            raise _broken("The cursor ends inside its table.", 0)
        tally.claim(0, table)
        for index in range(count):
            kind, subtype, at = _CURSOR_ENTRY.unpack_from(data, head + index * _CURSOR_ENTRY.size)
            tally.claim(at, self._chunk(data, tally, (kind, subtype, at), table))
        tally.opaque.add("xcursor")

    def _chunk(self, data: memoryview, tally: Tally, entry: tuple[int, int, int], table: int) -> int:
        kind, subtype, at = entry
        if at < table or at + 20 > len(data):
            raise _broken("A chunk of the cursor lies past the file.", at)
        size, *said, _, first = struct.unpack_from("<5I", data, at)
        if said != [kind, subtype]:
            raise _broken("A chunk of the cursor is not what the table says.", at)
        if kind == _CURSOR_IMAGE and size == 36 and at + size <= len(data):  # noqa: PLR2004  # of a picture
            (height,) = struct.unpack_from("<I", data, at + 20)
            if max(first, height) > _CURSOR_SIDE:
                raise _broken("A picture of the cursor is larger than the format allows.", at)
            end = at + size + 4 * first * height
        elif kind == _CURSOR_COMMENT and size == 20:  # noqa: PLR2004  # of a comment
            end = at + size + first
            scan(tally, bytes(data[at + size : end]).decode("utf-8", "replace"))
        else:
            raise _broken("A chunk of the cursor is of a kind that is not known.", at)
        if end > len(data):
            raise _broken("A chunk of the cursor ends past the file.", at)
        return int(end)


class TerminalInspector(Inspector):
    """A compiled description of a terminal: what steers it, and steers nothing while it is a file."""

    name = "terminfo"
    version = 1
    detects = frozenset({"terminfo"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the description, which detection has walked to its end."""
        del context
        end = terminal_end(data)
        tally.opaque.add("terminfo")
        tally.claim(0, len(data) if end + 1 == len(data) and not data[end] else end)


class EmbeddedFontInspector(Inspector):
    """A font for old browsers: a header of names and the font, which is inspected where it is plain."""

    name = "eot"
    version = 1
    detects = frozenset({"eot"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the header and the font."""
        _, size, version, flags, *_ = EOT.unpack_from(data)
        form, at = EOT_VERSIONS[version], EOT_FIXED
        for index in range(4 + (form > 1)):
            at = self._text(data, tally, at + 2 * (index > 0))
        if form > 2:  # noqa: PLR2004  # the newest has a signature, and a font of a user's own signs
            at = self._counted(data, at + 10, 2)
            at = self._counted(data, at + 4, 4)
        if at + size != len(data):
            raise _broken("The font does not lie where its header ends.", at)
        tally.claim(0, at)
        tally.opaque.add("font")
        if flags & _EOT_PACKED or tally.absorb(context.inspect(data[at:], context.member("font.ttf"))):
            tally.claim(at, len(data))

    def _text(self, data: memoryview, tally: Tally, at: int) -> int:
        """Look at a name, which is counted and in UTF-16; return where it ends."""
        end = self._counted(data, at, 2)
        scan(tally, bytes(data[at + 2 : end]).decode("utf-16-le", "replace"), lenient=True)
        return end

    def _counted(self, data: memoryview, at: int, width: int) -> int:
        end = at + width + int.from_bytes(data[at : at + width], "little")
        if end > len(data):
            raise _broken("The header of the font ends past the file.", at)
        return end


def _broken(what: str, at: int) -> BrokenContentError:
    return BrokenContentError(what, at=at)
