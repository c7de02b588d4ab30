"""Reading a form with a file in it as it comes (RFC 7578, RFC 2046): short fields in memory, the file on.

Strict where the format leaves room: parts have a name, one of them is the file, and every bound is named.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from lockgate.mirror.errors import BadUploadError, PushLimitError

FIELD_LIMIT = 1 << 20
"""Longest field that is no file, in bytes: a package's description is one."""
FIELDS_LIMIT = 200
FIELDS_BYTES = 4 << 20
"""Most bytes of all fields together."""
HEAD_LIMIT = 8 << 10
"""Longest head of a part, in bytes."""

_BOUNDARY = re.compile(r'boundary="?([0-9A-Za-z\'()+_,./:=? -]{1,70})"?\s*(?:;|$)')
_NAME = re.compile(r'[;\s]name="([^"\r\n]{1,100})"')
_FILENAME = re.compile(r'[;\s]filename="([^"\r\n]{1,255})"')

Sink = Callable[[bytes], Awaitable[None]]
"""Takes the file's bytes, piece by piece."""


@dataclass(slots=True)
class Form:
    """What a form said beside its file: fields by name, the first of each, and the file's own name."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str = ""


def boundary_of(content_type: str) -> bytes:
    """Return what stands between the parts of a form.

    Raises:
        BadUploadError: It is no such form.

    """
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/form-data") or found is None:
        raise BadUploadError("An upload is a form (multipart/form-data) with a boundary.")
    return b"--" + found[1].encode()


class FormReader:
    """Reads one form from a body.

    Args:
        body: The body's pieces.
        boundary: See `boundary_of`.

    """

    def __init__(self, body: AsyncIterator[bytes], boundary: bytes) -> None:
        """Read nothing yet."""
        self._body = body
        self._mark = b"\r\n" + boundary
        self._held = bytearray(b"\r\n")  # so that the first boundary is like all others
        self._ended = False

    async def read(self, file_field: str, sink: Sink) -> Form:
        """Read the form to its end; the file of one field goes to a sink.

        Raises:
            BadUploadError: It is malformed, or has no such file, or two.
            PushLimitError: A field, or all together, are over a bound.

        """
        form, total = Form(), 0
        await self._skip_to_mark()
        for _ in range(FIELDS_LIMIT):
            end = await self._exactly(2)
            if end == b"--":
                if not form.filename:
                    raise BadUploadError("The form has no file.")
                return form
            if end != b"\r\n":
                raise BadUploadError("A part of the form does not begin as it should.")
            head = (await self._until(b"\r\n\r\n", HEAD_LIMIT)).decode("utf-8", "replace")
            name, filename = _NAME.search(head), _FILENAME.search(head)
            if name is None:
                raise BadUploadError("A part of the form has no name.")
            if filename is not None and name[1] == file_field:
                if form.filename:
                    raise BadUploadError("The form has two files.")
                form.filename = filename[1]
                await self._stream(sink)
                continue
            value = bytearray()
            await self._stream(_bounded(value))
            total += len(value)
            if total > FIELDS_BYTES:
                what = f"The fields of the form have more than {FIELDS_BYTES} bytes."
                raise PushLimitError(what, limit="FIELDS_BYTES")
            form.fields.setdefault(name[1], value.decode("utf-8", "replace"))
        what = f"The form has more than {FIELDS_LIMIT} parts."
        raise PushLimitError(what, limit="FIELDS_LIMIT")

    async def _more(self) -> None:
        piece = await anext(self._body, b"") if not self._ended else b""
        while not piece and not self._ended:
            try:
                piece = await anext(self._body)
            except StopAsyncIteration:
                self._ended = True
        if self._ended:
            raise BadUploadError("The form ends in the middle.")
        self._held += piece

    async def _exactly(self, count: int) -> bytes:
        while len(self._held) < count:
            await self._more()
        data = bytes(self._held[:count])
        del self._held[:count]
        return data

    async def _until(self, end: bytes, limit: int) -> bytes:
        while (at := self._held.find(end)) < 0:
            if len(self._held) > limit:
                what = f"The head of a part has more than {limit} bytes."
                raise PushLimitError(what, limit="HEAD_LIMIT")
            await self._more()
        data = bytes(self._held[:at])
        del self._held[: at + len(end)]
        return data

    async def _skip_to_mark(self) -> None:
        await self._until(self._mark, HEAD_LIMIT)

    async def _stream(self, sink: Sink) -> None:
        """Give away a part's content up to the next mark, keeping back what might begin one."""
        keep = len(self._mark) - 1
        while (at := self._held.find(self._mark)) < 0:
            if len(self._held) > keep:
                count = len(self._held) - keep
                await sink(bytes(self._held[:count]))
                del self._held[:count]
            await self._more()
        if at:
            await sink(bytes(self._held[:at]))
        del self._held[: at + len(self._mark)]


def _bounded(value: bytearray) -> Sink:
    async def take(piece: bytes) -> None:
        value.extend(piece)
        if len(value) > FIELD_LIMIT:
            what = f"A field of the form has more than {FIELD_LIMIT} bytes."
            raise PushLimitError(what, limit="FIELD_LIMIT")

    return take
