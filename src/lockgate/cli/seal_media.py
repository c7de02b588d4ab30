"""``lockgate seal --to``: asks for media one after another, and says what lies on them."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from lockgate.cli.shared import Bars, emit, err, human
from lockgate.crossing.direct import ListedMounts, Mounts, OneMount, Wanted

if TYPE_CHECKING:
    from lockgate.app.crossing.seal import Resuming, SealChoices
    from lockgate.app.settings import Side
    from lockgate.crossing.direct import SealedMedia


class AskedMounts(Mounts):
    """One place where somebody mounts media one after another, as they are asked to."""

    def __init__(self, folder: Path, bars: Bars) -> None:
        """Ask at the terminal, with the bars out of the way."""
        self.first = (folder,)
        self._bars = bars
        self._asked = False

    def mounted(self, wanted: Wanted) -> Path:
        """Return the folder, once somebody says that the medium is there."""
        if wanted.after or wanted.wrong or wanted.closing:
            with self._bars.paused():
                self._ask(wanted)
        return self.first[0]

    def _ask(self, wanted: Wanted) -> None:
        if wanted.wrong:
            err.print(f"[red]{wanted.wrong}[/]")
        elif wanted.after and not wanted.closing:
            err.print(
                f"Medium {wanted.after} of {wanted.count} is filled and read back. Unmount and unplug it;"
            )
            err.print("  it will be asked for once more at the end, when crate.json is known.")
        use = "once more, to be closed" if wanted.closing else f"empty, with {human(wanted.size)} free"
        err.print(
            f"Mount medium {wanted.number} of {wanted.count} at {self.first[0]} ({use}), then press Enter."
        )
        if not sys.stdin.readline():
            raise typer.Abort


def mounts_for(
    to: Sequence[Path], *, one_by_one: bool, next_from: Path | None, bars: Bars
) -> tuple[tuple[Path, ...], Mounts]:
    """Return the media of a sealing, and how they are reached."""
    if next_from is not None:
        lines = next_from.read_text(encoding="utf-8").splitlines()
        listed = (*to, *(Path(line.strip()) for line in lines if line.strip()))
        return listed, ListedMounts(listed)
    if not one_by_one:
        return tuple(to), ListedMounts(to)
    if len(to) != 1:
        raise typer.BadParameter("With --one-by-one name the one place where media are mounted.")
    return tuple(to), AskedMounts(to[0], bars) if sys.stdin.isatty() else OneMount(to[0])


def seal_media(
    side: "Side",
    choices: "SealChoices",
    more: "Resuming | None",
    *,
    next_from: Path | None,
    as_json: bool,
) -> None:
    """Seal onto media and print what lies on each."""
    from dataclasses import replace

    from lockgate.app.crossing.seal import seal_onto_media
    from lockgate.app.rehearsal.standing import rehearsed
    from lockgate.cli.rehearse import warn

    if more is None and not as_json and not (tried := rehearsed(side)).passed:
        warn(err, tried)
    with Bars(quiet=as_json) as bars:
        to, mounts = mounts_for(choices.to, one_by_one=choices.one_by_one, next_from=next_from, bars=bars)
        chosen = replace(choices, to=to, one_by_one=choices.one_by_one or next_from is not None)
        sealed = seal_onto_media(side, bars, chosen, mounts, more)
    emit(as_json, _facts(sealed), lambda out: _show(out, sealed))


def give_up_media(side: "Side", choices: "SealChoices", *, as_json: bool) -> None:
    """Discard what is unfinished, and say so."""
    from lockgate.app.crossing.seal import give_up_media as give_up

    number = give_up(side, choices.to)
    emit(
        as_json,
        {"discarded": number},
        lambda out: out.print(f"The sealing of crossing {number} is discarded."),
    )


def _facts(sealed: "SealedMedia") -> dict[str, object]:
    manifest = sealed.manifest
    return {
        "path": sealed.media[0].path,
        "crate_id": sealed.media[0].path.name,
        "sequence": manifest.sequence,
        "sha256": sealed.crate_sha256,
        "bytes": sum(medium.size for medium in sealed.media),
        "volumes": len(manifest.volumes),
        "parity_volumes": len(manifest.parity.volumes) if manifest.parity else 0,
        "cleartext": manifest.open_to_all,
        "expires": manifest.expires,
        "media": [{**asdict(medium), "verified": True, "safe_to_unplug": True} for medium in sealed.media],
    }


def _show(out: Console, sealed: "SealedMedia") -> None:
    from lockgate.cli.media import CACHED
    from lockgate.cli.seal_plan import listed

    manifest = sealed.manifest
    out.print(f"Crossing {manifest.sequence} sealed onto {len(sealed.media)} media")
    for number, medium in enumerate(sealed.media, 1):
        out.print(f"  medium {number}: {medium.path}: {listed(medium.files)}, {human(medium.size)}")
    out.print(f"  crate.json {sealed.crate_sha256}, expires {manifest.expires:%Y-%m-%d}")
    if manifest.open_to_all:
        out.print("  [bold]Not sealed:[/] signed only, everybody can read it")
    past = all(medium.past_cache for medium in sealed.media)
    out.print("  Everything was read back. Safe to unplug." + ("" if past else f" {CACHED}"))
