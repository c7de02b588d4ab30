"""Taking roots over: a side is made of two first roots, and follows those that came after."""

import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lockgate.app.high.channel import channel_file
from lockgate.app.lane.ceremony import Looked, look_at
from lockgate.app.lane.lane import LaneExistsError
from lockgate.app.lane.qr_parts import read_document
from lockgate.app.settings import CONFIG_FILE, Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import (
    FLOOR_KEY,
    SITE_FLOOR,
    SITE_ROOT,
    RootFloor,
    audit_log,
    demand_newest,
    site_root,
    site_root_files,
    site_roots,
    supply_root,
    supply_root_versions,
)
from lockgate.approve import verify_channel
from lockgate.core.ceremony import demand_sound
from lockgate.core.errors import InputError, LockgateError, PolicyError
from lockgate.core.roots import Root, RootKind
from lockgate.core.wire import encode
from lockgate.crossing.ledger import FileSupplyRoots
from lockgate.store.blobs import sync_folder
from lockgate.trust.ceremony import RootDocument, read_root
from lockgate.trust.errors import PinMismatchError, RootChainError, WrongLaneError
from lockgate.trust.roots import (
    advance_supply_root,
    load_site_root,
    load_supply_root,
    rotate_site_root,
    site_root_pin,
)

_LANE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class LaneNameError(InputError):
    """A lane's name has other characters than it may."""

    code = "LG-1f12"
    advice = "Choose a name such as 'plant-2': lower-case letters, digits and hyphens."


class ServedByDroppedKeyError(PolicyError):
    """A new site root drops a key that what is served depends on."""

    code = "LG-3f13"
    advice = "Retire the key in place of dropping it, or first have the channel's statement signed by others."


@dataclass(frozen=True, slots=True)
class Joined:
    """What making a side gave."""

    home: Path
    supply_pin: str
    site_pin: str


@dataclass(frozen=True, slots=True)
class Installed:
    """What following a newer root changed."""

    root: Root
    pin: str
    file: Path
    fresh: bool


