"""Making a lane: two homes, two roots, a key for each purpose and person.

`make_demo_lane` plays all holders of a ceremony on one machine. It marks both roots
``assurance: demo``; sides configured for production refuse such roots, and reports say that
separation of duties was not shown.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from lockgate.app.settings import CONFIG_FILE
from lockgate.core.digests import words
from lockgate.core.errors import InputError
from lockgate.core.policy import OpaqueRule, Policy
from lockgate.core.profiles import PROFILES, demand_profile
from lockgate.core.roots import ROOT_FORMAT, HeldKey, Purpose, Recipient, Root, RootKind
from lockgate.core.wire import whole_second
from lockgate.store.blobs import sync_folder
from lockgate.trust.keys import (
    Signer,
    new_recipient_key,
    new_signer,
    save_recipient_key,
    save_signer,
)
from lockgate.trust.roots import make_supply_root, sign_site_root, site_root_pin, supply_root_pin

LOW_PURPOSES = (
    Purpose.COLLECTOR,
    Purpose.SEALER,
    Purpose.TARGETS,
    Purpose.SNAPSHOT,
    Purpose.TIMESTAMP,
)
HIGH_PURPOSES = (Purpose.INSPECTOR, Purpose.LOG, Purpose.REPOSITORY)
HOLDERS = 3
THRESHOLD = 2
YEAR = timedelta(days=365)
DEMO_VOLUME = 64 * 2**20
OPAQUE_TYPES = ("elf", "gguf", "safetensors", "onnx", "pickle")
"""Detected types that the demo's policy admits although nobody understands machine code or weights.

A pickle is opaque only where it names nothing outside an allowlist profile; any other is a finding.
"""


def demo_policy() -> Policy:
    """Return the demo's policy: the small team's, with two approvers and rules for opaque content."""
    rules = tuple(OpaqueRule(detected=kind) for kind in OPAQUE_TYPES)
    defaults = PROFILES["small-team"].policy()
    return msgspec.structs.replace(defaults, approvers=2, approval_seconds=7 * 86400, opaque=rules)


class LaneExistsError(InputError):
    """There is a lane in the folder already."""

    code = "LG-1f02"
    advice = "Choose another folder, or remove this one if it holds nothing you need."


@dataclass(frozen=True, slots=True)
class NewLane:
    """What making a lane gave: the two homes, the people's key folders, and both pins."""

    low: Path
    high: Path
    people: dict[str, Path]
    supply_pin: str
    site_pin: str

    @property
    def supply_words(self) -> str:
        """Return the supply root's pin as words to read aloud."""
        return words(self.supply_pin)

    @property
    def site_words(self) -> str:
        """Return the site root's pin as words to read aloud."""
        return words(self.site_pin)


def _keep(signer: Signer, folder: Path) -> None:
    """Write a key and its passphrase, each readable by its owner alone."""
    passphrase = secrets.token_urlsafe(24)
    save_signer(signer, folder / f"{signer.purpose}.pem", passphrase.encode())
    _secret(folder / f"{signer.purpose}.pass", passphrase)


def _secret(path: Path, text: str) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text)


def _listed(signers: list[Signer], expires: datetime) -> dict[str, HeldKey]:
    return {signer.keyid: signer.held(expires) for signer in signers}


def _supply(lane: str, now: datetime, people: Path, low: Path) -> bytes:
    holders = [new_signer(Purpose.SUPPLY_ROOT, f"supply-holder-{n + 1}") for n in range(HOLDERS)]
    workers = [new_signer(purpose, f"low-{purpose}") for purpose in LOW_PURPOSES]
    clerk = new_signer(Purpose.CUSTODIAN, "clerk-low")
    for person in (*holders, clerk):
        _keep(person, people / person.person)
    for worker in workers:
        _keep(worker, low / "keys")
    root = Root(
        format=ROOT_FORMAT,
        kind=RootKind.SUPPLY,
        lane=lane,
        version=1,
        assurance="demo",
        expires=now + YEAR,
        keys=_listed([*holders, *workers, clerk], now + YEAR),
        thresholds={Purpose.SUPPLY_ROOT: THRESHOLD},
    )
    return make_supply_root(root, holders[:THRESHOLD])


