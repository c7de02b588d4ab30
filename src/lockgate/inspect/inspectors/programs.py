"""Machine code of Windows and macOS: headers and sections are checked, instructions are opaque.

Formats: Microsoft "PE Format" (images and COFF objects); ``mach-o/loader.h`` and ``mach-o/fat.h``;
WebAssembly Core Specification 2.0, 5.5 (sections).
"""

import struct

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_MOST_SECTIONS = 10_000
_PE_AT, _COFF, _SECTION = 0x3C, struct.Struct("<4x2H3L2H"), struct.Struct("<8s6L2HL")
_CERTIFICATES = 4
_WRITE, _EXECUTE = 0x80000000, 0x20000000
_MACH = {b"\xcf\xfa\xed\xfe": ("<", 32), b"\xfe\xed\xfa\xcf": (">", 32), b"\xce\xfa\xed\xfe": ("<", 28)}
_SEGMENT_64, _SEGMENT_32, _SYMTAB, _DYSYMTAB = 0x19, 0x1, 0x2, 0xB
_LINK_DATA = frozenset({0x1D, 0x1E, 0x26, 0x29, 0x2B, 0x2E, 0x33, 0x34})
_WASM_SECTIONS = 14


class PeInspector(Inspector):
    """Windows programs and libraries; what lies behind the last section is a finding."""

    name = "pe"
    version = 1
    detects = frozenset({"pe"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim headers, sections, symbols and certificates."""
        demand(len(data), context.limits.file_bytes, "file_bytes")
        tally.opaque.add("pe")
        try:
            end = _pe(data, tally)
        except struct.error as error:
            what = "The program ends inside its headers."
            raise BrokenContentError(what, at=len(data)) from error
        for start, stop in tally.gaps():
            if start >= end and any(data[start:stop]):
                tally.note(
                    "pe-overlay", Severity.LOW, f"{stop - start} bytes follow the last section.", start
                )
            else:
                tally.claim(start, stop)


def _pe(data: memoryview, tally: Tally) -> int:
    """Claim what the headers name; return where the last of it ends."""
    (at,) = struct.unpack_from("<L", data, _PE_AT)
    if bytes(data[at : at + 4]) != b"PE\x00\x00":
        what = "The program has no PE header."
        raise BrokenContentError(what, at=_PE_AT)
    _, sections, _, symbols, symbol_count, optional, _ = _COFF.unpack_from(data, at)
    demand(sections, _MOST_SECTIONS, "sections")
    table = at + _COFF.size + optional
    ends: list[int] = [table + sections * _SECTION.size]
    tally.claim(0, ends[0])
    for index in range(sections):
        name, _, _, size, start, *_, flags = _SECTION.unpack_from(data, table + index * _SECTION.size)
        if size and start:
            ends.append(_claim(data, tally, start, size))
        if flags & _WRITE and flags & _EXECUTE:
            label = name.rstrip(b"\x00").decode("latin-1")
            tally.note(
                "pe-writable-code", Severity.LOW, f"The section {label} is writable and executable.", at
            )
    if symbols:
        texts = symbols + 18 * symbol_count
        (size,) = struct.unpack_from("<L", data, texts)
        ends.append(_claim(data, tally, symbols, 18 * symbol_count + size))
    magic = int.from_bytes(data[at + 24 : at + 26], "little")
    folder = at + 24 + (112 if magic == 0x20B else 96) + 8 * _CERTIFICATES  # noqa: PLR2004  # PE32+
    if folder + 8 <= table:
        start, size = struct.unpack_from("<2L", data, folder)
        if start and size:
            ends.append(_claim(data, tally, start, size))
    return max(ends)


class CoffInspector(Inspector):
    """An object file of Windows compilers."""

    name = "coff"
    version = 1
    detects = frozenset({"coff"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim headers, sections, relocations and symbols."""
        demand(len(data), context.limits.file_bytes, "file_bytes")
        tally.opaque.add("coff")
        sections, _, symbols, count, optional = struct.unpack_from("<2xH3LH", data)
        table = 20 + optional
        tally.claim(0, table + sections * _SECTION.size)
        for index in range(demand(sections, _MOST_SECTIONS, "sections")):
            _, _, _, size, start, moves, lines, moved, lined, flags = _SECTION.unpack_from(
                data, table + index * _SECTION.size
            )
            if start and size and not flags & 0x80:
                _claim(data, tally, start, size)
            if moved:
                _claim(data, tally, moves, 10 * moved)
            if lined:
                _claim(data, tally, lines, 6 * lined)
        if symbols:
            (size,) = struct.unpack_from("<L", data, symbols + 18 * count)
            _claim(data, tally, symbols, 18 * count + size)
        for start, stop in tally.gaps():
            if stop - start < 16 and not any(data[start:stop]):  # noqa: PLR2004  # alignment
                tally.claim(start, stop)


class MachInspector(Inspector):
    """macOS programs and libraries, single or of several processors."""

    name = "mach-o"
    version = 1
    detects = frozenset({"mach-o"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim headers, segments and zero padding."""
        demand(len(data), context.limits.file_bytes, "file_bytes")
        tally.opaque.add("mach-o")
        try:
            if bytes(data[:4]) == b"\xca\xfe\xba\xbe":
                (count,) = struct.unpack_from(">I", data, 4)
                tally.claim(0, 8 + 20 * demand(count, 64, "processors"))
                for index in range(count):
                    _, _, at, size, _ = struct.unpack_from(">5I", data, 8 + 20 * index)
                    _claim(data, tally, at, 0)
                    _mach(data[at : at + size], tally, at)
            else:
                _mach(data, tally, 0)
        except struct.error as error:
            what = "The program ends inside its headers."
            raise BrokenContentError(what, at=len(data)) from error
        for start, stop in tally.gaps():
            if not any(data[start:stop]):
                tally.claim(start, stop)
            else:
                tally.note("mach-o-gap", Severity.LOW, f"{stop - start} bytes that no segment owns.", start)


def _mach(data: memoryview, tally: Tally, base: int) -> None:
    order, head = _MACH.get(bytes(data[:4]), ("", 0))
    if not order:
        what = "A part of the program is no Mach-O file."
        raise BrokenContentError(what, at=base)
    commands, size = struct.unpack_from(f"{order}2I", data, 16)
    demand(commands, _MOST_SECTIONS, "load commands")
    tally.claim(base, base + head + size)
    at = head
    for _ in range(commands):
        kind, length = struct.unpack_from(f"{order}2I", data, at)
        kind &= 0x7FFFFFFF
        if length < 8 or at + length > len(data):  # noqa: PLR2004  # kind and length
            what = "A load command ends past the program."
            raise BrokenContentError(what, at=base + at)
        if kind == _SEGMENT_64:
            start, count = struct.unpack_from(f"{order}2Q", data, at + 40)
        elif kind == _SEGMENT_32:
            start, count = struct.unpack_from(f"{order}2I", data, at + 32)
        elif kind in _LINK_DATA:
            start, count = struct.unpack_from(f"{order}2I", data, at + 8)
        else:
            start, count = 0, 0
        if start + count > len(data):
            what = "A segment ends past the program."
            raise BrokenContentError(what, at=base + at)
        tally.claim(base + start, base + start + count)
        at += length


class WasmInspector(Inspector):
    """WebAssembly modules: sections up to the last byte."""

    name = "wasm"
    version = 1
    detects = frozenset({"wasm"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim header and sections."""
        demand(len(data), context.limits.file_bytes, "file_bytes")
        tally.opaque.add("wasm")
        at = 8
        if len(data) <= at or bytes(data[4:at]) != b"\x01\x00\x00\x00":
            what = "The module has no section, or another version than 1."
            raise BrokenContentError(what, at=4)
        while at < len(data):
            kind, size, shift = data[at], 0, 0
            at += 1
            for _ in range(5):
                byte = data[at] if at < len(data) else 0
                at += 1
                size |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:  # noqa: PLR2004  # the last byte of the number
                    break
            at += size
            if kind >= _WASM_SECTIONS or at > len(data):
                what = "A section of the module is not known or ends past the file."
                raise BrokenContentError(what, at=at)
        tally.claim(0, at)


def _claim(data: memoryview, tally: Tally, start: int, size: int) -> int:
    if start + size > len(data):
        what = "A part of the program ends past the file."
        raise BrokenContentError(what, at=start)
    tally.claim(start, start + size)
    return start + size
