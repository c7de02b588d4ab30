"""The slip: one page that a scanner and a tired person read, whatever stands on it."""

import ctypes
import io
from dataclasses import replace

import pypdfium2
import pypdfium2.raw as pdfium
import pytest
import zxingcpp
from PIL import Image, ImageFilter

from lockgate.crossing.slip import Slip, SlipLine, slip_pdf, slip_png

SHA = "7f3a9c1244b0" + "ab" * 26
SLIP = Slip(
    lane="plant-2",
    crossing=42,
    crate="crate-000042-7f3a9c",
    code="42-7F3A-9C12-44B0",
    scan=f"LGC1:PLANT-2:42:{SHA.upper()}",
    spoken="lusab-babad-gutih-tugad",
    sha256=SHA,
    sealed="2026-05-01 07:12 UTC",
    expires="2026-06-15",
    volumes=3,
    seals=("A104311", "A104312"),
    media=("BD-0017",),
    call="+49 30 555 0199",
    lines=(SlipLine("05-01 07:30", "packed by anna", "anna"), SlipLine("05-01 08:05", "anna", "courier-7")),
)
LONG = replace(
    SLIP,
    lane="l" * 64,
    crossing=999_999,
    seals=tuple(f"SEAL-{n:034}" for n in range(32)),
    media=tuple(f"MEDIUM-{n:03}" for n in range(256)),
    call="9" * 40,
    lines=tuple(SlipLine("05-01 08:05", "W" * 80, "M" * 80) for _ in range(64)),
)


def words(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == 1
    return document[0].get_textpage().get_text_bounded()


def test_it_says_what_a_counter_needs() -> None:
    said = words(slip_pdf(SLIP))
    for text in ("CROSSING 42", "42-7F3A-9C12-44B0", "A104311", "A104312", "BD-0017", SHA, "courier-7"):
        assert text in said
    assert "STOP AND CALL +49 30 555 0199" in said
    assert "write by hand" in words(slip_pdf(replace(SLIP, seals=(), media=())))


def test_the_picture_scans_even_when_it_is_small_blurred_and_turned() -> None:
    picture = Image.open(io.BytesIO(slip_png(slip_pdf(SLIP))))
    assert picture.mode == "L"
    worse = picture.resize((picture.width // 2, picture.height // 2)).filter(ImageFilter.GaussianBlur(0.8))
    for seen in (picture, worse.rotate(7, expand=True, fillcolor=255)):
        assert [code.text for code in zxingcpp.read_barcodes(seen)] == [SLIP.scan]


def test_it_uses_black_and_white_alone() -> None:
    page = pypdfium2.PdfDocument(slip_pdf(SLIP))[0].render(scale=1).to_numpy()
    assert (page.max(axis=2) == page.min(axis=2)).all()


@pytest.mark.parametrize("slip", [SLIP, LONG])
def test_nothing_leaves_the_page_or_its_margin(slip: Slip) -> None:
    page = pypdfium2.PdfDocument(slip_pdf(slip))[0]
    for number in range(pdfium.FPDFPage_CountObjects(page)):
        edges = [ctypes.c_float() for _ in range(4)]
        assert pdfium.FPDFPageObj_GetBounds(pdfium.FPDFPage_GetObject(page, number), *edges)
        left, low, right, top = (edge.value for edge in edges)
        assert left >= 20
        assert low >= 20
        assert right <= 595 - 20
        assert top <= 842 - 20


def test_what_has_no_room_is_counted_and_the_newest_hand_overs_are_shown() -> None:
    said = words(slip_pdf(LONG))
    assert "32:" in said
    assert "256:" in said
    assert said.count("more: see the screen") == 2
    assert said.count("WWWW") >= 4


def test_letters_that_the_fonts_lack_are_question_marks_and_no_error() -> None:
    line = SlipLine("05-01 09:00", "Łukasz 山田", "Jürgen")
    said = words(slip_pdf(replace(SLIP, lines=(line,))))
    assert "?ukasz ??" in said
    assert "Jürgen" in said


def test_the_same_slip_is_the_same_picture() -> None:
    assert slip_png(slip_pdf(SLIP)) == slip_png(slip_pdf(SLIP))
