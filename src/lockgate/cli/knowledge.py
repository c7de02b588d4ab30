"""``lockgate knowledge``: index admitted documents and search them."""

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from lockgate.cli.shared import HomeOption, JsonOption, emit

app = typer.Typer(no_args_is_help=True, help="Index admitted documents and search them.")


@app.command()
def index(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Index the configured collection of the signed snapshot; unchanged documents keep their rows.

    Example: lockgate knowledge index --home lane/high
    """
    from dataclasses import asdict

    from lockgate.app.high.knowledge import index_documents
    from lockgate.app.settings import load_settings

    done = index_documents(load_settings(home).require("high"))
    emit(as_json, asdict(done), lambda out: out.print(done.sentence))


@app.command()
def search(
    question: Annotated[str, typer.Argument(help="What to look for.")],
    label: Annotated[list[str] | None, typer.Option(help="Labels to search (repeatable).")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the passages that would be put before a model, best first.

    Example: lockgate knowledge search "diesel delivery" --home lane/high
    """
    from dataclasses import asdict

    from lockgate.app.high.knowledge import SignedKnowledge
    from lockgate.app.settings import load_settings

    with SignedKnowledge(load_settings(home).require("high")) as base:
        spans = base.search(question, frozenset(label or ("public", "internal")))

    def render(out: Console) -> None:
        for span in spans:
            place = f"page {span.page}" if span.page else span.heading
            out.print(f"[bold]{escape(span.path)}[/] {escape(place)} [{span.start}-{span.end}]")
            out.print(f"  {escape(span.quote)}\n")

    emit(as_json, [asdict(span) for span in spans], render)
