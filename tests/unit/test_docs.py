"""The documents say what is there: links, commands, targets, tests, dependencies, error codes."""

import importlib.util
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main

from lockgate.cli.main import app

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
BEFORE_COMMAND = {"inside", "--", "{"}
OPERATOR = re.compile(r"[();<>|&]+")
NOT_PART = {".venv", ".demo", ".git", "node_modules"}


@dataclass(frozen=True)
class Said:
    """A text of a document and the document that it stands in."""

    document: str
    text: str


def documents() -> list[Path]:
    found = sorted(ROOT.rglob("*.md"))
    mine = [
        p for p in found if not NOT_PART & set(p.relative_to(ROOT).parts) and "demo/handbook" not in str(p)
    ]
    return [p for p in mine if not any(part.startswith(".") for part in p.relative_to(ROOT).parts)]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(language: str) -> Iterator[Said]:
    for path in documents():
        for kind, text in FENCE.findall(path.read_text()):
            if kind == language:
                yield Said(name(path), text)


def spans() -> Iterator[Said]:
    """Yield the code that stands inside sentences and tables."""
    for path in documents():
        for code in SPAN.findall(FENCE.sub("", path.read_text())):
            yield Said(name(path), code)


def lines(block: str) -> list[str]:
    """Return the lines of a shell block without comments, here-documents and broken lines."""
    kept, end = [], ""
    for line in block.replace("\\\n", " ").splitlines():
        if end:
            end = "" if line == end else end
            continue
        begun = re.search(r"<<'(\w+)'", line)
        end = begun[1] if begun else ""
        kept.append(line)
    return kept


def commands(line: str) -> list[list[str]]:
    """Return the calls of lockgate in a line of shell, as words without the program's own name."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    calls: list[list[str]] = []
    before = ""
    inside: list[list[str]] = []
    for word in lexer:
        if OPERATOR.fullmatch(word):
            inside, before = [], ""
            continue
        for call in inside:
            call.append(word)
        if word == "lockgate" and (not before or before in BEFORE_COMMAND):
            inside.append([])
            calls.append(inside[-1])
        before = word
    return calls


def leaf(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command that words name, and the words that are left for it."""
    command: Any = typer.main.get_command(app)
    rest = [w for w in words if w != "--debug"]
    while hasattr(command, "resolve_command") and rest and not rest[0].startswith("-"):
        _, command, rest = command.resolve_command(command.context_class(command), rest)
    return command, rest


def demand(words: list[str]) -> None:
    """Parse a call as the program would, without running it."""
    command, rest = leaf(words)
    if rest not in (["--help"], ["--version"]):
        assert not hasattr(command, "resolve_command"), "names a group and no command"
        command.make_context("lockgate", list(rest))


def demand_mention(words: list[str]) -> None:
    """Demand that the command and the options of a mention exist; its arguments may be left out."""
    command, rest = leaf(words)
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {w.partition("=")[0] for w in rest if w.startswith("--") and w != "--"} <= known


SHELL = [(b.document, c) for b in blocks("sh") for line in lines(b.text) for c in commands(line)]
MENTIONS = [(s.document, c) for s in spans() if s.text.startswith("lockgate ") for c in commands(s.text)]


def test_there_is_something_to_check() -> None:
    assert len(SHELL) >= 25
    assert len(MENTIONS) >= 25
    assert {"README.md", "docs/getting-started.md", "docs/errors.md"} <= {name(p) for p in documents()}


@pytest.mark.parametrize(("document", "words"), SHELL, ids=[" ".join(w)[:60] for _, w in SHELL])
def test_commands_in_blocks_parse(document: str, words: list[str]) -> None:
    assert document
    demand(words)


@pytest.mark.parametrize(
    ("document", "words"), MENTIONS, ids=[f"{d} {' '.join(w)}"[:70] for d, w in MENTIONS]
)
def test_commands_in_sentences_exist(document: str, words: list[str]) -> None:
    assert document
    demand_mention(words)


@pytest.mark.parametrize(
    "line",
    ["lockgate seal --sideways", "lockgate fly", "inside lockgate gate request", "lockgate gate --home x"],
)
def test_a_wrong_command_would_be_noticed(line: str) -> None:
    (words,) = commands(line)
    with pytest.raises(Exception, match=r"(?i)no such|missing|group"):
        demand(words)


def test_calls_are_found_wherever_they_stand_in_a_line() -> None:
    line = 'cd x && inside lockgate gate list > f; lockgate isolate run -- lockgate ask "a b" | cat lockgate'
    assert commands(line) == [
        ["gate", "list"],
        ["isolate", "run", "--", "lockgate", "ask", "a b"],
        ["ask", "a b"],
    ]
    assert commands("git clone ADDRESS lockgate") == []
    assert lines("a \\\n b\ncat <<'END'\nlockgate no\nEND\nc") == ["a   b", "cat <<'END'", "c"]


