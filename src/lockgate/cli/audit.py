"""``lockgate audit``: the log verified, checkpoints printed, proofs made and checked."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockgate.cli.shared import (
    AskKeyOption,
    HomeOption,
    JsonOption,
    QrOption,
    RequestOutOption,
    SignedArguments,
    emit,
)

if TYPE_CHECKING:
    from rich.console import Console

    from lockgate.audit import Standing

app = typer.Typer(no_args_is_help=True, help="Verify the log, print checkpoints, make and check proofs.")


@app.command()
def show(
    home: HomeOption = None,
    last: Annotated[int, typer.Option(help="How many events.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Print the newest events.

    Example: lockgate audit show --home lane/high --last 50
    """
    from lockgate.app.record.audit import newest
    from lockgate.app.settings import load_settings

    events = newest(load_settings(home), last)

    def render(out: object) -> None:
        from lockgate.cli.shared import escape

        for index, event in events:
            name = event.get("action") or f"{event.get('status')} of {event.get('intent')}"
            out.print(f"{index:6d}  {event['time']}  {name}  {escape(str(event.get('facts', '')))}")  # type: ignore[attr-defined]  # a rich Console

    emit(as_json, [{"index": i, **e} for i, e in events], render)


@app.command()
def prove(
    index: Annotated[int, typer.Argument(help="The event's leaf.")],
    out: Annotated[Path, typer.Option(help="Where the proof goes.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a proof that an event is in the log; whoever holds the site root can check it offline.

    Example: lockgate audit prove 42 --out proof.json --home lane/high
    """
    from lockgate.app.record.audit import prove_leaf
    from lockgate.app.settings import load_settings

    proof = prove_leaf(load_settings(home), index, out)
    value = {"proof": out, "index": index, "event": proof.event}
    emit(as_json, value, lambda c: c.print(f"Proof of leaf {index}: {out}"))


@app.command()
def checkpoint(
    out: Annotated[Path, typer.Option(help="Where the request to the witness goes.")],
    since: Annotated[
        int | None, typer.Option(min=0, help="Size that the witness saw last (default: what came back last).")
    ] = None,
    qr: QrOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a signed checkpoint with the proof that a witness asks for (C2SP add-checkpoint).

    Example: lockgate audit checkpoint --out log.request --home lane/high
    """
    from lockgate.app.files import write_named
    from lockgate.app.lane.qr import write_qr
    from lockgate.app.record.audit import witness_request
    from lockgate.app.settings import load_settings

    request = witness_request(load_settings(home), since)
    write_named(out, request.text.encode())
    if qr is not None:
        write_qr(request.text, qr)
    size = int(request.note.split("\n")[1])
    value = {"request": out, "size": size, "since": request.old, "qr": qr}
    emit(as_json, value, lambda c: c.print(f"Checkpoint of {size} leaves, proven since {request.old}: {out}"))


@app.command()
def witnessed(
    file: Annotated[Path, typer.Argument(help="The checkpoint that a witness cosigned.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring a cosigned checkpoint back; `lockgate audit verify` counts it from then on.

    Example: lockgate audit witnessed log.cosigned --home lane/high
    """
    from lockgate.app.record.audit import bring_back, read_note
    from lockgate.app.settings import load_settings

    found, people = bring_back(load_settings(home), read_note(file))
    value = {"size": found.size, "root": found.root.hex(), "witnesses": people}
    emit(as_json, value, lambda c: c.print(f"{', '.join(people)} cosigned {found.size} leaves"))


@app.command("submit")
def submit_checkpoint(
    witness: Annotated[str, typer.Argument(help="Address of the witness.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have a witness cosign the checkpoint over HTTP, and keep what it answers.

    Example: lockgate audit submit http://127.0.0.1:8790 --home lane/high
    """
    from lockgate.app.record.witness import submit
    from lockgate.app.settings import load_settings

    found, people = submit(load_settings(home), witness)
    value = {"size": found.size, "root": found.root.hex(), "witnesses": people}
    emit(as_json, value, lambda c: c.print(f"{', '.join(people)} cosigned {found.size} leaves"))


@app.command()
def evidence(
    out: Annotated[Path, typer.Option(help="Where the evidence goes.")],
    since: Annotated[int | None, typer.Option(min=0, help="Size that the device named.")] = None,
    request: Annotated[Path | None, typer.Option(help="The request that waits for the device.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write what shows an approver's device that the log only grew since it saw it last.

    `lockgate gate request` writes it beside each request; this is for a device that names a size.

    Example: lockgate audit evidence --since 42 --request publish-000001.json --out newer.log.json
    """
    from lockgate.app.files import read_named
    from lockgate.app.record.audit import named_size, write_evidence
    from lockgate.app.settings import load_settings

    sizes = ([] if since is None else [since]) + ([named_size(read_named(request))] if request else [])
    now = write_evidence(load_settings(home), out, sizes)
    emit(
        as_json,
        {"evidence": out, "size": now.size},
        lambda c: c.print(f"Evidence at {now.size} leaves: {out}"),
    )


@app.command()
def anchor(
    signed: SignedArguments = None,
    key: AskKeyOption = None,
    out: RequestOutOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go on from the log as it stands: with --key ask for it, with signed requests carry it out.

    Admission is held when the log is behind what a witness saw, or when the policy demands a
    cosignature and none is fresh. Find out first what was lost. Approvers whose machines saw more
    of the log sign with `lockgate approve --log-broken`; witnesses begin again with --first.

    Examples:
      lockgate audit anchor --key people/operator --home lane/high
      lockgate audit anchor approver-1.json approver-2.json --home lane/high
    """
    import msgspec

    from lockgate.app.gate.gate import operator_key, write_request
    from lockgate.app.record.anchor import anchor_again, ask_to_anchor
    from lockgate.app.settings import load_settings
    from lockgate.approve import read_statement

    side = load_settings(home).require("high")
    if bool(signed) == bool(key):
        raise typer.BadParameter("Give --key to ask, or the signed requests to carry it out.")
    if signed:
        done = anchor_again(side, signed)
        value = {"anchored": True, "statement": msgspec.to_builtins(done.statement)}
        who = ", ".join(sorted(done.approvers))
        emit(as_json, value, lambda c: c.print(f"The log goes on from {done.facts['size']} leaves, by {who}"))
        return
    envelope = ask_to_anchor(side, operator_key(side, key or Path()))
    file = write_request(side, "anchor", envelope, out)
    statement = read_statement(envelope)

    def render(console: "Console") -> None:
        console.print(f"Request to anchor the log: {file}")
        for name, said in dict(statement.facts or {}).items():
            console.print(f"  {name}: {said}")

    emit(as_json, {"request": file, "statement": msgspec.to_builtins(statement)}, render)


def _tell_standing(as_json: bool, found: "Standing") -> None:
    seals = [
        {"witness": s.person, "size": s.checkpoint.size, "at": f"{s.moment:%Y-%m-%dT%H:%M:%SZ}"}
        for s in found.seals
    ]
    value = {
        "size": found.checkpoint.size,
        "root": found.checkpoint.root.hex(),
        "witnessed": found.witnessed,
        "tail": found.tail,
        "witnesses": seals,
    }

    def render(out: "Console") -> None:
        from lockgate.cli.shared import escape

        out.print(f"The log holds: {found.checkpoint.size} leaves, root {found.checkpoint.root.hex()}")
        out.print(f"Witnessed: {found.witnessed} leaves; unwitnessed tail: {found.tail} leaves")
        for seal in seals:
            out.print(f"  {escape(str(seal['witness']))} cosigned {seal['size']} leaves on {seal['at']}")

    emit(as_json, value, render)


@app.command()
def verify(
    proof: Annotated[Path | None, typer.Option(help="Check this proof instead of the whole log.")] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="An older checkpoint that somebody else held; the log must continue it."),
    ] = None,
    site_root: Annotated[
        list[Path] | None,
        typer.Option(help="The site root, to check a proof without a home; repeat for those that followed."),
    ] = None,
    pin: Annotated[str, typer.Option(help="The site root's pin, to check a proof without a home.")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hash the whole log again and say how much of it witnesses saw, or check one proof offline.

    Cosignatures are verified against the site root. Whoever can write this host's disk can also
    remove them; what a witness holds itself is the last word (--against).

    Examples:
      lockgate audit verify --home lane/high
      lockgate audit verify --against log.cosigned --home lane/high
      lockgate audit verify --proof proof.json --site-root site.dsse.json --pin 3f…
    """
    from lockgate.app.record.audit import check_offline, verify_log
    from lockgate.app.settings import load_settings
    from lockgate.app.trust import site_root_files

    if proof is None:
        _tell_standing(as_json, verify_log(load_settings(home), against))
        return
    if not site_root:
        side = load_settings(home)
        site_root, pin = site_root_files(side), side.settings.trust.site_pin
    found, event = check_offline(proof, site_root, pin)
    value = {
        "holds": True,
        "origin": found.origin,
        "size": found.size,
        "root": found.root.hex(),
        "event": event,
    }
    emit(
        as_json,
        value,
        lambda c: c.print(f"The proof holds: {event} is in {found.origin} at size {found.size}"),
    )
