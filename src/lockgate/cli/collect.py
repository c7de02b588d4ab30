"""``lockgate collect``: resolve and fetch what a manifest names."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lockgate.cli.shared import Bars, HomeOption, JsonOption, emit, human

app = typer.Typer(help="Resolve and fetch what a manifest names (low side).")


@app.command()
def collect(
    manifest: Annotated[Path, typer.Argument(help="The manifest (TOML).")],
    home: HomeOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Fetch and compare, but keep the old lock.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use local folders only, no index.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Resolve, fetch and verify everything that a manifest names, and write the signed lock.

    Addresses come from pip's own configuration and from the manifest. What is here already is
    not fetched again.

    Example: lockgate collect demo/demo.toml --home lane/low
    """
    from lockgate.app.crossing.collect import run_collect
    from lockgate.app.settings import load_settings
    from lockgate.collect import State

    side = load_settings(home).require("low")
    with Bars(quiet=as_json) as bars:
        found = run_collect(side, manifest, bars, offline=offline, dry_run=dry_run)
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
    }

    def render(out: Console) -> None:
        table = Table("Kind", "Name", "Version", "State", "Size", "New bytes")
        for c in changes:
            version = ", ".join(v[:12] for v in (c.now or c.before))
            table.add_row(c.kind, escape(c.name), version, c.state, human(c.size), human(c.fresh))
        out.print(table if changes else "Nothing changed since the last lock.")
        for note in found.log:
            out.print(f"  [yellow]note[/] {escape(note)}")
        out.print(f"{len(artifacts)} artifacts, {value['files']} files, {human(size)}")

    emit(as_json, value, render)
