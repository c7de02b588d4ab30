"""Greedy answers of one engine to many prompts, and the program that gives them inside a sandbox.

The program is started by `lockgate.app.golden.box` in namespaces of its own, without any network but its own
loopback. It reads an order on standard input, runs the engine on the model, and writes the answers. It
is given prompts alone and never the answers that are expected, so that a model which takes the
engine over does not know what to say.
"""

import asyncio
import re
import resource
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from lockgate.core.errors import LockgateError
from lockgate.core.golden import TOKENS, GoldenPrompt
from lockgate.infer.engines.installation import Installation
from lockgate.infer.engines.llama import LlamaConfig, LlamaEngine
from lockgate.infer.engines.ports import Engine, EngineRequest, Message, Piece
from lockgate.infer.limits import EngineLimits
from lockgate.infer.ports import ModelFile

ORDER_LIMIT = 64 << 20
"""Longest order, in bytes."""

TOKEN_LENGTH = 256
_WORD = re.compile(r"\s*\S+|\s+\Z")


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the program is to do. Sizes are bytes, times seconds."""

    model: str
    model_sha256: str
    model_size: int
    root: str
    executable: str
    files: dict[str, str]
    name: str
    folder: str
    context: int
    threads: int
    seed: int
    start_seconds: float
    memory_bytes: int
    prompts: tuple[GoldenPrompt, ...]


class Answered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tokens of each answer in the order of the prompts, or why there are none."""

    answers: tuple[tuple[str, ...], ...] = ()
    problem: str = ""


def greedy(prompt: GoldenPrompt, seed: int) -> EngineRequest:
    """Return what an engine is asked, so that it always takes the likeliest token."""
    turns = [Message("system", prompt.system)] if prompt.system else []
    options: dict[str, Any] = {
        "temperature": 0,
        "top_k": 1,
        "seed": seed,
        "logprobs": True,
        "cache_prompt": False,
    }
    return EngineRequest([*turns, Message("user", prompt.prompt)], prompt.max_tokens, options)


async def answers(engine: Engine, prompts: Sequence[GoldenPrompt], seed: int) -> list[tuple[str, ...]]:
    """Return the tokens of each answer, one prompt after another.

    Raises:
        EngineRefusedError, EngineUnavailableError, EngineTimeoutError, EngineGarbageError,
        EngineBrokenOffError, AnswerTooLargeError: The engine failed.

    """
    return [tokens_of([piece async for piece in engine.chat(greedy(prompt, seed))]) for prompt in prompts]


def tokens_of(pieces: Sequence[Piece]) -> tuple[str, ...]:
    """Return the tokens of an answer; of an engine that names none, its words.

    How an answer falls into parts is a matter of time, and says nothing about the model.
    """
    named = [str(each.get("token", "")) for piece in pieces for each in piece.logprobs]
    text = "".join(piece.text for piece in pieces)
    tokens = named if "".join(named) == text else _WORD.findall(text)
    return tuple(token[:TOKEN_LENGTH] for token in tokens[:TOKENS])


async def _run(order: Order) -> list[tuple[str, ...]]:
    engine = LlamaEngine(
        model=ModelFile(Path(order.model).name, order.model_sha256, order.model_size),
        open_model=lambda: Path(order.model).open("rb"),  # noqa: SIM115  # the engine closes it
        installation=Installation(Path(order.root), order.executable, order.files, order.name),
        config=LlamaConfig(
            Path(order.folder),
            context=order.context,
            threads=order.threads,
            start_seconds=order.start_seconds,
            seal_limit=0,  # the file lies read-only in the sandbox, and a copy would cost its length again
        ),
        limits=EngineLimits(running=1),
        clock=lambda: datetime.now(UTC),
    )
    await engine.start()
    try:
        return await answers(engine, order.prompts, order.seed)
    finally:
        await engine.stop()


def main() -> None:
    """Read the order, run the engine, write the answers."""
    order = msgspec.json.decode(sys.stdin.buffer.read(ORDER_LIMIT), type=Order)
    resource.setrlimit(resource.RLIMIT_AS, (order.memory_bytes, order.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        said = Answered(answers=tuple(asyncio.run(_run(order))))
    except (LockgateError, OSError) as error:
        said = Answered(problem=str(error)[:1000])
    sys.stdout.buffer.write(msgspec.json.encode(said))
