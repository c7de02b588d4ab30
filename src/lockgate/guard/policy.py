"""What the guards do: for each of them off, log or block, and the hosts that answers may name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lockgate.guard.datamark import Marking
from lockgate.guard.rules import Channel


class Mode(StrEnum):
    """What a guard does with a hit."""

    OFF = "off"
    LOG = "log"
    BLOCK = "block"


class Guard(StrEnum):
    """The guards, as decisions, metrics and receipts name them."""

    RULES = "rules"
    CLASSIFIER = "classifier"
    CANARY = "canary"
    LINKS = "links"
    SECRETS = "secrets"
    PERSONAL = "personal"
    INVISIBLE = "invisible"
    SYSTEM_PROMPT = "system-prompt"


def _channels() -> dict[Channel, Mode]:
    return {Channel.USER: Mode.BLOCK, Channel.RETRIEVED: Mode.BLOCK, Channel.TOOL: Mode.BLOCK}


def _logged() -> dict[Channel, Mode]:
    return {Channel.USER: Mode.LOG, Channel.RETRIEVED: Mode.LOG, Channel.TOOL: Mode.LOG}


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """The mode of each guard.

    Attributes:
        rules: Of the rules on what goes to a model, by channel.
        classifier: Of the classifier on the same, by channel: it can be wrong, so that it logs unless told.
        marking: How text of documents and tools is told apart for the model.
        canary: Of canaries in answers: blocking stops the answer.
        links: Of addresses that are not allowed: blocking removes them.
        secrets: Of keys, tokens and passwords: blocking removes them.
        personal: Of personal data: blocking removes it.
        invisible: Of invisible characters: blocking removes them.
        system_prompt: Of a system prompt that is repeated: blocking stops the answer.
        hosts: Host names that answers may name; one that begins with a dot admits its subdomains.

    """

    rules: Mapping[Channel, Mode] = field(default_factory=_channels)
    classifier: Mapping[Channel, Mode] = field(default_factory=_logged)
    marking: Marking = Marking.MARK
    canary: Mode = Mode.BLOCK
    links: Mode = Mode.BLOCK
    secrets: Mode = Mode.BLOCK
    personal: Mode = Mode.LOG
    invisible: Mode = Mode.BLOCK
    system_prompt: Mode = Mode.LOG
    hosts: frozenset[str] = frozenset()
