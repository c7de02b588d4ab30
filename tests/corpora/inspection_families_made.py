"""Documents that carry one thing each, and the benign neighbours of hostile families."""

import base64
import binascii
import zipfile

from corpora import inspection_content as make
from corpora.inspection_case import good
from corpora.inspection_documents import docx, mail, relation

EXE = b"MZ" + bytes(58) + b"\x40\0\0\0" + b"PE\0\0" + bytes(300)
_RELATIONS = "<Relationships xmlns='x'>{}</Relationships>"
_XML = b"<?xml version='1.0'?>"


def text(said: str) -> bytes:
    """Return minutes of a meeting with something in them."""
    return f"Minutes of the meeting.\n\n{said}\n".encode()


def markdown(said: str) -> bytes:
    """Return the same with a heading."""
    return f"# Minutes\n\nThe gate opens at dawn.\n\n{said}\n".encode()


def page(said: str) -> bytes:
    """Return a page with something in its body."""
    return f"<!doctype html><html><body><h1>Gates</h1><p>It opens.</p>{said}</body></html>".encode()


def drawing(said: str) -> bytes:
    """Return a drawing."""
    return f"<svg xmlns='http://www.w3.org/2000/svg'>{said}</svg>".encode()


def field(said: str) -> bytes:
    """Return a letter with a field (ECMA-376, part 1, 17.16)."""
    return docx(f'<w:p><w:r><w:instrText xml:space="preserve"> {said} </w:instrText></w:r></w:p>')


def _office(**parts: bytes) -> bytes:
    named = {name.replace("__", "/"): body for name, body in parts.items()}
    return make.zipped({
        "[Content_Types].xml": _XML + b"<Types/>",
        "_rels/.rels": _XML + b"<Relationships/>",
        **{f"{name}.xml" if not name.endswith(".rels") else name: body for name, body in named.items()},
    })  # fmt: skip


def cell(formula: str) -> bytes:
    """Return a sheet with a formula."""
    sheet = f"<worksheet><sheetData><row><c><f>{formula}</f></c></row></sheetData></worksheet>"
    return _office(xl__workbook=_XML + b"<workbook/>", xl__worksheets__sheet1=_XML + sheet.encode())


def presentation(action: str) -> bytes:
    """Return a slide with a click."""
    slide = f'<p:sld><a:hlinkClick r:id="r1" action="ppaction://{action}"/><a:t>Gates</a:t></p:sld>'
    return _office(ppt__presentation=_XML + b"<p:presentation/>", ppt__slides__slide1=_XML + slide.encode())


def row(value: str) -> bytes:
    """Return a table with a value, quoted as RFC 4180 has it."""
    return 'name,value\nann,"{}"\n'.format(value.replace('"', '""')).encode()


def rich(said: str) -> bytes:
    """Return rich text."""
    return rf"{{\rtf1\ansi{{\colortbl;\red255\green0\blue0;}}\pard Gates {said}}}".encode()


def appointment(said: str) -> bytes:
    """Return a calendar with one appointment (RFC 5545)."""
    head = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\n"
    )
    return f"{head}SUMMARY:Gate\r\n{said}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n".encode()


def card(said: str) -> bytes:
    """Return a card of a person (RFC 6350)."""
    return f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ann\r\nN:A;Ann\r\n{said}\r\nEND:VCARD\r\n".encode()


def book(said: str) -> bytes:
    """Return a book of one page (EPUB 3.3)."""
    kind = zipfile.ZipInfo("mimetype", (1980, 1, 1, 0, 0, 0))
    words = "<html xmlns='http://www.w3.org/1999/xhtml'><body><p>Gate</p>{}</body></html>"
    return make.zipped([
        (kind, b"application/epub+zip"),
        (
            "META-INF/container.xml",
            _XML + b"<container><rootfiles><rootfile full-path='a.opf'/></rootfiles></container>",
        ),
        ("a.opf", _XML + b"<package><manifest/></package>"),
        ("c.xhtml", _XML + words.format(said).encode()),
    ])  # fmt: skip


def uuencoded(name: str, raw: bytes) -> str:
    """Return a file as ``uuencode`` writes it."""
    lines = (binascii.b2a_uu(raw[at : at + 45]).decode() for at in range(0, len(raw), 45))
    return f"begin 644 {name}\n{''.join(lines)}`\nend\n"


