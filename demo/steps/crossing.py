"""Collecting, sealing, carrying, receiving, inspecting, approving and publishing."""

import shutil
import time
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from steps.custody import arrive, pack, record, tell_back
from steps.shell import Shell

APPROVERS = ("approver-1", "approver-2")


def collect(shell: Shell, manifest: Path) -> None:
    """Resolve and fetch what the manifest names, with this machine's own pip."""
    with shell.step("collect", "Low side: collect real packages, a real model and documents"):
        if "collected" not in shell.facts:
            shell.run("lockgate", "collect", manifest, "--home", shell.low, timed="collecting")
            facts = shell.json("lockgate", "collect", manifest, "--home", shell.low, "--dry-run", shown=False)
            shell.remember(collected=facts)
        facts = shell.facts["collected"]
        print(f"  {facts['artifacts']} artifacts, {facts['files']} files, {facts['bytes'] / 1e6:.1f} MB")


def seal(shell: Shell) -> None:
    """Seal the lock into a crate and carry it across, as media would."""
    with shell.step("seal", "Seal a crate, carry it across the gap"):
        if "crate" not in shell.facts:
            shell.remember(crate=shell.json("lockgate", "seal", "--home", shell.low, timed="sealing"))
        crate = Path(shell.facts["crate"]["path"])
        arrived = shell.high / "inbox" / crate.name
        for file in sorted(crate.iterdir()):
            size = sum(f.stat().st_size for f in ([file] if file.is_file() else file.iterdir()))
            print(f"  {file.name:<16} {size:>12,} bytes")
        if not arrived.is_dir():
            shell.say(["cp", "-r", crate, arrived.parent])
            partial = arrived.with_name(".copying")
            shutil.rmtree(partial, ignore_errors=True)
            begun = time.monotonic()
            shutil.copytree(crate, partial)
            partial.rename(arrived)
            shell.took("carrying", time.monotonic() - begun)
        pack(shell, crate)


def admit(shell: Shell) -> None:
    """Receive, inspect, ask, be refused, be approved by two others, publish."""
    with shell.step("admit", "High side: verify, quarantine, inspect, approve, publish"):
        listed = shell.json("lockgate", "gate", "list", "--home", shell.high, high=True, shown=False)
        states = {c["sequence"]: c["state"] for c in listed["crossings"]}
        crate = Path(shell.facts["crate"]["path"])
        sequence = int(shell.facts["crate"]["sequence"])
        if states.get(sequence) == "published":
            print("  published already")
            tell_back(shell, sequence)
            return
        arrive(shell, crate)
        shell.run(
            "lockgate",
            "receive",
            shell.high / "inbox" / crate.name,
            "--home",
            shell.high,
            high=True,
            timed="receiving",
        )
        record(shell, crate, sequence)
        shell.run(
            "lockgate", "gate", "inspect", str(sequence), "--home", shell.high, high=True, timed="inspecting"
        )
        told = shell.joined("record")
        if told:
            print(f"      {told[0]['handovers']} hand-overs on record, no gap")
        _approve(shell, sequence)
        tell_back(shell, sequence)


def _approve(shell: Shell, sequence: int) -> None:
    operator = shell.people / "operator"
    asked = shell.json(
        *("lockgate", "gate", "request", str(sequence), "--key", operator, "--home", shell.high),
        high=True,
        timed="requesting",
    )
    request = Path(asked["request"])
    site_root = shell.high / "trust" / "site.dsse.json"
    pin = tomllib.loads((shell.high / "lockgate.toml").read_text())["trust"]["site_pin"]
    trust: list[Any] = ["--site-root", site_root, "--pin", pin, "--yes"]
    acts: list[dict[str, str]] = []
    refusal = shell.refused("lockgate", "approve", request, "--key", operator, *trust)
    reason = f"{refusal['code']}: {refusal['error']}"
    acts.append({"person": operator.name, "act": "refused", "at": _now(), "reason": reason})
    signed = []
    for person in APPROVERS:
        folder = shell.people / person
        own = ["--key", folder, "--state", folder / "seen"]
        told = shell.json("lockgate", "approve", request, *own, *trust)
        signed.append(Path(told["signed"]))
        acts.append({"person": told["person"], "act": "approved", "at": _now(), "reason": ""})
        print(f"      signed by {told['person']}")
    statement = shell.json(
        "lockgate", "gate", "publish", *signed, "--home", shell.high, high=True, timed="publishing"
    )
    print(f"      published on {statement['channel']}, version {statement['channel_version']}")
    shell.remember(statement=statement, acts=acts)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
