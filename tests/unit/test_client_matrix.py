"""The table of clients and situations: what it names is there, and the documents say the same."""

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFORMANCE = ROOT / "tests/conformance"
SITUATIONS = {
    "resume": "Broken download",
    "revalidate": "Held already",
    "odd": "Odd names",
    "withdrawn": "Withdrawn",
    "missing": "Missing name",
    "switch": "Two at once, channel moves",
}
OPEN, SHOWN, HOW = "open", "shown", " -- "
MATRIX: dict[str, dict[str, str]] = tomllib.loads((CONFORMANCE / "client_matrix.toml").read_text())
CELLS = [(client, name, cell) for client, row in MATRIX.items() for name, cell in row.items()]


def is_test(cell: str) -> bool:
    return "::" in cell


@cache
def sources_of(module: str) -> dict[str, str]:
    """Return the tests of a module, each with its source."""
    text = (CONFORMANCE / f"{module}.py").read_text()
    found = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    return {f.name: ast.get_source_segment(text, f) or "" for f in found if f.name.startswith("test_")}


def said(cell: str) -> str:
    return (cell.partition(HOW)[2] or SHOWN) if is_test(cell) else cell


def table() -> list[str]:
    """Return the table as the documents have to show it."""
    rows = [["Client", *SITUATIONS.values()], ["---"] * (len(SITUATIONS) + 1)]
    rows += [[client, *(said(row[name]) for name in SITUATIONS)] for client, row in MATRIX.items()]
    return ["|".join(row).join("||") if row[0] == "---" else f"| {' | '.join(row)} |" for row in rows]


@pytest.mark.parametrize("client", MATRIX)
def test_every_client_has_every_situation(client: str) -> None:
    assert list(MATRIX[client]) == list(SITUATIONS)


@pytest.mark.parametrize(("client", "situation", "cell"), CELLS)
def test_each_cell_names_a_test_that_there_is_or_says_why_there_is_none(
    client: str, situation: str, cell: str
) -> None:
    if is_test(cell):
        module, _, name = cell.partition(HOW)[0].partition("::")
        assert "assert" in sources_of(module)[name], f"{client} {situation}"
    else:
        assert cell == OPEN or len(cell.split()) > 3  # a reason is more than a word


def test_the_documents_claim_what_the_tests_show_and_nothing_else() -> None:
    lines = (ROOT / "docs/clients.md").read_text().splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith(f"| Client | {SITUATIONS['resume']}"))
    shown = []
    for line in lines[begin:]:
        if not line.startswith("|"):
            break
        shown.append(line)
    assert shown == table()
