"""``lockgate leak``: what sizes and times of answers tell an observer of the network."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockgate.cli.shared import Bars, JsonOption, emit

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(no_args_is_help=True, help="Measure what sizes and times of answers tell an observer.")


@app.callback()
def _group() -> None:
    """Keep ``measure`` a command of its own."""


@app.command()
def measure(
    key_file: Annotated[
        list[Path],
        typer.Option(help="File with API keys, one a line, whose answers are shaped; once for each way."),
    ],
    control_key_file: Annotated[Path, typer.Option(help="File with keys whose answers are not.")],
    model: Annotated[str, typer.Option(help="Model to ask.")],
    url: Annotated[str, typer.Option(help="The gateway, without a path.")] = "http://127.0.0.1:8720",
    samples: Annotated[int, typer.Option(min=20, help="Answers of each topic for each file of keys.")] = 1000,
    parallel: Annotated[int, typer.Option(min=1, max=1024, help="Requests at a time.")] = 64,
    each: Annotated[int, typer.Option(min=1, help="Requests at a time with one key.")] = 8,
    interface: Annotated[str, typer.Option(help="The link that is listened to.")] = "lo",
    first: Annotated[Path | None, typer.Option(help="Questions of one topic, one a line.")] = None,
    second: Annotated[Path | None, typer.Option(help="Questions of another topic, one a line.")] = None,
    ca: Annotated[Path | None, typer.Option(help="Authority of the gateway's certificate.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of orders, folds and trees.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Ask about two topics with several keys, listen on the link, and say how well the topics are told apart.

    A row is named as its file of keys. Exit status 1 where shaped answers tell, or might by the upper end of
    the interval, or where the control tells nothing: then nothing is shown.

    Example: lockgate leak measure --key-file secret-key --control-key-file public-key --model smollm2
    """
    from lockgate.app.check.leak import CONTROL, context, lines, measured
    from lockgate.app.check.leak_capture import LOGISTICS, MEDICINE, Plan

    topics = (lines(first) if first else MEDICINE, lines(second) if second else LOGISTICS)
    names = [file.stem for file in key_file]
    if CONTROL in names or len(set(names)) < len(names):
        what = f"Each file of keys needs a name of its own, and not {CONTROL!r}."
        raise typer.BadParameter(what)
    keys = {CONTROL: lines(control_key_file), **{file.stem: lines(file) for file in key_file}}
    plan = Plan(url, model, keys, topics, samples, parallel, each, interface)
    with Bars(quiet=as_json) as bars:
        found = measured(plan, context(ca), seed, bars)

    def render(out: "Console") -> None:
        from rich.table import Table

        table = Table("Answers", "Samples", "AUC", "95 % interval", "Bits", "By chance", "Bytes", "Seconds")
        shaped = {name: each.leak for name, each in found.shaped.items()}
        for name, leak in {CONTROL: found.control, **shaped}.items():
            area = (f"{leak.auc:.3f}", f"{leak.low:.3f} to {leak.high:.3f}")
            bits = (f"{leak.bits:.3f}", f"{leak.null_bits:.3f}")
            table.add_row(
                name, str(leak.samples), *area, *bits, f"{leak.wire_bytes:.0f}", f"{leak.seconds:.2f}"
            )
        out.print(table)
        for name, judged in found.shaped.items():
            out.print(f"{name}: {judged.sentence}")

    emit(as_json, found.as_dict(), render)
    if not found.shown:
        raise typer.Exit(1)
