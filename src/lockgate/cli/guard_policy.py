"""``lockgate guard policy``: what each guard does, changed by two persons."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import HomeOption, JsonOption, emit, escape

app = typer.Typer(no_args_is_help=True, help="What each guard does (off, log, block): two persons change it.")

Document = Annotated[Path, typer.Argument(help="The guards, in TOML.")]


@app.command()
def show(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show what each guard does by channel, and who signed it.

    Example: lockgate guard policy show --home lane/high
    """
    from lockgate.app.high.guard_modes import modes_in_force
    from lockgate.app.high.guards import guard_policy
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    policy, signed = guard_policy(side), modes_in_force(side)
    modes = {
        **{f"rules {channel}": mode for channel, mode in policy.rules.items()},
        **{f"classifier {channel}": mode for channel, mode in policy.classifier.items()},
        **{
            name.replace("_", "-"): getattr(policy, name)
            for name in ("canary", "links", "secrets", "personal", "invisible", "system_prompt")
        },
    }
    said = {name: mode.value for name, mode in modes.items()}
    version, who = (signed.document.version, list(signed.approvers)) if signed else (0, [])

    def render(out: Console) -> None:
        for name, mode in said.items():
            out.print(f"{name}: {mode}")
        if signed:
            out.print(f"Version {version}, signed by {', '.join(who)}, over the settings: ", end="")
            out.print(escape(signed.document.reason))
        else:
            out.print("By the settings alone; nobody signed anything else")

    emit(as_json, {"guards": said, "version": version, "approvers": who}, render)


@app.command()
def check(document: Document, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Read a document of guards and say what it means, or what is wrong.

    Example: lockgate guard policy check guards.toml --home lane/high
    """
    import msgspec

    from lockgate.app.high.guard_modes import MODES
    from lockgate.app.settings import load_settings

    modes = MODES.checked(load_settings(home).require("high"), document)

    def render(out: Console) -> None:
        out.print(f"Version {modes.version} of the guards can be signed:")
        for sentence in modes.sentences():
            out.print(f"  {escape(sentence)}")

    emit(as_json, {"guards": msgspec.to_builtins(modes), "sentences": list(modes.sentences())}, render)


@app.command()
def propose(
    document: Document,
    key: Annotated[Path, typer.Option(help="Folder with your operator.pem and operator.pass.")],
    out: Annotated[Path | None, typer.Option(help="Where the request goes (default: pending/).")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for it: write the request that approvers sign with `lockgate approve`; it holds every sentence.

    Example: lockgate guard policy propose guards.toml --key people/operator --home lane/high
    """
    import msgspec

    from lockgate.app.gate.gate import operator_key, write_request
    from lockgate.app.gate.versioned import VERSION
    from lockgate.app.high.guard_modes import MODES
    from lockgate.app.settings import load_settings
    from lockgate.approve import read_statement

    side = load_settings(home).require("high")
    envelope = MODES.propose_file(side, document, operator_key(side, key))
    statement = read_statement(envelope)
    version = dict(statement.facts or {})[VERSION]
    file = write_request(side, f"guards-{version}", envelope, out)
    emit(
        as_json,
        {"request": file, "statement": msgspec.to_builtins(statement)},
        lambda c: c.print(f"Request to put version {version} of the guards in force: {file}"),
    )


@app.command()
def activate(
    document: Document,
    signed: Annotated[list[Path], typer.Argument(help="The request as each approver signed it.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have guards do as enough approvers signed; gateways that run follow within seconds.

    Example: lockgate guard policy activate guards.toml approver-1.json approver-2.json --home lane/high
    """
    from lockgate.app.gate.versioned import VERSION
    from lockgate.app.high.guard_modes import MODES
    from lockgate.app.settings import load_settings

    done = MODES.activate(load_settings(home).require("high"), document, signed)
    version, who = int(done.facts[VERSION]), sorted(done.approvers)
    emit(
        as_json,
        {"version": version, "approvers": who},
        lambda c: c.print(f"Version {version} of the guards is in force, as {', '.join(who)} signed"),
    )
