"""Measuring leaks on a real link: a real gateway whose answers to two topics differ, shaped and not."""

import asyncio
import struct
import threading
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from email.message import Message
from types import SimpleNamespace

import pytest

from infer_doubles import (
    NOW,
    Counting,
    HandbookKnowledge,
    MemoryLedger,
    MemorySource,
    ScriptedEngine,
    make_key,
)
from lockgate.app.check.leak import AREA_MOST, CONTROL, Measured, Shaped, measured
from lockgate.app.check.leak_capture import (
    LOGISTICS,
    MEDICINE,
    Capture,
    CaptureError,
    LeakSamplesError,
    Plan,
    Try,
    _pause,
    payload_of,
    shown,
    traces,
)
from lockgate.infer import EngineRequest, GatewayConfig, MemoryKeys, MemoryReceipts, Parts, serve_until
from lockgate.infer.engines.ports import Piece
from lockgate.infer.leak import Leak
from lockgate.infer.shaping import Profile, Shaping, ShapingPolicy

QUICK = Shaping(record_bytes=512, interval_seconds=0.004, bucket_records=60, start_seconds=0.05)
SAMPLES = 25
SHAPED = "constant"


class TwoTopics(ScriptedEngine):
    """Says much about medicine and little about anything else."""

    async def chat(self, request: EngineRequest) -> AsyncGenerator[Piece, None]:
        asked = request.messages[-1].text
        self.words = ("word ",) * (30 if asked in MEDICINE else 6)
        async for piece in super().chat(request):
            yield piece


@dataclass
class Site:
    url: str
    keys: dict[str, list[str]]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    entropy, ready, stop = Counting(), threading.Event(), asyncio.Event()
    pairs = [make_key(entropy, "internal", "secret", name=f"shaped-{number}") for number in range(2)]
    control, plain = make_key(entropy, "internal", name="control")
    made = Site("", {SHAPED: [secret for secret, _ in pairs], CONTROL: [control]})
    parts = Parts(
        source=MemorySource(),
        engines={"small": TwoTopics()},
        knowledge={"handbook": HandbookKnowledge()},
        keys=MemoryKeys(*(key for _, key in pairs), plain),
        ledger=MemoryLedger(),
        receipts=MemoryReceipts(),
        clock=lambda: NOW,
        entropy=entropy,
        shaping=ShapingPolicy({"secret": Profile.CONSTANT}, shaping=QUICK),
    )
    loop = asyncio.new_event_loop()

    def told(url: str) -> None:
        made.url = url
        ready.set()

    config = GatewayConfig(port=0)
    thread = threading.Thread(target=loop.run_until_complete, args=(serve_until(config, parts, stop, told),))
    thread.start()
    assert ready.wait(120)
    yield made
    loop.call_soon_threadsafe(stop.set)
    thread.join(120)
    loop.close()


def plan(site: Site, samples: int = SAMPLES, interface: str = "lo") -> Plan:
    return Plan(site.url, "small", site.keys, (MEDICINE, LOGISTICS), samples, 6, 2, interface)


def test_a_shaped_answer_hides_what_the_control_shows(site: Site) -> None:
    found = measured(plan(site), None, 1)
    assert found.control.told
    assert found.control.low > 0.95
    shaped = found.shaped[SHAPED]
    assert shaped.leak.high < found.control.low
    assert shaped.cost > 3
    assert shaped.leak.samples == found.control.samples == 2 * SAMPLES
    assert set(found.as_dict()) == {"shaped", "control", "shown"}


def test_the_capture_sees_every_byte_of_an_answer(site: Site) -> None:
    order = [(SHAPED, topic, number) for topic in (0, 1) for number in range(3)]
    seen = traces(plan(site), order, None, None)
    records = {sum(sizes) for each in seen.values() for _, sizes in each}
    chunk = len(f"{QUICK.record_bytes:x}") + 2 + QUICK.record_bytes + 2  # RFC 9112, 7.1
    whole = QUICK.bucket_records * chunk
    assert all(0 < (each - whole) % whole < 1000 for each in records), "heads and the last chunk, and records"
    assert all(at >= 0 for each in seen.values() for times, _ in each for at in times)


def test_a_link_that_is_not_there(site: Site) -> None:
    with pytest.raises(CaptureError, match="nowhere"):
        measured(plan(site, interface="nowhere"), None, 1)


def test_too_few_answers_say_nothing(site: Site) -> None:
    with pytest.raises(LeakSamplesError, match="at least 20"):
        measured(plan(site, samples=5), None, 1)


