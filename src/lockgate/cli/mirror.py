"""``lockgate mirror``: packages and models from the signed snapshot."""

import typer

from lockgate.cli.shared import HomeOption, HostOption, PortOption

app = typer.Typer(no_args_is_help=True, help="Serve packages and models from the signed snapshot.")


@app.callback()
def _mirror() -> None:
    """Keep `serve` a subcommand."""


@app.command()
def serve(
    home: HomeOption = None,
    host: HostOption = "",
    port: PortOption = 0,
) -> None:
    """Serve PyPI, Hugging Face, container images and plain files until interrupted.

    Example: lockgate mirror serve --home lane/high --port 8710
    """
    from lockgate.app.high.serving import serve_mirror
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    serve_mirror(side, host or side.settings.serve.host, port or side.settings.serve.mirror_port)
