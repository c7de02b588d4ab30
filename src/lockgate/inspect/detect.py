"""Tells the type of content from the content itself; a name is only a claim to compare with."""

import re
import struct
import zlib
from contextlib import suppress
from functools import lru_cache

from lockgate.inspect.inspectors.graph_fields import graph_kind
from lockgate.inspect.inspectors.onnx_fields import looks_like_onnx
from lockgate.inspect.inspectors.pickle_machine import is_pickle, looks_like_pickle
from lockgate.inspect.inspectors.shapes import (
    looks_like_bmff,
    looks_like_dbf,
    looks_like_dicom,
    looks_like_eot,
    looks_like_icc,
    looks_like_mp3,
    looks_like_tflite,
    pyc_magic,
    terminal_end,
)
from lockgate.inspect.inspectors.wires import (
    locale_fields,
    looks_like_der,
    looks_like_msgpack,
    looks_like_openpgp,
    looks_like_r_database,
    looks_like_sentencepiece,
    looks_like_utf16,
    tesseract_parts,
)
from lockgate.inspect.magics import MAGIC, MAY_BE_PICKLE, MAY_BE_TEXT

UNKNOWN = "unknown"
EMPTY = "empty"

TEXT_TYPES = frozenset(
    {"mail", "text", "text-latin1", "text-utf16", "python", "json", "html", "xml", "markdown", EMPTY}
)
ZIP_TYPES = frozenset({"odf", "zip", "wheel", "npz", "torch-archive", "ooxml"})

_BY_FIRST = {
    first: tuple(row for row in MAGIC if row[0][0] == first) for first in {magic[0] for magic, _ in MAGIC}
}
"""The same by the first byte: most content begins with none of them."""
_BEGINNINGS = {first: tuple(magic for magic, _ in rows) for first, rows in _BY_FIRST.items()}

_PICTURES = frozenset({"png", "jpeg", "gif", "riff", "bmp", "tiff", "bmff"})
"""What shows a picture tells these apart itself, and does nothing else with any of them."""

_CLAIMS: dict[str, frozenset[str]] = {
    "whl": frozenset({"wheel"}),
    "zip": ZIP_TYPES,
    "npz": frozenset({"npz"}),
    "npy": frozenset({"npy"}),
    "gguf": frozenset({"gguf"}),
    "safetensors": frozenset({"safetensors"}),
    "onnx": frozenset({"onnx"}),
    "tflite": frozenset({"tflite"}),
    "dcm": frozenset({"dicom"}),
    "pdf": frozenset({"pdf"}),
    "parquet": frozenset({"parquet"}),
    "png": _PICTURES,
    "fits": frozenset({"fits"}),
    "bmp": _PICTURES,
    "tif": _PICTURES,
    "tiff": _PICTURES,
    "webp": _PICTURES,
    "wav": frozenset({"riff"}),
    "ogg": frozenset({"ogg"}),
    "mid": frozenset({"midi", "riff"}),
    "pyc": frozenset({"pyc"}),
    "beam": frozenset({"beam", "gzip"}),
    "jpg": _PICTURES,
    "jpeg": _PICTURES,
    "gz": frozenset({"gzip", "zlib", "bzip2", "xz", "lzma"}),
    "tgz": frozenset({"gzip"}),
    "tar": frozenset({"tar"}),
    "rpm": frozenset({"rpm"}),
    "so": frozenset({"elf"}),
    "a": frozenset({"ar", "elf"}),
    "pkl": frozenset({"pickle", "gzip", "zlib", "bzip2", "xz", "lzma", "lz4", "zstd", "torch-archive"}),
    "pickle": frozenset({"pickle", "gzip", "zlib", "bzip2", "xz", "lzma", "lz4", "zstd"}),
    "joblib": frozenset({"pickle", "gzip", "zlib", "bzip2", "xz", "lzma", "lz4"}),
    "pt": frozenset({"pickle", "torch-archive", "tar"}),
    "pt2": frozenset({"torch-archive"}),
    "ckpt": frozenset({"pickle", "torch-archive", "hdf5", "tar"}),
    "rtf": frozenset({"rtf"}),
    "eml": frozenset({"mail"}),
    "doc": frozenset({"ole2", "rtf"}),
    "xls": frozenset({"ole2"}),
    "ppt": frozenset({"ole2"}),
    "docx": frozenset({"ooxml"}),
    "xlsx": frozenset({"ooxml"}),
    "pptx": frozenset({"ooxml"}),
}
_TEXT_EXTENSIONS = (
    "py", "pyi", "pyx", "pxd", "txt", "md", "rst", "html", "htm", "xml", "svg", "json", "toml", "cfg",
    "ini", "yaml", "yml", "csv", "c", "h", "cpp", "hpp", "js", "css", "sh", "f", "f90", "typed", "pem",
)  # fmt: skip
_CLAIMS |= dict.fromkeys(_TEXT_EXTENSIONS, TEXT_TYPES)

