"""``lockgate policy``: the site's policy and profile, and what each profile demands and gives up."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from lockgate.cli import rules
from lockgate.cli.shared import HomeOption, JsonOption, emit, escape

if TYPE_CHECKING:
    from lockgate.app.gate.versioned import InForce
    from lockgate.core.profiles import Profile
    from lockgate.core.rules import Rules

app = typer.Typer(no_args_is_help=True, help="The site's policy and admission rules; what profiles demand.")

app.command()(rules.check)
app.command("test")(rules.try_out)
app.command()(rules.propose)
app.command()(rules.sign)
app.command()(rules.activate)


@app.command()
def show(
    home: HomeOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the site's policy as JSON as well, to change it: see root rotate --policy."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the site's policy, what it lacks of its profile and gives up, and the admission rules in force.

    Examples:
      lockgate policy show --home lane/high
      lockgate policy show --home lane/high --out policy.json
    """
    import msgspec

    from lockgate.app.files import write_named
    from lockgate.app.gate.rules import in_force
    from lockgate.app.lane.profile import look
    from lockgate.app.settings import load_settings

    side = load_settings(home)
    found = look(side)
    rules = in_force(side) if side.settings.lane.side == "high" else None
    said = msgspec.to_builtins(found.policy)
    if out:
        write_named(out, msgspec.json.format(msgspec.json.encode(said), indent=2) + b"\n")

    def render(console: Console) -> None:
        for name, value in said.items():
            for line in _lines(name, value):
                console.print(escape(line))
        for lack in found.lacks:
            console.print(f"[bold red]lacks[/] {lack}")
        for price in found.profile.gives_up:
            console.print(f"[yellow]gives up[/] {price}")
        if rules is None:
            console.print("Admission rules: none; the policy alone decides")
            return
        who = ", ".join(rules.approvers)
        console.print(f"Admission rules, version {rules.document.version}, signed by {who}:")
        for sentence in rules.document.sentences():
            console.print(f"  {escape(sentence)}")

    value = {
        "policy": said,
        "lacks": found.lacks,
        "gives_up": found.profile.gives_up,
        "rules": _rules(rules) if rules else None,
    }
    emit(as_json, value, render)


def _lines(name: str, value: Any) -> list[str]:
    """Return a field of the policy as people read it: a table of it on one line, several on one each."""
    if isinstance(value, dict):
        return [f"{name}: {_words(value)}"]
    if isinstance(value, list | tuple):
        if any(isinstance(each, dict) for each in value):
            return [f"{name}:", *(f"  {_words(each)}" for each in value)]
        return [f"{name}: {', '.join(map(str, value)) or 'none'}"]
    return [f"{name}: {value}"]


def _words(table: dict[str, Any]) -> str:
    """Return a table in one line."""
    return "; ".join("".join(_lines(name, value)) for name, value in table.items())


def _rules(rules: "InForce[Rules]") -> dict[str, Any]:
    import msgspec

    active = {"rules": msgspec.to_builtins(rules.document), "document_sha256": rules.document_sha256}
    return {"active": active, "approvers": rules.approvers, "requester": rules.requester}


def _demands(profile: "Profile") -> dict[str, Any]:
    return {
        "persons who ask or approve, at least": profile.persons,
        "approvers beside who asks, at least": profile.approvers,
        "life of an approval, at most (s)": profile.approval_seconds,
        "one operator may, at most": ", ".join(sorted(profile.rights)) or "nothing",
        "second signature within (s)": profile.owed_seconds,
        "withdrawn by one operator, at most": profile.withdraw_limit,
        "a witness": "demanded" if profile.witness else "not demanded",
        "asking and approving": "by different people"
        if profile.separate
        else "one person may hold both keys",
        "approvers in a rule for opaque content, at least": profile.opaque_approvers,
    }


@app.command()
def explain(
    profile: Annotated[str, typer.Argument(help="small-team, regulated or classified (default: all).")] = "",
    out: Annotated[Path | None, typer.Option(help="Write the profile's policy, for `lockgate root`.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what profiles demand and what each gives up; write one's policy to begin from.

    Examples:
      lockgate policy explain
      lockgate policy explain regulated --out policy.json
    """
    import msgspec

    from lockgate.app.files import write_named
    from lockgate.app.lane.profile import named
    from lockgate.core.profiles import PROFILES
    from lockgate.core.wire import encode

    if out and not profile:
        raise typer.BadParameter("Name the profile whose policy is to be written.")
    chosen = [named(profile)] if profile else list(PROFILES.values())
    if out:
        write_named(out, encode(chosen[0].policy()))
    value = [
        {
            "profile": each.name,
            "demands": _demands(each),
            "gives_up": each.gives_up,
            "policy": msgspec.to_builtins(each.policy()),
        }
        for each in chosen
    ]

    def render(console: Console) -> None:
        for each in chosen:
            console.print(f"[bold]{each.name}[/]")
            for name, demand in _demands(each).items():
                console.print(f"  {name}: {demand}")
            for price in each.gives_up:
                console.print(f"  [yellow]gives up[/] {price}")

    emit(as_json, value, render)
