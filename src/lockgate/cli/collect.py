"""``lockgate collect``: resolve and fetch what a manifest names."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from lockgate.cli.shared import Bars, HomeOption, JsonOption, emit, err, escape, human

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lockgate.collect import Change, Foreseen

app = typer.Typer(help="Resolve and fetch what a manifest names (low side).")


@app.command()
def collect(
    manifest: Annotated[Path, typer.Argument(help="The manifest (TOML).")],
    home: HomeOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Fetch and compare, but keep the old lock.")
    ] = False,
    update: Annotated[
        bool,
        typer.Option(
            "--update", help="Show what would change before fetching, and ask; with --dry-run, end."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --update: go on without asking.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Collect this table alone (npm, python …); repeat it.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use local folders only, no index.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Resolve, fetch and verify everything that a manifest names, and write the signed lock.

    Addresses come from pip's own configuration and from the manifest. What is here already is
    not fetched again.

    Examples:
      lockgate collect demo/demo.toml --home lane/low
      lockgate collect demo/demo.toml --update --dry-run --home lane/low
    """
    from lockgate.app.crossing.collect import run_collect, run_plan
    from lockgate.app.rehearsal.standing import rehearsed
    from lockgate.app.settings import load_settings
    from lockgate.cli.rehearse import warn
    from lockgate.collect import State

    side = load_settings(home).require("low")
    if update:
        with Bars(quiet=as_json) as bars:
            foreseen = run_plan(side, manifest, bars, offline=offline)
        if dry_run:
            emit(as_json, {"foreseen": [asdict(one) for one in foreseen]}, lambda out: _draw(out, foreseen))
            return
        if not as_json:
            _draw(err, foreseen)
        if foreseen and not yes:
            typer.confirm("Fetch this?", abort=True, err=True)
    with Bars(quiet=as_json) as bars:
        found = run_collect(side, manifest, bars, offline=offline, dry_run=dry_run, only=only or ())
    tried = None if dry_run else rehearsed(side)
    artifacts = found.lock.artifacts
    changes = found.difference.of(State.NEW, State.CHANGED, State.GONE)
    size = sum(a.size for a in artifacts)
    value = {
        "artifacts": len(artifacts),
        "files": sum(len(a.files) for a in artifacts),
        "bytes": size,
        "fresh": found.difference.fresh,
        "changes": [c.as_dict() for c in changes],
        "notes": list(found.log),
        "rehearsal": {"standing": tried.standing, "why": tried.why} if tried else None,
    }

    def render(out: Console) -> None:
        table = Table("Kind", "Name", "Version", "State", "Size", "New bytes")
        for c in changes:
            version = ", ".join(v[:12] for v in (c.now or c.before))
            table.add_row(c.kind, escape(c.name), version, c.state, human(c.size), human(c.fresh))
        out.print(table if changes else "Nothing changed since the last lock.")
        _tell(out, changes)
        for note in found.log:
            out.print(f"  [yellow]note[/] {escape(note)}")
        out.print(f"{len(artifacts)} artifacts, {value['files']} files, {human(size)}")
        if tried:
            warn(out, tried)

    emit(as_json, value, render)


def _draw(out: Console, foreseen: "Iterable[Foreseen]") -> None:
    foreseen = list(foreseen)
    table = Table("Kind", "Name", "Before", "Then", "Size")
    for one in foreseen:
        versions = (", ".join(one.before) or "-", ", ".join(one.now) or "-")
        table.add_row(one.kind, escape(one.name), *versions, human(one.size))
    out.print(table if table.row_count else "Nothing would change.")
    _tell(out, foreseen)


def _tell(out: Console, changes: "Iterable[Change | Foreseen]") -> None:
    for one in changes:
        for warning in one.warnings:
            out.print(f"  [yellow]look at[/] {escape(one.name)}: {escape(warning)}")