_BY_NAME = {
    "py": "python",
    "pyi": "python",
    "pyw": "python",
    "json": "json",
    "ipynb": "json",
    "html": "html",
    "htm": "html",
    "xhtml": "html",
    "svg": "xml",
    "xml": "xml",
    "md": "markdown",
    "markdown": "markdown",
}

_PICKLES = frozenset({"pkl", "pickle", "pck", "pcl", "joblib", "dill", "pt", "pth", "ckpt", "bin"})
"""Extensions by which a file claims to be a pickle, so that one without calls counts as one too."""

_HTML_START = re.compile(
    r"\s*+(?:<!--(?>.*?-->)\s*+)*+<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
"""No part of it is tried in two ways: files of declarations begin with hundreds of comments."""
_XML_START = re.compile(r"\s*<\?xml\b|\s*<svg\b", re.IGNORECASE)
_MAIL = re.compile(r"(?:[A-Za-z-]{2,40}:[^\n]*\n(?:[ \t][^\n]*\n)*){2,60}\r?\n")
_MAIL_FIELD = re.compile(r"^(?:MIME-Version|Received|Message-ID):", re.IGNORECASE | re.MULTILINE)
"""A message is a block of header fields and an empty line, with one of these among them."""
_CONTROLS = bytes((*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20), 0x7F))
_NOT_CONTROLS = bytes(set(range(0x100)) - set(_CONTROLS))
_CONTROL_C1 = re.compile(rb"[\x80-\x9f]")
_HONEST = re.compile(
    rb"\x00\x08\[(?:index|image(?: [a-z]{1,9}=\"[^\"\x00]{0,4000}\")*)\x00\x08\]"
    rb"|\x1f(?=[\n\x0c])|\x7f(?=\d{1,10}\r?\n)|_\x08(?=[!-~])|([!-~])\x08(?=\1|_)|\+\x08(?=o)"
)
"""Controls that have a meaning in texts: nodes, tags, indices and pictures of manuals in Info's format
(Texinfo's manual, "Info Format Specification"), and letters that are struck twice, or underlined, by
nroff."""
_HIGH_BYTES = re.compile(rb"[\x80-\xff]")
_LATIN_SHARE = 0.25
_LEGACY = (
    *("euc_jp", "cp932", "euc_kr", "gbk", "big5", "koi8_r", "cp866", "cp852", "cp737"),
    *("cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257"),
)
"""Encodings that texts of other languages had before Unicode; none of them can reorder what is shown."""
_LONGEST_LEGACY, _LETTERS = 1 << 20, 0.9
_NONE, _FEW = "none", "few"
_CONTROL_SHARE, _C1_SHARE, _SHORT, _FEW_CONTROLS = 0.002, 0.01, 100, 4
"""How much of a text may be controls: minified scripts and Info files hold a few, and so do texts in which
somebody mixed encodings; a text may hold one for each `_SHORT` bytes up to `_FEW_CONTROLS`. None of it may be
a null byte."""
_SAFETENSORS_HEADER = 8
_TAR_BLOCK = 512
_TAR_MAGIC = slice(257, 262)
_TAR_SUM = slice(148, 156)
_OCTAL = re.compile(rb"[0-7]+")
_PROTO = 0x80
_ZLIB, _ZLIB_HEAD = 0x78, 8
_LAST_PROTOCOL = 5
_EOCD = struct.Struct("<4s4H2LH")
_EOCD_SIGN = b"PK\x05\x06"
_EOCD_REACH = 65_535 + _EOCD.size


@lru_cache(1024)
def extension(name: str) -> str:
    """Return the extension of a claimed name, in lower case and without the dot."""
    stem, dot, end = name.rstrip("/").rpartition("/")[2].rpartition(".")
    return end.lower() if dot and stem else ""


def by_name(name: str) -> str | None:
    """Return the kind of text (all of them UTF-8) that a claimed name promises, if any."""
    return _BY_NAME.get(extension(name))


