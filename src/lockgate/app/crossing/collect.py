"""Collecting on the low side: the lock, its bill of materials, and the collector's signature over both."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import audit_log, signer_from, supply_root, utc_now
from lockgate.collect import Collected, Foreseen, NpmCommand, PipPackages, UrlWeb, collect, plan
from lockgate.collect.apt import AptCommand
from lockgate.collect.conda import Rattler
from lockgate.collect.git import GitCommand
from lockgate.collect.hub import WebHub
from lockgate.collect.logins import hub_login, registry_login
from lockgate.collect.oci import Clients, Registries, Skopeo, WebRegistry
from lockgate.collect.rpm import DnfCommand
from lockgate.collect.universal import UvLocker
from lockgate.core.artifact import Lock
from lockgate.core.digests import sha256
from lockgate.core.errors import InputError, LockgateError, about
from lockgate.core.ports import Progress
from lockgate.core.roots import Purpose
from lockgate.core.wire import decode, encode
from lockgate.crossing.contents import attest_collection
from lockgate.store.blobs import sync_folder
from lockgate.store.garbage import pick_up, settle

LOCK_NAME = "lock.json"
SBOM_NAME = "sbom.cdx.json"
ATTESTATION_NAME = "lock.dsse.json"


class NotCollectedError(InputError):
    """Nothing was collected on this side yet."""

    code = "LG-1f05"
    advice = "Run `lockgate collect MANIFEST` first."


@dataclass(frozen=True, slots=True)
class CurrentLock:
    """What was collected last: the three files as they will cross."""

    lock: Lock
    lock_bytes: bytes
    sbom: bytes
    attestation: bytes


def run_plan(side: Side, manifest: Path, progress: Progress, *, offline: bool) -> tuple[Foreseen, ...]:
    """Return what collecting a manifest would change; nothing is fetched that is kept.

    Raises:
        LockgateError: See `collect.plan`.

    """
    pip = PipPackages(os.environ)
    return plan(
        manifest,
        blobs=blobs_of(side),
        work=side.home.root / "work",
        progress=progress,
        packages=pip,
        web=UrlWeb(pip.web_settings()),
        locker=UvLocker(os.environ),
        npm=NpmCommand(os.environ, offline=offline),
        apt=AptCommand(os.environ),
        rpm=DnfCommand(os.environ),
        conda=Rattler(),
        images=Clients(Skopeo(os.environ), _registries(pip)),
        git=GitCommand(os.environ),
        hub=WebHub(pip.web_settings(), hub_login(os.environ)),
        hub_endpoint=os.environ.get("HF_ENDPOINT", ""),
        previous=_previous(side),
        offline=offline,
    )


def _registries(pip: PipPackages) -> Registries:
    """Return how registries are read: with the network settings and the logins of the machine's clients."""
    return lambda host, plain: WebRegistry(
        host, plain=plain, settings=pip.web_settings(), login=registry_login(os.environ, host)
    )


def run_collect(
    side: Side,
    manifest: Path,
    progress: Progress,
    *,
    offline: bool,
    dry_run: bool,
    only: Collection[str] = (),
) -> Collected:
    """Collect what a manifest names; unless it is a dry run, make it the side's current lock.

    With `only`, what other tables brought stays as the current lock has it.

    Raises:
        LockgateError: Nothing was changed; the log says what was refused.

    """
    log = audit_log(side)
    intent = log.intent("collect", manifest=manifest.name)
    pip = PipPackages(os.environ)
    records = records_of(side)
    began = pick_up(records, ())
    try:
        found = collect(
            manifest,
            blobs=blobs_of(side),
            work=side.home.root / "work",
            lane=side.lane,
            clock=utc_now,
            progress=progress,
            packages=pip,
            web=UrlWeb(pip.web_settings()),
            locker=UvLocker(os.environ),
            npm=NpmCommand(os.environ, offline=offline),
            apt=AptCommand(os.environ),
            rpm=DnfCommand(os.environ),
            conda=Rattler(),
            git=GitCommand(os.environ),
            copier=Skopeo(os.environ),
            registries=_registries(pip),
            hub=WebHub(pip.web_settings(), hub_login(os.environ)),
            hub_endpoint=os.environ.get("HF_ENDPOINT", ""),
            previous=_previous(side),
            only=only,
            offline=offline,
        )
        if not dry_run:
            with records.transaction() as tx:
                settle(tx, blobs_of(side), {f.sha256 for a in found.lock.artifacts for f in a.files}, began)
            _keep(side, found)
    except LockgateError as error:
        log.outcome(intent, "refused", code=error.code, error=error.what)
        raise
    finally:
        records.close()
    log.outcome(intent, "tried" if dry_run else "done", lock=sha256(encode(found.lock)))
    return found


def _previous(side: Side) -> Lock | None:
    file = side.home.locks / LOCK_NAME
    with about(file):
        return decode(Lock, file.read_bytes(), name="lock") if file.is_file() else None


def _keep(side: Side, found: Collected) -> None:
    """Sign and write the three files; the lock last, so that it never lacks its signature."""
    lock = encode(found.lock)
    signer = signer_from(side.home.keys, Purpose.COLLECTOR, supply_root(side)[1])
    attestation = attest_collection(found.lock, found.sbom, signer)
    folder = side.home.locks
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in ((SBOM_NAME, found.sbom), (ATTESTATION_NAME, attestation), (LOCK_NAME, lock)):
        partial = folder / f".{name}.{os.getpid()}"
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(folder / name)
    sync_folder(folder)


def current_lock(side: Side) -> CurrentLock:
    """Return what was collected last.

    Raises:
        NotCollectedError: Nothing yet.

    """
    folder = side.home.locks
    try:
        lock, sbom, attestation = (
            (folder / name).read_bytes() for name in (LOCK_NAME, SBOM_NAME, ATTESTATION_NAME)
        )
    except FileNotFoundError:
        raise NotCollectedError("Nothing was collected yet.") from None
    with about(folder / LOCK_NAME):
        return CurrentLock(decode(Lock, lock, name="lock"), lock, sbom, attestation)
