"""A PDF made anew of pictures of its pages: what a reader sees, and nothing that acts or hides.

The file is written here, object by object (ISO 32000-1, 7.5), and depends on nothing but the pictures: the
same PDF gives the same bytes. Nothing of the source's objects is taken over.
"""

import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

from lockgate.inspect.limits import Limits, demand

ENTRY = "lockgate.inspect.convert.entry:pictures_entry"
METHOD = "pdf-to-pictures/1"
MOST_BYTES = 1 << 30
"""Longest PDF that is made."""

_DOTS = 150
"""Pixels for an inch."""
_POINTS = 72
_MOST_PIXELS = 64 << 20
_RGB = 3


class PicturesArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bounds."""

    limits: Limits


def pictures(data: memoryview, limits: Limits) -> Iterator[bytes]:
    """Yield a PDF of pictures, part by part.

    Raises:
        OverLimitError: It has too many pages, or one that is too large.

    """
    import pypdfium2  # noqa: PLC0415  # only PDF files pay for it

    document: Any = pypdfium2.PdfDocument(bytes(data))
    count = demand(len(document), limits.pages, "pages")
    places: list[int] = []
    at = 0

    def put(body: bytes) -> bytes:
        """Return an object of the file, numbered from 1, and keep where it begins."""
        nonlocal at
        places.append(at)
        out = b"%d 0 obj\n%s\nendobj\n" % (len(places), body)
        at += len(out)
        return out

    head = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
    at = len(head)
    yield head
    kids = b" ".join(b"%d 0 R" % (3 + 3 * index) for index in range(count))
    yield put(b"<</Type/Catalog/Pages 2 0 R>>")
    yield put(b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, count))
    for index in range(count):
        first = 3 + 3 * index
        width, height, shown = _page(document, index)
        yield put(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %.2f %.2f]/Contents %d 0 R"
            b"/Resources<</XObject<</P %d 0 R>>>>>>" % (width, height, first + 1, first + 2)
        )
        yield put(_stream(b"", b"q %.2f 0 0 %.2f 0 0 cm /P Do Q" % (width, height)))
        yield put(shown)
    document.close()
    start = at
    yield b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    yield b"".join(b"%010d 00000 n \n" % place for place in places)
    yield b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(places) + 1, start)


def _page(document: Any, index: int) -> tuple[float, float, bytes]:
    """Return the size of a page in points, and its picture as an object's body."""
    page = document[index]
    width, height = page.get_size()
    demand(int(width * height * (_DOTS / _POINTS) ** 2), _MOST_PIXELS, "pixels of a page")
    bitmap = page.render(scale=_DOTS / _POINTS, rev_byteorder=True, may_draw_forms=False)
    raw = memoryview(bitmap.buffer).cast("B")
    across, down, step, channels = bitmap.width, bitmap.height, bitmap.stride, bitmap.n_channels
    pack = zlib.compressobj(6)
    packed = bytearray()
    for row in range(down):
        line = bytes(raw[row * step : row * step + across * channels])
        if channels != _RGB:
            line = b"".join(line[place : place + _RGB] for place in range(0, len(line), channels))
        packed += pack.compress(line)
    packed += pack.flush()
    bitmap.close()
    page.close()
    facts = b"/Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceRGB/BitsPerComponent 8" % (
        across,
        down,
    )
    return width, height, _stream(facts + b"/Filter/FlateDecode", bytes(packed))


def _stream(facts: bytes, body: bytes) -> bytes:
    return b"<<%s/Length %d>>\nstream\n%s\nendstream" % (facts, len(body), body)
