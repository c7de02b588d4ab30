"""``lockgate gate diff``: what approving a crossing would change, in order of risk."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import HomeOption, JsonOption, emit, escape, human

if TYPE_CHECKING:
    from lockgate.core.difference import Difference


def diff(
    sequence: Annotated[int, typer.Argument(help="The crossing's number.")],
    channel: Annotated[str, typer.Option(help="The channel that it would be published on.")] = "stable",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what approving a crossing would change, the gravest first; its digest is what approvers sign.

    Example: lockgate gate diff 2 --home lane/high
    """
    import msgspec

    from lockgate.app.gate.gate import open_gate
    from lockgate.app.settings import load_settings
    from lockgate.core.wire import digest_of

    gate = open_gate(load_settings(home).require("high"))
    drawn = gate.differ.draw(gate.crossing(sequence), channel)
    value = {"sha256": digest_of(drawn), **msgspec.to_builtins(drawn)}
    emit(as_json, value, lambda out: draw_difference(out, drawn))


def draw_difference(out: Console, drawn: "Difference") -> None:
    """Draw a difference."""
    from lockgate.core.difference import GRAVE
    from lockgate.core.wire import digest_of

    out.print(
        f"Approving crossing {drawn.crossing} for [bold]{drawn.channel}[/] lets {drawn.entering} artifacts"
        f" enter ({human(drawn.bytes)}); difference {digest_of(drawn)}",
        soft_wrap=True,
    )
    for change in drawn.changes:
        style = "red" if change.risk in GRAVE else "dim" if change.risk == "facts" else "yellow"
        against = f" (served: {change.before})" if change.before and change.before != change.purl else ""
        out.print(
            f"  [{style}]{change.risk}[/] {escape(change.purl)}{escape(against)}\n    {escape(change.what)}",
            soft_wrap=True,
            highlight=False,
        )
    if drawn.omitted:
        out.print(f"  and {drawn.omitted} more; all stand behind {drawn.all_sha256}", soft_wrap=True)
    out.print(
        f"  [green]{drawn.quiet} artifacts change nothing that has to be judged[/]"
        f" (list {drawn.quiet_sha256[:16]})",
        soft_wrap=True,
    )
    for purl in drawn.left:
        out.print(f"  [yellow]stays in quarantine[/] {escape(purl)}", soft_wrap=True, highlight=False)