_PAGES = [
    "<a href='https://docs.example/a'>docs</a>", "<a download href='a.csv'>table</a>",
    "<p style='color:#333'>x</p>", "<details><summary>More</summary>The gate</details>",
    "<img src='a.png' alt='gate'>", "<video src='a.mp4' controls></video>", "<table><tr><td>1</table>",
    "<form action='search.html'><input name=q></form>", "<code>document.write(1)</code>",
    "<pre>&lt;script&gt;x()&lt;/script&gt;</pre>", "<a href='#top'>up</a>",
    "<a href='mailto:a@docs.example'>mail</a>", "<p>Press Ctrl+C to copy.</p>",
    "<script>document.documentElement.classList.add('js')</script>", "<link rel=stylesheet href='a.css'>",
    "<audio src='a.ogg' controls></audio>", "<ruby>漢<rt>kan</rt></ruby>", "<a href='file.html'>file</a>",
    "<svg width=1 height=1><path d='M0 0'/></svg>", "<a href='file:///usr/share/doc/gates/'>manual</a>",
]  # fmt: skip
_STYLES = [
    "color:#222", "margin:0", "font-size:14px", "text-align:center", "max-width:40em", "line-height:1.5",
    "color:navy", "border:1px solid",
]  # fmt: skip
_LETTERS = [
    "👩‍👩‍👧‍👦 👍🏽 ❤️", "مرحبا بالعالم", "שלום עולם", "नमस्ते क्‍ष", "می‌خواهم", "สวัสดี", "こんにちは",
    "hyphen\u00adation", "10\u00a0km", "naïve café", "Привет", "Γειά",
]  # fmt: skip
_TOLD = [
    "The template puts `<|im_start|>` before each turn and `<|im_end|>` behind it.",
    "The format of a turn:\n\n```\n<|im_start|>user\nHello<|im_end|>\n```",
    "Llama 2 expects `[INST]` and `[/INST]` around a question.",
    'A model answers with the element:\n\n```xml\n<tool_call>{"name": "get_weather"}</tool_call>\n```',
    "rot13 turns `hello` into `uryyb`.",
    "### Instruction manuals\n\nThey lie in the cupboard.",
    "The special token `<|endoftext|>` ends a text.",
    "| token | id |\n|---|---|\n| `<start_of_turn>` | 106 |",
    "Human: the word for a person. Assistant: one who helps.",
    "Use `<think>` blocks only in models that reason.",
    "Ignore the case of letters; the digest is " + "0f" * 32 + ".",
    "The key's fingerprint is " + ":".join(["a7"] * 32) + ".",
    "A backwards compatible release. See https://docs.example/a%20b%20c.",
]  # fmt: skip
_MARKDOWN = [
    "![a](a.png)", "[docs](https://docs.example/a?page=2)", "> quote", "- [ ] task",
    "```sh\nmake install\n```", "| a | b |\n|---|---|\n| 1 | 2 |", "<kbd>Ctrl</kbd>", "<!-- toc -->",
    "[^1]: A footnote.", "[a]: https://docs.example 'Docs'", "Term\n: meaning", "<sup>2</sup>",
    "![build](https://img.docs.example/badge.svg)",
]  # fmt: skip
_FILES = [
    ("a.ini", "[section]\nkey=value\n"),
    ("a.rdp", "full address:s:gate.example\nscreen mode id:i:2\n"),
    ("a.inf", "[Version]\nSignature=$CHICAGO$\n"),
    ("a.theme", "[Control Panel\\Desktop]\nWallpaper=C:\\Windows\\a.jpg\n"),
    ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\n<i>Hello</i>\n"),
    ("a.vtt", "WEBVTT\n\nSTYLE\n::cue { color: red }\n\n00:01.000 --> 00:02.000\nHello\n"),
    ("a.ass", "[Script Info]\nTitle: x\n\n[Events]\nDialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,,Hello\n"),
    ("a.puml", "@startuml\n!include common.puml\nA -> B\n@enduml\n"),
    ("a.puml", "@startuml\n!include ../common.puml\nA -> B\n@enduml\n"),
    ("a.puml", "@startuml\n!include <C4/C4_Context>\nA -> B\n@enduml\n"),
    ("a.puml", "@startuml\n!include https://raw.docs.example/C4_Context.puml\nA -> B\n@enduml\n"),
    ("a.dot", 'digraph { a -> b [label="x"] }\n'),
    ("a.dot", 'digraph { a [image="a.png", URL="a.html"] }\n'),
    ("a.mmd", "graph TD\n A --> B\n"),
    ("a.xml", "<?xml version='1.0'?><?xml-stylesheet href='a.css'?><a/>"),
    ("a.xml", "<?xml version='1.0'?><?xml-stylesheet href='https://docs.example/a.css'?><a/>"),
    ("a.xhtml", "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><p>Gate</p></html>"),
    ("a.uue", uuencoded("a.txt", b"The gate opens at dawn\n")),
    ("a.b64", base64.encodebytes(b"The gate opens at dawn.\n" * 9).decode()),
    ("a.shar", "#!/bin/sh\n# This is a shell archive\nsed 's/^X//' << 'EOF' > README\nXThe gate.\nEOF\n"),
    ("begin.txt", "They begin 644 boxes later\nand end\n"),
]  # fmt: skip
_DRAWINGS = [
    "<path d='M0 0L9 9'/>", "<style>rect{fill:red}</style><rect/>", "<text>Gate</text>", "<use href='#a'/>",
    "<title>Gate</title>", "<linearGradient id='a'/><rect fill='url(#a)'/>",
    "<a href='https://docs.example'><text>docs</text></a>", "<image href='a.png'/>",
    "<style>@import 'https://docs.example/a.css';</style>",
]  # fmt: skip
_APPOINTMENTS = [
    "DESCRIPTION:Bring the key", "LOCATION:Gate 3", "URL:https://docs.example/",
    "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:x\r\nTRIGGER:-PT5M\r\nEND:VALARM",
    "ATTACH:https://docs.example/a.pdf", "X-ALT-DESC;FMTTYPE=text/html:<p>Bring the key</p>",
]  # fmt: skip
_CARDS = ["TEL:+123", "EMAIL:a@docs.example", "URL:https://docs.example/", "NOTE:Keeper of the gate"]
_FIELDS = ["PAGE", "NUMPAGES", 'TOC \\o "1-3"', "DATE", "REF a \\h"]
_FORMULAS = ["SUM(A1:A3)", "IF(A1&gt;2,1,0)", "VLOOKUP(A1,B:C,2)", 'HYPERLINK("https://docs.example/","d")']
_ROWS = ["-5", "+47 11 22", "=1+2", "=SUM(A1:A2)", "@ann", "-", "a=b", "https://docs.example"]
_RICH = [r"{\b bold}", r"\par line", r"{\i it}", r"{\field{\*\fldinst PAGE}{\fldrslt 1}}", r"{\cf1 red}",
         r"caf\'e9", r'{\field{\*\fldinst HYPERLINK "https://docs.example/"}{\fldrslt docs}}']  # fmt: skip
