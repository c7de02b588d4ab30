"""What some Debian packages change in the indexes of their suites, without a look at all other packages.

An index has the lines of its packages in their order. So it is read as it was, lines are put in or taken
out, and the Release file gets the new digests.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lockgate.core.artifact import Kind
from lockgate.core.deb import AptSuite
from lockgate.core.places import places_of
from lockgate.core.repository import RELEASE
from lockgate.core.snapshot import Admitted
from lockgate.mirror.pages.apt import (
    SUMS,
    Key,
    declared,
    folder_of,
    index_pages,
    is_package,
    key_of,
    paragraphs,
    release_page,
    suite_name,
    suites_of,
)
from lockgate.mirror.pages.base import Page, ReadBlob, of_kind

_END = b"\n\n"
"""Ends the lines of a package."""

_NONE: Counter[bytes] = Counter()

Named = Callable[[Kind, str], Sequence[Admitted]]
"""Looks artifacts up by kind and name."""

Lines = dict[tuple[Key, str], Counter[bytes]]
"""Lines of packages, by suite and index; how often each."""


@dataclass(frozen=True, slots=True)
class State:
    """A snapshot, as far as it is known: all that has a path of what changes, and what can be looked up."""

    held: Sequence[Admitted]
    named: Named

    def suites(self, keys: Iterable[Key], read: ReadBlob) -> dict[Key, AptSuite]:
        """Return those suites that there are."""
        there = [each for key in keys for each in self.named(Kind.APT, suite_name(key))]
        return suites_of(there, read)

    def lines(self, suites: Mapping[Key, AptSuite], read: ReadBlob) -> Lines:
        """Return the lines of packages in the suites."""
        found: Lines = {}
        for key, path, text in paragraphs(self.held, suites, read):
            found.setdefault((key, path), Counter())[text.encode()] += 1
        return found


def edited(
    before: State, after: State, page: Callable[[str], bytes | None], read: ReadBlob
) -> tuple[set[str], list[Page]] | None:
    """Return paths of pages that go or become other ones, and the pages that come; None: look at everything.

    Args:
        before: What has one of the paths of files that come or go, as it was; others may be among it.
        after: The same, afterwards.
        page: Returns the bytes of a page as it was.
        read: Reads what is known of packages and suites.

    Raises:
        AmbiguousSnapshotError, LayoutError: As where all pages are made.

    """
    touched = _touched((*before.held, *after.held), read)
    old, new = before.suites(touched, read), after.suites(touched, read)
    if old.keys() != new.keys() or any(not _alike(old[key], new[key]) for key in old):
        return None
    was, now = before.lines(old, read), after.lines(new, read)
    gone, pages = set[str](), list[Page]()
    for key, about in sorted(new.items()):
        wanted = {
            path: (was.get((key, path), _NONE), now.get((key, path), _NONE))
            for path in sorted(path for of, path in was.keys() | now.keys() if of == key)
        }
        found = _suite(about, wanted, page)
        if found is None:
            return None
        gone.update(each.path for each in found)
        pages += found
    return gone, pages


def _touched(held: Iterable[Admitted], read: ReadBlob) -> set[Key]:
    """Return the suites of which something is there."""
    every = of_kind(held, Kind.APT)
    places = (each.artifact.attributes["places"] for each in every if is_package(each))
    return {key_of(place) for text in places for place in places_of(text)} | suites_of(every, read).keys()


def _alike(one: AptSuite, other: AptSuite) -> bool:
    """Tell whether two descriptions of a suite ask for the same indexes."""
    return (one.architectures, declared(one)) == (other.architectures, declared(other))


def _suite(
    about: AptSuite,
    changes: Mapping[str, tuple[Counter[bytes], Counter[bytes]]],
    page: Callable[[str], bytes | None],
) -> list[Page] | None:
    """Return a suite's pages that are other ones than before; None where its indexes do not show how."""
    folder = folder_of((about.repository, about.suite))
    release = page(f"{folder}/{RELEASE}")
    if release is None:
        return None
    listed, pages = _listed(release), list[Page]()
    for path, (was, now) in changes.items():
        if was == now:
            continue
        text = page(f"{folder}/{path}")
        body = None if text is None else _changed(text, was - now, now - was)
        if body is None or not (body or path in declared(about)):
            return None  # an index that comes, goes, or does not have what it should
        pages += index_pages(about, path, body, listed)
    made = release_page(about, listed)
    return pages if made.body == release else [*pages, made]


def _listed(release: bytes) -> dict[str, tuple[str, int]]:
    """Return what a Release file lists: digest and size, by path."""
    _, _, lines = release.decode().rpartition(f"\n{SUMS}\n")
    return {path: (digest, int(size)) for digest, size, path in (line.split() for line in lines.splitlines())}


def _changed(text: bytes, leave: Counter[bytes], come: Counter[bytes]) -> bytes | None:
    """Return an index without some packages and with others; None where one of the first is not in it."""
    pieces, at = list[bytes](), 0
    for lines in sorted(leave | come):
        block = lines + b"\n"
        begin = _place(text, lines, at)
        end = begin + leave[lines] * len(block)
        if text[begin:end] != block * leave[lines]:
            return None
        pieces += (text[at:begin], block * come[lines])
        at = end
    return b"".join((*pieces, text[at:]))


def _place(text: bytes, lines: bytes, low: int) -> int:
    """Return where the first package begins, from `low` on, whose lines are not less than some."""
    high = len(text)
    while low < high:
        middle = (low + high) // 2
        before = text.rfind(_END, low, middle)
        begin = low if before < 0 else before + len(_END)
        end = text.index(_END, begin) + len(_END)
        if text[begin : end - 1] < lines:
            low = end
        else:
            high = begin
    return low
