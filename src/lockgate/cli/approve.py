"""``lockgate approve``: an approver shows a statement to themselves and signs it, with their own key."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from lockgate.cli.custody_draw import draw_findings
from lockgate.cli.difference import draw_difference
from lockgate.cli.shared import JsonOption, Terminal, emit, escape

_NO_DIGEST = "0" * 64
"""What a statement has in place of the digest of a thing that it is not about."""

app = typer.Typer(help="Show and sign a statement with an approver's key.")


def ask_pin() -> str:
    """Ask a person for the token's PIN without showing it."""
    return str(typer.prompt("PIN of the token", hide_input=True, err=True))


def _drawn(said: dict[str, Any]) -> Table:
    """Return a statement as people read it: every value whole, also on a narrow terminal."""
    table = Table("What is signed", Column("", overflow="fold"))
    for name, value in said.items():
        pairs = value.items() if isinstance(value, dict) else ()
        lines = [f"{escape(key)} {_told(text)}" for key, text in pairs]
        table.add_row(name, "\n".join(lines) if lines else _told(value))
    return table


def _told(value: Any) -> str:
    """Return a value of a statement in one line; a digest of nothing, and nothing itself, in one word."""
    if value == _NO_DIGEST:
        return "none (64 zeros)"
    return "none" if value in ([], (), {}, "") else escape(str(value))


@app.command()
def approve(
    statements: Annotated[
        list[Path],
        typer.Argument(help="The request, as `lockgate gate request` wrote it, or all its QR pictures."),
    ],
    key: Annotated[
        str, typer.Option(help="Folder with approver.pem and approver.pass, or a pkcs11: address (RFC 7512).")
    ],
    site_root: Annotated[
        list[Path],
        typer.Option(help="The site root (trust/site.dsse.json); repeat for those that followed it."),
    ],
    pin: Annotated[str, typer.Option(help="The first site root's pin, from your own notes.")],
    out: Annotated[
        Path | None, typer.Option(help="Where the signed statement goes (default: beside it).")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="What the log shows of itself (default: beside the request).")
    ] = None,
    custody: Annotated[
        Path | None, typer.Option(help="The report of the crate's way (default: beside the request).")
    ] = None,
    difference: Annotated[
        Path | None, typer.Option(help="What approving would change (default: beside the request).")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="Folder that remembers the last checkpoint seen (default: XDG state)."),
    ] = None,
    token_pin_file: Annotated[
        Path | None,
        typer.Option(help="File with the token's PIN (default: the address's pin-source, else asked)."),
    ] = None,
    log_broken: Annotated[
        bool,
        typer.Option(
            "--log-broken",
            help="Sign a re-anchoring or a restore though the log lost what this machine saw.",
        ),
    ] = False,
    qr: Annotated[
        bool, typer.Option("--qr", help="Write the signed statement as QR pictures (PNG) as well.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Sign without asking.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Render the statement from the very bytes that are signed, ask, and sign.

    Works on any machine that holds the key; nothing of the gate is needed. The machine remembers
    the last checkpoint of the log that it saw, and signs only with a proof that the log grew since.
    A request may come as QR pictures (`lockgate gate pictures`), all of them named at once.
    A key may be in a token; its PIN comes from a file or is asked for, never from the command line.

    Example: lockgate approve request-000001.json --key people/approver-1 --site-root site.dsse.json --pin 3f…
    """
    import msgspec

    from lockgate.app.files import read_named
    from lockgate.app.gate.approve import (
        Device,
        custody_beside,
        difference_beside,
        evidence_beside,
        read_root,
        shown_custody,
        shown_difference,
        sign_as_approver,
        unpack_pictures,
    )
    from lockgate.app.keys import key_place
    from lockgate.app.lane.qr_parts import write_pictures
    from lockgate.approve import read_statement
    from lockgate.core.errors import about

    pictures = len(statements) > 1 or statements[0].suffix == ".png"
    statement = unpack_pictures(statements) if pictures else statements[0]
    request = read_named(statement)
    with about(statement):
        read = read_statement(request)
    said = msgspec.to_builtins(read)
    way = shown_custody(read, custody or custody_beside(statement))
    drawn = shown_difference(read, difference or difference_beside(statement))
    if not as_json:
        Terminal().print(_drawn(said))
        if way is not None:
            draw_findings(Terminal(), way.findings)
        if drawn is not None:
            draw_difference(Terminal(), drawn)
    if not yes and not typer.confirm("Sign exactly this?"):
        raise typer.Exit(1)
    place = key_place(key, token_pin_file, ask_pin if sys.stdin.isatty() else None)
    target = out or statement.with_suffix(f".{place.name}.json")
    device = Device(tuple(read_root(file) for file in site_root), pin, state, log_broken)
    done = sign_as_approver(request, log or evidence_beside(statement), place, device, target)
    shown = write_pictures(target.read_bytes(), target) if qr else []
    findings = msgspec.to_builtins(way.findings) if way is not None else []
    value = {
        "signed": target,
        "person": done.person,
        "log_seen": done.seen,
        "custody": findings,
        "difference": msgspec.to_builtins(drawn),
        "pictures": shown,
    }

    def render(console: Console) -> None:
        console.print(f"{done.person} signed: {target}")
        if done.seen is None:
            console.print(
                "[yellow]This machine saw the log for the first time: nothing to compare it with[/]"
            )
        else:
            console.print(f"The log continues the {done.seen} leaves that this machine saw last")

    emit(as_json, value, render)