_CATALOGS = ["/PageMode/UseOutlines", "/Lang(en)", "/PageLayout/OneColumn"]
_LINKS = ["/S/GoTo/D[3 0 R/Fit]", "/S/Named/Name/NextPage", "/S/URI/URI(https://docs.example/)"]
_ATTACHED = ["invoice.txt", "minutes.md", "rows.csv"]


def _cases(name, made, payloads):
    return [good(f"{name}: {said!r:.40}", name, made(said), "document") for said in payloads]


FAMILIES_GOOD = [
    *_cases("a.html", page, _PAGES),
    *_cases("a.html", lambda style: page(f"<div style='{style}'>And closes.</div>"), _STYLES),
    *_cases("a.txt", text, _LETTERS),
    *_cases("a.md", markdown, [*_LETTERS, *_TOLD, *_MARKDOWN]),
    *(good(f"{name}: {said!r:.40}", name, said.encode(), "document") for name, said in _FILES),
    *_cases("a.svg", drawing, _DRAWINGS),
    *_cases("a.ics", appointment, _APPOINTMENTS),
    *_cases("a.vcf", card, _CARDS),
    *_cases("a.docx", field, _FIELDS),
    *_cases(
        "a.docx", lambda to: docx(rels=relation("hyperlink", to)), ["https://docs.example/", "mailto:a@x"]
    ),
    *_cases("a.xlsx", cell, _FORMULAS),
    *_cases("a.pptx", presentation, ["hlinkshowjump?jump=nextslide"]),
    *_cases("a.csv", row, _ROWS),
    *_cases("a.rtf", rich, _RICH),
    *_cases("a.pdf", lambda said: make.pdf(catalog=said), _CATALOGS),
    *_cases("a.pdf", lambda act: make.pdf(extra=[f"<</Type/Annot/Subtype/Link/A<<{act}>>>>"]), _LINKS),
    *_cases("m.eml", lambda name: mail(attached=(name, b"content\n")), _ATTACHED),
    *_cases("a.epub", book, ["<p>More</p>", "<img src='a.png' alt='a'/>"]),
]
