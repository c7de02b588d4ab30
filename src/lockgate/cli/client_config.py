"""``lockgate client-config``: what a developer's tools have to know of the mirrors."""

from pathlib import Path
from typing import Annotated

import typer

from lockgate.cli.shared import HomeOption, JsonOption, emit

app = typer.Typer(help="Print configuration for the mirrors' clients.")


def key_of(home: Path | None, key_file: Path | None, *, asked: bool) -> str:
    """Return the API key for a client: from a file, or what stands for it where the side asks for keys."""
    if key_file is not None:
        from lockgate.store.address import read_secret

        return read_secret(key_file)
    if not asked:
        return ""
    from lockgate.app.settings import load_settings
    from lockgate.mirror.clients.files import KEY_PLACE

    labels = load_settings(home).require("high").settings.serve.mirror_access == "labels"
    return KEY_PLACE if labels else ""


@app.command()
def client_config(
    client: Annotated[
        str,
        typer.Argument(
            help="pip, uv, poetry, pdm, npm, yarn, pnpm, docker, podman, containerd, huggingface, ollama,"
            " git, conda, apt, dnf; for asset packs tiktoken, nltk, spacy, driver, osv-scanner;"
            " dns for the records of a site's DNS server."
        ),
    ],
    url: Annotated[
        str, typer.Option("--url", help="The mirrors' address (default: as lockgate.toml says).")
    ] = "",
    ca: Annotated[
        str, typer.Option(help="Where the internal authority's certificate lies on the client's host.")
    ] = "",
    key_file: Annotated[
        Path | None, typer.Option(help="File with the API key that goes into the lines for credentials.")
    ] = None,
    certificate: Annotated[
        str,
        typer.Option(
            help="Where the client's own certificate and its key lie on its host, as PEM in one file."
        ),
    ] = "",
    address: Annotated[
        list[str] | None,
        typer.Option(
            help="IP address of the mirrors, for `dns`; may be repeated (default: as the settings say)."
        ),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the files and variables that make a client ask the mirrors of this high side, and nothing else.

    Where the mirrors are read by API keys, lines for one are printed as well; without `--key-file` they have
    a word in the key's place. What apt and dnf are told depends on what is served: keys and repositories;
    so do asset packs, each with the commands that bring it to where its library looks. Where the settings
    name protocols apart (serve.mirror_names), each client is told its name; `dns` prints the records.

    Examples:
      lockgate client-config npm --home lane/high
      lockgate client-config apt --home lane/high
      lockgate client-config nltk --home lane/high
      lockgate client-config dns --home lane/high --address 10.20.0.5
      lockgate client-config pip --url https://mirror.plant.internal:8710 --ca /etc/ssl/plant-ca.pem
        --certificate /etc/ssl/private/this-host.pem
    """
    import sys

    from lockgate.core.assets import Library
    from lockgate.mirror import APT, DNF, DNS, MirrorNames, asset_config, dns_config, shell_lines
    from lockgate.mirror import client_config as make

    key = key_of(home, key_file, asked=not url)
    names = MirrorNames()
    if not url:
        from lockgate.app.high.mirrors import mirror_names, mirror_url
        from lockgate.app.settings import load_settings

        side = load_settings(home).require("high")
        url, names = mirror_url(side), mirror_names(side)
    apt = None
    if client == APT:
        from lockgate.app.high.repositories import served_to_apt
        from lockgate.app.settings import load_settings

        apt = served_to_apt(load_settings(home).require("high"))
    dnf = None
    if client == DNF:
        from lockgate.app.high.repositories import served_to_dnf
        from lockgate.app.settings import load_settings

        dnf = served_to_dnf(load_settings(home).require("high"))
    if client == DNS:
        found = dns_config(names, url, address or ())
    elif client in tuple(Library):
        from lockgate.app.high.assets import served_assets
        from lockgate.app.settings import load_settings

        assets = served_assets(load_settings(home).require("high"))
        found = asset_config(
            Library(client), url, assets, authority=ca, key=key, certificate=certificate, names=names
        )
    else:
        found = make(client, url, apt, dnf=dnf, authority=ca, key=key, certificate=certificate, names=names)
    emit(as_json, found.as_dict(), lambda _: None)
    if not as_json:
        sys.stdout.write("\n".join(shell_lines(found)) + "\n")
