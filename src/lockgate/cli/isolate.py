"""``lockgate isolate``: a network without a way out, and the count of what left it."""

from typing import Annotated, Any

import typer

from lockgate.cli.shared import HomeOption, JsonOption, emit

app = typer.Typer(no_args_is_help=True, help="Make an isolated namespace and prove what leaves it.")

_NOT_ISOLATED = 4
"""Exit status of a failed check: that of a `PolicyError`."""


@app.command()
def check(
    allow: Annotated[
        list[str] | None, typer.Option(help="Interface that may be up without an address (repeatable).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether this place has a way out, with every reason. It sends nothing.

    Examples:
      lockgate isolate check
      lockgate isolate run --home lane/high -- lockgate isolate check
    """
    from lockgate.app.check.isolation import check_here
    from lockgate.isolate.check import ALLOWED

    judgement = check_here(tuple(allow) if allow else ALLOWED)
    points = [{"topic": p.topic, "mark": p.mark.value, "reason": p.reason} for p in judgement.points]

    def render(out: Any) -> None:
        from rich.table import Table

        table = Table("Result", "What", "Why", box=None)
        for point in points:
            table.add_row(point["mark"].upper(), point["topic"], point["reason"])
        out.print(table)
        verdict = "PASS: no way out was found." if judgement.passed else "FAIL: there is a way out."
        out.print(f"[bold]{verdict}[/]")

    emit(as_json, {"passed": judgement.passed, "points": points}, render)
    if not judgement.passed:
        raise typer.Exit(_NOT_ISOLATED)


def _show(as_json: bool, value: dict[str, Any]) -> None:
    def render(out: Any) -> None:
        where = "user namespace" if value["user_namespace"] else "made by root"
        out.print(f"[bold]{value['name']}[/], since {value['created']:%Y-%m-%d %H:%M:%S} UTC ({where})")
        for interface in value["interfaces"]:
            addresses = ", ".join(interface["addresses"]) or "no address"
            out.print(f"  {interface['name']:6} {'up' if interface['up'] else 'down'}, {addresses}")
        out.print(f"  routes beyond loopback: {', '.join(value['routes']) or 'none'}")
        out.print(f"  programs inside: {len(value['running'])}")
        out.print(f"  [bold]packets that left: {value['left_packets']}[/] ({value['left_bytes']} bytes)")
        out.print(
            f"  counted {value['counted_packets']}, of which positive control {value['control_packets']}; "
            f"the far end received {value['arrived_packets']}"
        )

    emit(as_json, value, render)


@app.command()
def create(
    home: HomeOption = None,
    name: Annotated[str, typer.Option(help="Name for people; the lane's by default.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Make this side's isolated network; it stays until `lockgate isolate destroy`.

    Example: lockgate isolate create --home lane/high
    """
    from lockgate.app.check.isolation import create_network, network_status
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    _show(as_json, network_status(create_network(side.home, name or side.lane, stay=True)))


@app.command()
def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the network's interfaces and routes, and how many packets left it.

    Example: lockgate isolate status --home lane/high --json
    """
    from lockgate.app.check.isolation import network_status, open_network
    from lockgate.app.settings import load_settings

    _show(as_json, network_status(open_network(load_settings(home).home)))


@app.command()
def control(
    home: HomeOption = None,
    frames: Annotated[int, typer.Option(min=1, max=1000, help="How many frames to send.")] = 8,
    as_json: JsonOption = False,
) -> None:
    """Send frames through the link on purpose and show that the counter counts each one.

    Example: lockgate isolate control --home lane/high
    """
    from lockgate.app.check.isolation import open_network
    from lockgate.app.settings import load_settings

    done = open_network(load_settings(home).home).positive_control(frames)
    value = {
        "frames": frames,
        "before": done.before.packets,
        "after": done.after.packets,
        "rise": done.rise,
        "arrived": done.arrived.packets,
    }
    emit(
        as_json,
        value,
        lambda c: c.print(
            f"{frames} frames sent; the counter rose from {done.before.packets} to {done.after.packets}."
        ),
    )


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run(
    command: Annotated[list[str], typer.Argument(help="Program and arguments, after --.")],
    home: HomeOption = None,
) -> None:
    """Run a program inside the isolated network; it takes the place of this one.

    Example: lockgate isolate run --home lane/high -- ip address
    """
    import os

    from lockgate.app.check.isolation import open_network
    from lockgate.app.settings import load_settings

    argv = open_network(load_settings(home).home).command(command)
    os.execv(argv[0], argv)  # noqa: S606  # the operator's own command, no shell


@app.command()
def look(home: HomeOption = None) -> None:
    """Open console, chat and mirrors inside to this host's own browser, until Ctrl-C; for demonstrations.

    Connections go in by loopback alone, and nothing inside can connect to anything outside. It stands in
    the audit log. A production side refuses it.

    Example: lockgate isolate look --home lane/high
    """
    from lockgate.app.check.window import look_inside
    from lockgate.app.settings import load_settings

    def opened(addresses: dict[str, str]) -> None:
        for name, address in addresses.items():
            typer.echo(f"  {name:<8} {address}")
        typer.echo("Ctrl-C closes the window.")

    look_inside(load_settings(home).require("high"), opened)


@app.command()
def destroy(
    home: HomeOption = None,
    force: Annotated[bool, typer.Option("--force", help="End what still runs inside.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove the network, its link and its processes.

    Example: lockgate isolate destroy --home lane/high
    """
    from lockgate.app.check.isolation import destroy_network
    from lockgate.app.settings import load_settings

    name = destroy_network(load_settings(home).home, force=force)
    emit(as_json, {"destroyed": name}, lambda c: c.print(f"{name} is gone."))
