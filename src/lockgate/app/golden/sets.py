"""Golden sets: recorded and signed on the low side, checked on either side, compared."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from lockgate.app.files import read_named, write_named
from lockgate.app.golden.box import Setup, ask
from lockgate.app.settings import Side
from lockgate.app.trust import signer_from, supply_root, utc_now
from lockgate.core.digests import sha256, sha256_stream
from lockgate.core.errors import InputError
from lockgate.core.golden import (
    GOLDEN_FORMAT,
    GOLDEN_LIMIT,
    GOLDEN_TYPE,
    PROMPTS,
    GoldenAnswer,
    GoldenPrompt,
    GoldenSet,
    Replay,
    replay,
)
from lockgate.core.roots import Purpose, Root
from lockgate.core.wire import decode, encode, whole_second
from lockgate.trust.dsse import open_envelope, sign, verify

_LINE_LIMIT = 64 * 1024


class BadPromptsError(InputError):
    """A file of prompts, or a golden set, cannot be used."""

    code = "LG-1fb3"
    advice = (
        'Write one JSON object on each line: {"id": "capital", "prompt": "…"}, with "system" and "max_tokens"'
        " where they are needed."
    )


def read_prompts(file: Path) -> tuple[GoldenPrompt, ...]:
    """Return the prompts of a file of JSON lines.

    Raises:
        BadPromptsError: A line is no prompt, there are none or too many, or one id stands twice.

    """
    found = []
    lines = [line for line in read_named(file, limit=GOLDEN_LIMIT).splitlines() if line.strip()]
    for number, line in enumerate(lines, start=1):
        try:
            found.append(msgspec.json.decode(line, type=GoldenPrompt))
        except msgspec.DecodeError as error:
            what = f"Prompt {number} of {file.name} cannot be read: {error}."
            raise BadPromptsError(what) from error
    if not 0 < len(found) <= PROMPTS or len({each.id for each in found}) < len(found):
        what = f"{file.name} has {len(found)} prompts; 1 to {PROMPTS} with an id each are taken."
        raise BadPromptsError(what)
    return tuple(found)


def digest_of_file(file: Path) -> tuple[str, int]:
    """Return the SHA-256 and the length of a file."""
    with file.open("rb") as stream:
        return sha256_stream(stream)


def record(side: Side, model: Path, prompts: Sequence[GoldenPrompt], setup: Setup, out: Path) -> GoldenSet:
    """Ask an engine, sign what the model answers with the collector's key, and write it.

    Raises:
        EngineReplayError, SandboxUnavailableError: The engine gave no answers.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: The key is no collector's.

    """
    signer = signer_from(side.home.keys, Purpose.COLLECTOR, supply_root(side)[1])
    digest, size = digest_of_file(model)
    found = ask(setup, model, digest, prompts)
    golden = GoldenSet(
        format=GOLDEN_FORMAT,
        model_sha256=digest,
        model_size=size,
        engine=setup.engine,
        recorded=whole_second(utc_now()),
        answers=tuple(
            GoldenAnswer(prompt=prompt, tokens=tokens) for prompt, tokens in zip(prompts, found, strict=True)
        ),
    )
    write_named(out, sign(GOLDEN_TYPE, encode(golden), [signer]))
    return golden


def read_golden(envelope: bytes, supply: Root | None) -> GoldenSet:
    """Return a golden set.

    Args:
        envelope: Its signed bytes.
        supply: The supply root that has to name who signed it, as a collector; None: not checked, for
            comparisons that decide nothing.

    Raises:
        BadPromptsError: It is of another format.
        LockgateError: It is malformed, or not signed by a collector.

    """
    opened = open_envelope(envelope, limit=GOLDEN_LIMIT)
    golden = decode(GoldenSet, opened.payload, limit=GOLDEN_LIMIT, name="golden set")
    if golden.format != GOLDEN_FORMAT:
        what = f"The golden set is of format {golden.format[:64]!r}."
        raise BadPromptsError(what)
    if supply is not None:
        verify(opened, supply, Purpose.COLLECTOR, golden.recorded, GOLDEN_TYPE)
    return golden


def check(golden: GoldenSet, golden_sha256: str, model: Path, setup: Setup) -> Replay:
    """Replay a golden set on a model (the one that it is of, or another version) and tell what differs.

    Raises:
        EngineReplayError, SandboxUnavailableError: The engine gave no answers.

    """
    digest, _ = digest_of_file(model)
    used = Setup(setup.installation, golden.engine.context, golden.engine.seed, setup.threads)
    found = ask(used, model, digest, [answer.prompt for answer in golden.answers])
    return replay(golden, golden_sha256, digest, used.engine, found)


def compare(old: GoldenSet, old_sha256: str, new: GoldenSet) -> Replay:
    """Tell in what a new version's recorded answers differ from those of the one before.

    Raises:
        BadPromptsError: They were not asked the same.

    """
    said = {answer.prompt: answer.tokens for answer in new.answers}
    if [answer.prompt for answer in old.answers if answer.prompt not in said]:
        raise BadPromptsError("The two golden sets were not asked the same prompts.")
    found = [said[answer.prompt] for answer in old.answers]
    return replay(old, old_sha256, new.model_sha256, new.engine, found)


def read_golden_file(file: Path, supply: Root | None) -> tuple[GoldenSet, str]:
    """Return a golden set and the digest of its file."""
    envelope = read_named(file, limit=GOLDEN_LIMIT)
    return read_golden(envelope, supply), sha256(envelope)
