"""Inspecting files that anybody names, outside of any crossing."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from msgspec.structs import replace

from lockgate.core.artifact import Kind
from lockgate.core.digests import sha256_stream
from lockgate.core.verdict import Outcome, Severity, Verdict
from lockgate.inspect import InspectItem, Limits, Sandbox, inspect_file
from lockgate.inspect.announced import announced
from lockgate.inspect.decide import unread
from lockgate.inspect.errors import NotInspectableError
from lockgate.inspect.insecure import InsecureInProcessSandbox
from lockgate.inspect.sandbox import open_regular
from lockgate.inspect.warm import WarmSandbox

_MODELS = "gguf onnx safetensors pt pth pt2 bin ckpt pkl pickle joblib h5 hdf5 keras nemo npy npz tflite mar"
_DOCUMENTS = (
    "md txt rst csv tsv html htm xhtml mht mhtml eml "
    "pdf docx docm xlsx xlsm pptx pptm doc xls ppt rtf odt ods odp epub ipynb tex adoc org ics vcf"
)
_GUIDES = frozenset({".cursorrules", ".windsurfrules", ".clinerules", "Modelfile"})
"""Files without an ending that say to a model or an agent what to do."""
_TABLES = "tokenizer.json vocab.json merges.txt vocab.txt tokenizer_config.json special_tokens_map.json"
_KINDS = {
    ".tgz": Kind.NPM,
    ".whl": Kind.PYTHON,
    **{f".{extension}": Kind.MODEL for extension in _MODELS.split()},
    **{f".{extension}": Kind.DOCUMENT for extension in _DOCUMENTS.split()},
}


@dataclass(frozen=True, slots=True)
class Inspected:
    """One file's verdict, how long it took, in seconds, and what isolated its parser."""

    path: Path
    verdict: Verdict
    seconds: float
    sandbox: str

    @property
    def good(self) -> bool:
        """Whether it is clean, or opaque, without a finding above information."""
        quiet = all(found.severity is Severity.INFO for found in self.verdict.findings)
        return quiet and self.verdict.outcome in {Outcome.CLEAN, Outcome.OPAQUE}


def kind_of(path: Path) -> Kind:
    """Return the kind of artifact that a file's name promises."""
    if path.name in _TABLES.split():
        return Kind.MODEL
    if path.name in _GUIDES:
        return Kind.DOCUMENT
    return _KINDS.get(path.suffix.lower(), Kind.FILE)


def files_below(paths: Sequence[Path]) -> list[Path]:
    """Return what paths name, folders walked in order of their names.

    Links, pipes and devices inside a folder are named too: they get a verdict, and are never opened.

    Raises:
        NotInspectableError: A path does not exist.

    """
    out: list[Path] = []
    for path in paths:
        if path.is_dir():
            out.extend(sorted(item for item in path.rglob("*") if item.is_symlink() or not item.is_dir()))
        elif path.exists():
            out.append(path)
        else:
            what = f"{path} does not exist."
            raise NotInspectableError(what)
    return out


def inspect_paths(
    files: Sequence[Path],
    kind: Kind | None = None,
    jobs: int = 0,
    *,
    insecure: bool = False,
    profile: str = "auto",
) -> Iterator[Inspected]:
    """Yield the verdict of each file, in order.

    Args:
        files: Regular files.
        kind: What they are; told by the name's extension when left out.
        jobs: Files at a time, and one more; 0 for one per processor.
        insecure: Parse in this very process, without any isolation; never for hostile files.
        profile: What pickles may be read as.

    Raises:
        SandboxUnavailableError: Nothing can be parsed safely here.

    """
    site = announced()
    sandbox: Sandbox = InsecureInProcessSandbox(site) if insecure else WarmSandbox(site=site)
    layers, limits = sandbox.describe()["sandbox"], Limits()

    def one(path: Path) -> Inspected:
        begun = monotonic()
        given = InspectItem(
            path=path.name, kind=kind or kind_of(path), file=path, sha256="0" * 64, size=0, profile=profile
        )
        try:
            with os.fdopen(open_regular(path), "rb") as stream:
                digest, size = sha256_stream(stream)
        except (NotInspectableError, OSError) as error:
            why = error.what if isinstance(error, NotInspectableError) else f"It cannot be read: {error}."
            return Inspected(path, unread(given, "unreadable", why), monotonic() - begun, layers)
        item = replace(given, sha256=digest, size=size)
        return Inspected(path, inspect_file(item, sandbox, limits), monotonic() - begun, layers)

    try:
        with ThreadPoolExecutor(max_workers=jobs or os.cpu_count() or 1) as pool:
            yield from pool.map(one, files)
    finally:
        if isinstance(sandbox, WarmSandbox):
            sandbox.close()
