"""``lockgate lockfile``: lock files that name other hosts, made to name the mirrors."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import HomeOption, JsonOption, emit

app = typer.Typer(no_args_is_help=True, help="Rewrite lock files that name other hosts.")


@app.callback()
def _lockfile() -> None:
    """Keep `rewrite` a command of its own."""


@app.command()
def rewrite(
    file: Annotated[Path, typer.Argument(help="uv.lock, pylock.toml, pdm.lock, package-lock.json …")],
    to: Annotated[
        str, typer.Option("--to", help="The mirrors' address (default: as lockgate.toml says).")
    ] = "",
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit status 1 when something would change.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make every address in a lock file one of the mirrors; digests and everything else stay.

    What comes from git or from an address of its own is named and left. Exit status 1 then.

    Example: lockgate lockfile rewrite uv.lock --to https://mirror.example --check
    """
    from lockgate.app.high.lockfiles import rewrite_file

    found = rewrite_file(file, to, home, keep=check)

    def render(out: Console) -> None:
        from lockgate.cli.shared import escape

        for address in found.left:
            out.print(f"[yellow]left[/] {escape(address)}")
        verb = "would be rewritten" if check else "rewritten"
        out.print(f"{len(found.changed)} addresses {verb}, {len(found.left)} lead elsewhere")

    value = {"changed": [list(pair) for pair in found.changed], "left": found.left, "written": not check}
    emit(as_json, value, render)
    if found.left or (check and found.changed):
        raise typer.Exit(1)