def detect(data: memoryview, name: str, text_bytes: int) -> str:
    """Return the type of content.

    Args:
        data: The content.
        name: The claimed name; it only chooses between kinds of text.
        text_bytes: Longest text that is looked at, in bytes.

    """
    if not len(data):
        return EMPTY
    if len(data) <= text_bytes and (kind := _plain(data, name)):
        return kind
    binary = _binary(data)
    if binary in MAY_BE_PICKLE and (looks_like_pickle(data) or is_pickle(data)):
        binary = "pickle"
    if binary and binary not in MAY_BE_TEXT:
        return binary
    text = _text(data, name, text_bytes)
    if text and (looks_like_pickle(data) or (extension(name) in _PICKLES and is_pickle(data))):
        return "pickle"
    if binary and (not text or binary in {"pdf", "ar"}):
        return binary
    return text or ("text-utf16" if looks_like_utf16(data, text_bytes) else _shaped(data, name))


def _plain(data: memoryview, name: str) -> str:
    """Return the type of UTF-8 without controls that begins like nothing else; nothing where it is not that.

    Most content of packages is. Everything else that `_binary` knows holds a byte that is none of UTF-8, or a
    control.
    """
    head = bytes(data[:_TAR_BLOCK])
    first = head[0]
    if first == _ZLIB or (first in _BEGINNINGS and head.startswith(_BEGINNINGS[first])):
        return ""
    if head.translate(None, _NOT_CONTROLS) or _is_tar(head):
        return ""
    raw = bytes(data) if len(data) > _TAR_BLOCK else head
    if raw.translate(None, _NOT_CONTROLS):
        return ""
    try:
        kind = text_kind(raw.decode("utf-8"), name)
    except UnicodeDecodeError:
        return ""
    called = looks_like_pickle(data) or (extension(name) in _PICKLES and is_pickle(data))
    return "pickle" if called else kind


_ASCII_TEXT = bytes((0x09, 0x0A, 0x0C, 0x0D, *range(0x20, 0x7F)))


def ascii_text(raw: bytes) -> bool:
    """Return whether content is ASCII without controls and begins like nothing but a text.

    Its name alone decides what kind of text it is then (`text_kind`), unless it is a pickle. An escape
    character counts as a control here.
    """
    first = raw[0] if raw else _ZLIB
    if first == _ZLIB or (first in _BEGINNINGS and raw.startswith(_BEGINNINGS[first])):
        return False
    if raw.translate(None, _ASCII_TEXT):
        return False
    if len(raw) >= _TAR_BLOCK and _is_tar(raw[:_TAR_BLOCK]):
        return False
    return not looks_like_pickle(memoryview(raw))


def _shaped(data: memoryview, name: str) -> str:
    """Return the type of what has no magic at its beginning, told by its lengths; it is no text."""
    if looks_like_pickle(data) or (extension(name) in _PICKLES and is_pickle(data)):
        return "pickle"
    looks = (
        ("pyc", lambda data: pyc_magic(data)[0]),
        ("icc", looks_like_icc),
        ("eot", looks_like_eot),
        ("terminfo", terminal_end),
        ("dbf", looks_like_dbf),
        ("bmff", looks_like_bmff),
        ("mp3", looks_like_mp3),
        ("r-database", looks_like_r_database),
        ("glibc-locale", locale_fields),
        ("sentencepiece", looks_like_sentencepiece),
        ("tensorflow", graph_kind),
        ("tesseract", tesseract_parts),
        ("openpgp", looks_like_openpgp),
        ("der", looks_like_der),
        ("msgpack", looks_like_msgpack),
    )
    return next((kind for kind, look in looks if look(data)), UNKNOWN)


def mismatch(detected: str, name: str) -> bool:
    """Return whether the claimed name promises another type than was detected."""
    allowed = _CLAIMS.get(extension(name))
    return allowed is not None and detected not in allowed and detected not in {EMPTY, UNKNOWN}


def zip_tail(data: memoryview) -> int | None:
    """Return where a zip's end record lies that closes exactly at the end of the data, if any."""
    start = max(0, len(data) - _EOCD_REACH)
    tail = bytes(data[start:])
    at = tail.rfind(_EOCD_SIGN)
    while at >= 0:
        if at + _EOCD.size <= len(tail):
            *_, comment = _EOCD.unpack_from(tail, at)
            if at + _EOCD.size + comment == len(tail):
                return start + at
        at = tail.rfind(_EOCD_SIGN, 0, at)
    return None


