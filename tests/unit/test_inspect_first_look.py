"""One pass by all rules at once: each set matches what it matches alone, and no quick way hides anything."""

import itertools
from functools import cache

import pytest

from corpora.inspection_case import Case, inspected
from corpora.inspection_corpus import BAD, GOOD, UNREAD
from lockgate.core.digests import sha256
from lockgate.core.verdict import Outcome
from lockgate.inspect import InspectItem, detect, first_look, inspect_files, malware, secrets
from lockgate.inspect.errors import SandboxUnavailableError
from lockgate.inspect.insecure import InsecureInProcessSandbox
from lockgate.inspect.inspectors import hint_rules, uses
from lockgate.inspect.inspectors.folded import HIDDEN
from lockgate.inspect.inspectors.source_hints import hints
from lockgate.inspect.limits import Budget, Limits
from lockgate.inspect.rulesets import GENERAL, OWN, SCRIPTS
from lockgate.inspect.tally import Context, Tally

LIMITS = Limits()
NAMED = {"py": "a.py", "js": "index.js", "text": "package.json"}
SHORT = [case for case in (*GOOD, *BAD, *UNREAD) if len(case.data) <= 50_000]
BEGINNINGS = ("d", "\u00e9", "MZ", "x\x5e", "PAR1", "#", "c", "(", "07070", "RIFF", "{")
SPACES = ("", " ", "  ", "\n", " \n", "\t", "\u00a0", " \u2003", "\x1c ", "\u3000\t")


def seen(raw: bytes, kind: str) -> first_look.Seen:
    tally = Tally(len(raw), "", 9, detected="python" if kind == "py" else "text")
    return first_look.look(raw, tally, Context(NAMED[kind], "file", LIMITS, Budget(LIMITS), None))


@cache
def alone(pack: str) -> malware.Scanner:
    """Return a scanner for one set of rules: a pack by its file's name, or rules for a kind of source."""
    text = "\n".join(hint_rules.sources(pack)) if pack in {"py", "js"} else (OWN / pack).read_text()
    return malware.scanner_of(malware.Rules.of({"alone": text}), LIMITS.rule_matches)


def by_itself(pack: str, raw: bytes, name: str) -> list[str]:
    ending = detect.extension(name)
    installs = name == "package.json"
    facts = {"filename": name, "extension": f".{ending}", "installs": installs}
    return [rule.identifier for rule in alone(pack).scan(raw, facts)]


@pytest.mark.parametrize("kind", NAMED)
def test_each_set_of_rules_matches_what_it_matches_alone(kind: str) -> None:
    matched = 0
    for case in SHORT:
        found, name = seen(case.data, kind), NAMED[kind]
        assert [rule.identifier for rule in found.general] == by_itself(GENERAL, case.data, name), case
        assert found.secret == bool(by_itself(secrets.PACK, case.data, name)), case
        if kind == "text":
            assert [rule.identifier for rule in found.scripts] == by_itself(SCRIPTS, case.data, name), case
        else:
            assert found.hints == set(by_itself(kind, case.data, name)), case
        matched += bool(found.general or found.scripts or found.secret or found.hints)
    assert matched > 20


def test_what_is_taken_for_source_is_no_script_for_a_shell() -> None:
    assert uses.SCRIPTS <= malware.PLAIN


def test_rules_that_had_their_time_are_tried_no_more() -> None:
    budget = Budget(LIMITS, rule_seconds=LIMITS.rule_seconds + 1.0)
    context, tally = Context("a.txt", "file", LIMITS, budget, None), Tally(4, "", 9, detected="text")
    assert not first_look.wants(memoryview(b"text"), tally, context)
    malware.look(memoryview(b"text"), tally, context)
    assert [found.code for found in tally.findings] == ["over-limit"]
    assert not tally.complete


def test_a_source_that_is_not_the_content_is_looked_at_itself() -> None:
    other = seen(b"import os\n", "py")
    assert "use_network" not in other.hints
    assert hints(b"import socket\n", "import socket\n", "py", other).uses("network")
    assert hints(b"require('net')", "require('net')", "js", seen(b"require('net')", "py")).uses("network")


@pytest.mark.parametrize("quotes", list(itertools.product("'\"", repeat=2)))
def test_joined_texts_are_looked_at_however_they_are_parted(quotes: tuple[str, str]) -> None:
    one, other = quotes
    for before, behind in itertools.product(SPACES, repeat=2):
        text = f"x = {one}ex{one}{before}+{behind}{other}ec{other}\n"
        assert HIDDEN.pattern.search(text), text
        assert HIDDEN in hints(text.encode(), text, "py").signs(), text


@pytest.mark.parametrize("number", ["101", "0x65", "\u0661\u0660\u0661"])
def test_names_by_their_letters_numbers_are_looked_at_in_any_digits(number: str) -> None:
    text = "x = " + " + ".join([f"chr({number})"] * 4)
    assert HIDDEN.pattern.search(text)
    assert HIDDEN in hints(text.encode(), text, "py").signs()


def test_sums_are_no_joined_texts() -> None:
    text = "value = one + 2 + three\n"
    assert HIDDEN not in hints(text.encode(), text, "py").signs()


def without_the_short_way(data: bytes, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    with monkeypatch.context() as patch:
        patch.setattr(detect, "_plain", lambda *_: "")
        return detect.detect(memoryview(data), name, LIMITS.text_bytes)


@pytest.mark.parametrize("name", ["a.txt", "a.py", "a.pkl", "METADATA", "a.eml", "a.zip"])
def test_the_short_way_to_a_type_leads_where_the_long_one_does(name: str, monkeypatch) -> None:
    made = [
        f"{start}{rest}".encode()
        for start in BEGINNINGS
        for rest in ("", "ef a: {\n", "\x00", "os\nsystem\n(.")
    ]
    made += [b"a" * 257 + b"ustar" + b"a" * 300, b"\xe9t\xe9", b"\x1b[0m text", b"A: b\nReceived: c\n\nd"]
    for data in [*made, *(case.data for case in SHORT)]:
        long = without_the_short_way(data, name, monkeypatch)
        assert detect.detect(memoryview(data), name, LIMITS.text_bytes) == long, data[:80]


def test_one_job_inspects_in_order_and_tells_what_stops_it(tmp_path) -> None:
    items = []
    for number in range(3):
        file = tmp_path / f"{number}.txt"
        file.write_text(f"text {number}\n")
        digest = sha256(file.read_bytes())
        items.append(InspectItem(path=file.name, kind="file", file=file, sha256=digest, size=7))
    sandbox = InsecureInProcessSandbox()
    verdicts = inspect_files(items, sandbox, jobs=1)
    assert [each.path for each in verdicts] == ["0.txt", "1.txt", "2.txt"]
    assert {each.outcome for each in verdicts} == {Outcome.CLEAN}
    assert inspect_files(items, sandbox, jobs=2) == verdicts

    def gone(_: object) -> bytes:
        what = "There is none."
        raise SandboxUnavailableError(what)

    sandbox.run = gone
    with pytest.raises(SandboxUnavailableError):
        inspect_files(items, sandbox, jobs=1)


def test_a_secret_is_found_where_it_stands() -> None:
    text = b"# nothing\nkey = 'AKIA" + b"QWERTYUIOPASDFGH" + b"'\n"
    case = Case("a key", "a.txt", text)
    assert "secret-aws-key" in {found.code for found in inspected(case.data, case.name).findings}
