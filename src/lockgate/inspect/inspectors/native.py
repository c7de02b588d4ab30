"""Machine code: the structure is checked, the instructions are not understood, hence opaque.

Formats: System V ABI, "Object Files" (ELF), 32 and 64 bit, both byte orders; ar(5); Linux, "Kernel module
signing facility" (``linux/module_signature.h``).
"""

import struct
from dataclasses import dataclass

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.member_names import leads_up
from lockgate.inspect.limits import demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_ORDER = {1: "<", 2: ">"}
_HEADER = {1: "16s2HI3LI6H".replace("L", "I"), 2: "16s2HI3QI6H"}
_SEGMENT = {1: "8I", 2: "2I6Q"}
_SECTION = {1: "10I", 2: "2I4Q2I2Q"}
_NOBITS, _NULL = 8, 0
_LOAD, _STACK = 1, 0x6474E551
_EXECUTE, _WRITE = 1, 2
_RELOCATABLE = 1
"""The type of files that modules of Linux are."""
_MOST_HEADERS = 65_535
_SIGNED = b"~Module signature appended~\n"
_SIGNATURE = struct.Struct(">5B3xI")
_PKCS7 = (0, 0, 2, 0, 0)
"""Algorithm, hash, type of identifier, and lengths of a signer and a key: all but the type stand inside."""
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_MOST_SIGNATURE = 4096
_AR_HEADER = 60
_AR_MAGIC = 8
_AR_TABLES = frozenset({"/", "//", "/SYM64/", "__.SYMDEF"})


@dataclass(frozen=True, slots=True)
class _Head:
    order: str
    kind: int
    wide: int
    segments: tuple[int, int, int]
    sections: tuple[int, int, int]