def test_a_refused_key_is_told(site: Site) -> None:
    wrong = Site(site.url, {SHAPED: ["lg-no"], CONTROL: ["lg-no"]})
    with pytest.raises(LeakSamplesError, match="status 401"):
        measured(plan(wrong), None, 1)


def test_keys_that_are_busy_are_asked_for_again(site: Site) -> None:
    """More requests at a time than a key may have: the gateway refuses some, and all come through."""
    crowded = Plan(site.url, "small", site.keys, (MEDICINE, LOGISTICS), SAMPLES, 12, 12)
    found = traces(crowded, [(CONTROL, 0, number) for number in range(40)], None, None)
    assert all(sizes for _, sizes in found[CONTROL, 0])
    assert len(found[CONTROL, 0]) == 40


def test_a_port_that_is_used_again_tells_of_each_request_its_own() -> None:
    """A refused try comes later on the port of an answer, and a handshake: neither is the answer's."""
    capture = Capture("lo", 1)
    packets = [(0.9, 1400), (1.5, 100), (2.0, 200), (7.1, 40), (8.9, 1400), (9.5, 300)]
    capture.note(5000, packets)
    first, refused, last = Try(0.8, 1.0, 5000), Try(6.9, 7.0, 5000), Try(8.8, 9.0, 5000)
    found = shown([(first, (CONTROL, 0)), (last, (SHAPED, 1)), (refused, None)], capture)
    assert found == {
        (CONTROL, 0): [((0.5, 1.0), (100, 200))],
        (SHAPED, 1): [((0.5,), (300,))],
    }
    capture.close()


def test_something_is_compared_with_a_control(site: Site) -> None:
    for keys in ({CONTROL: ["lg-no"]}, {SHAPED: ["lg-no"]}, {SHAPED: [], CONTROL: ["lg-no"]}):
        with pytest.raises(LeakSamplesError, match="control and something shaped"):
            measured(plan(Site(site.url, keys)), None, 1)


def leak(low: float, high: float) -> Leak:
    return Leak(100, (low + high) / 2, low, high, 0.0, 0.1, 1000.0, 1.0)


def test_nothing_is_shown_where_the_control_tells_nothing() -> None:
    blind = Shaped(leak(0.45, 0.55), control=leak(0.45, 0.55))
    assert not blind.shown
    assert "nothing is shown" in blind.sentence
    leaky = Shaped(leak(0.6, 0.8), control=leak(0.8, 0.9))
    assert not leaky.shown
    assert "still tell" in leaky.sentence
    fine = Shaped(leak(0.45, AREA_MOST), control=leak(0.8, 0.9))
    assert fine.shown
    assert "nothing is told" in fine.sentence


def test_an_area_that_may_be_large_shows_nothing_yet() -> None:
    wide = Shaped(leak(0.4, AREA_MOST + 0.001), control=leak(0.8, 0.9))
    assert not wide.shown
    assert "more samples" in wide.sentence
    fine = Shaped(leak(0.45, 0.55), control=leak(0.8, 0.9))
    assert Measured(fine.control, {"constant": fine}).shown
    assert not Measured(fine.control, {"constant": fine, "paced": wide}).shown


def test_payload_lengths_of_both_versions_of_ip() -> None:
    tcp = struct.pack("!HHIIBBHHH", 8720, 40000, 0, 0, 8 << 4, 0, 0, 0, 0) + bytes(12)
    four = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + 32 + 100, 0, 0, 64, 6, 0, bytes(4), bytes(4)) + tcp
    assert payload_of(four, 0x0800) == (8720, 40000, 100)
    six = struct.pack("!IHBB16s16s", 6 << 28, 32 + 7, 6, 64, bytes(16), bytes(16)) + tcp
    assert payload_of(six, 0x86DD) == (8720, 40000, 7)
    for broken in (b"", four[:25], four[:9] + b"\x11" + four[10:]):
        assert payload_of(broken, 0x0800) is None
    assert payload_of(six[:41], 0x86DD) is None
    assert payload_of(four, 0x0806) is None


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("3", 3),
        ("", 1),
        ("999999999", 10),
        ("1e9", 1),
        ("-5", 1),
        ("nan", 1),
        ("Fri, 27 Nov 2026 04:00:00 GMT", 1),
    ],
)
def test_how_long_a_busy_gateway_may_make_a_measure_wait_is_bounded(said: str, seconds: int) -> None:
    headers = Message()
    headers["Retry-After"] = said
    assert _pause(SimpleNamespace(headers=headers)) == seconds
