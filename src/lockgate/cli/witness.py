"""``lockgate witness``: a program of its own, on another host, that cosigns checkpoints."""

from pathlib import Path
from typing import Annotated

import typer

from lockgate.cli.shared import JsonOption, QrOption, emit

app = typer.Typer(no_args_is_help=True, help="Cosign checkpoints, on another host with its own key.")

Key = Annotated[
    str, typer.Option(help="Folder with witness.pem and witness.pass, or a pkcs11: address (RFC 7512).")
]
SiteRoot = Annotated[
    list[Path], typer.Option(help="The pinned site root (site.dsse.json); repeat for those that followed it.")
]
Pin = Annotated[str, typer.Option(help="The site root's pin, from the witness's own notes.")]
State = Annotated[Path, typer.Option(help="Folder that remembers the last checkpoint seen; never share it.")]
First = Annotated[
    bool, typer.Option("--first", help="Accept a log of which nothing is remembered. Say it once.")
]


@app.command("cosign")
def cosign_file(
    checkpoint: Annotated[Path, typer.Argument(help="As `lockgate audit checkpoint` wrote it.")],
    key: Key,
    site_root: SiteRoot,
    pin: Pin,
    state: State,
    out: Annotated[Path, typer.Option(help="Where the cosigned checkpoint goes.")],
    qr: QrOption = None,
    first: First = False,
    as_json: JsonOption = False,
) -> None:
    """Cosign a checkpoint that is proven to continue the one seen last.

    Example: lockgate witness cosign log.request --key people/witness --site-root site.dsse.json
    --pin 3f… --state witness-state --out log.cosigned
    """
    from lockgate.app.files import read_named, write_named
    from lockgate.app.keys import key_place
    from lockgate.app.lane.qr import write_qr
    from lockgate.app.record.audit import read_note
    from lockgate.app.record.witness import cosign_text, open_witness

    witness = open_witness(key_place(key), [read_named(file) for file in site_root], pin, state)
    request, note = cosign_text(witness, read_note(checkpoint), first=first)
    write_named(out, note.encode())
    if qr is not None:
        write_qr(note, qr)
    size = int(request.note.split("\n")[1])
    value = {"witness": witness.person, "origin": request.origin, "size": size, "cosigned": out, "qr": qr}
    emit(
        as_json, value, lambda c: c.print(f"{witness.person} cosigned {request.origin} at size {size}: {out}")
    )


@app.command()
def serve(
    key: Key,
    site_root: SiteRoot,
    pin: Pin,
    state: State,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8790,
    first: First = False,
) -> None:
    """Answer `lockgate audit submit` over HTTP (C2SP tlog-witness).

    Example: lockgate witness serve --key people/witness --site-root site.dsse.json --pin 3f… --state DIR
    """
    from lockgate.app.files import read_named
    from lockgate.app.keys import key_place
    from lockgate.app.record.witness import open_witness, serve_witness

    serve_witness(
        open_witness(key_place(key), [read_named(file) for file in site_root], pin, state),
        host,
        port,
        first=first,
    )
