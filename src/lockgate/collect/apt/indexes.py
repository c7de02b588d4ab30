"""Indexes of packages and sources (deb822(5)), compared with what the signed Release file says of them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lockgate.collect.apt.ports import IndexFile
from lockgate.collect.errors import BadReleaseError, CollectLimitError
from lockgate.collect.ports import Limits
from lockgate.core.deb import DEB_FORMAT, OWN_FIELDS, DebPackage, PackageType
from lockgate.core.digests import sha256_stream
from lockgate.core.errors import LockgateError

_DIGEST = re.compile(r"^SHA256:\s*([0-9a-f]{64})\s*$", re.MULTILINE | re.IGNORECASE)
_SUM = re.compile(r"^\s+([0-9a-f]{64})\s+(\d{1,15})\s+([^\s/]{1,255})\s*$")


@dataclass(frozen=True, slots=True)
class Listed:
    """A paragraph of an index, not yet read, and the index that has it."""

    index: IndexFile
    text: str

    def fields(self) -> dict[str, str]:
        """Return its fields by name, in their order.

        Raises:
            BadReleaseError: It is no paragraph, or names a field twice.

        """
        found: dict[str, str] = {}
        name = ""
        for line in self.text.splitlines():
            if line[:1] in {" ", "\t"} and name:
                found[name] += f"\n{line.rstrip()}"
                continue
            name, colon, value = line.partition(":")
            if not colon or name in found:
                what = f"An index of {self.index.suite} has a malformed paragraph: {line[:80]!r}."
                raise BadReleaseError(what)
            found[name] = value.strip()
        return found

    def package(self) -> DebPackage:
        """Return what crosses of it.

        Raises:
            BadReleaseError: It is not described as packages are.

        """
        fields = self.fields()
        source = self.index.architecture == "source"
        try:
            return DebPackage(
                format=DEB_FORMAT,
                type=PackageType.SOURCE if source else PackageType.BINARY,
                name=fields.get("Package", ""),
                version=fields.get("Version", ""),
                architecture="source" if source else fields.get("Architecture", ""),
                fields=tuple(
                    (name, value)
                    for name, value in fields.items()
                    if name.lower() not in OWN_FIELDS | {"package", "version"}
                ),
            )
        except LockgateError as error:
            what = f"An index of {self.index.suite} has a package that cannot cross: {error.what}"
            raise BadReleaseError(what) from error


def paragraphs(index: IndexFile) -> Iterator[str]:
    """Yield the paragraphs of an index."""
    text = index.file.read_text(encoding="utf-8", errors="replace")
    for paragraph in re.split(r"\n[ \t]*\n", text):
        if plain := paragraph.strip("\n"):
            yield plain


def by_digest(index: IndexFile) -> Iterator[tuple[str, Listed]]:
    """Yield each package of an index with its SHA-256; one without it cannot be verified, and is left out."""
    for text in paragraphs(index):
        if found := _DIGEST.search(text):
            yield found[1].lower(), Listed(index, text)


def sources_by_name(index: IndexFile) -> Iterator[tuple[tuple[str, str], Listed]]:
    """Yield each source package of an index with its name and version."""
    for text in paragraphs(index):
        listed = Listed(index, text)
        fields = listed.fields()
        yield (fields.get("Package", ""), fields.get("Version", "")), listed


def files_of(fields: dict[str, str]) -> list[tuple[str, str, int]]:
    """Return name, SHA-256 and length of each file of a source package."""
    lines = fields.get("Checksums-Sha256", "").splitlines()
    return [(m[3], m[1], int(m[2])) for line in lines if (m := _SUM.match(line))]


def demand_listed(index: IndexFile, sums: dict[str, tuple[str, int]], limits: Limits) -> bool:
    """Compare an index with what its Release file says; tell whether that names its plain form at all.

    Raises:
        BadReleaseError: It has another digest.
        CollectLimitError: It is too long.

    """
    size = index.file.stat().st_size
    if size > limits.index_bytes:
        what = f"An index of {index.suite} has {size} bytes (bound: {limits.index_bytes})."
        raise CollectLimitError(what, limit="index_bytes")
    if index.key not in sums:
        return any(name.startswith(f"{index.key}.") for name in sums) or _refuse(index)
    with Path(index.file).open("rb") as stream:
        digest, _ = sha256_stream(stream)
    return digest == sums[index.key][0] or _refuse(index)


def _refuse(index: IndexFile) -> bool:
    what = f"The index {index.key} of {index.suite} is not the one that its Release file names."
    raise BadReleaseError(what)
