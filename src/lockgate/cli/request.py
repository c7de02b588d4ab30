"""``lockgate request``: what somebody misses, who wants it and why, and how far it came."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core
from rich.console import Console

from lockgate.cli.shared import (
    AskKeyOption,
    HomeOption,
    JsonOption,
    RequestOutOption,
    SignedArguments,
    draw_list,
    emit,
)

if TYPE_CHECKING:
    from lockgate.app.wishes.high import Standing


class _PurlGroup(typer.core.TyperGroup):
    """A group in which a package URL stands for `new` with that package URL."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Put `new` before a package URL."""
        return super().resolve_command(ctx, ["new", *args] if args and args[0].startswith("pkg:") else args)


app = typer.Typer(
    cls=_PurlGroup, no_args_is_help=True, help="Ask for what is missing, and follow it until it is there."
)

Number = Annotated[int, typer.Argument(help="The request's number.")]
Key = Annotated[Path, typer.Option("--key", help="Folder with your operator.pem and operator.pass.")]


@app.command()
def new(
    purl: Annotated[str, typer.Argument(help="pkg:npm/left-pad@1.3.0, pkg:pypi/httpx …")],
    reason: Annotated[str, typer.Option(help="Why it is needed; it stays inside.")],
    owner: Annotated[str, typer.Option(help="Who wants it; it stays inside.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for a package (high side). `new` may be left out.

    Example: lockgate request pkg:npm/left-pad@1.3.0 --reason "the editor" --owner ann --home lane/high
    """
    from lockgate.app.settings import load_settings
    from lockgate.app.wishes.high import make_wish, standing

    side = load_settings(home).require("high")
    found = standing(side, make_wish(side, purl, reason, owner).number)
    emit(as_json, _value(found), lambda out: out.print(f"Request {found.wish.number}: {found.wish.purl}"))


@app.command("list")
def list_(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List requests and how far each came; on the low side, what its newest signed list asks for.

    States of the other side are those that this side knew last: the high side sees nothing of collecting and
    sealing, the low side only what receipts say.

    Example: lockgate request list --home lane/high
    """
    from rich.table import Table

    from lockgate.app.settings import load_settings

    side = load_settings(home)
    if side.settings.lane.side == "low":
        from lockgate.app.wishes.low import kept_lists

        packages = kept_lists(side)
        rows = [
            {"purl": p.purl, "state": p.state, "crossing": p.crossing, "last_known": p.last_known}
            for p in packages
        ]
    else:
        from lockgate.app.wishes.high import standings

        rows = [_value(one) for one in standings(side)]

    def render(out: Console) -> None:
        from lockgate.cli.shared import escape

        table = Table(*[key.replace("_", " ") for key in rows[0]] if rows else "no requests")
        for row in rows:
            table.add_row(*[escape(str(value)) for value in row.values()])
        draw_list(out, table, "No request")

    emit(as_json, rows, render)


@app.command()
def show(number: Number, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show one request (high side).

    Example: lockgate request show 1 --home lane/high
    """
    from lockgate.app.settings import load_settings
    from lockgate.app.wishes.high import standing

    value = _value(standing(load_settings(home).require("high"), number))

    def render(out: Console) -> None:
        from lockgate.cli.shared import escape

        for name, said in value.items():
            out.print(f"[bold]{name}[/] {escape(str(said))}")

    emit(as_json, value, render)


@app.command()
def misses(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List what the mirrors were asked for in vain, most often first (high side). Clients chose these names.

    Example: lockgate request misses --home lane/high
    """
    from rich.table import Table

    from lockgate.app.high.mirrors import misses_file
    from lockgate.app.settings import load_settings
    from lockgate.mirror import read_misses

    found = sorted(read_misses(misses_file(load_settings(home).require("high"))), key=lambda m: -m.count)
    rows = [{"protocol": m.protocol, "name": m.name, "count": m.count} for m in found]

    def render(out: Console) -> None:
        from lockgate.cli.shared import escape

        table = Table("protocol", "name", "times")
        for m in found:
            table.add_row(escape(m.protocol), escape(m.name), str(m.count))
        draw_list(out, table, "Nothing was missed")

    emit(as_json, rows, render)


@app.command()
def approve(
    signed: SignedArguments = None,
    number: Annotated[list[int] | None, typer.Option("--number", help="A request; repeat it.")] = None,
    key: AskKeyOption = None,
    out: RequestOutOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Approve requests as one list: with --key ask for it, with signed lists carry it out (high side).

    The approvers sign package URLs and nothing else: that is all that leaves.

    Examples:
      lockgate request approve --number 1 --number 2 --key people/operator --home lane/high
      lockgate request approve approver-1.json approver-2.json --home lane/high
    """
    from lockgate.app.gate.gate import operator_key, write_request
    from lockgate.app.settings import load_settings
    from lockgate.app.wishes.high import approve_wishes, ask_to_approve

    side = load_settings(home).require("high")
    if bool(signed) == bool(key) or bool(key) != bool(number):
        raise typer.BadParameter("Give --number and --key to ask, or the signed lists to carry it out.")
    if signed:
        decision, done = approve_wishes(side, signed)
        who = ", ".join(sorted(decision.approvers))
        value = {"approved": [w.number for w in done], "approvers": sorted(decision.approvers)}
        emit(as_json, value, lambda c: c.print(f"{len(done)} requests approved, as {who} signed"))
        return
    envelope = ask_to_approve(side, number or [], operator_key(side, key or Path()))
    file = write_request(side, "requests", envelope, out)
    emit(as_json, {"request": file}, lambda c: c.print(f"List for the approvers: {file}"))


@app.command()
def refuse(
    number: Number,
    reason: Annotated[str, typer.Option(help="Why; its owner reads it.")],
    key: Key,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Refuse a request, with a reason (high side).

    Example: lockgate request refuse 3 --reason "use the other one" --key people/operator --home lane/high
    """
    from lockgate.app.gate.gate import operator_key
    from lockgate.app.settings import load_settings
    from lockgate.app.wishes.high import refuse_wish, standing

    side = load_settings(home).require("high")
    refuse_wish(side, number, reason, operator_key(side, key))
    emit(as_json, _value(standing(side, number)), lambda c: c.print(f"Request {number} is refused"))


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="Where the signed lists go, to be carried out.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the signed lists with anything that is not available yet (high side).

    Example: lockgate request export --out requests.json --home lane/high
    """
    from lockgate.app.files import write_named
    from lockgate.app.settings import load_settings
    from lockgate.app.wishes.high import exported

    data, count = exported(load_settings(home).require("high"))
    write_named(out, data)
    emit(as_json, {"file": out, "lists": count}, lambda c: c.print(f"{count} signed lists: {out}"))


def _value(found: "Standing") -> dict[str, Any]:
    wish = found.wish
    return {
        "number": wish.number,
        "purl": wish.purl,
        "state": str(found.state),
        "owner": wish.owner,
        "reason": wish.reason,
        "created": wish.created.isoformat(),
        "crossing": found.crossing,
        "refusal": wish.refusal,
    }
