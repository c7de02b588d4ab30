"""``lockgate receipt``: how a crossing ended, told to the low side by two persons."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lockgate.cli.shared import (
    ApproverKeyOption,
    HomeOption,
    JsonOption,
    QrOption,
    SitePinOption,
    SiteRootOption,
    Terminal,
    TokenPinOption,
    YesOption,
    draw_list,
    emit,
    escape,
)

if TYPE_CHECKING:
    from lockgate.core.receipt import Receipt

app = typer.Typer(no_args_is_help=True, help="Tell the low side how a crossing ended, and read what it says.")

Request = Annotated[Path, typer.Argument(help="The request, as `lockgate receipt make` wrote it.")]


def _facts(receipt: "Receipt") -> dict[str, Any]:
    return {
        "lane": receipt.lane,
        "crossing": receipt.crossing,
        "crate_sha256": receipt.crate_sha256,
        "ending": receipt.ending.name.lower(),
        "snapshot_sha256": receipt.snapshot_sha256,
        "log_size": receipt.log_size,
        "log_root": receipt.log_root,
    }


def _table(receipt: "Receipt") -> Table:
    table = Table("What leaves", "", title_justify="left")
    for name, value in _facts(receipt).items():
        table.add_row(name, str(value))
    return table


@app.command()
def make(
    sequence: Annotated[int, typer.Argument(help="The crossing's number.")],
    key: Annotated[Path, typer.Option(help="Folder with your operator.pem and operator.pass.")],
    out: Annotated[Path, typer.Option(help="Where the request goes, for the approvers.")],
    show_log: Annotated[
        bool, typer.Option("--show-log", help="Carry the log's size and root as well.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for the receipt of a crossing that ended (high side). A crossing has one receipt.

    Example: lockgate receipt make 1 --key people/operator --out receipt-1.json --home lane/high
    """
    from lockgate.app.crossing.receipt import make_receipt
    from lockgate.app.files import write_named
    from lockgate.app.settings import load_settings

    receipt, request = make_receipt(load_settings(home).require("high"), sequence, key, show_log=show_log)
    write_named(out, request)
    value = {"request": out, **_facts(receipt)}

    def render(console: Console) -> None:
        console.print(_table(receipt))
        console.print(f"Request: {out}; approvers sign it with `lockgate receipt sign`")

    emit(as_json, value, render)


@app.command()
def sign(
    request: Request,
    key: ApproverKeyOption,
    site_root: SiteRootOption,
    pin: SitePinOption,
    out: Annotated[Path, typer.Option(help="Where your approval goes.")],
    token_pin_file: TokenPinOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what would leave, ask, and sign it with an approver's key on the approver's own machine.

    Example: lockgate receipt sign receipt-1.json --key people/approver-1 --site-root site.dsse.json
    --pin 3f… --out receipt-1.anna.json
    """
    from lockgate.app.crossing.receipt import approve_receipt, device_site, read_request
    from lockgate.app.files import read_named, write_named
    from lockgate.app.keys import key_place
    from lockgate.cli.approve import ask_pin

    envelope, site = read_named(request), device_site([read_named(file) for file in site_root], pin)
    asked, receipt = read_request(envelope, site)
    if not as_json:
        Terminal().print(_table(receipt))
        Terminal().print(f"Asked for by {escape(asked.requester)}")
    if not yes and not typer.confirm("Let exactly this leave?"):
        raise typer.Exit(1)
    place = key_place(key, token_pin_file, ask_pin if sys.stdin.isatty() else None)
    person, approval = approve_receipt(envelope, place, site)
    write_named(out, approval)
    emit(
        as_json, {"approval": out, "person": person}, lambda console: console.print(f"{person} signed: {out}")
    )


@app.command()
def export(
    request: Request,
    approvals: Annotated[list[Path], typer.Argument(help="What each approver signed.")],
    out: Annotated[Path, typer.Option(help="Where the receipt goes: one line of text.")],
    qr: QrOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a receipt out that as many persons approved as the policy demands (high side).

    Example: lockgate receipt export receipt-1.json receipt-1.anna.json receipt-1.ben.json
    --out receipt-1.txt --qr receipt-1.png --home lane/high
    """
    from lockgate.app.crossing.receipt import export_receipt
    from lockgate.app.files import read_named, write_named
    from lockgate.app.lane.qr import write_qr
    from lockgate.app.settings import load_settings
    from lockgate.crossing.receipts import receipt_text

    side = load_settings(home).require("high")
    receipt, signed, people = export_receipt(side, read_named(request), [read_named(p) for p in approvals])
    text = receipt_text(signed)
    write_named(out, f"{text}\n".encode())
    if qr is not None:
        write_qr(text, qr)
    value = {"receipt": out, "qr": qr, "bytes": len(signed), "approvers": sorted(people), **_facts(receipt)}

    def render(console: Console) -> None:
        console.print(_table(receipt))
        console.print(f"Approved by {', '.join(sorted(people))}: {out}")

    emit(as_json, value, render)


@app.command()
def read(
    receipt: Annotated[str, typer.Argument(help="File with the receipt's line, or - for a scanner or pipe.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a receipt against the pinned site root and record how the crossing ended (low side).

    What was learnt never changes: replayed, forged and contradicting receipts are refused.

    Examples:
      lockgate receipt read receipt-1.txt --home lane/low
      zbarimg --raw --quiet receipt-1.png | lockgate receipt read - --home lane/low
    """
    from lockgate.app.crossing.receipt import read_receipt, receipt_file
    from lockgate.app.settings import load_settings
    from lockgate.crossing.receipts import TEXT_LIMIT

    text = sys.stdin.readline(TEXT_LIMIT + 1) if receipt == "-" else receipt_file(Path(receipt))
    said, sent, people = read_receipt(load_settings(home).require("low"), text)
    value = {**_facts(said), "standing": sent.standing, "approvers": sorted(people)}
    emit(
        as_json,
        value,
        lambda console: console.print(
            f"Crossing {said.crossing} is {sent.standing}: so say {', '.join(sorted(people))}"
        ),
    )


@app.command("list")
def list_sent(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List what was sealed and what receipts said of it (low side).

    Example: lockgate receipt list --home lane/low
    """
    import msgspec

    from lockgate.app.crossing.receipt import sent_crossings
    from lockgate.app.settings import load_settings

    sent = sent_crossings(load_settings(home).require("low"))

    def render(console: Console) -> None:
        table = Table("Crossing", "Crate", "Standing", "Snapshot")
        for each in sent:
            named = f"{each.standing}, given up here" if each.void else str(each.standing)
            snapshot = each.snapshot_sha256[:16] if int(each.snapshot_sha256, 16) else "none"
            table.add_row(str(each.sequence), each.crate_sha256[:16], named, snapshot)
        draw_list(console, table, "Nothing was sealed")

    emit(as_json, [msgspec.to_builtins(each) for each in sent], render)
