"""``lockgate gateway``: language models through the OpenAI API, and the keys that may call it."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from lockgate.cli import gateway_grant
from lockgate.cli.shared import HomeOption, HostOption, JsonOption, PortOption, draw_list, emit, escape

app = typer.Typer(no_args_is_help=True, help="Serve language models through the OpenAI API.")
keys = typer.Typer(no_args_is_help=True, help="API keys: add, list, remove.")
app.add_typer(keys, name="key")
quotas = typer.Typer(no_args_is_help=True, help="What API keys may spend a day: set, show.")
app.add_typer(quotas, name="quota")
app.add_typer(gateway_grant.app, name="grant")


@app.command()
def serve(
    home: HomeOption = None,
    host: HostOption = "",
    port: PortOption = 0,
) -> None:
    """Hash and load the admitted model, then serve until interrupted.

    Example: lockgate gateway serve --home lane/high --port 8720
    """
    from lockgate.app.high.gateway import serve_gateway
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    serve_gateway(side, host or side.settings.serve.host, port or side.settings.serve.gateway_port)


@keys.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="Who or what will use it.")],
    label: Annotated[list[str] | None, typer.Option(help="Labels its holder may see.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an API key; it is shown once and only its digest is kept.

    Example: lockgate gateway key add analysts --label internal --home lane/high
    """
    from lockgate.app.high.gateway import add_api_key
    from lockgate.app.settings import load_settings

    secret = add_api_key(load_settings(home).require("high"), name, tuple(label or ["public", "internal"]))
    emit(as_json, {"name": name, "key": secret}, lambda out: out.print(secret))


@keys.command("list")
def list_keys(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the API keys, without their secrets.

    Example: lockgate gateway key list --home lane/high
    """
    import msgspec

    from lockgate.app.high.gateway import api_keys
    from lockgate.app.settings import load_settings

    known = api_keys(load_settings(home).require("high"))

    def render(out: Console) -> None:
        table = Table("Name", "Id", "Labels", "Made")
        for key in known:
            table.add_row(key.name, key.id, ", ".join(key.labels), f"{key.created:%Y-%m-%d}")
        draw_list(out, table, "No key was made")

    emit(as_json, [{**msgspec.to_builtins(k), "sha256": None} for k in known], render)


@keys.command("remove")
def remove_key(
    name: Annotated[str, typer.Argument(help="The key's name.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove an API key; the gateway refuses it at once.

    Example: lockgate gateway key remove analysts --home lane/high
    """
    from lockgate.app.high.gateway import remove_api_key
    from lockgate.app.settings import load_settings

    remove_api_key(load_settings(home).require("high"), name)
    said = f"The key {name} is refused from the next request on"
    emit(as_json, {"name": name, "removed": True}, lambda out: out.print(escape(said)))


@app.command("rotate-receipt-key")
def rotate_receipt_key(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Encrypt the keys of receipts' digests under a fresh key, and forget the old one; gateways go on.

    Keep keys/receipt-keys where you keep keys: backups hold none of it, and receipts that are restored
    without it cannot be compared with texts.

    Example: lockgate gateway rotate-receipt-key --home lane/high
    """
    from lockgate.app.high.receipts import rotate_receipt_key as rotate
    from lockgate.app.settings import load_settings

    done = rotate(load_settings(home).require("high"))
    emit(as_json, {"keys": done}, lambda out: out.print(f"{done} keys of receipts are encrypted anew."))


@app.command("usage")
def show_usage(
    days: Annotated[int, typer.Option(help="How many days back, today (UTC) included.")] = 30,
    by: Annotated[str, typer.Option(help="caller, model or day.")] = "caller",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say who used how much: requests and tokens by caller, by model or by day, out of the receipts.

    Examples:
      lockgate gateway usage --home lane/high
      lockgate gateway usage --days 7 --by model --json --home lane/high
    """
    from dataclasses import asdict

    from lockgate.app.high.usage import By, usage
    from lockgate.app.settings import load_settings
    from lockgate.app.trust import utc_now

    if by not in set(By):
        raise typer.BadParameter("Give --by caller, model or day.")
    rows = usage(load_settings(home).require("high"), days, By(by), utc_now())

    def render(out: Console) -> None:
        named, last = Column(by.capitalize(), overflow="fold"), Column("Last", overflow="fold")
        table = Table(named, "Requests", "Answered", "Tokens in", "Tokens out", last)
        for row in rows:
            counts = (row.requests, row.answered, row.prompt_tokens, row.completion_tokens)
            table.add_row(escape(row.name), *(f"{count:,}" for count in counts), row.last)
        out.print(table if rows else f"Nothing was asked in {days} days.")

    emit(as_json, [asdict(row) for row in rows], render)


@quotas.command("set")
def set_quota(
    name: Annotated[
        str, typer.Argument(help="The key's name, or a caller as receipts name them: `oidc:jane`.")
    ],
    requests: Annotated[int | None, typer.Option(min=0, help="Requests a day.")] = None,
    tokens_in: Annotated[int | None, typer.Option(min=0, help="Tokens of prompts a day.")] = None,
    tokens_out: Annotated[int | None, typer.Option(min=0, help="Tokens of answers a day.")] = None,
    concurrent: Annotated[int | None, typer.Option(min=0, help="Requests that run at once.")] = None,
    priority: Annotated[str, typer.Option(help="high, normal or low: who waits behind whom.")] = "normal",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set what a key may spend a day (UTC); what is left out has no bound. Gateways follow at once.

    Example: lockgate gateway quota set analysts --requests 5000 --tokens-out 2000000 --home lane/high
    """
    import msgspec

    from lockgate.app.high.quotas import set_quota as write
    from lockgate.app.settings import load_settings
    from lockgate.infer import Priority, Quota

    if priority not in {each.value for each in Priority}:
        what = f"{priority!r} is none of high, normal, low."
        raise typer.BadParameter(what)
    quota = Quota(
        requests=requests,
        prompt_tokens=tokens_in,
        completion_tokens=tokens_out,
        concurrent=concurrent,
        priority=Priority(priority),
    )
    write(load_settings(home).require("high"), name, quota)
    bounds = {
        "requests a day": requests,
        "tokens in": tokens_in,
        "tokens out": tokens_out,
        "at once": concurrent,
    }
    said = ", ".join(f"{most} {what}" for what, most in bounds.items() if most is not None) or "no bound"
    emit(
        as_json,
        {"name": name, **msgspec.to_builtins(quota)},
        lambda out: out.print(escape(f"{name}: {said}, priority {priority}")),
    )


@quotas.command("show")
def show_quota(
    name: Annotated[str, typer.Argument(help="The key's name.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a key may spend, what it spent today (UTC), and what runs.

    Example: lockgate gateway quota show analysts --home lane/high
    """
    import msgspec

    from lockgate.app.high.quotas import quota_of
    from lockgate.app.settings import load_settings

    quota, spent, running = quota_of(load_settings(home).require("high"), name)

    def render(out: Console) -> None:
        table = Table("", "Spent today", "Quota")
        for label, field in (
            ("Requests", "requests"),
            ("Tokens in", "prompt_tokens"),
            ("Tokens out", "completion_tokens"),
        ):
            most = getattr(quota, field, None)
            table.add_row(label, str(getattr(spent, field)), "no bound" if most is None else str(most))
        at_once = getattr(quota, "concurrent", None)
        table.add_row("Running now", str(running), "no bound" if at_once is None else str(at_once))
        out.print(table)

    value = {"quota": msgspec.to_builtins(quota), "spent": msgspec.to_builtins(spent), "running": running}
    emit(as_json, value, render)
