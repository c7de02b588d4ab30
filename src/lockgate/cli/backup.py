"""``lockgate backup``: a copy of what a high side remembers, signed by an operator."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import Bars, HomeOption, JsonOption, emit, human

app = typer.Typer(help="Copy records, log, channels and trust, under a signed manifest.")


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="An empty folder; it is made when it is missing.")],
    key: Annotated[Path, typer.Option(help="Folder with your operator.pem and operator.pass.")],
    blobs: Annotated[bool, typer.Option("--blobs", help="Copy the blobs too, not only their list.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy everything that a high side remembers, while it serves. Keys are not in a backup.

    Example: lockgate backup backup-1 --key people/operator --home lane/high
    """
    import msgspec

    from lockgate.app.gate.gate import operator_key
    from lockgate.app.record.backup import make_backup
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    with Bars(quiet=as_json) as bars:
        made = make_backup(side, folder, operator_key(side, key), bars, with_blobs=blobs)
    size = sum(file.size for file in made.manifest.files)

    def render(out: Console) -> None:
        out.print(f"Backup in {folder}: {human(size)}, log of {made.manifest.log_size} leaves")
        out.print(f"  manifest {made.sha256}, signed by {made.manifest.person}")

    emit(as_json, {"sha256": made.sha256, **msgspec.to_builtins(made.manifest)}, render)
