"""The texts of a wheel's metadata: its header fields, and its entry points.

Formats: core metadata (email headers, RFC 822 as `email` reads them) and entry points (INI as `configparser`
reads it, with names that keep their case). Nearly all of them are of one plain form, which is read here by
one look; whatever is not is left to the library, whose reading both are held to.
"""

import configparser
import re
from email.parser import HeaderParser

_HEADERS = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*:[^\r\n]*\n)++(?:\n|\Z)")
_HEADER = re.compile(r"([^:\n]+):[ \t]*([^\n]*)\n")
_SECTION = re.compile(r"\[([A-Za-z0-9_.-]+)\]")
_POINT = re.compile(r"([A-Za-z0-9_.-]+) *=[ -~]*")


def headers(text: str) -> dict[str, list[str]]:
    """Return the values of each header field, in order, by its name in lower case."""
    plain = _HEADERS.match(text)
    pairs = _HEADER.findall(text, 0, plain.end()) if plain else _read_headers(text)
    out: dict[str, list[str]] = {}
    for name, value in pairs:
        out.setdefault(name.lower(), []).append(value)
    return out


def entry_points(text: str) -> list[tuple[str, str]]:
    """Return each entry point as its group and its name, in order.

    Raises:
        configparser.Error: The text is none that can be read.

    """
    plain = _plain_points(text)
    return _read_points(text) if plain is None else plain


def _read_headers(text: str) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in HeaderParser().parsestr(text, headersonly=True).items()]


def _read_points(text: str) -> list[tuple[str, str]]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    parser.read_string(text)
    return [(section, name) for section in parser.sections() for name in parser[section]]


def _plain_points(text: str) -> list[tuple[str, str]] | None:
    """Return the entry points of a text of sections and names on lines of their own, none of them twice."""
    points: dict[tuple[str, str], None] = {}
    sections = {configparser.DEFAULTSECT}
    section = ""
    for line in text.split("\n"):
        if not line:
            continue
        if found := _SECTION.fullmatch(line):
            section = found[1]
            if section in sections:
                return None
            sections.add(section)
            continue
        point = _POINT.fullmatch(line)
        if not (section and point) or (section, point[1]) in points:
            return None
        points[section, point[1]] = None
    return list(points)
