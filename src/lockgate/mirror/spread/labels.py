"""Which labels a large snapshot's artifacts have: told without decoding all that is known of them."""

import msgspec

from lockgate.core.errors import MalformedDocumentError
from lockgate.core.parts import PartName, Parts


class _Artifact(msgspec.Struct, gc=False):
    label: str


class _Entry(msgspec.Struct, gc=False):
    artifact: _Artifact


class _Part(msgspec.Struct, gc=False):
    admitted: list[_Entry]


_decoder = msgspec.json.Decoder(_Part)


class Labels:
    """Labels by part, those of Python projects too; a part that was seen before is not read again."""

    def __init__(self) -> None:
        """Know none yet."""
        self._by_part: dict[str, frozenset[str]] = {}

    def of(self, parts: Parts) -> frozenset[str]:
        """Return the labels of a snapshot; what other snapshots have alone is forgotten.

        Raises:
            LockgateError: A part cannot be read, or is another one.

        """
        known = self._by_part
        found = {
            named.sha256: known[named.sha256] if named.sha256 in known else _read(parts, named)
            for named in parts.index.branches
        }
        self._by_part = found
        return frozenset().union(*found.values())


def _read(parts: Parts, named: PartName) -> frozenset[str]:
    try:
        part = _decoder.decode(parts.bytes_of(named))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"The part {named.key} of a snapshot cannot be read."
        raise MalformedDocumentError(what, digest=named.sha256) from error
    return frozenset(entry.artifact.label for entry in part.admitted)
