"""The policy on tools: who may call what with which arguments, and what waits for a person."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from infer_doubles import NOW, Counting
from lockgate.core.wire import encode
from lockgate.guard.argumentschema import Schema, checked, misfit
from lockgate.guard.errors import ArgumentSchemaError, UnknownHeldCallError
from lockgate.guard.held import HELD_FORMAT, HELD_LIMIT, WAIT, HeldCall, HeldCalls, HeldState
from lockgate.guard.tools import (
    ARGUMENTS_LIMIT,
    Caller,
    Ruling,
    ToolPolicy,
    ToolRule,
    call_sha256,
    judge,
)
from lockgate.infer.toolfile import FileTools
from lockgate.store import MemoryRecords

MAIL = ToolRule(
    labels=("internal",),
    arguments={
        "type": "object",
        "properties": {"to": {"type": "string", "pattern": r"@corp\.example$"}, "body": {"type": "string"}},
        "required": ["to"],
        "additionalProperties": False,
    },
)
POLICY = ToolPolicy(
    tools={"mail": MAIL, "look": ToolRule(consequential=False), "own": ToolRule(keys=("k1",))}
)


def caller(
    *offered: str, tainted: bool = False, key: str = "k0", labels: tuple[str, ...] = ("internal",)
) -> Caller:
    return Caller(key, labels, offered or ("mail", "look", "own", "other"), tainted)


def test_only_what_is_listed_offered_and_meant_for_the_key_passes() -> None:
    assert judge(POLICY, caller(), "look", "{}").ruling is Ruling.PASS
    for name, who in (
        ("other", caller()),
        ("look", caller("mail")),
        ("own", caller()),
        ("mail", caller(labels=("public",))),
    ):
        found = judge(POLICY, who, name, '{"to": "a@corp.example"}')
        assert found.ruling is Ruling.REFUSE, name
        assert found.why
    assert judge(POLICY, caller(key="k1"), "own", "{}").ruling is Ruling.PASS


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "[]",
        "{",
        '{"to": 7}',
        '{"to": "a@evil.example"}',
        '{"to": "a@corp.example", "bcc": "x"}',
        '{"to": "' + "a" * 5000 + '@corp.example"}',
        "[" * 100_000,
        '{"to": "' + "a" * ARGUMENTS_LIMIT + '"}',
        '{"to": "a@evil.example", "to": "a@corp.example"}',
        '{"to": "a@corp.example", "t\\u006f": "a@corp.example"}',
    ],
    ids=[
        "missing",
        "list",
        "open",
        "number",
        "host",
        "more",
        "long text",
        "deep",
        "long",
        "twice",
        "escaped",
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments: str) -> None:
    assert judge(POLICY, caller(), "mail", arguments).ruling is Ruling.REFUSE


def test_other_peoples_text_holds_what_has_consequences() -> None:
    fits = '{"to": "a@corp.example", "body": "x"}'
    assert judge(POLICY, caller(), "mail", fits).ruling is Ruling.PASS
    held = judge(POLICY, caller(tainted=True), "mail", fits)
    assert held.ruling is Ruling.HOLD
    assert judge(POLICY, caller(tainted=True), "look", "{}").ruling is Ruling.PASS
    same = judge(POLICY, caller(tainted=True), "mail", '{ "body":"x","to":"a@corp.example" }')
    other = judge(POLICY, caller(tainted=True), "mail", '{"to": "b@corp.example", "body": "x"}')
    assert held.sha256 == same.sha256 != other.sha256
    assert call_sha256("k1", "mail", {}) != call_sha256("k0", "mail", {})


def test_a_name_that_stands_twice_deep_inside_is_not_held_for_a_yes_to_the_other_value() -> None:
    twice = '{"items": [{"path": "/etc/shadow", "path": "/tmp/x"}]}'
    policy = ToolPolicy(tools={"write": ToolRule()})
    assert judge(policy, caller("write", tainted=True), "write", twice).ruling is Ruling.REFUSE
    once = twice.replace('"path": "/etc/shadow", ', "")
    assert judge(policy, caller("write", tainted=True), "write", once).ruling is Ruling.HOLD


def test_without_a_list_everything_that_was_offered_passes() -> None:
    assert judge(ToolPolicy(), caller("x", tainted=True), "x", "no json").ruling is Ruling.PASS
    assert judge(ToolPolicy(), caller("x"), "y", "{}").ruling is Ruling.REFUSE


@pytest.mark.parametrize(
    ("value", "rules", "fits"),
    [
        (3, {"type": "integer", "minimum": 3, "maximum": 3}, True),
        (True, {"type": "integer"}, False),
        (2, {"type": "number", "minimum": 3}, False),
        ("ab", {"type": "string", "maxLength": 1}, False),
        ("ab", {"type": "string", "minLength": 3}, False),
        ("b", {"enum": ["a", "b"]}, True),
        ("c", {"enum": ["a", "b"]}, False),
        (1, {"const": 2}, False),
        ([1, "x"], {"type": "array", "items": {"type": "integer"}}, False),
        ([1, 2], {"type": "array", "items": {"type": "integer"}, "maxItems": 1}, False),
        ([1], {"type": "array", "minItems": 2}, False),
        ({"a": {"b": None}}, {"properties": {"a": {"properties": {"b": {"type": "string"}}}}}, False),
        ({"a": {"b": "x"}}, {"properties": {"a": {"required": ["b"]}}}, True),
        (None, {"type": "null"}, True),
    ],
)
def test_schemas(value: object, rules: dict[str, object], *, fits: bool) -> None:
    assert (misfit(value, checked(rules)) is None) is fits


def test_a_schema_with_what_is_not_known_is_refused_when_it_is_set() -> None:
    deep: dict[str, object] = {}
    for _ in range(40):
        deep = {"items": deep}
    for rules in (
        {"oneOf": []},
        {"type": "any"},
        {"properties": {"a": {"$ref": "#"}}},
        {"pattern": "("},
        {"maxLength": "4"},
        {"minimum": 0.5},
        {"additionalProperties": {}},
        {"required": "a"},
        {"items": []},
        [],
        deep,
    ):
        with pytest.raises(ArgumentSchemaError):
            checked(rules)
    assert checked(MAIL.arguments) == Schema(MAIL.arguments or {})


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def call(number: int = 0, key: str = "k0") -> HeldCall:
    arguments = f'{{"n": {number}}}'
    digest = call_sha256(key, "mail", {"n": number})
    return HeldCall(
        format=HELD_FORMAT,
        id="",
        key=key,
        tool="mail",
        arguments=arguments,
        sha256=digest,
        receipt="r",
        held=NOW,
    )


def test_a_yes_is_for_one_call_once() -> None:
    held = HeldCalls(MemoryRecords(), Clock(), Counting())
    state, name = held.settle(call())
    assert state is HeldState.WAITING
    assert held.settle(call()) == (HeldState.WAITING, name)
    assert [each.id for each in held.pending()] == [name]
    held.answer(name, HeldState.ALLOWED)
    assert held.pending() == []
    assert held.settle(call(1))[0] is HeldState.WAITING
    assert held.settle(call(key="k1"))[0] is HeldState.WAITING
    assert held.settle(call()) == (HeldState.ALLOWED, name)
    assert held.settle(call())[0] is HeldState.WAITING


def test_a_no_holds_and_answers_are_final() -> None:
    held = HeldCalls(MemoryRecords(), Clock(), Counting())
    name = held.settle(call())[1]
    held.answer(name, HeldState.REFUSED)
    assert held.settle(call()) == (HeldState.REFUSED, name)
    for known in (name, "0" * 12):
        with pytest.raises(UnknownHeldCallError):
            held.answer(known, HeldState.ALLOWED)


def test_what_waits_too_long_is_forgotten_and_so_is_a_yes() -> None:
    clock = Clock()
    held = HeldCalls(MemoryRecords(), clock, Counting())
    first = held.settle(call())[1]
    held.answer(first, HeldState.ALLOWED)
    clock.now += WAIT
    state, second = held.settle(call())
    assert state is HeldState.WAITING
    assert second != first
    clock.now += WAIT - timedelta(seconds=1)
    assert [each.id for each in held.pending()] == [second]
    clock.now += timedelta(seconds=1)
    assert held.pending() == []


def test_one_key_cannot_push_out_what_another_waits_for() -> None:
    held = HeldCalls(MemoryRecords(), Clock(), Counting())
    mine = held.settle(call(key="k1"))[1]
    for number in range(HELD_LIMIT + 10):
        held.settle(call(number))
    waiting = held.pending()
    assert mine in {each.id for each in waiting}
    assert len(waiting) == HELD_LIMIT + 1


def test_the_list_is_seen_by_others_at_once_and_a_broken_one_is_no_empty_one(tmp_path: Path) -> None:
    one, two = FileTools(tmp_path / "trust" / "tools.json"), FileTools(tmp_path / "trust" / "tools.json")
    assert two.current() == ToolPolicy()
    one.put("mail", MAIL)
    assert two.current().tools == {"mail": MAIL}
    one.put("look", ToolRule(consequential=False))
    assert sorted(two.current().tools) == ["look", "mail"]
    one.put("mail", None)
    assert sorted(two.current().tools) == ["look"]
    (tmp_path / "trust" / "tools.json").write_bytes(b"{}" + encode(ToolPolicy()))
    with pytest.raises(Exception, match="list of tools"):
        two.current()
