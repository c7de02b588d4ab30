"""Soaking and promotion on the command line."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from lockgate.cli.shared import HomeOption, JsonOption, emit

if TYPE_CHECKING:
    from lockgate.admit.soak import Soak

NOT_READY = 1


def _value(soak: "Soak") -> dict[str, Any]:
    import msgspec

    return {
        "candidate": msgspec.to_builtins(soak.pointer),
        "reports": msgspec.to_builtins(soak.reports),
        "lacks": list(soak.lacks),
        "ready": not soak.lacks,
    }


def soak(
    report: Annotated[
        list[Path] | None, typer.Option(help="A canary host's signed report to take; repeat for more.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take reports of canary hosts, and say what the snapshot on candidate still lacks; ends with 1 then.

    Example: lockgate gate soak --report canary-1.json --home lane/high
    """
    from lockgate.app.gate.canary import take_reports
    from lockgate.app.gate.gate import open_gate
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    take_reports(side, report or [])
    found = open_gate(side).promoter.soak()

    def render(out: Console) -> None:
        out.print(
            f"candidate: version {found.pointer.version}, since {found.pointer.published:%Y-%m-%d %H:%M}"
        )
        for each in found.reports:
            word = "[green]healthy[/]" if each.healthy else "[red]unhealthy[/]"
            out.print(f"  {each.host}: {word} ({', '.join(sorted(each.checks)) or 'no check'})")
        for lack in found.lacks:
            out.print(f"[yellow]not yet[/] {lack}")
        if not found.lacks:
            out.print("It may be promoted: `lockgate gate promote`")

    emit(as_json, _value(found), render)
    if found.lacks:
        raise typer.Exit(NOT_READY)


def promote(
    key: Annotated[Path, typer.Option(help="Folder with your operator.pem and operator.pass.")],
    out: Annotated[Path | None, typer.Option(help="Where the request goes (default: pending/).")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask that stable takes over the very snapshot that soaked on candidate.

    Approvers sign it like a publication, and `lockgate gate publish` carries it out.

    Example: lockgate gate promote --key people/operator --home lane/high
    """
    import msgspec

    from lockgate.app.gate.gate import open_gate, operator_key, write_request
    from lockgate.app.settings import load_settings
    from lockgate.approve import read_statement

    side = load_settings(home).require("high")
    envelope = open_gate(side).request_promote(operator_key(side, key))
    statement = read_statement(envelope)
    file = write_request(side, f"promote-{statement.channel_version:06d}", envelope, out)
    facts = dict(statement.facts or {})
    emit(
        as_json,
        {"request": file, "statement": msgspec.to_builtins(statement)},
        lambda c: c.print(f"Request to promote version {facts['from_version']} of candidate: {file}"),
    )
