"""What the forms of the API say and take beside texts: nothing is dropped, reasons are the API's own."""

import asyncio
from typing import Any

import pytest
from test_infer_clients import ASK, SWITCH, claude, gpt, run, served

STRICT: Any = {"type": "function", "strict": True, **SWITCH}


def told(path: str, body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Send a request; return the gateway's answer, and what the engine was sent."""

    async def main() -> tuple[dict[str, Any], dict[str, Any]]:
        asked = {"model": "small", **body}
        async with served() as (server, s), s.session.post(path, json=asked, headers=s.headers) as response:
            assert response.status == 200, await response.text()
            return await response.json(), server.seen[-1][1]

    return asyncio.run(main())


def refused(path: str, body: dict[str, Any]) -> tuple[int, str, int]:
    """Send a request; return status, message, and how often the engine was asked."""

    async def main() -> tuple[int, str, int]:
        asked = {"model": "small", **body}
        async with served() as (server, s), s.session.post(path, json=asked, headers=s.headers) as response:
            return response.status, await response.text(), len(server.seen)

    return asyncio.run(main())


def test_a_response_repeats_what_was_asked() -> None:
    def call(s: Any) -> Any:
        asked: Any = {
            "model": "small",
            "input": "Hi",
            "instructions": "Be brief.",
            "metadata": {"team": "night"},
            "tools": [STRICT],
            "tool_choice": {"type": "function", "name": "switch"},
            "parallel_tool_calls": False,
        }
        with gpt(s) as c, c.responses.stream(**asked) as stream:
            first: Any = next(iter(stream))
            stream.until_done()
            return c.responses.create(**asked), first.response, stream.get_final_response()

    for found in run(call, statuses=["answered"] * 2):
        assert found.instructions == "Be brief."
        assert found.metadata == {"team": "night"}
        assert (found.tools[0].name, found.tools[0].strict) == ("switch", True)
        assert found.tool_choice.name == "switch"
        assert found.parallel_tool_calls is False
        assert found.text.format.type == "text"


def test_a_response_that_was_cut_has_a_message_that_was_cut() -> None:
    def call(s: Any) -> Any:
        with gpt(s) as c:
            with c.responses.stream(model="small", input="Hi", max_output_tokens=1) as stream:
                last: Any = list(stream)[-1]
            assert last.type == "response.incomplete"
            return last.response, c.responses.create(model="small", input="Hi", max_output_tokens=1)

    for found in run(call, statuses=["answered"] * 2):
        assert (found.status, found.incomplete_details.reason) == ("incomplete", "max_output_tokens")
        assert found.output[0].status == "incomplete"


def test_strict_and_descriptions_reach_the_engine() -> None:
    tools = [STRICT]
    _, sent = told("/v1/responses", {"input": "Hi", "tools": tools})
    assert sent["tools"][0]["function"]["strict"] is True
    tool = {"name": "switch", "input_schema": {"type": "object"}, "strict": True}
    _, sent = told("/v1/messages", {"messages": ASK, "max_tokens": 5, "tools": [tool]})
    assert sent["tools"][0]["function"]["strict"] is True
    form = {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "description": "What it is."}
    answer, sent = told("/v1/responses", {"input": "Hi", "text": {"format": form}})
    assert sent["response_format"]["json_schema"] == {k: v for k, v in form.items() if k != "type"}
    assert answer["text"] == {"format": form}


def test_a_tool_that_failed_is_told_to_have_failed() -> None:
    use = {"type": "tool_use", "id": "a", "name": "switch", "input": {}}
    for failed in (True, False):
        result = {"type": "tool_result", "tool_use_id": "a", "content": "on", "is_error": failed}
        turns = [
            *ASK,
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [result]},
        ]
        _, sent = told("/v1/messages", {"messages": turns, "max_tokens": 5})
        said = [turn["content"] for turn in sent["messages"] if turn["role"] == "tool"]
        assert ("error." in said[0]) is failed
        assert "on" in said[0]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/v1/responses", {"input": "Hi", "include": ["message.output_text.logprobs"]}, "include"),
        ("/v1/responses", {"input": "Hi", "tool_choice": "required"}, "tool_choice"),
        ("/v1/responses", {"input": "Hi", "metadata": {"a": 1}}, "metadata"),
        (
            "/v1/messages",
            {"messages": ASK, "max_tokens": 5, "tool_choice": {"type": "any"}},
            "choice of tools",
        ),
        (
            "/v1/messages",
            {"messages": ASK, "max_tokens": 5, "tool_choice": {"type": "tool", "name": "x"}},
            "choice of tools",
        ),
        ("/api/chat", {"messages": ASK, "options": {"mirostat": 2}}, "options.mirostat"),
        ("/api/chat", {"messages": ASK, "options": {"typical_p": 0.7}}, "options.typical_p"),
        ("/api/generate", {"prompt": "Hi", "options": {"tfs_z": 0.5}}, "options.tfs_z"),
        ("/api/generate", {"prompt": "Hi", "options": {"repeat_last_n": -1}}, "options.repeat_last_n"),
    ],
)
def test_what_would_change_the_answer_is_refused_and_not_dropped(
    path: str, body: dict[str, Any], named: str
) -> None:
    status, said, asked = refused(path, body)
    assert (status, asked) == (400, 0)
    assert named in said


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"input": "Hi", "include": ["reasoning.encrypted_content"], "tool_choice": "none"}),
        ("/v1/messages", {"messages": ASK, "max_tokens": 5, "tool_choice": {"type": "auto"}}),
        (
            "/api/chat",
            {
                "messages": ASK,
                "stream": False,
                "options": {
                    "mirostat": 0,
                    "typical_p": 1.0,
                    "tfs_z": 1,
                    "repeat_last_n": 64,
                    "num_ctx": 4096,
                },
            },
        ),
    ],
)
def test_what_changes_nothing_is_taken(path: str, body: dict[str, Any]) -> None:
    told(path, body)


def test_anthropics_clients_are_told_which_stop_text_ended_an_answer() -> None:
    def call(s: Any) -> Any:
        asked: Any = {"model": "small", "max_tokens": 9, "messages": ASK, "stop_sequences": ["#", " there"]}
        with claude(s) as c, c.messages.stream(**asked) as stream:
            return c.messages.create(**asked), stream.get_final_message()

    for found in run(call, statuses=["answered"] * 2):
        assert (found.stop_reason, found.stop_sequence) == ("stop_sequence", " there")
        assert found.content[0].text == "Hello"


def test_an_engine_cannot_say_what_it_likes_as_a_stop_text() -> None:
    async def main() -> dict[str, Any]:
        async with served() as (server, s):
            server.stop_reason = "a secret that no filter saw"
            body = {"model": "small", "messages": ASK, "max_tokens": 5, "stop_sequences": ["#"]}
            async with s.session.post("/v1/messages", json=body, headers=s.headers) as response:
                found: dict[str, Any] = await response.json()
                return found

    found = asyncio.run(main())
    assert (found["stop_reason"], found["stop_sequence"]) == ("end_turn", None)
