"""The gateway over HTTP: what callers see when everything works, and when they are at fault."""

import asyncio
import hashlib
import hmac
import json
from typing import Any

import pytest

from infer_doubles import (
    HANDBOOK,
    MemorySource,
    ScriptedEngine,
    admitted,
    chunk,
    events,
    hangs,
    make_key,
    says_words,
    sends,
    sends_then_hangs,
    site,
    text_of,
    until,
    usage_chunk,
)
from lockgate.core.wire import encode
from lockgate.guard.service import TEXT_CHARACTERS
from lockgate.infer import EngineLimits, GatewayLimits


def test_whole_answer_has_text_usage_and_receipt() -> None:
    async def run() -> None:
        async with site() as s:
            async with s.ask("Hi", temperature=0.5, stop="END", user="somebody") as response:
                body = await response.json()
                assert response.status == 200
                assert response.headers["X-Lockgate-Receipt"] == body["lockgate"]["receipt"]
                assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert body["object"] == "chat.completion"
            assert body["choices"][0]["message"] == {
                "role": "assistant",
                "content": "Hello there.",
                "refusal": None,
            }
            assert body["usage"] == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
            assert body["lockgate"]["citations"] == []
            sent = s.server.bodies[0]
            assert sent["temperature"] == 0.5
            assert sent["stop"] == ["END"]
            assert "user" not in sent
            assert sent["model"] == "served"

    asyncio.run(run())


def test_stream_ends_with_provenance_usage_and_done() -> None:
    async def run() -> None:
        async with site() as s:
            async with s.ask(stream=True, stream_options={"include_usage": True}) as response:
                assert response.headers["Content-Type"].startswith("text/event-stream")
                chunks = events(await response.read())
            assert chunks[-1] == "[DONE]"
            assert text_of(chunks) == "Hello there."
            assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
            assert chunks[-2]["choices"] == []
            assert chunks[-2]["usage"]["total_tokens"] == 8
            assert chunks[-3]["choices"][0]["finish_reason"] == "stop"
            assert chunks[-3]["lockgate"]["receipt"] == response.headers["X-Lockgate-Receipt"]
            assert len({c["id"] for c in chunks[:-1]}) == 1

    asyncio.run(run())


def test_stream_without_usage_never_sends_a_chunk_without_choices() -> None:
    async def run() -> None:
        async with site() as s, s.ask(stream=True, max_tokens=2) as response:
            chunks = events(await response.read())
            assert all(c["choices"] for c in chunks[:-1])
            assert chunks[-2]["choices"][0]["finish_reason"] == "length"

    asyncio.run(run())


def test_chunks_leave_as_they_come() -> None:
    async def run() -> None:
        async with site(sends_then_hangs(chunk("One"))) as s, s.ask(stream=True) as response:
            async with asyncio.timeout(120):
                line = await response.content.readuntil(b"\n\n")
            assert json.loads(line[6:])["choices"][0]["delta"]["content"] == "One"

    asyncio.run(run())


def test_receipt_names_everything_and_its_digests_verify() -> None:
    async def run() -> None:
        async with site() as s:
            async with s.ask("Hi") as response:
                answer = await response.json()
            path = f"/v1/lockgate/receipts/{answer['lockgate']['receipt']}"
            async with s.session.get(path, headers=s.headers) as response:
                assert response.status == 200
                found = await response.json()
            receipt = found["receipt"]
            key = bytes.fromhex(found["digest_key"])
            prompt = encode([{"role": "user", "content": "Hi"}])
            assert receipt["prompt_hmac"] == hmac.digest(key, prompt, "sha256").hex()
            assert receipt["answer_hmac"] == hmac.digest(key, b"Hello there.", "sha256").hex()
            assert receipt["status"] == "answered"
            assert receipt["snapshot_sha256"] == "5" * 64
            assert receipt["channel_version"] == 3
            assert receipt["model"]["crossing"] == 7
            assert receipt["model"]["loaded"]["enforcement"] == "hashed, enforced (sealed memfd)"
            assert receipt["model"]["files"][0]["sha256"] == receipt["model"]["loaded"]["sha256"]
            assert receipt["knowledge"] is None
            (_, intent), (_, outcome) = s.ledger.events
            assert found["audit"]["intent_leaf"] == 0
            assert found["audit"]["outcome_leaf"] == 1
            assert intent["facts"]["prompt_hmac"] == receipt["prompt_hmac"]
            digest = hashlib.sha256(encode(receipt)).hexdigest()
            assert outcome["facts"]["receipt_sha256"] == digest == found["audit"]["receipt_sha256"]

    asyncio.run(run())


