"""``lockgate advisories``: load vulnerability data, ask it, show what it holds and how old it is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from lockgate.cli.shared import (
    AskKeyOption,
    Bars,
    HomeOption,
    JsonOption,
    RequestOutOption,
    SignedArguments,
    emit,
    escape,
)

if TYPE_CHECKING:
    from lockgate.advisories import Age, Found, Matched

app = typer.Typer(help="Load vulnerability data and ask it about packages.", no_args_is_help=True)

STYLES = {
    "affected": "bold red",
    "not affected": "green",
    "unknown to the database": "yellow",
    "database too old": "yellow",
}
NOT_FRESH = 1

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of the data, outside any crossing (default: the home's)."),
]
AgeOption = Annotated[
    int | None, typer.Option(min=1, help="Days from which data is too old (default: advisories.age_days).")
]


@app.command()
def load(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="OSV folder or all.zip, KEV JSON, EPSS CSV(.gz).")
    ] = None,
    admitted: Annotated[
        bool, typer.Option("--admitted", help="Load what the served snapshot brought (high side).")
    ] = False,
    name: Annotated[str, typer.Option(help="Name of the data set (default: by its content).")] = "",
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Take it though records cannot be read; none is clean then.")
    ] = False,
    older: Annotated[bool, typer.Option("--older", help="Take it though newer data holds.")] = False,
    data: DataOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Load data sets; each replaces the one of its name in one step, or nothing changes.

    A high side loads only what its admitted snapshot holds: --admitted.

    Example: lockgate advisories load osv/PyPI/all.zip kev.json epss.csv.gz --data advisories
    """
    import msgspec

    from lockgate.advisories import Wish
    from lockgate.app.advice.advisories import load_admitted, load_paths, place

    if bool(paths) == admitted:
        msg = "name what to load, or give --admitted"
        raise typer.BadParameter(msg)
    where = place(home, data, None)
    with Bars(quiet=as_json, unit_bytes=False) as bars:
        if admitted:
            sources = load_admitted(where, bars)
        else:
            sources = load_paths(where, paths or [], Wish(name, incomplete, older), bars)

    def render(out: Console) -> None:
        for source in sources:
            newest = f"newest {source.newest:%Y-%m-%d}" if source.newest else "no date"
            out.print(f"{source.name}: {source.records} records, {newest}, sha256 {source.sha256[:16]}")
            for fault in source.faults:
                out.print(f"  [yellow]not read:[/] {escape(fault)}")

    emit(as_json, {"sources": msgspec.to_builtins(sources)}, render)


