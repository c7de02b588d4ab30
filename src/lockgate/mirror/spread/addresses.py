"""Where an address leads in a large snapshot: to kind and name of what is served there.

Artifacts are in the part that their kind and name say. Clients of apt, dnf, conda and of plain files name a
path instead, and collectors lay out paths so that they say the name. What lies elsewhere is a stray: it is
served all the same, and the survey of all parts knows it (`survey`).
"""

from collections.abc import Callable
from dataclasses import dataclass

from lockgate.core.artifact import Kind, Role

Name = tuple[Kind, str]
"""What artifacts are found by: their kind and name."""


@dataclass(frozen=True, slots=True)
class Paths:
    """How paths of one protocol lead to names.

    Attributes:
        folder: What the files' paths in a snapshot begin with.
        kinds: What is served.
        names: Returns what a path below the folder may be of.

    """

    folder: str
    kinds: frozenset[Kind]
    names: Callable[[str], tuple[Name, ...]]


_DOCUMENTS = "documents/"
_FILES = "files/"
_POOL = "/pool/"


def _file(path: str) -> tuple[Name, ...]:
    """``documents/NAME``, ``files/NAME/FILE``; any other path is a name itself."""
    if path.startswith(_DOCUMENTS):
        return ((Kind.DOCUMENT, path.removeprefix(_DOCUMENTS)),)
    if path.startswith(_FILES):
        name = path.removeprefix(_FILES).rpartition("/")[0]
        return ((Kind.FILE, name), (Kind.RULES, name))
    return ((Kind.DOCUMENT, path), (Kind.FILE, path), (Kind.RULES, path))


def _deb(path: str) -> tuple[Name, ...]:
    """``REPOSITORY/pool/COMPONENT/…/PACKAGE_VERSION…``, binary packages and sources."""
    repository, pool, rest = path.partition(_POOL)
    package = last_of(rest).partition("_")[0]
    return ((Kind.APT, f"{repository}/{package}"),) if pool else ()


def _rpm(path: str) -> tuple[Name, ...]:
    """``DISTRIBUTION/…/PACKAGE-VERSION-RELEASE.ARCHITECTURE.rpm``."""
    distribution, _, rest = path.partition("/")
    return ((Kind.RPM, f"{distribution}/{_before_version(rest)}"),)


def _conda(path: str) -> tuple[Name, ...]:
    """``CHANNEL/PLATFORM/PACKAGE-VERSION-BUILD.conda``."""
    channel = path.rpartition("/")[0].rpartition("/")[0]
    return ((Kind.CONDA, f"{channel}/{_before_version(path)}"),)


def last_of(path: str) -> str:
    """Return the last part of a path."""
    return path.rpartition("/")[2]


def _before_version(path: str) -> str:
    """Return what stands before the last two dashes of a file's name; empty: there are none."""
    return last_of(path).rpartition("-")[0].rpartition("-")[0]


FILES = Paths("", frozenset({Kind.DOCUMENT, Kind.FILE, Kind.RULES}), _file)
DEBS = Paths("apt/", frozenset({Kind.APT}), _deb)
RPMS = Paths("rpm/", frozenset({Kind.RPM}), _rpm)
CONDAS = Paths("conda/", frozenset({Kind.CONDA}), _conda)

BY_KIND = {str(kind): paths for paths in (FILES, DEBS, RPMS, CONDAS) for kind in paths.kinds}


def is_stray(kind: str, name: str, role: str, path: str) -> bool:
    """Tell whether a file may be served at an address that does not lead to its artifact's name."""
    paths = BY_KIND.get(kind)
    if paths is None or (role == Role.CORE_METADATA and paths is not FILES):
        return False
    return (kind, name) not in paths.names(path.removeprefix(paths.folder))
