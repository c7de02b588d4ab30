"""A counter: what it finds, what it refuses, who may use its page, and that only the clerk's key signs."""

import asyncio
import io
from pathlib import Path

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from corpora.commands import Commands
from corpora.counters import CALL, new_lane, on_the_way
from corpora.custody import Package, envelope
from lockgate.app.crossing.counter import CHAINS_LIMIT, Desk, ManyChainsError, NoPackageError
from lockgate.app.crossing.custody import StopAndCallError, custodians_of
from lockgate.app.keys import signing_key
from lockgate.app.lane.lane import NewLane
from lockgate.app.settings import load_settings
from lockgate.console.counter import COOKIE, GUESSES_LIMIT, Counter
from lockgate.core.custody import MarkError
from lockgate.core.errors import TrustError
from lockgate.core.roots import KeyPurposeError, Purpose
from lockgate.crossing.custody import verify_chain
from lockgate.trust.errors import KeyFileError
from lockgate.trust.keys import Signer

SLIP = "42-7F3A-9C12-44B0"
SEALS = "A104311 A104312"


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> NewLane:
    return new_lane(tmp_path_factory.mktemp("lane"))


@pytest.fixture
def chains(lane: NewLane, tmp_path: Path) -> Path:
    on_the_way(lane, tmp_path / "chains")
    return tmp_path / "chains"


@pytest.fixture
def desk(lane: NewLane, chains: Path) -> Desk:
    return Desk(load_settings(lane.high), chains, lane.people["clerk-high"], "High counter")


def length(lane: NewLane, chains: Path) -> int:
    (file,) = chains.glob("*42-*.json")
    return len(verify_chain(file.read_bytes(), custodians_of(load_settings(lane.high))))


def test_a_package_is_found_by_what_is_scanned_or_typed(lane: NewLane, desk: Desk, chains: Path) -> None:
    on_the_way(lane, chains, 43)
    scanned = "LGC1:HARBOUR:42:" + ("7f3a9c1244b0" + f"{42:052x}").upper()
    for text in (scanned, scanned.lower() + "\n", SLIP, " 42 7f3a 9c12 44b0 "):
        assert desk.find(text).last.crossing == 42
    assert desk.find("43-7F3A-9C12-44B0").last.crossing == 43
    for text in ("", "42", "44-7F3A-9C12-44B0", scanned.replace("HARBOUR", "PLANT"), scanned[:-1] + "0"):
        with pytest.raises(NoPackageError):
            desk.find(text)


def test_a_chain_that_does_not_verify_is_no_chain(desk: Desk, chains: Path) -> None:
    (file,) = chains.iterdir()
    file.write_bytes(file.read_bytes().replace(b"custody+json", b"cust0dy+json", 1))
    with pytest.raises(NoPackageError, match="1 of the chains here do not verify"):
        desk.find(SLIP)


def test_a_folder_that_cannot_be_searched(lane: NewLane, chains: Path) -> None:
    side, key = load_settings(lane.high), lane.people["clerk-high"]
    with pytest.raises(ManyChainsError):
        Desk(side, chains / "none", key, "x").find(SLIP)
    for number in range(CHAINS_LIMIT):
        (chains / f"crate-{number}.custody.json").write_bytes(b"")
    with pytest.raises(ManyChainsError):
        Desk(side, chains, key, "x").find(SLIP)


def test_only_a_custodians_key_opens_a_counter(lane: NewLane, chains: Path, tmp_path: Path) -> None:
    side = load_settings(lane.high)
    for person in ("approver-1", "operator", "witness"):
        with pytest.raises(KeyFileError):
            Desk(side, chains, lane.people[person], "x")
    for suffix in ("pem", "pass"):
        data = (lane.people["approver-1"] / f"approver.{suffix}").read_bytes()
        (tmp_path / f"custodian.{suffix}").write_bytes(data)
    with pytest.raises(KeyPurposeError):
        Desk(side, chains, tmp_path, "x")


def test_what_differs_is_not_signed_and_not_read_out(lane: NewLane, desk: Desk, chains: Path) -> None:
    cases = [("A104311", "courier-7"), (f"{SEALS} A1", "courier-7"), (SEALS, "courier-8")]
    for seals, other in cases[:2]:
        with pytest.raises(StopAndCallError) as caught:
            desk.sign(SLIP, seals, other)
        assert "A104312" not in caught.value.what
    desk.sign(SLIP, "a104312,a104311", " courier-7 ")
    assert length(lane, chains) == 3
    again = Desk(load_settings(lane.high), chains, lane.people["clerk-high"], "High counter")
    with pytest.raises(StopAndCallError, match="Nobody"):
        again.sign(SLIP, SEALS, "")
    with pytest.raises(MarkError):
        again.sign(SLIP, "A1/2", "courier-9")
    assert again.sign(SLIP, SEALS, "courier-9").handover.receiver == "courier-9"


def test_after_three_mistakes_only_calling_is_left(lane: NewLane, desk: Desk, chains: Path) -> None:
    for _ in range(3):
        with pytest.raises(StopAndCallError):
            desk.sign(SLIP, SEALS, "courier-8")
    assert desk.closed(SLIP)
    with pytest.raises(StopAndCallError, match="3 times"):
        desk.sign(SLIP, SEALS, "courier-7")
    assert length(lane, chains) == 2


