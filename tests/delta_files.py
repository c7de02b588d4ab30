"""Made pairs of files for tests of the delta: two versions of wheels, archives, packages and models."""

import gzip
import io
import json
import lzma
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

import zstandard


def chance(seed: object) -> random.Random:
    """Return numbers that a seed determines."""
    return random.Random(str(seed))  # noqa: S311  # test data, no keys


def code(seed: int, size: int, changes: int = 0) -> bytes:
    """Bytes like those of machine code: repetitive, with addresses; some bytes changed."""
    chooser = chance(seed)
    words = [chooser.randbytes(chooser.choice((3, 5, 7))) for _ in range(200)]
    data = bytearray(b"".join(chooser.choice(words) for _ in range(size // 5)))
    other = chance(seed + 1000)
    for _ in range(changes):
        data[other.randrange(len(data))] = other.randrange(256)
    return bytes(data)


def text(version: str, lines: int = 400) -> bytes:
    """Source text whose every tenth line names the version."""
    return b"".join(
        b"value_%d = %r\n" % (n, (version if n % 10 == 0 else "same").encode()) for n in range(lines)
    )


def wheel(version: str, changes: int, *, level: int = 6, stamp: int = 0) -> bytes:
    """A wheel: unchanged, changed and renamed members, a shared object whose name has a hash."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        members = {
            "pkg/__init__.py": text(version),
            "pkg/same.py": text("0", 2000),
            "pkg/native.so": code(1, 300_000, changes),
            f"pkg.libs/lib-{version.replace('.', '') * 4:0<8}.so": code(2, 200_000, changes),
            f"pkg-{version}.dist-info/METADATA": b"Version: " + version.encode(),
            "pkg/empty.py": b"",
        }
        for name, data in members.items():
            info = zipfile.ZipInfo(name, (2024, 1, 1 + stamp, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data, compresslevel=level)
    return out.getvalue()


def tar(version: str, changes: int) -> bytes:
    """A tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in (("a/x.js", text(version)), ("a/lib.so", code(3, 400_000, changes))):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def tgz(version: str, changes: int, level: int = 9) -> bytes:
    """A gzipped tar archive, made by zlib."""
    return gzip.compress(tar(version, changes), level, mtime=0)


def foreign_deflate(data: bytes) -> bytes:
    """A DEFLATE stream that zlib does not make at any setting: its blocks end at odd places."""
    machine, out = zlib.compressobj(6, zlib.DEFLATED, -15), b""
    for at in range(0, len(data), 33_333):
        out += machine.compress(data[at : at + 33_333]) + machine.flush(zlib.Z_PARTIAL_FLUSH)
    return out + machine.flush()


def foreign_tgz(version: str, changes: int) -> bytes:
    """A gzipped tar archive of a compressor that is not zlib."""
    data = tar(version, changes)
    tail = struct.pack("<II", zlib.crc32(data), len(data))
    return b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + foreign_deflate(data) + tail


def deb(version: str, changes: int, pack: Callable[[bytes], bytes] = lzma.compress, end: str = "xz") -> bytes:
    """A Debian package."""
    out = b"!<arch>\n"
    for name, data in (
        ("debian-binary", b"2.0\n"),
        (f"control.tar.{end}", pack(text(version))),
        (f"data.tar.{end}", pack(tar(version, changes))),
    ):
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data
        out += b"\n" * (len(data) % 2)
    return out


def zst(data: bytes) -> bytes:
    """A Zstandard frame as `zstd -19` makes it."""
    settings = zstandard.ZstdCompressionParameters.from_level(19, write_checksum=True)
    return zstandard.ZstdCompressor(compression_params=settings).compress(data)


def safetensors(seed: int, drift: int, note: str) -> bytes:
    """A model of three tensors of 16-bit numbers, each moved by up to `drift` units in the last place."""
    header: dict[str, object] = {"__metadata__": {"note": note}}
    chooser, other, body = chance(seed), chance(note), b""
    for name, count in (("layer.0", 40_000), ("layer.1", 30_000), ("norm", 100)):
        base = [chooser.randrange(0x3000, 0x3C00) for _ in range(count)]
        values = [value + other.randint(-drift, drift) for value in base] if name != "norm" else base
        header[name] = {"dtype": "F16", "shape": [count], "data_offsets": [len(body), len(body) + 2 * count]}
        body += struct.pack(f"<{count}H", *values)
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + body


def gguf(note: str, drift: int) -> bytes:
    """A GGUF file of one metadata string and two tensors (F16 and Q8_0)."""
    chooser, other = chance(5), chance(note)
    half = struct.pack(
        "<20000H", *(chooser.randrange(0x3000, 0x3C00) + other.randint(-drift, drift) for _ in range(20_000))
    )
    blocks = chooser.randbytes(34 * 500)

    def string(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    head = (
        b"GGUF" + struct.pack("<IQQ", 3, 2, 1) + string("general.name") + struct.pack("<I", 8) + string(note)
    )
    head += string("a") + struct.pack("<IQIQ", 1, 20_000, 1, 0)
    head += string("b") + struct.pack("<IQIQ", 1, 16_000, 8, 40_000)
    head += b"\0" * (-len(head) % 32)
    return head + half + blocks


PAIRS: dict[str, tuple[str, bytes, bytes]] = {
    "wheel": ("pkg-1.1-py3-none-any.whl", wheel("1.0", 0), wheel("1.1", 60)),
    "wheel, level 9, new stamps": (
        "pkg-1.1.whl",
        wheel("1.0", 0, level=9),
        wheel("1.1", 60, level=9, stamp=1),
    ),
    "wheel of another level": ("pkg-1.1.whl", wheel("1.0", 0, level=1), wheel("1.1", 60, level=9)),
    "tgz": ("pkg-1.1.tgz", tgz("1.0", 0), tgz("1.1", 60)),
    "tgz of a foreign compressor": ("pkg-1.1.tgz", foreign_tgz("1.0", 0), foreign_tgz("1.1", 60)),
    "deb in xz": ("pkg_1.1.deb", deb("1.0", 0), deb("1.1", 60)),
    "deb in gz": ("pkg_1.1.deb", deb("1.0", 0, gzip.compress, "gz"), deb("1.1", 60, gzip.compress, "gz")),
    "deb in zst": ("pkg_1.1.deb", deb("1.0", 0, zst, "zst"), deb("1.1", 60, zst, "zst")),
    "layer in zst": ("layer.tar.zst", zst(tar("1.0", 0)), zst(tar("1.1", 60))),
    "safetensors": ("model.safetensors", safetensors(4, 0, "a"), safetensors(4, 2, "b")),
    "gguf": ("model.gguf", gguf("a", 0), gguf("b", 1)),
}
"""Name → the new file's name, the old bytes, the new bytes."""
