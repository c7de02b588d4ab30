"""Networks of OpenVINO across their two files: what the description takes from the weights lies in them.

Format: OpenVINO, "Operation Sets and IR": a layer of constants says in ``<data offset="…" size="…">`` which
bytes it is in the file of the same name that ends with ``.bin``. Readers that do not compare with the length
of that file read what lies behind it in memory.
"""

import re
from pathlib import PurePosixPath

import msgspec

from lockgate.core.artifact import Kind
from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.limits import Limits
from lockgate.inspect.ports import Sandbox, Whole
from lockgate.inspect.service import NO_ANSWER, run_in_sandbox
from lockgate.inspect.wholes import Extras, notes_of

NAME = "openvino/1"
REACH = "lockgate.inspect.openvino:reach"
MOST_BYTES = 64 << 20
"""Longest description that is read, in bytes."""

_NETWORK = re.compile(rb"<net\b[^<>]*+>\s*+<(?:layers|meta_data|pre-process)\b")
_BEGINNING = 1 << 16
_OPENS = re.compile(rb"<(?:data|weights|biases|custom)\b(?!-)")
"""Elements that take bytes of the weights; the last three until version 7 of the format."""
_ELEMENT = re.compile(_OPENS.pattern + rb"((?:[^<>\"']++|\"[^\"<]{0,4096}+\"|'[^'<]{0,4096}+')*+)>")
_PLACE = re.compile(rb"\s(offset|size)\s*+=\s*+[\"']([^\"']{0,40})[\"']")
_PLAIN = re.compile(rb"\d{1,19}")


class Reach(msgspec.Struct, frozen=True):
    """Whether it describes a network, and how far its constants reach into the weights, in bytes."""

    network: bool
    stop: int = 0


def reach(data: memoryview, args: bytes) -> bytes:
    """Read a description: an entry that the sandbox runs.

    Raises:
        BrokenContentError: The place of a constant is no pair of plain numbers.

    """
    del args
    raw = bytes(data)
    if 0 in raw[:4]:
        what = "A description in another encoding than UTF-8 is not read."
        raise BrokenContentError(what, at=0)
    if not _NETWORK.search(raw[:_BEGINNING]):
        return msgspec.json.encode(Reach(network=False))
    stop = read = 0
    for element in _ELEMENT.finditer(raw):
        read += 1
        stop = max(stop, _end(element))
    if read != len(_OPENS.findall(raw)):
        what = "An element that may take bytes of the weights has no end."
        raise BrokenContentError(what, at=0)
    return msgspec.json.encode(Reach(network=True, stop=stop))


def _end(element: re.Match[bytes]) -> int:
    """Return where the bytes end that an element takes of the weights; 0 where it takes none."""
    said = _PLACE.findall(element[1])
    place = dict(said)
    if b"offset" not in place:
        return 0  # what a layer of another kind is told
    if len(place) != len(said) or not all(map(_PLAIN.fullmatch, (place[b"offset"], place.get(b"size", b"")))):
        what = "The place of a constant in the weights is no pair of plain numbers."
        raise BrokenContentError(what, at=element.start())
    return int(place[b"offset"]) + int(place[b"size"])


class Networks:
    """Holds how far descriptions of networks reach against the weights beside them."""

    def __init__(self, sandbox: Sandbox, limits: Limits) -> None:
        """Read with a sandbox, within limits."""
        self._sandbox = sandbox
        self._limits = limits

    def look(self, whole: Whole) -> Extras:
        """Return what descriptions and weights show together; nothing for artifacts that are no models.

        Raises:
            SandboxUnavailableError: Nothing can be parsed safely here.

        """
        extras: Extras = {}
        if whole.artifact.kind not in {Kind.MODEL, Kind.SPACE}:
            return extras
        sizes = {file.path: file.size for file in whole.artifact.files}
        for path in sorted(path for path in sizes if path.lower().endswith(".xml")):
            weights = str(PurePosixPath(path).with_suffix(".bin"))
            notes = notes_of(extras, path)
            notes.inspectors.add(NAME)
            if sizes[path] > MOST_BYTES:
                notes.unfinished("openvino-unread", path, "The description is longer than is read.")
                continue
            try:
                answer = run_in_sandbox(self._sandbox, REACH, whole.places[path], b"", limits=self._limits)
                found = msgspec.json.decode(answer, type=Reach)
            except NO_ANSWER as error:
                why = f"The description could not be read: {getattr(error, 'what', 'no answer')}"
                notes.unfinished("openvino-unread", path, why)
                continue
            if found.stop and weights not in sizes:
                why = "Its constants lie in a file of the same name, which is not there."
                notes.note("openvino-weights-missing", Severity.MEDIUM, path, why)
            elif found.stop > sizes.get(weights, 0):
                why = f"Its constants reach to byte {found.stop}; the weights end at {sizes[weights]}."
                notes.note("openvino-offset", Severity.HIGH, path, why)
        return extras
