"""Drawing a chain of hand-overs and what it shows, in words and signs; colour only repeats them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from rich.console import Console

    from lockgate.core.custody import Finding, SignedHandOver

STYLES = {True: "bold red", False: "yellow"}


def draw_findings(console: "Console", findings: "Iterable[Finding]") -> None:
    """Print what a chain shows; each finding says whether it breaks the chain."""
    from lockgate.cli.shared import escape
    from lockgate.core.custody import BREAKS

    found = list(findings)
    if not found:
        console.print("The crate's way: an unbroken chain, nothing found")
    for finding in found:
        broken = finding.kind in BREAKS
        where = f" at hand-over {finding.step + 1}" if finding.step >= 0 else ""
        word = "BREAKS THE CHAIN" if broken else "note"
        console.print(f"[{STYLES[broken]}]{word}[/] {finding.kind}{where}: {escape(finding.what)}")


def draw_chain(console: "Console", chain: "Sequence[SignedHandOver]", findings: "Iterable[Finding]") -> None:
    """Print a chain as a timeline, with the findings where they belong and a summary below."""
    from lockgate.cli.shared import escape

    found = list(findings)
    before = None
    for step, signed in enumerate(chain):
        this = signed.handover
        if before is not None:
            console.print(f"  │ {_span(this.at - before.at)}")
        who = f"packed by {this.giver}" if this.packed else f"{this.giver} → {this.receiver}"
        console.print(f"  ● [bold]{this.at:%Y-%m-%d %H:%M} UTC[/]  {escape(who)}  at {escape(this.place)}")
        console.print(f"  │   seals {_list(this.seals)}; media {_list(this.media)}")
        console.print(f"  │   signed by {escape(', '.join(signed.signers))}", style="dim")
        if this.photos:
            console.print(f"  │   {len(this.photos)} photographs", style="dim")
        if this.note:
            console.print(f"  │   note: {escape(this.note)}")
        for finding in found:
            if finding.step == step:
                console.print(f"  [bold]![/]   {finding.kind}: {escape(finding.what)}")
        before = this
    console.print()
    draw_findings(console, found)


def _list(marks: "Sequence[str]") -> str:
    return ", ".join(marks) or "none"


def _span(length: "timedelta") -> str:
    minutes = round(length.total_seconds() / 60)
    sign, minutes = ("-", -minutes) if minutes < 0 else ("", minutes)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours} h {minutes} min" if hours else f"{sign}{minutes} min"