def test_receipt_is_shown_to_its_owner_only() -> None:
    async def run() -> None:
        async with site() as s:
            async with s.ask() as response:
                receipt = (await response.json())["lockgate"]["receipt"]
            other, kept = make_key(s.entropy, name="other")
            s.keys.add(kept)
            headers = {"Authorization": f"Bearer {other}"}
            for name in (receipt, "0" * 32, "..%2f..%2fetc"):
                async with s.session.get(f"/v1/lockgate/receipts/{name}", headers=headers) as response:
                    assert response.status == 404
                    assert (await response.json())["error"]["code"] == "receipt_not_found"

    asyncio.run(run())


def test_nothing_leaves_before_the_intent_is_durable() -> None:
    async def run() -> None:
        async with site(sends_then_hangs(chunk("One"))) as s:
            s.ledger.open.clear()
            asking = asyncio.ensure_future(s.ask(stream=True).__aenter__())
            await s.server.sent.wait()
            done, _ = await asyncio.wait([asking], timeout=0.2)
            assert not done
            assert s.ledger.events == []
            s.ledger.open.set()
            response = await asking
            assert s.ledger.events[0][0] == "intent"
            response.close()

    asyncio.run(run())


def test_no_answer_without_an_audit_log() -> None:
    async def run() -> None:
        async with site() as s:
            s.ledger.broken.add("intent")
            async with s.ask() as response:
                assert response.status == 503
                assert (await response.json())["error"]["code"] == "audit_unavailable"
            async with s.ask(stream=True) as response:
                assert response.status == 503

    asyncio.run(run())


def test_stream_whose_outcome_cannot_be_recorded_ends_with_an_error() -> None:
    async def run() -> None:
        async with site() as s:
            s.ledger.broken.add("outcome")
            async with s.ask(stream=True) as response:
                chunks = events(await response.read())
            assert chunks[-1]["error"]["code"] == "audit_unavailable"
            assert "[DONE]" not in chunks

    asyncio.run(run())


def test_text_that_came_at_once_is_not_taken_back_when_its_outcome_cannot_be_recorded() -> None:
    async def run() -> None:
        whole = chunk("One") + chunk(finish="stop") + usage_chunk(5, 1) + b"data: [DONE]\n\n"
        async with site(sends(whole)) as s:
            s.ledger.broken.add("outcome")
            async with s.ask(stream=True) as response:
                assert response.status == 200
                chunks = events(await response.read())
            assert text_of(chunks) == "One"
            assert chunks[-1]["error"]["code"] == "audit_unavailable"

    asyncio.run(run())


def test_whoever_expects_a_go_ahead_for_its_body_gets_it() -> None:
    async def run() -> None:
        async with site() as s:
            body = json.dumps({"model": "small", "messages": [{"role": "user", "content": "Hi"}]}).encode()
            reader, writer = await asyncio.open_connection("127.0.0.1", int(s.url.rpartition(":")[2]))
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n"
                b"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
                % (s.secret.encode(), len(body))
            )
            async with asyncio.timeout(120):
                assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
                writer.write(body)
                assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            writer.close()

    asyncio.run(run())


@pytest.mark.parametrize("when", ["before", "after"])
def test_leaving_cancels_the_engine(when: str) -> None:
    async def run() -> None:
        behaviour = hangs if when == "before" else sends_then_hangs(chunk("One"))
        async with site(behaviour) as s:
            asking = asyncio.ensure_future(s.ask(stream=True).__aenter__())
            await s.server.sent.wait()
            if when == "after":
                response = await asking
                await response.content.readuntil(b"\n\n")
                response.close()
            else:
                asking.cancel()
            async with asyncio.timeout(120):
                await s.server.cancelled.wait()
            await until(lambda: s.ledger.statuses() == ["cancelled"])

    asyncio.run(run())


