"""The slip that goes with a package: one A4 page, in black on white, for tired people in bad light.

It is printed, never carried as a file: each side draws its own from a verified ``crate.json``. PDFium
writes the page and draws the picture of it. Letters outside Windows-1252, which the fonts that every
reader of PDF has lack, stand as question marks.
"""

import ctypes
import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import pypdfium2
import pypdfium2.raw as pdfium
import segno

_WIDTH, _HEIGHT = 595.0, 842.0
_LEFT, _RIGHT = 42.0, 553.0
_PLAIN, _BOLD, _MONO = b"Helvetica", b"Helvetica-Bold", b"Courier-Bold"
_ROWS = 6
_LARGE, _SMALL, _LINES = 36, 54, 2
_PICTURE_SCALE = 150 / 72
"""Pixels of the picture for each point: 150 dots per inch."""


@dataclass(frozen=True, slots=True)
class SlipLine:
    """One hand-over as it stands in the slip's table."""

    when: str
    giver: str
    receiver: str


@dataclass(frozen=True, slots=True)
class Slip:
    """What a slip says. Seals and media are empty where they are to be written by hand.

    `code` is what people read and type, `scan` what the picture says, `spoken` the digest as words,
    `call` whom to call.
    """

    lane: str
    crossing: int
    crate: str
    code: str
    scan: str
    spoken: str
    sha256: str
    sealed: str
    expires: str
    volumes: int
    seals: tuple[str, ...] = ()
    media: tuple[str, ...] = ()
    call: str = ""
    lines: tuple[SlipLine, ...] = field(default=())


