"""``lockgate gate``: what waits, what the policy says, requests, and carrying them out."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lockgate.cli import difference, emergency, golden, reinspect, soak
from lockgate.cli import inspect as inspection
from lockgate.cli.advisories import draw
from lockgate.cli.shared import Bars, HomeOption, JsonOption, draw_list, emit, escape
from lockgate.cli.verdicts import (
    STYLES,
    changed_since,
    draw_held,
    draw_provenance,
    draw_stricter,
    draw_verdicts,
)

app = typer.Typer(no_args_is_help=True, help="Inspect, request, publish, reject, roll back (high side).")

Sequence = Annotated[int, typer.Argument(help="The crossing's number.")]
Key = Annotated[Path, typer.Option(help="Folder with your operator.pem and operator.pass.")]
Out = Annotated[Path | None, typer.Option(help="Where the request goes (default: pending/ of the home).")]
Channel = Annotated[str, typer.Option(help="The channel.")]


@app.command("list")
def list_crossings(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List crossings and channels.

    Example: lockgate gate list --home lane/high
    """
    import msgspec

    from lockgate.app.gate.gate import open_gate
    from lockgate.app.settings import load_settings
    from lockgate.core.soak import CANDIDATE, STABLE

    gate = open_gate(load_settings(home).require("high"))
    crossings, stopped = gate.crossings(), gate.holds.current()
    channels = {name: pointer for name in (STABLE, CANDIDATE) if (pointer := gate.pointer(name))}
    value = {
        "held": {str(number): hold.facts for number, hold in stopped.items()},
        "crossings": [msgspec.to_builtins(c) for c in crossings],
        "channels": {name: msgspec.to_builtins(pointer) for name, pointer in channels.items()},
    }

    def render(out: Console) -> None:
        table = Table("Crossing", "Crate", "Received", "State", "Held")
        for c in crossings:
            table.add_row(
                str(c.sequence), c.crate_id, f"{c.received:%Y-%m-%d %H:%M}", c.state, str(len(c.held))
            )
        draw_list(out, table, "No crossing has arrived")
        for number, hold in stopped.items():
            out.print(f"[yellow]held[/] crossing {number} by {escape(hold.operator)}: {escape(hold.reason)}")
        for name, pointer in channels.items():
            at = f"version {pointer.version}, snapshot {pointer.snapshot_sha256[:16]}"
            out.print(f"Channel [bold]{name}[/]: {at}")
        if not channels:
            out.print("Nothing is published yet")

    emit(as_json, value, render)


