"""``lockgate restore``: what a backup would bring back, the request, and carrying it out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import AskKeyOption, HomeOption, JsonOption, RequestOutOption, emit

if TYPE_CHECKING:
    from lockgate.app.record.restore import Floor, Prepared, RestorePlan
    from lockgate.app.settings import Side

app = typer.Typer(help="Restore a backup, with two approvals; nothing goes back in time.")


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="The backup.")],
    key: AskKeyOption = None,
    signed: Annotated[
        list[Path] | None, typer.Option(help="Carry it out: the request as an approver signed it (repeat).")
    ] = None,
    last_crossing: Annotated[int, typer.Option(help="The last crossing that the low side knows.")] = 0,
    last_crate: Annotated[str, typer.Option(help="SHA-256 of that crossing's crate.json.")] = "",
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint that a witness holds.")] = None,
    out: RequestOutOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a restore would leave; with --key ask for it; with --signed carry it out.

    Stop the services first. Of each record the newer of backup and present stays. Where records were
    lost, name the low side's last crossing or a witness's checkpoint, each time in the same words;
    without one, admission stays held.

    Example: lockgate restore backup-1 --key people/operator --last-crossing 7 --last-crate 3f…
    """
    from lockgate.app.files import read_named
    from lockgate.app.record.restore import Floor, prepare
    from lockgate.app.settings import load_settings
    from lockgate.core.digests import checked

    side = load_settings(home).require("high")
    note = read_named(checkpoint).decode("utf-8", "replace") if checkpoint else ""
    floor = Floor(last_crossing, checked(last_crate), note) if last_crossing else Floor(checkpoint=note)
    if signed:
        _carry_out(side, folder, floor, signed, as_json)
        return
    prepared = prepare(side, folder, floor)
    request = _ask(side, prepared, key, out) if key else None
    _show(prepared.plan, request, as_json)


def _ask(side: "Side", prepared: "Prepared", key: Path, out: Path | None) -> Path:
    from lockgate.app.gate.gate import operator_key, write_request
    from lockgate.app.record.restore import ask

    return write_request(side, "restore", ask(side, prepared, operator_key(side, key)), out)


def _show(plan: "RestorePlan", request: Path | None, as_json: bool) -> None:
    import msgspec

    from lockgate.core.wire import digest_of

    def render(out: Console) -> None:
        lost = "records were lost" if plan.lost else "nothing protected was lost"
        state = "admission goes on" if plan.anchored else "admission will be held: no floor was named"
        out.print(f"Restore of backup {plan.backup_sha256[:16]}: {lost}; {state}")
        out.print(f"  last crossing {plan.last_crossing} ({plan.last_crate_sha256[:16]})")
        out.print(f"  plan {digest_of(plan)} stands in the statement as previous_sha256")
        if request:
            out.print(f"Request: {request}; approvers sign it with `lockgate approve`")

    value = {"plan": msgspec.to_builtins(plan), "sha256": digest_of(plan), "request": request}
    emit(as_json, value, render)


def _carry_out(side: "Side", folder: Path, floor: "Floor", signed: list[Path], as_json: bool) -> None:
    import msgspec

    from lockgate.app.record.restore import restore as carry_out

    done = carry_out(side, folder, floor, signed)

    def render(out: Console) -> None:
        state = "admission goes on" if done.plan.anchored else "[bold red]admission is held[/]"
        out.print(f"Restored; last crossing {done.plan.last_crossing}; {state}")
        out.print(f"  for the low side: {done.receipt}")
        if done.missing_blobs:
            out.print(
                f"  {done.missing_blobs} blobs are missing: copy them back, or receive their crossings again"
            )

    value = {"plan": msgspec.to_builtins(done.plan), "receipt": done.receipt, "missing": done.missing_blobs}
    emit(as_json, value, render)
