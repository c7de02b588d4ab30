"""``lockgate deliver``: what a channel serves, brought to a registry or folder that the site owns."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockgate.cli.shared import HomeOption, JsonOption, emit

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(help="Bring what is served to a registry or folder that the site owns.")


@app.command()
def deliver(
    address: Annotated[str, typer.Argument(help="The folder, or the registry's address.")],
    kind: Annotated[str, typer.Option(help="directory, oci, pypi or npm.")],
    index: Annotated[str, typer.Option(help="Address of the simple pages (pypi).")] = "",
    prefix: Annotated[str, typer.Option(help="What comes before names of repositories (oci).")] = "",
    credentials: Annotated[
        Path | None, typer.Option(help="File with `user:password`, or with a token.")
    ] = None,
    ca: Annotated[Path | None, typer.Option(help="Authority of the registry's certificate.")] = None,
    channel: Annotated[str, typer.Option(help="The channel.")] = "stable",
    compare: Annotated[bool, typer.Option("--compare", help="Bring nothing; only compare.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring what is missing, read everything back, and say what is there with its bytes; nothing is removed.

    No such target can be switched as a whole: while this runs its users see old and new side by side.
    Ends with an error where something is missing or has other bytes.

    Examples:
      lockgate deliver share --kind directory --home lane/high
      lockgate deliver https://harbor.plant.internal --kind oci --prefix lockgate --home lane/high
      --credentials robot.txt
    """
    from dataclasses import asdict

    from lockgate.app.high.targets import DeliveryUnfinishedError, Destination, run_delivery
    from lockgate.app.settings import load_settings
    from lockgate.cli.shared import Bars

    where = Destination(kind, address, index, prefix, credentials, ca)
    side = load_settings(home).require("high")
    with Bars(quiet=as_json) as bars:
        report = run_delivery(side, where, bars, channel=channel, compare_only=compare)

    def show(console: "Console") -> None:
        good = len(report.delivered) - len(report.failed)
        console.print(f"{good} of {len(report.delivered)} artifacts are there with their bytes")
        for each in report.failed:
            said = each.problem or f"{len(each.wrong)} files are missing or differ: {each.wrong[0]}"
            console.print(f"  {each.purl}: {said}", style="red", markup=False)
        if report.passed_over:
            console.print(f"{len(report.passed_over)} artifacts are of kinds that this target cannot take")
        if report.note:
            console.print(report.note)

    emit(as_json, asdict(report), show)
    if report.failed:
        what = f"{len(report.failed)} of {len(report.delivered)} artifacts are not there as they should be."
        raise DeliveryUnfinishedError(what, first=report.failed[0].purl)