def _site(lane: str, now: datetime, people: Path, high: Path) -> bytes:
    holders = [new_signer(Purpose.SITE_ROOT, f"site-holder-{n + 1}") for n in range(HOLDERS)]
    approvers = [new_signer(Purpose.APPROVER, f"approver-{n + 1}") for n in range(HOLDERS)]
    # The operator holds an approver key as well: the rule that nobody approves their own request
    # has to hold even then.
    operator = [new_signer(purpose, "operator") for purpose in (Purpose.OPERATOR, Purpose.APPROVER)]
    machines = [new_signer(purpose, f"gate-{purpose}") for purpose in HIGH_PURPOSES]
    witness = new_signer(Purpose.WITNESS, "witness")
    clerk = new_signer(Purpose.CUSTODIAN, "clerk-high")
    canaries = [new_signer(Purpose.CANARY, f"canary-{n + 1}") for n in range(2)]
    releasers = [new_signer(Purpose.RELEASE, f"releaser-{n + 1}") for n in range(HOLDERS)]
    for person in (*holders, *approvers, *operator, *releasers, *canaries, witness, clerk):
        _keep(person, people / person.person)
    for machine in machines:
        _keep(machine, high / "keys")
    gate = new_recipient_key("gate")
    passphrase = secrets.token_urlsafe(24)
    save_recipient_key(gate, high / "keys" / "recipient.pem", passphrase.encode())
    _secret(high / "keys" / "recipient.pass", passphrase)
    published: dict[str, Recipient] = {gate.recipient_id: gate.published(now + YEAR)}
    root = Root(
        format=ROOT_FORMAT,
        kind=RootKind.SITE,
        lane=lane,
        version=1,
        assurance="demo",
        expires=now + YEAR,
        keys=_listed(
            [*holders, *approvers, *operator, *machines, *releasers, *canaries, witness, clerk], now + YEAR
        ),
        thresholds={Purpose.SITE_ROOT: THRESHOLD, Purpose.RELEASE: THRESHOLD},
        recipients=published,
        policy=demo_policy(),
    )
    demand_profile(root, now)
    return sign_site_root(root, holders[:THRESHOLD])


def _home(root: Path, lane: str, pins: tuple[str, str], roots: tuple[bytes, bytes], more: str) -> None:
    (root / "trust").mkdir(parents=True)
    if root.name == "high":  # where crates are copied to: `cp` makes another thing of a missing folder
        (root / "inbox").mkdir()
    (root / "trust" / "1.root.json").write_bytes(roots[0])
    (root / "trust" / "site.dsse.json").write_bytes(roots[1])
    text = (
        f'[lane]\nname = "{lane}"\nside = "{root.name}"\nassurance = "demo"\n\n'
        f'[trust]\nsupply_pin = "{pins[0]}"\nsite_pin = "{pins[1]}"\n{more}'
    )
    (root / CONFIG_FILE).write_text(text)
    sync_folder(root)


def make_demo_lane(folder: Path, lane: str, now: datetime) -> NewLane:
    """Make a demo lane below a folder: ``low/``, ``high/`` and ``people/``.

    Args:
        folder: Made when missing; must hold no lane yet.
        lane: The lane's name: lower-case letters, digits and hyphens.
        now: The present moment; keys and roots expire a year later.

    Raises:
        LaneExistsError: There is one already.
        InputError: A name with other characters.

    """
    if not lane or not all(c.isascii() and (c.islower() or c.isdigit() or c == "-") for c in lane):
        what = f"The lane name {lane[:40]!r} has other characters than a-z, 0-9 and '-'."
        raise InputError(what, advice="Choose a name such as 'demo' or 'plant-2'.")
    low, high, people = folder / "low", folder / "high", folder / "people"
    if low.exists() or high.exists() or people.exists():
        what = f"There is a lane in {folder} already."
        raise LaneExistsError(what)
    moment = whole_second(now)
    supply = _supply(lane, moment, people, low)
    site = _site(lane, moment, people, high)
    pins = supply_root_pin(supply), site_root_pin(site)
    _home(low, lane, pins, (supply, site), f"\n[seal]\nvolume_bytes = {DEMO_VOLUME}\n")
    _home(high, lane, pins, (supply, site), "")
    folders = {path.name: path for path in sorted(people.iterdir())}
    return NewLane(low, high, folders, pins[0], pins[1])
