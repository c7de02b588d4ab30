"""``lockgate station``: a crate before a scanner that a site is told to use, and the signed report of it."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import Bars, HomeOption, JsonOption, emit, escape, human

if TYPE_CHECKING:
    from lockgate.core.station import SignedReport

app = typer.Typer(
    no_args_is_help=True, help="Show crates to a scanner that you are told to use, and sign what it says."
)

SHOWN = 20
"""Most files that are listed for people."""

_NOT_CLEAN = 8
"""Exit status where a report was signed and says more than clean."""

CrateFolder = Annotated[Path, typer.Argument(help="The crate's folder, as it was copied.")]
ReportFile = Annotated[Path, typer.Argument(help="The report, as it travels beside the crate.")]


def draw_report(out: Console, signed: "SignedReport") -> None:
    """Draw who scanned what with which scanner, and every file that is not clean."""
    report = signed.report
    counts = Counter(scan.outcome.value for scan in report.files)
    said = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    out.print(
        f"Station [bold]{escape(signed.station)}[/]: {escape(signed.scanner)} ({report.scanner.adapter}), "
        f"{report.finished:%Y-%m-%d %H:%M} UTC, counts until {report.expires:%Y-%m-%d}"
    )
    out.print(f"  crossing {report.crossing}, {len(report.files)} files: {said or 'none'}")
    bad = [scan for scan in report.files if scan.outcome != "clean"]
    for scan in bad[:SHOWN]:
        why = ", ".join(scan.names) or scan.why
        out.print(f"  [red]{scan.outcome}[/] {escape(scan.path)}: {escape(why)}")
    if len(bad) > SHOWN:
        out.print(f"  {len(bad) - SHOWN} more (all with --json)")


@app.command()
def check(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Try the scanner: who it is, and whether it finds the EICAR test pattern in files as long as set.

    Example: lockgate station check --home lane/station
    """
    _try(None, home, as_json)


def _try(crate: Path | None, home: Path | None, as_json: bool) -> None:
    import msgspec

    from lockgate.app.crossing.station import try_scanner
    from lockgate.app.settings import load_settings

    tried = try_scanner(load_settings(home).require("station"), crate)
    value = {"scanner": msgspec.to_builtins(tried.scanner), "sample_bytes": tried.sample}
    if tried.crate:
        volumes = tried.crate.manifest.volumes
        size = sum(volume.plaintext_size for volume in volumes)
        value |= {"crossing": tried.crate.manifest.sequence, "volumes": len(volumes), "bytes": size}

    def render(out: Console) -> None:
        facts = tried.scanner
        out.print(f"{escape(facts.name)} {escape(facts.version)} by {facts.adapter}: finds the test pattern")
        out.print(f"  in files of up to {human(tried.sample)}; what is longer is never clean")
        if tried.crate:
            out.print(f"  crossing {value['crossing']}: {value['volumes']} volumes, {human(value['bytes'])}")

    emit(as_json, value, render)


@app.command()
def scan(
    crate: CrateFolder,
    out: Annotated[
        Path | None, typer.Option(help="Where the report goes (default: outbox/ of the home).")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try the scanner and verify crate.json; open nothing.")
    ] = False,
    begin: Annotated[
        bool,
        typer.Option("--begin", help="This station joins the lane now: earlier crates were not shown to it."),
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open a crate as a recipient, show every file to the scanner, and sign what it says.

    An interrupted run goes on where it was. Exit status 7 while volumes miss, 8 where the report is
    signed and says more than clean: carry it all the same.

    Examples:
      lockgate station scan inbox/crate-000001-7f3a9c --home lane/station
      lockgate station scan inbox/crate-000042-19c0de --begin --home lane/station
    """
    from lockgate.app.crossing.station import begin_with, scan_crate
    from lockgate.app.settings import load_settings
    from lockgate.crossing.open import Waiting
    from lockgate.crossing.station import as_plain

    if dry_run:
        _try(crate, home, as_json)
        return
    side = load_settings(home).require("station")
    if begin:
        begin_with(side, crate)
    with Bars(quiet=as_json) as bars:
        done = scan_crate(side, crate, out, bars)
    if isinstance(done, Waiting):
        waits = {"crossing": done.manifest.sequence, "state": "waiting", "missing": list(done.missing)}
        emit(as_json, waits, lambda c: c.print(f"The crate waits for {', '.join(done.missing)}"))
        raise typer.Exit(7)

    def render(console: Console) -> None:
        draw_report(console, done.signed)
        console.print(f"  report: {done.file}; carry it beside the crate")

    emit(as_json, {**as_plain(done.signed), "file": done.file}, render)
    if done.signed.report.outcome != "clean":
        raise typer.Exit(_NOT_CLEAN)


@app.command()
def report(
    file: ReportFile,
    crate: Annotated[Path | None, typer.Option(help="The crate that it has to be of.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a report as it travels, and show it.

    Example: lockgate station report crate-000001-7f3a9c.station.json --home lane/high
    """
    from lockgate.app.crossing.station import check_report
    from lockgate.app.files import read_named
    from lockgate.app.settings import load_settings
    from lockgate.crossing.station import REPORT_LIMIT, as_plain

    signed = check_report(load_settings(home), read_named(file, limit=REPORT_LIMIT), crate)
    emit(as_json, as_plain(signed), lambda out: draw_report(out, signed))


@app.command()
def record(
    sequence: Annotated[int, typer.Argument(help="The crossing's number.")],
    file: ReportFile,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a report for a crossing that was received (high side); do so before `gate inspect`.

    Example: lockgate station record 1 crate-000001-7f3a9c.station.json --home lane/high
    """
    from lockgate.app.crossing.station import record_report
    from lockgate.app.files import read_named
    from lockgate.app.settings import load_settings
    from lockgate.crossing.station import REPORT_LIMIT, as_plain

    side = load_settings(home).require("high")
    signed = record_report(side, sequence, read_named(file, limit=REPORT_LIMIT))
    emit(as_json, as_plain(signed), lambda out: draw_report(out, signed))
