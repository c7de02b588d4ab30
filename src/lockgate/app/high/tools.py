"""The list of tools and the calls that wait for a person: set and answered by an operator, and recorded."""

import secrets
from collections.abc import Sequence
from pathlib import Path

import msgspec

from lockgate.app.files import read_named
from lockgate.app.settings import Side
from lockgate.app.trust import audit_log, utc_now
from lockgate.core.wire import encode
from lockgate.guard.argumentschema import checked
from lockgate.guard.errors import ArgumentSchemaError, UnknownToolError
from lockgate.guard.held import HeldCall, HeldCalls, HeldState
from lockgate.guard.tools import ToolPolicy, ToolRule
from lockgate.infer import FileKeys
from lockgate.infer.errors import KeyNameError
from lockgate.infer.toolfile import FileTools
from lockgate.store import open_records


def tool_file(side: Side) -> FileTools:
    """Return where the list of tools is written."""
    return FileTools(side.home.trust / "tools.json")


def held_calls(side: Side) -> HeldCalls:
    """Return what keeps the calls that wait."""
    records = open_records(f"sqlite:///{side.home.root / 'held.sqlite'}")
    return HeldCalls(records, utc_now, secrets.token_bytes)


def set_tool(
    side: Side,
    name: str,
    *,
    consequential: bool,
    labels: Sequence[str] = (),
    keys: Sequence[str] = (),
    schema: Path | None = None,
) -> ToolRule:
    """Put a tool on the list, or change what holds for it; gateways follow at once.

    Args:
        side: The high side.
        name: The tool.
        consequential: It changes something outside the conversation.
        labels: What a key needs to call it.
        keys: Names of the keys that may call it; none: all with the labels.
        schema: A file with the JSON schema of its arguments.

    Raises:
        KeyNameError: No key has one of the names.
        ArgumentSchemaError: The schema cannot be used.

    """
    known = {key.name: key.id for key in FileKeys(side.home.trust / "api-keys.json").all()}
    if unknown := sorted(set(keys) - known.keys()):
        what = f"No API key is named {unknown[0][:80]!r}."
        raise KeyNameError(what)
    rule = ToolRule(
        consequential=consequential,
        labels=tuple(sorted(set(labels))),
        keys=tuple(sorted(known[key] for key in keys)),
        arguments=_schema(schema) if schema is not None else None,
    )
    _changed(side, "tool-set", name, rule)
    return rule


def remove_tool(side: Side, name: str) -> None:
    """Take a tool off the list; where it was the last, no list holds any more.

    Raises:
        UnknownToolError: It is not on the list.

    """
    if name not in tools(side).tools:
        what = f"The tool {name[:80]!r} is not on the list."
        raise UnknownToolError(what)
    _changed(side, "tool-remove", name, None)


def tools(side: Side) -> ToolPolicy:
    """Return the list of tools."""
    return tool_file(side).current()


def _changed(side: Side, action: str, name: str, rule: ToolRule | None) -> None:
    log = audit_log(side)
    intent = log.intent(action, tool=name, rule=encode(rule).decode() if rule else "")
    tool_file(side).put(name, rule)
    log.outcome(intent, "done")


def _schema(path: Path) -> dict[str, object]:
    try:
        rules = msgspec.json.decode(read_named(path), type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"{path} is no JSON object: {error}."
        raise ArgumentSchemaError(what) from error
    checked(rules)
    return rules


def answer_held(side: Side, call_id: str, state: HeldState) -> HeldCall:
    """Allow or refuse a call that waits, recorded before and after.

    Raises:
        UnknownHeldCallError: None of that id waits.

    """
    log = audit_log(side)
    intent = log.intent("tool-call-answer", call=call_id, answer=state.value)
    call = held_calls(side).answer(call_id, state)
    log.outcome(intent, "done", tool=call.tool, call_sha256=call.sha256, receipt=call.receipt)
    return call
