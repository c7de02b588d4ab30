"""Draw the handbook's PDF chapters from their texts: the same bytes on every run.

The texts use a small notation: ``# title``, ``## heading``, ``<page>`` for a new page, and
paragraphs divided by empty lines.
"""

from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "pdf"
TARGET = HERE / "handbook"
WIDTH = 0
LINE = 6.2


def draw(text: str) -> bytes:
    """Return a PDF (A4, standard fonts, uncompressed) of one chapter."""
    pdf = FPDF(format="A4")
    pdf.set_compression(False)
    pdf.set_creation_date(datetime(2026, 1, 5, 9, 0, tzinfo=UTC))
    pdf.set_margins(24, 22, 24)
    pdf.add_page()
    for block in text.strip().split("\n\n"):
        for line in block.split("\n"):
            if line == "<page>":
                pdf.add_page()
            elif line.startswith("# "):
                pdf.set_title(line[2:])
                pdf.set_font("Helvetica", "B", 20)
                pdf.multi_cell(WIDTH, 12, line[2:], new_x="LMARGIN", new_y="NEXT")
            elif line.startswith("## "):
                pdf.set_font("Helvetica", "B", 13)
                pdf.multi_cell(WIDTH, 8, line[3:], new_x="LMARGIN", new_y="NEXT")
            else:
                pdf.set_font("Times", "", 12)
                pdf.multi_cell(WIDTH, LINE, line, align="L", new_x="LMARGIN", new_y="NEXT")
        pdf.ln(3)
    return bytes(pdf.output())


def main() -> None:
    """Draw every chapter that has a text."""
    for source in sorted(SOURCES.glob("*.txt")):
        target = TARGET / f"{source.stem}.pdf"
        target.write_bytes(draw(source.read_text(encoding="utf-8")))
        print(f"{target.relative_to(HERE)}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
