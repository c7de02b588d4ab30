"""``lockgate console``: the web console."""

import typer

from lockgate.cli.shared import HomeOption, HostOption, PortOption

app = typer.Typer(no_args_is_help=True, help="Serve the web console.")


@app.callback()
def _console() -> None:
    """Keep `serve` a subcommand."""


@app.command()
def serve(
    home: HomeOption = None,
    host: HostOption = "",
    port: PortOption = 0,
) -> None:
    """Serve the console until interrupted.

    Example: lockgate console serve --home lane/high --port 8730
    """
    from lockgate.app.high.console import serve_console
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    serve_console(side, host or side.settings.serve.host, port or side.settings.serve.console_port)
