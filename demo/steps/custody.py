"""The package's way from hand to hand, and the receipt that goes back: signed beside the other work."""

import shutil
import tomllib
from pathlib import Path

from steps.shell import Shell

COURIER = "courier-7"
SEAL = "A104311"
MEDIUM = "USB-0001"
APPROVERS = ("approver-1", "approver-2")
PACKED = 2
"""Hand-overs before the package leaves: packed, and given to the courier."""


def _chain(folder: Path, crate: Path) -> Path:
    return folder / f"{crate.name}.custody.json"


def pack(shell: Shell, crate: Path) -> None:
    """Begin the chain: the clerk of the low side packs, seals, and hands the package to a courier."""
    chain = _chain(crate.parent, crate)
    if shell.facts.get("handovers", 0) >= PACKED:
        return
    chain.unlink(missing_ok=True)
    clerk = ("--key", shell.people / "clerk-low", "--home", shell.low)
    seen = ("--place", "low counter", "--seal", SEAL)
    shell.beside(
        "pack",
        ("lockgate", "custody", "begin", crate, "--medium", MEDIUM, *seen, *clerk),
        ("lockgate", "custody", "hand", chain, "--to", COURIER, *seen, *clerk),
    )


def arrive(shell: Shell, crate: Path) -> None:
    """The clerk of the high side compares the seal and the crate, and signs for the package."""
    _say(shell, "pack")
    carried, chain = _chain(crate.parent, crate), _chain(shell.high / "inbox", crate)
    if shell.facts.get("handovers") == PACKED:
        shutil.copyfile(carried, chain)
        clerk = ("--key", shell.people / "clerk-high", "--place", "high counter", "--home", shell.high)
        seen = ("--seal", SEAL, "--crate", shell.high / "inbox" / crate.name)
        shell.beside("arrive", ("lockgate", "custody", "receive", chain, "--from", COURIER, *seen, *clerk))


def record(shell: Shell, crate: Path, sequence: int) -> None:
    """Put the chain on record, for the approvers."""
    _say(shell, "arrive")
    chain = _chain(shell.high / "inbox", crate)
    if shell.facts.get("handovers", 0) > PACKED:
        shell.beside("record", ("lockgate", "custody", "record", str(sequence), chain, "--home", shell.high))


def tell_back(shell: Shell, sequence: int) -> None:
    """Tell the low side how the crossing ended: a receipt that two approvers sign, and nothing more."""
    folder = shell.folder / "receipt"
    folder.mkdir(exist_ok=True)
    asked, text = folder / "request.json", folder / "receipt.txt"
    if text.is_file():  # a crossing has one receipt, and it is read once
        return
    pin = tomllib.loads((shell.high / "lockgate.toml").read_text())["trust"]["site_pin"]
    trust = ("--site-root", shell.high / "trust" / "site.dsse.json", "--pin", pin, "--yes")
    signed = {person: folder / f"{person}.json" for person in APPROVERS}
    operator = ("--key", shell.people / "operator", "--out", asked)
    shell.beside(
        "receipt",
        ("lockgate", "receipt", "make", str(sequence), *operator, "--home", shell.high),
        *(
            ("lockgate", "receipt", "sign", asked, "--key", shell.people / person, *trust, "--out", file)
            for person, file in signed.items()
        ),
        ("lockgate", "receipt", "export", asked, *signed.values(), "--out", text, "--home", shell.high),
        ("lockgate", "receipt", "read", text, "--home", shell.low),
    )


def told_back(shell: Shell) -> None:
    """Show the receipt, and what the low side learnt from it."""
    said = shell.joined("receipt")
    if said:
        size, standing = said[-2]["bytes"], said[-1]["standing"]
        shell.remember(receipt={"standing": standing, "bytes": size})
        print(f"      {size} bytes went back; the low side knows: crossing {said[-1]['crossing']} {standing}")


def _say(shell: Shell, name: str) -> None:
    told = shell.joined(name)
    for step in told:
        this = step["handover"]
        packed = this["giver"] == this["receiver"]
        way = f"packed by {this['giver']}" if packed else f"{this['giver']} → {this['receiver']}"
        print(f"      {way} at the {this['place']}, seal {SEAL}, signed by {', '.join(step['signers'])}")
    if told:
        shell.remember(handovers=told[-1]["handover"]["step"] + 1)
