"""UDF images, as optical discs and large sticks have them (ECMA-167, OSTA UDF 1.02 to 2.60).

Read are partitions of type 1, where every block stands still. Partitions that map blocks (virtual,
sparable and metadata partitions of packet-written and rewritable discs) are refused by name. Every
descriptor's tag, checksum and CRC are demanded; files that lie in pieces, in their own entry, or whose
list of pieces goes on elsewhere are read, as long as all pieces are recorded.
"""

import binascii
import struct
from collections.abc import Iterator

from lockgate.crossing.media import tree
from lockgate.crossing.media.errors import ImageFormError, MediumListingError
from lockgate.crossing.media.tree import Image, Node

DESCRIPTORS_LIMIT = 64
"""Most descriptors of a volume that are looked at."""

CONTINUED_LIMIT = 64
"""Most blocks over which the list of one file's pieces may go on."""

BLOCKS = (2048, 512, 4096, 1024)
"""Lengths of a block that are tried, in bytes; discs have the first."""

_ANCHOR_BLOCK = 256
_RECOGNITION = 32768
"""Where the volume recognition sequence begins, in bytes."""

_NSR = (b"NSR02", b"NSR03")
_RECOGNITION_STEP = 2048
_RECOGNITION_LIMIT = 64

_ANCHOR, _PARTITION, _LOGICAL, _END = 2, 5, 6, 8
_FILE_SET, _IDENTIFIER, _CONTINUED, _ENTRY, _LONG_ENTRY = 256, 257, 258, 261, 266
_HEAD = {_ENTRY: (168, 176), _LONG_ENTRY: (208, 216)}
"""For each kind of entry: where the lengths of attributes and pieces stand, and where these begin."""

_TAG = struct.Struct("<HHBBHHHI")
_EXTENT = struct.Struct("<II")
_LONG = struct.Struct("<IIH6x")
_LENGTH = 0x3FFFFFFF
_RECORDED, _GOES_ON = 0, 3
_SHORT_FORM, _LONG_FORM, _INSIDE = 0, 1, 3
_FOLDER_TYPE, _FILE_TYPE = 4, 5
_DELETED, _PARENT, _IS_FOLDER = 0x04, 0x08, 0x02
_IDENTIFIER_HEAD = 38
_PLAIN, _WIDE = 8, 16


def is_udf(image: "RawImage") -> bool:
    """Tell whether an image says that it has the form of UDF (ECMA-167, part 2, section 8)."""
    for number in range(_RECOGNITION_LIMIT):
        offset = _RECOGNITION + number * _RECOGNITION_STEP
        if offset + _RECOGNITION_STEP > image.size:
            return False
        name = image.at(offset, 6)[1:]
        if name in _NSR:
            return True
        if not name.strip(b"\0"):
            return False
    return False


class RawImage(Image):
    """An image of which only bytes are read, to see what form it has."""

    def top(self) -> Node:
        """Return a folder without anything in it."""
        return Node("", folder=True, extents=())

    def entries(self, folder: Node) -> Iterator[Node]:
        """Yield nothing."""
        del folder
        yield from ()


