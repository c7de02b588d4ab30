"""What each guard does, as a site's people sign it: a versioned TOML document that two persons put in force.

Settings let one person make a guard stricter. To turn one off, or to let one that blocks only log, takes this
document. What it names counts; of what it leaves out the settings decide.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated

import msgspec

from lockgate.core.errors import TooLargeError
from lockgate.core.wire import Document
from lockgate.guard.errors import BadModesError
from lockgate.guard.policy import GuardPolicy, Mode
from lockgate.guard.rules import Channel

MODES_FORMAT = "lockgate-guards/1"
MODES_LIMIT = 64 * 1024
"""Longest document that is read, in bytes."""

_MEANS = {
    Mode.OFF: "is off: nobody looks",
    Mode.LOG: "logs what it meets and lets it pass",
    Mode.BLOCK: "blocks",
}


class Answers(Document, frozen=True):
    """What guards of answers do; None: as the settings say."""

    canary: Mode | None = None
    links: Mode | None = None
    secrets: Mode | None = None
    personal: Mode | None = None
    invisible: Mode | None = None
    system_prompt: Mode | None = None


class GuardModes(Document, frozen=True):
    """What guards do.

    Attributes:
        format: `MODES_FORMAT`.
        version: Its number on this side, from 1.
        reason: Why, for those who sign.
        rules: Of the rules on what goes to a model, by channel.
        classifier: Of the classifier, by channel.
        answers: Of guards on what comes from a model.

    """

    format: str
    version: Annotated[int, msgspec.Meta(ge=1, lt=1_000_000)]
    reason: Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,500}\Z")]
    rules: Mapping[Channel, Mode] = {}
    classifier: Mapping[Channel, Mode] = {}
    answers: Answers = Answers()

    def sentences(self) -> Iterator[str]:
        """Yield what an approver reads, what is weakest first."""
        yield f"because: {self.reason}"
        said: list[tuple[Mode, str]] = []
        for name, modes in (("rules", self.rules), ("classifier", self.classifier)):
            said += [(mode, f"{name} on the channel {channel}") for channel, mode in modes.items()]
        said += [
            (mode, f"{name.replace('_', ' ')} in answers")
            for name in self.answers.__struct_fields__
            if (mode := getattr(self.answers, name)) is not None
        ]
        for mode, what in sorted(said, key=lambda each: (list(Mode).index(each[0]), each[1])):
            yield f"{what}: {_MEANS[mode]}"
        yield "what is not named: as the settings say"

    def over(self, policy: GuardPolicy) -> GuardPolicy:
        """Return a policy with what this document names in place of its own."""
        answers = {
            name: mode
            for name in self.answers.__struct_fields__
            if (mode := getattr(self.answers, name)) is not None
        }
        return replace(
            policy,
            rules={**policy.rules, **self.rules},
            classifier={**policy.classifier, **self.classifier},
            **answers,
        )


def read_modes(data: bytes) -> GuardModes:
    """Return the guards that a TOML document holds.

    Raises:
        TooLargeError: Longer than `MODES_LIMIT`.
        BadModesError: Not TOML, or not of this form.

    """
    if len(data) > MODES_LIMIT:
        what = f"The guards have {len(data)} bytes; at most {MODES_LIMIT} are read."
        raise TooLargeError(what, limit="guard_modes_bytes")
    try:
        modes = msgspec.convert(tomllib.loads(data.decode()), GuardModes)
    except msgspec.ValidationError as error:
        what = f"The guards are malformed: {error}."
        raise BadModesError(what) from error
    except (ValueError, RecursionError) as error:  # numbers with thousands of digits are no TOMLDecodeError
        what = f"The guards are not TOML: {error}."
        raise BadModesError(what) from error
    if modes.format != MODES_FORMAT:
        what = f"The guards have the format {modes.format[:80]!r}; this version reads {MODES_FORMAT!r}."
        raise BadModesError(what)
    return modes
