"""Makers of small valid content of every kind that inspection reads, for the corpus to bend."""

import base64
import gzip
import hashlib
import io
import json
import pickle
import struct
import tarfile
import zipfile
import zlib

EPOCH = (2020, 2, 2, 0, 0, 0)


def zipped(members, *, method=zipfile.ZIP_DEFLATED, comment=b"") -> bytes:
    """Members: name → bytes, or (ZipInfo, bytes) pairs in a list."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items() if isinstance(members, dict) else members:
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name, EPOCH)
            info.compress_type = method
            archive.writestr(info, data)
        archive.comment = comment
    return out.getvalue()


def record(members) -> bytes:
    rows = []
    for name, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        rows.append(f"{name},sha256={digest},{len(data)}\n")
    return "".join(rows).encode()


def wheel_members(extra=None, *, name="lock_demo", version="1.0"):
    info = f"{name}-{version}.dist-info"
    members = {
        f"{name}/__init__.py": b'"""A package."""\n\nANSWER = 42\n',
        f"{name}/py.typed": b"",
        **(extra or {}),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nA demo.\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": b"[console_scripts]\ndemo = lock_demo:main\n",
    }
    return members | {f"{info}/RECORD": record(members) + f"{info}/RECORD,,\n".encode()}


def wheel(extra=None, **keywords) -> bytes:
    return zipped(wheel_members(extra), **keywords)


def safetensors(header=None, data=bytes(24)) -> bytes:
    tensors = {
        "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
        "b": {"dtype": "F16", "shape": [4], "data_offsets": [16, 24]},
        "__metadata__": {"format": "pt"},
    }
    raw = header if isinstance(header, bytes) else json.dumps(header or tensors).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def _gguf_text(raw: bytes) -> bytes:
    return struct.pack("<Q", len(raw)) + raw


def gguf(
    *, version=3, tensors=None, keys=(), template="{{ messages }}", tail=b"", body=None, count=None
) -> bytes:
    tensors = [("x", (32, 2), 2, 0), ("y", (4,), 0, 64)] if tensors is None else tensors
    values = [
        (b"general.architecture", struct.pack("<I", 8) + _gguf_text(b"llama")),
        (b"general.alignment", struct.pack("<II", 4, 32)),
        (b"tokenizer.ggml.tokens", struct.pack("<IIQ", 9, 8, 2) + _gguf_text(b"a") + _gguf_text(b"\xff")),
        (b"tokenizer.ggml.scores", struct.pack("<IIQ", 9, 6, 2) + bytes(8)),
        (b"tokenizer.chat_template", struct.pack("<I", 8) + _gguf_text(template.encode())),
        *keys,
    ]
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors) if count is None else count, len(values))
    out += b"".join(_gguf_text(key) + value for key, value in values)
    for name, dims, kind, offset in tensors:
        out += _gguf_text(name.encode()) + struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
        out += struct.pack("<IQ", kind, offset)
    out += bytes(-len(out) % 32)
    return out + (body if body is not None else bytes(64 + 16)) + tail


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def message(*fields) -> bytes:
    """Protobuf: (number, int) or (number, bytes) pairs."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += _varint(number << 3) + _varint(value)
        else:
            out += _varint(number << 3 | 2) + _varint(len(value)) + value
    return out


def onnx(*, tensor=None, domain=b"", extra=b"") -> bytes:
    weights = tensor or message((1, 2), (1, 3), (2, 1), (8, b"w"), (9, bytes(24)))
    attribute = message((1, b"axis"), (3, 1), (20, 2))
    node = message((1, b"x"), (1, b"w"), (2, b"y"), (4, b"MatMul"), (5, attribute), (7, domain))
    shape = message((1, message((1, 2))), (1, message((2, b"batch"))))
    kind = message((1, message((1, 1), (2, shape))))
    graph = message((1, node), (2, b"g"), (5, weights), (11, message((1, b"x"), (2, kind))))
    return message((1, 8), (2, b"test"), (7, graph), (8, message((1, b""), (2, 17)))) + extra


def npy(descr="'<f4'", shape="(2, 3)", data=bytes(24)) -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