def test_knowledge_answer_is_cited_sentence_by_sentence() -> None:
    async def run() -> None:
        async with site() as s:
            s.server.words = (
                "The night",
                " shift begins at",
                " 22:15.",
                " It is",
                " cold. Generator",
                " two",
            )
            s.server.words += (" starts within nine", " seconds.")
            async with s.ask("When does the night shift begin?", model="small@handbook") as response:
                body = await response.json()
            text = body["choices"][0]["message"]["content"]
            assert text == (
                "The night shift begins at 22:15. [1] It is cold. [unsupported] "
                "Generator two starts within nine seconds. [2]"
            )
            first, second = body["lockgate"]["citations"]
            assert first["quote"] == HANDBOOK[first["start"] : first["end"]]
            assert second["number"] == 2
            assert s.server.bodies[0]["messages"][0]["role"] == "system"
            assert s.server.bodies[0]["temperature"] == 0
            assert s.knowledge.labels == [frozenset({"internal"})]
            path = f"/v1/lockgate/receipts/{body['lockgate']['receipt']}"
            async with s.session.get(path, headers=s.headers) as response:
                found = await response.json()
            assert found["receipt"]["knowledge"]["index_sha256"] == "1" * 64
            assert [c["number"] for c in found["receipt"]["knowledge"]["cited"]] == [1, 2]
            key = bytes.fromhex(found["digest_key"])
            assert found["receipt"]["answer_hmac"] == hmac.digest(key, text.encode(), "sha256").hex()

    asyncio.run(run())


def test_streamed_knowledge_answer_equals_the_whole_one() -> None:
    async def run() -> None:
        async with site() as s:
            s.server.words = ("The codeword of the", " month is heron.", " Yes.")
            question = "What is the codeword?"
            async with s.ask(question, model="small@handbook") as response:
                whole = (await response.json())["choices"][0]["message"]["content"]
            async with s.ask(question, model="small@handbook", stream=True) as response:
                chunks = events(await response.read())
            assert text_of(chunks) == whole == "The codeword of the month is heron. [1] Yes. [unsupported]"
            assert chunks[-2]["lockgate"]["citations"][0]["title"] == "Operations handbook"

    asyncio.run(run())


@pytest.mark.parametrize("stream", [False, True])
def test_unsupported_question_asks_no_engine_and_cites_nothing(*, stream: bool) -> None:
    async def run() -> None:
        async with site() as s:
            async with s.ask("Who won?", model="small@handbook", stream=stream) as response:
                raw = await response.read()
            last = events(raw)[-2] if stream else json.loads(raw)
            text = text_of(events(raw)) if stream else last["choices"][0]["message"]["content"]
            assert "nothing that supports" in text
            assert last["lockgate"]["citations"] == []
            assert s.server.bodies == []
            assert s.ledger.statuses() == ["abstained"]

    asyncio.run(run())


def test_models_are_listed_by_label_alone_and_with_knowledge() -> None:
    async def run() -> None:
        async with site() as s:
            s.source.view = MemorySource(admitted(), admitted("secret", "secret"), admitted("idle")).view
            async with s.session.get("/v1/models", headers=s.headers) as response:
                listed = await response.json()
            assert [m["id"] for m in listed["data"]] == ["small", "small@handbook"]
            assert listed["data"][0]["lockgate"]["crossing"] == 7
            async with s.session.get("/v1/models/small@handbook", headers=s.headers) as response:
                assert (await response.json())["id"] == "small@handbook"
            async with s.session.get("/v1/models/idle", headers=s.headers) as response:
                assert response.status == 404

    asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "labels"),
    [("other", ("internal",)), ("small@nothing", ("internal",)), ("small", ("public",))],
)
def test_unknown_or_forbidden_model_is_not_found(name: str, labels: tuple[str, ...]) -> None:
    async def run() -> None:
        async with site() as s:
            secret, key = make_key(s.entropy, *labels, name="caller")
            s.keys.add(key)
            body = {"model": name, "messages": [{"role": "user", "content": "Hi"}]}
            headers = {"Authorization": f"Bearer {secret}"}
            async with s.session.post("/v1/chat/completions", json=body, headers=headers) as response:
                assert response.status == 404
                error = (await response.json())["error"]
            assert error["code"] == "model_not_found"
            assert error["param"] == "model"
            assert s.server.bodies == []

    asyncio.run(run())


