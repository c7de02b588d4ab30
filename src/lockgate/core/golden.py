"""Golden prompts: what a model answered greedily on the low side, and what it answers on the high side.

A scanner of files cannot see what a model was taught. A set of prompts with their answers, recorded where the
model was tried and signed by the collector, crosses with it and is replayed before it is published.
"""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Annotated

import msgspec

from lockgate.core.artifact import Digest, Size
from lockgate.core.wire import Document, Moment

GOLDEN_FORMAT = "lockgate-golden/1"
GOLDEN_TYPE = "application/vnd.lockgate.golden+json"
"""DSSE payload type of a golden set."""

GOLDEN_SUFFIX = ".golden.json"
"""A golden set's file is named so, and crosses beside the weights that it is of."""

GOLDEN_LIMIT = 4 << 20
"""Longest golden set, in bytes."""

PROMPTS = 256
TOKENS = 512
SHOWN = 64
"""How many prompts that diverge are told one by one."""

_CUT = 80

Text = Annotated[str, msgspec.Meta(max_length=16384)]
Token = Annotated[str, msgspec.Meta(max_length=256)]
PromptId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]


class GoldenPrompt(Document, frozen=True):
    """One prompt: what a user says, what the system said before, and the most tokens of the answer."""

    id: PromptId
    prompt: Text
    system: Text = ""
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=TOKENS)] = 64


class Engine(Document, frozen=True):
    """What answered: the program's name, the digest of its executable as packaged, and how it was run."""

    name: Annotated[str, msgspec.Meta(max_length=256)]
    sha256: Digest
    context: Annotated[int, msgspec.Meta(ge=128, le=1 << 20)]
    seed: Annotated[int, msgspec.Meta(ge=0, le=1 << 31)]


class GoldenAnswer(Document, frozen=True):
    """A prompt and the tokens of its greedy answer, as texts."""

    prompt: GoldenPrompt
    tokens: Annotated[tuple[Token, ...], msgspec.Meta(max_length=TOKENS)]


class GoldenSet(Document, frozen=True):
    """Prompts with their answers by one model and one engine, as the collector signs them."""

    format: str
    model_sha256: Digest
    model_size: Size
    engine: Engine
    recorded: Moment
    answers: Annotated[tuple[GoldenAnswer, ...], msgspec.Meta(min_length=1, max_length=PROMPTS)]


class Divergence(Document, frozen=True):
    """Where an answer left the recorded one: the first token that differs, and both from there on."""

    id: PromptId
    at: Annotated[int, msgspec.Meta(ge=0, le=TOKENS)]
    expected: Annotated[str, msgspec.Meta(max_length=_CUT)]
    found: Annotated[str, msgspec.Meta(max_length=_CUT)]

    @property
    def sentence(self) -> str:
        """Return it as people read it."""
        return f"{self.id} at token {self.at}: {self.expected!r} became {self.found!r}"


class Replay(Document, frozen=True):
    """What a model answered when a golden set was replayed, bound to the digests of both and of the engine.

    `problem` says why there are no answers; then nothing was shown to be the same.
    """

    model_sha256: Digest
    golden_sha256: Digest
    engine: Engine
    recorded_by: Engine
    prompts: int
    differing: int
    divergences: Annotated[tuple[Divergence, ...], msgspec.Meta(max_length=SHOWN)] = ()
    problem: Annotated[str, msgspec.Meta(max_length=240)] = ""

    @property
    def same(self) -> bool:
        """Whether every answer was the recorded one."""
        return not self.differing and not self.problem

    @property
    def sentence(self) -> str:
        """Return the result as one sentence."""
        if self.problem:
            return f"Golden prompts were not replayed: {self.problem}"
        first = f"; {self.divergences[0].sentence}" if self.divergences else ""
        return f"{self.differing} of {self.prompts} golden prompts are answered otherwise{first}."


def diverge(expected: GoldenAnswer, found: Sequence[str]) -> Divergence | None:
    """Return where an answer leaves the recorded one, or None where it is the same."""
    for at, (one, two) in enumerate(zip_longest(expected.tokens, found)):
        if one != two:
            rest = _shown(expected.tokens[at:]), _shown(found[at:])
            return Divergence(id=expected.prompt.id, at=min(at, TOKENS), expected=rest[0], found=rest[1])
    return None


def _shown(tokens: Iterable[str]) -> str:
    text = "".join(tokens)
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[:_CUT])
    return safe[:_CUT]


def replay(
    golden: GoldenSet, golden_sha256: str, model_sha256: str, engine: Engine, found: Sequence[Sequence[str]]
) -> Replay:
    """Return what a replay showed; `found` are the tokens of each answer in the set's order."""
    pairs = zip(golden.answers, found, strict=True)
    apart = [where for answer, tokens in pairs if (where := diverge(answer, tokens)) is not None]
    return Replay(
        model_sha256=model_sha256,
        golden_sha256=golden_sha256,
        engine=engine,
        recorded_by=golden.engine,
        prompts=len(golden.answers),
        differing=len(apart),
        divergences=tuple(apart[:SHOWN]),
    )
