"""Joining trust to a side: pinned roots, keys of this side and of people, the log."""

from datetime import UTC, datetime
from pathlib import Path

from lockgate.app.keys import KeyPlace, opening_key, signing_key
from lockgate.app.settings import Side
from lockgate.app.stores import audit_records_of, records_of
from lockgate.audit import AuditLog
from lockgate.core.errors import TrustError, about
from lockgate.core.roots import Purpose, Root
from lockgate.core.wire import Document, decode
from lockgate.trust.errors import RootFileError
from lockgate.trust.keys import RecipientKey, Signer
from lockgate.trust.roots import (
    advance_supply_root,
    load_site_chain,
    load_supply_root,
    read_supply_root,
)


class DemoRootError(TrustError):
    """A production side met a demo root."""

    code = "LG-2f01"
    advice = "Demo roots keep all keys on one machine. Make real roots, each holder on their own machine."


class RootWithdrawnError(TrustError):
    """A site root that was installed is gone."""

    code = "LG-2f13"
    advice = "Somebody removed it from trust/. Install it again: `lockgate root install`."


class RootFloor(Document, frozen=True):
    """The newest site root that was ever installed on this side."""

    version: int
    sha256: str


SITE_FLOOR = "site-root"
FLOOR_KEY = "floor"


def utc_now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        what = f"The root {path} cannot be read: {error.strerror}."
        raise RootFileError(what) from error


def _demand_assurance(side: Side, root: Root) -> Root:
    if side.settings.lane.assurance == "production" and root.assurance != "production":
        what = f"The {root.kind} root has the assurance {root.assurance!r}; this side is for production."
        raise DemoRootError(what)
    return root


SITE_ROOT = "site.dsse.json"
"""The pinned site root; later versions are named ``N.site.dsse.json``."""


def site_root_files(side: Side) -> list[Path]:
    """Return the files of a side's site roots, oldest first."""
    later = {path: path.name.split(".")[0] for path in side.home.trust.glob(f"*.{SITE_ROOT}")}
    numbered = [path for path, number in later.items() if number.isdecimal()]
    return [side.home.trust / SITE_ROOT, *sorted(numbered, key=lambda path: int(later[path]))]


def site_roots(side: Side) -> list[Root]:
    """Return a side's site roots, from the pinned one to the newest, each signed by the one before."""
    files = site_root_files(side)
    envelopes = [_read(path) for path in files]
    with about(files[0] if len(files) == 1 else side.home.trust):
        chain = load_site_chain(envelopes, side.settings.trust.site_pin, side.lane)
    _demand_assurance(side, chain[0])
    return chain


def demand_newest(side: Side, site: Root) -> Root:
    """Return the site root when this side never had a newer one.

    Raises:
        RootWithdrawnError: A newer one was installed and is not there any more.

    """
    records = records_of(side)
    with records.transaction() as tx:
        value = tx.get(SITE_FLOOR, FLOOR_KEY)
    records.close()
    floor = decode(RootFloor, value) if value else None
    if floor is not None and site.version < floor.version:
        what = f"Site root {floor.version} was installed here, and the newest one there is {site.version}."
        raise RootWithdrawnError(what, floor=floor.version)
    return site


def site_root(side: Side, at: datetime | None) -> Root:
    """Return the newest site root of a side; what serves gives no moment, since expiry never stops it."""
    newest = site_roots(side)[-1]
    if at is not None:
        demand_newest(side, newest).demand_current(at)
    return newest


def supply_root_versions(side: Side) -> list[bytes]:
    """Return the supply roots that a side holds, oldest first."""
    named = {path: path.name.split(".")[0] for path in side.home.trust.glob("*.root.json")}
    numbered = [path for path, number in named.items() if number.isdecimal()]
    return [_read(path) for path in sorted(numbered, key=lambda path: int(named[path]))]


def supply_root(side: Side) -> tuple[bytes, Root]:
    """Return the newest supply root that a side trusts, checked from the pinned one on."""
    held = supply_root_versions(side)
    if not held:
        what = f"There is no supply root in {side.home.trust}."
        raise RootFileError(what)
    with about(side.home.trust / "1.root.json" if len(held) == 1 else side.home.trust):
        first = load_supply_root(held[0], side.settings.trust.supply_pin, side.lane)
        chain = advance_supply_root(held[0], held[1:])
        data = chain[-1][0] if chain else held[0]
        root = read_supply_root(data) if chain else first
    return data, _demand_assurance(side, root)


def signer_from(place: KeyPlace, purpose: Purpose, root: Root) -> Signer:
    """Return the key for a purpose at a place, with the person that the root names for it."""
    signer = signing_key(place, purpose)
    person = root.keys[signer.keyid].person if signer.keyid in root.keys else "unknown"
    return Signer(purpose, person, signer.raw)


def recipient_key(side: Side) -> RecipientKey:
    """Return the key that crates are opened with on this side."""
    return opening_key(side.home.keys, "gate")


def log_origin(side: Side) -> str:
    """Return the name of a side's log in its checkpoints."""
    return f"lockgate/{side.lane}/{side.settings.lane.side}"


def audit_log(side: Side) -> AuditLog:
    """Return a side's log."""
    return AuditLog(audit_records_of(side), log_origin(side), utc_now)
