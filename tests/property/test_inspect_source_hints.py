"""The quick look at sources: wherever the slow ones find something, it has said that they may."""

import re
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockgate.inspect.inspectors import python_import, python_source, texts, uses
from lockgate.inspect.inspectors.source_hints import hints, signs_of
from lockgate.inspect.tally import Tally

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
SIGNS = [(kind, sign) for kind in ("py", "js") for rule, sign in signs_of(kind) if rule]
AROUND = st.text(alphabet=" \n\t.,()#'\"ab=é—\u2003\x1c", max_size=20)
LOOKS = {"py": uses.PYTHON, "js": uses.SCRIPT}
WORDS = [(kind, word) for kind, looks in LOOKS.items() for words in looks.values() for word, _ in words]
CALLS = sorted(
    {*python_import._NETWORK, *python_import._SHELL, *python_import._COMMANDS, *python_import._LOOKUPS}
)
GAPS = st.sampled_from(["", " ", "\t", " \\\n ", "  # a comment, requests\n  "])


def seen(text: str, kind: str = "py"):
    return hints(text.encode(), text, kind)


def may_act(text: str) -> bool:
    """Return whether a call at import is thinkable at all, by words alone."""
    if any(word in text for word in python_import.ACTS):
        return True
    decodes = any(word in text for word in (python_import.REVERSED, *python_import.DECODERS))
    return decodes and any(word in text for word in python_import.RUNS)


def test_all_signs_but_one_are_looked_for_by_rules() -> None:
    assert sum(not rule for kind in LOOKS for rule, _ in signs_of(kind)) == 1


@pytest.mark.parametrize(("kind", "sign"), SIGNS)
@QUICK
@given(data=st.data())
def test_a_sign_is_never_left_out_where_its_pattern_matches(kind, sign, data) -> None:
    found = data.draw(st.from_regex(sign.pattern))
    text = f"{data.draw(AROUND)}{found}{data.draw(AROUND)}".encode("utf-8", "replace").decode()
    if sign.pattern.search(text) and all(any(word in text for word in group) for group in sign.needs):
        assert sign in seen(text, kind).signs()


@QUICK
@given(
    st.sampled_from(WORDS),
    st.sampled_from(["{}", "import {}", "from\t{}", "require('{}'", "from '{}'"]),
    AROUND,
    AROUND,
)
def test_uses_are_the_same_with_and_without_it(known, how, before, behind) -> None:
    kind, word = known
    text = f"{before}{how.format(word)}{behind}"
    plain, quick = Tally(1, "a", 9), Tally(1, "a", 9)
    uses.use(plain, text, kind)
    uses.use(quick, text, kind, seen(text, kind))
    assert plain.uses == quick.uses


@QUICK
@given(st.sampled_from(CALLS), st.integers(0, 3), st.lists(GAPS, min_size=6, max_size=6), AROUND)
def test_a_call_at_import_is_never_left_out(name, way, gaps, prose) -> None:
    module, _, function = name.rpartition(".")
    argument = "('curl ' + x)" if name not in python_import._LOOKUPS else "(a + b)"
    source = {
        0: f"({name.replace('.', f'{gaps[0]}.{gaps[1]}')}{gaps[2]}){argument}",
        1: f"import {module or name} as z\n(z{gaps[0]}.{gaps[1]}{function}){argument}",
        2: f"from {module or 'a'} import (b,{gaps[0]}{function}{gaps[1]}as z)\nz{argument}",
        3: f"from {module or 'a'} import {function}\n{function}{argument}",
    }[way]
    text = f"# {prose.encode().decode().translate(dict.fromkeys(range(32)))}\n{source}\n"
    try:
        tree = compile(text, "m", "exec", flags=python_source._SYNTAX_ONLY)
    except SyntaxError:
        return
    tally = Tally(1, "m.py", 9)
    python_import.at_import(tally, tree)
    if tally.findings and may_act(text):
        assert seen(text).may_act()
    if seen(text).may_act():
        assert may_act(text)


@pytest.mark.parametrize(
    "source",
    [
        "import base64, os\nx = base64.b64decode(y)\nexec(x)\n",
        "e = exec\ne(zlib.decompress(y))\n",
        "exec(y[::-1])\n",
        "import os\nexec(bytes.fromhex(y))\n",
        "\uff4f\uff53.\uff53\uff59stem('curl x')  # os.\n",
    ],
)
def test_code_that_is_decoded_or_written_otherwise_is_parsed(source) -> None:
    tally = Tally(1, "m.py", 9)
    python_import.at_import(tally, compile(source, "m", "exec", flags=python_source._SYNTAX_ONLY))
    assert tally.findings
    assert seen(source).may_act()


def test_prose_and_other_names_are_not_parsed() -> None:
    source = "import os\n# The file system runs requests and evaluates a subprocess.\nos.path.join(a, b)\n"
    assert may_act(source)
    assert not seen(source).may_act()


def test_of_a_long_source_only_its_beginning_counts_as_used() -> None:
    text = " " * uses.SCANNED + "\nimport socket\n"
    quick = Tally(1, "a.py", 9)
    uses.use(quick, text, "py", seen(text))
    assert not quick.uses
    assert seen(text[1 - len(text) :]).uses("network") is None
    assert seen("import socket").uses("network") is True


def test_every_character_that_hides_is_looked_for() -> None:
    every = "".join(map(chr, (*range(0xD800), *range(0xE000, sys.maxunicode + 1))))
    hiding = {
        char for found in texts._SUSPECT.finditer(re.sub("(.)", r"\1\1\1\1", every)) for char in found[0]
    }
    assert len(hiding) > 400
    assert all(texts._may_hide(f"é—{char}x") for char in hiding - {"\U0001f3f4"})
    assert not texts._may_hide("naïve — “quoted” … 漢字 \U0001f600")
