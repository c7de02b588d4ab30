"""What a large snapshot has of some kinds, without decoding all the rest.

Its parts are hashed and taken apart into pieces of JSON; those are decoded in which the kind, or the folder
of pages, stands. So one Debian package among a million other artifacts is found as fast as bytes are read.
"""

from collections.abc import Collection, Iterator

import msgspec

from lockgate.core.artifact import Kind
from lockgate.core.part_keys import is_of_projects, key_of, key_of_page
from lockgate.core.parts import Others, PartName, Parts, SnapshotPartError, path_of, place_of
from lockgate.core.snapshot import Admitted, Generated
from lockgate.core.wire import encode


class _Laid(msgspec.Struct, frozen=True, gc=False):
    """A part, as far as its pieces."""

    admitted: tuple[msgspec.Raw, ...]
    generated: tuple[msgspec.Raw, ...]


_laid = msgspec.json.Decoder(_Laid)
_admitted = msgspec.json.Decoder(Admitted)
_generated = msgspec.json.Decoder(Generated)


def pick(parts: Parts, kinds: Collection[Kind], folder: str) -> Others:
    """Return what is no Python project of some kinds, and the pages below a folder; no part is kept.

    Args:
        parts: A snapshot's, which enough approvers signed: what is not picked is hashed and not judged.
        kinds: The kinds.
        folder: What the paths of the pages begin with.

    Raises:
        SnapshotPartError: What was picked is not what belongs there.
        LockgateError: A part cannot be read, or is another one.

    """
    marks = [b'"kind":' + encode(kind) for kind in kinds]
    start = b'"path":' + encode(folder).removesuffix(b'"')
    admitted: list[Admitted] = []
    generated: list[Generated] = []
    for named in parts.index.branches:
        if is_of_projects(named.key):
            continue
        data = parts.bytes_of(named)
        if start not in data and not any(mark in data for mark in marks):
            continue
        try:
            laid = _laid.decode(data)
            admitted += (each for each in _artifacts(laid, marks, named) if each.artifact.kind in kinds)
            generated += (page for page in _pages(laid, start, named) if page.path.startswith(folder))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise SnapshotPartError(_wrong(named)) from error
    return Others(tuple(sorted(admitted, key=place_of)), tuple(sorted(generated, key=path_of)))


def _artifacts(laid: _Laid, marks: Collection[bytes], named: PartName) -> Iterator[Admitted]:
    """Yield those artifacts in whose description one of the kinds stands."""
    for piece in laid.admitted:
        text = bytes(piece)
        if any(mark in text for mark in marks):
            each = _admitted.decode(text)
            if key_of(each.artifact) != named.key:
                raise SnapshotPartError(_wrong(named))
            yield each


def _pages(laid: _Laid, start: bytes, named: PartName) -> Iterator[Generated]:
    """Yield those pages in whose description the folder stands."""
    for piece in laid.generated:
        text = bytes(piece)
        if start in text:
            page = _generated.decode(text)
            if key_of_page(page.path) != named.key:
                raise SnapshotPartError(_wrong(named))
            yield page


def _wrong(named: PartName) -> str:
    return f"The part {named.key} of a snapshot is not what its snapshot says."
