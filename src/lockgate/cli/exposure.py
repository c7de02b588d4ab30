"""``lockgate exposure``: how far behind what is served lies, and what is known against it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from lockgate.cli.shared import HomeOption, JsonOption, draw_list, emit

if TYPE_CHECKING:
    from datetime import datetime

    from lockgate.advisories import Exposed
    from lockgate.app.advice.exposure import ExposureReport

app = typer.Typer(help="Show how exposed what is served is, and since when.")

STYLES = {
    "affected": "bold red",
    "not affected": "green",
    "unknown to the database": "yellow",
    "database too old": "yellow",
}


@app.command()
def exposure(
    wanted: Annotated[
        Path | None, typer.Option(help="Also write what the next crossing should bring, to carry back.")
    ] = None,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Print metrics in Prometheus' text form instead.")
    ] = False,
    alerts: Annotated[
        bool,
        typer.Option(
            "--alerts", help="Print alerting rules for these metrics and those of verdicts instead."
        ),
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show each served artifact's release, admission, distance to the newest version and open advisories.

    Ends as `lockgate advisories match` does: 0 only when each is not affected.

    Example: lockgate exposure --home lane/high --wanted wanted.json
    """
    import sys

    import msgspec

    from lockgate.advisories import exit_status, wanted_of
    from lockgate.app.advice.advisories import place
    from lockgate.app.advice.exposure import metrics as in_text
    from lockgate.app.advice.exposure import report
    from lockgate.app.files import write_named
    from lockgate.app.settings import load_settings
    from lockgate.core.wire import encode

    if alerts:
        from lockgate.watch import ALERT_GROUPS, alert_rules

        sys.stdout.write(alert_rules(ALERT_GROUPS))
        return
    side = load_settings(home).require("high")
    found = report(side, place(home, None, None))
    if wanted:
        write_named(wanted, encode(wanted_of(side.lane, found.exposed)))
    if metrics:
        sys.stdout.write(in_text(found))
        return
    emit(as_json, msgspec.to_builtins(found), lambda out: _draw(out, found))
    raise typer.Exit(exit_status(each.outcome for each in found.exposed))


def _day(moment: "datetime | None") -> str:
    return f"{moment:%Y-%m-%d}" if moment else "not known"


def _count(days: int) -> str:
    return str(days) if days >= 0 else "not known"


def _draw(out: Console, found: "ExposureReport") -> None:
    from rich.table import Column, Table
    from rich.text import Text

    columns = ("Outcome", "Released,\nadmitted", "Newest,\ndays behind", "Open", "Fixed in")
    table = Table(Column("Artifact", ratio=1), *columns)
    for each in sorted(found.exposed, key=lambda one: (-len(one.open), one.purl)):
        table.add_row(*[cell if isinstance(cell, Text) else Text(cell) for cell in _cells(each, Text)])
    draw_list(out, table, "Nothing is served")
    for each in found.exposed:
        for one in each.open:
            severity = one.found.severity or "severity not known"
            kev = ", exploited" if one.found.kev else ""
            epss = f", EPSS {one.found.epss_ppm / 10_000:.2f} %" if one.found.epss_ppm >= 0 else ""
            since = one.found.first_known[:10] or "a day that is not known"
            days = f"known since {since} ({_count(one.days_known)} days), exposed {_count(one.days_exposed)}"
            name = f"{each.purl}: {one.inside}" if one.inside else each.purl
            line = f"  {name}: {one.found.id} {severity}{kev}{epss}, {days}"
            out.print(Text(f"{line}, fixed in {one.found.fixed or 'not known'}"))
    for age in found.ages:
        days = _count(age.seconds // 86_400 if age.seconds >= 0 else -1)
        state = "too old" if age.stale else "fresh"
        out.print(f"{age.source.name}: {days} days old, {state}")


def _cells(each: "Exposed", text: Any) -> list[Any]:
    state = text(each.outcome, style=STYLES[each.outcome])
    dates = f"{_day(each.released)}\n{_day(each.admitted)}"
    newest = f"{each.newest or 'not known'}\n{_count(each.days_behind)}"
    more = [f"licence {each.licence}"] * (each.kind in {"model", "ollama"})
    more += [f"cut-off {each.knowledge_cutoff}"] * bool(each.knowledge_cutoff)
    more += [f"successor {each.successor}"] * bool(each.successor)
    name = "\n".join([each.purl, *more])
    return [name, state, dates, newest, str(len(each.open)), each.fixed or "-"]