class UdfImage(Image):
    """An image of UDF, opened once."""

    _block = 0
    _start = 0
    _length = 0
    _map = 0

    def top(self) -> Node:
        """Return the root folder that the file set descriptor names."""
        location, length = self._anchor()
        file_set, partition = self._volume(location, length)
        self._start, self._length = partition
        data = self._tagged(self._offset(file_set), self._block, _FILE_SET)
        return self._node("", self._long(data, 400))

    def _anchor(self) -> tuple[int, int]:
        """Return block and length of the main sequence of volume descriptors."""
        for block in BLOCKS:
            offset = _ANCHOR_BLOCK * block
            if offset + block > self.size or self.at(offset, 2) != _ANCHOR.to_bytes(2, "little"):
                continue
            self._block = block
            length, location = _EXTENT.unpack_from(self._tagged(offset, block, _ANCHOR), 16)
            return location, length
        raise ImageFormError("The image has no anchor of UDF where it should be.")

    def _volume(self, location: int, length: int) -> tuple[int, tuple[int, int]]:
        """Return the block of the file set, and start and length of its partition in blocks."""
        partitions: dict[int, tuple[int, int]] = {}
        found: tuple[int, int] | None = None
        for number in range(min(DESCRIPTORS_LIMIT, length // self._block)):
            offset = (location + number) * self._block
            kind = int.from_bytes(self.at(offset, 2), "little")
            if kind == _END:
                break
            if kind not in {_PARTITION, _LOGICAL}:
                continue
            data = self._tagged(offset, self._block, kind)
            if kind == _PARTITION:
                partitions[int.from_bytes(data[22:24], "little")] = _EXTENT.unpack_from(data, 188)
            else:
                found = self._logical(data)
        if found is None or found[1] not in partitions:
            raise ImageFormError("The image has no volume of UDF with its partition.")
        start, count = partitions[found[1]]
        if (start + count) * self._block > self.size:
            raise ImageFormError("The image ends before its partition does.")
        return found[0], (start, count)

    def _logical(self, data: bytes) -> tuple[int, int]:
        """Return the block of the file set and the number of its partition."""
        size, (_, file_set, reference) = int.from_bytes(data[212:216], "little"), _LONG.unpack_from(data, 248)
        maps, count = _EXTENT.unpack_from(data, 264)
        if size != self._block or (data[440], data[441], count, maps, reference) != (1, 6, 1, 6, 0):
            what = "The image has a partition that maps its blocks, or blocks of another length."
            raise ImageFormError(what)
        return file_set, int.from_bytes(data[444:446], "little")

    def _offset(self, block: int, length: int = 0) -> int:
        """Return where a block of the partition lies in the image, in bytes."""
        if block * self._block + length > self._length * self._block:
            what = f"The image names block {block}, which lies behind its partition."
            raise ImageFormError(what)
        return (self._start + block) * self._block

    def _tagged(self, offset: int, length: int, kind: int) -> bytes:
        """Return a descriptor whose tag, checksum and CRC are right (ECMA-167, part 3, section 7.2)."""
        data = self.at(offset, length)
        _check_tag(data, kind)
        return data

    def _long(self, data: bytes, at: int) -> int:
        """Return the block that a long allocation descriptor names."""
        _, block, reference = _LONG.unpack_from(data, at)
        if reference:
            raise ImageFormError("The image names another partition.")
        return int(block)

    def _node(self, name: str, block: int) -> Node:
        """Read the entry of a file or folder (ECMA-167, part 4, sections 14.9 and 14.17)."""
        offset = self._offset(block, self._block)
        data = self.at(offset, self._block)
        kind = int.from_bytes(data[:2], "little")
        if kind not in _HEAD:
            what = f"The image has no entry for {name[:80]!r} where it says."
            raise ImageFormError(what)
        _check_tag(data, kind)
        file_type, form = data[27], int.from_bytes(data[34:36], "little") & 7
        if file_type not in {_FOLDER_TYPE, _FILE_TYPE}:
            what = f"{name[:80]!r} in the image is neither a file nor a folder."
            raise ImageFormError(what)
        lengths, begin = _HEAD[kind]
        attributes, listed = _EXTENT.unpack_from(data, lengths)
        begin += attributes
        if begin + listed > self._block:
            what = f"The entry of {name[:80]!r} in the image is longer than its block."
            raise ImageFormError(what)
        size = int.from_bytes(data[56:64], "little")
        extents: tuple[tuple[int, int], ...] = ((offset + begin, listed),)
        if form != _INSIDE:
            extents = tuple(self._extents(data[begin : begin + listed], form, name))
        return Node(name, file_type == _FOLDER_TYPE, _cut(extents, size, name))

    def _extents(self, data: bytes, form: int, name: str) -> Iterator[tuple[int, int]]:
        """Yield offset and length of the pieces of a file, in bytes."""
        if form not in {_SHORT_FORM, _LONG_FORM}:
            what = f"The pieces of {name[:80]!r} are listed in a way that is not read."
            raise ImageFormError(what)
        unit, step, count, continued = (_EXTENT, 8, 0, 0) if form == _SHORT_FORM else (_LONG, 16, 0, 0)
        at = 0
        while at + step <= len(data):
            length, block, *reference = unit.unpack_from(data, at)
            at, state, length = at + step, length >> 30, length & _LENGTH
            if not length:
                break
            if any(reference) or state not in {_RECORDED, _GOES_ON}:
                what = f"A piece of {name[:80]!r} is not recorded in the image."
                raise ImageFormError(what)
            offset = self._offset(block, length)
            if state == _GOES_ON:
                continued += 1
                if continued > CONTINUED_LIMIT:
                    what = f"{name[:80]!r} in the image has more pieces than are read."
                    raise MediumListingError(what)
                more = self._tagged(offset, self._block, _CONTINUED)
                data, at = more[24 : 24 + int.from_bytes(more[20:24], "little")], 0
                continue
            count += 1
            if count > tree.EXTENTS_LIMIT:
                what = f"{name[:80]!r} in the image has more than {tree.EXTENTS_LIMIT} pieces."
                raise MediumListingError(what)
            yield offset, length

    def entries(self, folder: Node) -> Iterator[Node]:
        """Yield what is in a folder (ECMA-167, part 4, section 14.4)."""
        if folder.size > tree.FOLDER_LIMIT:
            what = f"A folder of the image has {folder.size} bytes; at most {tree.FOLDER_LIMIT} are read."
            raise MediumListingError(what)
        data = b"".join(self.at(offset, length) for offset, length in folder.extents)
        names: set[str] = set()
        at = 0
        while at < len(data):
            if at + _IDENTIFIER_HEAD > len(data):
                raise ImageFormError("A folder of the image ends within an entry.")
            flags, length = data[at + 18], data[at + 19]
            used = int.from_bytes(data[at + 36 : at + 38], "little")
            end = at + _IDENTIFIER_HEAD + used + length
            if end > len(data):
                raise ImageFormError("A folder of the image has an entry longer than itself.")
            following = at + (end - at + 3) // 4 * 4
            _check_tag(data[at:following], _IDENTIFIER)
            if not flags & (_DELETED | _PARENT):
                name = _name(data[end - length : end])
                if name in names:
                    what = f"The image has {name[:80]!r} twice."
                    raise ImageFormError(what)
                names.add(name)
                if len(names) > tree.ENTRIES_LIMIT:
                    what = f"A folder of the image has more than {tree.ENTRIES_LIMIT} entries."
                    raise MediumListingError(what)
                node = self._node(name, self._long(data, at + 20))
                if node.folder != bool(flags & _IS_FOLDER):
                    what = f"{name[:80]!r} in the image is a folder or not, as one looks at it."
                    raise ImageFormError(what)
                yield node
            at = following


def _check_tag(data: bytes, kind: int) -> None:
    """Demand a descriptor's kind, its tag's checksum and its CRC-16/XMODEM (ECMA-167, part 3, 7.2)."""
    found, _, checksum, _, _, crc, length, _ = _TAG.unpack_from(data)
    counted = sum(data[: _TAG.size]) - checksum & 0xFF
    body = data[_TAG.size : _TAG.size + length]
    if found != kind or counted != checksum or len(body) != length or binascii.crc_hqx(body, 0) != crc:
        what = f"A descriptor of the image is no {kind}, or was altered."
        raise ImageFormError(what)


def _cut(extents: tuple[tuple[int, int], ...], size: int, name: str) -> tuple[tuple[int, int], ...]:
    """Return pieces cut to the length of a file, in bytes."""
    found, left = [], size
    for offset, length in extents:
        if left:
            found.append((offset, min(left, length)))
            left -= min(left, length)
    if left:
        what = f"{name[:80]!r} in the image is longer than its pieces."
        raise ImageFormError(what)
    return tuple(found)


def _name(data: bytes) -> str:
    """Return a name of OSTA compressed Unicode (UDF 2.60, section 2.1.1)."""
    if data[:1] == bytes([_PLAIN]):
        return data[1:].decode("latin-1")
    if data[:1] == bytes([_WIDE]) and len(data) % 2:
        return data[1:].decode("utf-16-be", "replace")
    raise ImageFormError("A name in the image is in no form that is read.")
