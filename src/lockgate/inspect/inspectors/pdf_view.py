"""Renders the pages of a PDF and compares them with the text that a machine reads.

Text whose place on the rendered page shows no contrast, that is smaller than two points, or that lies
off the page, is read by machines alone. A layer of recognised text over a scanned picture is drawn in
no colour, but the picture shows: its place has contrast.
"""

import ctypes
import math
from dataclasses import dataclass, field
from typing import Any

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.injection import orders
from lockgate.inspect.inspectors.texts import scan
from lockgate.inspect.limits import Limits, demand
from lockgate.inspect.tally import Tally

_SCALE = 1.5
"""Pixels for a point (1/72 inch)."""
_CONTRAST = 20
_SMALLEST = 2.0
_SHORTEST = 6
_INVISIBLE = 3
_TEXT_BYTES = 4 << 20
_MOST_PIXELS = 64 << 20
_SHOWN = 3


@dataclass(slots=True)
class _Seen:
    text: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    objects: int = 0


def compare(tally: Tally, document: Any, limits: Limits, *, package: bool = False) -> tuple[int, int]:
    """Note text that no reader sees; return the numbers of pages and characters.

    Args:
        tally: Takes the findings.
        document: An open ``pypdfium2.PdfDocument``.
        limits: All bounds.
        package: It is a manual inside a package, that is no source of knowledge: figures are clipped there,
            lines run off the page, and only orders in hidden text are more than information.

    """
    pages = demand(len(document), limits.pages, "pages")
    seen = _Seen()
    characters = 0
    for index in range(pages):
        page = document[index]
        text = page.get_textpage()
        characters += text.count_chars()
        said = text.get_text_bounded()
        seen.text.append(said[:_TEXT_BYTES])
        if characters:
            _page(page, text, seen, limits)
        text.close()
        page.close()
    _report(tally, seen, package=package)
    return pages, characters


def _report(tally: Tally, seen: _Seen, *, package: bool) -> None:
    text = "\n".join(seen.text)
    scan(tally, text, lenient=True)
    orders(tally, text, keen=True)
    hidden = " ".join(seen.hidden).strip()
    if sum(char.isalnum() for char in hidden) >= _SHORTEST:
        why = f"{len(hidden)} characters that readers do not see: {hidden[:80]!r}"
        tally.note("document-hidden-text", Severity.INFO if package else Severity.HIGH, why)
    orders(tally, hidden, where="Hidden: ", hidden=True, keen=True)
    orders(tally, " ".join(seen.unseen), where="Under a picture: ", hidden=True)


def _page(page: Any, text: Any, seen: _Seen, limits: Limits) -> None:
    import pypdfium2.raw as pdfium  # noqa: PLC0415  # only PDF files pay for it

    width, height = page.get_size()
    if width * height * _SCALE * _SCALE > _MOST_PIXELS or width <= 0 or height <= 0:
        demand(_MOST_PIXELS + 1, _MOST_PIXELS, "pixels of a page")
    bitmap = page.render(scale=_SCALE, grayscale=True)
    view = _Picture(memoryview(bitmap.buffer).cast("B"), bitmap.width, bitmap.height, bitmap.stride)
    for item in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_TEXT], max_depth=8):
        seen.objects += 1
        demand(seen.objects, limits.objects, "objects")
        said = _said(pdfium, item, text)
        if not any(char.isalnum() for char in said):
            continue
        if pdfium.FPDFTextObj_GetTextRenderMode(item.raw) == _INVISIBLE:
            seen.unseen.append(said)
        if _small(pdfium, item) or not _drawn(pdfium, page, item, view):
            seen.hidden.append(said)
    bitmap.close()


@dataclass(frozen=True, slots=True)
class _Picture:
    """A rendered page, one byte for a pixel."""

    pixels: memoryview
    width: int
    height: int
    stride: int

    def contrast(self, left: int, top: int, right: int, bottom: int) -> int | None:
        """Return the largest difference of brightness in a rectangle, None where there is no pixel."""
        left, right = max(0, left), min(self.width, right)
        low, high = 255, 0
        for row in range(max(0, top), min(self.height, bottom)):
            line = bytes(self.pixels[row * self.stride + left : row * self.stride + right])
            if line:
                low, high = min(low, *line), max(high, *line)
            if high - low >= _CONTRAST:
                return high - low
        return high - low if high >= low else None


def _said(pdfium: Any, item: Any, text: Any) -> str:
    length = pdfium.FPDFTextObj_GetText(item.raw, text.raw, None, 0)
    if length <= 2 or length > _TEXT_BYTES:  # noqa: PLR2004  # the end mark alone
        return ""
    buffer = (ctypes.c_ushort * (length // 2 + 1))()
    pdfium.FPDFTextObj_GetText(item.raw, text.raw, buffer, length)
    return bytes(buffer)[: length - 2].decode("utf-16-le", "replace")


def _small(pdfium: Any, item: Any) -> bool:
    size = ctypes.c_float()
    if not pdfium.FPDFTextObj_GetFontSize(item.raw, size):
        return False
    matrix = item.get_matrix()
    for form in _forms(item):
        matrix = matrix.multiply(form)
    scale = max(abs(matrix.d), abs(matrix.b), abs(matrix.a), abs(matrix.c))
    if abs(size.value) * scale >= _SMALLEST:
        return False
    font = pdfium.FPDFTextObj_GetFont(item.raw)
    named = not font or pdfium.FPDFFont_GetBaseFontName(font, None, 0) > 1
    return named or _height(pdfium, item) < _SMALLEST


def _height(pdfium: Any, item: Any) -> float:
    """Return how high a text is on the page, in points, whichever way it is turned; 0 where nobody knows.

    A font that is drawn by streams (type 3: ISO 32000-2, 9.6.4) has no name and units of its own, so that
    letters of size 1 may be as high as any.
    """
    quad = pdfium.FS_QUADPOINTSF()
    if not pdfium.FPDFPageObj_GetRotatedBounds(item.raw, quad):
        return 0.0
    low, high = (quad.x2, quad.y2), (quad.x3, quad.y3)
    for form in _forms(item):
        low, high = form.on_point(*low), form.on_point(*high)
    return math.dist(low, high)


def _forms(item: Any) -> list[Any]:
    """Return the matrices of the forms that a text lies in, the innermost first."""
    out, form = [], item.container
    while form is not None:
        out.append(form.get_matrix())
        form = form.container
    return out


def _drawn(pdfium: Any, page: Any, item: Any, view: _Picture) -> bool:
    """Return whether the place of a text shows anything on the rendered page."""
    left, bottom, right, top = item.get_bounds()
    points = [(x, y) for x in (left, right) for y in (bottom, top)]
    for form in _forms(item):  # the bounds are those inside the form
        points = [form.on_point(x, y) for x, y in points]
    corners = [_pixel(pdfium, page, view, x, y) for x, y in points]
    across, down = [x for x, _ in corners], [y for _, y in corners]
    contrast = view.contrast(min(across) - 1, min(down) - 1, max(across) + 2, max(down) + 2)
    return contrast is not None and contrast >= _CONTRAST


def _pixel(pdfium: Any, page: Any, view: _Picture, x: float, y: float) -> tuple[int, int]:
    """Return the pixel of a point of the page, which may be turned."""
    across, down = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDF_PageToDevice(page.raw, 0, 0, view.width, view.height, 0, x, y, across, down)
    return across.value, down.value
