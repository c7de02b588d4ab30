"""``lockgate target``: registries and folders that the site owns, by their names in lockgate.toml."""

from typing import TYPE_CHECKING, Annotated

import typer

from lockgate.cli.shared import HomeOption, JsonOption, emit

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(no_args_is_help=True, help="Fill and compare registries and folders that the site owns.")

NameArgument = Annotated[str, typer.Argument(help="The target's name in lockgate.toml.")]


@app.command("list")
def list_targets(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the targets of lockgate.toml.

    Example: lockgate target list --home lane/high
    """
    from lockgate.app.settings import load_settings

    targets = load_settings(home).require("high").settings.targets
    value = [{"name": name, **section.model_dump()} for name, section in sorted(targets.items())]

    def show(console: "Console") -> None:
        if not value:
            console.print("There are no tables [targets.NAME] in lockgate.toml.", markup=False)
        for each in value:
            where = each["url"] or each["path"]
            console.print(f"{each['name']}: {each['kind']} at {where} takes {each['channel']}", markup=False)

    emit(as_json, value, show)


@app.command()
def push(
    name: NameArgument,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be brought.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring what the target's channel serves and the target lacks, then read everything back and compare.

    A push that was stopped goes on when it is run again: what is there with its bytes is not sent. No target
    can be switched as a whole: while this runs its users see old and new side by side. Nothing is removed.
    Ends with an error where something is missing or has other bytes.

    Examples:
      lockgate target push plant --dry-run --home lane/high
      lockgate target push plant --home lane/high
    """
    _run(name, home, compare_only=dry_run, as_json=as_json, planned=dry_run)


@app.command()
def check(name: NameArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Bring nothing; read back what the target gives, and end with an error where that is not what is served.

    Example: lockgate target check plant --home lane/high
    """
    _run(name, home, compare_only=True, as_json=as_json, planned=False)


def _run(name: str, home: HomeOption, *, compare_only: bool, as_json: bool, planned: bool) -> None:
    from lockgate.app.high.targets import configured, run_delivery
    from lockgate.app.settings import load_settings
    from lockgate.cli.deliver import show_report
    from lockgate.cli.shared import Bars

    side = load_settings(home).require("high")
    where, channel = configured(side, name)
    with Bars(quiet=as_json) as bars:
        report = run_delivery(side, where, bars, channel=channel, compare_only=compare_only)
    show_report(report, as_json=as_json, planned=planned)
