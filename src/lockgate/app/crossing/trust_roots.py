"""Trust roots written on the low side from files that people fetched and looked at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate.app.files import read_named, write_named
from lockgate.app.trust import utc_now
from lockgate.collect.errors import TrustRootsError
from lockgate.collect.trust_roots import SOURCE_LIMIT, Sources, make_roots
from lockgate.core.digests import sha256


@dataclass(frozen=True, slots=True)
class Written:
    """Digest and sentences of trust roots that were written, and what was left out of them."""

    sha256: str
    sentences: tuple[str, ...]
    left_out: tuple[str, ...]


def named_files(texts: Iterable[str]) -> Mapping[str, Path]:
    """Return files by name from ``name=file`` texts.

    Raises:
        TrustRootsError: One is no such text, or a name stands twice.

    """
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or not name or not path or name in found:
            what = f"{text[:80]!r} is not name=file, or its name stands twice."
            raise TrustRootsError(what)
        found[name] = Path(path)
    return found


def write_roots(
    target: Path,
    sigstore: Sequence[Path],
    npm: Sequence[Path],
    keys: Mapping[str, Path],
    authorities: Mapping[str, Path],
    *,
    version: int,
    days: int,
) -> Written:
    """Write trust roots of some files.

    Raises:
        NamedFileError: A file cannot be read or written.
        TrustRootsError: One is not what it should be.

    """
    sources = Sources(
        sigstore=[read_named(file, limit=SOURCE_LIMIT) for file in sigstore],
        npm=[read_named(file, limit=SOURCE_LIMIT) for file in npm],
        keys={name: read_named(file, limit=SOURCE_LIMIT) for name, file in keys.items()},
        authorities={name: read_named(file, limit=SOURCE_LIMIT) for name, file in authorities.items()},
    )
    made = make_roots(sources, version, utc_now(), days)
    write_named(target, made.data)
    return Written(sha256(made.data), tuple(made.roots.sentences()), made.left_out)