def elf(*, code=b"\x90" * 16, tail=b"", flags=5) -> bytes:
    names = b"\x00.text\x00.names\x00"
    code_at = 64 + 56
    names_at = code_at + len(code)
    sections_at = names_at + len(names)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = ident + struct.pack("<2HI3QI6H", 3, 62, 1, 0, 64, sections_at, 0, 64, 56, 1, 64, 3, 2)
    segment = struct.pack("<2I6Q", 1, flags, 0, 0, 0, code_at + len(code), code_at + len(code), 4096)
    table = bytes(64)
    table += struct.pack("<2I4Q2I2Q", 1, 1, 6, code_at, code_at, len(code), 0, 0, 1, 0)
    table += struct.pack("<2I4Q2I2Q", 7, 3, 0, 0, names_at, len(names), 0, 0, 1, 0)
    return head + segment + code + names + table + tail


def ar(members) -> bytes:
    out = b"!<arch>\n"
    for name, data in members.items():
        out += f"{name + '/':<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data
        out += b"\n" * (len(data) & 1)
    return out


def png(*, width=2, height=2, tail=b"", rows=None) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))

    pixels = (b"\x00" + bytes(3 * width)) * height if rows is None else rows
    head = struct.pack(">2L5B", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body + tail


def jpeg(tail=b"") -> bytes:
    return b"\xff\xd8\xff\xe0\x00\x04ab\xff\xda\x00\x04cd" + b"\x12\xff\x00\x34" + b"\xff\xd9" + tail


def fits() -> bytes:
    cards = [
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =                    1",
    ]
    cards += ["NAXIS1  =                   10", "END"]
    head = "".join(f"{card:<80}" for card in cards).encode()
    return head.ljust(2880, b" ") + bytes(range(10)).ljust(2880, b"\x00")


def pdf(*, catalog="", extra=(), tail=b"") -> bytes:
    """A page that says something; `extra` are further objects, numbered from 6."""
    text = zlib.compress(b"BT /F1 12 Tf 72 720 Td (The lock opens at dawn.) Tj ET")
    bodies = [
        f"<</Type/Catalog/Pages 2 0 R{catalog}>>".encode(),
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Filter/FlateDecode/Length %d>>\nstream\n" % len(text) + text + b"\nendstream",
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        *(item if isinstance(item, bytes) else item.encode() for item in extra),
    ]
    return pdf_of(bodies) + tail


def pdf_of(bodies) -> bytes:
    """A PDF of some objects, numbered from 1; the first is the catalogue."""
    out = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
    places = []
    for number, body in enumerate(bodies, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, start)
    return out


def tar(members, *, form=tarfile.PAX_FORMAT) -> bytes:
    """Members: name → bytes, or TarInfo (without data)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in members.items():
            info = data if isinstance(data, tarfile.TarInfo) else tarfile.TarInfo(name)
            body = b"" if isinstance(data, tarfile.TarInfo) else data
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return out.getvalue()


def saved_image(members, *, renamed: bool = False) -> bytes:
    """Return an image of one layer as one archive: an OCI layout (blobs under their digests)."""
    layer = gzipped(tar(members))
    name = hashlib.sha256(b"other" if renamed else layer).hexdigest()
    return tar({"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', f"blobs/sha256/{name}": layer})


def tar_entry(name, kind, target="", mode=0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    return info


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


class Evil:
    """Its pickle calls a function when it is loaded."""

    def __reduce__(self):
        return (print, ("loaded",))


def evil_pickle(protocol=4) -> bytes:
    return pickle.dumps(Evil(), protocol)


def numpy_pickle() -> bytes:
    """What numpy 1 wrote for a small array, by its opcodes."""
    out = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00\x85q\x02"
    out += b"U\x01bq\x03\x87q\x04Rq\x05(K\x01K\x02\x85q\x06cnumpy\ndtype\nq\x07U\x02f8q\x08K\x00K\x01"
    out += b"\x87q\tRq\n(K\x03U\x01<q\x0bNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0cb"
    return out + b"\x89U\x10" + bytes(16) + b"q\rtq\x0eb."
