"""What ``primary``, ``filelists`` and ``other`` say of the packages that were chosen."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec import structs

from lockgate.collect.errors import BadReleaseError
from lockgate.collect.rpm.markup import Element, elements
from lockgate.core.errors import LockgateError
from lockgate.core.rpm import (
    RPM_FORMAT,
    Relation,
    RpmPackage,
)
from lockgate.core.wire import checked

ALGORITHMS = frozenset({"sha256", "sha384", "sha512"})
"""Digests by which a package is accepted; older repositories have others, and are not."""

_YES = frozenset({"1", "true"})


@dataclass(frozen=True, slots=True)
class Listed:
    """One package as an index lists it: where it lies, how long it is, and what it hashes to."""

    package: RpmPackage
    path: str
    base: str
    size: int
    algorithm: str
    digest: str


def listed(file: Path, limit: int, chosen: Collection[str] | None = None) -> Iterator[Listed]:
    """Yield the packages of ``primary``; with `chosen` only those of these digests.

    Raises:
        BadReleaseError: A package is not described as packages are, or by a weak digest alone.
        CollectLimitError: A bound.

    """
    for element in elements(file, "package", limit):
        sums = element.child("checksum")
        if element.get("type") not in {"", "rpm"} or (chosen is not None and sums.text not in chosen):
            continue
        yield _listed(element, sums)


def with_details(
    packages: Mapping[str, Listed], filelists: Path | None, other: Path | None, limit: int
) -> dict[str, Listed]:
    """Return packages by digest with their files and changes, as the two other indexes list them."""
    found = dict(packages)
    for file, read in ((filelists, _files), (other, _changes)):
        for element in elements(file, "package", limit) if file else ():
            if (digest := element.get("pkgid")) in found:
                one = found[digest]
                found[digest] = _with(one, read(element))
    return found


def _with(one: Listed, facts: dict[str, object]) -> Listed:
    known = structs.asdict(one.package)
    package = _made({**known, **facts})
    return Listed(package, one.path, one.base, one.size, one.algorithm, one.digest)


def _listed(element: Element, sums: Element) -> Listed:
    algorithm, digest = sums.get("type").lower(), sums.text.lower()
    where, size = element.child("location"), element.child("size")
    name = element.child("name").text
    if algorithm not in ALGORITHMS or not digest.isalnum():
        what = f"The index names {name[:80]!r} by {algorithm[:20] or 'no'} digest, which is not enough."
        raise BadReleaseError(what)
    form, version, times = element.child("format"), element.child("version"), element.child("time")
    package = _made(
        {
            "format": RPM_FORMAT,
            "name": name,
            "epoch": version.get("epoch") or "0",
            "version": version.get("ver"),
            "release": version.get("rel"),
            "architecture": element.child("arch").text,
            "summary": element.child("summary").text,
            "description": element.child("description").text,
            "packager": element.child("packager").text,
            "url": element.child("url").text,
            "licence": form.child("license").text,
            "vendor": form.child("vendor").text,
            "group": form.child("group").text,
            "build_host": form.child("buildhost").text,
            "source": form.child("sourcerpm").text,
            "times": (_number(times.get("file")), _number(times.get("build"))),
            "sizes": (_number(size.get("installed")), _number(size.get("archive"))),
            "header": _range(form.child("header-range")),
            "relations": {r: found for r in Relation if (found := _capabilities(form.child(r)))},
            "files": _entries(form),
        }
    )
    return Listed(
        package, where.get("href"), where.get("base"), _number(size.get("package")), algorithm, digest
    )


def _made(facts: dict[str, object]) -> RpmPackage:
    try:
        return checked(RpmPackage, facts)
    except LockgateError as error:
        name = str(facts.get("name", ""))[:80]
        what = f"The index has a package {name!r} that cannot cross: {error.what}"
        raise BadReleaseError(what) from error


def _capabilities(element: Element) -> list[dict[str, object]]:
    return [
        {
            "name": each.get("name"),
            "flags": each.get("flags"),
            "epoch": each.get("epoch"),
            "version": each.get("ver"),
            "release": each.get("rel"),
            "pre": each.get("pre") in _YES,
        }
        for each in element.all("entry")
    ]


def _entries(element: Element) -> list[dict[str, object]]:
    return [{"path": each.text, "type": each.get("type")} for each in element.all("file")]


def _files(element: Element) -> dict[str, object]:
    return {"files": _entries(element)}


def _changes(element: Element) -> dict[str, object]:
    changes = [
        {"author": each.get("author"), "date": _number(each.get("date")), "text": each.text}
        for each in element.all("changelog")
    ]
    return {"changes": changes}


def _range(element: Element) -> tuple[int, int]:
    return _number(element.get("start")), _number(element.get("end"))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else 0  # noqa: PLR2004  # below 2**53
