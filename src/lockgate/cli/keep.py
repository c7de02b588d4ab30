"""``lockgate keep``: what of a crossing the high side wants again, one bit for each artifact."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

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
    emit,
    escape,
)

if TYPE_CHECKING:
    from lockgate.app.wishes.keep_low import Kept
    from lockgate.core.keep import KeepList

app = typer.Typer(no_args_is_help=True, help="Say what need not cross again, by one bit for each artifact.")

Request = Annotated[Path, typer.Argument(help="The request, as `lockgate keep make` wrote it.")]

SHOWN = 40
"""Most packages that are listed for people; approvers see all."""


def _facts(keep: "KeepList", dropped: Sequence[str]) -> dict[str, Any]:
    return {
        "lane": keep.lane,
        "crossing": keep.crossing,
        "lock_sha256": keep.lock_sha256,
        "artifacts": keep.count,
        "dropped": list(dropped),
        "bits": keep.count,
    }


def _show(console: Console, keep: "KeepList", dropped: Sequence[str], most: int | None = None) -> None:
    console.print(f"Crossing {keep.crossing}: {len(dropped)} of {keep.count} artifacts need not come again")
    for purl in dropped[:most]:
        console.print(f"  {escape(purl)}")
    if most is not None and len(dropped) > most:
        console.print(f"  and {len(dropped) - most} more")


@app.command()
def make(
    sequence: Annotated[int, typer.Argument(help="The crossing whose lock the bits stand for.")],
    key: Annotated[Path, typer.Option(help="Folder with your operator.pem and operator.pass.")],
    out: Annotated[Path, typer.Option(help="Where the request goes, for the approvers.")],
    drop: Annotated[
        list[str] | None, typer.Option("--drop", help="Package URL that need not come again; repeat it.")
    ] = None,
    drop_from: Annotated[
        Path | None, typer.Option("--drop-from", help="File with such package URLs, one a line.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for the keep list of a crossing (high side). A crossing has one; all that is not named is kept.

    Example: lockgate keep make 5 --drop pkg:npm/left-pad@1.3.0 --key people/operator --out keep-5.json
    --home lane/high
    """
    from lockgate.app.files import read_named, write_named
    from lockgate.app.settings import load_settings
    from lockgate.app.wishes.keep_high import make_keep

    names = list(drop or [])
    if drop_from is not None:
        lines = read_named(drop_from, limit=1 << 24).decode("utf-8", "replace").splitlines()
        names += [line.strip() for line in lines if line.strip()]
    keep, request = make_keep(load_settings(home).require("high"), sequence, names, key)
    write_named(out, request)

    def render(console: Console) -> None:
        _show(console, keep, sorted(set(names)), SHOWN)
        console.print(f"Request: {out}; approvers sign it with `lockgate keep sign`")

    emit(as_json, {"request": out, **_facts(keep, sorted(set(names)))}, render)


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

    Example: lockgate keep sign keep-5.json --key people/approver-1 --site-root site.dsse.json
    --pin 3f… --out keep-5.anna.json
    """
    from lockgate.app.crossing.receipt import device_site
    from lockgate.app.files import read_named, write_named
    from lockgate.app.keys import key_place
    from lockgate.app.wishes.keep_high import REQUEST_LIMIT, approve_keep, dropped_names, read_keep_request
    from lockgate.cli.approve import ask_pin

    envelope = read_named(request, limit=REQUEST_LIMIT)
    site = device_site([read_named(file) for file in site_root], pin)
    asked, keep = read_keep_request(envelope, site)
    if not as_json:
        console = Terminal()
        _show(console, keep, dropped_names(keep, asked.lock))
        console.print(
            f"Asked for by {escape(asked.requester)}. What leaves can carry at most {keep.count} bits."
        )
    if not yes and not typer.confirm("Let exactly this leave?"):
        raise typer.Exit(1)
    place = key_place(key, token_pin_file, ask_pin if sys.stdin.isatty() else None)
    person, approval = approve_keep(envelope, place, site)
    write_named(out, approval)
    emit(as_json, {"approval": out, "person": person}, lambda c: c.print(f"{person} signed: {out}"))


@app.command()
def export(
    request: Request,
    approvals: Annotated[list[Path], typer.Argument(help="What each approver signed.")],
    out: Annotated[Path, typer.Option(help="Where the list goes: one line of text.")],
    qr: QrOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a keep list out that as many persons approved as the policy demands (high side).

    Example: lockgate keep export keep-5.json keep-5.anna.json keep-5.ben.json --out keep-5.txt
    --qr keep-5.png --home lane/high
    """
    from lockgate.app.files import read_named, write_named
    from lockgate.app.lane.qr import write_qr
    from lockgate.app.settings import load_settings
    from lockgate.app.wishes.keep_high import REQUEST_LIMIT, export_keep
    from lockgate.app.wishes.keep_low import keep_text

    side = load_settings(home).require("high")
    asked = read_named(request, limit=REQUEST_LIMIT)
    keep, signed, people = export_keep(side, asked, [read_named(path) for path in approvals])
    text = keep_text(signed)
    write_named(out, f"{text}\n".encode())
    if qr is not None:
        write_qr(text, qr)
    value = {
        "keep": out,
        "qr": qr,
        "bytes": len(signed),
        "bits": keep.count,
        "dropped": len(keep.dropped),
        "approvers": sorted(people),
    }
    emit(as_json, value, lambda console: console.print(f"Approved by {', '.join(sorted(people))}: {out}"))


@app.command()
def read(
    keep: Annotated[str, typer.Argument(help="File with the list's line, or - for a scanner or pipe.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a keep list against the pinned site root, and name what need not cross again (low side).

    The bits are held against the lock that this side sealed itself under that number. Take the packages
    that are named out of the manifest; `lockgate keep show` names them again.

    Examples:
      lockgate keep read keep-5.txt --home lane/low
      zbarimg --raw --quiet keep-5.png | lockgate keep read - --home lane/low
    """
    from lockgate.app.files import read_named
    from lockgate.app.settings import load_settings
    from lockgate.app.wishes.keep_low import TEXT_LIMIT, take_keep

    if keep == "-":
        text = sys.stdin.readline(TEXT_LIMIT + 1)
    else:
        text = read_named(Path(keep), limit=TEXT_LIMIT).decode("ascii", "replace")
    _tell(take_keep(load_settings(home).require("low"), text), as_json=as_json)


@app.command()
def show(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Name what the newest keep list drops, and what of it the present lock still has (low side).

    Example: lockgate keep show --home lane/low
    """
    from lockgate.app.crossing.collect import current_lock
    from lockgate.app.settings import load_settings
    from lockgate.app.wishes.keep_low import kept_list

    side = load_settings(home).require("low")
    found = kept_list(side)
    if found is None:
        emit(as_json, {"crossing": 0, "dropped": []}, lambda c: c.print("No keep list was read yet."))
        return
    present = {artifact.purl for artifact in current_lock(side).lock.artifacts}
    _tell(found, as_json=as_json, still=[purl for purl in found.dropped if purl in present])


def _tell(found: "Kept", *, as_json: bool, still: list[str] | None = None) -> None:
    value = {**_facts(found.keep, found.dropped), "approvers": sorted(found.approvers)}
    if still is not None:
        value["still_collected"] = still

    def render(console: Console) -> None:
        _show(console, found.keep, found.dropped)
        console.print(f"So say {', '.join(sorted(found.approvers))}")
        if still is not None:
            console.print(f"{len(still)} of them are still in the present lock")

    emit(as_json, value, render)
