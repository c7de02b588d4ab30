"""``lockgate profile``: what a host of the high side is, for rehearsals on the low side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import HomeOption, JsonOption, emit, escape

if TYPE_CHECKING:
    from lockgate.core.host import HostProfile

app = typer.Typer(no_args_is_help=True, help="Tell the low side what a host of the high side is.")


@app.command()
def take(
    key: Annotated[str, typer.Option(help="Folder with operator.pem and operator.pass, or pkcs11: address.")],
    out: Annotated[Path, typer.Option(help="Where the signed profile goes.")],
    name: Annotated[str, typer.Option(help="What people call this host; it leaves with the file.")] = "host",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write what this machine is: system, C library, Pythons, processor, graphics, engines; signed.

    It names no address and no user. It leaves the high side: let it be looked at as whatever leaves is.

    Example: lockgate profile take --key people/operator --out host.profile.json --home lane/high
    """
    import msgspec

    from lockgate.app.keys import key_place
    from lockgate.app.rehearsal.host import sign_profile
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    profile, digest = sign_profile(side, name, key_place(key), out)
    value = {"file": out, "sha256": digest, "profile": msgspec.to_builtins(profile)}

    def render(console: Console) -> None:
        draw(console, profile)
        console.print(f"  written to {escape(str(out))} ({digest[:16]}…)")

    emit(as_json, value, render)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="The signed profile.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check who signed a profile, through this side's pinned site root, and show it.

    Example: lockgate profile show host.profile.json --home lane/low
    """
    import msgspec

    from lockgate.app.rehearsal.host import read_profile_file
    from lockgate.app.settings import load_settings

    signed = read_profile_file(load_settings(home), file)
    value = {
        "sha256": signed.sha256,
        "person": signed.person,
        "profile": msgspec.to_builtins(signed.profile),
    }

    def render(console: Console) -> None:
        draw(console, signed.profile)
        console.print(f"  signed by {escape(signed.person)} ({signed.sha256[:16]}…)")

    emit(as_json, value, render)


def draw(console: Console, profile: "HostProfile") -> None:
    """Print a profile for people."""
    console.print(f"[bold]{escape(profile.name)}[/]: {escape(profile.sentence)}")
    console.print(f"  kernel {escape(profile.kernel)}, taken {profile.taken:%Y-%m-%d %H:%M} UTC")
    for each in profile.graphics:
        console.print(f"  graphics: {escape(each.name)}, driver {escape(each.driver) or 'unknown'}")
    for engine in profile.engines:
        named = escape(engine.project or engine.executable)
        console.print(f"  engine: {engine.kind}, {named} {escape(engine.version)}".rstrip())
    if profile.programs:
        told = ", ".join(f"{name} {version}" for name, version in sorted(profile.programs.items()))
        console.print(f"  clients: {escape(told)}")
