"""``lockgate ask``: a question to the gateway, with sources and receipt."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from lockgate.cli.shared import HomeOption, JsonOption, emit

app = typer.Typer(help="Ask the gateway a question and show answer, sources and receipt.")


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question.")],
    key_file: Annotated[
        Path | None, typer.Option(help="File with the API key (or LOCKGATE_API_KEY in the environment).")
    ] = None,
    model: Annotated[str, typer.Option(help="Model to ask; NAME@KNOWLEDGE answers from documents.")] = "",
    url: Annotated[str, typer.Option(help="The gateway (default: that of the home).")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the gateway; the answer streams, then come its sources and its receipt.

    Example: lockgate ask "How long are approvals valid?" --key-file api-key --home lane/high
    """
    import os

    from lockgate.app.files import read_named
    from lockgate.app.high.ask import Gateway, GatewayRefusedError, default_model
    from lockgate.app.high.ask import ask as put
    from lockgate.app.high.high import address
    from lockgate.app.high.tls import tls_of
    from lockgate.app.settings import load_settings
    from lockgate.app.trust import utc_now

    key = os.environ.get("LOCKGATE_API_KEY", "")
    if key_file:
        key = read_named(key_file).decode("utf-8", "replace").strip()
    if not key:
        raise GatewayRefusedError(
            "No API key was given.",
            advice="Make one: `lockgate gateway key add NAME`, and name it: --key-file.",
        )
    gateway = Gateway(url, key)
    if not url:
        side = load_settings(home)
        tls = tls_of(side, utc_now())
        gateway = Gateway(f"{address(side, 'gateway')}/v1", key, tls.client() if tls else None)
    chosen = model or default_model(gateway)

    def told(text: str) -> None:
        if not as_json:
            sys.stdout.write(text)
            sys.stdout.flush()

    answered = put(gateway, chosen, question, told)
    value = {"question": question, "model": chosen, "answer": answered.text, **answered.lockgate}

    def render(out: Console) -> None:
        out.print()
        for c in answered.lockgate.get("citations", []):
            place = f"page {c['page']}" if c.get("page") else c["heading"]
            span = f"characters {c['start']}-{c['end']}"
            out.print(escape(f"  [{c['number']}] {c['path']}, {place}, {span}: “{c['quote']}”"))
        out.print(f"  receipt {answered.lockgate.get('receipt', 'none')}", style="dim")

    emit(as_json, value, render)