class _Page:
    """A page that texts and boxes are put on; the origin is the lower left corner, units are points."""

    def __init__(self) -> None:
        self.document = pypdfium2.PdfDocument.new()
        self.page = self.document.new_page(_WIDTH, _HEIGHT)
        self._fonts: dict[bytes, object] = {}

    def _text_object(self, text: str, size: float, font: bytes) -> object:
        if font not in self._fonts:
            self._fonts[font] = pdfium.FPDFText_LoadStandardFont(self.document, font)
        made = pdfium.FPDFPageObj_CreateTextObj(self.document, self._fonts[font], size)
        plain = text.encode("cp1252", "replace").decode("cp1252")
        coded = (plain + "\0").encode("utf-16-le")
        units = (ctypes.c_ushort * (len(coded) // 2)).from_buffer_copy(coded)
        pdfium.FPDFText_SetText(made, units)
        return made

    @staticmethod
    def _length(made: object) -> float:
        edges = [ctypes.c_float() for _ in range(4)]
        pdfium.FPDFPageObj_GetBounds(made, *edges)
        return edges[2].value

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        font: bytes = _PLAIN,
        *,
        most: float = _RIGHT - _LEFT,
    ) -> None:
        """Write a line; it is made smaller when it is longer than `most` points."""
        made = self._text_object(text, size, font)
        length = self._length(made)
        if length > most:
            pdfium.FPDFPageObj_Destroy(made)
            made = self._text_object(text, size * most / length, font)
        pdfium.FPDFPageObj_Transform(made, 1, 0, 0, 1, x, y)
        pdfium.FPDFPage_InsertObject(self.page, made)

    def box(self, x: float, y: float, width: float, height: float, line: float = 1.0) -> None:
        """Draw a box whose lower left corner is at x, y."""
        made = pdfium.FPDFPageObj_CreateNewRect(x, y, width, height)
        pdfium.FPDFPageObj_SetStrokeColor(made, 0, 0, 0, 255)
        pdfium.FPDFPageObj_SetStrokeWidth(made, line)
        pdfium.FPDFPath_SetDrawMode(made, pdfium.FPDF_FILLMODE_NONE, 1)
        pdfium.FPDFPage_InsertObject(self.page, made)

    def bar(self, x: float, y: float, width: float, height: float) -> None:
        """Draw a black bar."""
        made = pdfium.FPDFPageObj_CreateNewRect(x, y, width, height)
        pdfium.FPDFPageObj_SetFillColor(made, 0, 0, 0, 255)
        pdfium.FPDFPath_SetDrawMode(made, pdfium.FPDF_FILLMODE_WINDING, 0)
        pdfium.FPDFPage_InsertObject(self.page, made)

    def code(self, x: float, y: float, side: float, text: str) -> None:
        """Draw a QR picture (ISO/IEC 18004) as one path, with its quiet zone inside `side`."""
        rows = [list(row) for row in segno.make(text, error="q", micro=False).matrix_iter(border=4)]
        step = side / len(rows)
        path = pdfium.FPDFPageObj_CreateNewPath(x, y)
        for n, row in enumerate(rows):
            for m, dark in enumerate(row):
                if dark:
                    left, low = x + m * step, y + side - (n + 1) * step
                    pdfium.FPDFPath_MoveTo(path, left, low)
                    for right, up in ((step, 0), (step, step), (0, step)):
                        pdfium.FPDFPath_LineTo(path, left + right, low + up)
                    pdfium.FPDFPath_Close(path)
        pdfium.FPDFPageObj_SetFillColor(path, 0, 0, 0, 255)
        pdfium.FPDFPath_SetDrawMode(path, pdfium.FPDF_FILLMODE_WINDING, 0)
        pdfium.FPDFPage_InsertObject(self.page, path)

    def save(self) -> bytes:
        """Return the document."""
        pdfium.FPDFPage_GenerateContent(self.page)
        written = io.BytesIO()
        self.document.save(written)
        return written.getvalue()


def slip_pdf(slip: Slip) -> bytes:
    """Return a slip as a PDF document of one page."""
    page = _Page()
    _head(page, slip)
    _package(page, slip)
    _steps(page, slip)
    _table(page, slip)
    page.text(_LEFT, 62, f"crate.json  {slip.sha256}", 8.5, _MONO)
    page.text(_LEFT, 47, f"aloud: {slip.spoken}", 8.5)
    page.text(_LEFT, 32, "This paper proves nothing by itself: the signed chain of hand-overs does.", 8.5)
    return page.save()


def _head(page: _Page, slip: Slip) -> None:
    page.text(_LEFT, 800, "CUSTODY SLIP", 15, _BOLD)
    page.text(_LEFT + 130, 800, f"Lockgate, lane {slip.lane}", 15, most=230)
    page.text(_LEFT, 737, f"CROSSING {slip.crossing}", 48, _BOLD, most=352)
    page.text(_LEFT, 695, slip.code, 29, _MONO, most=352)
    page.text(_LEFT, 670, f"{slip.crate}   {_count(slip.volumes, 'volume')}", 12, most=352)
    page.text(_LEFT, 653, f"sealed {slip.sealed}   useless after {slip.expires}", 12, most=352)
    page.code(_RIGHT - 154, 654, 166, slip.scan)
    page.bar(_LEFT, 642, _RIGHT - _LEFT, 2.5)


def _package(page: _Page, slip: Slip) -> None:
    for y, name, marks in ((612, "SEALS", slip.seals), (574, "MEDIA", slip.media)):
        page.text(_LEFT, y, name, 13, _BOLD)
        count = f"{len(marks)}:" if marks else "write by hand:"
        page.text(_LEFT + 58, y, count, 13, _BOLD, most=22 if marks else 90)
        if not marks:
            page.bar(_LEFT + 152, y - 3, _RIGHT - _LEFT - 152, 0.8)
            continue
        lines = _lines(marks)
        size, top = (22.0, y - 2) if len(lines) == 1 else (13.0, y + 6)
        for n, line in enumerate(lines):
            page.text(_LEFT + 84, top - 15 * n, line, size, _MONO, most=_RIGHT - _LEFT - 84)


def _lines(marks: Sequence[str]) -> list[str]:
    """Return marks in one large line, or in two smaller ones that say how many had no room."""
    whole = "   ".join(marks)
    if len(whole) <= _LARGE:
        return [whole]
    lines, left = [""], list(marks)
    while left and len(lines) <= _LINES:
        if not lines[-1] or len(lines[-1]) + 2 + len(left[0]) <= _SMALL:
            lines[-1] = f"{lines[-1]}  {left.pop(0)}".strip()
        else:
            lines.append("")
    if len(lines) > _LINES or left:
        lines = lines[:_LINES]
        shown = sum(len(line.split()) for line in lines)
        lines[-1] += f"  and {len(marks) - shown} more: see the screen"
    return lines


def _steps(page: _Page, slip: Slip) -> None:
    page.text(_LEFT, 540, "Before you take it, look:", 15, _BOLD)
    steps = (
        f"1.  The counter's screen shows the code {slip.code}.",
        "2.  Every seal is whole, and its number is above.",
        "3.  The person who gives it is the last one in the table.",
    )
    for n, step in enumerate(steps):
        page.text(_LEFT, 517 - 21 * n, step, 15)
    page.box(_LEFT, 372, _RIGHT - _LEFT, 88, 4)
    page.text(_LEFT + 14, 429, f"NOT SO?  STOP AND CALL {slip.call}".rstrip(), 23, _BOLD, most=483)
    page.text(
        _LEFT + 14, 405, "Also when it is open, wet, re-taped, or somebody hurries you.", 14.5, most=483
    )
    page.text(
        _LEFT + 14, 385, "Keep it in sight. Do not sign. Nobody will blame you for calling.", 14.5, most=483
    )


def _table(page: _Page, slip: Slip) -> None:
    edges = (_LEFT, 140.0, 292.0, 444.0, _RIGHT)
    top, height, low = 352.0, 42.0, 352.0 - 20 - _ROWS * 42.0
    heads = ("When (UTC)", "From: name, signature", "To: name, signature", "Seals whole, same")
    for left, right, name in zip(edges, edges[1:], heads, strict=False):
        page.text(left + 4, top - 14, name, 11, _BOLD, most=right - left - 8)
    shown = slip.lines[-(_ROWS - 2) :]
    for n in range(_ROWS + 1):
        page.bar(_LEFT, top - 20 - n * height, _RIGHT - _LEFT, 1)
    page.bar(_LEFT, top, _RIGHT - _LEFT, 1)
    for edge in edges:
        page.bar(edge - 0.5, low, 1, top - low + 1)
    for n in range(_ROWS):
        base = top - 20 - n * height
        if n < len(shown):
            texts = (shown[n].when, shown[n].giver, shown[n].receiver)
            for left, right, text in zip(edges, edges[1:], texts, strict=False):
                page.text(left + 4, base - 15, text, 11.5, most=right - left - 8)
        page.box(edges[3] + 8, base - 30, 16, 16, 1.2)
        page.text(edges[3] + 30, base - 26, "yes", 12)
        page.box(edges[3] + 58, base - 30, 16, 16, 1.2)
        page.text(edges[3] + 80, base - 26, "call", 12)


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def slip_png(pdf: bytes) -> bytes:
    """Return the picture of a slip that `slip_pdf` made, as PNG with grey levels."""
    document = pypdfium2.PdfDocument(pdf)
    bitmap = document[0].render(scale=_PICTURE_SCALE, grayscale=True)
    width, height, stride = bitmap.width, bitmap.height, bitmap.stride
    data = bytes(bitmap.buffer)
    return _png(width, height, [data[row * stride : row * stride + width] for row in range(height)])


def _png(width: int, height: int, rows: Sequence[bytes]) -> bytes:
    """Return 8-bit grey rows as PNG (ISO/IEC 15948)."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
