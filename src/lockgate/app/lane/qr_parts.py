"""Documents as several QR pictures: compressed, cut, and put together again in any order.

Each picture holds one line: ``LGQ1:<id>:<number>/<count>:<part>``. The id is the beginning of the
document's SHA-256, the part is base64url of a piece of its zlib stream. Any reader of such pictures
gives the lines back; where the optional decoder is installed, the pictures themselves will do.
"""

import base64
import binascii
import io
import re
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from lockgate.app.files import read_named
from lockgate.app.lane.qr import write_qr
from lockgate.core.digests import sha256
from lockgate.core.errors import HostError, InputError, LimitError

PARTS_LIMIT = 64
"""Most pictures of one document."""

PART_BYTES = 1200
"""Bytes of the compressed stream that one picture holds, so that a telephone reads it from a screen."""

DOCUMENT_BYTES = 512 * 1024
"""Longest document that is put together, in bytes."""

PICTURE_BYTES = 16 * 1024 * 1024
"""Longest picture file that is read, in bytes."""

PIXELS_LIMIT = 64_000_000
"""Most pixels of a picture: a telephone's camera has fewer."""

_LINE = re.compile(r"LGQ1:([0-9a-f]{16}):([1-9][0-9]?)/([1-9][0-9]?):([A-Za-z0-9_-]+={0,2})")


class QrPartsError(InputError):
    """Pictures do not make one whole document."""

    code = "LG-1f11"
    advice = "Read all pictures of the one document; their order does not matter."


class QrPartsLimitError(LimitError):
    """A document does not fit into the most pictures that there may be."""

    code = "LG-4f03"
    advice = "Carry it as a file."


class QrReaderError(HostError):
    """This installation cannot read pictures."""

    code = "LG-5f12"
    advice = (
        "Read them with any QR reader and give the lines as a text file, or install `lockgate[pictures]`."
    )


def to_lines(document: bytes) -> list[str]:
    """Return the lines of a document's pictures.

    Raises:
        QrPartsLimitError: More than `PARTS_LIMIT` would be needed.

    """
    stream = zlib.compress(document, 9)
    count = -(-len(stream) // PART_BYTES)
    if count > PARTS_LIMIT or len(document) > DOCUMENT_BYTES:
        what = f"The document needs {count} pictures; at most {PARTS_LIMIT} are made."
        raise QrPartsLimitError(what, limit="parts_limit")
    name = sha256(document)[:16]
    parts = (stream[n * PART_BYTES : (n + 1) * PART_BYTES] for n in range(count))
    return [
        f"LGQ1:{name}:{n}/{count}:{base64.urlsafe_b64encode(part).decode()}"
        for n, part in enumerate(parts, 1)
    ]


def from_lines(lines: Iterable[str]) -> bytes:
    """Return the document that lines make, in any order; a line that came twice does no harm.

    Raises:
        QrPartsError: One is missing, foreign or altered.

    """
    found: dict[int, bytes] = {}
    whole: tuple[str, str] | None = None
    for line in lines:
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise QrPartsError("A picture holds something else than a part of a document.")
        name, number, count, part = match.groups()
        if (whole or (name, count)) != (name, count):
            raise QrPartsError("The pictures belong to several documents.")
        whole = name, count
        found[int(number)] = _piece(part)
    if whole is None:
        raise QrPartsError("There are no pictures.")
    missing = [n for n in range(1, int(whole[1]) + 1) if n not in found]
    if missing or len(found) > int(whole[1]):
        what = f"Of {whole[1]} pictures these are missing: {', '.join(map(str, missing))}."
        raise QrPartsError(what)
    document = _unpacked(b"".join(found[n] for n in sorted(found)))
    if sha256(document)[:16] != whole[0]:
        raise QrPartsError("The pictures do not make the document that they name.")
    return document


def _piece(part: str) -> bytes:
    try:
        return base64.b64decode(part, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise QrPartsError("A picture's part is altered.") from error


def _unpacked(stream: bytes) -> bytes:
    opened = zlib.decompressobj()
    try:
        document = opened.decompress(stream, DOCUMENT_BYTES)
    except zlib.error as error:
        raise QrPartsError("The pictures do not make a document.") from error
    if not opened.eof or opened.unused_data:
        what = f"The pictures do not end where their document does, or it is over {DOCUMENT_BYTES} bytes."
        raise QrPartsError(what)
    return document


def write_pictures(document: bytes, stem: Path) -> list[Path]:
    """Write a document's pictures beside a file: ``stem.1.png``, ``stem.2.png`` …; return them."""
    pictures = []
    for number, line in enumerate(to_lines(document), 1):
        picture = stem.with_name(f"{stem.name}.{number}.png")
        write_qr(line, picture)
        pictures.append(picture)
    return pictures


def read_document(files: Sequence[Path]) -> bytes:
    """Return a document from one file, from its pictures (PNG), or from text files with their lines.

    Raises:
        NamedFileError, TooLargeError: A file cannot be read.
        QrPartsError: The pictures do not make one document.
        QrReaderError: They are pictures, and nothing here reads them.

    """
    if not files:
        raise QrPartsError("No document was named.")
    lines: list[str] = []
    for file in files:
        data = read_named(file, limit=PICTURE_BYTES)
        if data.startswith(b"\x89PNG"):
            lines += _picture_lines(file, data)
        elif data.startswith(b"LGQ1:"):
            lines += data.decode("ascii", "replace").split()
        elif len(files) == 1:
            return data
        else:
            what = f"{file} is neither a picture nor lines of one."
            raise QrPartsError(what)
    return from_lines(lines)


def read_documents(files: Sequence[Path]) -> list[bytes]:
    """Return the documents of files, of pictures (PNG) and of lines; those of one document belong together.

    Raises:
        NamedFileError, TooLargeError: A file cannot be read.
        QrPartsError: Pictures do not make whole documents.
        QrReaderError: They are pictures, and nothing here reads them.

    """
    whole: list[bytes] = []
    lines: dict[str, list[str]] = {}
    for file in files:
        data = read_named(file, limit=PICTURE_BYTES)
        if not data.startswith((b"\x89PNG", b"LGQ1:")):
            whole.append(data)
            continue
        picture = data.startswith(b"\x89PNG")
        for line in _picture_lines(file, data) if picture else data.decode("ascii", "replace").split():
            lines.setdefault(":".join(line.split(":")[:2]), []).append(line)
    return whole + [from_lines(each) for each in lines.values()]


def _picture_lines(file: Path, data: bytes) -> list[str]:
    try:
        import zxingcpp  # noqa: PLC0415  # optional, and only here
        from PIL import Image  # noqa: PLC0415
    except ImportError as error:
        what = f"{file} is a picture, and no reader of QR pictures is installed."
        raise QrReaderError(what) from error
    # Of a broken picture the reader raises whatever its parts do, ValueError and SyntaxError among others.
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            large = image.width * image.height > PIXELS_LIMIT
            found = [] if large else zxingcpp.read_barcodes(image.convert("L"))
    except Exception as error:
        what = f"{file} is no readable picture."
        raise QrPartsError(what, file=file) from error
    if large:
        what = f"{file} has more than {PIXELS_LIMIT} pixels."
        raise QrPartsLimitError(
            what, advice="Take the picture again, smaller.", file=file, limit="pixels_limit"
        )
    codes = [code for code in found if code.format == zxingcpp.BarcodeFormat.QRCode]
    if not codes:
        what = f"{file} shows no QR code."
        raise QrPartsError(what, file=file)
    return [code.text for code in codes]
