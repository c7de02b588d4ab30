"""Converting what is refused into what can be read: in the sandbox, both digests on record."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

import msgspec

from lockgate.app.files import write_named
from lockgate.app.gate.gate import gate_parts, open_gate
from lockgate.app.gate.inspection import inspect_paths, kind_of
from lockgate.app.gate.weights import DISTRIBUTIONS as NUMPY
from lockgate.app.settings import Side
from lockgate.core.artifact import Digest, Kind, Size
from lockgate.core.digests import sha256_stream
from lockgate.core.errors import InputError
from lockgate.core.verdict import Verdict
from lockgate.core.wire import Document
from lockgate.inspect import Job, Limits
from lockgate.inspect.convert import documents, pictures, torch_weights
from lockgate.inspect.errors import JobFailedError
from lockgate.inspect.sandbox import DISTRIBUTIONS, ProcessSandbox, open_regular
from lockgate.inspect.streaming import job_stream
from lockgate.store.blobs import sync_folder
from lockgate.trust.attest import CONVERSION, attest

CONVERSION_FORMAT = "lockgate-conversion/1"
WALL_SECONDS = 300
BYTES_PER_SECOND = 4 << 20
MEMORY_BYTES = 2 << 30
_CHUNK = 1 << 20
_TORCH = frozenset({".pt", ".pth", ".bin", ".ckpt", ".pkl"})


class NotConvertedError(InputError):
    """A file is of no kind that can be converted, or cannot be read."""

    code = "LG-1fb4"
    advice = (
        "Weights are converted out of torch archives, documents flattened out of PDF, HTML, Markdown, text"
        " and Office files. What cannot be converted stays refused; ask its maker for another form."
    )


class Conversion(Document, frozen=True):
    """What was made of which file, by what: both digests, and the verdict over what was made."""

    format: str
    method: str
    source: str
    source_sha256: Digest
    source_size: Size
    target: str
    target_sha256: Digest
    target_size: Size
    verdict: Verdict


def convert(source: Path, target: Path, name: str = "") -> Conversion:
    """Convert weights to safetensors, a document to text, or a PDF to one of pictures; inspect what was made.

    The target appears whole or not at all, and gets a verdict of its own.

    Args:
        source: The file.
        target: What is to be made.
        name: What the file is called, where its own name does not tell.

    Raises:
        NotConvertedError: It is of no kind that is converted, or malformed.
        SandboxUnavailableError: Nothing can be parsed safely here.

    """
    with os.fdopen(open_regular(source), "rb", buffering=0) as stream:
        digest, size = sha256_stream(stream)
    name = name or source.name
    job, distributions, args, method = _job(source, size, Path(name), target)
    sandbox = ProcessSandbox(distributions=distributions)
    with _partial(target) as partial:
        try:
            with job_stream(sandbox, job, [], lambda _: args) as stream:
                while part := stream.read(_CHUNK):
                    partial.write(part)
        except JobFailedError as error:
            what = f"{name} cannot be converted: {error.where.get('last') or error.what}"
            raise NotConvertedError(what) from error
        partial.flush()
        os.fsync(partial.fileno())
    with target.open("rb") as written:
        made, length = sha256_stream(written)
    (seen,) = inspect_paths([target])
    return Conversion(
        format=CONVERSION_FORMAT,
        method=method,
        source=name,
        source_sha256=digest,
        source_size=size,
        target=target.name,
        target_sha256=made,
        target_size=length,
        verdict=seen.verdict,
    )


def _job(
    source: Path, size: int, name: Path, target: Path
) -> tuple[Job, dict[str, tuple[str, ...]], bytes, str]:
    """Return what runs over a file, what it sees, what it is told, and what it is called."""
    seconds = WALL_SECONDS + size // BYTES_PER_SECOND
    limits = Limits()

    def job(entry: str, most: int) -> Job:
        return Job(
            entry=entry,
            file=source,
            wall_seconds=float(seconds),
            cpu_seconds=seconds,
            memory_bytes=MEMORY_BYTES + 3 * size,
            output_bytes=most,
        )

    if name.suffix.lower() in _TORCH:
        most = torch_weights.GROWTH * size + 2 * torch_weights.GROWTH_FLOOR + limits.header_bytes
        args = msgspec.json.encode(torch_weights.ConvertArgs(limits))
        return job(torch_weights.ENTRY, most), dict(NUMPY), args, torch_weights.METHOD
    if kind_of(name) is not Kind.DOCUMENT:
        what = f"{name} is neither weights of torch nor a document by its name."
        raise NotConvertedError(what)
    (seen,) = inspect_paths([source], Kind.DOCUMENT)
    plain = {name: tuple(packages) for name, packages in DISTRIBUTIONS.items()}
    if seen.verdict.detected == "pdf" and target.suffix.lower() == ".pdf":
        args = msgspec.json.encode(pictures.PicturesArgs(limits))
        return job(pictures.ENTRY, pictures.MOST_BYTES), plain, args, pictures.METHOD
    args = msgspec.json.encode(documents.FlattenArgs(seen.verdict.detected, limits))
    return job(documents.ENTRY, 2 * limits.text_bytes), plain, args, documents.METHOD


def convert_held(side: Side, sequence: int, path: str, target: Path) -> tuple[Conversion, Path]:
    """Convert a file of a crossing out of quarantine; return what was done, and the inspector's attestation.

    Nothing enters by it: what was made is new content, and comes in as everything does, by a crossing.

    Raises:
        NotConvertedError: The crossing has no such file, or it cannot be converted.
        LockgateError: The crossing is not known, or cannot be read.

    """
    gate, parts = open_gate(side), gate_parts(side)
    crossing = gate.crossing(sequence)
    files = {file.path: file for artifact in gate.lock(crossing).artifacts for file in artifact.files}
    if path not in files:
        what = f"Crossing {sequence} has no file {path[:200]!r}."
        raise NotConvertedError(what)
    digest = files[path].sha256
    with parts.audit.recorded("convert", crossing=sequence, path=path, sha256=digest) as said:
        done = convert(parts.quarantine.path(digest), target, path)
        if done.source_sha256 != digest:
            what = f"The bytes of {path} in quarantine are not those that the lock names."
            raise NotConvertedError(what)
        said.update(method=done.method, target_sha256=done.target_sha256)
    subjects = {done.source: done.source_sha256, done.target: done.target_sha256}
    evidence = target.with_name(f"{target.name}.dsse.json")
    write_named(evidence, attest(subjects, CONVERSION, done, parts.inspector))
    return done, evidence


@contextmanager
def _partial(target: Path) -> Iterator[BinaryIO]:
    """Give a file beside the target that takes its place when the block ends well."""
    with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
        try:
            yield file  # type: ignore[misc]  # a binary file under another name
            Path(file.name).replace(target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    sync_folder(target.parent)
