"""``lockgate config``: what is set, and what each key means."""

import typer
from rich.console import Console

from lockgate.cli.shared import HomeOption, JsonOption, emit

app = typer.Typer(no_args_is_help=True, help="Show and explain the configuration.")


@app.command()
def show(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the settings in force: lockgate.toml with the environment over it.

    Example: lockgate config show --home lane/high
    """
    from lockgate.app.settings import load_settings

    side = load_settings(home)
    value = side.settings.model_dump()

    def render(out: Console) -> None:
        out.print(f"# {side.home.config}")
        for section, keys in value.items():
            out.print(f"\n[bold]\\[{section}][/]")
            for name, setting in keys.items():
                out.print(f"{name} = {setting!r}")

    emit(as_json, value, render)


@app.command()
def explain(as_json: JsonOption = False) -> None:
    """Explain every key: what it does, its default and its environment variable.

    Example: lockgate config explain
    """
    from lockgate.app.settings import explanations

    keys = explanations()

    def render(out: Console) -> None:
        for key in keys:
            out.print(f"[bold]{key['key']}[/] (default: {key['default']}; environment: {key['variable']})")
            out.print(f"    {key['meaning']}")

    emit(as_json, keys, render)
