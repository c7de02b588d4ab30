"""``lockgate high``: the services of the high side under one supervisor."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lockgate.cli.shared import HomeOption, JsonOption, emit, err

app = typer.Typer(no_args_is_help=True, help="Start, stop and watch the services of the high side.")


@app.command()
def up(
    home: HomeOption = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return once all are ready.")] = False,
) -> None:
    """Start the mirrors, install the engine from them, index the documents, start gateway and console.

    What is done already is not done again. Each service is restarted when it ends.

    Example: lockgate high up --home lane/high --detach
    """
    from lockgate.app.high.high import bring_up
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    bring_up(side, lambda text: err.print(f"  {text}"), detached=detach)


@app.command()
def down(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Stop the services.

    Example: lockgate high down --home lane/high
    """
    from lockgate.app.high.supervise import down as stop
    from lockgate.app.settings import load_settings

    stopped = stop(load_settings(home).require("high").home.run)
    emit(as_json, {"stopped": stopped}, lambda out: out.print("stopped" if stopped else "nothing ran"))


@app.command()
def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the services: alive, ready, how often restarted. Exit status 1 when one is not ready.

    Example: lockgate high status --home lane/high
    """
    from dataclasses import asdict

    from lockgate.app.high.supervise import status as services
    from lockgate.app.high.tls import tls_of
    from lockgate.app.settings import load_settings
    from lockgate.app.trust import utc_now

    side = load_settings(home).require("high")
    tls = tls_of(side, utc_now())
    found = services(side.home.run, tls.client() if tls else None)

    def render(out: Console) -> None:
        if not found:
            out.print("nothing runs; start it with `lockgate high up`")
            return
        table = Table("Service", "Process", "Alive", "Ready", "Restarts")
        for s in found:
            table.add_row(s.name, str(s.pid), _yes(s.alive), _yes(s.ready), str(s.restarts))
        out.print(table)

    emit(as_json, [asdict(s) for s in found], render)
    if not found or not all(s.ready for s in found):
        raise typer.Exit(1)


def _yes(value: bool) -> str:
    return "[green]yes[/]" if value else "[red]no[/]"
