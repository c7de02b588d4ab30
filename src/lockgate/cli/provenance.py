"""``lockgate provenance``: what signatures are judged by: made, brought, put in force by two persons."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import HomeOption, JsonOption, emit, escape

app = typer.Typer(no_args_is_help=True, help="Trust roots that signatures are judged by.")

Sources = Annotated[list[Path] | None, typer.Option(help="A file; repeat for more.")]
Named = Annotated[list[str] | None, typer.Option(help="name=file.pem; repeat for more.")]


@app.command()
def make(
    out: Annotated[Path, typer.Option(help="The file to write; it crosses as [[trust_roots]].")],
    version: Annotated[int, typer.Option(min=1, help="Above every version that was in force.")],
    sigstore: Sources = None,
    npm_keys: Sources = None,
    site_key: Named = None,
    authority: Named = None,
    days: Annotated[int, typer.Option(min=1, max=2000, help="How long they may be judged by.")] = 180,
    as_json: JsonOption = False,
) -> None:
    """Make trust roots of Sigstore's trusted_root.json, npm's keys, and the site's own keys and authorities.

    Example: lockgate provenance make --version 1 --sigstore trusted_root.json --out trust-roots.json
    """
    from lockgate.app.crossing.trust_roots import named_files, write_roots

    made = write_roots(
        out,
        sigstore or [],
        npm_keys or [],
        named_files(site_key or []),
        named_files(authority or []),
        version=version,
        days=days,
    )
    value = {
        "file": out,
        "sha256": made.sha256,
        "version": version,
        "says": made.sentences,
        "left_out": made.left_out,
    }

    def render(console: Console) -> None:
        for sentence in made.sentences:
            console.print(f"  {escape(sentence)}")
        for sentence in made.left_out:
            console.print(f"[yellow]left out[/]: {escape(sentence)}")
        console.print(f"Version {version} of the trust roots: {out} (sha256 {made.sha256})")

    emit(as_json, value, render)


@app.command()
def show(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the trust roots in force, who signed them, and whether signatures are judged by them now.

    Example: lockgate provenance show --home lane/high
    """
    from lockgate.app.gate.trust_roots import roots_in_force, trust_now
    from lockgate.app.settings import load_settings
    from lockgate.app.trust import utc_now

    side = load_settings(home).require("high")
    found, trust = roots_in_force(side), trust_now(side, utc_now())
    says = list(found.document.sentences()) if found else []
    value = {
        "version": found.document.version if found else 0,
        "sha256": found.document_sha256 if found else "",
        "approvers": list(found.approvers) if found else [],
        "says": says,
        "judging": trust.roots is not None,
        "why": "" if trust.roots else trust.why,
    }

    def render(console: Console) -> None:
        if found:
            console.print(f"Version {found.document.version}, signed by {', '.join(found.approvers)}:")
        for sentence in says:
            console.print(f"  {escape(sentence)}")
        if trust.roots is None:
            console.print(f"[yellow]No signature is judged[/]: {escape(trust.why)}")

    emit(as_json, value, render)


@app.command()
def propose(
    key: Annotated[Path, typer.Option(help="Folder with your operator.pem and operator.pass.")],
    out: Annotated[Path | None, typer.Option(help="Where the request goes (default: pending/).")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask to put the newest trust roots in force that a published crossing brought.

    The request holds every sentence of them; approvers sign it with `lockgate approve`.

    Example: lockgate provenance propose --key people/operator --home lane/high
    """
    import msgspec

    from lockgate.app.gate.gate import operator_key, write_request
    from lockgate.app.gate.trust_roots import propose_roots
    from lockgate.app.settings import load_settings
    from lockgate.approve import read_statement

    side = load_settings(home).require("high")
    roots, envelope = propose_roots(side, operator_key(side, key))
    file = write_request(side, f"trust-roots-{roots.version}", envelope, out)
    emit(
        as_json,
        {"request": file, "statement": msgspec.to_builtins(read_statement(envelope))},
        lambda c: c.print(f"Request to put version {roots.version} of the trust roots in force: {file}"),
    )


@app.command()
def activate(
    signed: Annotated[list[Path], typer.Argument(help="The request as each approver signed it.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put trust roots in force that enough approvers signed; inspect waiting crossings again after it.

    Example: lockgate provenance activate approver-1.json approver-2.json --home lane/high
    """
    from lockgate.app.gate.trust_roots import activate_roots
    from lockgate.app.gate.versioned import VERSION
    from lockgate.app.settings import load_settings

    done = activate_roots(load_settings(home).require("high"), signed)
    version, who = int(done.facts[VERSION]), sorted(done.approvers)
    emit(
        as_json,
        {"version": version, "approvers": who},
        lambda c: c.print(f"Version {version} of the trust roots is in force, as {', '.join(who)} signed"),
    )
