"""``lockgate manifest``: begin one, check it, read back what it asks for."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import JsonOption, emit

app = typer.Typer(no_args_is_help=True, help="Begin, check and explain a manifest (low side).")

ManifestArgument = Annotated[Path, typer.Argument(help="The manifest (TOML).")]


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="Where it goes; it must not be there yet.")],
    as_json: JsonOption = False,
) -> None:
    """Write a manifest to begin with: every table, with an example and what it is for.

    Example: lockgate manifest init manifest.toml
    """
    from lockgate.app.crossing.manifest import write_example

    size = write_example(file)
    emit(as_json, {"file": str(file), "bytes": size}, lambda out: out.print(f"{file} written"))


@app.command()
def check(manifest: ManifestArgument, as_json: JsonOption = False) -> None:
    """Read a manifest and look for the files that it names; nothing is asked of any network.

    Exit status 1 when a file or folder is missing.

    Example: lockgate manifest check manifest.toml
    """
    from lockgate.app.crossing.manifest import explained

    found = explained(manifest)
    missing = [(one, name) for one in found for name in one.missing]

    def render(out: Console) -> None:
        from lockgate.cli.shared import escape

        for one, name in missing:
            out.print(escape(f"[[{one.table}]] {one.number}: {name} is not there"), style="red")
        out.print(f"{len(found)} tables, {len(missing)} files missing")

    value = {"tables": len(found), "missing": [[one.table, one.number, name] for one, name in missing]}
    emit(as_json, value, render)
    if missing:
        raise typer.Exit(1)


@app.command()
def explain(manifest: ManifestArgument, as_json: JsonOption = False) -> None:
    """Say for each table what it would bring, under which label.

    Example: lockgate manifest explain manifest.toml
    """
    from dataclasses import asdict

    from lockgate.app.crossing.manifest import explained

    found = explained(manifest)

    def render(out: Console) -> None:
        from lockgate.cli.shared import escape

        for one in found:
            out.print(escape(f"[[{one.table}]] {one.number}"), style="bold", end=" ")
            out.print(escape(one.brings), f"Label {escape(one.label)}." if one.label else "")

    emit(as_json, [asdict(one) for one in found], render)


@app.command()
def schema() -> None:
    """Print the JSON Schema of manifests, for editors.

    Example: lockgate manifest schema
    """
    import json
    import sys

    from lockgate.collect import schema as of_manifests

    sys.stdout.write(json.dumps(of_manifests(), indent=2, ensure_ascii=False) + "\n")