def test_no_key_that_a_server_holds_signs_a_hand_over(lane: NewLane, chains: Path) -> None:
    """A compromised console, gate or sealer has the keys of its host; none of them is a custodian's."""
    (file,) = chains.iterdir()
    known = custodians_of(load_settings(lane.high))
    way = Package(crossing=42, crate="7f3a9c1244b0" + f"{42:052x}", known=known, chain=file.read_bytes())
    this = way.statement("courier-7", "clerk-high", "clerk-high")
    found = 0
    for home in (lane.high, lane.low):
        for pem in (home / "keys").glob("*.pem"):
            if pem.stem != "recipient":
                raw = signing_key(home / "keys", Purpose(pem.stem)).raw
                forged = envelope(this, Signer(Purpose.CUSTODIAN, "clerk-high", raw))
                with pytest.raises(TrustError):
                    verify_chain(way.of(*way.envelopes, forged), known)
                found += 1
    assert found == 8


Asked = tuple[ClientResponse, str]


def talk(desk: Desk, *requests: dict) -> list[Asked]:
    """Send requests to a counter's page over a real socket; return each answer with its text."""

    async def run() -> list[Asked]:
        server = TestServer(Counter(desk, "12345678", "a-token").app(), host="127.0.0.1")
        async with TestClient(server) as client:
            answers = []
            for request in requests:
                facts = {"method": "POST", "allow_redirects": False, **request}
                headers = {"Origin": f"http://127.0.0.1:{client.port}", **facts.pop("headers", {})}
                if facts.pop("inside", True):
                    headers["Cookie"] = f"{COOKIE}=a-token"
                answer = await client.request(
                    facts.pop("method"), facts.pop("path"), headers=headers, **facts
                )
                answers.append((answer, await answer.text()))
            return answers

    return asyncio.run(run())


RIGHT = {"path": "/sign", "data": {"slip": SLIP, "seals": SEALS, "other": "courier-7", "step": "1"}}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"inside": False}, 401),
        ({"inside": False, "headers": {"Cookie": f"{COOKIE}=another"}}, 401),
        ({"headers": {"Origin": "http://127.0.0.1:1"}}, 403),
        ({"headers": {"Origin": "null"}}, 403),
        ({"headers": {"Origin": "https://console.example"}}, 403),
        ({"headers": {"Host": "rebound.example"}}, 421),
        ({"method": "GET"}, 405),
        ({"data": {**RIGHT["data"], "slip": "x" * 9000}}, 413),
    ],
)
def test_others_cannot_have_the_clerk_sign(
    lane: NewLane, desk: Desk, chains: Path, changes: dict, status: int
) -> None:
    ((answer, _),) = talk(desk, {**RIGHT, **changes})
    assert answer.status == status
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert length(lane, chains) == 2


def test_the_number_opens_the_page_and_a_few_wrong_ones_close_it(desk: Desk) -> None:
    wrong = {"path": "/enter", "inside": False, "data": {"number": "0"}}
    right = {"path": "/enter", "inside": False, "data": {"number": " 12345678 "}}
    ((opened, _),) = talk(desk, right)
    assert opened.status == 303
    cookie = opened.headers["Set-Cookie"]
    assert all(word in cookie for word in ("a-token", "HttpOnly", "SameSite=Strict"))
    answers = talk(desk, *[wrong] * GUESSES_LIMIT, right)
    assert [answer.status for answer, _ in answers] == [401] * (GUESSES_LIMIT + 1)
    assert "Closed" in answers[-1][1]
    assert "Set-Cookie" not in answers[-1][0].headers


def test_the_page_signs_once_and_says_what_is_true(lane: NewLane, desk: Desk, chains: Path) -> None:
    signed, done, again, unsigned = talk(
        desk,
        RIGHT,
        {"method": "GET", "path": f"/done?slip={SLIP}"},
        RIGHT,
        {"method": "GET", "path": "/done?slip=41-0000-0000-0000"},
    )
    assert (signed[0].status, signed[0].headers["Location"]) == (303, f"/done?slip={SLIP}")
    assert 'courier-7</span> gave it to <span class="word">clerk-high' in done[1]
    assert (again[0].headers["Location"], unsigned[0].status) == (signed[0].headers["Location"], 409)
    assert length(lane, chains) == 3, "a form that is sent twice gives nothing away"


def test_text_from_the_slip_is_only_text(desk: Desk) -> None:
    ((_, text),) = talk(desk, {"path": "/scan", "data": {"slip": "<script>alert(1)</script>"}})
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def run_counter(lane: NewLane, chains: Path, monkeypatch: pytest.MonkeyPatch, *lines: str):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
    words = ("--key", lane.people["clerk-high"], "--place", "High counter", "--home", lane.high)
    return Commands().run("custody", "counter", chains, *words)


def test_the_terminal_says_one_thing(lane: NewLane, chains: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for lines in (
        ("41-0000-0000-0000",),
        (SLIP, "stop"),
        (SLIP, "A104311", "courier-7"),
        (SLIP, SEALS, "courier-8"),
    ):
        ran = run_counter(lane, chains, monkeypatch, *lines)
        assert ran.status == 3
        assert f"STOP AND CALL  {CALL}" in ran.out
        assert "DONE" not in ran.out
    assert length(lane, chains) == 2
    ran = run_counter(lane, chains, monkeypatch, SLIP, SEALS, "courier-7")
    assert ran.status == 0
    assert "RIGHT PACKAGE" in ran.out
    assert "DONE" in ran.out
    assert length(lane, chains) == 3
