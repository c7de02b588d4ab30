"""The unmodified OpenAI client works against the gateway and reads what Lockgate adds."""

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import pytest

from infer_doubles import Site, chunk, crashes_after, sends_then_hangs, site
from lockgate.infer import GatewayLimits


def client(s: Site, key: str | None = None) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{s.url}/v1", api_key=key or s.secret, max_retries=0, timeout=120)


def run(call: Callable[[Site], Any], check: Callable[[Site, Any], None], **options: Any) -> None:
    async def main() -> None:
        async with site(**options) as s:
            s.server.words = ("The codeword of the", " month is heron.", " Good luck.")
            check(s, await asyncio.to_thread(call, s))

    asyncio.run(main())


MESSAGES: Any = [{"role": "user", "content": "What is the codeword?"}]


def test_models() -> None:
    def call(s: Site) -> list[str]:
        with client(s) as c:
            return [model.id for model in c.models.list()]

    run(call, lambda _, found: _same(found, ["small", "small@handbook"]))


def _same(found: Any, expected: Any) -> None:
    assert found == expected


def test_whole_answer_with_citations() -> None:
    def call(s: Site) -> Any:
        with client(s) as c:
            return c.chat.completions.create(model="small@handbook", messages=MESSAGES, temperature=0)

    def check(s: Site, answer: Any) -> None:
        assert answer.choices[0].message.content == (
            "The codeword of the month is heron. [1] Good luck. [unsupported]"
        )
        assert answer.usage.total_tokens == 8
        assert answer.lockgate["citations"][0]["quote"] == "The codeword of the month is heron."
        assert s.ledger.statuses() == ["answered"]

    run(call, check)


def test_streamed_answer_with_usage_and_citations() -> None:
    def call(s: Site) -> Any:
        with client(s) as c:
            stream = c.chat.completions.create(
                model="small@handbook", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
            )
            return list(stream)

    def check(_: Site, chunks: list[Any]) -> None:
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert text == "The codeword of the month is heron. [1] Good luck. [unsupported]"
        assert chunks[-1].usage.prompt_tokens == 5
        assert chunks[-2].lockgate["citations"][0]["heading"] == "Shifts"

    run(call, check)


def test_answer_with_response_headers_names_the_receipt() -> None:
    def call(s: Site) -> Any:
        with client(s) as c:
            raw = c.chat.completions.with_raw_response.create(model="small", messages=MESSAGES)
            return raw.headers["X-Lockgate-Receipt"], raw.parse()

    def check(_: Site, found: Any) -> None:
        header, answer = found
        assert answer.lockgate["receipt"] == header
        assert answer.id == f"chatcmpl-{header}"

    run(call, check)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"model": "nothing"}, openai.NotFoundError),
        ({"model": "small", "tools": [{"type": "function"}]}, openai.BadRequestError),
        ({"model": "small", "temperature": 9}, openai.BadRequestError),
    ],
)
def test_errors_are_the_clients_own(arguments: dict[str, Any], error: type[openai.APIStatusError]) -> None:
    def call(s: Site) -> Any:
        with client(s) as c, pytest.raises(error) as caught:
            c.chat.completions.create(messages=MESSAGES, **arguments)
        return caught.value

    run(call, lambda _, caught: _same(set(caught.body), {"message", "type", "code", "param"}))


def test_wrong_key_is_an_authentication_error() -> None:
    def call(s: Site) -> Any:
        with client(s, "lg-wrong") as c, pytest.raises(openai.AuthenticationError) as caught:
            c.models.list()
        return caught.value.code

    run(call, lambda _, code: _same(code, "invalid_api_key"))


def test_too_many_at_once_is_a_rate_limit() -> None:
    def call(s: Site) -> Any:
        with client(s) as c:
            stream = c.chat.completions.create(model="small", messages=MESSAGES, stream=True)
            next(iter(stream))
            with pytest.raises(openai.RateLimitError) as caught:
                c.chat.completions.create(model="small", messages=MESSAGES)
            stream.close()
            return caught.value.code

    run(
        call,
        lambda _, code: _same(code, "rate_limit_exceeded"),
        behaviour=sends_then_hangs(chunk("One")),
        limits=GatewayLimits(per_key=1),
    )


def test_crash_in_the_middle_of_a_stream_raises_in_the_client() -> None:
    def call(s: Site) -> Any:
        with client(s) as c:
            stream = c.chat.completions.create(model="small", messages=MESSAGES, stream=True)
            got = [next(iter(stream)).choices[0].delta.content]
            s.server.loop.call_soon_threadsafe(s.server.go.set)
            with pytest.raises(openai.APIError) as caught:
                got.extend(c.choices[0].delta.content for c in stream)
            return got, caught.value.code

    run(call, lambda _, found: _same(found, (["One"], "engine_error")), behaviour=crashes_after(chunk("One")))
