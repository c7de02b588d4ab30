"""Building the snapshot that a publication would make, with every page that serves it."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain

from lockgate.admit.errors import SnapshotDerivationError
from lockgate.admit.ports import Page, PageMaker
from lockgate.admit.renewal import Coming
from lockgate.core.artifact import Kind
from lockgate.core.digests import sha256
from lockgate.core.part_keys import REST, is_of_projects, key_of, key_of_page
from lockgate.core.parts import (
    PARTED_FROM,
    Others,
    PartedSnapshot,
    PartName,
    Parts,
    made_part,
    of_parts,
    parts_of,
    path_of,
    place_of,
)
from lockgate.core.snapshot import (
    PARTED_FORMAT,
    SNAPSHOT_FORMAT,
    SPREAD_FORMAT,
    Admitted,
    Generated,
    Snapshot,
)
from lockgate.core.wire import encode, whole_second
from lockgate.store.either import Either
from lockgate.store.ports import BlobStore

PAGE_SOURCE_LIMIT = 1 << 30
"""Longest file that a page may be computed from, in bytes."""


def slot_of(admitted: Admitted) -> tuple[str, ...]:
    """Return what a new artifact replaces: a document or repository its older self, others the same purl."""
    artifact = admitted.artifact
    if artifact.kind in {Kind.DOCUMENT, Kind.GIT}:
        return artifact.kind, artifact.name
    return artifact.kind, artifact.purl


def merged(*snapshots: Snapshot | None) -> tuple[Admitted, ...]:
    """Return what several snapshots hold; of what replaces one another, that of the newest crossing."""
    every = [a for snapshot in snapshots if snapshot is not None for a in snapshot.admitted]
    return tuple({slot_of(a): a for a in sorted(every, key=lambda a: a.crossing)}.values())


class SnapshotMaker:
    """Makes snapshots; pages and the snapshot itself are written to quarantine until approved."""

    def __init__(
        self, quarantine: BlobStore, blobs: BlobStore, pages: PageMaker, *, parted_from: int = PARTED_FROM
    ) -> None:
        """Read new artifacts from quarantine and known ones from the store.

        Args:
            quarantine: Where what is made is written.
            blobs: What was admitted before.
            pages: Makes the pages.
            parted_from: How many artifacts a snapshot has, at least, that is written in parts.

        """
        self._quarantine = quarantine
        self._held = Either(quarantine, blobs)
        self._pages = pages
        self._parted_from = parted_from

    def _read(self, digest: str) -> bytes:
        return self._held.read(digest, limit=PAGE_SOURCE_LIMIT)

    def make(
        self,
        lane: str,
        served: Iterable[Admitted],
        fresh: Sequence[Admitted],
        now: datetime,
        believed: Collection[str] = (),
    ) -> Snapshot:
        """Return the snapshot of what is served and what is new, and keep its bytes in quarantine.

        A snapshot in parts stays in parts. Its pages are made anew, but those of parts that are believed.
        One of version 2 is made anew as one of version 3.

        Args:
            lane: The lane's name.
            served: What is served.
            fresh: What is new.
            now: When it is made.
            believed: Digests of parts whose pages are known to follow from their artifacts: those that
                enough approvers signed. A row or an operator alone may have put others there.

        Raises:
            SnapshotDerivationError: A part that stays is not in the store.
            LockgateError: A file of a page, or a part, cannot be read, or the disk refuses.

        """
        parts = parts_of(served)
        if parts is not None and parts.index.spread:
            return self._changed(parts, lane, fresh, now, believed)
        entries = _newest(served, fresh)
        if parts is not None or len(entries) >= self._parted_from:
            projects, others = _by_project(entries)
            return self._parted(lane, sorted(projects.items()), others, now)
        return self._flat(lane, entries, now)

    def subset(self, served: Snapshot, keeps: Callable[[Admitted], bool]) -> Snapshot:
        """Return what is left of a snapshot, dated and written like it, and keep its bytes in quarantine.

        All pages are made anew: of all that is kept, the same snapshot comes only where each page follows.
        """
        parts = parts_of(served.admitted)
        if parts is None:
            return self._flat(served.lane, filter(keeps, served.admitted), served.created)
        keys = [part.key for part in parts.index.branches if is_of_projects(part.key)]
        projects = ((key, filter(keeps, parts.part(key).admitted)) for key in keys)
        others = filter(keeps, parts.others().admitted)
        return self._parted(served.lane, projects, others, served.created, spread=parts.index.spread)

    def _flat(self, lane: str, entries: Iterable[Admitted], now: datetime) -> Snapshot:
        admitted = tuple(sorted(entries, key=lambda a: a.artifact.purl))
        snapshot = Snapshot(
            format=SNAPSHOT_FORMAT,
            lane=lane,
            created=whole_second(now),
            admitted=admitted,
            generated=tuple(sorted(self._kept(self._pages.pages(admitted, self._read)), key=path_of)),
        )
        self._quarantine.put_bytes(encode(snapshot))
        return snapshot

    def _kept(self, pages: Iterable[Page]) -> list[Generated]:
        """Keep pages in quarantine, and return how they stand in a snapshot."""
        made: list[Generated] = []

        def contents() -> Iterator[tuple[str, bytes]]:
            for page in pages:
                made.append(_generated(page))
                yield made[-1].sha256, page.body

        self._quarantine.put_all(contents())
        return made

    def _parted(
        self,
        lane: str,
        projects: Iterable[tuple[str, Iterable[Admitted]]],
        others: Iterable[Admitted],
        now: datetime,
        *,
        spread: bool = True,
    ) -> Snapshot:
        """Return a snapshot in parts; each of projects is made by itself, so that memory holds one's pages.

        Args:
            lane: The lane's name.
            projects: Python artifacts by the key of their part, in the order of the keys.
            others: All other artifacts.
            now: When it is made.
            spread: Whether the others have more than one part (version 3).

        """
        names: list[PartName] = []

        def contents() -> Iterator[tuple[str, bytes]]:
            for key, group in projects:
                if entries := list(group):
                    yield from self._part(key, entries, names)
            yield from self._others(others, names, spread=spread)

        self._quarantine.put_all(contents())
        return self._signed(lane, names, now, spread=spread)

    def _changed(
        self,
        parts: Parts,
        lane: str,
        fresh: Sequence[Admitted],
        now: datetime,
        believed: Collection[str],
    ) -> Snapshot:
        """Return a snapshot that takes over the parts that are believed and that nothing comes into.

        Where more than Python projects come, pages that these do not concern stay, if all parts of such pages
        are believed, few names come and the pages' maker can tell; else all of these are made anew.
        """
        doubted = {part.key for part in parts.index.branches if part.sha256 not in believed}
        projects, others = _by_project(fresh)
        groups = {key: list[Admitted]() for key in doubted if is_of_projects(key)} | projects
        sure = all(map(is_of_projects, doubted))
        coming = Coming(parts, others, slot_of)
        told = bool(others) and sure and coming.few
        renewal = self._pages.renewal(coming.change(self._read), self._read) if told else None
        anew = not sure or bool(others and renewal is None)
        edited = list(coming.parts(renewal, _generated)) if renewal else []
        made = {*groups, *(key for key, *_ in edited), REST}
        names = [
            part
            for part in parts.index.branches
            if part.key not in made and (is_of_projects(part.key) or not anew)
        ]

        def contents() -> Iterator[tuple[str, bytes]]:
            for key, entries in sorted(groups.items()):
                yield from self._part(key, _newest(parts.part(key).admitted, entries), names)
            if anew:
                yield from self._others(_newest(parts.others().admitted, others), names, before=parts)
            else:
                for page in renewal.pages if renewal else ():
                    yield _generated(page).sha256, page.body
                for key, admitted, generated in edited:
                    if admitted or generated:
                        yield _named(names, *made_part(key, admitted, generated))
                yield from self._listing(names)

        self._quarantine.put_all(contents())
        self._carried(parts, names)
        return self._signed(lane, names, now)

    def _carried(self, parts: Parts, names: Iterable[PartName]) -> None:
        """Demand that the parts that stay are held, where whoever reads the new snapshot looks for them."""
        for part in names:
            if not self._held.holds(part.sha256):
                what = f"The part {part.key} of the snapshot {parts.digest[:12]} is not in the store."
                raise SnapshotDerivationError(what)

    def _part(
        self, key: str, admitted: Iterable[Admitted], names: list[PartName]
    ) -> Iterator[tuple[str, bytes]]:
        """Yield the pages of a part of Python projects and the part itself; name it."""
        entries, made = sorted(admitted, key=place_of), []
        for page in self._pages.pages(entries, self._read):
            if key_of_page(page.path) == key:  # the list of all projects is made once
                made.append(_generated(page))
                yield made[-1].sha256, page.body
        yield _named(names, *made_part(key, entries, made))

    def _listing(self, names: list[PartName]) -> Iterator[tuple[str, bytes]]:
        """Yield the lists of all projects and the part that they alone are in; name it."""
        listed = list(self._pages.index(_projects(names)))
        for page in listed:
            yield _generated(page).sha256, page.body
        yield _named(names, *made_part(REST, (), map(_generated, listed)))

    def _others(
        self,
        admitted: Iterable[Admitted],
        names: list[PartName],
        *,
        spread: bool = True,
        before: Parts | None = None,
    ) -> Iterator[tuple[str, bytes]]:
        """Yield the pages of everything but projects, the lists of all projects, and their parts; name them.

        Of parts that `before` has as they are now nothing is yielded.
        """
        entries = sorted(admitted, key=place_of)
        listed = {page.path: page for page in self._pages.index(_projects(names))}
        own = self._pages.pages(entries, self._read)
        generated = []
        for page in chain(listed.values(), (page for page in own if page.path not in listed)):
            generated.append(_generated(page))
            yield generated[-1].sha256, page.body
        had = _grouped(before.others(), spread=spread) if before else {}
        groups = _grouped(Others(tuple(entries), tuple(sorted(generated, key=path_of))), spread=spread)
        for key, group in sorted(groups.items()):
            same = before.name(key) if before and had.get(key) == group else None
            if same is not None:
                names.append(same)
            else:
                yield _named(names, *made_part(key, *group))

    def _signed(self, lane: str, names: list[PartName], now: datetime, *, spread: bool = True) -> Snapshot:
        index = PartedSnapshot(
            branches=tuple(sorted(names, key=lambda part: part.key)),
            created=whole_second(now),
            format=SPREAD_FORMAT if spread else PARTED_FORMAT,
            lane=lane,
        )
        digest = self._quarantine.put_bytes(encode(index))
        return of_parts(Parts(index, digest, self._held))


def _by_project(entries: Iterable[Admitted]) -> tuple[dict[str, list[Admitted]], list[Admitted]]:
    """Return Python artifacts by the key of their part, and all others."""
    projects: dict[str, list[Admitted]] = {}
    others: list[Admitted] = []
    for entry in entries:
        if entry.artifact.kind is Kind.PYTHON:
            projects.setdefault(key_of(entry.artifact), []).append(entry)
        else:
            others.append(entry)
    return projects, others


def _grouped(others: Others, *, spread: bool) -> dict[str, tuple[list[Admitted], list[Generated]]]:
    """Return artifacts and pages by the key of their part, in their order; `REST` is always there."""
    groups: dict[str, tuple[list[Admitted], list[Generated]]] = {REST: ([], [])}
    for entry in others.admitted:
        groups.setdefault(key_of(entry.artifact, spread=spread), ([], []))[0].append(entry)
    for page in others.generated:
        groups.setdefault(key_of_page(page.path, spread=spread), ([], []))[1].append(page)
    return groups


def _newest(served: Iterable[Admitted], fresh: Iterable[Admitted]) -> tuple[Admitted, ...]:
    """Return what is served and what is new, without what that replaces."""
    kept = {slot_of(a): a for a in served}
    kept.update({slot_of(a): a for a in fresh})
    return tuple(kept.values())


def _projects(names: Iterable[PartName]) -> list[str]:
    """Return all Python projects in their order."""
    return sorted(project for part in names for project in part.projects)


def _named(names: list[PartName], named: PartName, data: bytes) -> tuple[str, bytes]:
    names.append(named)
    return named.sha256, data


def _generated(page: Page) -> Generated:
    """Return how a page stands in a snapshot."""
    return Generated(
        path=page.path, media_type=page.media_type, size=len(page.body), sha256=sha256(page.body)
    )
