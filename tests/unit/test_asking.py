"""Witnesses asked by the high side itself: when, whom, and what is told when one is silent."""

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from console_double import Fixed
from corpora.homes import HighSide
from corpora.witnesses import serving
from infer_doubles import site
from lockgate.app.check.doctor import examine
from lockgate.app.gate.emergency import act
from lockgate.app.high.console import Readings
from lockgate.app.high.signed_models import SignedModels
from lockgate.app.record.asking import STATE_FILE, Asker, last_asked, places
from lockgate.app.record.witness import WitnessAddressError, WitnessUnreachableError, open_witness
from lockgate.app.trust import audit_log
from lockgate.audit import Checkpoint
from lockgate.console.home import HomeData
from lockgate.console.pages import Pages
from lockgate.console.ports import Alerts
from lockgate.core.emergency import judge_debt
from lockgate.core.statement import Operation
from lockgate.watch import Condition

SECONDS = 180.0
NOW = datetime(2026, 5, 1, tzinfo=UTC)
SAID = Checkpoint("lockgate/harbour/high", 7, b"\0" * 32)


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    return HighSide.new(tmp_path)


def configure(high: HighSide, witness: str, every: int = 900) -> None:
    settings = high.lane.high / "lockgate.toml"
    before = settings.read_text().partition("\n[audit]")[0]
    settings.write_text(f'{before}\n[audit]\nwitness = "{witness}"\nwitness_every_seconds = {every}\n')


class Scene:
    """An asker with a clock and a witness of its own."""

    def __init__(self, high: HighSide, *addresses: str) -> None:
        configure(high, " ".join(addresses))
        self.high, self.now, self.asked = high, NOW, []
        self.broken: set[str] = set()
        self.asker = Asker(high.side, self._ask, lambda: self.now)

    def _ask(self, side, address):
        self.asked.append(address)
        if address in self.broken:
            raise WitnessUnreachableError("It does not answer.")
        return SAID, ["witness"]

    def look(self, seconds: float = 0) -> int:
        """Let time pass, look, and return how often somebody was asked."""
        self.now += timedelta(seconds=seconds)
        before = len(self.asked)
        self.asker.look()
        return len(self.asked) - before


A, B = "http://127.0.0.1:8790", "http://192.0.2.3:8790/log"


def test_a_witness_is_asked_at_once_at_its_interval_and_after_each_admission(high: HighSide) -> None:
    scene = Scene(high, A)
    assert [scene.look(s) for s in (0, 1, 898, 1, 1)] == [1, 0, 0, 1, 0]
    high.publish(1, "one")
    assert [scene.look(s) for s in (1, 1, 1)] == [1, 1, 0], "once more for the outcome, which is logged last"
    act(high.side, Operation.HOLD, "stable", ["crossing:1"], reason="x", key=high.lane.people["operator"])
    assert [scene.look(s) for s in (1, 1, 1)] == [1, 1, 0]
    assert scene.look(-7200) == 1, "a clock that went back makes nobody wait"


def test_a_silent_witness_is_asked_again_soon_and_what_it_said_before_stays(high: HighSide) -> None:
    scene = Scene(high, A, B)
    scene.look()
    scene.broken.add(B)
    scene.look(900)
    told = {each.address: each for each in last_asked(high.side)}
    assert (told[A].code, told[A].size, told[A].answered) == ("", 7, NOW + timedelta(seconds=900))
    assert (told[B].code, told[B].size, told[B].answered) == ("LG-5f11", 7, NOW)
    assert [scene.look(s) for s in (59, 1)] == [0, 1]
    assert scene.asked[-1] == B
    again = Asker(high.side, scene._ask, lambda: scene.now)
    again._channel = scene.asker._channel
    before = len(scene.asked)
    again.look()
    assert len(scene.asked) == before, "a supervisor that starts again remembers"


@pytest.mark.parametrize(
    "address",
    ["http://witness:8790", "http:" + "//1.2.3.4", "https://192.0.2.1", "192.0.2.1:1", "http://192.0.2.1:x", "http://[::]",
     "http://u@192.0.2.1", "http://192.0.2.1/?x", "http://[2001:4860::1]", "ftp://192.0.2.1"],
)  # fmt: skip
def test_whoever_may_lie_outside_is_never_asked(high: HighSide, address: str) -> None:
    configure(high, address)
    with pytest.raises(WitnessAddressError):
        Asker(high.side)
    assert {(p.name, p.state) for p in examine(high.lane.high)} >= {("Witness", "missing")}


def test_addresses_of_private_networks_are_taken_and_no_more_than_eight(high: HighSide) -> None:
    configure(high, "http://192.0.2.1 http://[fd00::1]:9 http://192.0.2.2/a http://[::1] http://127.0.0.1:1")
    assert [(p.host, p.port, p.here) for p in places(high.side)] == [
        ("192.0.2.1", 80, False), ("fd00::1", 9, False), ("192.0.2.2", 80, False), ("::1", 80, True),
        ("127.0.0.1", 1, True),
    ]  # fmt: skip
    configure(high, " ".join(f"http://192.0.2.{n}" for n in range(9)))
    with pytest.raises(WitnessAddressError, match="witnesses_limit"):
        places(high.side)


