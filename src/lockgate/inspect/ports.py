"""What inspection needs of others, and what its parts pass to each other."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from lockgate.core.artifact import Artifact, Digest, Size
from lockgate.core.verdict import Finding
from lockgate.core.wire import Document
from lockgate.inspect.announced import SiteInspector
from lockgate.inspect.rulesets import RuleSet
from lockgate.inspect.tally import Context, Tally

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.+/-]{0,47}\Z")]
"""A type of content or an inspector, in lower case."""


class Inspector(ABC):
    """Validates one kind of content, byte for byte, without ever executing any of it."""

    name: ClassVar[str]
    version: ClassVar[int]
    detects: ClassVar[frozenset[str]]
    """The detected types that this inspector understands."""

    @abstractmethod
    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim every byte that was validated, and note what was seen.

        Args:
            data: The content.
            tally: Takes claims and findings.
            context: Names, limits and the way to inspect members.

        """


class InspectItem(Document, frozen=True):
    """A file to inspect.

    `path` is the label in the lock, `file` where the bytes lie now. `kind` is the artifact's
    kind (`lockgate.core.artifact.Kind`) and decides how strict documents and models are read.
    `profile` names what pickles may be read as; `auto` is whichever covers them. `role` says what part of
    a package it is (`lockgate.inspect.tally.Context`).
    """

    path: str
    kind: str
    file: Path
    sha256: Digest
    size: Size
    profile: Name = "auto"
    role: str = ""


class Part(Document, frozen=True):
    """What the worker says of one file, as it travels from the child process."""

    detected: Name
    size: Size
    covered: Size
    complete: bool
    opaque: tuple[Name, ...]
    findings: tuple[Finding, ...]
    inspectors: tuple[Name, ...]
    uses: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()


class Job(Document, frozen=True):
    """One call of a function of ours over one file, in a process that can do nothing else.

    `entry` is ``lockgate.room.module:function``; the function takes the content as a
    `memoryview` and `args` as bytes, and returns the answer as bytes.
    """

    entry: str
    file: Path
    args: bytes = b""
    wall_seconds: float = 60.0
    cpu_seconds: int = 60
    memory_bytes: int = 1 << 30
    output_bytes: int = 4 << 20


class Sandbox(ABC):
    """Runs one job, isolated from everything but its file."""

    rules: RuleSet = RuleSet()
    """The rules that are scanned with inside."""
    site: tuple[SiteInspector, ...] = ()
    """The site's own inspectors that are seen inside."""

    @abstractmethod
    def run(self, job: Job) -> bytes:
        """Return the answer of the job's function.

        Raises:
            NotInspectableError: The file is no readable regular file.
            BadEntryError: The entry is not a function of Lockgate.
            JobFailedError: The process died or broke the protocol.
            JobTimeoutError: It ran past `wall_seconds`.
            JobOutputError: It answered more than `output_bytes`.
            SandboxUnavailableError: The sandbox cannot be built here.

        """

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """Return the layers of the isolation, for `lockgate doctor` and the audit log."""


class Whole(Document, frozen=True):
    """An artifact with the places of its files, for what only shows across them."""

    artifact: Artifact
    places: dict[str, Path]
    """Path in the lock → where the bytes lie now."""
