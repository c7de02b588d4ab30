"""Compound files: the container of old Office documents, installers and message files.

Format: Microsoft [MS-CFB]. Every sector belongs to a chain or is free; streams are opaque, and those that
hold macros, packages or formulas are named by what runs them.
"""

import struct

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_HEADER = struct.Struct("<8s16x5H6x9I")
_ENTRY = struct.Struct("<64sH2B3I36xIQ")
_END, _FREE = 0xFFFFFFFE, 0xFFFFFFFF
_LARGEST = 0xFFFFFFFA
_SHORT = 4096
_FIRST_FATS = 109
_STREAM, _ROOT = 2, 5
_NAMES = {
    "vba": ("office-macro", Severity.CRITICAL, "holds macros"),
    "_vba_project": ("office-macro", Severity.CRITICAL, "holds macros"),
    "macros": ("office-macro", Severity.CRITICAL, "holds macros"),
    "_vba_project_cur": ("office-macro", Severity.CRITICAL, "holds macros"),
    "\x01ole10native": ("office-embedded", Severity.CRITICAL, "holds a packaged file"),
    "equation native": ("office-embedded", Severity.CRITICAL, "holds an equation that old editors run"),
    "encryptedpackage": ("office-encrypted", Severity.HIGH, "is encrypted"),
    "objectpool": ("office-embedded", Severity.HIGH, "holds other files"),
}
_MSI = "\u4840"
"""First letter of the names that Windows Installer gives its tables."""


class CompoundInspector(Inspector):
    """Follows the chains of sectors and reads the directory."""

    name = "ole2"
    version = 1
    detects = frozenset({"ole2"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim header, tables, directory, streams and free sectors of zeros."""
        tally.opaque.add("ole2")
        try:
            _Compound(data, tally, context).read()
        except struct.error as error:
            what = "The file ends inside its tables."
            raise BrokenContentError(what, at=len(data)) from error


class _Compound:
    def __init__(self, data: memoryview, tally: Tally, context: Context) -> None:
        self.data, self.tally, self.limits = data, tally, context.limits
        head = _HEADER.unpack_from(data)
        _, _, major, order, shift, mini, *rest = head
        _, self.fats, self.directory, _, self.cutoff, self.mini_at, self.minis, self.more_at, self.mores = (
            rest
        )
        if order != 0xFFFE or (major, shift) not in {(3, 9), (4, 12)} or mini != 6:  # noqa: PLR2004  # [MS-CFB] 2.2
            what = "The header of the compound file is not known."
            raise BrokenContentError(what, at=24)
        self.size = 1 << shift
        self.per = self.size // 4
        self.used: set[int] = set()
        tally.claim(0, min(self.size, len(data)))

    def sector(self, number: int) -> memoryview:
        start = (number + 1) * self.size
        if number > _LARGEST or start + self.size > len(self.data):
            what = "A sector lies past the file."
            raise BrokenContentError(what, at=start)
        if number in self.used:
            what = "A sector belongs to two chains."
            raise BrokenContentError(what, at=start)
        self.used.add(number)
        self.tally.claim(start, start + self.size)
        return self.data[start : start + self.size]

    def table(self) -> list[int]:
        demand(self.fats * self.per, self.limits.elements, "elements")
        places = list(struct.unpack_from(f"<{min(self.fats, _FIRST_FATS)}I", self.data, 76))
        more = self.more_at
        for _ in range(demand(self.mores, self.limits.members, "members")):
            row = struct.unpack(f"<{self.per}I", self.sector(more))
            places.extend(row[:-1])
            more = row[-1]
        fat: list[int] = []
        for place in places[: self.fats]:
            fat.extend(struct.unpack(f"<{self.per}I", self.sector(place)))
        return fat

    def chain(self, fat: list[int], start: int) -> bytes:
        out = bytearray()
        while start != _END:
            out += self.sector(start)
            if start >= len(fat):
                what = "A chain leaves its table."
                raise BrokenContentError(what)
            start = fat[start]
        return bytes(out)

    def read(self) -> None:
        fat = self.table()
        raw = self.chain(fat, self.directory)
        if self.minis:
            self.chain(fat, self.mini_at)
        for at in range(0, len(raw) - len(raw) % 128, 128):
            name, length, kind, _, _, _, _, start, size = _ENTRY.unpack_from(raw, at)
            if kind not in {1, _STREAM, _ROOT}:
                continue
            label = name[: max(0, length - 2)].decode("utf-16-le", "replace")
            self.look(label)
            big = kind == _ROOT or (kind == _STREAM and size & 0xFFFFFFFF >= self.cutoff)
            if big and size and start != _END:
                stream = self.chain(fat, start)
                if label.lower() in {"workbook", "book"}:
                    self.sheets(stream)
        for number, following in enumerate(fat):
            start = (number + 1) * self.size
            if following == _FREE and number not in self.used and start + self.size <= len(self.data):
                if any(self.data[start : start + self.size]):
                    self.tally.note("ole2-free-sector", Severity.INFO, "A free sector holds data.", start)
                self.tally.claim(start, start + self.size)

    def look(self, label: str) -> None:
        found = _NAMES.get(label.lower())
        if found:
            code, severity, why = found
            self.tally.note(code, severity, f"The document {why} ({label.strip()}).")
        elif label.startswith(_MSI):
            self.tally.note("installer", Severity.INFO, "A table of Windows Installer.")

    def sheets(self, stream: bytes) -> None:
        """Note Excel 4 macro sheets and sheets that no menu shows ([MS-XLS] 2.4.28)."""
        at = 0
        while at + 4 <= len(stream):
            kind, size = struct.unpack_from("<2H", stream, at)
            if kind == 0x0085 and size >= 6:  # noqa: PLR2004  # BoundSheet8
                hidden, form = stream[at + 8] & 3, stream[at + 9]
                if form == 1:
                    self.tally.note("office-macro", Severity.CRITICAL, "The document holds Excel 4 macros.")
                if hidden == 2:  # noqa: PLR2004  # very hidden
                    self.tally.note("office-hidden-sheet", Severity.MEDIUM, "A sheet is hidden for good.")
            if kind == 0x01AE and b"\x01\x04" not in stream[at + 4 : at + 8] and size > 4:  # noqa: PLR2004  # SupBook
                self.tally.note(
                    "office-external", Severity.MEDIUM, "The workbook links to another program or file."
                )
            at += 4 + size
