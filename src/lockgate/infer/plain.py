"""Routes whose answers hold no text of a model: vectors, rankings and tokens.

They name a key, count in metrics, hold a slot of the engine and leave a receipt as answers do. Guards do not
look at them: what comes back is numbers, and nothing reads the input as an order.
Format: OpenAI API reference, "Embeddings"; Jina's API for ranking, as llama.cpp and vLLM have it.
"""

import asyncio
import base64
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from lockgate.core.errors import LockgateError
from lockgate.core.wire import encode
from lockgate.infer.engines.ports import Embedded, Message, Ranked, Usage
from lockgate.infer.errors import BadRequestError
from lockgate.infer.limits import BYTES_A_TOKEN, TURN_TOKENS, GatewayLimits
from lockgate.infer.meter import Meter
from lockgate.infer.metrics import GatewayMetrics
from lockgate.infer.outflow import RECEIPT_HEADER
from lockgate.infer.ports import Principal
from lockgate.infer.receipts import Asked, Status
from lockgate.infer.recording import ReceiptBook, Record
from lockgate.infer.requests import ModelName, decoded
from lockgate.infer.shapes import usage_object
from lockgate.infer.targets import Target, Targets


class _Embed(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    model: ModelName
    input: str | list[str]
    encoding_format: Literal["float", "base64"] | None = None
    user: Any = None
    # would change the answer and are not served: only null is taken
    dimensions: None = None


class _OllamaEmbed(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    model: ModelName
    input: str | list[str]
    truncate: bool | None = None
    options: Any = None
    keep_alive: Any = None
    dimensions: None = None


class _Rerank(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    model: ModelName
    query: Annotated[str, msgspec.Meta(min_length=1)]
    documents: list[str]
    top_n: Annotated[int, msgspec.Meta(ge=1)] | None = None
    return_documents: bool | None = None
    user: Any = None


class _Tokenize(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    model: ModelName
    prompt: str | None = None
    content: str | None = None
    add_special_tokens: Literal[False] | None = None


_embeds = msgspec.json.Decoder(_Embed)
_ollama_embeds = msgspec.json.Decoder(_OllamaEmbed)
_reranks = msgspec.json.Decoder(_Rerank)
_tokenizes = msgspec.json.Decoder(_Tokenize)


class PlainDesk:
    """Serves what comes whole.

    Args:
        targets: Resolves models.
        book: Records answers.
        limits: Bounds on what callers may ask.
        metrics: Where everything is counted.
        meter: Keeps keys within their quotas.

    """

    def __init__(
        self,
        *,
        targets: Targets,
        book: ReceiptBook,
        limits: GatewayLimits,
        metrics: GatewayMetrics,
        meter: Meter,
    ) -> None:
        """Keep the parts."""
        self._targets = targets
        self._book = book
        self._limits = limits
        self._metrics = metrics
        self._meter = meter

    async def embed(self, key: Principal, data: bytes) -> web.Response:
        """Serve ``/v1/embeddings``."""
        body = decoded(_embeds, data, _Embed)
        found, record = await self._embedded(key, body.model, body.input)
        packed = body.encoding_format == "base64"
        rows = [
            {"object": "embedding", "index": at, "embedding": _packed(row) if packed else row}
            for at, row in enumerate(found.vectors)
        ]
        usage = {"prompt_tokens": found.tokens, "total_tokens": found.tokens}
        answer = {"object": "list", "data": rows, "model": body.model, "usage": usage}
        return _answered({**answer, "lockgate": {"receipt": record.id}}, record)

    async def ollama_embed(self, key: Principal, data: bytes) -> web.Response:
        """Serve ``/api/embed``."""
        body = decoded(_ollama_embeds, data, _OllamaEmbed)
        found, record = await self._embedded(key, body.model.removesuffix(":latest"), body.input)
        answer = {
            "model": body.model,
            "embeddings": found.vectors,
            "prompt_eval_count": found.tokens,
            "total_duration": 0,
            "load_duration": 0,
        }
        return _answered(answer, record)

    async def _embedded(self, key: Principal, model: str, given: str | list[str]) -> tuple[Embedded, Record]:
        texts = [given] if isinstance(given, str) else given
        self._demand_count(texts, "input")
        async with self._recorded(key, model, texts) as (target, record, usage):
            found = await target.engine.embed(texts)
            usage.append(Usage(prompt_tokens=found.tokens))
            record.add_bytes(msgspec.json.encode(found.vectors))
        return found, record

    async def rerank(self, key: Principal, data: bytes) -> web.Response:
        """Serve ``/v1/rerank``."""
        body = decoded(_reranks, data, _Rerank)
        self._demand_count(body.documents, "documents")
        texts = [body.query, *body.documents]
        async with self._recorded(key, body.model, texts) as (target, record, usage):
            ranked: Ranked = await target.engine.rerank(body.query, body.documents)
            usage.append(Usage(prompt_tokens=ranked.tokens))
            record.add_bytes(msgspec.json.encode(ranked.scores))
        order = sorted(range(len(ranked.scores)), key=lambda at: -ranked.scores[at])
        results: list[dict[str, Any]] = [
            {"index": at, "relevance_score": ranked.scores[at]} for at in order[: body.top_n]
        ]
        if body.return_documents:
            results = [{**row, "document": {"text": body.documents[row["index"]]}} for row in results]
        answer = {
            "model": body.model,
            "results": results,
            "usage": usage_object(Usage(prompt_tokens=ranked.tokens)),
            "lockgate": {"receipt": record.id},
        }
        return _answered(answer, record)

    async def tokenize(self, key: Principal, data: bytes) -> web.Response:
        """Serve ``/tokenize``."""
        body = decoded(_tokenizes, data, _Tokenize)
        text = body.content if body.prompt is None else body.prompt
        if text is None:
            what = "There is neither a prompt nor a content to take apart."
            raise BadRequestError(what, param="prompt")
        async with self._recorded(key, body.model, [text]) as (target, record, _):
            tokens = await target.engine.tokenize(text)
            record.add_bytes(msgspec.json.encode(tokens))
        return _answered({"tokens": tokens, "count": len(tokens)}, record)

    def _demand_count(self, texts: Sequence[str], param: str) -> None:
        if not 1 <= len(texts) <= self._limits.inputs:
            what = f"A request has 1 to {self._limits.inputs} texts, not {len(texts)}."
            raise BadRequestError(what, param=param, limit="gateway.inputs")

    @asynccontextmanager
    async def _recorded(
        self, key: Principal, model: str, texts: Sequence[str]
    ) -> AsyncIterator[tuple[Target, Record, list[Usage]]]:
        """Hold a slot and see to it that the intent is durable before the answer leaves, and has an outcome.

        What the block appends to the list is what was spent.
        """
        target = self._targets.resolve(model, key, lambda: encode(list(texts)))
        name = target.model.name
        messages = [Message("user", text) for text in texts]
        spent: list[Usage] = []
        status, reason = Status.FAILED, ""
        with self._metrics.in_flight:
            priority = self._meter.priority(key)
            bound = sum(len(text.encode()) + TURN_TOKENS for text in texts)
            async with (
                target.slots.held(key.id, priority),
                self._meter.reserved(key, bound, 0) as charge,
            ):
                target = self._targets.again(target, key)  # withdrawn, perhaps, while this one waited
                record = self._book.record(
                    Asked(key, target.view, target.model, target.loaded, messages, None, share=target.share)
                )
                record.begin()
                try:
                    yield target, record, spent
                    status = Status.ANSWERED
                except asyncio.CancelledError:
                    status = Status.CANCELLED
                    raise
                except LockgateError as error:
                    reason = error.code
                    error.where["recorded"] = record.id
                    raise
                finally:
                    told = Usage(prompt_tokens=bound // BYTES_A_TOKEN)
                    charge.usage = spent[0] if spent and spent[0] != Usage() else told
                    record.close(status, usage=spent[0] if spent else Usage(), reason=reason)
                    self._metrics.answers.labels(name, status.value).inc()
                    if target.share:
                        self._metrics.shares.labels(target.asked, name).inc()
            if spent:
                self._metrics.tokens.labels(name, "prompt").inc(spent[0].prompt_tokens)
            await record.closed()


def _packed(row: Sequence[float]) -> str:
    """Return a vector as base64 of little-endian 32-bit floats, as OpenAI's client asks for."""
    return base64.b64encode(struct.pack(f"<{len(row)}f", *row)).decode()


def _answered(body: dict[str, Any], record: Record) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), content_type="application/json", headers={RECEIPT_HEADER: record.id}
    )
