"""The table of a snapshot in parts: mappings that look up what they are asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from lockgate.core.artifact import Kind
from lockgate.core.repository import RELEASE, REPOMD
from lockgate.core.snapshot import Admitted, Snapshot
from lockgate.core.statement import Statement
from lockgate.mirror import serving
from lockgate.mirror.entries import Entry, Images, SignedEntries, Table
from lockgate.mirror.pages import apt, conda, rpm
from lockgate.mirror.pages.files import SUMS
from lockgate.mirror.pages.huggingface import FOLDERS as HUB
from lockgate.mirror.pages.npmlists import SEARCH
from lockgate.mirror.pages.oci import FOLDERS as REGISTRY
from lockgate.mirror.serving import WholePages
from lockgate.mirror.signed import SignedRepository
from lockgate.mirror.spread.addresses import CONDAS, DEBS, FILES, RPMS, Paths, last_of
from lockgate.mirror.spread.lookups import Lookups, PartedPages

T = TypeVar("T")

_HUB = {kind: "" if kind is Kind.MODEL else f"{folder}/" for kind, folder in HUB.items()}
_LISTING = "index.html"
_BY_HASH = f"/{apt.BY_HASH}/"
_APT_INDEXES = tuple(f"{name}{ending}" for name in ("Packages", "Sources") for ending in ("", ".gz", ".xz"))


def spread_table(
    statement: Statement, snapshot: Snapshot, repository: SignedRepository | None, lookups: Lookups
) -> Table:
    """Return the table of a snapshot of version 3, but for its Python projects."""
    pages = PartedPages(lookups)
    images = Named(lookups, dict.fromkeys(REGISTRY, ""), lambda found: serving.images(found, pages))
    return Table(
        statement=statement,
        created=snapshot.created,
        index=pages.simple("simple"),
        projects={},
        packages={},
        models=Named(lookups, _HUB, lambda found: serving.models(found, pages)),
        images=Images(images, _Aliases(lookups)),
        files=Addressed(lookups, FILES, _file_pages, serving.files),
        npm=_Packages(lookups, {Kind.NPM: ""}, lambda found: serving.npm_packages(found, pages)),
        npm_search=pages.find(SEARCH),
        apt=SignedEntries(
            Addressed(lookups, DEBS, _deb_pages, lambda found, near: serving.debs(found, near).files),
            _Releases(lookups, apt.FOLDER, RELEASE),
        ),
        rpm=SignedEntries(
            Addressed(lookups, RPMS, _rpm_pages, lambda found, near: serving.rpms(found, near).files),
            _Releases(lookups, rpm.FOLDER, REPOMD),
        ),
        conda=Addressed(lookups, CONDAS, _conda_pages, serving.condas),
        git=Named(lookups, {Kind.GIT: ""}, serving.gits),
        snapshot=snapshot,
        repository=repository,
        lookups=lookups,
    )


class Named(Mapping[str, T]):
    """What is looked up by the name that its artifacts have.

    Args:
        lookups: Where artifacts are found.
        kinds: What is looked up, and what stands before the names of each kind.
        make: Makes entries by key of some artifacts.

    """

    def __init__(
        self,
        lookups: Lookups,
        kinds: Mapping[Kind, str],
        make: Callable[[Sequence[Admitted]], Mapping[str, T]],
    ) -> None:
        """Look nothing up yet."""
        self._lookups = lookups
        self._kinds = kinds
        self._make = make

    def __getitem__(self, key: str) -> T:
        """Return what stands under a key; a part that is not there, or is another one, is no `KeyError`."""
        found: T = self._lookups.kept((*self._kinds, key), lambda: self._made(key))
        return found

    def _made(self, key: str) -> tuple[int, T]:
        names = [
            (kind, key.removeprefix(before)) for kind, before in self._kinds.items() if key.startswith(before)
        ]
        found = self._lookups.named(names)
        return 1 + sum(len(each.artifact.files) for each in found), self._make(found)[key]

    def __iter__(self) -> Iterator[str]:
        """Go through all keys, one part after another; none of them is kept."""
        seen: set[str] = set()
        for part in self._lookups.every():
            for artifact in (each.artifact for each in part.admitted):
                before = self._kinds.get(artifact.kind)
                if before is not None and before + artifact.name not in seen:
                    seen.add(before + artifact.name)
                    yield before + artifact.name

    def __len__(self) -> int:
        """Count all keys."""
        return sum(1 for _ in self)


class _Packages(Named[T]):
    """Packages of npm, which a registry counts."""

    def __len__(self) -> int:
        return self._lookups.survey.result.npm


class Addressed(Mapping[str, Entry]):
    """What is looked up by the address of a file or of a page.

    Args:
        lookups: Where artifacts and pages are found.
        paths: Tells which names an address leads to.
        pages: Returns the paths of pages that an address may stand for.
        make: Makes entries by address of some artifacts and pages.

    """

    def __init__(
        self,
        lookups: Lookups,
        paths: Paths,
        pages: Callable[[str], tuple[str, ...]],
        make: Callable[[Sequence[Admitted], WholePages], Mapping[str, Entry]],
    ) -> None:
        """Look nothing up yet."""
        self._lookups = lookups
        self._paths = paths
        self._pages = pages
        self._make = make

    def __getitem__(self, address: str) -> Entry:
        """Return what stands at an address; a part that is not there, or is another one, is no `KeyError`."""
        found: Entry = self._lookups.kept((self._paths.folder, address), lambda: (1, self._found(address)))
        return found

    def _found(self, address: str) -> Entry:
        strays = self._lookups.survey.result.strays.get(last_of(address), ())
        names = {*self._paths.names(address), *(each for each in strays if each[0] in self._paths.kinds)}
        pages = (page for path in self._pages(address) if (page := self._lookups.page(path)))
        return self._make(self._lookups.named(names), WholePages(pages))[address]

    def __iter__(self) -> Iterator[str]:
        """Go through all addresses, one part after another."""
        seen: set[str] = set()
        for part in self._lookups.every():
            made = self._make(part.admitted, WholePages(part.generated))
            yield from (address for address in made if address not in seen)
            seen.update(made)

    def __len__(self) -> int:
        """Count all addresses."""
        return sum(1 for _ in self)


def _file_pages(address: str) -> tuple[str, ...]:
    """Return the page of a folder's listing, or of its checksums."""
    if address.endswith(SUMS):
        return (f"files/{address}",)
    return (f"files/{address}{_LISTING}",) if not address or address.endswith("/") else ()


