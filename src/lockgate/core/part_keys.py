"""Which part of a large snapshot something is in: it follows from what it is and from the format.

Python projects are spread over 4096 parts by a digest of their name. Everything else is one part in
version 2, and spread over 4096 more in version 3: artifacts by kind and name, pages by path
(docs/formats/snapshot-v2.md).
"""

import re

from lockgate.core.artifact import Artifact, Kind
from lockgate.core.digests import sha256

REST = "rest"
"""The last part: of everything that is no Python project (version 2), or of the list of all projects (3)."""

MORE = "more-"
"""How the keys of the other parts begin that hold no Python project (version 3)."""

KEY_PATTERN = rf"^((?:{MORE})?[0-9a-f]{{3}}|{REST})\Z"

_LIKE = "simple/"
_SEPARATORS = re.compile(r"[-_.]+")


def project_of(name: str) -> str:
    """Return a Python project's normalised name (PEP 503)."""
    return _SEPARATORS.sub("-", name).lower()


def key_of_project(project: str) -> str:
    """Return the part that a project is in, by its normalised name."""
    return sha256(project.encode())[:3]


def key_of(artifact: Artifact, *, spread: bool = True) -> str:
    """Return the part that an artifact is in.

    Args:
        artifact: The artifact.
        spread: Whether what is no Python project has more than one part (version 3).

    """
    if artifact.kind is Kind.PYTHON:
        return key_of_project(project_of(artifact.name))
    return key_of_kind(artifact.kind, artifact.name) if spread else REST


def key_of_kind(kind: Kind, name: str) -> str:
    """Return the part that everything of one name is in that is no Python project (version 3)."""
    return _more(f"{kind} {name}")


def key_of_page(path: str, *, spread: bool = True) -> str:
    """Return the part that a page is in: ``simple/NAME/…`` that of its project; `spread` as in `key_of`."""
    if not path.startswith(_LIKE):
        return _more(path) if spread else REST
    return key_of_project(path.split("/", 2)[1]) if path.count("/") > 1 else REST


def is_of_projects(key: str) -> bool:
    """Tell whether a part has Python projects."""
    return key != REST and not key.startswith(MORE)


def _more(text: str) -> str:
    return MORE + sha256(text.encode())[:3]
