"""``lockgate models``: what is known of the models of the channel, and how the traffic of names is spread."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from lockgate.cli.shared import AskKeyOption, HomeOption, JsonOption, RequestOutOption, draw_list, emit

if TYPE_CHECKING:
    from lockgate.app.high.models import ModelRow
    from lockgate.app.settings import Side
    from lockgate.infer import Share

app = typer.Typer(
    no_args_is_help=True, help="List models, what is known of them, and who answers for a name."
)

NameArgument = Annotated[str, typer.Argument(help="The name that callers ask for.")]
OverrideOption = Annotated[
    str, typer.Option(help="Why it is asked for although checks speak against it; approvers sign both.")
]
SignedOption = Annotated[
    list[Path] | None, typer.Option(help="Carry it out: the request as an approver signed it (repeat).")
]


@app.command("list")
def list_models(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the channel's models with family, context, abilities, licence, knowledge cut-off and label.

    Example: lockgate models list --home lane/high
    """
    import msgspec

    from lockgate.app.high.models import list_models as read
    from lockgate.app.settings import load_settings

    rows = read(load_settings(home).require("high"))

    def render(out: Console) -> None:
        name = Column("Name", overflow="fold")  # a name is copied from here: it must be whole
        rest = ("Family", "Context", "Abilities", "Licence", "Knows until", "Label", "Answers for")
        table = Table(name, *rest)
        for row in rows:
            table.add_row(*_cells(row))
        draw_list(out, table, "No model is served")

    emit(as_json, msgspec.to_builtins(rows), render)


def _cells(row: "ModelRow") -> list[str]:
    card = row.card
    if card is None:
        return [row.name, "unknown", "", "", "", "", "", ", ".join(row.aliases)]
    able = [word for word, has in (("tools", card.tools), ("JSON", card.json)) if has]
    licence = f"{card.licence.identifier}{' (restricted)' if card.licence.restricted else ''}"
    if not card.licence.known:
        licence += " (not in the table)"
    return [
        row.name,
        card.family,
        str(card.context_tokens or "unknown"),
        ", ".join(able),
        licence,
        card.knowledge_cutoff or "unknown",
        card.label,
        ", ".join(row.aliases),
    ]


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The model's name or package URL.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show everything that is known of a model, with what its licence says.

    Example: lockgate models show qwen2.5-coder-0.5b-instruct --home lane/high
    """
    import msgspec

    from lockgate.app.high.models import show_model
    from lockgate.app.settings import load_settings

    row = show_model(load_settings(home).require("high"), name)

    def render(out: Console) -> None:
        out.print(f"[bold]{row.name}[/]  {row.purl}")
        out.print(f"  weights {row.sha256}, crossing {row.crossing}")
        if row.trouble:
            out.print(f"  [bold red]{row.trouble}[/]")
        if (card := row.card) is None:
            return
        size = f"{card.weights:,} weights" if card.weights is not None else "number of weights unknown"
        out.print(f"  {card.family} ({card.architecture}), {card.format} {card.quantisation}, {size}")
        out.print(f"  context {card.context_tokens or 'unknown'} tokens")
        out.print(f"  chat template {card.chat_template_sha256 or 'none'}; tools: {_yes(card.tools)}")
        out.print(f"  knowledge until {card.knowledge_cutoff or 'unknown'}, label {card.label}")
        licence = card.licence
        out.print(f"  licence {licence.identifier}: {licence.name}")
        for fact in licence.facts:
            out.print(f"    {fact}")
        if licence.source:
            out.print(f"    after {licence.source}; table of {licence.as_of}")

    emit(as_json, msgspec.to_builtins(row), render)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


@app.command()
def share(
    name: Annotated[str, typer.Argument(help="The name that callers ask for.")] = "",
    arms: Annotated[list[str] | None, typer.Argument(help="Models with weights, as `old=90 new=10`.")] = None,
    by: Annotated[str, typer.Option(help="tenant or request: what decides who answers.")] = "tenant",
    key: AskKeyOption = None,
    signed: SignedOption = None,
    override: OverrideOption = "",
    out: RequestOutOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Spread a name's traffic over models: with --key ask for it, with --signed carry it out.

    The last model is the newest: whoever it answers keeps it as its share grows.

    Examples:
      lockgate models share assistant old=90 new=10 --key people/operator --home lane/high
      lockgate models share --signed approver-1.json --signed approver-2.json --home lane/high
    """
    from lockgate.app.settings import load_settings
    from lockgate.infer import By, Share, parse_arms

    side = load_settings(home).require("high")
    if signed:
        _carry_out(side, signed, as_json)
        return
    if by not in {each.value for each in By}:
        what = f"{by!r} is neither tenant nor request."
        raise typer.BadParameter(what)
    if not name or not arms:
        raise typer.BadParameter("Name what callers ask for, and the models with their weights.")
    _ask(
        side,
        Share(name=name, arms=parse_arms(" ".join(arms)), by=By(by)),
        key,
        override,
        out,
        as_json=as_json,
    )


