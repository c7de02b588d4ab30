"""What a file is made of: compressed members and what lies around them. Planning only (low side).

A file whose structure is not plainly what its format says has no layout; it is then patched as plain bytes.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from lockgate.crossing.delta import layout_streams as streams
from lockgate.crossing.delta.bounds import Readable
from lockgate.crossing.delta.layout_tensors import gguf, safetensors
from lockgate.crossing.delta.layout_zip import zipped
from lockgate.crossing.delta.spans import MEMBERS_LIMIT, NoLayoutError, Span, around

Parser = Callable[[Readable, int, int, str], list[Span]]


def layout(file: Readable, name: str) -> tuple[str, list[Span]]:
    """Return a file's kind and its spans, which cover it without a gap.

    A file of no known kind is one member of plain bytes, with the kind ``plain``.
    """
    kind, parser = _parser(file, 0)
    if parser is not None:
        try:
            spans = parser(file, 0, file.size, PurePosixPath(name).name)
            _demand_cover(spans, file.size)
        except NoLayoutError:
            pass
        else:
            return kind, spans
    return "plain", [Span(0, file.size, size=file.size, name=name or "file")]


def _demand_cover(spans: list[Span], size: int) -> None:
    at = 0
    for span in spans:
        if span.offset != at or span.length < 0:
            raise NoLayoutError
        at = span.end
    if at != size or len(spans) > 2 * MEMBERS_LIMIT:
        raise NoLayoutError


def _parser(file: Readable, offset: int) -> tuple[str, Parser | None]:
    head = file.at(offset, 16)
    known: tuple[tuple[bytes, str, Parser], ...] = (
        (b"PK\x03\x04", "zip", zipped),
        (b"\x1f\x8b\x08", "gzip", streams.gzipped),
        (b"\xfd7zXZ\x00", "xz", streams.xz),
        (b"\x28\xb5\x2f\xfd", "zstd", streams.zstd),
        (b"!<arch>\n", "ar", archive),
        (b"GGUF", "gguf", gguf),
    )
    for magic, kind, parser in known:
        if head.startswith(magic):
            return kind, parser
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < file.size:
        return "safetensors", safetensors
    return "plain", None


_AR_HEAD: Final = 60


def archive(file: Readable, offset: int, length: int, _name: str) -> list[Span]:
    """Return the spans of a Debian package (ar(5)), its compressed members taken apart too."""
    at, end = offset + 8, offset + length
    spans: list[Span] = around(offset, at)
    while at < end:
        head = file.at(at, _AR_HEAD)
        if len(head) < _AR_HEAD or head[58:] != b"`\n" or not head[48:58].strip().isdigit():
            raise NoLayoutError
        size, name = int(head[48:58]), head[:16].decode("latin-1").strip().rstrip("/")
        spans += around(at, at + _AR_HEAD)
        at += _AR_HEAD
        if at + size > end:
            raise NoLayoutError
        spans += _member(file, at, size, name)
        spans += around(at + size, at + size + size % 2)
        at += size + size % 2
    return list(_joined(spans))


def _member(file: Readable, offset: int, size: int, name: str) -> list[Span]:
    _, parser = _parser(file, offset)
    if parser is not None and size:
        try:
            return parser(file, offset, size, name)
        except NoLayoutError:
            pass
    return [Span(offset, size, size=size, name=name)] if size else []


def _joined(spans: list[Span]) -> Iterator[Span]:
    """Yield the spans with neighbouring nameless ones made one."""
    last: Span | None = None
    for span in spans:
        if last is not None and not (last.name or span.name or last.directory or span.directory):
            last = replace(last, length=last.length + span.length, size=last.size + span.size)
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last
