"""Texts that couriers, low sides and consoles choose: they draw nothing else on the screen of who decides.

Whoever prepares a request can fill its free texts, whoever has the medium can name files, and errors quote
both. A sequence that a terminal obeys, a change of direction or an end of line could show an approver or an
operator another statement than the one that is signed.
"""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from rich.table import Table
from rich.text import Text

from corpora.trusted import STATEMENT as ANY
from crossing_lane import NOW, YEAR, Lane
from lockgate.cli import main as program
from lockgate.cli.approve import _drawn
from lockgate.cli.difference import draw_difference
from lockgate.cli.main import main
from lockgate.cli.shared import Terminal
from lockgate.cli.verdicts import draw_verdicts
from lockgate.console.templating import environment
from lockgate.core.difference import DIFFERENCE_FORMAT, Change, Difference, Risk
from lockgate.core.errors import LockgateError
from lockgate.core.statement import NOTHING, Statement
from lockgate.core.verdict import Finding, Outcome, Severity, Verdict
from lockgate.core.visible import visible
from lockgate.core.wire import decode, encode

ERASE = "\x1b[2J\x1b[H"
"""Erases a screen and goes to its first place (ECMA-48)."""

TURN = "\u202e"
OBEYED = ("\x1b", "\x9b", "\r", TURN, "\u2066", "\u2028")

STATEMENT = msgspec.structs.replace(
    ANY, crossing=7, requester="olga", log_checkpoint="1 " + "e" * 64, created=NOW, expires=NOW + YEAR
)


def screen(draw: Callable[[Terminal], object]) -> str:
    """Return what is drawn on a terminal without colours."""
    stream = io.StringIO()
    draw(Terminal(file=stream, width=200, color_system=None, force_terminal=False))
    return stream.getvalue()


@pytest.mark.parametrize(
    "changes",
    [
        {"requester": f"olga{ERASE}operation reject"},
        {"requester": f"olga{TURN}tcejer"},
        {"requester": "olga\r│ operation │ reject"},
        {"requester": "olga\u3164\u2066"},
        {"log_checkpoint": f"{ERASE}\x9b1A"},
        {"waivers": (f"pkg:pypi/a@1{ERASE}",)},
        {"facts": {"reason": f"none{ERASE}crossing 8"}},
        {"facts": {f"reason{TURN}": "x", "b": "none\nwaivers none"}},
        {"facts": {"[conceal]reason": "[link=file:///etc/passwd]x[/link]"}},
    ],
)
def test_an_approver_sees_every_character_of_the_statement(changes: dict[str, object]) -> None:
    statement = msgspec.structs.replace(STATEMENT, **changes)
    signed = encode(statement)
    assert decode(Statement, signed) == statement, "nothing else refuses it"
    drawn = screen(lambda to: to.print(_drawn(msgspec.to_builtins(statement))))
    honest = screen(lambda to: to.print(_drawn(msgspec.to_builtins(STATEMENT))))
    assert not any(char in drawn for char in (*OBEYED, "\u3164"))
    for value in changes.values():
        for text in value.items() if isinstance(value, dict) else [(str(value),)]:
            assert all(visible(part) in drawn for part in text), "all of it is there to be read"
    more = len(dict(statement.facts or {}))
    assert len(drawn.splitlines()) == len(honest.splitlines()) + more, "no line more than there are values"


def test_what_approving_changes_is_shown_line_by_line() -> None:
    change = Change(
        risk=next(iter(Risk)),
        purl=f"pkg:pypi/a@1\n  stays in quarantine pkg:pypi/b{ERASE}",
        before=f"pkg:pypi/a@0{TURN}",
        what="new here\n  0 artifacts",
    )
    drawn = screen(lambda to: draw_difference(to, difference(change)))
    assert not any(char in drawn for char in OBEYED)
    assert r"pkg:pypi/a@1\n  stays in quarantine pkg:pypi/b\x1b[2J\x1b[H" in drawn
    assert (
        len(drawn.splitlines()) == len(screen(lambda to: draw_difference(to, difference())).splitlines()) + 2
    )


def difference(*changes: Change) -> Difference:
    return Difference(
        format=DIFFERENCE_FORMAT,
        crossing=7,
        channel="stable",
        previous_sha256=NOTHING,
        verdicts_sha256=NOTHING,
        facts_sha256=NOTHING,
        entering=1,
        bytes=1,
        changes=changes,
        omitted=0,
        all_sha256=NOTHING,
        quiet=0,
        quiet_sha256=NOTHING,
    )