def test_every_relative_link_leads_somewhere() -> None:
    lost = []
    for path in documents():
        for target in LINK.findall(FENCE.sub("", path.read_text())):
            place, _, anchor = target.partition("#")
            if "://" in place:
                continue
            file = (path.parent / place).resolve() if place else path
            if not file.exists() or (anchor and anchor not in anchors(file)):
                lost.append(f"{name(path)}: {target}")
    assert lost == []


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as code hosts make them."""
    titles = re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = [Said(b.document, line) for b in blocks("sh") for line in b.text.splitlines()] + list(spans())
    used = [(s.document, t) for s in code for t in re.findall(r"^make ([a-z-]+)", s.text)]
    assert [u for u in used if u[1] not in targets] == []
    assert ("README.md", "demo") in used


def test_every_test_that_is_named_exists() -> None:
    named = [s for s in spans() if re.match(r"(tests|src|demo|docs|scripts|bench|requirements)/", s.text)]
    lost = []
    for said in named:
        file, _, test = said.text.partition("::")
        path = ROOT / file
        there = path.exists() and (not test or f"def {test}(" in path.read_text())
        if not there and not any(c in file for c in " *<"):
            lost.append(f"{said.document}: {said.text}")
    assert lost == []
    assert len(named) > 30


def test_every_decision_is_listed() -> None:
    listed = (ROOT / "docs/adr/README.md").read_text()
    files = sorted(p.name for p in (ROOT / "docs/adr").glob("[0-9]*.md"))
    assert [f for f in files if f"({f})" not in listed] == []
    assert [f[:4] for f in files] == [f"{n:04d}" for n in range(1, len(files) + 1)]


def make_errors() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_errors", ROOT / "docs/make_errors.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_list_of_errors_is_current() -> None:
    assert (ROOT / "docs/errors.md").read_text() == make_errors().render(), "run: python docs/make_errors.py"


def dependencies() -> dict[str, list[str]]:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = {"Running": table["project"]["dependencies"]}
    groups["Clients"], groups["Tokens"] = (
        table["project"]["optional-dependencies"][n] for n in ("clients", "hsm")
    )
    groups["Building"], groups["Developing"] = (table["dependency-groups"][n] for n in ("build", "dev"))
    return {title: [re.split(r"[\[<>=~! ]", text)[0] for text in texts] for title, texts in groups.items()}


def test_the_schema_of_manifests_is_current() -> None:
    """Renew it: .venv/bin/lockgate manifest schema > docs/formats/manifest-v1.schema.json."""
    from lockgate.collect import schema

    text = (ROOT / "docs/formats/manifest-v1.schema.json").read_text(encoding="utf-8")
    assert text == json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def test_every_dependency_has_its_line_with_its_licence() -> None:
    page = (ROOT / "docs/dependencies.md").read_text()
    for title, wanted in dependencies().items():
        section = re.search(rf"^## {title}.*?(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
        assert section, title
        rows = [
            re.split(r" *(?<!\\)\| *", row)[1:-1] for row in section[0].splitlines() if row.startswith("| ")
        ]
        assert [row[0] for row in rows[1:]] == wanted
        for package, licence, keeper, why, offline in rows[1:]:
            declared = metadata.metadata(package).get("License-Expression")
            assert declared in {None, licence}, package
            assert keeper
            assert why
            assert offline


# Where standards and formats are kept; documents and sources may name these, and nothing else outside.
STANDARDS = (
    "http://www.w3.org/",
    "http://www.apache.org/licenses/",
    "http://cyclonedx.org/",
    "http://linux.duke.edu/metadata/",
    "https://in-toto.io/",
    "https://json-schema.org/",
    "https://keepachangelog.com/",
    "https://semver.org/",
    "https://slsa.dev/",
    "https://git-lfs.github.com/spec/",
    "https://github.com/ggml-org/ggml/blob/",
    "https://github.com/huggingface/safetensors",
)
ADDRESS = re.compile(r"https?://[^\s\"'<>)`\\]+")
HERE = re.compile(
    r"https?://(?:[^/@]*@)?"
    r"(?:127\.|192\.0\.2\.|\[|\{|localhost|[^/:.]+(?:[/:]|$)"  # own, bare names
    r"|[^/:]*\.(?:invalid|example|test|internal)\b|example\.(?:com|net|org)\b)"
)
REGISTRIES = [
    ".".join(parts)
    for parts in (
        *(("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("huggingface", "co"), ("hf", "co")),
        *(("docker", "io"), ("docker", "com"), ("ghcr", "io"), ("quay", "io"), ("gcr", "io")),
        *(("debian", "org"), ("ubuntu", "com"), ("ollama", "ai"), ("anaconda", "org"), ("crates", "io")),
    )
]
# /opt/lockgate is where the product installs itself (FHS, "/opt"), no place of one machine.
MACHINE = re.compile(r"(?<![\w./$}\-])/(?!opt/lockgate\b)(?:work|root|home|Users|opt|mnt|srv)/[\w.\-]+")


def tracked() -> list[Path]:
    ran = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode == 0:
        return [ROOT / n for n in ran.stdout.split("\0") if n and (ROOT / n).is_file()]
    inside = (p for p in ROOT.rglob("*") if p.is_file())
    return [p for p in inside if not any(part.startswith(".") for part in p.relative_to(ROOT).parts)]


def complaints(text: str) -> list[str]:
    """Return what no file of the repository may name."""
    foreign = [a for a in ADDRESS.findall(text) if not a.startswith(STANDARDS) and not HERE.match(a)]
    known = [r for r in REGISTRIES if re.search(rf"(?<![\w-]){re.escape(r)}\b", text)]
    return foreign + known + MACHINE.findall(text)


def test_no_file_names_a_registry_or_a_place_on_a_machine() -> None:
    found = {}
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data and (said := complaints(data.decode("utf-8", "replace"))):
            found[name(path)] = said
    assert found == {}


def test_what_must_not_be_named_would_be_noticed() -> None:
    assert complaints("see " + "https:" + "//files.somewhere.net/x") != []
    assert complaints("index " + REGISTRIES[0]) != []
    assert complaints("in " + "/" + "home/somebody/x") != []
    assert complaints("http://127.0.0.1:8710/simple/ https://index.invalid/x /usr/lib /proc/self/fd/3") == []