@app.command()
def show(sequence: Sequence, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show a crossing: verdicts, findings, known vulnerabilities, what is held and what would resolve it.

    Example: lockgate gate show 1 --home lane/high
    """
    import msgspec

    from lockgate.admit.assess import contents_of
    from lockgate.admit.today import held_today
    from lockgate.app.advice.advisories import known_against, place
    from lockgate.app.crossing.station import kept_reports
    from lockgate.app.gate.gate import open_gate
    from lockgate.app.settings import load_settings
    from lockgate.cli.golden import draw_replay
    from lockgate.cli.inspect import draw_weights
    from lockgate.cli.station import draw_report
    from lockgate.crossing.station import as_plain

    side = load_settings(home).require("high")
    gate = open_gate(side)
    crossing = gate.crossing(sequence)
    verdicts, lock = gate.counting(crossing), gate.lock(crossing)
    stricter = changed_since(gate.verdicts(crossing).verdicts, verdicts)
    known = known_against(place(home, None, None), lock, contents_of(lock.artifacts, verdicts))
    facts = gate.facts(crossing)
    held, unsure = held_today(gate, crossing)
    kept = kept_reports(side, crossing, gate.lock(crossing).artifacts)
    value = {
        "crossing": msgspec.to_builtins(crossing),
        "verdicts": msgspec.to_builtins(verdicts),
        "stricter": sorted(stricter),
        "held": [msgspec.to_builtins(each) for each in held],
        "held_unsure": unsure,
        "advisories": msgspec.to_builtins(known),
        "stations": [as_plain(signed) for signed in kept.reports],
        "unproven": list(kept.unproven),
        "facts": [msgspec.to_builtins(each) for each in facts],
    }

    def render(out: Console) -> None:
        draw_verdicts(out, verdicts)
        draw_stricter(out, stricter)
        draw_provenance(out, verdicts)
        for signed in kept.reports:
            draw_report(out, signed)
        for weights in (each for kind in facts for each in kind.weights):
            out.print(f"{escape(weights.path)} against {escape(weights.base_path)}")
            draw_weights(out, weights)
        for replayed in (each for kind in facts for each in kind.replays):
            draw_replay(out, replayed)
        for why in kept.unproven:
            out.print(f"[yellow]not counted[/]: {escape(why)}")
        if known.why:
            out.print(f"[yellow]known vulnerabilities not asked[/]: {escape(known.why)} ({known.code})")
        for answer in known.report.answers:
            draw(out, answer)
        draw_held(out, held, unsure)

    emit(as_json, value, render)


@app.command()
def inspect(
    sequence: Sequence,
    home: HomeOption = None,
    jobs: Annotated[int, typer.Option(help="Files at a time, and one more; 0: one a processor.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Inspect every file of a crossing, each in its own sandbox, and sign the verdicts.

    Example: lockgate gate inspect 1 --home lane/high
    """
    from collections import Counter

    import msgspec

    from lockgate.app.gate.gate import SandboxedInspection, open_gate
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    gate = open_gate(side)
    with Bars(quiet=as_json) as bars:
        crossing = gate.inspect(sequence, SandboxedInspection(side, bars, jobs or None))
    counts = Counter(v.outcome.value for v in gate.verdicts(crossing).verdicts)
    value = {
        "crossing": sequence,
        "outcomes": dict(counts),
        "held": [msgspec.to_builtins(h) for h in crossing.held],
    }

    def render(out: Console) -> None:
        said = ", ".join(f"[{STYLES[o]}]{n} {o}[/]" for o, n in sorted(counts.items()))
        out.print(f"Crossing {sequence} inspected: {said}; {len(crossing.held)} held by the policy")
        for each in crossing.held[:10]:
            out.print(f"  [yellow]held[/] {escape(each.purl)} {escape(each.path)}: {escape(each.reason)}")

    emit(as_json, value, render)


def _asked(as_json: bool, envelope: bytes, file: Path) -> None:
    import msgspec

    from lockgate.approve import read_statement

    statement = read_statement(envelope)
    value = {"request": file, "statement": msgspec.to_builtins(statement)}

    def render(out: Console) -> None:
        out.print(f"Request to {statement.operation} crossing {statement.crossing}: {file}")
        out.print(
            f"  expires {statement.expires:%Y-%m-%d %H:%M} UTC; approvers sign it with `lockgate approve`"
        )

    emit(as_json, value, render)


@app.command()
def request(
    sequence: Sequence,
    key: Key,
    channel: Channel = "stable",
    partial: Annotated[bool, typer.Option("--partial", help="Leave what is held in quarantine.")] = False,
    out: Out = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for publication: prepare the snapshot and write the statement that approvers sign.

    Example: lockgate gate request 1 --key people/operator --home lane/high
    """
    from lockgate.app.gate.gate import open_gate, operator_key, write_request
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    envelope = open_gate(side).request(sequence, channel, operator_key(side, key), partial=partial)
    _asked(as_json, envelope, write_request(side, f"publish-{sequence:06d}", envelope, out))


@app.command()
def reject(
    sequence: Sequence, key: Key, out: Out = None, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Ask for rejection: once approved, the crossing and its digests are refused for good.

    Example: lockgate gate reject 2 --key people/operator --home lane/high
    """
    from lockgate.app.gate.gate import open_gate, operator_key, write_request
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    envelope = open_gate(side).request_reject(sequence, operator_key(side, key))
    _asked(as_json, envelope, write_request(side, f"reject-{sequence:06d}", envelope, out))


@app.command()
def release(
    sequence: Sequence, key: Key, out: Out = None, home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Ask to let a crossing go on that an operator holds; `lockgate gate publish` carries it out.

    Example: lockgate gate release 2 --key people/operator --home lane/high
    """
    from lockgate.app.gate.gate import open_gate, operator_key, write_request
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    envelope = open_gate(side).request_release(sequence, operator_key(side, key))
    _asked(as_json, envelope, write_request(side, f"release-{sequence:06d}", envelope, out))


@app.command()
def rollback(
    key: Key,
    channel: Channel = "stable",
    out: Out = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask to move a channel back to the snapshot before the present one.

    Example: lockgate gate rollback --key people/operator --home lane/high
    """
    from lockgate.app.gate.gate import open_gate, operator_key, write_request
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    envelope = open_gate(side).request_rollback(channel, operator_key(side, key))
    _asked(as_json, envelope, write_request(side, f"rollback-{channel}", envelope, out))


@app.command()
def pictures(
    request: Annotated[Path, typer.Argument(help="Any request, as a command wrote it.")],
    as_json: JsonOption = False,
) -> None:
    """Write a request, and what lies beside it, as QR pictures for an approver's own machine.

    Example: lockgate gate pictures lane/high/pending/publish-000001.json
    """
    from lockgate.app.gate.approve import request_pictures

    made = request_pictures(request)
    emit(as_json, {"pictures": made}, lambda c: c.print(f"{len(made)} pictures beside {request}"))


@app.command()
def publish(
    signed: Annotated[
        list[Path], typer.Argument(help="The statement as each approver signed it: files or QR pictures.")
    ],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Carry out what the approvers signed (publish, reject, release or roll back), all or nothing.

    Example: lockgate gate publish approver-1.json approver-2.json --home lane/high
    """
    import msgspec

    from lockgate.app.gate.gate import execute
    from lockgate.app.settings import load_settings
    from lockgate.core.wire import digest_of

    statement = execute(load_settings(home).require("high"), signed)

    def render(out: Console) -> None:
        where = f" on channel [bold]{statement.channel}[/], version {statement.channel_version}"
        out.print(
            f"{statement.operation} of crossing {statement.crossing} done{where if statement.channel else ''}"
        )

    emit(as_json, {**msgspec.to_builtins(statement), "sha256": digest_of(statement)}, render)


@app.command()
def attestations(
    sequence: Sequence,
    out: Annotated[Path, typer.Option(help="Folder for the attestations.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a crossing's attestations (in-toto in DSSE): collection, sealing, inspection, admission.

    Example: lockgate gate attestations 1 --out evidence --home lane/high
    """
    from lockgate.app.gate.evidence import write_attestations
    from lockgate.app.settings import load_settings

    found = write_attestations(load_settings(home).require("high"), sequence, out)

    def render(out: Console) -> None:
        for name, file in found.files.items():
            out.print(f"{name}: {file}")

    emit(as_json, {"crossing": sequence, "attestations": found.files}, render)


# Beside the way of a crossing, so after it in the list of commands.
app.command()(emergency.hold)
app.command()(emergency.withdraw)
app.command("emergency-rollback")(emergency.emergency_rollback)
app.command()(emergency.ratify)
app.command()(emergency.owed)
app.command()(reinspect.reinspect)
app.command("convert")(inspection.gate_convert)
app.command()(difference.diff)
app.command()(golden.replay)
app.command()(soak.soak)
app.command()(soak.promote)
