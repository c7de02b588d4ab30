"""From a document's bytes to its canonical extraction; pure, and made to run in a sandbox."""

from enum import StrEnum
from importlib import import_module
from pathlib import PurePosixPath

from lockgate.core.digests import sha256
from lockgate.core.wire import Document, decode, encode
from lockgate.knowledge.errors import DocumentTooLargeError, UnreadableDocumentError
from lockgate.knowledge.extraction import Builder, Extraction

ENTRY = "lockgate.knowledge.extract:extract_job"
"""The function that a sandbox calls, as ``module:function``."""
DOCUMENT_BYTES = 64 * 1024 * 1024
"""Largest document, in bytes."""
_VERSION = 1


class MediaType(StrEnum):
    """The kinds of documents that can be read."""

    MARKDOWN = "text/markdown"
    HTML = "text/html"
    PDF = "application/pdf"


_SUFFIXES = {
    ".md": MediaType.MARKDOWN,
    ".markdown": MediaType.MARKDOWN,
    ".html": MediaType.HTML,
    ".htm": MediaType.HTML,
    ".pdf": MediaType.PDF,
}
_PARSERS = {
    MediaType.MARKDOWN: ("extract_markdown", "markdown-it-py"),
    MediaType.HTML: ("extract_html", "selectolax"),
    MediaType.PDF: ("extract_pdf", "pypdfium2"),
}


class ExtractArgs(Document, frozen=True):
    """What travels to the sandbox beside the document."""

    media_type: MediaType
    title: str


def media_type_of(path: str) -> MediaType | None:
    """Return the media type that a path's suffix names, or None."""
    return _SUFFIXES.get(PurePosixPath(path).suffix.lower())


def extractor_of(media_type: MediaType) -> str:
    """Return the name and version of the extractor for a media type.

    It names our own version and the library's, since either may change the text.
    """
    from importlib.metadata import version  # noqa: PLC0415 - slow, and not needed by every reader

    library = _PARSERS[media_type][1]
    return f"lockgate-{media_type.name.lower()}/{_VERSION} ({library} {version(library)})"


def extract(data: bytes, media_type: MediaType, title: str) -> Extraction:
    """Return the canonical extraction of a document.

    Args:
        data: The document.
        media_type: How to read it.
        title: Its title, for documents that say none.

    Raises:
        DocumentTooLargeError: Over a bound.
        UnreadableDocumentError: Not of this type.

    """
    if len(data) > DOCUMENT_BYTES:
        what = f"The document has {len(data)} bytes; at most {DOCUMENT_BYTES} are read."
        raise DocumentTooLargeError(what, limit="document_bytes")
    builder = Builder()
    module = import_module(f"lockgate.knowledge.{_PARSERS[media_type][0]}")
    module.parse(data, builder)
    return builder.build(sha256(data), extractor_of(media_type), title)


def extract_job(data: memoryview, args: bytes) -> bytes:
    """Do the work of `extract` in a sandbox: bytes in, canonical bytes out."""
    wanted = decode(ExtractArgs, args, limit=4096)
    return encode(extract(bytes(data), wanted.media_type, wanted.title))


def utf8(data: bytes) -> str:
    """Return text that must be UTF-8.

    Raises:
        UnreadableDocumentError: It is not.

    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableDocumentError("The document is not UTF-8 text.", offset=error.start) from error
