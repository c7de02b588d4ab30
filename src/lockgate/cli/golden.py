"""``lockgate golden``: what a model answered where it was tried, recorded, replayed and compared."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import HomeOption, JsonOption, emit, escape

if TYPE_CHECKING:
    from lockgate.core.golden import Replay

app = typer.Typer(no_args_is_help=True, help="Golden prompts: record, check and compare a model's answers.")

NOT_SAME = 4

Model = Annotated[Path, typer.Argument(help="The model's file (GGUF).")]
Engine = Annotated[Path, typer.Option(help="The engine's wheel (llama-server).")]
Executable = Annotated[str, typer.Option(help="The program's path inside the wheel.")]


@app.command()
def record(
    model: Model,
    prompts: Annotated[
        Path, typer.Option(help="JSON lines: id, prompt, and where needed system, max_tokens.")
    ],
    engine: Engine,
    executable: Executable,
    out: Annotated[Path | None, typer.Option(help="Where it goes (default: MODEL.golden.json).")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a model greedily, in a sandbox, and sign its answers with the collector's key (low side).

    The file crosses beside the model: in the manifest with the role `golden`, or as a file of its own.

    Example: lockgate golden record m.gguf --prompts p.jsonl --engine llama.whl --executable llama/bin/server
    """
    from lockgate.app.golden.engine import unpacked
    from lockgate.app.golden.sets import read_prompts
    from lockgate.app.golden.sets import record as record_set
    from lockgate.app.settings import load_settings
    from lockgate.core.golden import GOLDEN_SUFFIX

    target = out or model.with_suffix(GOLDEN_SUFFIX)
    wanted = read_prompts(prompts)
    with unpacked(engine, executable, engine.name) as setup:
        golden = record_set(load_settings(home).require("low"), model, wanted, setup, target)
    value = {"golden": target, "model_sha256": golden.model_sha256, "prompts": len(golden.answers)}
    emit(as_json, value, lambda c: c.print(f"{len(golden.answers)} golden prompts recorded: {target}"))


@app.command()
def check(
    model: Model,
    golden: Annotated[Path, typer.Option(help="The golden set, of this model or of the version before.")],
    engine: Engine,
    executable: Executable,
    as_json: JsonOption = False,
) -> None:
    """Replay a golden set on a model, in a sandbox; ends with 4 when an answer differs.

    A canary host may run it as its check `golden-prompts`.

    Example: lockgate golden check m.gguf --golden m.golden.json --engine llama.whl --executable bin/server
    """
    from lockgate.app.golden.engine import unpacked
    from lockgate.app.golden.sets import check as replay_set
    from lockgate.app.golden.sets import read_golden_file

    known, digest = read_golden_file(golden, None)
    with unpacked(engine, executable, engine.name) as setup:
        _told(replay_set(known, digest, model, setup), as_json=as_json)


@app.command()
def compare(
    old: Annotated[Path, typer.Argument(help="The golden set of the version before.")],
    new: Annotated[Path, typer.Argument(help="The golden set of the new version, asked the same.")],
    as_json: JsonOption = False,
) -> None:
    """Show in what the recorded answers of two versions differ; ends with 4 when they do.

    Example: lockgate golden compare model-1.golden.json model-2.golden.json
    """
    from lockgate.app.golden.sets import compare as compare_sets
    from lockgate.app.golden.sets import read_golden_file

    before, digest = read_golden_file(old, None)
    after, _ = read_golden_file(new, None)
    _told(compare_sets(before, digest, after), as_json=as_json)


def _told(found: "Replay", *, as_json: bool) -> None:
    import msgspec

    value = {"same": found.same, **msgspec.to_builtins(found)}
    emit(as_json, value, lambda out: draw_replay(out, found))
    if not found.same:
        raise typer.Exit(NOT_SAME)


def draw_replay(out: Console, found: "Replay") -> None:
    """Draw what a replay showed."""
    if found.same:
        out.print(f"[green]{found.prompts} golden prompts are answered as they were[/]")
        return
    out.print(f"[red]{escape(found.sentence)}[/]", highlight=False, soft_wrap=True)
    for where in found.divergences:
        out.print(f"  {escape(where.sentence)}", highlight=False, soft_wrap=True)
    if found.engine != found.recorded_by:
        out.print(
            f"  recorded by {escape(found.recorded_by.name)} {found.recorded_by.sha256[:16]}, replayed by"
            f" {escape(found.engine.name)} {found.engine.sha256[:16]}",
            soft_wrap=True,
        )


def replay(
    sequence: Annotated[int, typer.Argument(help="The crossing's number.")],
    engine: Annotated[
        Path | None, typer.Option(help="The engine's wheel (default: the admitted one, or the crossing's).")
    ] = None,
    executable: Annotated[str, typer.Option(help="Its program (default: that of the settings).")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replay the golden sets of a crossing on its models, out of quarantine and in a sandbox.

    Example: lockgate gate replay 2 --home lane/high
    """
    import msgspec

    from lockgate.app.golden.gate import replay_crossing
    from lockgate.app.settings import load_settings

    found = replay_crossing(load_settings(home).require("high"), sequence, engine, executable)
    value = {"crossing": sequence, "replays": [msgspec.to_builtins(each) for each in found]}

    def render(out: Console) -> None:
        if not found:
            out.print(f"Crossing {sequence} brings no golden set of a model of its own")
        for each in found:
            out.print(f"model {each.model_sha256[:16]}")
            draw_replay(out, each)

    emit(as_json, value, render)
