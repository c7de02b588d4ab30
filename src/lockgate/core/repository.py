"""What package clients verify of a repository beside the snapshot: dated indexes and their signatures.

An index is apt's ``Release`` or dnf's ``repomd.xml``. The snapshot holds each without its date, so that
approvers sign what it lists. The date is that of the channel's statement: apt takes no older file than the
one it has, and a rollback has to be newer than what it takes back. So the dated text follows from the
statement and the snapshot alone.
"""

from datetime import datetime
from typing import Annotated

import msgspec

from lockgate.core.artifact import Digest
from lockgate.core.wire import Document

SIGNATURES_FORMAT = "lockgate-repository/1"
SIGNATURES_LIMIT = 1 << 22
"""Longest document with signatures, in bytes."""

RELEASE = "Release"
REPOMD = "repomd.xml"
UNDATED = "-"
"""What an undated ``repomd.xml`` says in place of every time."""

_INDEXES = (("apt/", f"/{RELEASE}"), ("rpm/", f"/{REPOMD}"))
_PLACES = (b"revision", b"timestamp")

Raw = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{2}){32,256}\Z")]
"""A raw signature, in hexadecimal digits."""


class ReleaseSignatures(Document, frozen=True):
    """The signatures over one dated index: as clear text (InRelease), and beside it (``repomd.xml.asc``)."""

    text: Raw
    detached: Raw


class RepositorySignatures(Document, frozen=True):
    """What the gate signed for one statement: its indexes, and its key's own name.

    `releases` are by the page's path; `keyid` is a key of the site root for the purpose ``repository``, and
    `certification` its signature over itself and the lane's name.
    """

    format: str
    statement_sha256: Digest
    keyid: str
    certification: Raw
    releases: dict[str, ReleaseSignatures]


def is_release(path: str) -> bool:
    """Tell whether a page of a snapshot is an index without its date, which the gate dates and signs."""
    return any(path.startswith(folder) and path.endswith(name) for folder, name in _INDEXES)


def dated(path: str, index: bytes, created: datetime) -> bytes:
    """Return an index with its date.

    A Release file has it as RFC 5322 text in UTC, as "DebianRepository/Format" asks; ``repomd.xml`` as
    seconds since 1970 in each of its places for a time. There is no ``Valid-Until``: what a closed network
    serves does not stop being installable because nobody carried anything in; the age of what is served is
    the console's and the metrics' to show.
    """
    if path.endswith(f"/{REPOMD}"):
        seconds = str(int(created.timestamp())).encode()
        for place in _PLACES:
            empty = b"<" + place + b">" + UNDATED.encode() + b"</" + place + b">"
            index = index.replace(empty, empty.replace(b">-<", b">" + seconds + b"<"))
        return index
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    day = f"{days[created.weekday()]}, {created.day:02d} {months[created.month - 1]} {created.year}"
    return f"Date: {day} {created:%H:%M:%S} UTC\n".encode() + index


def user_id(lane: str) -> str:
    """Return the name that the key of a lane bears."""
    return f"Lockgate lane {lane}"