def test_model_that_left_the_channel_or_changed_is_not_served() -> None:
    async def run() -> None:
        from dataclasses import replace

        async with site() as s:
            model = s.source.view.models[0]
            other = replace(model, weights=replace(model.weights, sha256="9" * 64))
            s.source.view = replace(s.source.view, models=(other,))
            async with s.ask() as response:
                assert response.status == 503
                assert (await response.json())["error"]["code"] == "engine_unavailable"
            s.source.view = replace(s.source.view, models=())
            async with s.ask() as response:
                assert response.status == 404

    asyncio.run(run())


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer nonsense", "Basic {secret}", "Bearer {other}", "Bearer {secret}x"],
)
def test_only_a_known_key_is_let_in(header: str | None) -> None:
    async def run() -> None:
        async with site() as s:
            other, _ = make_key(s.entropy, name="never put on record")
            headers = {"Authorization": header.format(secret=s.secret, other=other)} if header else {}
            for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/models")):
                async with s.session.request(method, path, headers=headers) as response:
                    assert response.status == 401
                    assert (await response.json())["error"]["code"] == "invalid_api_key"
                    assert response.headers["WWW-Authenticate"] == "Bearer"

    asyncio.run(run())


def test_key_with_the_right_id_and_a_wrong_secret_is_refused() -> None:
    async def run() -> None:
        async with site() as s:
            wrong = s.secret[:-2] + ("AA" if s.secret[-2:] != "AA" else "BA")
            headers = {"Authorization": f"Bearer {wrong}"}
            async with s.session.get("/v1/models", headers=headers) as response:
                assert response.status == 401

    asyncio.run(run())


HI = b'"messages":[{"role":"user","content":"Hi"}]'


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_request", None),
        (b"{", "invalid_request", None),
        (b'{"model":"small","messages":[{"role":"user","content":"\xff"}]}', "invalid_request", None),
        (b'{"model":"small","metadata":' + b"[" * 100_000, "invalid_request", None),
        (b'{"model":"small","messages":[]}', "invalid_request", "messages"),
        (b'{"model":"small","messages":[{"role":"robot","content":"Hi"}]}', "invalid_request", "messages"),
        (b'{"model":"small",' + HI + b',"audio":{}}', "unsupported_parameter", "audio"),
        (b'{"model":"small",' + HI + b',"n":99}', "invalid_request", "n"),
        (b'{"model":"small",' + HI + b',"surprise":2}', "invalid_request", None),
        (b'{"model":"small",' + HI + b',"max_tokens":100000}', "invalid_request", "max_tokens"),
    ],
)
def test_bad_body_is_refused_in_the_apis_own_shape(body: bytes, code: str, param: str | None) -> None:
    async def run() -> None:
        async with site() as s:
            async with s.post(body) as response:
                assert response.status == 400
                error = (await response.json())["error"]
            assert set(error) == {"message", "type", "code", "param"}
            assert error["code"] == code
            assert error["param"] == param
            assert s.server.bodies == []
            assert s.ledger.events == []

    asyncio.run(run())


