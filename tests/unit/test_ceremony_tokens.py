"""Every role's key in a token (SoftHSM 2): each person's machine has a token of its own."""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from corpora.ceremony import APPROVERS, LOW, SITE_HOLDERS, SUPPLY_HOLDERS, Ceremony
from corpora.commands import Commands, Ran
from corpora.softhsm import ED25519, P256, PIN, soft_token


class Machine(Commands):
    """The command line in a process of its own, with one machine's token."""

    def __init__(self, configuration: Path) -> None:
        self._environment = {**os.environ, "SOFTHSM2_CONF": str(configuration)}

    def run(self, *words: object) -> Ran:
        command = [sys.executable, "-m", "lockgate.cli.main", *map(str, words)]
        ran = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, check=False, timeout=300
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)


@dataclass
class TokenCeremony(Ceremony):
    """A ceremony whose keys all lie in tokens."""

    machines: dict[str, Machine] = field(default_factory=dict)

    def by(self, person: str) -> Commands:
        return self.machines.get(person, self.commands)

    def token(self, machine: str, *purposes: str, curve: bytes = P256) -> dict[str, str]:
        """Give a machine a token with keys; return their addresses by purpose."""
        folder = self.folder / "tokens" / machine
        folder.mkdir(parents=True)
        with soft_token(folder) as token:
            made = {}
            for n, purpose in enumerate(purposes, 1):
                derive, plain = purpose == "recipient", ED25519 if purpose == "log" else curve
                made[purpose] = token.make(purpose, n, P256 if derive else plain, derive=derive)
        self.machines[machine] = Machine(folder / "softhsm2.conf")
        return made


class Watch:
    """Looks at the command lines and environments of all processes while something runs."""

    def __init__(self) -> None:
        self.seen = 0
        self.found: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._stop.wait(0.01):
            for process in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        text = (process / name).read_bytes()
                    except OSError:
                        continue
                    self.seen += b"lockgate.cli.main" in text
                    if PIN.encode() in text and b"softhsm2-util" not in text:
                        self.found.append(f"{process.name} {name}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *end: object) -> None:
        self._stop.set()
        self._thread.join()


@pytest.mark.slow
def test_every_role_signs_and_opens_in_a_token(tmp_path: Path) -> None:
    lane = TokenCeremony(tmp_path)
    for n, person in enumerate((*SUPPLY_HOLDERS, *SITE_HOLDERS, *APPROVERS)):
        purpose = "supply-root" if person in SUPPLY_HOLDERS else "site-root"
        purpose = "approver" if person in APPROVERS else purpose
        lane.keys[person] = lane.token(person, purpose, curve=(P256, ED25519)[n % 2])[purpose]
    for side, purposes in (("low", LOW), ("high", ("inspector", "log", "recipient", "operator"))):
        keys = lane.folder / side / "keys"
        keys.mkdir(parents=True)
        for purpose, address in lane.token(side, *purposes).items():
            if purpose == "operator":  # who asks does so at the gate, where their token is plugged in
                lane.keys["ora"], lane.machines["ora"] = address, lane.machines["high"]
            else:
                (keys / f"{purpose}.uri").write_text(address)
    with Watch() as watch:
        lane.make()
        lane.collect("The pump has two valves.")
        crate = lane.seal()
        received = lane.by("high").json("receive", crate, "--home", lane.high)
        assert received["sealer"] == "low-sealer"
        lane.by("high").json("gate", "inspect", 1, "--home", lane.high)
        signed = lane.approve(lane.request(1), "gus", "ivy")
        done = lane.by("high").json("gate", "publish", *signed, "--home", lane.high)
    assert done["operation"] == "publish"
    assert watch.seen > 10, "the watch saw our processes"
    assert watch.found == []
    files = [f for f in tmp_path.rglob("*") if f.is_file()]
    assert not [f for f in files if f.suffix in {".pem", ".pass"}], "no key is in a file"
    # SoftHSM keeps the PIN in no clear text; its pin files are the pin-source.
    assert [f for f in files if PIN.encode() in f.read_bytes() and f.suffix != ".pin"] == []
    wrong = tmp_path / "wrong.pin"
    wrong.write_text("pin-other-8812")
    wrong.chmod(0o600)
    again = lane.folder / "table/again.json"
    ran = lane.by("ann").run(
        *("root", "sign", lane.root_file("supply", 1), "--key", lane.key("ann"), "--out", again, "--yes"),
        *("--token-pin-file", wrong),
    )
    assert ran.status == 2
    assert "LG-1103" in ran.err
    assert "pin-other-8812" not in ran.out + ran.err
    assert not again.exists()
