"""Under which names a package is looked up: package URLs and OSV ecosystems brought together.

Sources: package-url specification (PURL-TYPES), OSV schema "Defined ecosystems", PEP 503.
"""

import re
from dataclasses import dataclass

from packageurl import PackageURL

from lockgate.advisories.errors import BadPackageError
from lockgate.advisories.versions import RUST

_ECOSYSTEMS = {
    "pypi": "PyPI",
    "npm": "npm",
    "golang": "Go",
    "cargo": RUST,
    "maven": "Maven",
    "gem": "RubyGems",
    "nuget": "NuGet",
    "composer": "Packagist",
    "hex": "Hex",
    "pub": "Pub",
    "swift": "SwiftURL",
    "githubactions": "GitHub Actions",
}
_SYSTEMS = {
    ("deb", "debian"): "Debian",
    ("deb", "ubuntu"): "Ubuntu",
    ("apk", "alpine"): "Alpine",
    ("apk", "wolfi"): "Wolfi",
    ("apk", "chainguard"): "Chainguard",
    ("rpm", "redhat"): "Red Hat",
    ("rpm", "rocky"): "Rocky Linux",
    ("rpm", "almalinux"): "AlmaLinux",
    ("rpm", "opensuse"): "openSUSE",
    ("rpm", "suse"): "SUSE",
    ("rpm", "openeuler"): "openEuler",
    ("rpm", "mageia"): "Mageia",
}
_CODENAMES = {"buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14"}
"""Debian's releases by name, as `distro` qualifiers use them too."""
_LONGEST = 2048
_JOINED = {"maven": ":"}


@dataclass(frozen=True, slots=True)
class Name:
    """A package of an ecosystem; `release` is what follows the first colon of the ecosystem."""

    ecosystem: str
    name: str
    release: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A package that is asked about: the names and versions that it is looked up by."""

    purl: str
    names: tuple[tuple[Name, str], ...]


def _plain(ecosystem: str, name: str) -> str:
    if ecosystem == "PyPI":
        return re.sub(r"[-_.]+", "-", name).lower()
    return name.lower() if ecosystem in {"NuGet", "Packagist", "Hex"} else name


def name_in(ecosystem: str, name: str) -> Name:
    """Return a package by its OSV ecosystem (``Debian:12``) and name."""
    base, _, release = ecosystem.partition(":")
    return Name(base, _plain(base, name), release)


def parse_purl(text: str) -> PackageURL:
    """Return a package URL.

    Raises:
        BadPackageError: It is not one.

    """
    try:
        if len(text) > _LONGEST or not text.isprintable():
            raise ValueError  # noqa: TRY301  # one sentence for all that is wrong with it
        return PackageURL.from_string(text)
    except ValueError:
        what = f"{text[:120]!r} is not a package URL."
        raise BadPackageError(what) from None


def name_of_purl(text: str) -> Name:
    """Return the name of a package URL, without its version.

    Raises:
        BadPackageError: It is not a package URL.

    """
    return _name(parse_purl(text), None)


def _qualifier(purl: PackageURL, name: str) -> str:
    return str(dict(purl.qualifiers or {}).get(name, ""))


def _name(purl: PackageURL, name: str | None) -> Name:
    own = name or purl.name
    ecosystem = _SYSTEMS.get((purl.type, (purl.namespace or "").lower()))
    if ecosystem:
        return Name(ecosystem, own, _release(ecosystem, _qualifier(purl, "distro")))
    joint = _JOINED.get(purl.type, "/")
    full = f"{purl.namespace}{joint}{own}" if purl.namespace else own
    ecosystem = _ECOSYSTEMS.get(purl.type)
    return Name(ecosystem, _plain(ecosystem, full)) if ecosystem else Name(f"purl-{purl.type}", full)


def _release(ecosystem: str, distro: str) -> str:
    """Return the release as OSV writes it from a `distro` qualifier; empty: any release."""
    _, dash, number = distro.lower().rpartition("-")
    number = number if dash else _CODENAMES.get(distro.lower(), "")
    parts = number.split(".")
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)*", number):
        return ""
    if ecosystem == "Debian":
        return parts[0]
    return f"v{'.'.join(parts[:2])}" if ecosystem == "Alpine" else ".".join(parts[:2])


def question(text: str) -> Question:
    """Return how a package URL is looked up.

    A Debian, Alpine or RPM package is looked up under its own name and its source's (qualifiers
    ``upstream`` or ``source``, with ``@version`` where it differs).

    Raises:
        BadPackageError: Not a package URL, or one without a version.

    """
    purl = parse_purl(text)
    if not purl.version:
        what = f"{text[:120]!r} names no version."
        raise BadPackageError(what)
    names = [(_name(purl, None), purl.version)]
    upstream = _qualifier(purl, "upstream") or _qualifier(purl, "source")
    if upstream and purl.type in {"deb", "apk", "rpm"}:
        source, _, version = upstream.partition("@")
        names.append((_name(purl, source), version or purl.version))
    return Question(text, tuple(dict.fromkeys(names)))
