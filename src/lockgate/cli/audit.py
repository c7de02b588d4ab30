"""``lockgate audit``: the log verified, checkpoints printed, proofs made and checked."""

from pathlib import Path
from typing import Annotated

import typer

from lockgate.cli.shared import HomeOption, JsonOption, emit

app = typer.Typer(no_args_is_help=True, help="Verify the log, print checkpoints, make and check proofs.")


@app.command()
def show(
    home: HomeOption = None,
    last: Annotated[int, typer.Option(help="How many events.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Print the newest events.

    Example: lockgate audit show --home lane/high --last 50
    """
    from lockgate.app.audit import newest
    from lockgate.app.settings import load_settings

    events = newest(load_settings(home), last)

    def render(out: object) -> None:
        from rich.markup import escape

        for index, event in events:
            name = event.get("action") or f"{event.get('status')} of {event.get('intent')}"
            out.print(f"{index:6d}  {event['time']}  {name}  {escape(str(event.get('facts', '')))}")  # type: ignore[attr-defined]  # a rich Console

    emit(as_json, [{"index": i, **e} for i, e in events], render)


@app.command()
def prove(
    index: Annotated[int, typer.Argument(help="The event's leaf.")],
    out: Annotated[Path, typer.Option(help="Where the proof goes.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a proof that an event is in the log; whoever holds the site root can check it offline.

    Example: lockgate audit prove 42 --out proof.json --home lane/high
    """
    from lockgate.app.audit import prove_leaf
    from lockgate.app.settings import load_settings

    proof = prove_leaf(load_settings(home), index, out)
    value = {"proof": out, "index": index, "event": proof.event}
    emit(as_json, value, lambda c: c.print(f"Proof of leaf {index}: {out}"))


@app.command()
def verify(
    proof: Annotated[Path | None, typer.Option(help="Check this proof instead of the whole log.")] = None,
    site_root: Annotated[
        Path | None, typer.Option(help="The site root, to check a proof without a home.")
    ] = None,
    pin: Annotated[str, typer.Option(help="The site root's pin, to check a proof without a home.")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hash the whole log again, or check one proof offline.

    No witness is configured in this version: the whole log counts as its unwitnessed tail.

    Examples:
      lockgate audit verify --home lane/high
      lockgate audit verify --proof proof.json --site-root site.dsse.json --pin 3f…
    """
    from lockgate.app.audit import check_offline, verify_log
    from lockgate.app.settings import load_settings

    if proof is None:
        checkpoint = verify_log(load_settings(home))
        value = {
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
            "witnessed": 0,
            "tail": checkpoint.size,
        }
        emit(
            as_json,
            value,
            lambda c: c.print(
                f"The log holds: {checkpoint.size} leaves, root {checkpoint.root.hex()}\n"
                f"Witnessed: 0 leaves; unwitnessed tail: {checkpoint.size} leaves"
            ),
        )
        return
    if site_root is None:
        side = load_settings(home)
        site_root, pin = side.home.trust / "site.dsse.json", side.settings.trust.site_pin
    found, event = check_offline(proof, site_root, pin)
    value = {
        "holds": True,
        "origin": found.origin,
        "size": found.size,
        "root": found.root.hex(),
        "event": event,
    }
    emit(
        as_json,
        value,
        lambda c: c.print(f"The proof holds: {event} is in {found.origin} at size {found.size}"),
    )
