"""What the sandboxed readers of an image answer."""

import msgspec

from lockgate.core.verdict import Finding

MOST_PATHS = 20_000
"""Most programs, and most removals, of one layer that are compared with others."""

MOST_PACKAGES = 20_000
"""Most packages that are read out of one layer."""


class LayerOf(msgspec.Struct, frozen=True):
    """A layer as a manifest names it."""

    digest: str
    media_type: str
    diff_id: str = ""


class ImageOf(msgspec.Struct, frozen=True):
    """An image manifest: its layers from the lowest up."""

    digest: str
    layers: tuple[LayerOf, ...]


class Structure(msgspec.Struct, frozen=True):
    """What an artifact's manifests and configurations say together.

    `findings` and `incomplete` are by the digest of the file that they are about.
    """

    images: tuple[ImageOf, ...] = ()
    findings: dict[str, tuple[Finding, ...]] = {}
    incomplete: dict[str, tuple[Finding, ...]] = {}


class Survey(msgspec.Struct, frozen=True):
    """What one layer brings and takes away.

    Attributes:
        packing: ``gzip``, ``zstd`` or empty.
        diff_id: SHA-256 of the unpacked archive.
        programs: Paths that can be run, or that programs load.
        removed: Paths that whiteouts remove from the layers below.
        emptied: Folders whose lower content an opaque whiteout hides.
        database: Whether a package manager's list of packages is among the files.
        packages: Package URLs of what is installed.
        release: The system's name and version, as its ``os-release`` says (``debian-12``).
        cut: Which bound was reached; empty: none.
        unread: Why packages could not be read; empty: all were.

    """

    packing: str = ""
    diff_id: str = ""
    programs: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    emptied: tuple[str, ...] = ()
    database: bool = False
    packages: tuple[str, ...] = ()
    release: str = ""
    cut: str = ""
    unread: str = ""
