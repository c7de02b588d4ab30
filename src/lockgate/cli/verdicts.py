"""Drawing what was said of the files of a crossing, and what is held of it."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Column, Table

from lockgate.cli.shared import escape, human

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lockgate.core.policy import Held
    from lockgate.core.verdict import Outcome, Verdict

STYLES = {"clean": "green", "opaque": "cyan", "findings": "red", "incomplete": "yellow"}


def changed_since(first: "Iterable[Verdict]", counting: "Iterable[Verdict]") -> "dict[str, Outcome]":
    """Return the files on which newer rules say more, with what was said of each when it crossed."""
    before = {verdict.path: verdict for verdict in first}
    pairs = [(before[verdict.path], verdict) for verdict in counting]
    return {a.path: a.outcome for a, b in pairs if (a.outcome, a.findings) != (b.outcome, b.findings)}


def draw_stricter(out: Console, stricter: "Mapping[str, Outcome]") -> None:
    """Print on which files newer rules say more."""
    for path, was in stricter.items():
        out.print(f"[yellow]newer rules[/] say more of {escape(path)} than the {was} of its crossing")


def draw_held(out: Console, held: "Iterable[Held]", unsure: str) -> None:
    """Print what is held, why, and what would resolve it."""
    for each in held:
        out.print(f"[yellow]held[/] {escape(each.purl)} {escape(each.path)}\n  {escape(each.reason)}")
        out.print(f"  to resolve: {escape(each.resolve)}")
    if unsure:
        out.print(f"[red]what is held now cannot be told[/]: {escape(unsure)}")


def draw_verdicts(out: Console, verdicts: "tuple[Verdict, ...]") -> None:
    """Print what was said of each file, and under its name what was found in it."""
    table = Table("Verdict", "Covered", "Size", "Type", Column("File, and what was found in it", ratio=1))
    for v in verdicts:
        share = "100 %" if v.covered == v.size else f"{100 * v.covered / max(v.size, 1):.1f} %"
        notes = sorted({f"{f.code} ({f.severity})" for f in v.findings})
        kinds = f" ({', '.join(v.opaque)})" if v.opaque else ""
        verdict = f"[{STYLES[v.outcome]}]{v.outcome}[/]{escape(kinds)}"
        lines = [escape(v.path), *(f"  {escape(note)}" for note in notes)]
        table.add_row(verdict, share, human(v.size), escape(v.detected), "\n".join(lines))
    out.print(table)


STATES = {
    "verified": "green",
    "absent": "dim",
    "unchecked": "yellow",
    "invalid": "bold red",
    "expired": "red",
}


def draw_provenance(out: Console, verdicts: "tuple[Verdict, ...]") -> None:
    """Print what signatures say of each file; files of which they say the same stand together."""
    said: dict[tuple[str, str], list[str]] = {}
    for verdict in verdicts:
        for fact in verdict.facts:
            said.setdefault((fact.state, fact.sentence), []).append(verdict.path)
    for (state, sentence), paths in said.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        out.print(f"[{STATES[state]}]provenance[/] {escape(paths[0])}{more}: {escape(sentence)}")
