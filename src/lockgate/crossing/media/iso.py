"""ISO 9660 images: only the Joliet tree is read (ECMA-119, its supplementary descriptor with UCS-2 names)."""

import struct
from collections.abc import Iterator

from lockgate.crossing.media import tree
from lockgate.crossing.media.errors import ImageFormError, MediumListingError
from lockgate.crossing.media.sizes import SECTOR
from lockgate.crossing.media.tree import Image, Node

DESCRIPTORS_LIMIT = 64
"""Most volume descriptors that are looked at."""

_FIRST = 16
_MAGIC = b"CD001"
_SUPPLEMENTARY, _END = 2, 255
_JOLIET = (b"%/@", b"%/C", b"%/E")
_FOLDER, _MORE = 0x02, 0x80
_FLAGS = 25
_HEAD = struct.Struct("<BBI4xI4x7xB6xB")


class IsoImage(Image):
    """An image of ISO 9660 with Joliet, opened once."""

    def top(self) -> Node:
        """Return the root folder of the Joliet tree."""
        for number in range(DESCRIPTORS_LIMIT):
            sector = self.at((_FIRST + number) * SECTOR, SECTOR)
            if sector[1:6] != _MAGIC or sector[0] == _END:
                break
            if sector[0] == _SUPPLEMENTARY and sector[88:91] in _JOLIET:
                return self._node(sector[156:190])
        raise ImageFormError("The image has no Joliet tree of ISO 9660.")

    def _node(self, record: bytes) -> Node:
        """Read a folder's record (ECMA-119, section 9.1)."""
        length, attributes, sector, size, flags, name_length = _HEAD.unpack_from(record)
        if length < _HEAD.size + name_length or length > len(record):
            raise ImageFormError("A folder of the image has a record of a wrong length.")
        offset = (sector + attributes) * SECTOR
        if offset + size > self.size:
            what = f"The image ends before a file that it names, at {offset}."
            raise ImageFormError(what, offset=offset, length=size)
        name = record[_HEAD.size : _HEAD.size + name_length]
        plain = name.decode("utf-16-be", "replace") if name_length > 1 else ""
        return Node(plain.removesuffix(";1"), bool(flags & _FOLDER), ((offset, size),))

    def entries(self, folder: Node) -> Iterator[Node]:
        """Yield what is in a folder; parts of one file are joined."""
        names: set[str] = set()
        begun: Node | None = None
        for node, more in self._records(folder):
            if begun is not None and (node.name != begun.name or len(begun.extents) >= tree.EXTENTS_LIMIT):
                raise ImageFormError("A file of the image has parts of another file.")
            parts = begun.extents if begun is not None else ()
            whole = Node(node.name, node.folder, parts + node.extents)
            begun = whole if more else None
            if more:
                continue
            if whole.name in names:
                what = f"The image has {whole.name[:80]!r} twice."
                raise ImageFormError(what)
            names.add(whole.name)
            yield whole
        if begun is not None:
            raise ImageFormError("A file of the image has no end.")

    def _records(self, folder: Node) -> Iterator[tuple[Node, bool]]:
        """Yield the records of a folder but those of itself and the one above, and whether parts follow."""
        if folder.size > tree.FOLDER_LIMIT:
            what = f"A folder of the image has {folder.size} bytes; at most {tree.FOLDER_LIMIT} are read."
            raise MediumListingError(what)
        data = self.at(folder.extents[0][0], folder.size)
        at, count = 0, 0
        while at < len(data):
            length = data[at]
            if not length:  # records do not cross sectors; the rest of this one is empty
                at = (at // SECTOR + 1) * SECTOR
                continue
            if length < _HEAD.size or at % SECTOR + length > SECTOR or at + length > len(data):
                raise ImageFormError("A folder of the image has a record of a wrong length.")
            record = data[at : at + length]
            at, count = at + length, count + 1
            if count > tree.ENTRIES_LIMIT:
                what = f"A folder of the image has more than {tree.ENTRIES_LIMIT} entries."
                raise MediumListingError(what)
            node = self._node(record)
            if node.name:
                yield node, bool(record[_FLAGS] & _MORE)
