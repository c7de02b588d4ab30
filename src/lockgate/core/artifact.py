"""Artifacts: one file or a set of files under a package URL, and the lock that lists them."""

from enum import StrEnum
from typing import Annotated

import msgspec

from lockgate.core.errors import InputError
from lockgate.core.visible import shortened, visible
from lockgate.core.wire import Document, Moment

Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""SHA-256 as 64 lower-case hexadecimal digits."""

Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
"""A length in bytes; never above 2**53, so that every JSON reader holds it exactly."""

PATH_LIMIT = 1024
"""Longest path inside a lock or snapshot, in characters."""


class UnsafePathError(InputError):
    """A path could lead outside its folder or be read in two ways."""

    code = "LG-1003"
    advice = "Paths are relative, use '/', and have no empty, '.' or '..' part nor control character."


class DoubledPackageError(InputError):
    """A lock lists one package URL twice."""

    code = "LG-1022"
    advice = "The low side made the lock wrong: collect and seal again."


_SHOWN = 120
"""Most characters of a name that an error shows."""

_NO_PARTS = frozenset({"", ".", ".."})


def safe_path(path: str) -> str:
    """Return the path when it is a plain relative one.

    Raises:
        UnsafePathError: It is absolute, over-long, climbs, or has control characters.

    """
    parts = path.split("/")
    bad = (
        not path
        or len(path) > PATH_LIMIT
        or "\\" in path
        or not _NO_PARTS.isdisjoint(parts)
        or not path.isprintable()
    )
    if bad:
        what = f"The path {path[:120]!r} is not allowed."
        raise UnsafePathError(what)
    return path


class Kind(StrEnum):
    """What an artifact is; each kind has its own inspectors and mirror."""

    PYTHON = "python"
    NPM = "npm"
    MODEL = "model"
    DOCUMENT = "document"
    FILE = "file"
    OCI = "oci"
    OLLAMA = "ollama"
    DATASET = "dataset"
    SPACE = "space"
    RULES = "rules"
    APT = "apt"
    GIT = "git"
    RPM = "rpm"
    CONDA = "conda"


class Role(StrEnum):
    """What a file is inside its artifact."""

    DISTRIBUTION = "distribution"
    CORE_METADATA = "core-metadata"
    PROVENANCE = "provenance"
    WEIGHTS = "weights"
    TOKENIZER = "tokenizer"
    CONFIGURATION = "configuration"
    DOCUMENT = "document"
    LICENCE = "licence"
    MANIFEST = "manifest"
    BLOB = "blob"
    GOLDEN = "golden"
    OTHER = "other"


# A snapshot has millions of these, and no value of texts and numbers is in a cycle: no search goes through
# them (gc=False).
class ArtifactFile(Document, frozen=True, gc=False):
    """One file: where it lies (unique in a lock), how long it is, what it hashes to.

    `source` is the address or package that it came from, for people; nothing is fetched by it.
    """

    path: str
    role: Role
    size: Size
    sha256: Digest
    source: str = ""
    uploaded: Moment | None = None

    def __post_init__(self) -> None:
        """Refuse paths that are not plain relative ones."""
        safe_path(self.path)


class Origin(Document, frozen=True):
    """Where an artifact was taken from when it came inside another one."""

    purl: str
    member: str
    sha256: Digest


class Artifact(Document, frozen=True, gc=False):
    """One or more files with a package URL, a licence and a label.

    `attributes` carries what a kind needs: ``requires-python``, ``yanked``, ``signed``, ``install-script``,
    ``maintainers`` (by its metadata), ``publishers`` (by its provenance), ``index`` (the page that it was
    found on), ``alternate-locations`` and ``project-status`` with its reason (python), ``collection`` and
    ``title`` (document), ``format`` and ``task`` (model: ``gguf``, ``onnx`` or ``safetensors``;
    ``chat``, ``embed`` or ``adapter``, the latter with ``base`` and ``base-sha256``), ``tuned-from``
    (model: the names of those that it says it was made of, with ``, `` between),
    ``knowledge-cutoff`` and ``successor`` where they are known (model), ``advisories`` (file: the data set of
    vulnerability data that it is), ``trust-roots`` (file: the version that it is), ``tags`` (oci and ollama:
    with spaces between), ``install-script``, ``deprecated`` and ``maintainers`` (npm), ``places``,
    ``architecture`` and ``scripts`` (apt and rpm; the latter ``none``, or what runs at installation or
    removal), ``refs`` (git: ``name=commit``, with spaces between; the first is the default), ``place`` (file:
    where a library looks for it).
    """

    purl: str
    kind: Kind
    name: str
    version: str
    files: tuple[ArtifactFile, ...]
    licence: str = "unknown"
    label: str = "internal"
    origin: Origin | None = None
    attributes: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def size(self) -> int:
        """Length of all files together, in bytes."""
        return sum(file.size for file in self.files)


class Lock(Document, frozen=True):
    """What a manifest resolved to: every file with its size and digest, signed by the collector."""

    format: str
    lane: str
    created: Moment
    manifest_sha256: Digest
    artifacts: tuple[Artifact, ...]

    def __post_init__(self) -> None:
        """Refuse a lock that names one path or one package URL twice."""
        paths: set[str] = set()
        purls: set[str] = set()
        for number, artifact in enumerate(self.artifacts):
            field = f"$.artifacts[{number}]"
            if artifact.purl in purls:
                what = f"The lock lists {visible(shortened(artifact.purl, _SHOWN))} twice."
                raise DoubledPackageError(what, field=f"{field}.purl")
            purls.add(artifact.purl)
            for place, file in enumerate(artifact.files):
                if file.path in paths:
                    what = f"The lock lists the path {file.path[:_SHOWN]!r} twice."
                    raise UnsafePathError(what, field=f"{field}.files[{place}].path")
                paths.add(file.path)


LOCK_FORMAT = "lockgate-lock/1"
