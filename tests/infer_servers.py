"""Doubles of servers that others run, after their published schemas.

Ollama: api types of its repository (`ChatResponse`, `GenerateResponse`, `EmbedResponse`, `ListResponse`).
TGI: docs/openapi.json (`StreamResponse`, `StreamDetails`, `Info`, `ErrorResponse`, `SimpleToken`). vLLM: the
OpenAI API with `cache_salt`, Jina's ranking, and `/tokenize`. Fields that a schema does not know are refused.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

WORDS = ("Hello", " there", ".")
MODEL = "org/small"
TOOL_QUESTION = "Use the tool"


class OtherServer:
    """One server; `seen` holds the bodies that it was sent, by path."""

    def __init__(self, kind: str, words: Sequence[str] = WORDS) -> None:
        self.kind = kind
        self.words = words
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.tags: list[dict[str, Any]] = [{"name": MODEL, "model": MODEL, "digest": "d" * 64, "size": 1}]
        self.model = MODEL
        self.well = True
        self.stop_reason: str | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self.held = asyncio.Event()
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["OtherServer"]:
        app = web.Application()
        if self.kind == "ollama":
            app.router.add_get("/api/version", self._version)
            app.router.add_get("/api/tags", self._tags)
            app.router.add_post("/api/chat", self._ollama)
            app.router.add_post("/api/generate", self._ollama)
            app.router.add_post("/api/embed", self._ollama_embed)
        else:
            app.router.add_get("/health", self._health)
            app.router.add_get("/info", self._info)
            app.router.add_post("/v1/chat/completions", self._openai)
            app.router.add_post("/v1/completions", self._openai)
            app.router.add_post("/v1/embeddings", self._embeddings)
            app.router.add_post("/v1/rerank", self._rerank)
            app.router.add_post("/generate_stream", self._generate_stream)
            app.router.add_post("/tokenize", self._tokenize)
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _body(self, request: web.Request, known: str) -> dict[str, Any]:
        body: dict[str, Any] = await request.json()
        self.seen.append((request.path, body))
        if not self.hold.is_set():
            self.held.set()
            await self.hold.wait()
        unknown = set(body) - set(known.split())
        if unknown:
            raise web.HTTPBadRequest(text=json.dumps({"error": f"unknown fields {sorted(unknown)}"}))
        return body

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(status=200 if self.well else 503)

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": "0.40.12"}, status=200 if self.well else 503)

    async def _tags(self, _: web.Request) -> web.Response:
        return web.json_response({"models": self.tags}, status=200 if self.well else 503)

    async def _info(self, _: web.Request) -> web.Response:
        found = {
            "model_id": self.model,
            "model_sha": None,
            "max_concurrent_requests": 128,
            "version": "3.3.5",
        }
        return web.json_response(found, status=200 if self.well else 503)

    async def _stream(self, request: web.Request, parts: Sequence[bytes], media: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": media})
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        return response

    async def _ollama(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(
            request, "model messages prompt raw stream options format tools logprobs top_logprobs keep_alive"
        )
        chat = request.path == "/api/chat"
        words = self.words[: body["options"]["num_predict"]]
        head = {"model": body["model"], "created_at": "2026-01-02T03:04:05.000000Z"}
        lines: list[dict[str, Any]] = []
        if chat and body.get("tools"):
            call = {"function": {"name": body["tools"][0]["function"]["name"], "arguments": {"unit": 2}}}
            lines.append({"message": {"role": "assistant", "content": "", "tool_calls": [call]}})
            words = ()
        lines += [
            {"message": {"role": "assistant", "content": word}} if chat else {"response": word}
            for word in words
        ]
        last: dict[str, Any] = {"message": {"role": "assistant", "content": ""}} if chat else {"response": ""}
        last |= {"done_reason": "stop" if len(words) in {0, len(self.words)} else "length"}
        last |= {"prompt_eval_count": 5, "eval_count": len(words), "total_duration": 1, "load_duration": 1}
        sent = [{**head, **line, "done": False} for line in lines] + [{**head, **last, "done": True}]
        return await self._stream(
            request, [json.dumps(line).encode() + b"\n" for line in sent], "application/x-ndjson"
        )

    async def _ollama_embed(self, request: web.Request) -> web.Response:
        body = await self._body(request, "model input truncate options keep_alive dimensions")
        rows = [[float(len(text)), 0.5] for text in body["input"]]
        return web.json_response({"model": body["model"], "embeddings": rows, "prompt_eval_count": 7})

    async def _openai(self, request: web.Request) -> web.StreamResponse:
        known = (
            "model messages prompt max_tokens stream stream_options temperature top_p seed stop n logprobs"
        )
        known += " top_logprobs tools tool_choice response_format parallel_tool_calls presence_penalty"
        known += " frequency_penalty" + (" cache_salt top_k min_p" if self.kind == "vllm" else "")
        body = await self._body(request, known)
        words = self.words[: body["max_tokens"]]
        plain = request.path == "/v1/completions"
        if body.get("tools"):
            deltas = self._tool_deltas(body["tools"][0]["function"]["name"])
            finish, words, reason = "tool_calls", (), None
        else:
            stopped = next((at for at, word in enumerate(words) if word in body.get("stop", ())), None)
            reason = words[stopped] if stopped is not None else None
            words = words[:stopped]
            deltas = [{"content": word} for word in words]
            finish = "stop" if reason or len(words) == len(self.words) else "length"
        parts = []
        for delta in deltas:
            choice: dict[str, Any] = {"index": 0, "finish_reason": None}
            choice |= {"text": delta["content"]} if plain else {"delta": delta}
            if body.get("logprobs"):
                token = {"token": delta["content"], "logprob": -0.5, "bytes": None, "top_logprobs": []}
                choice["logprobs"] = {"content": [token]}
            parts.append({"choices": [choice]})
        last: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": finish}
        if self.kind == "vllm":
            last["stop_reason"] = self.stop_reason or reason
        parts.append({"choices": [last]})
        parts.append({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": len(words)}})
        sent = [b"data: " + json.dumps(part).encode() + b"\n\n" for part in parts]
        return await self._stream(request, [*sent, b"data: [DONE]\n\n"], "text/event-stream")

    def _tool_deltas(self, name: str) -> list[dict[str, Any]]:
        first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
        rest = [{"index": 0, "function": {"arguments": part}} for part in ('{"un', 'it": 2}')]
        return [{"tool_calls": [part]} for part in (first, *rest)]

    async def _embeddings(self, request: web.Request) -> web.Response:
        body = await self._body(request, "model input encoding_format user")
        rows = [
            {"object": "embedding", "index": at, "embedding": [float(len(text)), 0.5]}
            for at, text in enumerate(body["input"])
        ]
        return web.json_response({"data": rows[::-1], "usage": {"prompt_tokens": 7, "total_tokens": 7}})

    async def _rerank(self, request: web.Request) -> web.Response:
        body = await self._body(request, "model query documents top_n")
        scored = [
            {"index": at, "relevance_score": float(text.count(body["query"]))}
            for at, text in enumerate(body["documents"])
        ]
        return web.json_response({"results": scored[::-1], "usage": {"prompt_tokens": 3, "total_tokens": 3}})

    async def _tokenize(self, request: web.Request) -> web.Response:
        if self.kind == "tgi":
            body = await self._body(request, "inputs parameters")
            found: Any = [
                {"id": at, "text": word, "start": 0, "stop": 1}
                for at, word in enumerate(body["inputs"].split())
            ]
            return web.json_response(found)
        body = await self._body(request, "model content prompt add_special_tokens")
        tokens = list(range(len(body["prompt"].split())))
        return web.json_response({"tokens": tokens, "count": len(tokens), "max_model_len": 4096})

    async def _generate_stream(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request, "inputs parameters")
        words = self.words[: body["parameters"]["max_new_tokens"]]
        assert body["parameters"].get("temperature") != 0
        parts = []
        for at, word in enumerate(words):
            event: dict[str, Any] = {
                "index": at + 1,
                "token": {"id": at, "text": word, "logprob": -0.1, "special": False},
                "top_tokens": [],
                "generated_text": None,
                "details": None,
            }
            if at == len(words) - 1:
                event["generated_text"] = "".join(words)
                event["details"] = {
                    "finish_reason": "length" if len(words) < len(self.words) else "eos_token",
                    "generated_tokens": len(words),
                    "input_length": 5,
                    "seed": None,
                }
            parts.append(b"data:" + json.dumps(event).encode() + b"\n\n")
        return await self._stream(request, parts, "text/event-stream")