@app.command()
def promote(
    name: NameArgument,
    model: Annotated[str, typer.Argument(help="The model that is to answer alone.")],
    key: AskKeyOption = None,
    override: OverrideOption = "",
    out: RequestOutOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask that one model answers alone for a name; the others stay in its share with nothing.

    Golden prompts that were answered otherwise stand against it, and whatever the policy's rule demands.

    Example: lockgate models promote assistant new --key people/operator --home lane/high
    """
    from lockgate.app.high.shares import promotion
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    _ask(side, promotion(side, name, model), key, override, out, as_json=as_json)


@app.command()
def rollback(
    name: NameArgument,
    key: Annotated[Path, typer.Option(help="Folder with your operator.pem and operator.pass.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put the share before the present one back into force, where the policy lets one operator do so.

    Example: lockgate models rollback assistant --key people/operator --home lane/high
    """
    import msgspec

    from lockgate.app.gate.gate import operator_key
    from lockgate.app.high.shares import roll_back
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    done = roll_back(side, name, operator_key(side, key))
    emit(as_json, msgspec.to_builtins(done), lambda c: c.print(f"Rolled back: {_said(done)}"))


def _said(made: "Share") -> str:
    arms = ", ".join(f"{arm.model} {arm.weight} of {made.total}" for arm in made.arms)
    return f"{made.name} is answered by {arms}, by {made.by}"


def _ask(
    side: "Side", made: "Share", key: Path | None, override: str, out: Path | None, *, as_json: bool
) -> None:
    import msgspec

    from lockgate.app.gate.gate import operator_key, write_request
    from lockgate.app.high.promotion import promotion_checks
    from lockgate.app.high.shares import ask_for_share
    from lockgate.approve import read_statement

    if key is None:
        raise typer.BadParameter("Name your key with --key to ask for a share.")
    envelope = ask_for_share(side, made, operator_key(side, key), promotion_checks(side), override)
    file = write_request(side, "model-share", envelope, out)
    statement = read_statement(envelope)

    def render(console: Console) -> None:
        console.print(f"Request: {file}; approvers sign it with `lockgate approve`")
        console.print(f"  {_said(made)}")
        if said := (statement.facts or {}).get("against"):
            console.print(f"  Against it, and to be signed with it: {said}")

    emit(as_json, {"request": file, "statement": msgspec.to_builtins(statement)}, render)


def _carry_out(side: "Side", signed: list[Path], as_json: bool) -> None:
    import msgspec

    from lockgate.app.high.promotion import promotion_checks
    from lockgate.app.high.shares import put_share

    made, decision = put_share(side, signed, promotion_checks(side))
    who = ", ".join(sorted(decision.approvers))
    value = {"share": msgspec.to_builtins(made), "approvers": sorted(decision.approvers)}
    emit(as_json, value, lambda c: c.print(f"In force, as {who} signed: {_said(made)}"))
