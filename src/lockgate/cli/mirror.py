"""``lockgate mirror``: packages, images and models from the signed snapshot."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockgate.cli.shared import HomeOption, JsonOption, emit, err

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(no_args_is_help=True, help="Serve packages, images and models from the signed snapshot.")


@app.command()
def serve(
    home: HomeOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on (default: lockgate.toml).")] = "",
    port: Annotated[int, typer.Option(help="Port to listen on (default: lockgate.toml).")] = 0,
    open_namespace: Annotated[
        list[str] | None,
        typer.Option(help="Namespace of container images that clients may push to; may be repeated."),
    ] = None,
    channel: Annotated[str, typer.Option(help="The channel: stable, or candidate for canary hosts.")] = "",
) -> None:
    """Serve PyPI, Hugging Face, container images and plain files until interrupted.

    What is pushed into an open namespace is internal and not admitted; no snapshot ever holds it.

    With a port and an open namespace, on loopback, an empty --home becomes a demo lane: enough to run a
    client's own test suite against.

    Examples:
      lockgate mirror serve --home lane/high --port 8710
      lockgate mirror serve --home lane/high --port 8711 --channel candidate
      lockgate mirror serve --home ./trial --port 8710 --open-namespace conformance
    """
    from lockgate.app.high.mirrors import serve_mirror
    from lockgate.app.high.trial import LOOPBACK, is_loopback, trial_side
    from lockgate.app.settings import load_settings
    from lockgate.core.soak import CANDIDATE, STABLE

    made = False
    if home and port and open_namespace and is_loopback(host or LOOPBACK):
        side, made = trial_side(home)
        host = host or (LOOPBACK if made else "")
    else:
        side = load_settings(home)
    side.require("high")
    if made:
        err.print(
            f"[yellow]{home} was empty: a demo lane was made in it, with all keys of all people.[/]",
            soft_wrap=True,
        )
    ports = {CANDIDATE: side.settings.serve.candidate_port}
    chosen = port or ports.get(channel, side.settings.serve.mirror_port)
    address = host or side.settings.serve.host, chosen
    serve_mirror(side, *address, open_namespace or (), channel=channel or STABLE)


@app.command()
def pushed(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List what clients pushed into open namespaces, with its state.

    Example: lockgate mirror pushed --home lane/high
    """
    from dataclasses import asdict

    from lockgate.app.high.internal import list_pushed
    from lockgate.app.settings import load_settings

    found = list_pushed(load_settings(home).require("high"))

    def show(console: "Console") -> None:
        for each in found:
            console.print(f"{each.name}  {', '.join(each.tags) or 'no tag'}  [yellow]{each.state}[/]")
        if not found:
            console.print("Nothing was pushed.")

    emit(as_json, {"repositories": [asdict(each) for each in found]}, show)


@app.command()
def scrub(
    rate: Annotated[int, typer.Option(help="Most MiB to read in a second.", min=1)] = 50,
    replica: Annotated[
        Path | None, typer.Option(help="Folder of a second blob store, from which damage is mended.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hash every stored blob again, slowly, while services go on; ends with an error where damage stays.

    Example: lockgate mirror scrub --home lane/high --rate 50 --replica copy/blobs
    """
    from dataclasses import asdict

    from lockgate.app.high.scrub import run_scrub
    from lockgate.app.settings import load_settings
    from lockgate.cli.shared import Bars, human

    with Bars(quiet=as_json) as bars:
        found = run_scrub(load_settings(home), rate << 20, replica, bars)

    def show(console: "Console") -> None:
        console.print(f"{found.blobs} blobs, {human(found.size)}: all whole, {len(found.mended)} mended")

    emit(as_json, asdict(found), show)
