"""What a snapshot has beside an earlier one, read from the parts that the two do not share."""

from collections.abc import Iterable, Iterator

from lockgate.core.parts import SnapshotPart, named_by, parts_of, place_of
from lockgate.core.snapshot import Admitted, Snapshot


def admitted_beside(after: Snapshot, before: Snapshot | None) -> Iterable[Admitted]:
    """Return what is admitted in a snapshot and not, as it stands there, in an earlier one.

    Without an earlier one, or where one of them is a single document, everything is.
    """
    if before is None or parts_of(after) is None or parts_of(before) is None:
        return after.admitted
    return (each for part, earlier in _changed(after, before) for each in _new(part, earlier))


def named_beside(after: Snapshot, before: Snapshot | None) -> set[str]:
    """Return the digests of all bytes that a snapshot needs and an earlier one does not need as well.

    Some that both need may be among them. Without an earlier one, or where one of them is a single document,
    these are all that it needs.
    """
    if before is None or parts_of(after) is None or parts_of(before) is None:
        return named_by(after)
    wanted: set[str] = set()
    for part, earlier in _changed(after, before):
        for entry in _new(part, earlier):
            wanted.update(file.sha256 for file in entry.artifact.files)
            wanted.add(entry.verdicts_sha256)
        had = set(earlier.generated)
        wanted.update(page.sha256 for page in part.generated if page not in had)
    return wanted | _digests(after).keys() - _digests(before).keys()


def _digests(snapshot: Snapshot) -> dict[str, str]:
    """Return the digest of each part with its key."""
    parts = parts_of(snapshot)
    return {part.sha256: part.key for part in parts.index.branches} if parts else {}


def _changed(after: Snapshot, before: Snapshot) -> Iterator[tuple[SnapshotPart, SnapshotPart]]:
    """Yield each part that the earlier snapshot has not, with the earlier part of its key."""
    new, old = parts_of(after), parts_of(before)
    if new is None or old is None:
        return
    shared = _digests(before)
    for named in new.index.branches:
        if named.sha256 not in shared:
            yield new.read(named), old.part(named.key)


def _new(part: SnapshotPart, earlier: SnapshotPart) -> Iterator[Admitted]:
    known = {place_of(each): each for each in earlier.admitted}
    return (each for each in part.admitted if known.get(place_of(each)) != each)
