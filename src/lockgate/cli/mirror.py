"""``lockgate mirror``: packages and models from the signed snapshot."""

from typing import Annotated

import typer

from lockgate.cli.shared import HomeOption

app = typer.Typer(no_args_is_help=True, help="Serve packages and models from the signed snapshot.")


@app.callback()
def _mirror() -> None:
    """Keep `serve` a subcommand."""


@app.command()
def serve(
    home: HomeOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on (default: lockgate.toml).")] = "",
    port: Annotated[int, typer.Option(help="Port to listen on (default: lockgate.toml).")] = 0,
) -> None:
    """Serve PyPI, Hugging Face and plain files until interrupted.

    Example: lockgate mirror serve --home lane/high --port 8710
    """
    from lockgate.app.high.serving import serve_mirror
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    serve_mirror(side, host or side.settings.serve.host, port or side.settings.serve.mirror_port)
