"""``lockgate deliver``: what a channel serves, brought to a registry or folder that the site owns."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockgate.cli.shared import HomeOption, JsonOption, emit

if TYPE_CHECKING:
    from rich.console import Console

    from lockgate.targets import Report

_FILES = 3
"""Most files that are named of an artifact."""

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

    Targets that are filled again and again, and whole products (Harbor, Artifactory, Nexus), have a name in
    lockgate.toml: `lockgate target`.

    No such target can be switched as a whole: while this runs its users see old and new side by side.
    Ends with an error where something is missing or has other bytes.

    Examples:
      lockgate deliver share --kind directory --home lane/high
      lockgate deliver https://harbor.plant.internal --kind oci --prefix lockgate --home lane/high
      --credentials robot.txt
    """
    from lockgate.app.high.targets import Destination, run_delivery
    from lockgate.app.settings import load_settings
    from lockgate.cli.shared import Bars

    where = Destination(kind, address, index, prefix, credentials=credentials, authority=ca)
    side = load_settings(home).require("high")
    with Bars(quiet=as_json) as bars:
        report = run_delivery(side, where, bars, channel=channel, compare_only=compare)
    show_report(report, as_json=as_json)


def show_report(report: "Report", *, as_json: bool, planned: bool = False) -> None:
    """Print what is there, and what not.

    Args:
        report: What was found.
        as_json: One object for programs.
        planned: What is not there is the plan, not a failure.

    Raises:
        DeliveryUnfinishedError: Something is not there as it should be.

    """
    from dataclasses import asdict

    from lockgate.app.high.targets import DeliveryUnfinishedError

    emit(as_json, asdict(report), lambda console: _draw(console, report, planned=planned))
    if planned:
        return
    if failed := report.failed:
        what = f"{len(failed)} of {len(report.delivered)} artifacts are not there as they should be."
        raise DeliveryUnfinishedError(what, first=failed[0].purl)
    if report.problem:
        raise DeliveryUnfinishedError(report.problem)


def _draw(console: "Console", report: "Report", *, planned: bool) -> None:
    failed = report.failed
    good = len(report.delivered) - len(failed)
    console.print(f"{good} of {len(report.delivered)} artifacts are there with their bytes")
    for each in failed:
        said = each.problem or f"missing or different: {', '.join(each.wrong[:_FILES])}"
        console.print(f"  {each.purl}: {said}", style="" if planned else "red", markup=False)
    if planned:
        console.print(f"{len(failed)} artifacts with {sum(e.size for e in failed)} bytes would be brought")
    if report.problem:
        console.print(report.problem, style="red", markup=False)
    if report.passed_over:
        console.print(f"{len(report.passed_over)} artifacts are of kinds that this target cannot take:")
        for kind, count in _kinds(report.passed_over):
            console.print(f"  {kind}: {count}", markup=False)
    if report.note:
        console.print(report.note)


def _kinds(purls: list[str]) -> list[tuple[str, int]]:
    """Return how many there are of each type of package URL."""
    from collections import Counter

    return sorted(Counter(purl.partition("/")[0] for purl in purls).items())
