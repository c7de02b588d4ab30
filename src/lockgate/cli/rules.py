"""Admission rules on the command line: check, try, propose, sign, put in force."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lockgate.cli.approve import ask_pin
from lockgate.cli.shared import HomeOption, JsonOption, Terminal, TokenPinOption, YesOption, emit, escape

if TYPE_CHECKING:
    from lockgate.core.policy import Held

Document = Annotated[Path, typer.Argument(help="The admission rules, in TOML.")]


def check(document: Document, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Read admission rules and say what they mean, or which line is wrong (high side).

    Example: lockgate policy check rules.toml --home lane/high
    """
    import msgspec

    from lockgate.app.gate.rules import RULES
    from lockgate.app.settings import load_settings

    rules = RULES.checked(load_settings(home).require("high"), document)

    def render(out: Console) -> None:
        out.print(f"Version {rules.version} of the admission rules can be signed:")
        for sentence in rules.sentences():
            out.print(f"  {escape(sentence)}")

    emit(as_json, {"rules": msgspec.to_builtins(rules), "sentences": list(rules.sentences())}, render)


def _held(reasons: "tuple[Held, ...]") -> str:
    return "; ".join(escape(f"{held.path} {held.reason}".strip()) for held in reasons) or "[green]admitted[/]"


def try_out(document: Document, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Try admission rules on everything served and waiting; say what they would change. Nothing is written.

    What is served is not taken away by new rules: it is what the next publication would be refused for.

    Example: lockgate policy test rules.toml --home lane/high
    """
    import msgspec

    from lockgate.app.files import read_named
    from lockgate.app.gate.dryrun import dry_run
    from lockgate.app.gate.gate import gate_parts
    from lockgate.app.settings import load_settings
    from lockgate.core.rules import RULES_LIMIT, active_rules

    rules = active_rules(read_named(document, limit=RULES_LIMIT))
    found = dry_run(gate_parts(load_settings(home).require("high")), rules)

    def render(out: Console) -> None:
        end, anew = ":" if found.changes else "", sum(change.anew for change in found.changes)
        more = f", and {anew} more if they came in anew" if anew else ""
        count = len(found.changes) - anew
        out.print(f"{count} of {found.artifacts} artifacts would be judged otherwise{more}{end}")
        for change in found.changes:
            place = f"{change.where}; served on, only if it came in anew" if change.anew else change.where
            out.print(f"[bold]{escape(change.purl)}[/] (crossing {change.crossing}, {place})")
            out.print(f"  now:  {_held(change.before)}")
            out.print(f"  then: {_held(change.after)}")
        for each in found.approvals:
            (was, roles), (would, named) = each.before, each.after
            out.print(
                f"crossing {each.crossing}: {was} approvers {' '.join(roles)} → {would} {' '.join(named)}"
            )

    emit(as_json, msgspec.to_builtins(found), render)


def propose(
    document: Document,
    key: Annotated[Path, typer.Option(help="Folder with your operator.pem and operator.pass.")],
    out: Annotated[Path | None, typer.Option(help="Where the request goes (default: pending/).")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for admission rules: write the request that approvers sign; it holds every sentence.

    Example: lockgate policy propose rules.toml --key people/operator --home lane/high
    """
    import msgspec

    from lockgate.app.gate.gate import operator_key, write_request
    from lockgate.app.gate.rules import RULES
    from lockgate.app.gate.versioned import VERSION
    from lockgate.app.settings import load_settings
    from lockgate.approve import read_statement

    side = load_settings(home).require("high")
    envelope = RULES.propose_file(side, document, operator_key(side, key))
    statement = read_statement(envelope)
    facts = dict(statement.facts or {})
    file = write_request(side, f"policy-{facts[VERSION]}", envelope, out)
    emit(
        as_json,
        {"request": file, "statement": msgspec.to_builtins(statement)},
        lambda c: c.print(f"Request to put version {facts[VERSION]} of the rules in force: {file}"),
    )


def sign(
    request: Annotated[Path, typer.Argument(help="The request, as `lockgate policy propose` wrote it.")],
    document: Annotated[Path, typer.Option(help="The rules themselves; the request must be about them.")],
    key: Annotated[str, typer.Option(help="Folder with your approver key, or a pkcs11: address.")],
    site_root: Annotated[list[Path], typer.Option(help="The site root; repeat for those that followed it.")],
    pin: Annotated[str, typer.Option(help="The first site root's pin, from your own notes.")],
    out: Annotated[Path | None, typer.Option(help="Where the signed request goes.")] = None,
    state: Annotated[
        Path | None, typer.Option(help="Folder that remembers the last checkpoint seen (default: XDG state).")
    ] = None,
    token_pin_file: TokenPinOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Sign a request about rules on your own machine, after comparing it with the document.

    Example: lockgate policy sign policy-1.json --document rules.toml --key me --site-root site.json --pin 3f…
    """
    from lockgate.app.files import read_named
    from lockgate.app.gate.approve import Device, evidence_beside, sign_as_approver
    from lockgate.app.gate.rules import RULES
    from lockgate.app.keys import key_place
    from lockgate.approve import read_statement

    envelope = read_named(request)
    statement = read_statement(envelope)
    RULES.demand_about(statement, read_named(document, limit=RULES.limit))
    if not as_json:
        for name, text in dict(statement.facts or {}).items():
            Terminal().print(escape(f"{name}: {text}"))
    if not yes and not typer.confirm("Sign exactly this?"):
        raise typer.Exit(1)
    place = key_place(key, token_pin_file, ask_pin if sys.stdin.isatty() else None)
    target = out or request.with_suffix(f".{place.name}.json")
    device = Device(tuple(read_named(file) for file in site_root), pin, state)
    done = sign_as_approver(envelope, evidence_beside(request), place, device, target)
    emit(
        as_json,
        {"signed": target, "person": done.person, "log_seen": done.seen},
        lambda c: c.print(f"{done.person} signed: {target}"),
    )


def activate(
    document: Document,
    signed: Annotated[list[Path], typer.Argument(help="The request as each approver signed it.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put admission rules in force that enough approvers signed.

    Example: lockgate policy activate rules.toml approver-1.json approver-2.json --home lane/high
    """
    from lockgate.app.gate.rules import RULES
    from lockgate.app.gate.versioned import VERSION
    from lockgate.app.settings import load_settings

    done = RULES.activate(load_settings(home).require("high"), document, signed)
    version, who = int(done.facts[VERSION]), sorted(done.approvers)
    emit(
        as_json,
        {"version": version, "approvers": who},
        lambda c: c.print(
            f"Version {version} of the admission rules is in force, as {', '.join(who)} signed"
        ),
    )
