"""PDF: every byte belongs to an object, nothing runs by itself, and the renderer can open it.

Actions are those of ISO 32000-2, 12.6; the keys are looked for in every dictionary of the file,
those in object streams included, whether a page uses them or not.
"""

import re
from collections.abc import Iterator
from typing import Any

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors import jbig2
from lockgate.inspect.inspectors.injection import orders
from lockgate.inspect.inspectors.pdf_objects import Indirect, Name, Parser, Reference, inflate, objects
from lockgate.inspect.inspectors.pdf_view import compare
from lockgate.inspect.limits import Limits, demand
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_KEYS = {
    "JavaScript": ("pdf-javascript", Severity.CRITICAL, "carries JavaScript"),
    "JS": ("pdf-javascript", Severity.CRITICAL, "carries JavaScript"),
    "AA": ("pdf-automatic-action", Severity.HIGH, "acts on an event by itself"),
    "EmbeddedFile": ("pdf-embedded-file", Severity.HIGH, "carries another file"),
    "EmbeddedFiles": ("pdf-embedded-file", Severity.HIGH, "carries another file"),
    "EF": ("pdf-embedded-file", Severity.HIGH, "carries another file"),
    "AF": ("pdf-embedded-file", Severity.HIGH, "carries another file"),
    "RichMedia": ("pdf-rich-media", Severity.HIGH, "carries media that act"),
    "RichMediaContent": ("pdf-rich-media", Severity.HIGH, "carries media that act"),
    "OnInstantiate": ("pdf-javascript", Severity.CRITICAL, "carries JavaScript"),
    "XFA": ("pdf-xfa", Severity.HIGH, "carries a form with code"),
}
_ACTIONS = {
    "JavaScript": ("pdf-javascript", Severity.CRITICAL),
    "Launch": ("pdf-launch", Severity.CRITICAL),
    "SubmitForm": ("pdf-submit", Severity.HIGH),
    "ImportData": ("pdf-import", Severity.HIGH),
    "GoToR": ("pdf-remote", Severity.MEDIUM),
    "GoToE": ("pdf-embedded-file", Severity.HIGH),
    "Rendition": ("pdf-rich-media", Severity.HIGH),
    "Movie": ("pdf-rich-media", Severity.HIGH),
    "Sound": ("pdf-rich-media", Severity.HIGH),
    "URI": ("pdf-link", Severity.INFO),
}
_FILTERS = frozenset({
    "FlateDecode", "Fl", "DCTDecode", "JPXDecode", "CCITTFaxDecode", "JBIG2Decode", "LZWDecode",
    "RunLengthDecode", "ASCIIHexDecode", "ASCII85Decode",
})  # fmt: skip
_SPACE = rb"[\x00\t\n\x0c\r ]+"
_INTEGER = re.compile(_SPACE.join((rb"(\d{1,10})", rb"\d{1,5}", rb"obj", rb"(\d{1,12})", rb"endobj")))
_EMBEDDED = frozenset({"EmbeddedFile", "Filespec"})
_NOTES = frozenset({
    "Title", "Subject", "Keywords", "Author", "Creator", "Contents", "RC", "Alt", "ActualText", "TU", "V",
    "DV",
})  # fmt: skip
"""Keys whose texts no page shows, or not at once (ISO 32000-2, 12.5.6, 12.7.4, 14.3.3, 14.9)."""
_ASIDE, _SHORTEST = 1 << 20, 12
_TAG = re.compile(r"<[^<>]*>")
_BESIDE = re.compile(rb"(?:(?!//)[\w. /-]){1,240}")

_POINTS, _SIDE = 1 << 31, 1 << 20
"""Most points of a picture and of a side of it: a sheet of A0 that is scanned at 1,000 dpi has 1.5e9."""


