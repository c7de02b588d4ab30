"""What a chat request may hold, field by field."""

import json
from typing import Any

import pytest

from lockgate.infer.engines.ports import Message
from lockgate.infer.errors import BadRequestError, UnsupportedParameterError
from lockgate.infer.limits import GatewayLimits
from lockgate.infer.requests import ChatRequest, parse

LIMITS = GatewayLimits(messages=3, parts=2, stops=2, answer_tokens=100, default_tokens=50)
HI = [{"role": "user", "content": "Hi"}]


def read(**more: Any) -> ChatRequest:
    return parse(json.dumps({"model": "small", "messages": HI, **more}).encode(), LIMITS)


def test_least_request() -> None:
    assert read() == ChatRequest("small", (Message("user", "Hi"),), False, False, 50, {})  # noqa: FBT003


def test_roles_and_parts() -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "assistant", "content": "Yes.", "refusal": None},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    ]
    found = read(messages=messages)
    assert [m.role for m in found.messages] == ["system", "assistant", "user"]
    assert found.question == "a\nb"


def test_question_is_the_last_turn_of_the_user() -> None:
    messages = [*HI, {"role": "assistant", "content": "Hello"}]
    assert read(messages=messages).question == "Hi"
    assert read(messages=[{"role": "system", "content": "x"}]).question == ""


def test_options_pass_and_descriptions_do_not() -> None:
    found = read(
        temperature=0, top_p=0.5, seed=3, stop=["a", "b"], user="me", metadata={"a": [1]}, tools=None
    )
    assert found.options == {"temperature": 0, "top_p": 0.5, "seed": 3, "stop": ["a", "b"]}


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_tokens_are_bounded(field: str) -> None:
    assert read(**{field: 100}).max_tokens == 100
    with pytest.raises(BadRequestError) as caught:
        read(**{field: 101})
    assert caught.value.where["limit"] == "gateway.answer_tokens"
    with pytest.raises(BadRequestError):
        read(**{field: 0})


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"messages": HI * 4}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}] * 3}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": None}]}, "messages"),
        ({"stop": ["a", "b", "c"]}, "stop"),
        ({"stop": ""}, "stop"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"seed": 1 << 40}, "seed"),
        ({"model": ""}, "model"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_refused_fields_are_named(more: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        read(**more)
    assert caught.value.where["param"] == param


@pytest.mark.parametrize(
    "more",
    [
        {"functions": []},
        {"logit_bias": {"1": 1}},
        {"reasoning_effort": "low"},
    ],
)
def test_what_is_not_served_is_refused_and_not_dropped(more: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedParameterError) as caught:
        read(**more)
    assert caught.value.where["param"] == next(iter(more))


def test_harmless_values_of_unserved_fields_are_taken() -> None:
    assert read(n=1, logprobs=False, response_format={"type": "text"}, tools=None).options == {}
