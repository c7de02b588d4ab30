"""``lockgate guard``: what the guards decide about a text, without a gateway."""

import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from lockgate.cli.shared import JsonOption, out

app = typer.Typer(no_args_is_help=True, help="Try the guards on texts.")

STYLES = {"allow": "green", "flag": "yellow", "block": "red"}
NOT_ALLOWED = 4


@app.callback()
def guard() -> None:
    """Try the guards on texts."""


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="Where to read (default: standard input).")] = None,
    channel: Annotated[
        str, typer.Option(help="Where the texts come from: user, retrieved or tool.")
    ] = "user",
    as_json: JsonOption = False,
) -> None:
    """Read JSON lines (id, text) and say what the guards decide about each.

    With --json, one line for each: id, decision (allow, flag, block), score (none without a
    classifier), rules, sha256 of the normalised text, milliseconds. Ends with status 4 when one
    is blocked.

    Example: lockgate guard check texts.jsonl --channel retrieved --json
    """
    from lockgate.guard import Channel, GuardPolicy, InputGuard
    from lockgate.guard.lines import open_lines, read_line

    try:
        where = Channel(channel)
    except ValueError:
        names = ", ".join(each.value for each in Channel)
        what = f"{channel!r} is no channel; there are {names}."
        raise typer.BadParameter(what) from None
    checker, blocked = InputGuard(GuardPolicy()), False
    with open_lines(file) if file else nullcontext(sys.stdin.buffer) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            item = read_line(line, number)
            began = time.perf_counter()
            decision = checker.check(item.text, where)
            took = (time.perf_counter() - began) * 1000
            blocked |= decision.outcome == "block"
            if as_json:
                said: dict[str, Any] = {
                    "id": item.id,
                    "decision": decision.outcome.value,
                    "score": None,
                    "rules": list(decision.rules),
                    "sha256": decision.sha256,
                    "milliseconds": round(took, 3),
                }
                sys.stdout.write(json.dumps(said) + "\n")
            else:
                out.print(f"[{STYLES[decision.outcome]}]{decision.outcome}[/] {item.id}", highlight=False)
                for hit in decision.hits:
                    out.print(f"  {hit.action} {hit.rule}: {hit.why}", highlight=False)
    if blocked:
        raise typer.Exit(NOT_ALLOWED)
