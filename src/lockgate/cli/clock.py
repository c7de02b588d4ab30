"""``lockgate clock``: how the clock stands, the request to believe it, and carrying it out."""

from pathlib import Path

import typer
from rich.console import Console

from lockgate.cli.shared import AskKeyOption, HomeOption, JsonOption, RequestOutOption, SignedArguments, emit

app = typer.Typer(
    no_args_is_help=True, help="Show the clock's floor and holds; accept a clock with two approvals."
)


@app.command()
def show(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Say what the clock is judged by, and whether it holds admission.

    Example: lockgate clock show --home lane/high
    """
    import msgspec

    from lockgate.app.gate.clock import look
    from lockgate.app.settings import load_settings

    view = look(load_settings(home).require("high"))

    def render(out: Console) -> None:
        out.print(f"Clock: {view.now:%Y-%m-%d %H:%M:%S} UTC")
        for name, moment in (("last run", view.state.last), ("floor", view.state.floor)):
            out.print(f"  {name}: {f'{moment:%Y-%m-%d %H:%M:%S} UTC' if moment else 'none'}")
        if view.held or view.trouble:
            out.print(f"[bold red]Admission is held:[/] {view.held or view.trouble}")
        else:
            out.print("The clock is believed; admission goes on")

    emit(as_json, msgspec.to_builtins(view), render)


@app.command()
def accept(
    signed: SignedArguments = None,
    key: AskKeyOption = None,
    out: RequestOutOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Believe the clock as it is now: with --key ask for it, with signed requests carry it out.

    Set the clock right first. The request names the clock; approvers compare it with their watches.
    It expires by the clock that made it: after setting the clock, ask again.

    Examples:
      lockgate clock accept --key people/operator --home lane/high
      lockgate clock accept approver-1.json approver-2.json --home lane/high
    """
    import msgspec

    from lockgate.app.gate.clock import accept as carry_out
    from lockgate.app.gate.clock import ask_to_accept
    from lockgate.app.gate.gate import operator_key, write_request
    from lockgate.app.settings import load_settings
    from lockgate.approve import read_statement

    side = load_settings(home).require("high")
    if bool(signed) == bool(key):
        raise typer.BadParameter("Give --key to ask, or the signed requests to carry it out.")
    if signed:
        done = carry_out(side, signed)
        who = ", ".join(sorted(done.approvers))
        value = {"accepted": True, "statement": msgspec.to_builtins(done.statement)}
        emit(as_json, value, lambda c: c.print(f"The clock is believed again, as {who} signed"))
        return
    envelope = ask_to_accept(side, operator_key(side, key or Path()))
    file = write_request(side, "clock", envelope, out)
    statement = read_statement(envelope)

    def render(console: Console) -> None:
        console.print(f"Request to accept the clock: {file}")
        for name, value in dict(statement.facts or {}).items():
            console.print(f"  {name}: {value}")

    emit(as_json, {"request": file, "statement": msgspec.to_builtins(statement)}, render)
