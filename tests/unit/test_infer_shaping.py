"""Shaping: what leaves has the sizes and the number that the profile says, and says the same to a client."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI

from infer_doubles import (
    NOW,
    Counting,
    HandbookKnowledge,
    MemoryLedger,
    MemorySource,
    ScriptedEngine,
    make_key,
)
from lockgate.app.high.gateway import ShapingLabelsError, shaping_policy
from lockgate.app.settings import CONFIG_FILE, load_settings
from lockgate.infer import EngineRequest, GatewayConfig, MemoryKeys, MemoryReceipts, Parts, Piece
from lockgate.infer.errors import EngineUnavailableError
from lockgate.infer.service import serving
from lockgate.infer.shaping import (
    LINES,
    PacedPipe,
    PlainPipe,
    Profile,
    Shaping,
    ShapingPolicy,
    filler,
    padded,
    padded_whole,
)
from lockgate.infer.sse import EventParser, LineParser, event

EVENTS = "text/event-stream"
QUICK = Shaping(record_bytes=128, interval_seconds=0.0005, bucket_records=40, start_seconds=0.01)


@given(st.integers(0, 300), st.sampled_from([EVENTS, LINES]))
def test_filler_has_its_size_and_says_nothing(size: int, media: str) -> None:
    made = filler(size, media)
    assert len(made) == size
    if media == LINES:
        assert LineParser(1024).feed(made + b'{"a": 1}\n') == [made + b'{"a": 1}']
        assert json.loads(made + b'{"a": 1}') == {"a": 1}
    else:
        assert EventParser(1024).feed(made + event(b"{}")) == [b"{}"]


@given(st.binary(max_size=200), st.integers(1, 64))
def test_parts_are_multiples(data: bytes, multiple: int) -> None:
    for media in (EVENTS, LINES):
        made = padded(data, multiple, media)
        assert len(made) % multiple == 0
        assert made.endswith(data)
        assert len(made) - len(data) < multiple
    assert json.loads(padded_whole(b'{"a": 1}', multiple)) == {"a": 1}


def test_the_strictest_label_counts() -> None:
    policy = ShapingPolicy({"secret": Profile.CONSTANT, "internal": Profile.PADDED})
    assert policy.of(["public"]) is Profile.OFF
    assert policy.of(["public", "internal"]) is Profile.PADDED
    assert policy.of(["secret", "internal"]) is Profile.CONSTANT
    assert policy.of([]) is Profile.OFF


class Wire:
    """Keeps what was written, each write by itself."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.more = asyncio.Event()
        self.fault: Exception | None = None

    async def write(self, data: bytes) -> None:
        if self.fault:
            raise self.fault
        self.writes.append(data)
        self.more.set()

    async def until(self, count: int) -> None:
        while len(self.writes) < count:
            self.more.clear()
            await self.more.wait()

    def payloads(self, media: str) -> list[bytes]:
        parser = EventParser(1 << 20) if media == EVENTS else LineParser(1 << 20)
        return [found.strip() for data in self.writes for found in parser.feed(data)]


def parts(texts: list[str], media: str) -> list[bytes]:
    said = [json.dumps({"t": text}).encode() for text in texts]
    return [event(each) if media == EVENTS else each + b"\n" for each in said]


def payload(part: bytes, media: str) -> bytes:
    return part[6:-2] if media == EVENTS else part[:-1]


async def through(pipe: PacedPipe, sent: list[bytes]) -> None:
    async with pipe:
        for part in sent[:-1]:
            await pipe.send(part)
            await asyncio.sleep(0)
        await pipe.end(sent[-1])


@settings(max_examples=25, deadline=None)  # each takes as long as its records
@given(
    st.lists(st.text(max_size=90), min_size=1, max_size=12),
    st.sampled_from([EVENTS, LINES]),
    st.sampled_from([1, 7, 40]),
)
def test_every_record_has_one_size_and_the_stream_says_the_same(
    texts: list[str], media: str, bucket: int
) -> None:
    wire, sent = Wire(), parts(texts, media)
    asyncio.run(through(PacedPipe(wire.write, media, QUICK, bucket=bucket), sent))
    assert {len(each) for each in wire.writes} == {QUICK.record_bytes}
    assert len(wire.writes) % bucket == 0
    assert wire.payloads(media) == [payload(each, media) for each in sent]
    assert wire.writes[-1].endswith(sent[-1][-20:]), "nothing follows the last part"


def test_answers_of_one_bucket_cannot_be_told_apart() -> None:
    lengths = set()
    for texts in (["a"], ["b" * 60] * 9, [c * 7 for c in "some quite different words"]):
        wire = Wire()
        asyncio.run(through(PacedPipe(wire.write, EVENTS, QUICK, bucket=40), parts(texts, EVENTS)))
        lengths.add(tuple(len(each) for each in wire.writes))
    assert len(lengths) == 1