def _binary(data: memoryview) -> str:
    head = bytes(data[:_TAR_BLOCK])
    named = (kind for magic, kind in _BY_FIRST.get(head[0], ()) if head.startswith(magic))
    if kind := "dicom" if looks_like_dicom(data) else next(named, ""):
        return kind
    if len(head) > 1 and head[0] == _PROTO and head[1] <= _LAST_PROTOCOL:
        return "pfb" if head[1] == 1 and head[6:8] == b"%!" else "pickle"
    if kind := _is_packed(head, data):
        return kind
    if head[:2] in {b"\x64\x86", b"\x4c\x01", b"\x64\xaa"} and head[16:18] == b"\x00\x00":
        return "coff"
    if _is_safetensors(head, len(data)):
        return "safetensors"
    looks = (("tflite", looks_like_tflite), ("tar", lambda _: _is_tar(head)), ("onnx", looks_like_onnx))
    return next((kind for kind, look in looks if look(data)), "")


def _is_packed(head: bytes, data: memoryview) -> str:
    """Return the kind of compression that has no magic of its own, if it is one."""
    if len(head) > _ZLIB_HEAD and head[0] == _ZLIB and int.from_bytes(head[:2], "big") % 31 == 0:
        with suppress(zlib.error):
            zlib.decompressobj().decompress(data[: 1 << 16], 1)
            return "zlib"
    alone = head[:3] == b"\x5d\x00\x00" and head[12:14] in {b"\xff\x00", b"\x00\x00"}
    return "lzma" if alone else ""


def _is_safetensors(head: bytes, size: int) -> bool:
    if len(head) <= _SAFETENSORS_HEADER or head[_SAFETENSORS_HEADER : _SAFETENSORS_HEADER + 1] != b"{":
        return False
    length = int.from_bytes(head[:_SAFETENSORS_HEADER], "little")
    return 1 < length <= size - _SAFETENSORS_HEADER


def _is_tar(head: bytes) -> bool:
    if len(head) < _TAR_BLOCK:
        return False
    if head[_TAR_MAGIC] == b"ustar":
        return True
    field = head[_TAR_SUM].strip(b"\x00 ")
    if not _OCTAL.fullmatch(field):
        return False
    blank = head[: _TAR_SUM.start] + b" " * 8 + head[_TAR_SUM.stop :]
    return sum(blank) == int(field, 8)


def _text(data: memoryview, name: str, limit: int) -> str:
    if len(data) > limit:
        return ""
    raw = bytes(data)
    if not (controls := _controls(raw)):
        return ""
    try:
        return text_kind(raw.decode("utf-8"), name)
    except UnicodeDecodeError:
        if controls != _NONE or not _legible(raw):
            return ""
        return "mail" if text_kind(raw.decode("latin-1"), name) == "mail" else "text-latin1"


def text_kind(text: str, name: str) -> str:
    """Return the kind of a text, told by its claimed name and by how it begins."""
    if named := by_name(name):
        return named
    if extension(name) in {"eml", "mht", "mhtml"} or (_MAIL.match(text) and _MAIL_FIELD.search(text[:20000])):
        return "mail"
    return "html" if _HTML_START.match(text) else "xml" if _XML_START.match(text) else "text"


def _legible(raw: bytes) -> bool:
    """Return whether what is not UTF-8, and holds no control characters, is a text in an older encoding."""
    high, c1 = len(_HIGH_BYTES.findall(raw)), len(_CONTROL_C1.findall(raw))
    latin = c1 <= _C1_SHARE * len(raw) and high <= _LATIN_SHARE * len(raw)
    return latin or (len(raw) <= _LONGEST_LEGACY and any(_letters(raw, codec) for codec in _LEGACY))


def _letters(raw: bytes, codec: str) -> bool:
    """Return whether bytes are text by a codec: what is not ASCII in it are letters."""
    try:
        foreign = [char for char in raw.decode(codec) if char > "\x7f"]
    except UnicodeDecodeError:
        return False
    return sum(map(str.isalpha, foreign)) >= _LETTERS * len(foreign)


def _controls(raw: bytes) -> str:
    """Return whether a text has no control characters, or few; nothing where it cannot be a text."""
    controls = raw.translate(None, _NOT_CONTROLS)
    if not controls:
        return _NONE
    raw = _HONEST.sub(b"", raw)
    controls = raw.translate(None, _NOT_CONTROLS)
    if not controls:
        return _NONE
    most = max(_CONTROL_SHARE * len(raw), min(_FEW_CONTROLS, len(raw) // _SHORT))
    few = 0 not in controls and len(controls) <= most
    return _FEW if few else ""
