"""Any bytes in any form are a request or an error of ours; any bytes of any engine are a piece or garbage."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infer_doubles import NOW
from lockgate.core.errors import InputError
from lockgate.guard import GuardPolicy, Mode, OutputFilter
from lockgate.infer import EngineRequest
from lockgate.infer.engines.ports import Piece, ToolCall, Usage
from lockgate.infer.engines.wire import joined
from lockgate.infer.engines.wire_ollama import OllamaWire
from lockgate.infer.engines.wire_openai import OpenAiWire
from lockgate.infer.engines.wire_tgi import TgiWire
from lockgate.infer.errors import EngineGarbageError
from lockgate.infer.forms import FORMS, Delta, Ended, Head
from lockgate.infer.limits import GatewayLimits
from lockgate.infer.logprobs import HeldLogprobs
from lockgate.infer.requests import ChatRequest
from lockgate.infer.shapes import error_object

LIMITS = GatewayLimits()
WORDS = (
    "model messages prompt input stream tools tool_choice max_tokens stop n options format system"
    " role content type text tool_calls tool_call_id function name arguments tool_use_id id output call_id"
    " message done error choices delta index usage token details logprobs parts data"
)
NAMES = st.sampled_from(WORDS.split())
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | NAMES
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=6).map(lambda body: json.dumps(body).encode())
BYTES = st.binary(max_size=100) | BODIES
calm = settings(suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("path", FORMS)
def test_any_body_is_a_request_or_an_error_of_ours(path: str) -> None:
    form = FORMS[path]

    @calm
    @given(BYTES)
    def check(data: bytes) -> None:
        with contextlib.suppress(InputError):
            assert isinstance(form.parse(data, LIMITS), ChatRequest)

    check()


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"model":"\xed\xa0\x80"}',
        b"[" * 200_000,
        b'{"model":' + b'{"a":' * 100_000,
        b'{"model":"m","messages":' + b"[" * 100_000,
        b'{"model":"m","tools":[{"type":"function","function":{"name":"f","parameters":' + b'{"a":' * 100_000,
        b'{"model":"m","max_tokens":1e400}',
        b'{"model":"m","max_tokens":' + b"9" * 5000 + b"}",
    ],
    ids=range(11),
)
def test_hostile_bodies_are_refused(path: str, data: bytes) -> None:
    with pytest.raises(InputError):
        FORMS[path].parse(data, LIMITS)


READERS: Any = [(OpenAiWire, None), (OllamaWire, None), (OllamaWire, "x"), (TgiWire, None), (TgiWire, "x")]


@pytest.mark.parametrize(("wire", "prompt"), READERS)
def test_any_payload_of_an_engine_is_a_piece_or_garbage(wire: Any, prompt: str | None) -> None:
    @calm
    @given(st.lists(BYTES | st.just(b"[DONE]"), max_size=4))
    def check(payloads: list[bytes]) -> None:
        reader = wire("m").reader(EngineRequest((), 1, prompt=prompt))
        for payload in payloads:
            try:
                piece = reader.feed(payload)
            except EngineGarbageError:
                return
            assert piece is None or isinstance(piece, Piece)

    check()


CHUNKS = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "index": st.integers(0, 1),
                    "delta": st.fixed_dictionaries(
                        {"content": st.none() | st.text(max_size=4)},
                        optional={
                            "tool_calls": st.none()
                            | st.lists(st.fixed_dictionaries({"index": st.integers(0, 1)}), max_size=2)
                        },
                    ),
                    "logprobs": st.none()
                    | st.fixed_dictionaries({"content": st.none() | st.just([{"token": "a"}])}),
                    "text": st.none() | st.text(max_size=4),
                    "finish_reason": st.sampled_from([None, "stop", "length", "abort", ""]),
                    "stop_reason": st.sampled_from([None, "x", "y", 7, []]),
                },
            ),
            max_size=2,
        ),
        "usage": st.fixed_dictionaries({"prompt_tokens": st.integers(-1, 5)}),
        "error": st.none() | st.text(max_size=4),
    },
).map(lambda chunk: json.dumps(chunk).encode())


@calm
@given(st.lists(CHUNKS | st.sampled_from([b"[DONE]", b"{", b"[]", b""]), min_size=2, max_size=5))
def test_chunks_that_come_together_say_what_they_say_one_by_one(payloads: list[bytes]) -> None:
    together, single = (OpenAiWire("m").reader(EngineRequest((), 1)) for _ in range(2))
    try:
        pieces = []
        for payload in payloads:
            if (piece := single.feed(payload)) is not None:
                pieces.append(piece)
            if single.done:
                break
    except EngineGarbageError:
        with pytest.raises(EngineGarbageError):
            together.feed_all(payloads)
        return
    assert together.feed_all(payloads) == joined(pieces)
    assert together.done == single.done


@pytest.mark.parametrize("path", FORMS)
def test_any_answer_can_be_written_streamed_and_whole(path: str) -> None:
    parts = st.lists(
        st.text(max_size=8).map(Delta) | st.text(max_size=8).map(lambda a: Delta(call=ToolCall("i", "n", a))),
        max_size=6,
    )
    head = Head("0" * 32, "m", NOW, ChatRequest("m", (), True, True, 1, {}))  # noqa: FBT003

    @calm
    @given(parts, st.sampled_from(["stop", "length", "tool_calls", "content_filter"]))
    def check(deltas: list[Delta], finish: str) -> None:
        from lockgate.infer.forms.base import gathered

        ended = Ended([finish], Usage(prompt_tokens=1, completion_tokens=2), {"receipt": "r"})
        shape = FORMS[path].shape(head)
        stream = shape.begin() + b"".join(shape.delta(delta) for delta in deltas) + shape.end(ended)
        for line in stream.decode().split("\n"):
            payload = line.removeprefix("data: ")
            if payload and payload != "[DONE]" and not line.startswith("event: "):
                json.loads(payload)
        json.loads(FORMS[path].shape(head).whole(gathered(deltas, 1), ended))
        json.loads(FORMS[path].error(429, error_object("m", "k", "c")))

    check()


@given(st.lists(st.sampled_from(["a ", "b", " https://x.example/y", " c", "\u200b", "word "]), max_size=12))
def test_tokens_beside_a_text_spell_no_more_than_the_text(words: list[str]) -> None:
    through, held = OutputFilter(GuardPolicy(links=Mode.BLOCK)), HeldLogprobs()
    text, tokens = "", ""
    for word in words:
        left = through.feed(word)
        text += left
        tokens += "".join(one["token"] for one in held.passed(word, ({"token": word},), left))
        assert text.startswith(tokens)
    text += (rest := through.finish())
    tokens += "".join(one["token"] for one in held.passed("", (), rest))
    assert text.startswith(tokens)
    if text == "".join(words):
        assert tokens == text
