"""``lockgate redteam``: attacks on a model behind the gateway, kept and compared."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lockgate.cli.shared import Bars, HomeOption, JsonOption, emit, err

app = typer.Typer(help="Attack a model behind the gateway, and compare with the version before.")

NOT_PASSED = 4


@app.command()
def redteam(
    model: Annotated[str, typer.Argument(help="The model, as the gateway names it.")],
    key_file: Annotated[
        Path | None, typer.Option(help="File with the API key (or LOCKGATE_API_KEY in the environment).")
    ] = None,
    url: Annotated[str, typer.Option(help="The gateway (default: that of the home).")] = "",
    suite: Annotated[
        list[str] | None, typer.Option(help="own, garak or agentdojo (default: all that are installed).")
    ] = None,
    most: Annotated[int, typer.Option(min=0, max=100, help="Most attacks that may work, in percent.")] = 10,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run suites of attacks, keep what worked, compare; ends with status 4 when that is too much or worse.

    As a check of a canary host it gates what becomes stable: see docs/guards.md.

    Example: lockgate redteam smollm2 --key-file api-key --suite own --home lane/high
    """
    import os

    from rich.table import Table

    from lockgate.app.files import read_named
    from lockgate.app.high.ask import GatewayRefusedError
    from lockgate.app.high.high import address
    from lockgate.app.high.redteam import Target, red_team
    from lockgate.app.settings import load_settings
    from lockgate.guard.redteam.report import shown

    key = os.environ.get("LOCKGATE_API_KEY", "")
    if key_file:
        key = read_named(key_file).decode("utf-8", "replace").strip()
    if not key:
        raise GatewayRefusedError(
            "No API key was given.", advice="Make one: `lockgate gateway key add NAME`."
        )
    side = load_settings(home).require("high")
    base = url or f"{address(side, 'gateway')}/v1"
    with Bars(quiet=as_json, unit_bytes=False) as bars:
        report, against, path = red_team(
            side,
            Target(base.rstrip("/"), key, model),
            suites=suite or (),
            most=most / 100,
            progress=bars,
            told=lambda text: None if as_json else err.print(text),
        )

    def render(out: Any) -> None:
        table = Table("attacks", "worked", "share", "stopped by guards")
        for row in shown(report.tallies):
            table.add_row(*row)
        out.print(table)
        if report.site:
            out.print(f"texts of granted appeals stopped: {report.site_blocked} of {report.site}")
        out.print(f"harmless prompts stopped: {report.harmless_blocked} of {report.harmless}; kept: {path}")
        for word, names in (
            ("too many", against.too_many),
            ("worse", against.worse),
            ("unsure", against.unsure),
        ):
            for name in names:
                out.print(f"[red]{word}[/] {name}")

    value = {
        "model": report.model,
        "model_sha256": report.model_sha256,
        "tallies": {
            name: {
                "succeeded": t.succeeded,
                "attacks": t.attacks,
                "blocked": t.blocked,
                "interval": t.interval,
            }
            for name, t in report.tallies.items()
        },
        "harmless": report.harmless,
        "harmless_blocked": report.harmless_blocked,
        "site": report.site,
        "site_blocked": report.site_blocked,
        "too_many": against.too_many,
        "worse": against.worse,
        "unsure": against.unsure,
        "passed": against.passed,
        "report": str(path),
    }
    emit(as_json, value, render)
    if not against.passed:
        raise typer.Exit(NOT_PASSED)