def _deb_pages(address: str) -> tuple[str, ...]:
    """Return the index of this name; by a digest, those of the folder, one of which may have it."""
    folder, by_hash, _ = address.partition(_BY_HASH)
    near = (f"{apt.FOLDER}{folder}/{name}" for name in _APT_INDEXES) if by_hash else ()
    return (f"{apt.FOLDER}{address}", *near)


def _rpm_pages(address: str) -> tuple[str, ...]:
    return (f"{rpm.FOLDER}{address}",)


def _conda_pages(address: str) -> tuple[str, ...]:
    return (f"{conda.FOLDER}{address}",)


class _Releases(Mapping[str, Entry]):
    """Undated indexes by the folder that they lie in."""

    def __init__(self, lookups: Lookups, folder: str, name: str) -> None:
        self._lookups = lookups
        self._folder = folder
        self._name = name

    def __getitem__(self, folder: str) -> Entry:
        found = PartedPages(self._lookups).find(f"{self._folder}{folder}/{self._name}")
        if found is None:
            raise KeyError(folder)
        return found

    def __iter__(self) -> Iterator[str]:
        for path in sorted(self._lookups.survey.result.releases):
            if path.startswith(self._folder):
                yield path.removeprefix(self._folder).rpartition("/")[0]

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Aliases(Mapping[str, str]):
    """What names of images without their host stand for."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups

    def __getitem__(self, name: str) -> str:
        return self._lookups.survey.result.aliases[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lookups.survey.result.aliases)

    def __len__(self) -> int:
        return len(self._lookups.survey.result.aliases)
