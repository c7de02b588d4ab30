"""Rehearsing a lock, keeping the signed result, and telling sealing what a lock can show."""

import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

import lockgate
from lockgate.app.crossing.collect import CurrentLock, current_lock
from lockgate.app.files import read_named
from lockgate.app.rehearsal.box import Box
from lockgate.app.rehearsal.context import Context, Outcome, Trial, some
from lockgate.app.rehearsal.errors import HostWantedError, OtherManifestError, RehearsalLimitError
from lockgate.app.rehearsal.far import URL, read_lookups
from lockgate.app.rehearsal.host import SignedHost, read_profile
from lockgate.app.rehearsal.missing import from_lookups, merged
from lockgate.app.rehearsal.models import rehearse_files, rehearse_models
from lockgate.app.rehearsal.pythons import rehearse_python
from lockgate.app.rehearsal.sets import rehearse_apt, rehearse_git, rehearse_images, rehearse_npm
from lockgate.app.rehearsal.stage import Stage, staged
from lockgate.app.rehearsal.standing import HOST, HOST_SUBJECT, LOCK_SUBJECT, NEWEST, PREDICATE, keep, kept
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of
from lockgate.app.trust import audit_log, signer_from, supply_root, utc_now
from lockgate.collect import Limits
from lockgate.collect.manifest import LoadedManifest, load_manifest
from lockgate.core.artifact import Kind
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.core.host import HOST_LIMIT
from lockgate.core.ports import Progress
from lockgate.core.rehearsal import REHEARSAL_FORMAT, STEPS_LIMIT, Rehearsal
from lockgate.core.roots import Purpose
from lockgate.core.wire import whole_second
from lockgate.isolate.errors import ControlFailedError
from lockgate.trust.attest import attest

_PARTS = (
    rehearse_python,
    rehearse_npm,
    rehearse_apt,
    rehearse_models,
    rehearse_images,
    rehearse_git,
    rehearse_files,
)
_TRIED = frozenset(
    {
        *(Kind.PYTHON, Kind.NPM, Kind.APT, Kind.OCI, Kind.GIT, Kind.DOCUMENT, Kind.FILE, Kind.RULES),
        *(Kind.MODEL, Kind.DATASET, Kind.SPACE),
    }
)
"""What a client here tries; of every other kind it is said that nothing did."""


def rehearse(side: Side, manifest: Path, host: Path | None, progress: Progress) -> Rehearsal:
    """Try the present lock on a throw-away high side; keep and return the signed result.

    Args:
        side: The low side.
        manifest: What the lock was collected from.
        host: The signed profile of the high-side host; None: the newest that was given before.
        progress: Told what is tried.

    Raises:
        OtherManifestError: The lock was collected from another manifest.
        HostWantedError: No profile was given, now or before.
        LockgateError: The profile does not verify, or the throw-away side cannot be made.

    """
    loaded, current = load_manifest(manifest, Limits()), current_lock(side)
    if loaded.sha256 != current.lock.manifest_sha256:
        what = f"The present lock was not collected from {manifest.name} as it is now."
        raise OtherManifestError(what)
    data = read_named(host, limit=HOST_LIMIT) if host is not None else kept(side, HOST)
    if data is None:
        raise HostWantedError("There is no profile of a high-side host to rehearse for.")
    signed = read_profile(side, data)
    log = audit_log(side)
    intent = log.intent("rehearse", lock=sha256(current.lock_bytes), host=signed.sha256)
    try:
        found = _tried(side, loaded, current, signed, progress)
        envelope = _signed(side, found)
    except LockgateError as error:
        log.outcome(intent, "refused", code=error.code, error=error.what)
        raise
    except BaseException as error:
        log.outcome(intent, "left", error=type(error).__name__)
        raise
    keep(side, {HOST: data, NEWEST: envelope})
    log.outcome(intent, "done", passed=found.passed, rehearsal=sha256(envelope))
    return found


def _tried(
    side: Side, manifest: LoadedManifest, current: CurrentLock, signed: SignedHost, progress: Progress
) -> Rehearsal:
    begun = whole_second(utc_now())
    with staged(side, current.lock, current.lock_bytes, progress) as stage:
        context = Context(
            box=Box(stage.network, _interpreters()),
            clients=stage.clients,
            host=signed.profile,
            manifest=manifest,
            lock=current.lock,
            url=URL,
            apt_sources=stage.apt_sources,
            blob=blobs_of(side).path,
            machine=platform.machine(),
            tell=lambda what: progress.start(what, 0),
        )
        outcomes = list(_outcomes(context))
        progress.finish()
        if len(outcomes) > STEPS_LIMIT:
            what = f"The rehearsal has {len(outcomes)} steps; at most {STEPS_LIMIT} are recorded."
            raise RehearsalLimitError(what, limit="STEPS_LIMIT")
        lost = merged(
            [*(m for each in outcomes for m in each.missing), *from_lookups(read_lookups(stage.home))]
        )
        left = _left(stage)
    return Rehearsal(
        format=REHEARSAL_FORMAT,
        lane=side.lane,
        lockgate=lockgate.__version__,
        lock_sha256=sha256(current.lock_bytes),
        host_sha256=signed.sha256,
        host=f"{signed.profile.name}: {signed.profile.sentence}",
        started=begun,
        finished=whole_second(utc_now()),
        native=context.native,
        left_packets=left,
        steps=tuple(each.step for each in outcomes),
        missing=lost,
    )


def _outcomes(context: Context) -> Iterator[Outcome]:
    for part in _PARTS:
        yield from part(context)
    yield from _not_emulated(context)


def _not_emulated(context: Context) -> Iterator[Outcome]:
    """Yield what of the host and of the lock nothing here stands for."""
    host = context.host
    if not context.native:
        why = f"This machine is {context.machine}: nothing for the host was run."
        yield Trial(context, f"processor {host.architecture}").unproven(why)
    if host.kernel != platform.release():
        yield Trial(context, f"kernel {host.kernel}").unproven(f"The rehearsal ran on {platform.release()}.")
    for each in host.graphics:
        why = "No graphics processor was used."
        yield Trial(context, f"graphics {each.name}, driver {each.driver}").unproven(why)
    for engine in host.engines:
        if engine.kind != "llama" or not engine.project:
            named = engine.project or engine.executable
            yield Trial(context, f"engine {engine.kind} ({named})").unproven("It was not started here.")
    for kind in Kind:
        names = [artifact.name for artifact in context.artifacts(kind)]
        if names and kind not in _TRIED:
            yield Trial(context, f"{kind}: {some(names)}").unproven("No client here fetches it.")


def _interpreters() -> list[Path]:
    """Return where other Pythons of this machine lie, for the box to show."""
    found = [shutil.which(f"python3.{minor}") for minor in range(8, 20)]
    return sorted({Path(each).resolve().parent.parent for each in found if each})


def _left(stage: Stage) -> int:
    """Return how many packets left the throw-away side, after showing that one would be counted.

    Raises:
        ControlFailedError, CounterAlteredError: What is counted cannot be relied on.

    """
    left = stage.network.left().packets
    if stage.network.positive_control().rise < 1:
        raise ControlFailedError("The counter of the throw-away network counts nothing.")
    return left


def _signed(side: Side, found: Rehearsal) -> bytes:
    signer = signer_from(side.home.keys, Purpose.COLLECTOR, supply_root(side)[1])
    subjects = {LOCK_SUBJECT: found.lock_sha256, HOST_SUBJECT: found.host_sha256}
    return attest(subjects, PREDICATE, found, signer)