class PdfInspector(Inspector):
    """Reads all objects in file order, then lets PDFium open every page."""

    name = "pdf"
    version = 10
    detects = frozenset({"pdf"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the file when it reads to the last byte and PDFium opens it."""
        limits = context.limits
        demand(len(data), limits.member_bytes, "member_bytes")
        lengths = {int(found[1]): int(found[2]) for found in _INTEGER.finditer(data)}
        whole = True
        openings: dict[int, int] = {}
        actions: dict[int, Any] = {}
        aside: list[str] = []
        for count, item in enumerate(objects(Parser(data, limits), lengths)):
            demand(count, limits.objects, "objects")
            if isinstance(item.value, dict) and "Encrypt" in item.value:
                tally.unfinished("pdf-encrypted", "The document is encrypted.", item.at)
                return
            _look(tally, item.value, item.at)
            aside += _aside(item.value)
            if item.stream is not None and item.value.get("Type") == "Metadata":
                aside.append(_TAG.sub(" ", bytes(item.stream[:_ASIDE]).decode("utf-8", "replace")))
            if isinstance(item.value, dict) and isinstance(item.value.get("OpenAction"), Reference):
                openings[item.value["OpenAction"].number] = item.at
            if isinstance(item.value, list) or (isinstance(item.value, dict) and "S" in item.value):
                actions[item.number] = item.value
            whole &= _stream(tally, item, limits)
        for number, at in openings.items():
            if not _only_goes(actions.get(number)):
                tally.note("pdf-open-action", Severity.HIGH, "The document acts when it is opened.", at)
        said = "\n".join(aside)[:_ASIDE]
        orders(tally, said, where="Where readers do not look: ", hidden=True, keen=True)
        if _opens(tally, data, limits, package=context.package) and whole:
            tally.claim_all()


def _dictionaries(value: Any) -> Iterator[dict[str, Any]]:
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            yield item
            glyphs = item.get("CharProcs") if item.get("Type") == "Font" else None
            # The keys of a font's glyphs are names of its own; only what they stand for is looked at.
            todo.extend(glyphs.values() if isinstance(glyphs, dict) else ())
            todo.extend(value for value in item.values() if value is not glyphs)
        elif isinstance(item, list):
            todo.extend(item)


def _aside(value: Any) -> list[str]:
    """Return what an object says beside the page: notes, descriptions, titles, values of fields."""
    return [
        item[key].decode("utf-16" if item[key][:2] == b"\xfe\xff" else "latin-1", "replace")
        for item in _dictionaries(value)
        for key in _NOTES & item.keys()
        if isinstance(item[key], bytes) and len(item[key]) >= _SHORTEST
    ]


def _look(tally: Tally, value: Any, at: int) -> None:
    for item in _dictionaries(value):
        for key in _KEYS.keys() & item.keys():
            code, severity, why = _KEYS[key]
            tally.note(code, severity, f"An object {why} (/{key}).", at)
        action = item.get("S")
        if isinstance(action, Name) and action in _ACTIONS:
            code, severity = _ACTIONS[action]
            severity = Severity.INFO if action == "GoToR" and _beside(item.get("F")) else severity
            tally.note(code, severity, f"An action of the kind /{action}.", at)
        if isinstance(kind := item.get("Type"), Name) and kind in _EMBEDDED:
            tally.note("pdf-embedded-file", Severity.HIGH, "An object is another file.", at)
        opening = item.get("OpenAction")
        if opening is not None and not isinstance(opening, Reference) and not _only_goes(opening):
            tally.note("pdf-open-action", Severity.HIGH, "The document acts when it is opened.", at)


def _beside(file: Any) -> bool:
    """Return whether a file that a link leads to lies beside the document; hosts and drives do not."""
    names = [file.get(key) for key in ("F", "UF") if key in file] if isinstance(file, dict) else [file]
    if isinstance(file, dict) and (not names or not file.keys() <= {"Type", "F", "UF", "Desc"}):
        return False
    return all(isinstance(name, bytes) and bool(_BESIDE.fullmatch(name)) for name in names)


def _only_goes(opening: Any) -> bool:
    """Return whether an open action only shows a page."""
    if isinstance(opening, list):
        return all(isinstance(item, int | float | Name | Reference | None) for item in opening)
    return isinstance(opening, dict) and opening.get("S") == "GoTo" and "Next" not in opening


def _stream(tally: Tally, item: Indirect, limits: Limits) -> bool:
    """Look into a stream; return whether its filters are known and its data is sound."""
    if item.stream is None:
        return True
    if "F" in item.value:
        tally.note("pdf-external-stream", Severity.HIGH, "A stream names another file as its data.", item.at)
    filters = item.value.get("Filter", [])
    names = filters if isinstance(filters, list) else [filters]
    if unknown := [name for name in names if name not in _FILTERS]:
        tally.unfinished("pdf-filter", f"A stream uses the filter {unknown[0]}, which is not known.", item.at)
        return False
    _measured(tally, item, names)
    content = bytes(item.stream) if not names else b""
    packed = item.stream
    for name in names:
        if name not in {"FlateDecode", "Fl"}:
            break
        content = inflate(packed, limits)
        packed = memoryview(content)
    if item.value.get("Type") == "ObjStm":
        if len(names) > 1 or (names and not content) or "DecodeParms" in item.value:
            tally.unfinished("pdf-object-stream", "Objects are packed in a way that is not read.", item.at)
            return False
        _packed(tally, content, item, limits)
    return True


def _measured(tally: Tally, item: Indirect, names: list[Any]) -> None:
    """Note a picture that claims more points than any page has: readers ask for memory by what it says."""
    value = item.value
    sides = [value.get("Width"), value.get("Height")] if value.get("Subtype") == "Image" else []
    claimed = [(sides[0], sides[1])] if [type(side) for side in sides] == [int, int] else []
    if names == ["JBIG2Decode"] and item.stream is not None:
        claimed += jbig2.sizes(bytes(item.stream))
    for width, height in claimed:
        if width * height > _POINTS or max(width, height) > _SIDE:
            why = f"A picture claims {width} by {height} points."
            tally.note("pdf-picture-size", Severity.MEDIUM, why, item.at)
            return


def _packed(tally: Tally, content: bytes, item: Indirect, limits: Limits) -> None:
    first, count = item.value.get("First"), item.value.get("N")
    if type(first) is not int or type(count) is not int or not 0 <= first <= len(content):
        what = "A stream of objects has no proper index."
        raise BrokenContentError(what, at=item.at)
    parser = Parser(memoryview(content), limits)
    parser.at = first
    for _ in range(demand(count, limits.objects, "objects")):
        _look(tally, parser.value(), item.at)
    parser.skip()
    if parser.at < len(content):
        what = "A stream of objects holds more than its index says."
        raise BrokenContentError(what, at=item.at)


def _opens(tally: Tally, data: memoryview, limits: Limits, *, package: bool) -> bool:
    import pypdfium2  # noqa: PLC0415  # only PDF files pay for it

    try:
        document = pypdfium2.PdfDocument(bytes(data))
        pages, characters = compare(tally, document, limits, package=package)
        document.close()
    except pypdfium2.PdfiumError as error:
        tally.unfinished("pdf-render", f"PDFium cannot open it: {error}.")
        return False
    tally.note("pdf-pages", Severity.INFO, f"{pages} pages, {characters} characters.")
    return True
