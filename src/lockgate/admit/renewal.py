"""A few new artifacts in a large snapshot: the parts that they and their pages are in, made anew.

Artifacts of one name are in one part, and a page is in the part that its path says. So where pages follow
from artifacts of the same name, and perhaps from pages before, nothing else is read. Where a page lists
everything of its kind all parts are read, and still those alone are made anew that change. Where an artifact
is known by its path all parts are gone through as bytes.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from lockgate.admit.ports import Change, Every, Held, Page, Renewal
from lockgate.core.artifact import Kind
from lockgate.core.part_keys import is_of_projects, key_of, key_of_kind, key_of_page
from lockgate.core.part_scan import pick
from lockgate.core.parts import Parts, SnapshotPart
from lockgate.core.snapshot import Admitted, Generated
from lockgate.core.wire import encode

PARTS_KEPT = 64
"""Parts that are kept decoded while one change is made."""

FEW = 50
"""Names that are always looked up one by one; a snapshot is gone through where there are many more."""

SHARE = 200
"""One name in so many artifacts is looked up as well: it takes as long as so many take to be gone through."""

Slot = Callable[[Admitted], tuple[str, ...]]
"""Returns what an artifact takes the place of: what has the same."""


class Coming:
    """Artifacts that come into a snapshot of version 3, each part of which is believed.

    Args:
        parts: The snapshot's.
        fresh: What comes; no Python project.
        slot: Tells what replaces what.

    """

    def __init__(self, parts: Parts, fresh: Sequence[Admitted], slot: Slot) -> None:
        """Look at nothing yet."""
        self._parts = parts
        self._slot = slot
        self._fresh = {slot(each): each for each in fresh}
        self._part: Callable[[str], SnapshotPart] = lru_cache(PARTS_KEPT)(parts.part)
        self._places: dict[str, list[Admitted]] = {}
        self._by_name: dict[tuple[Kind, str], list[Admitted]] = {}
        for each in self._fresh.values():
            self._places.setdefault(key_of(each.artifact), []).append(each)
            self._by_name.setdefault((each.artifact.kind, each.artifact.name), []).append(each)

    @property
    def few(self) -> bool:
        """Tell whether it is quicker to look names up than to go through everything."""
        total = sum(part.admitted for part in self._parts.index.branches)
        return len(self._by_name) <= max(FEW, total // SHARE)

    def change(self, read: Callable[[str], bytes]) -> Change:
        """Return what changes; `read` reads the bytes of a page by its digest."""

        def page(path: str) -> bytes | None:
            listed = self._part(key_of_page(path)).generated
            return next((read(each.sha256) for each in listed if each.path == path), None)

        names = frozenset(self._by_name)
        return Change(names, self._before, self._after, page, self._holding, self._every)

    def _before(self, kind: Kind, name: str) -> Sequence[Admitted]:
        there = self._part(key_of_kind(kind, name)).admitted
        return tuple(each for each in there if (each.artifact.kind, each.artifact.name) == (kind, name))

    def _after(self, kind: Kind, name: str) -> Sequence[Admitted]:
        return self._merged(self._before(kind, name), self._by_name.get((kind, name), ()))

    def _holding(self, texts: Collection[str]) -> Held:
        """Return what has one of some package URLs or paths, and note in which parts something is replaced.

        All parts are hashed; only those are decoded in which one of the texts stands.
        """
        wanted, written = frozenset(texts), [encode(text) for text in texts]
        found = list[Admitted]()
        for named in self._parts.index.branches:
            if is_of_projects(named.key):
                continue
            data = self._parts.bytes_of(named)
            if not any(text in data for text in written):
                continue
            for each in self._part(named.key).admitted:
                if _has(each, wanted):
                    found.append(each)
                    self._note(each)
        come = (each for each in self._fresh.values() if _has(each, wanted))
        return Held(tuple(found), self._merged(found, come))

    def _note(self, there: Admitted) -> None:
        """Note in which part something is that is replaced."""
        fresh = self._fresh.get(self._slot(there))
        if fresh is not None:
            self._places.setdefault(key_of(there.artifact), []).append(fresh)

    def _every(self, kinds: Collection[Kind], folder: str) -> Every:
        """Return everything of some kinds, and note in which parts something is that is replaced."""
        picked = pick(self._parts, kinds, folder)
        for each in picked.admitted:
            self._note(each)
        come = (each for each in self._fresh.values() if each.artifact.kind in kinds)
        pages = {page.path: page.sha256 for page in picked.generated}
        return Every(picked.admitted, self._merged(picked.admitted, come), pages)

    def _merged(self, there: Iterable[Admitted], come: Iterable[Admitted]) -> tuple[Admitted, ...]:
        kept = {self._slot(each): each for each in there}
        kept.update({self._slot(each): each for each in come})
        return tuple(kept.values())

    def parts(
        self, renewal: Renewal, entry: Callable[[Page], Generated]
    ) -> Iterator[tuple[str, Sequence[Admitted], Sequence[Generated]]]:
        """Yield each part that changes, by its key: its artifacts and its pages.

        Args:
            renewal: What becomes of the pages.
            entry: Returns how a page stands in a part.

        """
        made: Mapping[str, list[Generated]] = _grouped(map(entry, renewal.pages))
        for key in sorted({*self._places, *made, *map(key_of_page, renewal.gone)}):
            part = self._part(key)
            merged = self._merged(part.admitted, self._places.get(key, ()))
            stays = [page for page in part.generated if page.path not in renewal.gone]
            yield key, [e for e in merged if key_of(e.artifact) == key], [*stays, *made.get(key, ())]


def _has(admitted: Admitted, texts: Collection[str]) -> bool:
    """Tell whether one of some texts is an artifact's package URL or the path of a file of it."""
    artifact = admitted.artifact
    return artifact.purl in texts or any(file.path in texts for file in artifact.files)


def _grouped(pages: Iterable[Generated]) -> dict[str, list[Generated]]:
    """Return pages by the key of their part."""
    groups: dict[str, list[Generated]] = {}
    for page in pages:
        groups.setdefault(key_of_page(page.path), []).append(page)
    return groups
