"""Rarer forms of archives and machine code, honest and not."""

import io
import struct
import tarfile
import zipfile

from corpora import inspection_content as make
from corpora.inspection_case import Case, bad, good
from lockgate.core.verdict import Outcome


class _Pipe(io.RawIOBase):
    """A stream that cannot seek, so that writers use data descriptors."""

    def __init__(self):
        self.parts = []

    def writable(self):
        return True

    def write(self, data):
        self.parts.append(bytes(data))
        return len(data)


def _streamed() -> bytes:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("a.txt", make.EPOCH), b"text")
    return b"".join(pipe.parts)


def _reserved() -> bytes:
    """A member whose writer reserved 64-bit sizes."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w") as archive,
        archive.open(zipfile.ZipInfo("a.txt", make.EPOCH), "w", force_zip64=True) as member,
    ):
        member.write(b"text")
    return out.getvalue()


def _end64(*, count=1, short_count=0xFFFF, extension=b"") -> bytes:
    data = make.zipped({"a.txt": b"text"})
    at, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    wide = struct.pack(
        "<4sQ2H2L4Q", b"PK\x06\x06", 44 + len(extension), 45, 45, 0, 0, count, count, end - at, at
    )
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    full = 0xFFFFFFFF
    short = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, short_count, short_count, full, full, 0)
    return data[:end] + wide + extension + locator + short


def _gzip_with_everything() -> bytes:
    plain = make.gzipped(b"text")
    head = plain[:3] + b"\x1e" + plain[4:10]
    return head + b"\x03\x00abc" + b"name\x00" + b"comment\x00" + b"\x00\x00" + plain[10:]


def _elf32() -> bytes:
    """Thirty-two bits, big-endian, one segment, no sections."""
    ident = b"\x7fELF\x01\x02\x01" + bytes(9)
    head = ident + struct.pack(">2H5I6H", 2, 8, 1, 0, 52, 0, 0, 52, 32, 1, 40, 0, 0)
    return head + struct.pack(">8I", 1, 0, 0, 0, 84, 84, 5, 4096)


def _library() -> bytes:
    """A static library with a symbol table, long names, and an odd member."""

    def member(name: bytes, data: bytes) -> bytes:
        return name.ljust(16) + b"0".ljust(12) + b"0".ljust(6) * 2 + b"644".ljust(8) + _digits(data) + data

    def _digits(data: bytes) -> bytes:
        return str(len(data)).encode().ljust(10) + b"`\n"

    long_names = b"a_member_with_a_long_name.o/\n\n"
    return b"!<arch>\n" + member(b"/", bytes(4)) + member(b"//", long_names) + member(b"/0", make.elf())


def _tar_kind(kind: bytes, body: bytes = b"") -> bytes:
    info = tarfile.TarInfo("odd")
    info.type = kind
    info.size = len(body)
    raw = info.tobuf(tarfile.USTAR_FORMAT)
    return raw + body.ljust(-(-len(body) // 512) * 512, b"\x00") + bytes(1024)


def _pax(record: bytes) -> bytes:
    info = tarfile.TarInfo("pax")
    info.type = tarfile.XHDTYPE
    info.size = len(record)
    return info.tobuf(tarfile.USTAR_FORMAT) + record.ljust(512, b"\x00") + make.tar({"a.txt": b"x"})


def _global() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", pax_headers={"path": "everything"}) as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    return out.getvalue()


VARIANTS_GOOD = [
    good("a pax field that says of its maker's disk", "a.tar", _pax(b"18 NODETAR.ino=12\n")),
    good("a ZIP archive that was streamed", "a.zip", _streamed(), detected="zip"),
    good("a member with reserved sizes", "a.zip", _reserved(), detected="zip"),
    good("a 64-bit end record", "a.zip", _end64(), detected="zip"),
    good("a 64-bit end record that repeats", "a.zip", _end64(short_count=1), detected="zip"),
    good("gzip with every header field", "a.gz", _gzip_with_everything(), detected="gzip"),
    good("machine code for another machine", "a.so", _elf32(), outcome=Outcome.OPAQUE, detected="elf"),
    good("a library with long names", "a.a", _library(), outcome=Outcome.OPAQUE, detected="ar"),
    good("a folder in a tar", "a.tar", make.tar({"d": make.tar_entry("d", tarfile.DIRTYPE)})),
    good("a tgz", "a.tgz", make.gzipped(make.tar({"a.txt": b"x"})), detected="gzip"),
]

VARIANTS_BAD = [
    bad("end records that differ", "a.zip", _end64(short_count=7), "zip64-mismatch"),
    bad("an end record that is longer", "a.zip", _end64(extension=b"hidden"), "zip64-extension"),
    bad(
        "a tar link that climbs",
        "a.tar",
        make.tar({"d/x": make.tar_entry("d/x", tarfile.SYMTYPE, "../../y")}),
        "tar-link",
    ),
    bad("a hard link", "a.tar", make.tar({"x": make.tar_entry("x", tarfile.LNKTYPE, "/etc/x")}), "tar-link"),
    bad("a header for all members", "a.tar", _global(), "tar-pax-global"),
    bad("a pax field that nobody knows", "a.tar", _pax(b"13 LIB.a=b12\n"), "tar-pax-field"),
    bad("a sparse member", "a.tar", _pax(b"21 GNU.sparse.major=1"[:20] + b"\n"), "tar-sparse"),
    bad(
        "a name twice in a tar",
        "a.tar",
        make.tar({"a": b"x"})[:1024] + make.tar({"a": b"y"}),
        "tar-duplicate",
    ),
    bad("writable pages", "a.so", make.elf(flags=7), "elf-writable-code"),
    bad(
        "RECORD that repeats",
        "lock_demo-1.0-py3-none-any.whl",
        make.zipped(make.wheel_members() | {"lock_demo-1.0.dist-info/RECORD": b"a,b\na,,\na,,\n"}),
        "record-row",
    ),
    bad(
        "RECORD that is no text",
        "lock_demo-1.0-py3-none-any.whl",
        make.zipped(make.wheel_members() | {"lock_demo-1.0.dist-info/RECORD": b"\xff\xfe\n"}),
        "record-row",
    ),
    bad(
        "RECORD with a weak hash",
        "lock_demo-1.0-py3-none-any.whl",
        make.zipped(
            make.wheel_members() | {"lock_demo-1.0.dist-info/RECORD": b"lock_demo/__init__.py,md5=abc,3\n"}
        ),
        "record-hash",
    ),
    bad("JSON that is nested deep", "a.json", b"[" * 50_000 + b"]" * 50_000, "json-malformed"),
    bad("no proper wheel name", "lock_demo.whl", make.wheel(), "wheel-name"),
    bad(
        "entry points that do not parse",
        "lock_demo-1.0-py3-none-any.whl",
        make.zipped(make.wheel_members() | {"lock_demo-1.0.dist-info/entry_points.txt": b"no section\n"}),
        "wheel-entry-points",
    ),
    bad(
        "two wheels in one",
        "lock_demo-1.0-py3-none-any.whl",
        make.zipped(make.wheel_members() | make.wheel_members(name="other")),
        "wheel-structure",
    ),
]

VARIANTS_UNREAD = [
    Case("a 64-bit end record with another count", "a.zip", _end64(count=2)),
    Case("64-bit fields without a record", "a.zip", _end64()[:-42] + _end64()[-22:]),
    Case("an unknown tar member", "a.tar", _tar_kind(b"V")),
    Case("a tar folder with data", "a.tar", _tar_kind(b"5", b"data")),
    Case("a pax record that is malformed", "a.tar", _pax(b"99 path=x\n")),
    Case("a tar that ends in a header", "a.tar", make.tar({"a": b"x"})[:700]),
    Case("a library that breaks off", "a.a", _library()[:-20]),
    Case("a library with a broken header", "a.a", _library().replace(b"`\n", b"``")),
    Case(
        "gzip with an unknown flag", "a.gz", make.gzipped(b"text")[:3] + b"\xe0" + make.gzipped(b"text")[4:]
    ),
    Case("gzip with broken data", "a.gz", make.gzipped(b"text")[:10] + b"\xff" * 20),
    Case("ELF of an unknown class", "a.so", make.elf()[:4] + b"\x09" + make.elf()[5:]),
    Case("ELF with a segment past its end", "a.so", make.elf()[:96] + b"\xff\xff\xff" + make.elf()[99:]),
    Case("ELF with sections past its end", "a.so", make.elf()[:-64]),
    Case("PNG that ends early", "p.png", make.png()[:-14]),
    Case("PNG with an unknown filter", "p.png", make.png(rows=b"\x09" * 14)),
    Case("JPEG without an end", "p.jpg", make.jpeg()[:-2]),
    Case("JPEG without a marker", "p.jpg", b"\xff\xd8\xff\xe0\x00\x04abxx"),
    Case("FITS without an end", "t.fits", make.fits().replace(b"END", b"\x01ND")),
    Case("FITS that is too short", "t.fits", make.fits()[:4000]),
    Case("an array of another version", "a.npy", b"\x93NUMPY\x09\x00" + bytes(40)),
    Case("an array whose header is code", "a.npy", make.npy("__import__('os')")),
    Case("an array with another header", "a.npy", make.npy(shape="'x'")),
    Case("an array with a malformed field", "a.npy", make.npy("[('x',)]")),
    Case("safetensors that are no JSON", "m.safetensors", make.safetensors(b"{no}"), "model"),
    Case(
        "safetensors with odd metadata",
        "m.safetensors",
        make.safetensors({"__metadata__": {"a": 1}}),
        "model",
    ),
    Case("safetensors with an odd entry", "m.safetensors", make.safetensors({"a": {"dtype": "X"}}), "model"),
    Case(
        "GGUF with a tensor twice",
        "m.gguf",
        make.gguf(tensors=[("x", (4,), 0, 0), ("x", (4,), 0, 32)]),
        "model",
    ),
    Case(
        "GGUF with an odd alignment",
        "m.gguf",
        make.gguf().replace(b"\x04\x00\x00\x00\x20\x00\x00\x00", b"\x04\x00\x00\x00\x21\x00\x00\x00"),
        "model",
    ),
    Case(
        "GGUF with nested arrays",
        "m.gguf",
        make.gguf(keys=[(b"k", struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5 + bytes(99))]),
        "model",
    ),
    Case(
        "a PDF with a filter that nobody knows",
        "p.pdf",
        make.pdf(extra=["<</Filter/Own/Length 1>>\nstream\nx\nendstream"]),
        "document",
    ),
    Case(
        "a PDF stream without a length", "p.pdf", make.pdf(extra=["<<>>\nstream\nx\nendstream"]), "document"
    ),
    Case(
        "a PDF stream with a false length",
        "p.pdf",
        make.pdf(extra=["<</Length 9>>\nstream\nx\nendstream"]),
        "document",
    ),
    Case(
        "a PDF with broken compression",
        "p.pdf",
        make.pdf(extra=["<</Filter/FlateDecode/Length 4>>\nstream\nxxxx\nendstream"]),
        "document",
    ),
    Case("a PDF with a key twice", "p.pdf", make.pdf(extra=["<</A 1/A 2>>"]), "document"),
    Case(
        "a PDF with an index that lies",
        "p.pdf",
        make.pdf(extra=["<</Type/ObjStm/N 1/First 99/Length 1>>\nstream\n1\nendstream"]),
        "document",
    ),
    Case("Python that is nested deep", "a.py", b"x = " + b"-" * 200_000 + b"1", "python"),
]
