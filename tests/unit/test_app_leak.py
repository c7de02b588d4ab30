"""Measuring leaks on a real link: a real gateway whose answers to two topics differ, shaped and not."""

import asyncio
import struct
import threading
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

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
from lockgate.app.check.leak import CONTROL, SHAPED, Measured, measured
from lockgate.app.check.leak_capture import (
    LOGISTICS,
    MEDICINE,
    CaptureError,
    LeakSamplesError,
    Plan,
    payload_of,
    traces,
)
from lockgate.infer import EngineRequest, GatewayConfig, MemoryKeys, MemoryReceipts, Parts, serve_until
from lockgate.infer.leak import Leak
from lockgate.infer.ports import Piece
from lockgate.infer.shaping import Profile, Shaping, ShapingPolicy

QUICK = Shaping(record_bytes=512, interval_seconds=0.004, bucket_records=60, start_seconds=0.05)
SAMPLES = 25


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
    keys: dict[str, str]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    entropy, ready, stop = Counting(), threading.Event(), asyncio.Event()
    shaped, first = make_key(entropy, "internal", "secret", name="shaped")
    control, second = make_key(entropy, "internal", name="control")
    made = Site("", {SHAPED: shaped, CONTROL: control})
    parts = Parts(
        source=MemorySource(),
        engines={"small": TwoTopics()},
        knowledge={"handbook": HandbookKnowledge()},
        keys=MemoryKeys(first, second),
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
    assert ready.wait(60)
    yield made
    loop.call_soon_threadsafe(stop.set)
    thread.join(60)
    loop.close()


def plan(site: Site, samples: int = SAMPLES, interface: str = "lo") -> Plan:
    return Plan(site.url, "small", site.keys, (MEDICINE, LOGISTICS), samples, 4, interface)


def test_a_shaped_answer_hides_what_the_control_shows(site: Site) -> None:
    found = measured(plan(site), None, 1)
    assert found.control.told
    assert found.control.low > 0.95
    assert found.shaped.high < found.control.low
    assert found.cost > 3
    assert found.shaped.samples == found.control.samples == 2 * SAMPLES
    assert set(found.as_dict()) == {"shaped", "control", "cost", "shown"}


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
    wrong = Site(site.url, {SHAPED: "lg-no", CONTROL: "lg-no"})
    with pytest.raises(LeakSamplesError, match="status 401"):
        measured(plan(wrong), None, 1)


def leak(low: float, high: float) -> Leak:
    return Leak(100, (low + high) / 2, low, high, 0.0, 0.1, 1000.0, 1.0)


def test_nothing_is_shown_where_the_control_tells_nothing() -> None:
    blind = Measured(shaped=leak(0.45, 0.55), control=leak(0.45, 0.55))
    assert not blind.shown
    assert "Nothing is shown" in blind.sentence
    leaky = Measured(shaped=leak(0.6, 0.8), control=leak(0.8, 0.9))
    assert not leaky.shown
    assert "still tell" in leaky.sentence
    fine = Measured(shaped=leak(0.45, 0.55), control=leak(0.8, 0.9))
    assert fine.shown


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
