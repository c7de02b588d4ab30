"""``lockgate inspect``: what a file is, whether every byte of it was understood, what was found."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lockgate.cli.shared import HomeOption, JsonOption, emit, escape, human, out
from lockgate.core.artifact import Kind
from lockgate.core.pickles import PickleProfile

if TYPE_CHECKING:
    from rich.console import Console

    from lockgate.app.gate.convert import Conversion
    from lockgate.app.gate.inspection import Inspected
    from lockgate.core.weights import WeightsFacts

app = typer.Typer(help="Inspect any file in the sandbox.")

STYLES = {"clean": "green", "opaque": "cyan", "findings": "red", "incomplete": "yellow"}
SEVERITIES = {"info": "dim", "low": "yellow", "medium": "yellow", "high": "red", "critical": "bold red"}
NOT_GOOD = 4


@app.command()
def inspect(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders of files.")],
    kind: Annotated[Kind | None, typer.Option(help="What they are (default: by the extension).")] = None,
    profile: Annotated[
        PickleProfile,
        typer.Option(
            help="What pickles may be read as; auto: whichever profile covers them, none: refuse all."
        ),
    ] = PickleProfile.AUTO,
    jobs: Annotated[int, typer.Option(min=0, help="Files at a time, and one more; 0: one a processor.")] = 0,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure-in-process",
            help="Parse without any sandbox, in this process: never for files that may be hostile.",
        ),
    ] = False,
    against: Annotated[
        Path | None,
        typer.Option(help="The version before: weights are compared with it, tensor by tensor."),
    ] = None,
    convert: Annotated[
        Path | None,
        typer.Option(
            help="Make this file out of a refused one: safetensors of a torch archive, text of a document."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Inspect files, each in a sandboxed process of its own; with --json, one line for each.

    Ends with status 0 only when each is clean, or opaque, without a finding.

    With --convert nothing but one file is made, with a verdict of its own and both digests told.
    With --against, what changed in weights is told beside the verdict; it changes no status.

    Example: lockgate inspect wheels/ model.gguf --json
    """
    from lockgate.app.gate.inspection import files_below, inspect_paths

    if convert is not None:
        _convert(paths, convert, as_json=as_json)
        return
    good, files = True, files_below(paths)
    for result in inspect_paths(files, kind, jobs, insecure=insecure, profile=profile):
        good &= result.good
        facts = _compared(against, result.path, paths) if against else None
        if as_json:
            sys.stdout.write(json.dumps(_line(result, facts), ensure_ascii=True) + "\n")
        else:
            _show(result)
            if facts:
                draw_weights(out, facts)
    if not good:
        raise typer.Exit(NOT_GOOD)


def _convert(paths: list[Path], target: Path, *, as_json: bool) -> None:
    import msgspec

    from lockgate.app.gate.convert import convert

    if len(paths) != 1:
        raise typer.BadParameter("One file is converted at a time.", param_hint="--convert")
    done = convert(paths[0], target)
    emit(as_json, msgspec.to_builtins(done), lambda console: draw_conversion(console, done))


def draw_conversion(console: "Console", done: "Conversion") -> None:
    """Draw what was made of a file."""
    verdict = done.verdict
    console.print(
        f"{escape(done.source)} {done.source_sha256}\nbecame {escape(done.target)} {done.target_sha256}"
        f" ({done.method}): [{STYLES[verdict.outcome]}]{verdict.outcome}[/]",
        soft_wrap=True,
        highlight=False,
    )


def gate_convert(
    sequence: Annotated[int, typer.Argument(help="The crossing's number.")],
    path: Annotated[str, typer.Argument(help="The file, as `lockgate gate show` names it.")],
    out: Annotated[Path, typer.Option(help="The file to make; the attestation lies beside it.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Convert a file in quarantine and attest it with both digests; nothing enters by it.

    Example: lockgate gate convert 3 models/org/m/model.pt --out model.safetensors --home lane/high
    """
    import msgspec

    from lockgate.app.gate.convert import convert_held
    from lockgate.app.settings import load_settings

    done, evidence = convert_held(load_settings(home).require("high"), sequence, path, out)
    value = {**msgspec.to_builtins(done), "attestation": evidence}
    emit(as_json, value, lambda console: draw_conversion(console, done))


def _compared(against: Path, path: Path, paths: list[Path]) -> "WeightsFacts | None":
    from lockgate.app.gate.weights import compare_weights, comparing_sandbox, counterpart

    base = counterpart(against, path, paths)
    return compare_weights(base, path, comparing_sandbox()) if base else None


def draw_weights(console: "Console", facts: "WeightsFacts") -> None:
    """Draw what changed in a file of weights."""
    console.print(f"  weights: {escape(facts.sentence)}", highlight=False)
    for remark in facts.compared.remarks if facts.compared else ():
        where = f" {remark.where}" if remark.where else ""
        console.print(f"    [yellow]{remark.code}[/]{escape(f'{where}: {remark.why}')}", highlight=False)


def _line(result: "Inspected", facts: "WeightsFacts | None") -> dict[str, Any]:
    import msgspec

    said: dict[str, Any] = msgspec.to_builtins(result.verdict)
    verdict = {"verdict" if key == "outcome" else key: value for key, value in said.items()}
    seconds = round(result.seconds, 3)
    line = {**verdict, "path": str(result.path), "seconds": seconds, "sandbox": result.sandbox}
    return {**line, "weights": msgspec.to_builtins(facts)} if facts else line


def _show(result: "Inspected") -> None:
    verdict = result.verdict
    kinds = f" ({', '.join(verdict.opaque)})" if verdict.opaque else ""
    share = f"{verdict.covered} of {verdict.size} bytes understood"
    outcome = f"[{STYLES[verdict.outcome]}]{verdict.outcome}[/]"
    out.print(
        f"{outcome}{kinds} {escape(str(result.path))}: {verdict.detected}, {human(verdict.size)},"
        f" {share}, {result.seconds:.1f} s"
    )
    for found in verdict.findings:
        style = SEVERITIES[found.severity]
        place = f" {found.where}" if found.where else ""
        out.print(f"  [{style}]{found.severity} {found.code}[/]{escape(f'{place}: {found.why}')}")
