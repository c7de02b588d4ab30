"""From files that were made inside to artifacts of the kinds that the mirrors serve."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1, sha512
from pathlib import Path

from packageurl import PackageURL

from lockgate.collect.documents import title_of
from lockgate.collect.models import revision_of
from lockgate.collect.npm.facts import attributes_of, describe
from lockgate.collect.npm.ports import Locked
from lockgate.collect.npm.tarball import read_tarball
from lockgate.collect.ports import Limits
from lockgate.collect.wheels import read_metadata, split_filename
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role, safe_path
from lockgate.core.errors import InputError
from lockgate.core.npm import npm_purl, tarball_name
from lockgate.core.wire import encode
from lockgate.store import BlobStore

FILES_LIMIT = 10_000
"""Most files of one artifact."""

_WEIGHTS = frozenset({".safetensors", ".gguf", ".onnx", ".bin", ".pt", ".pth"})
_TOKENIZERS = frozenset({"tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt", "vocab.txt"})
_FORMATS = {".safetensors": "safetensors", ".gguf": "gguf", ".onnx": "onnx"}
_MODEL_PARTS = 2


class UnknownSubmissionError(InputError):
    """Nobody can tell what was submitted, or it is not complete."""

    code = "LG-1fb8"
    advice = "Submit a wheel or an npm archive, or say with `--model`, `--collection` or `--file` what it is."


@dataclass(frozen=True, slots=True)
class Offer:
    """What a submitter says of what is submitted.

    `model` names a model (``owner/name``), `collection` one of documents, `file` a plain file, `image` what
    was pushed (``repository@digest`` or ``repository:tag``); where all are empty, the file's own name says
    what it is.
    """

    path: Path
    label: str = "internal"
    licence: str = "unknown"
    derived: tuple[str, ...] = ()
    model: str = ""
    task: str = "chat"
    collection: str = ""
    file: str = ""
    image: str = ""


def make_artifact(offer: Offer, blobs: BlobStore, limits: Limits) -> Artifact:
    """Bring a submission's files into quarantine and return the artifact that they are.

    Raises:
        UnknownSubmissionError: Nobody can tell what it is.
        BadWheelError, BadTarballError, CollectLimitError: It is not what its name says, or over a bound.
        StoreIoError: The disk refused.

    """
    path = offer.path
    if path.is_symlink() or not path.exists():
        what = f"{path.name[:120]!r} is not there, or a link."
        raise UnknownSubmissionError(what, advice="Name the file or folder itself.")
    if offer.model:
        return _model(offer, blobs, limits)
    if not path.is_file():
        what = f"{path.name[:120]!r} is a folder."
        raise UnknownSubmissionError(what, advice="A folder is a model: name it with `--model OWNER/NAME`.")
    if offer.collection:
        return _document(offer, blobs, limits)
    if offer.file:
        return _plain(offer, blobs, limits)
    if path.suffix == ".whl":
        return _wheel(offer, blobs, limits)
    if path.suffix == ".tgz":
        return _npm(offer, blobs, limits)
    what = f"The name {path.name[:120]!r} does not say what this is."
    raise UnknownSubmissionError(what)


def _kept(path: Path, blobs: BlobStore, limits: Limits) -> tuple[str, int]:
    with path.open("rb") as stream:
        return blobs.put_stream(stream, limit=limits.file_bytes)


def _wheel(offer: Offer, blobs: BlobStore, limits: Limits) -> Artifact:
    name = offer.path.name
    project, version = split_filename(name)
    digest, size = _kept(offer.path, blobs, limits)
    known = read_metadata(blobs.path(digest), name, limits)
    path = f"python/{project}/{name}"
    about = blobs.put_bytes(known.raw)
    attributes = {"summary": " ".join(known.summary.split())[:300], "requires-python": known.requires_python}
    return Artifact(
        purl=PackageURL(type="pypi", name=project, version=version).to_string(),
        kind=Kind.PYTHON,
        name=project,
        version=version,
        files=(
            ArtifactFile(path=path, role=Role.DISTRIBUTION, size=size, sha256=digest),
            ArtifactFile(path=f"{path}.metadata", role=Role.CORE_METADATA, size=len(known.raw), sha256=about),
        ),
        licence=known.licence if offer.licence == "unknown" else offer.licence,
        label=offer.label,
        attributes={key: value for key, value in attributes.items() if value},
    )


def _npm(offer: Offer, blobs: BlobStore, limits: Limits) -> Artifact:
    digest, size = _kept(offer.path, blobs, limits)
    packed = read_tarball(blobs.path(digest), offer.path.name, limits)
    name, version = str(packed.package.get("name", "")), str(packed.package.get("version", ""))
    long, short = sha512(), sha1(usedforsecurity=False)
    with blobs.open(digest) as stream:
        while piece := stream.read(1 << 20):
            long.update(piece)
            short.update(piece)
    integrity = f"sha512-{_base64(long.digest())}"
    locked = Locked(name=name, version=version, integrity=integrity)
    made = describe(locked, short.hexdigest(), packed, packed.package)
    facts = encode(made.version)
    path = f"npm/{name}/{tarball_name(name, version)}"
    return Artifact(
        purl=npm_purl(name, version),
        kind=Kind.NPM,
        name=name,
        version=version,
        files=(
            ArtifactFile(path=safe_path(path), role=Role.DISTRIBUTION, size=size, sha256=digest),
            ArtifactFile(
                path=f"{path}.json",
                role=Role.CORE_METADATA,
                size=len(facts),
                sha256=blobs.put_bytes(facts),
            ),
        ),
        licence=made.version.licence or offer.licence,
        label=offer.label,
        attributes=attributes_of(made),
    )


def _base64(data: bytes) -> str:
    from base64 import b64encode  # noqa: PLC0415  # one use

    return b64encode(data).decode()


def _model(offer: Offer, blobs: BlobStore, limits: Limits) -> Artifact:
    parts = offer.model.split("/")
    if len(parts) != _MODEL_PARTS or not all(part and part == part.strip(".-") for part in parts):
        what = f"{offer.model[:120]!r} is no name of a model."
        raise UnknownSubmissionError(what, advice="Name it as OWNER/NAME.")
    prefix = f"models/{offer.model}/"
    files = []
    for file in _below(offer.path):
        inside = file.name if file == offer.path else file.relative_to(offer.path).as_posix()
        digest, size = _kept(file, blobs, limits)
        path = safe_path(prefix + inside)
        files.append(ArtifactFile(path=path, role=_role(file), size=size, sha256=digest))
    weights = [file for file in files if file.role is Role.WEIGHTS]
    if not weights:
        raise UnknownSubmissionError("A model needs a file with weights.", advice="Add its weights.")
    revision = revision_of(files, prefix)
    form = _FORMATS.get(Path(weights[0].path).suffix, "other")
    return Artifact(
        purl=PackageURL(type="huggingface", namespace=parts[0], name=parts[1], version=revision).to_string(),
        kind=Kind.MODEL,
        name=offer.model,
        version=revision,
        files=tuple(files),
        licence=offer.licence,
        label=offer.label,
        attributes={"format": form, "task": offer.task},
    )


def is_weights(path: str) -> bool:
    """Tell by its name whether a file of a model holds weights."""
    return Path(path).suffix in _WEIGHTS


def revision_within(files: Sequence[tuple[str, str, int]]) -> str:
    """Return the revision of a model of some files: path inside of it, SHA-256 and length of each."""
    made = (ArtifactFile(path=path, role=Role.OTHER, size=size, sha256=sha) for path, sha, size in files)
    return revision_of(made, "")


def _below(path: Path) -> Sequence[Path]:
    """Return the files of a folder, without hidden ones; links are refused."""
    if path.is_file():
        return [path]
    found = sorted(p for p in path.rglob("*") if not p.is_dir() or p.is_symlink())
    kept = [p for p in found if not any(part.startswith(".") for part in p.relative_to(path).parts)]
    if any(p.is_symlink() or not p.is_file() for p in kept) or len(kept) > FILES_LIMIT:
        what = f"{path.name!r} holds a link or more than {FILES_LIMIT} files."
        raise UnknownSubmissionError(what, advice="Put the files themselves into the folder.")
    return kept


def _role(file: Path) -> Role:
    if is_weights(file.name):
        return Role.WEIGHTS
    if file.name in _TOKENIZERS:
        return Role.TOKENIZER
    if file.name.casefold().startswith("licen"):
        return Role.LICENCE
    return Role.CONFIGURATION if file.suffix == ".json" else Role.OTHER


def _document(offer: Offer, blobs: BlobStore, limits: Limits) -> Artifact:
    name = offer.path.name
    digest, size = _kept(offer.path, blobs, limits)
    with offer.path.open("rb") as stream:
        head = stream.read(1 << 16)
    version = digest[:12]
    path = safe_path(f"documents/{offer.collection}/{name}")
    url = PackageURL(type="generic", namespace=offer.collection, name=name, version=version)
    return Artifact(
        purl=url.to_string(),
        kind=Kind.DOCUMENT,
        name=f"{offer.collection}/{name}",
        version=version,
        files=(ArtifactFile(path=path, role=Role.DOCUMENT, size=size, sha256=digest),),
        licence=offer.licence,
        label=offer.label,
        attributes={"collection": offer.collection, "title": title_of(name, head)},
    )


def _plain(offer: Offer, blobs: BlobStore, limits: Limits) -> Artifact:
    digest, size = _kept(offer.path, blobs, limits)
    version = digest[:12]
    return Artifact(
        purl=PackageURL(type="generic", name=offer.file, version=version).to_string(),
        kind=Kind.FILE,
        name=offer.file,
        version=version,
        files=(
            ArtifactFile(
                path=safe_path(f"files/{offer.file}/{offer.path.name}"),
                role=Role.OTHER,
                size=size,
                sha256=digest,
            ),
        ),
        licence=offer.licence,
        label=offer.label,
    )
