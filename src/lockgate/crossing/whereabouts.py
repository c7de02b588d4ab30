"""Where in the files of a crate lies what an error speaks of: a field of crate.json, a part of the payload.

The payload runs through the records of all volumes. GCM keeps the length of what it encrypts, so that each
of its bytes has one place in a volume, and a part of it one range in the first volume that it touches and one
in the last. Both follow from the sizes in crate.json, and nothing has to be read for them.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, NamedTuple

from lockgate.core.errors import HostError, LockgateError
from lockgate.core.wire import span_of
from lockgate.crossing.format import CRATE_FILE, RECORD_SIZE, TAG_SIZE, VolumeEntry
from lockgate.trust.dsse import open_envelope, payload_span

Facts = dict[str, Any]

ENVELOPED = ".dsse.json"
"""How files of a payload are named that are envelopes."""


@contextmanager
def within_manifest(envelope: bytes) -> Iterator[None]:
    """Let errors about crate.json name the range of the field that is wrong, or of all of it.

    The range is that of the characters in which the envelope carries the field.

    Args:
        envelope: The bytes of crate.json, whose form was checked.

    """
    try:
        yield
    except LockgateError as error:
        where = error.where
        named = where.get("file")
        if (named is None or (named == CRATE_FILE and "offset" not in where)) and not isinstance(
            error, HostError
        ):
            where |= _in_manifest(envelope, where.get("field"), where.get("offset"))
        raise


def _in_manifest(envelope: bytes, field: object, offset: object) -> Facts:
    start, size = 0, len(envelope)
    if isinstance(offset, int):
        start, size = payload_span(envelope, offset, 1)
    elif isinstance(field, str):
        start, size = payload_span(envelope, *span_of(open_envelope(envelope).payload, field))
    return {"file": CRATE_FILE, "offset": start, "length": size}


class Span(NamedTuple):
    """A range of bytes of a payload or of a file: its first byte and its length."""

    start: int
    length: int


def _within(document: bytes | None, path: str, where: Mapping[str, Any]) -> Span | None:
    """Return which bytes of a document an error speaks of; None where it is about all of it.

    What an error says of the payload of an envelope is told by the characters that carry it there.
    """
    byte, field = where.get("byte"), where.get("field")
    if document is None or (byte is None and field is None):
        return None
    enveloped = path.endswith(ENVELOPED) and where.get("document") != "envelope"
    text = open_envelope(document).payload if enveloped else document
    last = max(0, len(text) - 1)
    start, length = (min(int(byte), last), 1) if byte is not None else span_of(text, str(field))
    return Span(*payload_span(document, start, length)) if enveloped else Span(start, length)


class PayloadPlaces:
    """Where the bytes of a payload lie in the volumes of its crate."""

    def __init__(self, volumes: Sequence[VolumeEntry]) -> None:
        """Begin with what crate.json says of the volumes, in order; without any, no place is known."""
        self._volumes = volumes
        self._index = b""
        self._start = 0
        self._spans: dict[str, Span] = {}
        self._documents: dict[str, bytes] = {}

    def index(self, text: bytes, start: int) -> None:
        """Learn the index, and the byte of the payload that it begins at."""
        self._index, self._start = text, start

    def parts(self, parts: Sequence[tuple[str, int]]) -> None:
        """Learn path and length in bytes of each file that follows the index, in order."""
        starts = accumulate((length for _, length in parts), initial=self._start + len(self._index))
        self.spans({name: Span(at, length) for (name, length), at in zip(parts, starts, strict=False)})

    def spans(self, spans: Mapping[str, Span]) -> None:
        """Learn where in the payload files lie, by path, in their order."""
        self._spans = dict(spans)

    def start(self, path: str) -> int:
        """Return the byte of the payload that a file begins at."""
        return self._spans[path].start

    def document(self, path: str, data: bytes) -> None:
        """Learn the bytes of a document, so that an error about a part of it names the bytes of that part."""
        self._documents[path] = data

    @contextmanager
    def judging(self, path: str = "") -> Iterator[None]:
        """Let every error of the sealer's making name the bytes of the crate that are wrong.

        What the host is to blame for stays as it is: nothing in the crate is wrong then.

        Args:
            path: The file of the payload that is judged where an error names none; one that ends in a slash
                is the folder of the update metadata, of which an error names the `role`.

        """
        try:
            yield
        except LockgateError as error:
            where = error.where
            if "file" not in where and not isinstance(error, HostError):
                if "offset" in where:  # counted in a document of the payload, not in a file of the crate
                    where["byte"] = where.pop("offset")
                where |= self._of_file(path, where)
            raise

    def _of_file(self, path: str, where: Mapping[str, Any]) -> Facts:
        """Return where a file lies; for one that is not there, the index, which should name it."""
        if path.endswith("/"):
            role = f"{path}{where.get('role', '')}.json"
            wanted = role if role in self._spans else path
        else:
            wanted = where.get("path", path)
        folder = wanted.endswith("/")
        found = [
            s for name, s in self._spans.items() if name == wanted or (folder and name.startswith(wanted))
        ]
        if length := sum(span.length for span in found):
            part = _within(self._documents.get(wanted), wanted, where) or Span(0, length)
            return self.of(found[0].start + part.start, part.length)
        if not self._index:  # what was received before, of which the index is not kept
            return {}
        entry = f"$.entries[{list(self._spans).index(wanted)}]" if wanted in self._spans else None
        return self.in_index({"field": entry} if entry else {})

    def in_index(self, where: Mapping[str, Any]) -> Facts:
        """Return where in the index the field or byte lies that an error speaks of, or else all of it."""
        field, offset = str(where.get("field", "$")), where.get("offset")
        start, length = (offset, 1) if isinstance(offset, int) else span_of(self._index, field)
        return self.of(self._start + start, length) | ({"field": field} if "field" in where else {})

    def of(self, start: int, length: int) -> Facts:
        """Return where a part of the payload lies, as facts for an error's `where`.

        Args:
            start: Its first byte, counted from the start of the payload.
            length: Its length in bytes.

        Returns:
            `file`, `offset` and `length` of the range in the first volume; where the part goes on, also
            `last_file` and `last_length`: it fills the volumes between, and ends that many bytes into the
            last one. What lies behind the payload's end is cut off. Nothing for a payload without bytes.

        """
        ends = list(accumulate(volume.plaintext_size for volume in self._volumes))
        if not ends or not ends[-1]:
            return {}
        start = min(start, ends[-1] - 1)
        stop = max(start, min(start + length, ends[-1]) - 1)
        first, offset = self._place(ends, start)
        last, end = self._place(ends, stop)
        if first is last:
            return {"file": first.name, "offset": offset, "length": end + 1 - offset if length else 0}
        rest = {"last_file": last.name, "last_length": end + 1}
        return {"file": first.name, "offset": offset, "length": first.size - offset, **rest}

    def _place(self, ends: Sequence[int], byte: int) -> tuple[VolumeEntry, int]:
        """Return the volume in which a byte of the payload lies, and where in its file."""
        number = bisect_right(ends, byte)
        volume = self._volumes[number]
        at = byte - ends[number] + volume.plaintext_size
        header = volume.size - volume.plaintext_size - volume.records * TAG_SIZE
        return volume, header + at + at // RECORD_SIZE * TAG_SIZE
