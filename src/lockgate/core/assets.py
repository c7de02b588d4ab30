"""Asset packs: files that a library looks for at a known place, and fetches from elsewhere otherwise.

Sources of the places: tiktoken ``load.py`` (a vocabulary lies in ``TIKTOKEN_CACHE_DIR`` under the SHA-1 of
the address that it comes from); NLTK ``data.py`` (``NLTK_DATA`` with a folder for each category); spaCy's
models are packages that pip installs from a file; drivers are programs that an administrator runs;
osv-scanner's databases lie below ``OSV_SCANNER_LOCAL_DB_CACHE_DIRECTORY``, one ``all.zip`` in a folder for
each ecosystem ("Offline Mode" of its documentation).
"""

import hashlib
import re
from enum import StrEnum

from lockgate.core.artifact import UnsafePathError, safe_path
from lockgate.core.errors import InputError

PLACE = "place"
"""The attribute of an artifact that has a known place: library, slash, path below its folder."""

NLTK_CATEGORIES = frozenset(
    {
        *("chunkers", "corpora", "grammars", "help", "misc", "models"),
        *("sentiment", "stemmers", "taggers", "tokenizers"),
    }
)
"""Folders that NLTK's data has (the `subdir` of its index)."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}", re.ASCII)
_ALL = "all.zip"
_SHA1 = re.compile(r"[0-9a-f]{40}")


class Library(StrEnum):
    """What looks for an asset."""

    TIKTOKEN = "tiktoken"
    NLTK = "nltk"
    SPACY = "spacy"
    DRIVER = "driver"
    OSV_SCANNER = "osv-scanner"


class AssetPlaceError(InputError):
    """An asset has no place that its library would look at."""

    code = "LG-100c"
    advice = (
        "Name place = tiktoken, nltk/CATEGORY, spacy, driver or osv-scanner/ECOSYSTEM (of an all.zip);"
        " tiktoken needs the address as origin too."
    )


def place_of(wanted: str, filename: str, origin: str) -> str:
    """Return the place of a file, as `PLACE` carries it.

    Args:
        wanted: ``tiktoken``, ``nltk/<category>``, ``spacy``, ``driver`` or ``osv-scanner/<ecosystem>``.
        filename: The file's own name.
        origin: The https address that a library would fetch it from; empty where nobody said.

    Raises:
        AssetPlaceError: There is no such place, or the file cannot lie there.

    """
    library, _, folder = wanted.partition("/")
    if not _NAME.fullmatch(filename):
        what = f"The file name {filename[:80]!r} has other characters than a known place takes."
        raise AssetPlaceError(what)
    match library:
        case Library.TIKTOKEN if not folder and origin.startswith("https://"):
            return f"{library}/{hashlib.sha1(origin.encode(), usedforsecurity=False).hexdigest()}"
        case Library.NLTK if folder in NLTK_CATEGORIES:
            return f"{library}/{folder}/{filename}"
        case Library.SPACY if not folder and filename.endswith((".whl", ".tar.gz")):
            return f"{library}/{filename}"
        case Library.DRIVER if not folder:
            return f"{library}/{filename}"
        case Library.OSV_SCANNER if _NAME.fullmatch(folder) and filename == _ALL:
            return f"{library}/{folder}/{filename}"
    what = f"{wanted[:80]!r} is no known place for {filename[:80]}."
    raise AssetPlaceError(what)


def read_place(text: str) -> tuple[Library, str]:
    """Return library and path of a place that came with a crossing.

    Raises:
        AssetPlaceError: It is not one that `place_of` gives.

    """
    library, _, path = text.partition("/")
    parts = path.split("/")
    try:
        found = Library(library)
        safe_path(path)
    except (ValueError, UnsafePathError) as error:
        what = f"{text[:80]!r} is no known place."
        raise AssetPlaceError(what) from error
    good = {
        Library.TIKTOKEN: len(parts) == 1 and bool(_SHA1.fullmatch(path)),
        Library.NLTK: len(parts) == 2 and parts[0] in NLTK_CATEGORIES and bool(_NAME.fullmatch(parts[1])),  # noqa: PLR2004
        Library.SPACY: len(parts) == 1 and bool(_NAME.fullmatch(path)) and path.endswith((".whl", ".tar.gz")),
        Library.DRIVER: len(parts) == 1 and bool(_NAME.fullmatch(path)),
        Library.OSV_SCANNER: len(parts) == 2 and bool(_NAME.fullmatch(parts[0])) and parts[1] == _ALL,  # noqa: PLR2004
    }
    if not good[found]:
        what = f"{text[:80]!r} is no known place."
        raise AssetPlaceError(what)
    return found, path
