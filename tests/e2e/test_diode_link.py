"""A crate over a real one-way link: two namespaces, losses and outages by the kernel, nothing comes back.

The link is emulated in software (docs/formats/diode-v1.md says what that is evidence of).
"""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from corpora import diode_ends
from corpora.diode import NAME, fake_crate
from corpora.onewaylink import PORT, RECEIVER_ADDRESS, LinkCounts, OneWayLink
from lockgate.core.digests import sha256_stream

PROGRAM = [sys.executable, diode_ends.__file__]
WAIT = 300
LOSSES = {"nothing lost": 0, "1 % lost": 10, "5 % lost": 50}


@dataclass
class Crossing:
    """What both ends and the link said about one transfer."""

    report: dict[str, Any]
    counts: LinkCounts
    sends: int = 1
    reports: list[dict[str, Any]] = field(default_factory=list)


def digests(folder: Path) -> dict[str, tuple[str, int]]:
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        with path.open("rb") as file:
            found[str(path.relative_to(folder))] = sha256_stream(file)
    return found


class Link:
    """A link with its two programs."""

    def __init__(self, link: OneWayLink, folder: Path, settings: dict[str, int]) -> None:
        self.link = link
        self.folder = folder
        self.settings = settings | {"address": RECEIVER_ADDRESS, "port": PORT}

    def once(self, crate: Path, inbox: Path, only: list[str], outage: int) -> dict[str, Any]:
        given = {"address": RECEIVER_ADDRESS, "port": PORT, "inbox": str(inbox), "silence": 5.0}
        receive = self.link.receiving([*PROGRAM, "receive", json.dumps(given)])
        sending = {"settings": self.settings, "crate": str(crate), "journal": str(self.folder), "only": only}
        with subprocess.Popen(receive, stdout=subprocess.PIPE, text=True) as there:
            assert there.stdout is not None
            assert json.loads(there.stdout.readline()) == {"port": PORT}
            send = self.link.sending([*PROGRAM, "send", json.dumps(sending)])
            with subprocess.Popen(send, stdout=subprocess.DEVNULL) as here:
                if outage:
                    self._await_packets()
                    self.link.outage(outage)
                assert here.wait(WAIT) == 0
            said, _ = there.communicate(timeout=WAIT)
        found: dict[str, Any] = json.loads(said)
        return found

    def _await_packets(self) -> None:
        before = self.link.arrived()
        while self.link.arrived() < before + 200:
            pass

    def cross(self, crate: Path, inbox: Path, outage: int = 0) -> Crossing:
        """Send a crate, and again what the receiver misses, until it is whole."""
        report = self.once(crate, inbox, [], outage)
        crossing = Crossing(report, self.link.counts(), 1, [report])
        while not report["whole"]:
            assert report["missing"], "something is missing and not named"
            assert crossing.sends < 5
            report = self.once(crate, inbox, report["missing"], 0)
            crossing.sends += 1
            crossing.reports.append(report)
        crossing.counts = self.link.counts()
        return crossing


def never_sent(counts: LinkCounts) -> bool:
    """Tell whether the receiver's end tried to send nothing, sent nothing, and nothing came back."""
    return (counts.tried_back, counts.transmitted, counts.came_back) == (0, 0, 0)


@pytest.fixture(scope="module")
def crate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_crate(tmp_path_factory.mktemp("small"), 6_000_000, 6_000_000)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_crate(tmp_path_factory.mktemp("large"), *[50_000_000] * 4)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    return tmp_path / "in"


@pytest.mark.parametrize("mtu", [1500, 9000])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_crate_crosses_whole_and_nothing_comes_back(
    crate: Path, inbox: Path, tmp_path: Path, loss: int, mtu: int
) -> None:
    with OneWayLink(mtu=mtu, loss_per_mille=loss) as link:
        crossing = Link(link, tmp_path, {"mtu": mtu, "rate": 20_000_000}).cross(crate, inbox)
    assert digests(inbox / NAME) == digests(crate)
    assert never_sent(crossing.counts)
    report = crossing.reports[0]
    # The receiver is done at the first end marker; the other four rounds may lose packets unseen.
    repeated = 4 * (len(digests(crate)) + 1)
    assert crossing.counts.lost - repeated <= report["lost"] <= crossing.counts.lost
    assert (crossing.counts.lost > 0) == (loss > 0)
    assert report["whole"]


def test_an_outage_is_made_good_or_named(crate: Path, inbox: Path, tmp_path: Path) -> None:
    with OneWayLink(mtu=9000) as link:
        crossing = Link(link, tmp_path, {"mtu": 9000, "rate": 20_000_000}).cross(crate, inbox, outage=50)
    assert digests(inbox / NAME) == digests(crate)
    assert crossing.counts.lost > 0
    assert never_sent(crossing.counts)


def test_the_counters_would_count_a_receiver_that_sends(tmp_path: Path) -> None:
    script = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))"
    with OneWayLink() as link:
        assert never_sent(link.counts())
        subprocess.run(link.receiving([sys.executable, "-c", script]), check=False, timeout=WAIT)
        assert link.counts().tried_back == 1
        assert link.counts().transmitted == 0


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("case", [*LOSSES, "50 ms outage"])
def test_200_mb_cross_20_times_of_20(large: Path, tmp_path: Path, case: str) -> None:
    wanted = digests(large)
    outage = 0 if case in LOSSES else 50
    sends = []
    for turn in range(20):
        with OneWayLink(mtu=9000, loss_per_mille=LOSSES.get(case, 0)) as link:
            ends = Link(link, tmp_path, {"mtu": 9000, "rate": 200_000_000})
            crossing = ends.cross(large, tmp_path / "in", outage)
        assert digests(tmp_path / "in" / NAME) == wanted, turn
        assert never_sent(crossing.counts)
        sends.append(crossing.sends)
        for path in sorted((tmp_path / "in" / NAME).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    print(case, "sendings needed:", sends)  # noqa: T201  # what the note shows
