"""What holds blobs: everything on a side that names one, followed to the last file.

Begins wide: each SHA-256 that stands in any record, in a channel's file, in a request that waits, or
in a lock. A blob that is named so is held. Documents among them are followed: a statement to what it
names, a lock and a list of what was sent to their files, and a snapshot to its files and pages. Where
only the newest versions of channels keep their content, older snapshots stay as documents (the record
of what was served), and what they alone name is no longer held.
"""

import base64
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from lockgate.admit.model import CHANNELS, DENIED, HISTORY, ChannelPointer
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.core.artifact import Lock
from lockgate.core.errors import LockgateError, TrustError
from lockgate.core.parts import PARTED_START, STARTS, named_by, open_snapshot, part_digests
from lockgate.core.wire import decode
from lockgate.crossing.bases import CONTENTS_LIMIT, Contents
from lockgate.crossing.seal import ONTO_MEDIA
from lockgate.store import BlobStore
from lockgate.store.garbage import MARKS
from lockgate.store.ports import Transaction

FILE_LIMIT = 1 << 28
"""Longest file of a home that is read for digests, in bytes; a longer one ends the search with an error."""

_DIGEST = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_NOT_HOLDING = frozenset({MARKS, DENIED})
"""Collections that name blobs without wanting them."""
_FOLDERS = ("channels", "pending", "locks", f"outbox/{ONTO_MEDIA}")
_HEAD = 24
_LOCK, _CONTENTS, _ENVELOPE = b'{"artifacts":', b'{"files":', b'{"payload":'


class HoldUnknownError(TrustError):
    """A document that says what is held cannot be read: nothing may be collected as garbage."""

    code = "LG-2f22"
    advice = "Nothing was removed. Mend the store from a replica (`lockgate mirror scrub`) or a backup first."


def held_blobs(side: Side, keep: int = 0) -> set[str]:
    """Return the digests of everything that a side holds.

    Args:
        side: The side.
        keep: How many of the newest versions of each channel keep their content; 0: all.

    Raises:
        HoldUnknownError: A document that names what is held is missing, altered or too long.

    """
    records, blobs = records_of(side), blobs_of(side)
    try:
        with records.transaction() as tx:
            named = set(_named_in_records(tx))
            kept, retired = _snapshots(tx, keep)
    finally:
        records.close()
    try:
        named |= set(_named_in_files(side))
        return _Tracer(blobs, retired - kept).follow(named | kept | retired, kept)
    except (LockgateError, OSError, ValueError) as error:
        said = error.what if isinstance(error, LockgateError) else str(error)
        what = f"What is held cannot be told: {said}"
        raise HoldUnknownError(what) from error


def _named_in_records(tx: Transaction) -> Iterator[str]:
    for collection in tx.collections():
        if collection not in _NOT_HOLDING:
            for key, value in tx.scan(collection):
                yield from _digests(key.encode())
                yield from _digests(value)


def _named_in_files(side: Side) -> Iterator[str]:
    for folder in _FOLDERS:
        root: Path = side.home.root / folder
        for file in sorted(root.rglob("*")) if root.is_dir() else ():
            if file.is_file() and not file.is_symlink():
                yield from _digests_of(_read(file))


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        data = stream.read(FILE_LIMIT + 1)
    if len(data) > FILE_LIMIT:
        what = f"{file.name} is longer than {FILE_LIMIT} bytes"
        raise ValueError(what)
    return data


def _snapshots(tx: Transaction, keep: int) -> tuple[set[str], set[str]]:
    """Return the snapshots whose content is kept, and all that channels ever served."""
    served: dict[str, list[ChannelPointer]] = {}
    for key, value in tx.scan(HISTORY):
        served.setdefault(key.partition(":")[0], []).append(decode(ChannelPointer, value))
    kept = {p.snapshot_sha256 for _, value in tx.scan(CHANNELS) for p in [decode(ChannelPointer, value)]}
    kept |= {p.previous_sha256 for _, value in tx.scan(CHANNELS) for p in [decode(ChannelPointer, value)]}
    for pointers in served.values():
        newest = sorted(pointers, key=lambda pointer: pointer.version, reverse=True)
        kept |= {pointer.snapshot_sha256 for pointer in (newest[:keep] if keep else newest)}
    everything = {p.snapshot_sha256 for pointers in served.values() for p in pointers}
    return kept - {"0" * 64}, everything


def _digests(data: bytes) -> Iterator[str]:
    return (match.group().decode() for match in _DIGEST.finditer(data))


def _digests_of(data: bytes) -> set[str]:
    """Return the digests in a document, and in the payload of an envelope."""
    found = set(_digests(data))
    if data.startswith(_ENVELOPE):
        payload = data[len(_ENVELOPE) + 1 :].partition(b'"')[0]
        found |= set(_digests(base64.b64decode(payload, validate=True)))
    return found


class _Tracer:
    """Follows documents from digest to digest."""

    def __init__(self, blobs: BlobStore, retired: Collection[str]) -> None:
        self._blobs = blobs
        self._retired = retired
        self._held: set[str] = set()

    def follow(self, named: Iterable[str], demanded: Collection[str]) -> set[str]:
        """Return all that is held, beginning with digests; those that are demanded must be there."""
        waiting = list(named)
        while waiting:
            digest = waiting.pop()
            if digest in self._held:
                continue
            if not self._blobs.has(digest):
                if digest in demanded:
                    what = f"the snapshot {digest[:12]} is not in the store"
                    raise ValueError(what)
                continue
            self._held.add(digest)
            waiting += self._documents(digest)
        return self._held

    def _documents(self, digest: str) -> Iterable[str]:
        """Hold what a document names; return what has to be followed from there."""
        with self._blobs.open(digest) as stream:
            head = stream.read(_HEAD)
        if head.startswith(STARTS):
            retired = digest in self._retired
            if not retired or head.startswith(PARTED_START):
                snapshot = open_snapshot(digest, self._blobs)
                # What a retired snapshot held can still be told: its parts are documents, as it is one.
                self._held |= part_digests(snapshot) if retired else named_by(snapshot)
            return ()
        if head.startswith(_LOCK):
            lock = decode(Lock, self._blobs.read(digest, limit=CONTENTS_LIMIT), limit=CONTENTS_LIMIT)
            self._held |= {file.sha256 for artifact in lock.artifacts for file in artifact.files}
            return ()
        if head.startswith(_CONTENTS):
            sent = decode(Contents, self._blobs.read(digest, limit=CONTENTS_LIMIT), limit=CONTENTS_LIMIT)
            self._held |= set(sent.files.values())
            return [sent.lock_sha256] if isinstance(sent.lock_sha256, str) else ()
        if head.startswith(_ENVELOPE):
            return _digests_of(self._blobs.read(digest))
        return ()
