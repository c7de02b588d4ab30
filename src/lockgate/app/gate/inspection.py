"""Inspecting files that anybody names, outside of any crossing."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from lockgate.core.artifact import Kind
from lockgate.core.digests import sha256_stream
from lockgate.core.verdict import Outcome, Severity, Verdict
from lockgate.inspect import InspectItem, Limits, Sandbox, inspect_file
from lockgate.inspect.errors import NotInspectableError
from lockgate.inspect.insecure import InsecureInProcessSandbox
from lockgate.inspect.sandbox import BubblewrapSandbox, open_regular

_KINDS = {
    ".whl": Kind.PYTHON,
    ".gguf": Kind.MODEL,
    ".onnx": Kind.MODEL,
    ".safetensors": Kind.MODEL,
    ".md": Kind.DOCUMENT,
    ".html": Kind.DOCUMENT,
    ".htm": Kind.DOCUMENT,
    ".pdf": Kind.DOCUMENT,
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


def files_below(paths: Sequence[Path]) -> list[Path]:
    """Return the files that paths name, folders walked in order of their names.

    Raises:
        NotInspectableError: A path does not exist.

    """
    out: list[Path] = []
    for path in paths:
        if path.is_dir():
            out.extend(sorted(item for item in path.rglob("*") if item.is_file() and not item.is_symlink()))
        elif path.exists():
            out.append(path)
        else:
            what = f"{path} does not exist."
            raise NotInspectableError(what)
    return out


def inspect_paths(
    files: Sequence[Path], kind: Kind | None = None, jobs: int = 0, *, insecure: bool = False
) -> Iterator[Inspected]:
    """Yield the verdict of each file, in order.

    Args:
        files: Regular files.
        kind: What they are; told by the name's extension when left out.
        jobs: Processes at a time; 0 for one per processor.
        insecure: Parse in this very process, without any isolation; never for hostile files.

    Raises:
        NotInspectableError: A file cannot be read.
        SandboxUnavailableError: Nothing can be parsed safely here.

    """
    sandbox: Sandbox = InsecureInProcessSandbox() if insecure else BubblewrapSandbox()
    layers, limits = sandbox.describe()["sandbox"], Limits()

    def one(path: Path) -> Inspected:
        begun = monotonic()
        with os.fdopen(open_regular(path), "rb") as stream:
            digest, size = sha256_stream(stream)
        item = InspectItem(
            path=path.name,
            kind=kind or _KINDS.get(path.suffix.lower(), Kind.FILE),
            file=path,
            sha256=digest,
            size=size,
        )
        return Inspected(path, inspect_file(item, sandbox, limits), monotonic() - begun, layers)

    with ThreadPoolExecutor(max_workers=jobs or os.cpu_count() or 1) as pool:
        yield from pool.map(one, files)
