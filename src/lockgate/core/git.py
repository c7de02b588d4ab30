"""Names, references and object ids of git repositories, as both sides of the gap read them. Pure.

Sources: git-check-ref-format(1), gitglossary(7).
"""

import re

from lockgate.core.artifact import UnsafePathError, safe_path
from lockgate.core.errors import MalformedDocumentError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,7}", re.ASCII)
_REF = re.compile(r"refs/(?:heads|tags|pins)/[A-Za-z0-9@_][A-Za-z0-9._+@/-]{0,199}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SUFFIX = ".git"


def is_repository_name(text: str) -> bool:
    """Tell whether a text can name a repository (``group/tool``); it does not end in ``.git``."""
    plain = _NAME.fullmatch(text) is not None and ".." not in text
    return plain and not any(part.lower().endswith((_SUFFIX, ".lock")) for part in text.split("/"))


def is_ref(text: str) -> bool:
    """Tell whether a text is a branch, a tag or a pin, without whatever git reads in another way."""
    bad = ".." in text or "//" in text or "@{" in text or text.endswith(("/", ".", ".lock"))
    return _REF.fullmatch(text) is not None and not bad and "/." not in text


def is_commit(text: str) -> bool:
    """Tell whether a text is an object id (SHA-1, in hexadecimal digits)."""
    return _COMMIT.fullmatch(text) is not None


def large_path(name: str, oid: str, named: str) -> str:
    """Return where a large file (Git LFS) of a repository stands in a lock.

    Its own last name goes along where it may, so that inspection learns what it is meant to be.
    """
    last = named.rpartition("/")[2]
    path = f"git/{name}/lfs/{oid}/{last}"
    try:
        return safe_path(path)
    except UnsafePathError:
        return f"git/{name}/lfs/{oid}/object"


def refs_text(refs: dict[str, str]) -> str:
    """Return references as an artifact's attribute ``refs`` names them; the first is the default."""
    return " ".join(f"{name}={commit}" for name, commit in refs.items())


def refs_of(text: str) -> dict[str, str]:
    """Return the references that an artifact's attribute names, in order.

    Raises:
        MalformedDocumentError: One of them is none, or there is none at all.

    """
    found: dict[str, str] = {}
    for part in text.split():
        name, _, commit = part.rpartition("=")
        if not is_ref(name) or not is_commit(commit) or name in found:
            what = f"{part[:120]!r} is no reference of a git repository."
            raise MalformedDocumentError(what)
        found[name] = commit
    if not found:
        raise MalformedDocumentError("A git repository has no reference.")
    return found
