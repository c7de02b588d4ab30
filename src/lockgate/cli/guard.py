"""``lockgate guard``: what the guards decide about a text, without a gateway."""

import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from lockgate.cli import guard_appeals, guard_policy
from lockgate.cli.shared import HomeOption, JsonOption, draw_list, emit, out

app = typer.Typer(no_args_is_help=True, help="Try the guards, answer calls of tools that wait, appeal.")
tools = typer.Typer(no_args_is_help=True, help="The tools that models may call: set, show, remove.")
app.add_typer(tools, name="tool")
app.add_typer(guard_policy.app, name="policy")
app.add_typer(guard_appeals.app, name="appeals")
app.command()(guard_appeals.appeal)
app.command()(guard_appeals.replay)
app.command("auditor-key")(guard_appeals.auditor_key)

STYLES = {"allow": "green", "flag": "yellow", "block": "red"}
NOT_ALLOWED = 4


@app.callback()
def guard() -> None:
    """Try the guards, answer calls of tools that wait, appeal."""


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="Where to read (default: standard input).")] = None,
    channel: Annotated[
        str, typer.Option(help="Where the texts come from: user, retrieved or tool.")
    ] = "user",
    as_json: JsonOption = False,
) -> None:
    """Read JSON lines (id, text) and say what the guards decide about each.

    With --json, one line for each: id, decision (allow, flag, block), score (of the classifier;
    over 0.5 means a flag), classifier, rules, sha256 of the normalised text, milliseconds. Ends
    with status 4 when one is blocked.

    Example: lockgate guard check texts.jsonl --channel retrieved --json
    """
    from lockgate.guard import Channel, GuardPolicy, InputGuard, shipped
    from lockgate.guard.lines import open_lines, read_line

    try:
        where = Channel(channel)
    except ValueError:
        names = ", ".join(each.value for each in Channel)
        what = f"{channel!r} is no channel; there are {names}."
        raise typer.BadParameter(what) from None
    checker, blocked = InputGuard(GuardPolicy(), shipped()), False
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
                    "score": None if decision.score is None else round(decision.score, 4),
                    "classifier": decision.classifier,
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


@tools.command("set")
def set_tool(
    name: Annotated[str, typer.Argument(help="The tool, as requests name it.")],
    consequential: Annotated[
        bool,
        typer.Option("--consequential/--harmless", help="It changes something outside the conversation."),
    ] = True,
    label: Annotated[list[str] | None, typer.Option(help="A key needs this label to call it.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="Only this key may call it.")] = None,
    arguments: Annotated[
        Path | None, typer.Option(help="File with the JSON schema of its arguments.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a tool on the list. Once there is a list, models may call nothing else.

    Where text of documents or tools stands in a conversation, a call of a consequential tool waits
    for a person: `lockgate guard pending`.

    Example: lockgate guard tool set send_mail --label internal --arguments mail.json --home lane/high
    """
    import msgspec

    from lockgate.app.high.tools import set_tool as put
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    rule = put(side, name, consequential=consequential, labels=label or (), keys=key or (), schema=arguments)
    kind = "consequential" if rule.consequential else "harmless"
    emit(as_json, {"tool": name, **msgspec.to_builtins(rule)}, lambda out: out.print(f"{name} is {kind}"))


@tools.command("show")
def show_tools(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the list of tools; without any no list holds.

    Example: lockgate guard tool show --home lane/high
    """
    import msgspec
    from rich.table import Table

    from lockgate.app.high.tools import tools as listed
    from lockgate.app.settings import load_settings

    policy = listed(load_settings(home).require("high"))
    table = Table("tool", "consequential", "labels", "keys", "arguments")
    for name, rule in sorted(policy.tools.items()):
        schema = "any" if rule.arguments is None else "by schema"
        consequential = "yes" if rule.consequential else "no"
        table.add_row(name, consequential, " ".join(rule.labels), " ".join(rule.keys) or "all", schema)
    emit(as_json, msgspec.to_builtins(policy.tools), lambda out: draw_list(out, table, "No tool is named"))


@tools.command("remove")
def remove_tool(
    name: Annotated[str, typer.Argument(help="The tool.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a tool off the list.

    Example: lockgate guard tool remove send_mail --home lane/high
    """
    from lockgate.app.high.tools import remove_tool as remove
    from lockgate.app.settings import load_settings

    remove(load_settings(home).require("high"), name)
    emit(as_json, {"tool": name}, lambda out: out.print(f"{name} is off the list"))


@app.command()
def pending(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the calls of tools that wait for a person, with their arguments.

    Example: lockgate guard pending --home lane/high
    """
    import msgspec

    from lockgate.app.high.tools import held_calls
    from lockgate.app.settings import load_settings
    from lockgate.cli.shared import escape

    waiting = held_calls(load_settings(home).require("high")).pending()

    def render(out: Any) -> None:
        for call in waiting:
            out.print(f"[bold]{call.id}[/] {call.tool} key {call.key} since {call.held:%Y-%m-%d %H:%M} UTC")
            out.print(f"  receipt {call.receipt}; arguments:")
            out.print(f"  {escape(ascii(call.arguments))}")
        if not waiting:
            out.print("no call waits")

    emit(as_json, msgspec.to_builtins(waiting), render)


@app.command()
def allow(
    call: Annotated[str, typer.Argument(help="Id of the call, from `guard pending`.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Allow one call, once: this key, this tool, these arguments. The caller then asks again.

    Example: lockgate guard allow 5d01c3a9b2f0 --home lane/high
    """
    _answer(call, "allowed", home, as_json)


@app.command()
def refuse(
    call: Annotated[str, typer.Argument(help="Id of the call, from `guard pending`.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Refuse a call; the same call is refused for a day.

    Example: lockgate guard refuse 5d01c3a9b2f0 --home lane/high
    """
    _answer(call, "refused", home, as_json)


def _answer(call: str, state: str, home: Path | None, as_json: bool) -> None:
    from lockgate.app.high.tools import answer_held
    from lockgate.app.settings import load_settings
    from lockgate.guard.held import HeldState

    answered = answer_held(load_settings(home).require("high"), call, HeldState(state))
    said = {"id": answered.id, "tool": answered.tool, "state": answered.state.value}
    emit(as_json, said, lambda out: out.print(f"{answered.tool} {answered.id}: {answered.state}"))