def test_nobody_is_asked_where_nobody_is_named(high: HighSide) -> None:
    asker = Asker(high.side)
    asker.start()
    asker.stop()
    asker.look()
    assert not (high.side.home.run / STATE_FILE).exists()
    assert ("Witness", "absent") in {(p.name, p.state) for p in examine(high.lane.high)}


def until(ready) -> None:
    pause = threading.Event()
    for _ in range(int(SECONDS / 0.05)):
        if ready():
            return
        pause.wait(0.05)
    raise AssertionError


def test_a_real_witness_cosigns_in_the_background_and_its_silence_is_told_everywhere(
    high: HighSide, tmp_path: Path
) -> None:
    root = (high.lane.high / "trust" / "site.dsse.json").read_bytes()
    witness = open_witness(high.lane.people["witness"], [root], high.lane.site_pin, tmp_path / "state")
    with serving(witness, first=True) as address:
        configure(high, address)
        asker = Asker(high.side, look_seconds=0.05)
        asker.start()
        try:
            until(lambda: last_asked(high.side))
            high.publish(1, "one")
            size = audit_log(high.side).size()
            until(lambda: last_asked(high.side)[0].size >= size - 1)  # the outcome may come after the look
        finally:
            asker.stop()
        assert audit_log(high.side).witnessed()
        (told,) = last_asked(high.side)
        assert (told.people, told.code) == (("witness",), "")
        assert point(high).state == "soon", "it is on this machine"
        assert "on this machine" in point(high).detail
        assert [h.condition for h in witnesses(high)] == [Condition.UP]
        assert HomeData(Readings(high.side)).alerts().witnesses[0][1] is True
    asker = Asker(high.side, clock=lambda: datetime.now(UTC) + timedelta(days=1))
    asker.look()
    assert (point(high).state, "LG-5f11" in point(high).detail) == ("missing", True)
    assert [h.condition for h in witnesses(high)] == [Condition.FAILING]
    (seen,) = HomeData(Readings(high.side)).alerts().witnesses
    assert (seen[0], seen[1]) == (address, False)
    assert seen[2] is not None


def point(high: HighSide):
    return next(p for p in examine(high.lane.high) if p.name == "Witness")


def witnesses(high: HighSide):
    return [h for h in Readings(high.side).health() if h.target.name == "witness"]


def test_a_state_that_somebody_wrote_over_tells_nothing_and_stops_nothing(high: HighSide) -> None:
    scene = Scene(high, A)
    scene.look()
    for text in ("", "[]", '{"witnesses":[1]}', "x" * 100_000):
        (high.side.home.run / STATE_FILE).write_text(text)
        assert last_asked(high.side) == ()
    assert scene.look(900) == 1
    assert last_asked(high.side)[0].size == 7


def test_one_look_that_fails_in_an_unknown_way_is_not_the_last(
    high: HighSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(high, A)
    tries, enough = [], threading.Event()

    def broken(side, address):
        tries.append(address)
        if len(tries) > 2:
            enough.set()
        raise RuntimeError

    asker = Asker(high.side, broken, look_seconds=0.01)
    asker.start()
    assert enough.wait(SECONDS)
    asker.stop()
    assert not asker._thread.is_alive()


# --- the debt of second signatures, told by every service --------------------------------------


def test_what_is_owed_shows_at_the_console_and_at_the_gateway(high: HighSide) -> None:
    high.publish(1, "one", "two")
    data = HomeData(Readings(high.side))
    assert (data.alerts().debt, data.alerts().debt_seconds) == (0, None)
    act(
        high.side,
        Operation.WITHDRAW,
        "stable",
        ["pkg:generic/one@1"],
        reason="x",
        key=high.lane.people["operator"],
    )
    found = data.alerts()
    assert found.debt == 1
    assert 0 < (found.debt_seconds or 0) <= 7 * 86_400
    owed = SignedModels(high.side).current().owed
    assert judge_debt(owed, datetime.now(UTC) + timedelta(days=8)) == 2

    async def ask_the_gateway() -> tuple[str, str]:
        async with site() as s:
            s.source.view = replace(s.source.view, owed=owed)
            async with s.session.get("/healthz") as health, s.session.get("/metrics") as metrics:
                return (await health.json())["second_signature"], await metrics.text()

    said, metrics = asyncio.run(ask_the_gateway())
    assert said == "due"
    assert "lockgate_gateway_second_signature 1.0\n" in metrics
    (high.side.home.channels / "stable.dsse.json").write_bytes(b"{}")
    assert HomeData(Readings(high.side)).alerts().debt == -1


def test_the_console_tells_alerts_as_metrics() -> None:
    data = Fixed()
    data.alerting = Alerts(2, -60.0, ((A, True, 5.0), (B, False, None)), 3)
    text = generate_latest(Pages(data).registry).decode()
    for line in (
        "lockgate_second_signature 2.0",
        "lockgate_second_signature_seconds -60.0",
        "lockgate_crossings_held 3.0",
        f'lockgate_witness_up{{witness="{A}"}} 1.0',
        f'lockgate_witness_up{{witness="{B}"}} 0.0',
        f'lockgate_witness_age_seconds{{witness="{A}"}} 5.0',
    ):
        assert f"{line}\n" in text, line
    assert f'lockgate_witness_age_seconds{{witness="{B}"}}' not in text
