"""What nobody can look up by a name in a large snapshot: gathered once from all parts, and small.

These are names of repositories of images (clients may leave out the host), files whose paths do not say
their artifact's name, undated indexes, how many npm packages there are, which files are long, and hashes of
all names, so that no part is read for one that is not there. Each part is hashed when it is read for this,
and what it has is kept by its digest: a switch reads what is new.
"""

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock

import msgspec

from lockgate.core.artifact import Kind
from lockgate.core.errors import MalformedDocumentError
from lockgate.core.part_keys import is_of_projects
from lockgate.core.parts import PartName, Parts
from lockgate.core.repository import is_release
from lockgate.core.submission import is_submission
from lockgate.mirror.blobs import LARGE
from lockgate.mirror.pages.oci import FOLDERS, aliases
from lockgate.mirror.spread.addresses import BY_KIND, CONDAS, DEBS, RPMS, Name, is_stray, last_of


class _File(msgspec.Struct, gc=False):
    path: str
    role: str
    sha256: str
    size: int


class _Artifact(msgspec.Struct, gc=False):
    files: list[_File]
    kind: str
    name: str


class _Entry(msgspec.Struct, gc=False):
    artifact: _Artifact
    crossing: int


class _Page(msgspec.Struct, gc=False):
    path: str


class _Part(msgspec.Struct, gc=False):
    admitted: list[_Entry]
    generated: list[_Page]


_BY_PATH = ("files/", *(paths.folder for paths in (DEBS, RPMS, CONDAS)))
_REFERRERS = "/_referrers/"


def is_tried(path: str) -> bool:
    """Tell whether a page of this path is looked for whether or not it is there."""
    return path.startswith(_BY_PATH) or _REFERRERS in path


def name_of(kind: str, name: str) -> str:
    """Return the text that stands for a kind and a name; no page has such a path."""
    return f"{kind} {name}"


_decoder = msgspec.json.Decoder(_Part)

Stray = tuple[str, Name]
"""The last part of a file's path, and whose it is."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one part has, or all of them together.

    Attributes:
        npm: How many npm packages there are.
        images: Names of repositories of images.
        crossed: Names of models that crossed, in lower case.
        strays: Files whose paths do not lead to their names.
        releases: Paths of undated indexes.
        large: Digests and lengths of long files.
        names: Hashes of kinds and names, and of paths of pages that clients ask for by their path, ascending.

    """

    npm: int = 0
    images: tuple[str, ...] = ()
    crossed: tuple[str, ...] = ()
    strays: tuple[Stray, ...] = ()
    releases: tuple[str, ...] = ()
    large: tuple[tuple[str, int], ...] = ()
    names: "array[int]" = field(default_factory=lambda: array("q"))


_NOTHING = Found()


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What all parts together have, ready to be asked.

    Attributes:
        npm: How many npm packages there are.
        images: Names of repositories of images.
        aliases: What their names without a host stand for.
        crossed: Names of models that crossed, in lower case.
        strays: Kinds and names by the last part of a file's path.
        releases: Paths of undated indexes.
        large: Digests and lengths of long files, each once.

    """

    npm: int
    images: frozenset[str]
    aliases: Mapping[str, str]
    crossed: frozenset[str]
    strays: Mapping[str, Collection[Name]]
    releases: frozenset[str]
    large: Mapping[str, int]


class Survey:
    """Goes through all parts that hold no Python projects, once, when somebody first needs it.

    Args:
        parts: The snapshot's.
        before: The survey of another snapshot; parts that it has seen are not read again.

    """

    def __init__(self, parts: Parts, before: "Survey | None" = None) -> None:
        """Read nothing yet."""
        self._parts = parts
        self._lock = Lock()
        # Not the survey itself: it would keep the one before it, and so on, where nobody asks for long.
        self._by_part: Mapping[str, Found] = before.by_part if before else {}
        self._result: Surveyed | None = None

    @property
    def done(self) -> bool:
        """Tell whether asking takes no time."""
        return self._result is not None

    @property
    def unseen(self) -> int:
        """Return how many parts no survey has seen yet."""
        return sum(
            named.sha256 not in self._by_part
            for named in self._parts.index.branches
            if not is_of_projects(named.key)
        )

    @property
    def by_part(self) -> Mapping[str, Found]:
        """Return what each part has, by digest, as far as it is known; earlier parts may be there too."""
        return self._by_part

    @property
    def result(self) -> Surveyed:
        """Return what there is. Whoever asks first waits until all parts are read.

        Raises:
            LockgateError: A part cannot be read, or is another one.

        """
        with self._lock:
            if self._result is None:
                known = self._by_part
                self._by_part = {
                    named.sha256: known.get(named.sha256) or self._read(named)
                    for named in self._parts.index.branches
                    if not is_of_projects(named.key)
                }
                self._result = _together(self._by_part.values())
            return self._result

    def absent(self, part: str, name: str) -> bool:
        """Tell that a part has nothing of a name (`name_of`) or path, as far as that is known."""
        found = self._by_part.get(part)
        if found is None:
            return False
        number = hash(name)
        at = bisect_left(found.names, number)
        return at == len(found.names) or found.names[at] != number

    def _read(self, named: PartName) -> Found:
        try:
            part = _decoder.decode(self._parts.bytes_of(named))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            what = f"The part {named.key} of a snapshot cannot be read."
            raise MalformedDocumentError(what, digest=named.sha256) from error
        found = _found(part)
        return _NOTHING if found == _NOTHING else found


def _found(part: _Part) -> Found:
    artifacts = [entry.artifact for entry in part.admitted]
    return Found(
        npm=len({each.name for each in artifacts if each.kind == Kind.NPM}),
        images=tuple(sorted({each.name for each in artifacts if each.kind in FOLDERS})),
        crossed=tuple(
            sorted(
                {
                    entry.artifact.name.casefold()
                    for entry in part.admitted
                    if entry.artifact.kind == Kind.MODEL and not is_submission(entry.crossing)
                }
            )
        ),
        strays=tuple(
            (last_of(file.path), (Kind(each.kind), each.name))
            for each in artifacts
            if each.kind in BY_KIND
            for file in each.files
            if is_stray(each.kind, each.name, file.role, file.path)
        ),
        releases=tuple(page.path for page in part.generated if is_release(page.path)),
        large=tuple(
            (file.sha256, file.size) for each in artifacts for file in each.files if file.size > LARGE
        ),
        names=array("q", sorted(_hashes(part))),
    )


def _hashes(part: _Part) -> set[int]:
    """Return hashes of this process alone: nobody outside can find two names that have the same."""
    found = {hash(name_of(entry.artifact.kind, entry.artifact.name)) for entry in part.admitted}
    return found.union(hash(page.path) for page in part.generated if is_tried(page.path))


def _together(parts: Iterable[Found]) -> Surveyed:
    every = list(parts)
    strays: dict[str, set[Name]] = {}
    for found in every:
        for last, name in found.strays:
            strays.setdefault(last, set()).add(name)
    images = frozenset(name for found in every for name in found.images)
    return Surveyed(
        npm=sum(found.npm for found in every),
        images=images,
        aliases=aliases(images),
        crossed=frozenset(name for found in every for name in found.crossed),
        strays=strays,
        releases=frozenset(path for found in every for path in found.releases),
        large={digest: size for found in every for digest, size in found.large},
    )
