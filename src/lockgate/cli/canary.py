"""``lockgate canary``: a host that tries what is on candidate and signs what it saw."""

from pathlib import Path
from typing import Annotated

import typer

from lockgate.cli.shared import JsonOption, emit

app = typer.Typer(no_args_is_help=True, help="Try what is on candidate, and sign what was seen.")

UNHEALTHY = 1


@app.callback()
def _canary() -> None:
    """Keep `report` a subcommand."""


@app.command()
def report(
    mirror: Annotated[str, typer.Option(help="The mirror of the candidate channel, as http://host:port.")],
    key: Annotated[str, typer.Option(help="Folder with canary.pem and canary.pass, or a pkcs11: address.")],
    lane: Annotated[str, typer.Option(help="The lane's name.")],
    site_root: Annotated[list[Path], typer.Option(help="The site root; repeat for those that followed it.")],
    pin: Annotated[str, typer.Option(help="The first site root's pin, from your own notes.")],
    out: Annotated[Path, typer.Option(help="Where the signed report goes.")],
    check: Annotated[
        list[str] | None, typer.Option(help="A check, as name=command; passed when it ends with 0.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the mirror what it serves, run the checks, and sign the result; ends with 1 when one failed.

    The gate takes the file by `lockgate gate soak --report`. A check called golden-prompts may compare a
    model's answers with recorded ones; the name is what the rules ask for.

    Example: lockgate canary report --mirror http://host:8711 --key me --lane plant
             --site-root site.json --pin 3f… --check "install=pip download demo" --out report.json
    """
    import msgspec

    from lockgate.app.files import read_named
    from lockgate.app.gate.canary import Canary, parse_checks, write_report
    from lockgate.app.keys import key_place

    canary = Canary([read_named(file) for file in site_root], pin, lane, key_place(key))
    seen = write_report(canary, mirror, parse_checks(check or []), out)
    value = {"report": out, "healthy": seen.healthy, "seen": msgspec.to_builtins(seen)}
    word = "healthy" if seen.healthy else "[red]unhealthy[/]"
    emit(as_json, value, lambda c: c.print(f"{seen.host}: version {seen.channel_version} is {word}: {out}"))
    if not seen.healthy:
        raise typer.Exit(UNHEALTHY)
