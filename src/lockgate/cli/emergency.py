"""``lockgate gate hold|withdraw|emergency-rollback|ratify|owed``: one operator acts, a second pays."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import HomeOption, JsonOption, emit

if TYPE_CHECKING:
    from lockgate.core.statement import Statement

Purls = Annotated[list[str], typer.Argument(help="Package URLs, or crossing:N, or everything.")]
Key = Annotated[Path, typer.Option(help="Folder with your operator.pem and operator.pass.")]
Reason = Annotated[str, typer.Option(help="Why; it is signed and kept in the log.")]
Channel = Annotated[str, typer.Option(help="The channel.")]
Out = Annotated[Path | None, typer.Option(help="Where the statement goes (default: pending/).")]


def _act(
    operation: str,
    names: list[str],
    key: Path,
    reason: str,
    channel: str,
    out: Path | None,
    home: Path | None,
    as_json: bool,
) -> None:
    import msgspec

    from lockgate.app.gate.emergency import act
    from lockgate.app.settings import load_settings
    from lockgate.core.statement import Operation

    side = load_settings(home).require("high")
    statement, file = act(side, Operation(operation), channel, names, reason=reason, key=key, out=out)

    def render(console: Console) -> None:
        console.print(
            f"{statement.operation} done: channel {statement.channel}, version {statement.channel_version}"
        )
        console.print(
            f"[bold yellow]A second person has to sign {file} by {statement.expires:%Y-%m-%d %H:%M} UTC:[/] "
            "`lockgate approve`, then `lockgate gate ratify`"
        )

    emit(as_json, {"statement": msgspec.to_builtins(statement), "to_sign": file}, render)


def hold(
    names: Purls,
    key: Key,
    reason: Reason,
    channel: Channel = "stable",
    out: Out = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let nobody load these artifacts anew, at once; where they are loaded they go on.

    A crossing that waits for publication is held whole: nobody publishes it until two approvers sign
    `lockgate gate release`.

    Examples:
      lockgate gate hold pkg:pypi/one@1.2 --reason "odd behaviour" --key people/operator
      lockgate gate hold crossing:7 --reason "asked the supplier" --key people/operator
    """
    from lockgate.app.gate.emergency import hold_waiting
    from lockgate.app.settings import load_settings

    waiting = hold_waiting(load_settings(home).require("high"), names, reason, key)
    if waiting is not None:
        sequence, held = waiting
        value = {"crossing": sequence, **held.facts}
        said = f"Crossing {sequence} is held; two approvers release it: `lockgate gate release {sequence}`"
        emit(as_json, value, lambda c: c.print(said))
        return
    _act("hold", names, key, reason, channel, out, home, as_json)


def withdraw(
    names: Purls,
    key: Key,
    reason: Reason,
    channel: Channel = "stable",
    out: Out = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take these artifacts out of what is served, at once, up to the policy's limit.

    Example: lockgate gate withdraw pkg:pypi/one@1.2 --reason "malware report" --key people/operator
    """
    _act("withdraw", names, key, reason, channel, out, home, as_json)


def emergency_rollback(
    key: Key,
    reason: Reason,
    channel: Channel = "stable",
    out: Out = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go back to the snapshot before the last publication, at once, alone.

    Example: lockgate gate emergency-rollback --reason "services fail" --key people/operator
    """
    _act("emergency-rollback", [], key, reason, channel, out, home, as_json)


def ratify(
    signed: Annotated[
        list[Path], typer.Argument(help="The emergency's statement as a second person signed it.")
    ],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the second signature to an emergency; `lockgate gate rollback` with two undoes it instead.

    Example: lockgate gate ratify hold-000003.approver-1.json --home lane/high
    """
    import msgspec

    from lockgate.app.gate.emergency import ratify as pay
    from lockgate.app.settings import load_settings

    statement = pay(load_settings(home).require("high"), signed)
    value = {"ratified": msgspec.to_builtins(statement)}
    emit(as_json, value, lambda c: c.print(f"The {statement.operation} bears its second signature"))


def owed(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the emergencies whose second signature is owed; the exit status is 4 when one is overdue.

    Example: lockgate gate owed --home lane/high
    """
    import msgspec

    from lockgate.app.gate.emergency import owed as debts
    from lockgate.app.settings import load_settings

    state, found = debts(load_settings(home).require("high"))

    def line(statement: "Statement") -> str:
        facts = statement.facts or {}
        return (
            f"{statement.operation} on {statement.channel} by {statement.requester}, due "
            f"{statement.expires:%Y-%m-%d %H:%M} UTC: {facts.get('reason', '')} {facts.get('artifacts', '')}"
        )

    def render(out: Console) -> None:
        from lockgate.cli.shared import escape

        out.print("No second signature is owed" if not found else f"Second signatures: [bold]{state}[/]")
        for statement in found:
            out.print(f"  {escape(line(statement))}")

    emit(as_json, {"state": state, "owed": [msgspec.to_builtins(s) for s in found]}, render)
    if state == "overdue":
        raise typer.Exit(4)