def test_a_silent_engine_is_not_heard() -> None:
    """Records go on while there is nothing to say, each of filler alone."""

    async def run() -> list[bytes]:
        wire = Wire()
        async with PacedPipe(wire.write, EVENTS, QUICK) as pipe:
            await wire.until(5)
            await pipe.end(event(b"{}"))
        return wire.writes

    writes = asyncio.run(run())
    assert all(each.startswith(b":") for each in writes[:5])
    assert EventParser(1024).feed(b"".join(writes)) == [b"{}"]


def test_a_caller_that_is_gone_stops_whoever_sends() -> None:
    async def run() -> None:
        wire = Wire()
        wire.fault = ConnectionResetError("gone")
        with pytest.raises(ConnectionResetError):
            await through(PacedPipe(wire.write, EVENTS, QUICK), [event(b"{}")] * 10_000)

    asyncio.run(run())


def test_what_waits_is_bounded() -> None:
    async def run() -> tuple[int, bool]:
        wire = Wire()
        slow = Shaping(record_bytes=64, interval_seconds=3600)
        async with PacedPipe(wire.write, EVENTS, slow, held_bytes=200) as pipe:
            sent = 0
            while sent < 100:
                try:
                    await asyncio.wait_for(pipe.send(event(b"x" * 90)), 0.05)
                except TimeoutError:
                    return sent, True
                sent += 1
        return sent, False

    sent, waited = asyncio.run(run())
    assert waited
    assert sent <= 4


def test_leaving_stops_the_clock() -> None:
    async def run() -> int:
        wire = Wire()
        async with PacedPipe(wire.write, EVENTS, QUICK):
            await wire.until(1)
        before = len(wire.writes)
        await asyncio.sleep(0.02)
        return len(wire.writes) - before

    assert asyncio.run(run()) == 0


def test_a_plain_pipe_pads_the_last_part_too() -> None:
    async def run() -> list[int]:
        wire = Wire()
        async with PlainPipe(wire.write, wire.write, EVENTS, 64) as pipe:
            await pipe.send(event(b"{}"))
            await pipe.end(event(b"{}" * 40))
        return [len(each) for each in wire.writes]

    assert asyncio.run(run()) == [64, 128]


def test_a_plain_pipe_sends_the_last_parts_with_the_end() -> None:
    async def run() -> list[bytes]:
        wire = Wire()
        async with PlainPipe(wire.write, wire.write, EVENTS) as pipe:
            await pipe.send(b"1")
            await pipe.send(b"2", last=True)
            await pipe.send(b"3", last=True)
            assert pipe.kept == b"23"
            await pipe.end(b"4")
        return wire.writes

    assert asyncio.run(run()) == [b"1", b"234"]


# --- the whole gateway -------------------------------------------------------------------------


async def gateway(
    profile: Profile,
    work: Callable[[str, str, ScriptedEngine], Coroutine[Any, Any, None]],
    engine: ScriptedEngine | None = None,
    measures: Shaping = QUICK,
) -> None:
    entropy = Counting()
    secret, key = make_key(entropy)
    engine = engine or ScriptedEngine(("One", " two", " three."))
    joined = Parts(
        source=MemorySource(),
        engines={"small": engine},
        knowledge={"handbook": HandbookKnowledge()},
        keys=MemoryKeys(key),
        ledger=MemoryLedger(),
        receipts=MemoryReceipts(),
        clock=lambda: NOW,
        entropy=entropy,
        shaping=ShapingPolicy({"internal": profile}, shaping=measures),
    )
    async with serving(GatewayConfig(port=0), joined) as url:
        await work(url, secret, engine)


BODY = {"model": "small", "messages": [{"role": "user", "content": "Hi"}], "stream": True}


async def chunks(url: str, secret: str, path: str = "/v1/chat/completions") -> AsyncIterator[bytes]:
    headers = {"Authorization": f"Bearer {secret}"}
    async with (
        aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(60)) as session,
        session.post(url + path, json=BODY) as answer,
    ):
        assert answer.status == 200
        held = b""
        async for data, end in answer.content.iter_chunks():
            held += data
            if end and held:  # the library tells of an end once more where a chunk came in two pieces
                yield held
                held = b""


