"""Updating Lockgate itself: releases that crossed are verified, installed into a slot, and tried there."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lockgate import __version__
from lockgate.app.gate.holds import demand_open
from lockgate.app.high.channel import channel_reader
from lockgate.app.release.release import judge_release, read_release, release_digest
from lockgate.app.release.slots import Installed, demand_unaltered, install_slot, read_slot, slot_folder
from lockgate.app.release.trial import open_crates, retain_crate, verify_copy
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import audit_log, site_root, utc_now
from lockgate.approve import VerifiedChannel
from lockgate.core.errors import LockgateError
from lockgate.core.release import (
    RELEASE_LIMIT,
    RELEASE_SUFFIX,
    RELEASES,
    TRIAL_FORMAT,
    Active,
    NotTriedError,
    Release,
    ReleaseRefusedError,
    Trial,
    demand_newer,
    standing,
)
from lockgate.core.snapshot import Admitted
from lockgate.core.statement import NOTHING
from lockgate.core.wire import decode, digest_of, encode, whole_second
from lockgate.crossing.disk import alone
from lockgate.store import Transaction

TRIALS = "release-trial"
ACTIVE = "active"
BUSY = ".updating"


@dataclass(frozen=True, slots=True)
class Offered:
    """A release in the channel's snapshot, whose signatures verify; or why it is refused."""

    file: str
    envelope: bytes
    version: str
    standing: str
    people: tuple[str, ...]
    refused: str
    admitted: Admitted


@dataclass(frozen=True, slots=True)
class Tried:
    """A release that was tried in its slot."""

    release: Release
    installed: Installed
    trial: Trial


def active_release(side: Side) -> Active:
    """Return what is active; before the first update it is what the first kit installed."""
    records = records_of(side)
    with records.transaction() as tx:
        found = active_in(tx)
    records.close()
    return found


def active_in(tx: Transaction) -> Active:
    """Return what is active by the records of a transaction."""
    value = tx.get(RELEASES, ACTIVE)
    if value is not None:
        return decode(Active, value, name="active release")
    return Active(
        version=__version__,
        release_sha256=NOTHING,
        slot=sys.prefix,
        statement_sha256=NOTHING,
        since=whole_second(utc_now()),
        highest=__version__,
        highest_sha256=NOTHING,
    )


def offered(side: Side) -> list[Offered]:
    """Return the releases in the channel's snapshot: admitted by two people like everything else."""
    channel = channel_reader(side, "update").current()
    site, now, active = site_root(side, None), utc_now(), active_release(side)
    found = []
    for admitted, file, envelope in _releases(side, channel):
        version, people, state, refused = "", frozenset[str](), "", ""
        try:
            release, people = judge_release(envelope, site, now)
            version = release.version
            _demand_brought(channel, release)
            state = standing(version, release_digest(envelope), active)
        except LockgateError as error:
            refused = f"{error.code} {error.what}"
        found.append(Offered(file, envelope, version, state, tuple(sorted(people)), refused, admitted))
    return found


def _releases(side: Side, channel: VerifiedChannel) -> Iterator[tuple[Admitted, str, bytes]]:
    """Yield what was admitted under the name of a release, unjudged."""
    blobs = blobs_of(side)
    for admitted in channel.snapshot.admitted:
        for file in admitted.artifact.files:
            if file.path.endswith(RELEASE_SUFFIX):
                yield admitted, file.path, blobs.read(file.sha256, limit=RELEASE_LIMIT)


def _demand_brought(channel: VerifiedChannel, release: Release) -> None:
    """Demand that every wheel of a release was admitted, as it is named in the release."""
    held = {f.sha256: f.size for a in channel.snapshot.admitted for f in a.artifact.files}
    for file in release.files:
        if held.get(file.sha256) != file.size:
            what = f"The release {release.version} brings {file.name}, which was not admitted."
            raise ReleaseRefusedError(what, file=file.name)


