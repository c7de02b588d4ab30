"""``lockgate diode``: crates over a one-way link."""

import gc
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import Bars, HomeOption, JsonOption, emit, human

if TYPE_CHECKING:
    from lockgate.core.errors import LockgateError
    from lockgate.crossing.diode import Report

app = typer.Typer(help="Send and receive crates over a one-way link.", no_args_is_help=True)

KeyOption = Annotated[Path, typer.Option("--key", help="Key file that both ends share.")]
PortOption = Annotated[int, typer.Option("--port", help="UDP port.", min=1, max=65535)]
WAITING = 7


@app.command()
def key(
    file: Annotated[Path, typer.Argument(help="Where the key goes.")],
    as_json: JsonOption = False,
) -> None:
    """Make the key that both ends share; carry a copy to the other end by hand.

    It filters noise and floods on the link and proves no origin: crates are signed and sealed.

    Example: lockgate diode key diode.key
    """
    from lockgate.crossing.diode import make_key

    make_key(file)
    emit(as_json, {"file": str(file)}, lambda to: to.print(f"Key written to {file}"))


@app.command()
def send(
    crate: Annotated[Path, typer.Argument(help="The crate's folder.")],
    to: Annotated[str, typer.Option("--to", help="IP address of the receiver.")],
    key_file: KeyOption,
    home: HomeOption = None,
    port: PortOption = 7411,
    rate: Annotated[int, typer.Option(help="Bytes of packets per second.")] = 100_000_000,
    mtu: Annotated[int, typer.Option(help="Largest packet that the link takes, in bytes.")] = 1500,
    data: Annotated[int, typer.Option(help="Data shards in a block.")] = 200,
    parity: Annotated[int, typer.Option(help="Parity shards in a block: losses that are made good.")] = 40,
    interleave: Annotated[
        int, typer.Option(help="Bytes that blocks are interleaved over, against bursts of losses.")
    ] = 32 * 2**20,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Send this file alone; repeatable.")
    ] = None,
    only_list: Annotated[
        Path | None, typer.Option("--only-list", help="Send the files of a list that was carried back.")
    ] = None,
    afresh: Annotated[
        bool, typer.Option("--afresh", help="Do not go on where a run was interrupted.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Send a crate, paced and with parity; nothing comes back, so the receiver's report tells the end.

    An interrupted run goes on where it ended.

    Examples:
      lockgate diode send outbox/crate-000001-7f3a9c --to 192.0.2.2 --key diode.key --mtu 9000
      lockgate diode send outbox/crate-000001-7f3a9c --to 192.0.2.2 --key diode.key --only vol-0003.lgv
    """
    _keep_numpy_to_one_thread()
    from lockgate.app.crossing.diode import send_crate
    from lockgate.app.settings import load_settings
    from lockgate.crossing.diode import SendSettings

    side = load_settings(home).require("low")
    settings = SendSettings(to, port, rate, mtu, data, parity, interleave)
    gc.freeze()  # what was imported stays; nothing needs to look through it while packets leave
    with Bars(quiet=as_json) as bars:
        sent = send_crate(
            side, crate, key_file, settings, bars, only=tuple(only or ()), only_list=only_list, afresh=afresh
        )
    value = {
        "crate": sent.crate,
        "files": list(sent.files),
        "bytes": sent.content,
        "packets": sent.packets,
        "packet_bytes": sent.packet_bytes,
        "seconds": round(sent.seconds, 3),
        "resumed": sent.resumed,
    }

    def render(to: Console) -> None:
        rate = sent.packet_bytes / sent.seconds if sent.seconds else 0
        again = ", going on where a run was interrupted" if sent.resumed else ""
        to.print(f"{sent.crate}: {len(sent.files)} files sent{again}")
        to.print(f"  {human(sent.content)} in {sent.packets} packets, {human(int(rate))}/s on the link")
        to.print("  Nothing comes back: look at the receiver's report.")

    emit(as_json, value, render)


@app.command()
def receive(
    key_file: KeyOption,
    home: HomeOption = None,
    listen: Annotated[str, typer.Option("--listen", help="IP address to listen at.")] = "0.0.0.0",  # noqa: S104
    port: PortOption = 7411,
    silence: Annotated[
        float, typer.Option(help="Seconds without a packet that end a session.", min=0.5)
    ] = 30.0,
    memory: Annotated[int, typer.Option(help="Most bytes of blocks that wait for packets.")] = 512 * 2**20,
    content: Annotated[int, typer.Option(help="Largest crate that is taken, in bytes.")] = 1 << 40,
    missing_list: Annotated[
        Path | None, typer.Option("--missing-list", help="Write the names of missing files here.")
    ] = None,
    stay: Annotated[bool, typer.Option("--stay", help="Go on with the next crate, until stopped.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Receive a crate into the inbox; never sends a packet. Ends when the sender ends or falls silent.

    Exit status 7 while files are missing: have only those sent again and run this once more.

    Example: lockgate diode receive --key diode.key --home lane/high
    """
    _keep_numpy_to_one_thread()
    from lockgate.app.crossing.diode import diode_receiver
    from lockgate.app.settings import load_settings
    from lockgate.core.errors import LockgateError
    from lockgate.crossing.diode import ReceiveSettings
    from lockgate.crossing.diode.names import write_names

    side = load_settings(home).require("high")
    settings = ReceiveSettings(memory=memory, content=content, silence=silence)
    gc.freeze()  # the same for packets that come
    with diode_receiver(side, listen, port, key_file, settings) as receiver, Bars(quiet=as_json) as bars:
        while True:
            try:
                report = receiver.receive(bars)
            except LockgateError as error:
                if not stay or error.exit_status not in {3, 5}:
                    raise
                emit(as_json, error.as_dict(), partial(_refused, error))
                continue
            emit(as_json, report.as_dict(), partial(_render, report))
            if missing_list is not None:
                write_names(missing_list, report.missing)
            if not stay:
                break
    if not report.whole:
        raise typer.Exit(WAITING)


def _keep_numpy_to_one_thread() -> None:
    """Tell numpy before it is imported: no matrix is multiplied here, and its threads spin at their start."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _refused(error: "LockgateError", to: Console) -> None:
    to.print(f"Refused: {error}")


def _render(report: "Report", to: Console) -> None:
    if not report.crate:
        to.print("Packets came, but no announcement of a crate: have it sent again.")
    elif report.whole:
        to.print(f"{report.crate} is whole in the inbox; next: `lockgate receive`")
    else:
        to.print(f"{report.crate} waits for {', '.join(report.missing)}")
        to.print("  Have those sent again: `lockgate diode send … --only NAME`")
    to.print(
        f"  {human(report.content)} in {report.seconds:.1f} s, {human(report.rate)}/s on the link; "
        f"lost {report.lost} packets ({report.loss:.2%})"
    )
    to.print(f"  margin {report.margin:.0%} of parity in the worst block; {report.lost_blocks} blocks lost")
    to.print(f"  highest safe rate seen: {human(report.safe_rate)}/s")
    if report.overflows:
        full = f"its receive buffer ({human(report.buffer)}) was full"
        to.print(f"  this host dropped {report.overflows} packets: {full}")
    if used := {name: count for name, count in report.refused.items() if count}:
        to.print("  not used: " + ", ".join(f"{count} {name}" for name, count in used.items()))
    to.print(f"  {report.evidence}")