@app.command()
def match(
    purl: Annotated[list[str] | None, typer.Option(help="A package URL with its version (repeat).")] = None,
    sbom: Annotated[
        list[Path] | None, typer.Option(help="A bill of materials: CycloneDX or SPDX JSON (repeat).")
    ] = None,
    crossing: Annotated[int | None, typer.Option(help="What this crossing at the gate brings.")] = None,
    since: Annotated[
        Path | None, typer.Option(help="Earlier answers (--json): only what changed is compared again.")
    ] = None,
    age_days: AgeOption = None,
    data: DataOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask which packages are affected.

    Ends with 0 when each is not affected, 4 when one is affected, 8 when none is and one is unknown
    to the database or the database is too old.

    Example: lockgate advisories match --purl pkg:pypi/jinja2@2.4.1 --data advisories --json
    """
    import msgspec

    from lockgate.advisories import status_of
    from lockgate.app.advice.advisories import ask, earlier, of_crossing, place, wanted

    where = place(home, data, age_days)
    purls = wanted(purl or [], sbom or [])
    if crossing is not None:
        purls += of_crossing(where, crossing)
    if not purls:
        msg = "name packages with --purl, --sbom or --crossing"
        raise typer.BadParameter(msg)
    report = ask(where, purls, earlier(since))

    def render(out: Console) -> None:
        for answer in report.answers:
            draw(out, answer)

    emit(as_json, msgspec.to_builtins(report), render)
    raise typer.Exit(status_of(report.answers))


def draw(out: Console, answer: "Matched") -> None:
    """Print the answer for one package, and each vulnerability that was found."""
    style = STYLES[answer.outcome]
    why = f": {answer.reason}" if answer.reason else ""
    late = " (old data)" if answer.stale else ""
    out.print(f"[{style}]{answer.outcome}[/]{late} {escape(answer.purl + why)}")
    for found in answer.found:
        out.print(f"  {escape(_line(found))}")
    if answer.fixed:
        out.print(f"  first version without any of them: {escape(answer.fixed)}")


_NAMED = 3


def _about(upstream: tuple[str, ...]) -> str:
    """Return which vulnerabilities a distribution's advisory answers."""
    if not upstream:
        return ""
    more = f" and {len(upstream) - _NAMED} more" if len(upstream) > _NAMED else ""
    return f" ({', '.join(upstream[:_NAMED])}{more})"


def _line(found: "Found") -> str:
    score = f" {found.score_tenths / 10:.1f}" if found.score_tenths >= 0 else ""
    facts = [f"{found.id}{_about(found.upstream)} {found.severity or 'severity not known'}{score}"]
    if found.vex:
        facts.append(f"{found.vex} by an approved statement")
    if found.kev:
        facts.append(f"exploited since {found.kev.added}")
    if found.epss_ppm >= 0:
        facts.append(f"EPSS {found.epss_ppm / 10_000:.2f} %")
    facts.append(f"known since {found.first_known[:10] or 'an unknown day'}")
    facts.append(f"fixed in {found.fixed}" if found.fixed else "no fixed version known")
    if found.summary:
        facts.append(found.summary)
    return "; ".join(facts)


@app.command()
def show(
    identifier: Annotated[str, typer.Argument(help="CVE, GHSA, PYSEC or other identifier.")],
    data: DataOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every loaded record of an advisory, also under its aliases.

    Example: lockgate advisories show CVE-2021-32807 --data advisories
    """
    import json

    from lockgate.app.advice.advisories import place, shown

    records = shown(place(home, data, None), identifier)

    def render(out: Console) -> None:
        for record in records:
            out.print(f"[bold]{escape(record.advisory.id)}[/] in {record.source}")
            for line in json.dumps(record.record, indent=2, ensure_ascii=False).splitlines():
                out.print(escape(line))

    value = [{"source": r.source, "id": r.advisory.id, "record": r.record} for r in records]
    emit(as_json, {"records": value}, render)


@app.command()
def status(
    age_days: AgeOption = None,
    data: DataOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is loaded and how old it is; ends with 1 when nothing is, or something is too old.

    Example: lockgate advisories status --data advisories
    """
    from lockgate.app.advice.advisories import loaded, place

    held = loaded(place(home, data, age_days))

    def render(out: Console) -> None:
        for age in held:
            out.print(_age(age))
        if not held:
            out.print("No advisory data is loaded.")

    emit(as_json, {"sources": [_age_value(age) for age in held]}, render)
    if not held or any(age.stale or age.source.missing for age in held):
        raise typer.Exit(NOT_FRESH)


def _age(age: "Age") -> str:
    source = age.source
    days = f"{age.seconds / 86_400:.1f} days old" if age.seconds >= 0 else "no date"
    state = "[yellow]too old[/]" if age.stale else "[green]fresh[/]"
    holes = f", [yellow]{source.missing} records not read[/]" if source.missing else ""
    return f"{source.name}: {source.records} records, {days}, {state}{holes}"


def _age_value(age: "Age") -> dict[str, Any]:
    import msgspec

    value: dict[str, Any] = msgspec.to_builtins(age.source)
    return {**value, "age_seconds": age.seconds, "stale": age.stale}


@app.command()
def explain(
    purl: Annotated[str, typer.Option(help="A package URL with its version.")],
    age_days: AgeOption = None,
    data: DataOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show why the answer for a package is what it is: where was looked, what each entry says.

    Example: lockgate advisories explain --purl pkg:npm/lodash@4.17.20 --data advisories
    """
    import msgspec

    from lockgate.app.advice.advisories import explained, place

    found = explained(place(home, data, age_days), purl)

    def render(out: Console) -> None:
        for step in found.looked:
            out.print(escape(step))
        draw(out, found.answer)

    emit(as_json, {"answer": msgspec.to_builtins(found.answer), "looked": list(found.looked)}, render)


@app.command()
def vex(
    document: Annotated[Path, typer.Argument(help="The VEX document: OpenVEX or CycloneDX.")],
    signed: SignedArguments = None,
    key: AskKeyOption = None,
    out: RequestOutOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Apply a VEX document: with --key ask for it, with the signed requests carry it out (high side).

    Approvers read each claim in the request. A finding whose claim says not_affected or fixed counts
    as closed; it stays visible with the claim.

    Examples:
      lockgate advisories vex vex.json --key people/operator --home lane/high
      lockgate advisories vex vex.json approver-1.json approver-2.json --home lane/high
    """
    import msgspec

    from lockgate.app.advice.vex import apply, ask_to_apply
    from lockgate.app.gate.gate import operator_key, write_request
    from lockgate.app.settings import load_settings
    from lockgate.approve import read_statement

    side = load_settings(home).require("high")
    if bool(signed) == bool(key):
        raise typer.BadParameter("Give --key to ask, or the signed requests to carry it out.")
    if signed:
        done = apply(side, document, signed)
        who = ", ".join(sorted(done.approvers))
        value = {"applied": True, "statement": msgspec.to_builtins(done.statement)}
        emit(as_json, value, lambda c: c.print(f"The statements hold, as {who} signed"))
        return
    envelope = ask_to_apply(side, document, operator_key(side, key or Path()))
    file = write_request(side, "vex", envelope, out)
    statement = read_statement(envelope)

    def render(console: Console) -> None:
        console.print(f"Request to apply the statements: {file}")
        for name, text in dict(statement.facts or {}).items():
            console.print(escape(f"  {name}: {text}"))

    emit(as_json, {"request": file, "statement": msgspec.to_builtins(statement)}, render)


@app.command("vex-withdraw")
def vex_withdraw(
    document: Annotated[
        str, typer.Argument(help="SHA-256 of an applied VEX document; without it, list them.")
    ] = "",
    key: AskKeyOption = None,
    reason: Annotated[str, typer.Option(help="Why, for those who read the log.")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Withdraw an applied VEX document at once, by one operator: what it closed is open again (high side).

    Examples:
      lockgate advisories vex-withdraw --home lane/high
      lockgate advisories vex-withdraw 3f0a… --reason "it is reachable" --key people/operator --home lane/high
    """
    import msgspec

    from lockgate.app.advice.vex import applied, withdraw
    from lockgate.app.gate.gate import operator_key
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    if not document:
        found = applied(side)

        def listed(console: Console) -> None:
            for each in found:
                console.print(f"{each.document} signed by {', '.join(each.approvers)}")
                for claim in each.claims:
                    console.print(escape(f"  {claim.sentence}"))

        emit(as_json, {"documents": [msgspec.to_builtins(each) for each in found]}, listed)
        return
    if key is None or not reason.strip():
        raise typer.BadParameter("Give --key and --reason to withdraw a document.")
    made = withdraw(side, document, reason, operator_key(side, key))
    emit(as_json, msgspec.to_builtins(made), lambda c: c.print(f"Withdrawn: {made.document}"))