def find(side: Side, version: str) -> tuple[Admitted, bytes, Release]:
    """Return an offered release by its version, verified; what does not verify cannot stand in its way.

    Raises:
        ReleaseRefusedError: None, or several.
        ThresholdError, SignatureError, …: What has this version is not signed by who has to.

    """
    channel = channel_reader(side, "update").current()
    site, now = site_root(side, utc_now()), utc_now()
    found: dict[str, tuple[Admitted, bytes, Release]] = {}
    refusals: list[LockgateError] = []
    for admitted, _, envelope in _releases(side, channel):
        if _version_of(envelope) != version:
            continue
        try:
            release, _ = judge_release(envelope, site, now)
            _demand_brought(channel, release)
        except LockgateError as error:
            refusals.append(error)
            continue
        found[release_digest(envelope)] = (admitted, envelope, release)
    if not found and refusals:
        raise refusals[0]
    if len(found) != 1:
        what = f"{len(found)} releases with the version {version[:64]} were admitted; it has to be one."
        raise ReleaseRefusedError(what, advice="`lockgate update list` shows what was admitted.")
    return next(iter(found.values()))


def _version_of(envelope: bytes) -> str:
    """Return the version that a document claims; `update list` says why one cannot be read."""
    try:
        return read_release(envelope).version
    except LockgateError:
        return ""


def try_release(side: Side, version: str) -> Tried:
    """Install a release into its slot and try it there; what is active goes on.

    Doing it again tries it again in the same slot.

    Raises:
        ReleaseRefusedError, ThresholdError, SignatureError, …: Not a release that may follow.
        SlotError, SlotAlteredError: It cannot be installed.
        TrialFailedError: It does not do what the running version does.

    """
    demand_open(records_of(side))
    with audit_log(side).recorded("try-release", version=version) as said:
        with alone(side.home.releases / BUSY):
            done = _try(side, version)
        said.update(release=done.trial.release_sha256, trial=digest_of(done.trial))
    return done


def _try(side: Side, version: str) -> Tried:
    _, envelope, release = find(side, version)
    digest = release_digest(envelope)
    demand_newer(release.version, digest, active_release(side))
    blobs, home = blobs_of(side), side.home.releases

    def fetch(wanted: str, target: Path) -> None:
        with blobs.open(wanted) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file)

    installed = install_slot(slot_folder(home / "slots", release, digest), release, digest, fetch)
    now = whole_second(utc_now())
    retain_crate(home / "test-crates", now)
    with tempfile.TemporaryDirectory(prefix="trial-", dir=home) as name:
        work = Path(name)
        crates = open_crates(installed, home / "test-crates", work)
        size, root = verify_copy(side, installed, work)
    demand_unaltered(installed)
    trial = Trial(
        format=TRIAL_FORMAT,
        release_sha256=digest,
        slot_sha256=installed.slot.tree_sha256,
        crates=crates,
        log_size=size,
        log_root=root,
        tried=now,
    )
    records = records_of(side)
    with records.transaction() as tx:
        tx.put(TRIALS, digest, encode(trial))
    records.close()
    return Tried(release, installed, trial)


def trial_of(side: Side, digest: str) -> Trial:
    """Return what trying a release gave.

    Raises:
        NotTriedError: It was not tried.

    """
    records = records_of(side)
    with records.transaction() as tx:
        value = tx.get(TRIALS, digest)
    records.close()
    if value is None:
        raise NotTriedError("The release was not tried in its slot.")
    return decode(Trial, value, name="trial")


def tried_slot(side: Side, release: Release, trial: Trial) -> Installed:
    """Return the slot of a release when it is the one that was tried; its files are not hashed here.

    Raises:
        NotTriedError: It is not.

    """
    found = read_slot(slot_folder(side.home.releases / "slots", release, trial.release_sha256))
    if found is None or found.slot.tree_sha256 != trial.slot_sha256:
        raise NotTriedError("The slot is not the one that was tried.")
    return found


def release_of(side: Side, digest: str) -> Release:
    """Return an admitted release by its digest, verified again by today's site root."""
    for each in offered(side):
        if not each.refused and release_digest(each.envelope) == digest:
            return read_release(each.envelope)
    raise ReleaseRefusedError("The release is not among those that were admitted and that verify.")
