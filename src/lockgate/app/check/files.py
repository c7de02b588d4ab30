"""Every file of a side read again: which is not what it should be, where it lies, and what to do.

Nothing is written and nothing is repaired. What signatures vouch for is checked by them, what has a digest
for its name by the digest, databases by their own structure.
"""

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lockgate.app.crossing.collect import ATTESTATION_NAME, current_lock
from lockgate.app.crossing.repair import repair_crate
from lockgate.app.files import read_named
from lockgate.app.gate.approve import BESIDE
from lockgate.app.high.console import Readings
from lockgate.app.high.identities import grants_file
from lockgate.app.high.quotas import quota_file
from lockgate.app.high.roots import InstalledRoots
from lockgate.app.high.scrub import DamagedBlobsError
from lockgate.app.record.audit import verify_log
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of
from lockgate.app.trust import demand_newest, site_root, supply_root
from lockgate.approve import ChannelReader, read_statement
from lockgate.approve.service import STATEMENT_LIMIT
from lockgate.core.digests import sha256
from lockgate.core.errors import HostError, LockgateError, TrustError, about
from lockgate.core.ports import Progress
from lockgate.crossing import LOCK, SBOM
from lockgate.crossing.contents import check_collection
from lockgate.infer import FileKeys
from lockgate.store import BlobStore, FileBlobs
from lockgate.store.errors import BlobMissingError
from lockgate.store.scrub import Pace, scrub

_UNBOUNDED = 1 << 62
"""As fast as the disk reads, in bytes a second."""


class DatabaseDamagedError(HostError):
    """A database of this side is not whole."""

    code = "LG-5f30"
    advice = (
        "Stop the services, keep the file for a look, and restore the newest backup: `lockgate restore`."
        " Nothing is served by a row alone."
    )


class CrateDamagedError(TrustError):
    """A crate that lies here is damaged."""

    code = "LG-2f31"
    advice = "`lockgate repair` rebuilds it from its parity; without parity copy the named file once more."


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not what it should be: in which part of the side, and the error that says so."""

    part: str
    error: LockgateError


@dataclass(slots=True)
class Looked:
    """How many things of each part were looked at, and what is wrong."""

    parts: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @contextmanager
    def at(self, part: str, file: Path | None = None) -> Iterator[None]:
        """Look at one thing of a part; an error becomes a fault, which names the file."""
        self.parts[part] = self.parts.get(part, 0) + 1
        try:
            yield
        except LockgateError as error:
            if file is not None:
                error.where.setdefault("file", file)
            self.faults.append(Fault(part, error))


def look(side: Side, progress: Progress) -> Looked:
    """Read everything that a side keeps.

    Args:
        side: The side.
        progress: Told of the bytes of blobs and crates.

    """
    found = Looked()
    with found.at("roots", side.home.trust):
        supply_root(side)
    with found.at("roots", side.home.trust):
        demand_newest(side, site_root(side, None))
    rooted = not found.faults
    _databases(side, found)
    _documents(side, found)
    if side.settings.lane.side == "high":
        _requests(side, found)
        if rooted:  # without the roots no signature says anything
            _channels(side, found)
            _verdicts(side, found)
    elif rooted and any(side.home.locks.glob("*.json")):
        with found.at("lock", side.home.locks / ATTESTATION_NAME):
            _lock(side)
    if rooted and not any(fault.part == "databases" for fault in found.faults):
        with found.at("audit log"):
            verify_log(side)
    _crates(side, found, progress)
    _blobs(side, found, progress)
    return found


def _databases(side: Side, found: Looked) -> None:
    root = side.home.root
    for file in sorted((*root.glob("*.sqlite"), *side.home.knowledge.glob("*.sqlite"))):
        with found.at("databases", file):
            _whole(file)


def _whole(file: Path) -> None:
    """Demand that a database is structured as SQLite wrote it; it may be in use."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            (said,) = opened.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        said = str(error)
    if said != "ok":
        what = f"The database {file.name} is damaged: {said}."
        raise DatabaseDamagedError(what, file=file)