def test_a_console_draws_its_own_sequences_and_no_others() -> None:
    stream = io.StringIO()
    to = Terminal(file=stream, force_terminal=True, color_system="standard", width=80)
    to.print(Text(f"a{ERASE}b{TURN}c\udcff", style="red"))
    assert stream.getvalue() == "\x1b[31ma\ufffd[2J\ufffd[Hb\ufffdc\ufffd\x1b[0m\n"


def test_no_cell_of_a_table_is_cut_on_a_narrow_terminal() -> None:
    """Two names that begin alike would be one."""
    names = [f"documents/handbook/chapter-{number}-of-the-book.md" for number in (1, 2)]
    stream, table = io.StringIO(), Table("Name", "Size")
    for name in names:
        table.add_row(name, "1 kB")
    Terminal(file=stream, width=30, color_system=None, force_terminal=False).print(table)
    cells = [line.split("│")[1].strip() for line in stream.getvalue().splitlines() if line.startswith("│")]
    assert "".join(cells) == "".join(names)


def test_a_shown_crossing_names_each_file_and_finding_whole() -> None:
    found = tuple(
        Finding(code=f"prompt-injection-{kind}", severity=Severity.HIGH, where="", why="a reason")
        for kind in ("hidden", "score")
    )
    given = Verdict(
        path="documents/handbook/01-welcome-and-glossary.md",
        sha256="a" * 64,
        size=10,
        detected="markdown",
        outcome=Outcome.FINDINGS,
        covered=5,
        findings=found,
        inspectors=(),
    )
    stream = io.StringIO()
    draw_verdicts(Terminal(file=stream, width=80, color_system=None, force_terminal=False), (given,))
    rows = [line.split("│") for line in stream.getvalue().splitlines() if line.startswith("│")]
    assert [row[1].strip() for row in rows[:1]] == ["findings"]
    assert [row[2].strip() for row in rows[:1]] == ["50.0 %"]
    told = "".join(row[-2].strip() for row in rows)
    assert told == given.path + "prompt-injection-hidden (high)prompt-injection-score (high)"


def test_pages_turn_no_text() -> None:
    page = environment().from_string("<b>{{ name }}</b>{{ name | ticks }}")
    assert page.render(name=f"<i>`a{TURN}`\x1b\u2066") == (
        "<b>&lt;i&gt;`a\ufffd`\ufffd\ufffd</b>&lt;i&gt;<code>a\ufffd</code>\ufffd\ufffd"
    )


def failing(error: Exception, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Run a command line that ends with an error."""

    def fail(_: list[str]) -> None:
        raise error

    monkeypatch.setattr(program, "app", fail)
    with pytest.raises(SystemExit):
        main(list(words))


def test_an_error_quotes_others_without_obeying_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = LockgateError(
        f"The name x{ERASE}\n  What to do: run it{TURN} is wrong.", path=f"a\nb{ERASE}", big="z" * 10_000_000
    )
    failing(error, monkeypatch, "lane")
    said = capsys.readouterr().err
    assert not any(char in said for char in OBEYED)
    assert sum(line.startswith("  What to do:") for line in said.splitlines()) == 1
    assert r"path: a\nb\x1b[2J\x1b[H" in said
    assert len(said) < 20_000, "nor does it fill the screen"
    failing(error, monkeypatch, "lane", "--json")
    assert json.loads(capsys.readouterr().err)["where"]["path"] == f"a\nb{ERASE}"


@pytest.mark.parametrize("name", [b"a\x1b[2Jb", b"[conceal]x", "a\u202eb".encode(), b"\xff\xfe", b"a\nb"])
def test_names_on_a_medium_are_told_as_they_are(
    name: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outbox = tmp_path / "usb"
    Lane().seal(outbox)
    (Path(os.fsdecode(os.fsencode(outbox) + b"/" + name))).touch()
    with pytest.raises(SystemExit) as ended:
        main(["media", "verify", str(outbox)])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert not any(char in shown for char in OBEYED)
    told = [line for line in shown.splitlines() if line.startswith("  not read: ")]
    wanted = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in os.fsdecode(name))
    assert f"  not read: {wanted}" in told
    with pytest.raises(SystemExit):
        main(["media", "verify", str(outbox), "--json"])
    printed = capsys.readouterr().out
    printed.encode()
    assert os.fsdecode(name) in json.loads(printed)["not_read"]


def test_a_document_cannot_fill_a_log_or_screen_by_the_name_of_a_field() -> None:
    raw = b'{"' + ERASE.replace("\x1b", "\\u001b").encode() + b"z" * 1_000_000 + b'":1}'
    with pytest.raises(LockgateError) as caught:
        decode(Statement, raw)
    assert len(caught.value.what) < 1000
    assert caught.value.what.isprintable()
