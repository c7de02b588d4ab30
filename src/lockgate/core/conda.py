"""What crosses of conda packages besides the bytes, and how names and paths look.

Sources: conda's ``repodata.json`` (CEP 15, CEP 16 and conda's own schema), package-url specification
("conda"), CEP 26 (names, versions and builds).
"""

import re
from typing import Annotated

import msgspec
from packageurl import PackageURL

from lockgate.core.errors import MalformedDocumentError
from lockgate.core.places import is_repository
from lockgate.core.wire import Document

CONDA_FORMAT = "lockgate-conda/1"
CONDA_LIMIT = 1 << 20
"""Longest document about one package, in bytes."""

NOARCH = "noarch"
ENDINGS = (".conda", ".tar.bz2")

_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,127}", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9_.!+]{1,128}", re.ASCII)
_BUILD = re.compile(r"[A-Za-z0-9_.+]{1,128}", re.ASCII)
_SUBDIR = re.compile(r"[a-z0-9]{1,16}(?:-[a-z0-9_]{1,16})?", re.ASCII)

Line = Annotated[str, msgspec.Meta(max_length=4096, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
Lines = Annotated[tuple[Line, ...], msgspec.Meta(max_length=2000)]
Number = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class CondaPackage(Document, frozen=True):
    """One package as its channel's index describes it, without what a mirror says itself: digest and length.

    `extension` is the file's (`ENDINGS`), `timestamp` in milliseconds since 1970.
    """

    format: str
    name: Line
    version: Line
    build: Line
    subdir: Line
    extension: Line
    build_number: Number = 0
    depends: Lines = ()
    constrains: Lines = ()
    licence: Line = ""
    licence_family: Line = ""
    noarch: Annotated[str, msgspec.Meta(pattern=r"^(generic|python)?\Z")] = ""
    track_features: Line = ""
    features: Line = ""
    site_packages: Line = ""
    timestamp: Number = 0

    def __post_init__(self) -> None:
        """Refuse names that no channel has."""
        good = (
            self.format == CONDA_FORMAT
            and _NAME.fullmatch(self.name)
            and _VERSION.fullmatch(self.version)
            and _BUILD.fullmatch(self.build)
            and is_subdir(self.subdir)
            and self.extension in ENDINGS
        )
        if not good:
            what = f"{self.name[:80]} {self.version[:80]} is not described as a conda package can be."
            raise MalformedDocumentError(what)

    @property
    def filename(self) -> str:
        """Return what its file is called."""
        return f"{self.name}-{self.version}-{self.build}{self.extension}"

    @property
    def release(self) -> str:
        """Return version and build together: one version may have many builds."""
        return f"{self.version}-{self.build}"


def is_subdir(text: str) -> bool:
    """Tell whether a text can name the platform of packages (``linux-64``, ``noarch``)."""
    return _SUBDIR.fullmatch(text) is not None


def is_channel(text: str) -> bool:
    """Tell whether a text can be the name under which a channel is mirrored."""
    return is_repository(text)


def conda_path(channel: str, package: CondaPackage) -> str:
    """Return where a package lies in a lock, and below the mirror's own folder."""
    return f"conda/{channel}/{package.subdir}/{package.filename}"


def conda_purl(channel: str, package: CondaPackage) -> str:
    """Return the package URL of a package."""
    return PackageURL(
        type="conda",
        name=package.name,
        version=package.version,
        qualifiers={
            "build": package.build,
            "channel": channel,
            "subdir": package.subdir,
            "type": package.extension.removeprefix("."),
        },
    ).to_string()