@pytest.mark.parametrize("profile", list(Profile))
def test_openais_client_reads_every_profile(profile: Profile) -> None:
    async def work(url: str, secret: str, engine: ScriptedEngine) -> None:
        del engine
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key=secret, max_retries=0) as client:
            stream = await client.chat.completions.create(
                model="small", messages=[{"role": "user", "content": "Hi"}], stream=True
            )
            said = [c.choices[0].delta.content or "" async for c in stream if c.choices]
            whole = await client.chat.completions.create(
                model="small", messages=[{"role": "user", "content": "Hi"}]
            )
        assert "".join(said) == "One two three."
        assert whole.choices[0].message.content == "One two three."

    asyncio.run(gateway(profile, work))


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat"])
def test_the_wire_of_a_constant_answer_is_whole_buckets_of_equal_records(path: str) -> None:
    """How many buckets depends on the time that it took, so on the machine; see above for equal ones."""

    async def work(url: str, secret: str, engine: ScriptedEngine) -> None:
        for words in (("One",), ("A much longer answer", " with", " many words" * 9)):
            engine.words = words
            sizes = [len(each) async for each in chunks(url, secret, path)]
            assert set(sizes) == {QUICK.record_bytes}
            assert len(sizes) % QUICK.bucket_records == 0

    asyncio.run(gateway(Profile.CONSTANT, work))


class Held(ScriptedEngine):
    """Says nothing, and fails where it is told so, before it is let go."""

    def __init__(self) -> None:
        super().__init__(("One",))
        self.go = asyncio.Event()
        self.fails = False

    async def chat(self, request: EngineRequest) -> AsyncGenerator[Piece, None]:
        await self.go.wait()
        if self.fails:
            raise EngineUnavailableError("The engine is gone.")
        async for piece in super().chat(request):
            yield piece


@pytest.mark.parametrize("fails", [False, True])
def test_a_constant_answer_begins_whatever_the_engine_does(*, fails: bool) -> None:
    """How long an engine reads a question tells of it: records leave before it has said anything."""

    async def work(url: str, secret: str, engine: ScriptedEngine) -> None:
        assert isinstance(engine, Held)
        engine.fails = fails
        sizes, said = [], b""
        async for record in chunks(url, secret):
            sizes.append(len(record))
            said += record
            if len(sizes) == QUICK.bucket_records // 2:
                assert b"One" not in said
                engine.go.set()
        assert set(sizes) == {QUICK.record_bytes}
        assert len(sizes) % QUICK.bucket_records == 0
        assert (b"One" in said) is not fails
        assert (b"LG-5a0" in said) is fails

    asyncio.run(gateway(Profile.CONSTANT, work, Held()))


def test_an_engine_that_fails_before_a_constant_answer_begins_is_an_error_with_its_status() -> None:
    async def work(url: str, secret: str, engine: ScriptedEngine) -> None:
        assert isinstance(engine, Held)
        engine.fails = True
        engine.go.set()
        headers = {"Authorization": f"Bearer {secret}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"{url}/v1/chat/completions", json=BODY) as answer,
        ):
            assert answer.status == 503
            assert "error" in await answer.json()

    slow = replace(QUICK, start_seconds=600.0)  # nothing is sent before the engine fails
    asyncio.run(gateway(Profile.CONSTANT, work, Held(), slow))


def test_padded_parts_have_few_sizes() -> None:
    async def work(url: str, secret: str, engine: ScriptedEngine) -> None:
        engine.words = tuple("a" * n for n in range(1, 40, 7))
        assert {len(each) % 256 async for each in chunks(url, secret)} == {0}

    asyncio.run(gateway(Profile.PADDED, work))


def test_whole_answers_have_one_size() -> None:
    async def work(url: str, secret: str, engine: ScriptedEngine) -> None:
        sizes = set()
        headers = {"Authorization": f"Bearer {secret}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            for words in (("One",), ("Two " * 400,)):
                engine.words = words
                body = {**BODY, "stream": False}
                async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
                    sizes.add(len(await answer.read()))
        assert sizes == {QUICK.whole_bytes}

    asyncio.run(gateway(Profile.CONSTANT, work))


SMALL = '[lane]\nname = "plant"\nside = "high"\n[trust]\nsupply_pin = "aa"\nsite_pin = "bb"\n[shaping]\n'


def test_profiles_are_named_in_the_settings(tmp_path: Any) -> None:
    file = tmp_path / CONFIG_FILE
    file.write_text(f'{SMALL}labels = "secret=constant internal=padded"\ninterval_ms = 20\n')
    policy = shaping_policy(load_settings(tmp_path))
    assert policy.of(["secret"]) is Profile.CONSTANT
    assert policy.of(["internal"]) is Profile.PADDED
    assert policy.shaping.interval_seconds == pytest.approx(0.02)
    for wrong in ("secret=hidden", "secret", "=padded"):
        file.write_text(f'{SMALL}labels = "{wrong}"\n')
        with pytest.raises(ShapingLabelsError, match=wrong):
            shaping_policy(load_settings(tmp_path))