def _durable(target: Path, data: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = target.with_name(f".{target.name}.partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)
    sync_folder(target.parent)


def demand_pins(supply: RootDocument, site: RootDocument, pins: tuple[str, str]) -> None:
    """Demand that two documents are the roots whose digests somebody was told another way.

    Raises:
        PinMismatchError: One is not.

    """
    for document, pin in zip((supply, site), pins, strict=True):
        if pin and document.pin != pin:
            what = f"The {document.kind} root is not the one with the digest that was given."
            raise PinMismatchError(what, pin=pin)


def join_lane(home: Path, side: str, supply: bytes, site: bytes, at: datetime) -> Joined:
    """Make one side of a lane from the two first roots; keys may lie in ``keys/`` already.

    Args:
        home: The folder of this side; it holds no side yet.
        side: ``low``, ``high`` or ``station``.
        supply: Version 1 of the supply root, signed by its threshold.
        site: Version 1 of the site root, signed by its threshold.
        at: The present moment.

    Raises:
        LaneExistsError: There is a side already.
        WrongLaneError: The roots are of two lanes, or of two assurances.
        RootExpiredError, ThresholdError, SignatureError, RootChainError: A root is not whole.

    """
    if (home / CONFIG_FILE).exists():
        what = f"There is a side in {home} already."
        raise LaneExistsError(what)
    documents = read_root(supply), read_root(site)
    lane = _one_lane(*documents)
    for document in documents:
        demand_sound(document.root, at)
    pins = documents[0].pin, documents[1].pin
    load_supply_root(supply, pins[0], lane)
    load_site_root(site, pins[1], lane, at)
    root = home.absolute()
    _durable(root / "trust" / "1.root.json", supply)
    _durable(root / "trust" / SITE_ROOT, site)
    assurance = documents[0].root.assurance
    text = (
        f'[lane]\nname = "{lane}"\nside = "{side}"\nassurance = "{assurance}"\n\n'
        f'[trust]\nsupply_pin = "{pins[0]}"\nsite_pin = "{pins[1]}"\n'
    )
    _durable(root / CONFIG_FILE, text.encode())  # last: without it there is no side yet
    return Joined(root, *pins)


def _one_lane(supply: RootDocument, site: RootDocument) -> str:
    if (supply.kind, site.kind) != (RootKind.SUPPLY, RootKind.SITE):
        raise WrongLaneError("One document has to be a supply root and the other a site root.")
    facts = [(d.root.lane, d.root.assurance, d.root.version) for d in (supply, site)]
    if facts[0] != facts[1] or facts[0][2] != 1:
        what = f"The roots do not belong together: {facts[0]} and {facts[1]} (lane, assurance, version)."
        raise WrongLaneError(what, advice="A side is made of version 1 of both; later versions follow after.")
    if not _LANE.fullmatch(facts[0][0]):
        what = f"The lane name {facts[0][0][:40]!r} has other characters than a-z, 0-9 and '-'."
        raise LaneNameError(what)
    return facts[0][0]


def follow(side: Side, files: list[Path]) -> Looked:
    """Return what a document changes on this side, beside the version that it follows.

    Raises:
        RootChainError: The version before it is not held.
        LockgateError: See `ceremony.look`.

    """
    document = read_root(read_document(files))
    version = document.root.version
    held = [read_root(data) for data in _held(side, document.kind)]
    before = [each for each in held if each.root.version == version - 1]
    if version > 1 and not before:
        what = f"{document.kind} root {version} does not follow {held[-1].root.version}, the newest one held."
        raise RootChainError(what)
    return look_at(document, before[0] if before else None)


def _held(side: Side, kind: RootKind) -> list[bytes]:
    if kind is RootKind.SUPPLY:
        supply_root(side)
        return supply_root_versions(side)
    site_roots(side)
    return [file.read_bytes() for file in site_root_files(side)]


def install_root(side: Side, looked: Looked, at: datetime) -> Installed:
    """Follow a newer root that enough holders of it and of the one before it signed; durable on return.

    Doing it again changes nothing.

    Raises:
        RootChainError: It does not follow the one held, or there is another of its version.
        ThresholdError, SignatureError: Not enough holders.
        CeremonyError: It would not be sound.
        ServedByDroppedKeyError: What is served depends on a key that it drops.

    """
    document = looked.document
    facts = {"kind": document.kind, "version": document.root.version, "pin": document.pin}
    with audit_log(side).recorded("install-root", **facts) as said:
        demand_sound(document.root, at)
        follow = _follow_site if document.kind is RootKind.SITE else _follow_supply
        done = follow(side, document, at)
        said["changes"] = looked.changes[:64]
    return done


def _follow_supply(side: Side, document: RootDocument, at: datetime) -> Installed:
    del at  # TUF judges the expiry of a root when it is used
    held, root = supply_root(side)
    file = side.home.trust / f"{document.root.version}.root.json"
    chain = advance_supply_root(held, [document.data])
    if not chain and document.root.version < root.version:
        known = {read_root(data).pin for data in supply_root_versions(side)}
        if document.pin not in known:
            what = f"Supply root {document.root.version} is older than the one held, and another."
            raise RootChainError(what)
    if chain:
        FileSupplyRoots(side.home.trust).add(document.root.version, document.data)
    return Installed(document.root, document.pin, file, bool(chain))


def _follow_site(side: Side, document: RootDocument, at: datetime) -> Installed:
    chain = site_roots(side)
    newest = chain[-1]
    if document.root.version <= newest.version:
        return _same_site(side, document)
    new = rotate_site_root(newest, document.data, at)
    if side.settings.lane.side == "high":
        _demand_serving(side, new)
    file = side.home.trust / f"{new.version}.{SITE_ROOT}"
    _durable(file, document.data)
    _raise_floor(side, new.version, document.pin)
    return Installed(new, document.pin, file, fresh=True)


def _same_site(side: Side, document: RootDocument) -> Installed:
    version = document.root.version
    file = side.home.trust / (SITE_ROOT if version == 1 else f"{version}.{SITE_ROOT}")
    if not file.is_file() or site_root_pin(file.read_bytes()) != document.pin:
        what = f"There is another site root {version} on this side."
        raise RootChainError(what)
    newest = site_root(side, None)
    if newest.version == version:  # a kill may have come between the file and its record
        _raise_floor(side, version, document.pin)
    return Installed(document.root, document.pin, file, fresh=False)


def _raise_floor(side: Side, version: int, pin: str) -> None:
    records = records_of(side)
    with records.transaction() as tx:
        tx.put(SITE_FLOOR, FLOOR_KEY, encode(RootFloor(version=version, sha256=pin)))
    records.close()


def _demand_serving(side: Side, new: Root) -> None:
    """Demand that the statements of all served channels still verify, or serving would stop."""
    blobs = blobs_of(side)
    for file in sorted(side.home.channels.glob(channel_file(side, "*").name)):
        envelope = file.read_bytes()
        try:
            verify_channel(envelope, new, blobs)
        except LockgateError as error:
            channel = file.name.split(".")[0]
            what = f"The channel {channel!r} would no longer be served: {error.what}"
            raise ServedByDroppedKeyError(what, channel=channel) from error


def current_document(side: Side, kind: RootKind) -> bytes:
    """Return the newest root of a side as a document, to make the next version of it."""
    if kind is RootKind.SITE:
        demand_newest(side, site_root(side, None))
    return _held(side, kind)[-1]
