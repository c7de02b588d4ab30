"""A high-side host as the low side has to know it, to try a crossing before it leaves. Pure data.

The profile is signed by an operator of the high side and carried back. Wherever it is read it is data from
another machine: every text is short and plain, every list bounded.
"""

from typing import Annotated

import msgspec

from lockgate.core.errors import InputError
from lockgate.core.wire import Document, Moment

HOST_FORMAT = "lockgate-host/1"
HOST_TYPE = "application/vnd.lockgate.host+json"
"""DSSE payload type of a host's profile."""

HOST_LIMIT = 64 * 1024
"""Longest signed profile that is read, in bytes."""

LIST_LIMIT = 32
"""Most interpreters, graphics processors, engines or programs of one profile."""

Plain = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9]?[A-Za-z0-9 ._+:~@/()-]{0,127}\Z")]
"""A name or version as a system tells it: one line of plain characters, perhaps empty."""

HostName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}\Z")]
Word = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{1,32}\Z")]
Numbers = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,4}(\.[0-9]{1,6}){1,2}\Z")]
"""Two or three numbers with dots between."""


class HostFormError(InputError):
    """A profile of a host has a format that this version does not read."""

    code = "LG-1008"
    advice = "Take it anew with `lockgate profile` of the same release of Lockgate."


class Interpreter(Document, frozen=True):
    """A Python: ``cpython`` and its version, as ``3.11.2``."""

    implementation: Word
    version: Numbers

    @property
    def minor(self) -> str:
        """Return the version that wheels are made for, as ``3.11``."""
        return ".".join(self.version.split(".")[:2])


class Graphics(Document, frozen=True):
    """A graphics processor and the version of its driver."""

    name: Plain
    driver: Plain


class HostEngine(Document, frozen=True):
    """An engine that loads models: what it is, the Python project that carries it and the program inside.

    `project` is empty for a program that was installed another way; `version` where nobody could tell.
    """

    kind: Word
    project: Plain = ""
    executable: Plain = ""
    version: Plain = ""


class HostProfile(Document, frozen=True):
    """What a host of the high side is, as far as it decides whether a crossing works there.

    Attributes:
        format: `HOST_FORMAT`.
        lane: The lane that the host is on.
        name: What people call it; no host name need leave the high side.
        taken: When the profile was taken.
        lockgate: The release of Lockgate that took it.
        system: The distribution's id, as ``debian`` (os-release(5)).
        release: Its version, as ``12``.
        codename: Its code name, as ``bookworm``.
        kernel: The kernel's release.
        architecture: The machine, as ``x86_64``.
        libc: ``glibc`` or ``musl``.
        libc_version: Its version, as ``2.36``; empty where nobody could tell.
        pythons: The interpreters.
        graphics: The graphics processors with their drivers.
        engines: The engines.
        programs: Versions of clients, by name.

    """

    format: str
    lane: str
    name: HostName
    taken: Moment
    lockgate: Plain
    system: Plain
    release: Plain
    codename: Plain
    kernel: Plain
    architecture: Word
    libc: Word
    libc_version: Annotated[str, msgspec.Meta(pattern=r"^([0-9]{1,4}(\.[0-9]{1,6}){1,2})?\Z")]
    pythons: Annotated[tuple[Interpreter, ...], msgspec.Meta(max_length=LIST_LIMIT)]
    graphics: Annotated[tuple[Graphics, ...], msgspec.Meta(max_length=LIST_LIMIT)] = ()
    engines: Annotated[tuple[HostEngine, ...], msgspec.Meta(max_length=LIST_LIMIT)] = ()
    programs: Annotated[dict[Word, Plain], msgspec.Meta(max_length=LIST_LIMIT)] = msgspec.field(
        default_factory=dict
    )

    @property
    def minors(self) -> tuple[str, ...]:
        """Return the versions of CPython that wheels are wanted for, the oldest first, each once."""
        found = {p.minor for p in self.pythons if p.implementation == "cpython"}
        return tuple(sorted(found, key=lambda each: [int(part) for part in each.split(".")]))

    @property
    def sentence(self) -> str:
        """Return the host as people read it."""
        libc = f"{self.libc} {self.libc_version}".strip()
        pythons = ", ".join(self.minors) or "none"
        return f"{self.system} {self.release} on {self.architecture}, {libc}, Python {pythons}"
