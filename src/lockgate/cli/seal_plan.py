"""``lockgate seal --plan``: what would cross and why, and what goes on which medium."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from lockgate.cli.shared import Bars, emit, human

if TYPE_CHECKING:
    from lockgate.app.crossing.seal import SealChoices
    from lockgate.app.settings import Side
    from lockgate.crossing import Plan
    from lockgate.crossing.needs import Discs, MediumNeed


_NAMED = 3
"""From how many files on they are counted and not named."""


def show_plan(side: "Side", choices: "SealChoices", *, as_json: bool) -> None:
    """Print what sealing would write; nothing is written."""
    from lockgate.app.crossing.seal import media_need, plan_crate
    from lockgate.app.rehearsal.standing import rehearsed
    from lockgate.cli.rehearse import warn
    from lockgate.crossing.needs import per_medium

    with Bars(quiet=as_json) as bars:
        planned = plan_crate(side, choices, bars)
    need = media_need(planned, choices.medium) if choices.medium or choices.to else None
    tried = rehearsed(side)
    volumes = [{"name": v.name, "size": v.size} for v in planned.volumes]
    value = {
        "sequence": planned.sequence,
        "files": planned.files,
        "bytes": planned.sealed,
        "volumes": volumes,
        "parity_volumes": sum(one.group.parity for one in planned.parity),
        "parity_bytes": planned.parity_bytes,
        "kind": "delta" if planned.bases else "full",
        "per_medium": [
            {"medium": m.medium, "pieces": m.pieces, "bytes": m.size, "seconds": m.seconds}
            for m in per_medium(planned)
        ],
        "bases": dict(planned.bases),
        "artifacts": [
            {
                "path": e.path,
                "kind": e.kind,
                "size": e.size,
                "bytes": e.carried,
                "why": e.why,
                "kept": list(e.kept),
            }
            for e in planned.entries
        ],
        "medium": None if need is None else need.medium.name,
        "media": None if need is None else need.count,
        "write_seconds": None if need is None else need.seconds,
        "discs": [] if need is None else [asdict(disc) for disc in need.spread.discs],
        "losses": None if need is None else need.spread.losses,
        "rehearsal": {"standing": tried.standing, "why": tried.why},
    }

    def show(out: Console) -> None:
        show_entries(out, planned)
        table = Table("Volume", "Size")
        for volume in planned.volumes:
            table.add_row(volume.name, human(volume.size))
        out.print(table)
        out.print(f"Crossing {planned.sequence}: {planned.files} files, {human(planned.sealed)} sealed")
        for one in planned.parity:
            group = one.group
            out.print(
                f"  parity: {group.parity} for {group.volumes} volumes, {human(one.size * group.parity)};"
                f" any {group.parity} of them may be lost"
            )

        if need is not None:
            kept = "write-once" if need.medium.write_once else "rewritable"
            minutes = -(-need.seconds // 60)
            out.print(f"  {need.count} of {need.medium.name} ({kept}), about {minutes} min to write and read")
            show_discs(out, need.spread)
        warn(out, tried)

    emit(as_json, value, show)


def show_entries(out: Console, planned: "Plan") -> None:
    """Print how each file crosses, what is built on, and how many media it takes."""
    from lockgate.crossing.needs import per_medium

    table = Table("File", "Crosses as", "Size", "Carried", "Why")
    for entry in planned.entries:
        table.add_row(entry.path, entry.kind, human(entry.size), human(entry.carried), entry.why)
    out.print(table)
    size, carried = sum(e.size for e in planned.entries), sum(e.carried for e in planned.entries)
    based = f", building on crossings {', '.join(planned.bases)}" if planned.bases else ""
    out.print(f"{human(carried)} for files of {human(size)}{based}")
    out.print("On media: " + "; ".join(map(_need, per_medium(planned))))


def listed(files: Sequence[str]) -> str:
    """Return which files lie on a medium, in a few words."""
    if len(files) < _NAMED:
        return " and ".join(files) or "nothing"
    return f"{files[0]} and {len(files) - 1} more"


def show_discs(out: Console, spread: "Discs") -> None:
    """Print what goes on which disc, and which of them may get lost."""
    count = len(spread.discs)
    for disc in spread.discs:
        names = listed(disc.files)
        spare = "rebuilt from the others if it is lost" if disc.spare else "has to arrive"
        out.print(f"  disc {disc.number} of {count}: {names}, {human(disc.size)}; {spare}")
    if count > 1:
        out.print(
            f"  any {spread.losses} of the {count} may be lost" if spread.losses else "  none may be lost"
        )


def _need(need: "MediumNeed") -> str:
    return f"{need.pieces} of {need.medium}, about {max(1, round(need.seconds / 60))} min with reading back"
