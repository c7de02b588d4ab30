"""A few new artifacts in a large snapshot: the parts that they and their pages are in, made anew.

Artifacts of one name are in one part, and a page is in the part that its path says. So where pages follow
from artifacts of the same name, and perhaps from pages before, nothing else is read.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from lockgate.admit.ports import Change, Page, Renewal
from lockgate.core.artifact import Kind
from lockgate.core.part_keys import key_of, key_of_kind, key_of_page
from lockgate.core.parts import Parts
from lockgate.core.snapshot import Admitted, Generated

PARTS_KEPT = 64
"""Parts that are kept decoded while one change is made."""

Merge = Callable[[Sequence[Admitted], Sequence[Admitted]], Sequence[Admitted]]
"""Returns what there was and what is new, without what that replaces."""


def change_of(parts: Parts, fresh: Sequence[Admitted], merge: Merge, read: Callable[[str], bytes]) -> Change:
    """Return what changes where artifacts come into a snapshot.

    Args:
        parts: The snapshot's, of version 3, each believed.
        fresh: What comes; no Python project.
        merge: Puts what comes to what there was of its name.
        read: Reads the bytes of a page by its digest.

    """
    part = lru_cache(PARTS_KEPT)(parts.part)

    def before(kind: Kind, name: str) -> Sequence[Admitted]:
        there = part(key_of_kind(kind, name)).admitted
        return tuple(each for each in there if (each.artifact.kind, each.artifact.name) == (kind, name))

    def after(kind: Kind, name: str) -> Sequence[Admitted]:
        come = [each for each in fresh if (each.artifact.kind, each.artifact.name) == (kind, name)]
        return merge(before(kind, name), come)

    def page(path: str) -> bytes | None:
        listed = part(key_of_page(path)).generated
        return next((read(each.sha256) for each in listed if each.path == path), None)

    names = frozenset((each.artifact.kind, each.artifact.name) for each in fresh)
    return Change(names, before, after, page)


def changed_parts(
    parts: Parts,
    fresh: Sequence[Admitted],
    merge: Merge,
    renewal: Renewal,
    entry: Callable[[Page], Generated],
) -> Iterator[tuple[str, Sequence[Admitted], Sequence[Generated]]]:
    """Yield each part that changes, by its key: its artifacts and its pages.

    Args:
        parts: As for `change_of`, and so are `fresh` and `merge`.
        fresh: What comes.
        merge: Puts it to what there was.
        renewal: What becomes of the pages.
        entry: Returns how a page stands in a part.

    """
    come: dict[str, list[Admitted]] = {}
    for each in fresh:
        come.setdefault(key_of(each.artifact), []).append(each)
    made: dict[str, list[Generated]] = {}
    for page in renewal.pages:
        made.setdefault(key_of_page(page.path), []).append(entry(page))
    for key in sorted({*come, *made, *map(key_of_page, renewal.gone)}):
        part = parts.part(key)
        stays = [page for page in part.generated if page.path not in renewal.gone]
        yield key, merge(part.admitted, come.get(key, ())), [*stays, *made.get(key, ())]