class ElfInspector(Inspector):
    """Checks headers, segments and sections of an ELF file."""

    name = "elf"
    version = 2
    detects = frozenset({"elf"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim headers, segments, sections and zero padding."""
        demand(len(data), context.limits.file_bytes, "file_bytes")
        tally.opaque.add("elf")
        head = _head(data, tally)
        self._segments(data, tally, head)
        self._sections(data, tally, head)
        for start, end in tally.gaps():
            module = end == len(data) and head.kind == _RELOCATABLE
            if module and _signature(bytes(data[start:end][-_MOST_SIGNATURE - 1 :])):
                tally.note("elf-signature", Severity.INFO, "A signature for Linux follows the module.", start)
                tally.claim(start, end)
            elif any(data[start:end]) and end == len(data):
                tally.note("elf-gap", Severity.LOW, f"{end - start} bytes follow the last section.", start)
                tally.complete = False
            elif any(data[start:end]):
                # What patchelf leaves when it moves a table: nothing of it is ever loaded.
                tally.note("elf-gap", Severity.INFO, f"{end - start} bytes that no section owns.", start)
                tally.claim(start, end)
            else:
                tally.claim(start, end)

    def _segments(self, data: memoryview, tally: Tally, head: _Head) -> None:
        for values, at in _table(data, head.order + _SEGMENT[head.wide], head.segments):
            if head.wide == 1:
                kind, offset, _, _, length, _, flags, _ = values
            else:
                kind, flags, offset, _, _, length, _, _ = values
            if offset + length > len(data):
                what = "A segment ends past the file."
                raise BrokenContentError(what, at=at)
            if kind == _STACK and flags & _EXECUTE:
                tally.note("elf-stack", Severity.LOW, "It asks for an executable stack.", at)
            if kind == _LOAD and flags & _EXECUTE and flags & _WRITE:
                tally.note("elf-writable-code", Severity.MEDIUM, "A segment is writable and executable.", at)
            tally.claim(offset, offset + length)
        _claim_table(tally, head.segments)

    def _sections(self, data: memoryview, tally: Tally, head: _Head) -> None:
        for index, (values, at) in enumerate(_table(data, head.order + _SECTION[head.wide], head.sections)):
            _, kind, _, _, offset, length, *_ = values
            if kind in {_NOBITS, _NULL} or index == 0:
                continue
            if offset + length > len(data):
                what = "A section ends past the file."
                raise BrokenContentError(what, at=at)
            tally.claim(offset, offset + length)
        _claim_table(tally, head.sections)


def _signature(raw: bytes) -> bool:
    """Return whether what follows a module is a signature, a PKCS #7 message of signed data, and no more."""
    message = raw[: -_SIGNATURE.size - len(_SIGNED)]
    if len(raw) > _MOST_SIGNATURE or not message or not raw.endswith(_SIGNED):
        return False
    *form, size = _SIGNATURE.unpack_from(raw, len(message))
    long = size - 4 if message[:2] == b"\x30\x82" else size - 3 if message[:2] == b"\x30\x81" else -1
    head = message[: size - long] if long > 0 else b""
    return (
        tuple(form) == _PKCS7
        and size == len(message)
        and int.from_bytes(head[2:], "big") == long
        and message.startswith(_SIGNED_DATA, len(head))
    )


def _head(data: memoryview, tally: Tally) -> _Head:
    wide, order = (data[4], data[5]) if len(data) > 16 else (0, 0)  # noqa: PLR2004  # e_ident
    if wide not in _HEADER or order not in _ORDER or data[6] != 1:
        what = "The ELF identification is not known."
        raise BrokenContentError(what, at=4)
    form = struct.Struct(_ORDER[order] + _HEADER[wide])
    if form.size > len(data):
        what = "The file ends inside its header."
        raise BrokenContentError(what, at=len(data))
    fields = form.unpack_from(data)
    _, kind, _, _, _, segment_at, section_at, _, size, seg_size, seg_count, sec_size, sec_count, _ = fields
    if size != form.size:
        what = "The header has another size than the format says."
        raise BrokenContentError(what, at=0)
    tally.claim(0, size)
    expected = [struct.calcsize("<" + table[wide]) for table in (_SEGMENT, _SECTION)]
    if (seg_count and seg_size != expected[0]) or (sec_count and sec_size != expected[1]):
        what = "A header table has entries of another size."
        raise BrokenContentError(what, at=0)
    return _Head(
        _ORDER[order], kind, wide, (segment_at, seg_size, seg_count), (section_at, sec_size, sec_count)
    )


def _table(data: memoryview, form: str, table: tuple[int, int, int]) -> list[tuple[tuple[int, ...], int]]:
    at, size, count = table
    demand(count, _MOST_HEADERS, "elf headers")
    if at + size * count > len(data):
        what = "A header table ends past the file."
        raise BrokenContentError(what, at=at)
    return [(struct.unpack_from(form, data, at + size * index), at + size * index) for index in range(count)]


def _claim_table(tally: Tally, table: tuple[int, int, int]) -> None:
    at, size, count = table
    tally.claim(at, at + size * count)


class ArchiveInspector(Inspector):
    """Walks a static library (ar) and inspects its members."""

    name = "ar"
    version = 2
    detects = frozenset({"ar"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim headers, symbol tables and wholly understood members."""
        tally.claim(0, _AR_MAGIC)
        at = _AR_MAGIC
        names, deb = b"", False
        parts: list[str] = []
        while at < len(data):
            name, size = _ar_header(data, at)
            start, end = at + _AR_HEADER, at + _AR_HEADER + size
            if end > len(data):
                what = "A member ends past the archive."
                raise BrokenContentError(what, at=at)
            stop = min(len(data), end + (end & 1))
            if at == _AR_MAGIC and name.removesuffix("/") == "debian-binary":
                deb, tally.detected = True, "deb"
            if name == "//":
                names = bytes(data[start:end])
            if name in _AR_TABLES:
                tally.claim(at, stop)
            else:
                context.budget.member(size)
                label = _long_name(name, names)
                if leads_up(label):
                    tally.note("ar-slip", Severity.HIGH, f"The name {label[:200]!r} leads elsewhere.", at)
                member = context.member(label, package=deb, role=_deb_role(label) if deb else None)
                parts.append(label.split(".", 1)[0])
                if tally.absorb(context.inspect(data[start:end], member)):
                    tally.claim(at, stop)
            at = stop
        if deb and parts != ["debian-binary", "control", "data"]:
            tally.unfinished("deb-members", "The package has not the three members that it must have.", at)


def _deb_role(name: str) -> str:
    return "deb-control" if name.startswith("control.") else "deb-data" if name.startswith("data.") else ""


def _ar_header(data: memoryview, at: int) -> tuple[str, int]:
    raw = bytes(data[at : at + _AR_HEADER])
    digits = raw[48:58].strip()
    if len(raw) < _AR_HEADER or raw[58:] != b"`\n" or not digits.isdigit():
        what = "A member header of the archive is malformed."
        raise BrokenContentError(what, at=at)
    return raw[:16].decode("latin-1").rstrip(), int(digits)


def _long_name(name: str, names: bytes) -> str:
    if name.startswith("/") and name[1:].isdigit():
        rest = names[int(name[1:]) :].split(b"\n", 1)[0]
        return rest.decode("utf-8", "replace").removesuffix("/")
    return name.removesuffix("/")
