"""Help: every command has some, its examples name what exists, and asking for it touches no network."""

import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
import typer.main

import lockgate
from corpora.commands import Commands
from lockgate.cli.main import COMMANDS, PANELS, app

ROOT = typer.main.get_command(app)


def every_command() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each command that does something, with the words that name it."""
    waiting: list[tuple[tuple[str, ...], Any]] = []
    for name in COMMANDS:
        context = ROOT.context_class(ROOT)
        waiting.append(((name,), ROOT.resolve_command(context, [name])[1]))
    while waiting:
        words, command = waiting.pop(0)
        if hasattr(command, "commands"):
            waiting += [((*words, name), inner) for name, inner in command.commands.items()]
        yield words, command


EVERY = dict(every_command())
LEAVES = {words: command for words, command in EVERY.items() if not hasattr(command, "commands")}


def examples(command: Any) -> list[str]:
    """Return the calls that a command's help shows, also those inside other calls."""
    text = re.sub(r"\n\s*--", " --", command.help or "")
    shown = re.findall(r"^\s*(?:Examples?: )?(lockgate [a-z].*)$", text, re.MULTILINE)
    return [call for line in shown for call in re.split(r"(?<= -- )(?=lockgate )", line)]


def parse(line: str) -> tuple[str, ...]:
    """Parse a call as the program would, without running it; return the words that name its command."""
    words = shlex.split(line.removesuffix(" ") + " true" if line.endswith(" -- ") else line)
    context = ROOT.make_context(words[0], words[1:])
    names: tuple[str, ...] = ()
    while hasattr(context.command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        name, command, rest = context.command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
        names = (*names, name)
    return names


def with_demanded(words: tuple[str, ...]) -> list[str]:
    """Return the words of a command with the options that its groups demand."""
    said: list[str] = []
    for count, word in enumerate(words, 1):
        said.append(word)
        group = EVERY[words[:count]]
        if count < len(words):
            said += [w for p in group.params if p.required for w in (p.opts[0], "x")]
    return said


@pytest.fixture
def commands() -> Commands:
    return Commands()


def test_every_command_stands_under_one_heading_and_completion_is_offered_once(commands: Commands) -> None:
    assert sorted(name for names in PANELS.values() for name in names) == sorted(COMMANDS)
    shown = commands.run("--help").out
    assert all(heading in shown for heading in PANELS)
    assert "--show-completion" in shown
    assert "--show-completion" not in commands.run("gate", "--help").out
    listed = list(EVERY["gate",].commands)
    assert listed[:5] == ["list", "show", "inspect", "request", "reject"]


def test_there_are_the_commands_of_the_way_of_a_byte() -> None:
    assert {("lane", "init"), ("collect",), ("seal",), ("receive",), ("approve",), ("doctor",)} <= set(LEAVES)
    assert {("gate", w) for w in ("list", "inspect", "request", "publish", "reject", "rollback")} <= set(
        LEAVES
    )
    assert {("audit", w) for w in ("show", "prove", "verify")} <= set(LEAVES)


def test_the_overview_lists_every_group_with_its_own_words(commands: Commands) -> None:
    for words in (("--help",), ("-h",), ()):
        said = commands.run(*words)
        assert said.status == (0 if words else 2)
        for name in COMMANDS:
            assert re.search(rf"│ {name} ", said.out), name
    for (name, *rest), command in EVERY.items():
        if not rest:
            assert command.help, name


def test_the_line_of_the_overview_is_the_groups_own_help() -> None:
    for name, (module, line) in COMMANDS.items():
        said = import_module(module).app.info.help
        assert said == line or not isinstance(said, str), name


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_help_of_each_command_says_what_it_does(commands: Commands, words: tuple[str, ...]) -> None:
    said = commands.run(*with_demanded(words), "--help")
    assert (said.status, said.err) == (0, "")
    assert re.search(r"Usage: .*" + ".* ".join(words), said.out)
    assert "--help" in said.out


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_each_command_has_examples_that_would_run(words: tuple[str, ...]) -> None:
    groups = [EVERY[words[:count]] for count in range(1, len(words) + 1)]
    named = [parse(line) for command in groups for line in examples(command)]
    assert words in named


@pytest.mark.parametrize("line", ["lockgate fly", "lockgate seal --sideways", "lockgate gate request 1"])
def test_a_wrong_example_would_be_noticed(line: str) -> None:
    with pytest.raises(Exception, match=r"(?i)no such|missing"):
        parse(line)


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_each_option_is_explained_and_none_takes_a_secret(words: tuple[str, ...]) -> None:
    for parameter in LEAVES[words].params:
        if parameter.name != "help":
            assert getattr(parameter, "help", None), parameter.name
        assert not re.search(r"pass(word|phrase)|secret|token$", parameter.name or ""), (
            "shown to every process"
        )


def test_unknown_commands_and_options_are_usage_errors(commands: Commands) -> None:
    for words in (
        ("fly",),
        ("gate", "fly"),
        ("lane", "init", "--sideways"),
        ("gate", "show", "one"),
        ("seal", "x"),
    ):
        ran = commands.run(*words)
        assert ran.status == 2, words
        assert "Usage" in ran.err


def test_the_version_is_that_of_the_package(commands: Commands) -> None:
    assert commands.run("--version").out == f"lockgate {lockgate.__version__}\n"


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


WATCHED = """
    import os, pkgutil, sys
    seen = []
    harmless = ("socket.__new__", "socket.gethostname", "socket.bind")  # a library binds to ask for IPv6
    def watch(event, arguments):
        outward = ("socket.", "urllib.", "http.", "ftplib.", "subprocess.", "os.exec", "os.posix_spawn")
        if event.startswith(outward) and event not in harmless:
            seen.append((event, str(arguments)[:200]))
    sys.addaudithook(watch)
"""


def test_importing_everything_and_asking_for_help_opens_no_connection() -> None:
    ran = run_python(
        WATCHED
        + """
    import importlib, io, contextlib, lockgate
    for module in pkgutil.walk_packages(lockgate.__path__, "lockgate."):
        if ".migrations." not in module.name:  # scripts that the migration tool runs
            importlib.import_module(module.name)
    from lockgate.cli.main import COMMANDS, main
    for words in ([], *([name] for name in COMMANDS)):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            main([*words, "--help"])
    print(len(sys.modules) > 500, seen)
    """
    )
    assert (ran.stdout, ran.returncode) == ("True []\n", 0), ran.stderr


def test_a_connection_would_have_been_seen() -> None:
    ran = run_python(
        WATCHED
        + """
    import socket, contextlib
    with contextlib.suppress(OSError), socket.socket() as one:
        one.connect(("127.0.0.1", 9))
    with contextlib.suppress(OSError):
        socket.getaddrinfo("localhost", 9)
    print([event for event, _ in seen])
    """
    )
    assert ran.stdout == "['socket.connect', 'socket.getaddrinfo']\n", ran.stderr


def test_the_overview_loads_nothing_heavy() -> None:
    ran = run_python(
        """
    import contextlib, io, sys
    from lockgate.cli.main import main
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main(["--help"])
    heavy = {"sqlalchemy", "cryptography", "tuf", "securesystemslib", "numpy", "onnxruntime", "aiohttp",
             "starlette", "uvicorn", "pydantic", "tokenizers", "pypdfium2", "msgspec", "jinja2"}
    print(sorted(heavy & set(sys.modules)))
    """
    )
    assert ran.stdout == "[]\n", ran.stderr