def _documents(side: Side, found: Looked) -> None:
    """Read what a high side keeps beside its databases: keys of callers, their quotas, grants."""
    keys = side.home.trust / "api-keys.json"
    readers: dict[Path, Callable[[], object]] = {
        keys: FileKeys(keys).all,
        side.home.trust / "quotas.json": lambda: quota_file(side).find(""),
        side.home.trust / "grants.json": lambda: grants_file(side).all(),
    }
    for file, read in readers.items():
        if file.is_file():
            with found.at("documents", file):
                read()


def _requests(side: Side, found: Looked) -> None:
    for file in sorted(side.home.pending.glob("*.json")):
        if not file.name.endswith(BESIDE):
            with found.at("requests", file):
                read_statement(read_named(file, limit=STATEMENT_LIMIT))


def _channels(side: Side, found: Looked) -> None:
    """Verify each channel as a service would, and that every file of its snapshot is there."""
    blobs, roots = blobs_of(side), InstalledRoots(side)
    for file in sorted(side.home.channels.glob("*.dsse.json")):
        name = file.name.removesuffix(".dsse.json")
        with found.at("channels"), _anew(file), tempfile.TemporaryDirectory() as folder:
            # what a service served last is its own affair: a floor that nobody keeps
            verified = ChannelReader(roots, name, file, blobs, Path(folder) / "floor").current()
            for admitted in verified.snapshot.admitted:
                for each in admitted.artifact.files:
                    if not blobs.has(each.sha256):
                        what = f"{each.path} of {admitted.artifact.purl} is served and missing."
                        advice = f"Bring it again with crossing {admitted.crossing}, or restore a backup."
                        raise BlobMissingError(what, advice=advice, sha256=each.sha256)


@contextmanager
def _anew(file: Path) -> Iterator[None]:
    """Say of a channel's own file that the records hold what it has to be."""
    try:
        yield
    except LockgateError as error:
        if error.where.get("file") == file:
            error.what_to_do += " `lockgate gate list` writes the file again from the records."
        raise


def _verdicts(side: Side, found: Looked) -> None:
    with found.at("verdicts"):
        readings = Readings(side)
        for crossing in readings.crossings():
            with found.at("verdicts"), _named(f"crossing {crossing.sequence}"):
                readings.verdicts(crossing)


@contextmanager
def _named(what: str) -> Iterator[None]:
    try:
        yield
    except LockgateError as error:
        error.where.setdefault("of", what)
        raise


def _lock(side: Side) -> None:
    """Demand that the collector signed exactly this lock and this bill of materials."""
    held = current_lock(side)
    meta = {LOCK: sha256(held.lock_bytes), SBOM: sha256(held.sbom)}
    check_collection(held.attestation, meta, supply_root(side)[1], held.lock.created)


def _crates(side: Side, found: Looked, progress: Progress) -> None:
    for folder in (side.home.inbox, side.home.outbox):
        for manifest in sorted(folder.glob("*/crate.json")):
            with found.at("crates", manifest.parent), about(manifest.parent):
                damages = repair_crate(None, manifest.parent, None, progress, check=True).damages
                if damages:
                    first = damages[0]
                    what = f"{first.file} is {first.why} at {first.offset}, {first.length} bytes"
                    more = f", and {len(damages) - 1} more places" if len(damages) > 1 else ""
                    sentence = f"{what}{more}."
                    raise CrateDamagedError(sentence, file=manifest.parent / first.file)


def _blobs(side: Side, found: Looked, progress: Progress) -> None:
    stores: dict[str, BlobStore] = {"blobs": blobs_of(side)}
    if side.settings.lane.side == "high":
        stores["quarantine"] = FileBlobs(side.home.quarantine)
    for part, blobs in stores.items():
        with found.at(part):
            seen = scrub(blobs, Pace(_UNBOUNDED, time.monotonic, time.sleep), progress=progress)
            found.parts[part] = seen.blobs
            for digest in seen.damaged:
                what = f"The blob {digest[:12]}… is not what its name says."
                error = DamagedBlobsError(what, file=blobs.lies_at(digest), sha256=digest)
                found.faults.append(Fault(part, error))