def test_a_text_longer_than_guards_read_is_the_callers_fault_and_not_asked_again() -> None:
    async def run() -> None:
        async with site() as s:
            async with s.ask("x" * (TEXT_CHARACTERS + 1)) as response:
                assert response.status == 400
                assert "Retry-After" not in response.headers
                error = (await response.json())["error"]
            assert error["code"] == "string_above_max_length"
            assert "LG-4a80" in error["message"]
            assert s.server.bodies == []
            async with s.ask("x " * (TEXT_CHARACTERS // 2)) as response:
                assert response.status == 200

    asyncio.run(run())


def test_oversized_body_is_refused_declared_or_not() -> None:
    async def run() -> None:
        async with site(limits=GatewayLimits(body_bytes=1000)) as s:

            async def undeclared() -> Any:
                for _ in range(20):
                    yield b" " * 100

            for data in (b" " * 2000, undeclared()):
                async with s.session.post("/v1/chat/completions", data=data, headers=s.headers) as response:
                    assert response.status == 413
                    assert (await response.json())["error"]["code"] == "body_too_large"

    asyncio.run(run())


def test_body_that_never_ends_is_given_up() -> None:
    async def run() -> None:
        async with site(limits=GatewayLimits(body_seconds=0.2)) as s:
            gate = asyncio.Event()

            async def slow() -> Any:
                yield b"{"
                await gate.wait()

            async with s.session.post("/v1/chat/completions", data=slow(), headers=s.headers) as response:
                assert response.status == 408
            gate.set()

    asyncio.run(run())


def test_compressed_body_is_refused() -> None:
    async def run() -> None:
        async with site() as s:
            headers = {**s.headers, "Content-Encoding": "gzip"}
            async with s.session.post("/v1/chat/completions", data=b"x", headers=headers) as response:
                assert response.status == 400

    asyncio.run(run())


def test_long_header_is_refused() -> None:
    async def run() -> None:
        async with site() as s:
            headers = {"Authorization": "Bearer " + "x" * 20_000}
            async with s.session.get("/v1/models", headers=headers) as response:
                assert response.status == 400

    asyncio.run(run())


def test_a_key_has_only_so_many_requests_at_once() -> None:
    async def run() -> None:
        async with site(sends_then_hangs(chunk("One")), limits=GatewayLimits(per_key=1)) as s:
            async with s.ask(stream=True) as running:
                await running.content.readuntil(b"\n\n")
                async with s.ask() as refused:
                    assert refused.status == 429
                    assert refused.headers["Retry-After"] == "1"
                    assert (await refused.json())["error"]["type"] == "rate_limit_error"
                running.close()
            await s.server.cancelled.wait()
            s.server.behaviour = says_words
            await until(lambda: s.ledger.statuses() == ["cancelled"])
            async with s.ask() as response:
                assert response.status == 200

    asyncio.run(run())


@pytest.mark.parametrize(("waiting", "why"), [(0, "wait for the engine already"), (1, "became free")])
def test_the_queue_before_an_engine_is_bounded(waiting: int, why: str) -> None:
    async def run() -> None:
        bounds = EngineLimits(running=1, waiting=waiting, wait_seconds=0.1)
        behaviour = sends_then_hangs(chunk("One"))
        async with site(behaviour, engine_limits=bounds) as s, s.ask(stream=True) as running:
            await running.content.readuntil(b"\n\n")
            async with s.ask() as refused:
                assert refused.status == 503
                error = (await refused.json())["error"]
            assert error["code"] == "overloaded"
            assert why in error["message"]
            running.close()

    asyncio.run(run())


def test_unknown_paths_and_methods_answer_in_the_apis_shape() -> None:
    async def run() -> None:
        async with site() as s:
            async with s.session.get("/v1/nothing") as response:
                assert response.status == 404
                assert (await response.json())["error"]["code"] == "not_found"
            async with s.session.get("/v1/chat/completions") as response:
                assert response.status == 405

    asyncio.run(run())


def test_health_and_metrics_tell_the_truth() -> None:
    async def run() -> None:
        async with site(engine=ScriptedEngine()) as s:
            async with s.ask() as response:
                assert response.status == 200
            async with s.session.get("/healthz") as response:
                assert response.status == 200
                assert (await response.json())["engines"]["small"]["state"] == "ready"
            async with s.session.get("/metrics") as response:
                text = await response.text()
            assert 'lockgate_gateway_engine_up{model="small"} 1.0' in text
            assert 'lockgate_gateway_answers_total{model="small",status="answered"} 1.0' in text
            assert 'lockgate_gateway_tokens_total{kind="completion",model="small"} 3.0' in text
            assert "lockgate_gateway_in_flight 0.0" in text
            counted = 'lockgate_gateway_requests_total{route="/v1/chat/completions",status="200"} 1.0'
            assert counted in text
            assert 'lockgate_gateway_first_token_seconds_count{model="small"} 1.0' in text

    asyncio.run(run())
