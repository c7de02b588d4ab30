"""``lockgate agent``: keeps a token's PIN in memory, for its owner's own commands."""

from pathlib import Path
from typing import Annotated

import typer

from lockgate.cli.shared import JsonOption, emit

app = typer.Typer(help="Keep a token's PIN in memory for your own commands.")


@app.command()
def agent(
    socket: Annotated[Path, typer.Option(help="Where to listen: in a folder that only you may enter.")],
    minutes: Annotated[int, typer.Option(min=1, max=720, help="How long the PIN is kept.")] = 60,
    as_json: JsonOption = False,
) -> None:
    """Ask for a PIN once and give it to your own processes until the time is over.

    Addresses name it in place of a file: pkcs11:…&pin-source=file:/run/user/1000/lockgate/pin. It is on
    no command line, in no environment and on no disk. Whoever runs as you can ask it.

    Example: lockgate agent --socket ~/.lockgate/pin --minutes 30
    """
    from lockgate.app.lane.agent import open_agent, serve_pin

    listening = open_agent(socket)
    try:
        pin = str(typer.prompt("PIN of the token", hide_input=True, err=True))
    except BaseException:
        listening.close()
        socket.unlink(missing_ok=True)
        raise
    given = serve_pin(listening, pin, 60.0 * minutes)
    emit(as_json, {"given": given}, lambda out: out.print(f"The PIN was given {given} times"))
