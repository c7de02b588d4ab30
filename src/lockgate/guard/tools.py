"""Which tools a model may call, with what, and when a person has to say yes first.

A tool's answer and a passage that was looked up can hold orders, and a model can follow them. So where
any such text stands in a conversation, everything that the model wants afterwards is tainted: a tool
that the policy calls consequential is then held until a person allowed that very call. Source: Debenedetti
et al., "AgentDojo" (2024), and "Defeating Prompt Injections by Design" (2025): policy outside the model.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from lockgate.core.digests import sha256
from lockgate.core.wire import Document, encode
from lockgate.guard.argumentschema import Schema, misfit

TOOLS_FORMAT = "lockgate-tools/1"
ARGUMENTS_LIMIT = 256 * 1024
"""Longest arguments of a call that are read, in bytes."""

TOOLS_LIMIT = 1024
"""Most tools that a policy names."""

ToolName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,128}\Z")]


class ToolRule(Document, frozen=True):
    """What holds for one tool.

    Attributes:
        consequential: It changes something outside the conversation: sends, pays, deletes, writes.
        labels: A key needs all of them to call it.
        keys: The ids of the keys that may call it; empty: every key with the labels.
        arguments: What its arguments must be, as a JSON schema of `argumentschema`; None: any object.

    """

    consequential: bool = True
    labels: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    arguments: dict[str, Any] | None = None


class ToolPolicy(Document, frozen=True):
    """The tools that models may call. Without any no list holds; with one, what is not on it is refused."""

    format: str = TOOLS_FORMAT
    tools: Annotated[dict[ToolName, ToolRule], msgspec.Meta(max_length=TOOLS_LIMIT)] = msgspec.field(
        default_factory=dict
    )

    def refusal(self, name: str, key: str, labels: Collection[str]) -> str | None:
        """Return why a key may not have a tool called, or None."""
        if not self.tools:
            return None
        rule = self.tools.get(name)
        if rule is None:
            return "it is not on the list of tools"
        if rule.keys and key not in rule.keys:
            return "this key may not call it"
        if missing := sorted(set(rule.labels) - set(labels)):
            return f"this key has not the label {missing[0]}"
        return None


class Ruling(StrEnum):
    """What is decided about a call."""

    PASS = "pass"  # noqa: S105  # no password
    REFUSE = "refuse"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Judged:
    """What is decided about a call, why, and the digest that names this very call."""

    ruling: Ruling
    why: str = ""
    sha256: str = ""


class Caller(msgspec.Struct, frozen=True):
    """Who asks, with what.

    Attributes:
        key: The id of the key.
        labels: Its labels.
        offered: The tools that the request offered.
        tainted: Text of documents or tools stands in the conversation.

    """

    key: str
    labels: Collection[str]
    offered: Collection[str]
    tainted: bool


def judge(policy: ToolPolicy, caller: Caller, name: str, arguments: str) -> Judged:
    """Return what is decided about a call that a model wants.

    Args:
        policy: The list.
        caller: Who asked the model.
        name: The tool.
        arguments: Its arguments as the model wrote them.

    """
    if name not in caller.offered:
        return Judged(Ruling.REFUSE, "the request did not offer it")
    if (why := policy.refusal(name, caller.key, caller.labels)) is not None:
        return Judged(Ruling.REFUSE, why)
    return _judged(policy.tools[name], caller, name, arguments) if policy.tools else Judged(Ruling.PASS)


def _judged(rule: ToolRule, caller: Caller, name: str, arguments: str) -> Judged:
    """Return what is decided about a call of a tool that the caller may have called."""
    read = arguments_of(arguments)
    if read is None:
        return Judged(Ruling.REFUSE, "its arguments are no JSON object with each name once")
    if rule.arguments is not None and (why := misfit(read, Schema(rule.arguments))) is not None:
        return Judged(Ruling.REFUSE, f"its arguments do not fit: {why}")
    if rule.consequential and caller.tainted:
        what = "text of documents or tools stands in this conversation, and the tool has consequences"
        return Judged(Ruling.HOLD, what, call_sha256(caller.key, name, read))
    return Judged(Ruling.PASS)


def arguments_of(text: str) -> dict[str, Any] | None:
    """Return a call's arguments, or None where they are no JSON object within the bound, or ambiguous."""
    if len(text) > ARGUMENTS_LIMIT:
        return None
    try:
        found = msgspec.json.decode(text or "{}", type=dict[str, Any])
        json.loads(text or "{}", object_pairs_hook=_once)
    except (ValueError, RecursionError):  # msgspec's errors are values' too
        return None
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's members.

    The caller reads the text itself, and where a name stands twice it may take the other value: the one that
    nobody judged.

    Raises:
        ValueError: A name stands twice.

    """
    found = dict(pairs)
    if len(found) != len(pairs):
        what = "a name stands twice"
        raise ValueError(what)
    return found


def call_sha256(key: str, name: str, arguments: Mapping[str, Any]) -> str:
    """Return the digest that names a call of a key: the same tool with the same arguments."""
    data = msgspec.json.encode({"key": key, "name": name, "arguments": arguments}, order="sorted")
    return sha256(data)


def offered_by(tools: object) -> frozenset[str]:
    """Return the names of the tools that a request offers, in the OpenAI API's form."""
    if not isinstance(tools, Sequence):
        return frozenset()
    return frozenset(str(tool["function"]["name"]) for tool in tools)


def encoded(policy: ToolPolicy) -> bytes:
    """Return a policy as it is kept."""
    return encode(policy)
