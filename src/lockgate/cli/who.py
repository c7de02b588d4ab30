"""``lockgate who``: who let this in, with a proof that is checked without this side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from lockgate.cli.shared import HomeOption, JsonOption, emit, escape, human

if TYPE_CHECKING:
    from lockgate.admit.proof import LetIn

app = typer.Typer(help="Say who let a file, package, model or answer in, and prove it.")


@app.command()
def who(
    what: Annotated[
        str,
        typer.Argument(
            help="A file, its SHA-256, a name, a package URL, or the number of an answer's receipt."
        ),
    ] = "",
    proof: Annotated[Path | None, typer.Option(help="Write the proof here.")] = None,
    check: Annotated[
        Path | None,
        typer.Option(help="Check this proof, with nothing but the pins; WHAT is the file or name, if any."),
    ] = None,
    pin: Annotated[str, typer.Option(help="With --check: the site root's pin, from your own notes.")] = "",
    supply_pin: Annotated[
        str, typer.Option(help="With --check: the supply root's pin, to know who collected and sealed it.")
    ] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say who asked for it, who approved it, what inspection said, how it came, and who sealed it.

    Every line follows from signatures. The proof holds all of them, and the place in the log; whoever knows
    the site root's pin checks it on any machine, without a network and without trusting this side.
    Exit status 4: nobody let it in.

    Examples:
      lockgate who numpy --home lane/high
      lockgate who model.gguf --proof model.proof.json --home lane/high
      lockgate who model.gguf --check model.proof.json --pin 3f…
    """
    from lockgate.admit.proof import Pins
    from lockgate.app.gate.who import check_file, keep, trace
    from lockgate.app.settings import load_settings

    if check is not None:
        if not pin:
            raise typer.BadParameter("With --check give --pin: what is proven is proven from it.")
        if proof is not None:
            raise typer.BadParameter("Give --check or --proof.")
        found = check_file(check, Pins(pin, supply_pin), what)
        emit(as_json, {"holds": True, **_plain(found)}, lambda out: _draw(out, found, "The proof holds."))
        return
    if not what:
        raise typer.BadParameter("Name a file, a SHA-256, a package, a model or a receipt.")
    traced = trace(load_settings(home).require("high"), what)
    if proof is not None:
        keep(traced, proof)
    served = ", ".join(traced.served) or "on no channel"
    value = {**_plain(traced.let_in), "served": list(traced.served), "proof": proof}
    ends = f"Proof: {proof}" if proof else "--proof FILE writes the proof of all this."
    emit(as_json, value, lambda out: _draw(out, traced.let_in, ends, served))


def _plain(found: "LetIn") -> dict[str, Any]:
    from lockgate.app.gate.told import made_by
    from lockgate.core.submission import INTERNAL

    artifact, statement = found.admitted.artifact, found.statement
    submitter, derived = made_by(found)
    return {
        "sha256": found.sha256,
        "path": found.path,
        "purl": artifact.purl,
        "licence": artifact.licence,
        "origin": INTERNAL if submitter else "crossing",
        "submitter": submitter,
        "derived_from": derived,
        "requester": statement.requester,
        "approvers": list(found.approvers),
        "admitted": found.recorded,
        "outcome": found.verdict.outcome,
        "findings": [f"{each.code} ({each.severity})" for each in found.verdict.findings],
        "inspector": found.inspector,
        "crossing": statement.crossing,
        "crate_sha256": statement.crate_sha256,
        "snapshot_sha256": statement.snapshot_sha256,
        "collectors": list(found.collectors),
        "sealers": list(found.sealers),
        "leaf": found.leaf,
        "log_size": found.checkpoint.size,
        "log_root": found.checkpoint.root.hex(),
    }


def _draw(out: Console, found: "LetIn", ends: str, served: str = "") -> None:
    from lockgate.app.gate.told import told

    for name, text in told(found, human, served).items():
        out.print(f"  [bold]{name:<13}[/] {escape(text)}", soft_wrap=True)
    out.print(escape(ends))
