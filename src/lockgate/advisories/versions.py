"""Version order as each ecosystem defines it: keys that sort, and nothing else.

PyPI is compared by `packaging` (PEP 440), semantic versions and Debian's by the rules below; the
rest by `univers`, which the tests also hold the first three against.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from packaging.version import InvalidVersion, Version

from lockgate.advisories.limits import Limits

RUST = ".".join(("crates", "io"))  # noqa: FLY002  # see below
"""OSV's name of Rust's ecosystem. It is also a host's, and no host is written out in this project."""

_CACHED = 1 << 16
_LONGEST = Limits().version_length

Key = Callable[[str], Any]
"""Turns a version text into something that sorts; raises `UnreadableVersionError`."""


class UnreadableVersionError(ValueError):
    """A text is no version of its ecosystem. It never leaves the room: it becomes a reason."""


def _bounded(text: str) -> str:
    if not text or len(text) > _LONGEST:
        msg = f"a version has 1 to {_LONGEST} characters (version_length)"
        raise UnreadableVersionError(msg)
    return text


@lru_cache(_CACHED)
def pypi(text: str) -> Any:
    """Return the PEP 440 key of the public version.

    A local label is left out: 2.0.0+cpu is a build of 2.0.0 and shares its faults.
    """
    try:
        return Version(_bounded(text).partition("+")[0])
    except InvalidVersion:
        msg = f"{text[:80]!r} is no version after PEP 440"
        raise UnreadableVersionError(msg) from None


_SEMVER = re.compile(
    r"[v=]?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.+-]*)?"
)


@lru_cache(_CACHED)
def semver(text: str) -> Any:
    """Return the key of a semantic version (semver.org 2.0.0, section 11); short ones are filled up."""
    found = _SEMVER.fullmatch(_bounded(text))
    if found is None:
        msg = f"{text[:80]!r} is no semantic version"
        raise UnreadableVersionError(msg)
    numbers = tuple(int(part or 0) for part in found.groups()[:3])
    if found[4] is None:
        return (*numbers, 1, ())
    parts = found[4].split(".")
    return (*numbers, 0, tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts))


_DEBIAN = re.compile(r"(?:([0-9]+):)?([0-9A-Za-z.+:~-]*?)(?:-([0-9A-Za-z.+~]*))?")
_DEBIAN_PARTS = re.compile(r"([^0-9]*)([0-9]*)")
_END = 0


def _debian_part(text: str) -> tuple[Any, ...]:
    """Return the key of an upstream version or revision (Debian Policy 5.6.12).

    A tilde sorts before the end, letters before other characters, digits by their number.
    """
    key: list[Any] = []
    for letters, digits in _DEBIAN_PARTS.findall(text):
        if letters or digits:
            order = (-1 if c == "~" else ord(c) if c.isalpha() else ord(c) + 256 for c in letters)
            key += [(*order, _END), int(digits or 0)]
    return (*key, (_END,))


@lru_cache(_CACHED)
def debian(text: str) -> Any:
    """Return the key of a Debian version: epoch, upstream version, revision."""
    found = _DEBIAN.fullmatch(_bounded(text.strip()))
    if found is None or not found[2]:
        msg = f"{text[:80]!r} is no Debian version"
        raise UnreadableVersionError(msg)
    return (int(found[1] or 0), _debian_part(found[2]), _debian_part(found[3] or "0"))


def _by_univers(name: str) -> Key:
    @lru_cache(_CACHED)
    def key(text: str) -> Any:
        from univers import versions  # noqa: PLC0415  # heavy, and rarely needed

        kind = getattr(versions, name)
        try:
            return kind(_bounded(text))
        except Exception as error:  # the library raises what its parsers happen to raise
            msg = f"{text[:80]!r} is no {name}: {type(error).__name__}"
            raise UnreadableVersionError(msg) from error

    return key


_RPM, _APK = _by_univers("RpmVersion"), _by_univers("AlpineLinuxVersion")

_KEYS: dict[str, Key] = {
    "PyPI": pypi,
    **dict.fromkeys(("npm", "Go", RUST, "Hex", "Pub", "SwiftURL", "GitHub Actions"), semver),
    **dict.fromkeys(("Debian", "Ubuntu", "Echo"), debian),
    **dict.fromkeys(("Alpine", "Wolfi", "Chainguard", "Alpaquita", "MinimOS"), _APK),
    **dict.fromkeys(("Red Hat", "Rocky Linux", "AlmaLinux", "SUSE", "openSUSE"), _RPM),
    **dict.fromkeys(("Mageia", "openEuler", "Photon OS", "Azure Linux"), _RPM),
    "Maven": _by_univers("MavenVersion"),
    "RubyGems": _by_univers("RubygemsVersion"),
    "NuGet": _by_univers("NugetVersion"),
    "Packagist": _by_univers("ComposerVersion"),
}


def key_of(ecosystem: str, range_kind: str) -> Key | None:
    """Return how versions of an ecosystem sort, or None where nobody defines it.

    Args:
        ecosystem: The name before the first colon, as OSV writes it.
        range_kind: ``SEMVER`` is what it says in every ecosystem; ``ECOSYSTEM`` is the ecosystem's own.

    """
    if range_kind == "SEMVER":
        return semver
    return _KEYS.get(ecosystem) if range_kind == "ECOSYSTEM" else None


def ordered() -> tuple[str, ...]:
    """Return the ecosystems whose order is known."""
    return tuple(_KEYS)
