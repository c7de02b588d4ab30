"""``lockgate ca``: the internal certificate authority of the closed network."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from lockgate.cli.shared import JsonOption, draw_list, emit

if TYPE_CHECKING:
    from lockgate.app.high.authority import AuthorityFolder

app = typer.Typer(no_args_is_help=True, help="Certificates for the services and for those who call them.")

FolderOption = Annotated[Path, typer.Option("--ca", help="Folder of the authority.")]


@app.command()
def init(
    domain: Annotated[list[str], typer.Option(help="Domain it may vouch for; may be repeated.")],
    folder: FolderOption,
    network: Annotated[
        list[str] | None, typer.Option(help="Network, as 10.1.0.0/16, whose addresses it may vouch for.")
    ] = None,
    name: Annotated[str, typer.Option(help="Its name, as clients show it.")] = "Lockgate internal CA",
    as_json: JsonOption = False,
) -> None:
    """Make an authority that can vouch for names of these domains and networks, and for no other.

    It proves who speaks, and admits nothing. Keep its folder away from the hosts it vouches for.

    Example: lockgate ca init --ca plant-ca --domain plant.internal --network 10.20.0.0/16
    """
    from lockgate.app.high.authority import AuthorityFolder
    from lockgate.app.trust import utc_now
    from lockgate.trust.authority import Bounds

    made = AuthorityFolder(folder)
    made.make(name, Bounds.of(domain, network or ()), utc_now())
    _tell(made, as_json)


@app.command()
def issue(
    names: Annotated[list[str], typer.Argument(help="Host names and addresses of the server.")],
    folder: FolderOption,
    out: Annotated[Path, typer.Option(help="Folder for cert.pem, key.pem and ca.pem.")],
    days: Annotated[int, typer.Option(min=1, max=397, help="Validity in days.")] = 365,
    mirrors: Annotated[
        Path | None,
        typer.Option(help="Home of a high side whose names of protocols (serve.mirror_names) are added."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Issue a server's certificate with a fresh key; this host's own names are added.

    Example: lockgate ca issue mirror.plant.internal 10.20.0.5 --ca plant-ca --out lane/high/tls
    """
    from lockgate.trust.authority import LOCAL_NAMES, Use

    local = [*LOCAL_NAMES, "127.0.0.1", "::1"]
    if mirrors is not None:
        from lockgate.app.high.mirrors import mirror_names
        from lockgate.app.settings import load_settings

        known = mirror_names(load_settings(mirrors).require("high")).by_protocol.values()
        names = [*names, *(each for each in known if each not in names)]
    _issue(
        folder,
        names[0],
        [*names, *(each for each in local if each not in names)],
        Use.SERVER,
        days,
        out,
        as_json,
    )


@app.command()
def client(
    holder: Annotated[str, typer.Argument(help="Person or program that the certificate stands for.")],
    folder: FolderOption,
    out: Annotated[Path, typer.Option(help="Folder for cert.pem, key.pem and ca.pem.")],
    days: Annotated[int, typer.Option(min=1, max=397, help="Validity in days.")] = 90,
    as_json: JsonOption = False,
) -> None:
    """Issue a client's certificate, for services whose settings demand one (tls_client_ca).

    Example: lockgate ca client analyst-1 --ca plant-ca --out analyst-1-tls
    """
    from lockgate.trust.authority import Use

    _issue(folder, holder, [], Use.CLIENT, days, out, as_json)


def _issue(
    folder: Path, holder: str, names: list[str], use: str, days: int, out: Path, as_json: bool
) -> None:
    from lockgate.app.high.authority import AuthorityFolder
    from lockgate.app.trust import utc_now
    from lockgate.trust.authority import Names, Use

    made = AuthorityFolder(folder).issue(holder, Names.of(names), Use(use), out, days=days, now=utc_now())
    value = {
        "serial": f"{made.serial_number:x}",
        "holder": holder,
        "names": names,
        "expires": f"{made.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        "folder": str(out),
    }

    def render(console: Console) -> None:
        console.print(
            f"[bold]{holder}[/] until {made.not_valid_after_utc:%Y-%m-%d}, serial {value['serial'][:16]}…"
        )
        console.print(f"  {out}/cert.pem, {out}/key.pem, {out}/ca.pem")
        if use == Use.SERVER:
            console.print(
                '  In lockgate.toml, section serve: tls_cert = "tls/cert.pem"; tls_key and tls_ca alike.'
            )

    emit(as_json, value, render)


@app.command("list")
def list_issued(folder: FolderOption, as_json: JsonOption = False) -> None:
    """List what was issued, with what was revoked.

    Example: lockgate ca list --ca plant-ca
    """
    import msgspec

    from lockgate.app.high.authority import AuthorityFolder

    register = AuthorityFolder(folder).register()

    def render(out: Console) -> None:
        table = Table("Serial", "Use", "Holder", "Names", "Expires", "Revoked")
        for each in register.issued:
            gone = "" if each.revoked is msgspec.UNSET else f"{each.revoked:%Y-%m-%d}"
            table.add_row(
                each.serial[:16],
                each.use,
                each.holder,
                ", ".join(each.names),
                f"{each.expires:%Y-%m-%d}",
                gone,
            )
        draw_list(out, table, "No certificate was issued")

    emit(as_json, {"issued": msgspec.to_builtins(register.issued)}, render)


@app.command()
def revoke(
    serial: Annotated[list[str], typer.Argument(help="Serial number, eight digits or more.")],
    folder: FolderOption,
    as_json: JsonOption = False,
) -> None:
    """Revoke certificates and sign a new list, `crl.pem`, which services read when they start.

    Example: lockgate ca revoke 3f9a77c1 --ca plant-ca
    """
    import msgspec

    from lockgate.app.high.authority import AuthorityFolder
    from lockgate.app.trust import utc_now

    gone = AuthorityFolder(folder).revoke(serial, utc_now())

    def render(out: Console) -> None:
        for each in gone:
            out.print(f"revoked {each.serial[:16]}… of [bold]{each.holder}[/]")
        out.print(f"  Bring {folder / 'crl.pem'} to the services (tls_client_crl) and restart them.")

    emit(as_json, {"revoked": msgspec.to_builtins(gone), "crl": str(folder / "crl.pem")}, render)


@app.command()
def crl(folder: FolderOption, as_json: JsonOption = False) -> None:
    """Sign the list of revoked certificates anew; it counts for 90 days.

    Example: lockgate ca crl --ca plant-ca
    """
    from lockgate.app.high.authority import AuthorityFolder
    from lockgate.app.trust import utc_now

    file = AuthorityFolder(folder).renew_list(utc_now())
    emit(as_json, {"crl": str(file)}, lambda out: out.print(str(file)))


@app.command()
def show(folder: FolderOption, as_json: JsonOption = False) -> None:
    """Show the authority: its fingerprint to compare aloud, and what it may vouch for.

    Example: lockgate ca show --ca plant-ca
    """
    from lockgate.app.high.authority import AuthorityFolder

    _tell(AuthorityFolder(folder), as_json)


def _tell(folder: "AuthorityFolder", as_json: bool) -> None:
    import msgspec

    facts = folder.facts()

    def render(out: Console) -> None:
        out.print(f"[bold]{facts.certificate}[/], until {facts.expires:%Y-%m-%d}")
        out.print(f"  SHA-256      {facts.sha256}")
        out.print(f"  in words     [bold]{facts.words}[/]")
        out.print(f"  vouches for  {', '.join(facts.domains)}; {', '.join(facts.networks)}")

    emit(as_json, msgspec.to_builtins(facts), render)
