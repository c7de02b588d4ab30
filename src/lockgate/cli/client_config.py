"""``lockgate client-config``: what a developer's tools have to know of the mirrors."""

from typing import Annotated

import typer

from lockgate.cli.shared import HomeOption, JsonOption, emit

app = typer.Typer(help="Print configuration for the mirrors' clients.")


@app.command()
def client_config(
    client: Annotated[
        str,
        typer.Argument(
            help="pip, uv, npm, yarn, pnpm, docker, podman, containerd, huggingface, ollama, git, apt."
        ),
    ],
    url: Annotated[
        str, typer.Option("--url", help="The mirrors' address (default: as lockgate.toml says).")
    ] = "",
    ca: Annotated[
        str, typer.Option(help="Where the internal authority's certificate lies on the client's host.")
    ] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the files and variables that make a client ask the mirrors of this high side, and nothing else.

    What apt is told depends on what is served: its key, repositories and suites.

    Examples:
      lockgate client-config npm --home lane/high
      lockgate client-config apt --home lane/high
      lockgate client-config pip --url https://mirror.plant.internal:8710 --ca /etc/ssl/plant-ca.pem
    """
    import sys

    from lockgate.mirror import APT, shell_lines
    from lockgate.mirror import client_config as make

    if not url:
        from lockgate.app.high.serving import mirror_url
        from lockgate.app.settings import load_settings

        url = mirror_url(load_settings(home).require("high"))
    apt = None
    if client == APT:
        from lockgate.app.high.repositories import served_to_apt
        from lockgate.app.settings import load_settings

        apt = served_to_apt(load_settings(home).require("high"))
    found = make(client, url, apt, authority=ca)
    emit(as_json, found.as_dict(), lambda _: None)
    if not as_json:
        sys.stdout.write("\n".join(shell_lines(found)) + "\n")
