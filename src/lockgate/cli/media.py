"""``lockgate media``: crates on media: written and read back, read, verified, and what became of them."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from lockgate.cli.shared import Bars, HomeOption, JsonOption, draw_list, emit, escape, human

if TYPE_CHECKING:
    from lockgate.crossing.media import Medium, Piece

app = typer.Typer(no_args_is_help=True, help="Write crates to media, read them, and keep track of media.")

SHOWN = 20
"""Most damaged places that are listed for people."""

MediumOption = Annotated[
    str | None, typer.Option("--medium", help="fat32, dvd, bd25, bd50, bd100, or bytes of one medium.")
]
Serial = Annotated[str, typer.Option(help="The serial that stands on the medium.")]
By = Annotated[str, typer.Option(help="Who holds it, or did it.")]
Marking = Annotated[str, typer.Option(help="Its marking, as it stands on the medium.")]


def _medium(name: str | None) -> "Medium | None":
    from lockgate.crossing.media import medium_named

    return None if name is None else medium_named(name)


def _facts(piece: "Piece") -> dict[str, object]:
    return {"target": str(piece.target), "files": list(piece.files), "bytes": piece.size}


@app.command()
def write(
    crate: Annotated[Path, typer.Argument(help="The crate's folder.")],
    to: Annotated[
        list[Path] | None, typer.Option("--to", help="A mounted medium's folder; repeat it for more media.")
    ] = None,
    image: Annotated[
        Path | None, typer.Option("--image", help="Write disc images into this folder instead.")
    ] = None,
    form: Annotated[
        str,
        typer.Option("--form", help="Of images: iso, or udf, where large volumes are in one piece."),
    ] = "iso",
    medium: MediumOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be written where.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a crate to media, read everything back, and say when a medium may be unplugged.

    Interrupted, it goes on where it was. With --image one image is written for each disc of the
    medium that is named (bd25 where none is).

    Examples:
      lockgate media write lane/low/outbox/crate-000001-7f3a9c --to /media/usb
      lockgate media write lane/low/outbox/crate-000001-7f3a9c --image discs --medium bd25 --dry-run
      lockgate media write lane/low/outbox/crate-000001-7f3a9c --image discs --form udf --medium bd25
    """
    from lockgate.app.crossing.media import plan_images, plan_media, write_images, write_media
    from lockgate.crossing.media import ImageForm

    if bool(to) == (image is not None):
        raise typer.BadParameter("Name either --to or --image.")
    if form not in {*ImageForm} or (image is None and form != ImageForm.ISO):
        raise typer.BadParameter("--form is iso or udf, and goes with --image.")
    kind = _medium(medium)
    pieces = plan_images(crate, image, kind) if image is not None else plan_media(crate, to or [], kind)
    if dry_run:
        _show_plan(as_json, pieces, kind)
        return
    with Bars(quiet=as_json) as bars:
        if image is not None:
            paths = write_images(crate, pieces, bars, ImageForm(form))
            written = [
                {**_facts(p), "target": path, "verified": True} for p, path in zip(pieces, paths, strict=True)
            ]
        else:
            written = [
                {
                    **_facts(one.piece),
                    "copied": one.copied,
                    "verified": True,
                    "past_cache": one.past_cache,
                    "safe_to_unplug": True,
                }
                for one in write_media(crate, pieces, bars)
            ]

    def render(out: Console) -> None:
        for one in written:
            out.print(f"{one['target']}: {human(int(str(one['bytes'])))} written and read back")
            if image is None:
                out.print("  Safe to unplug." if one["past_cache"] else f"  Safe to unplug. {CACHED}")

    emit(as_json, {"crate": crate.name, "media": written}, render)


CACHED = "What was read back may have come from memory: verify it once more after plugging it in again."


def _show_plan(as_json: bool, pieces: "list[Piece]", medium: "Medium | None") -> None:
    from lockgate.crossing.media import MEDIA, write_seconds

    kind = medium or MEDIA["fat32"]
    facts = [{**_facts(piece), "seconds": write_seconds(piece.size, kind)} for piece in pieces]

    def render(out: Console) -> None:
        table = Table("Medium", "Volumes", "Size", "About")
        for piece, fact in zip(pieces, facts, strict=True):
            minutes = -(-int(str(fact["seconds"])) // 60)
            table.add_row(piece.target.name, str(len(piece.files)), human(piece.size), f"{minutes} min")
        out.print(table)
        kept = (
            "It can be written once." if kind.write_once else "Write-once media are better: see the runbook."
        )
        out.print(f"{len(pieces)} media. {kept}")

    emit(as_json, {"media": facts, "write_once": kind.write_once}, render)


@app.command()
def read(
    media: Annotated[list[Path], typer.Argument(help="Mount points, folders, or images (not mounted).")],
    into: Annotated[Path | None, typer.Option("--into", help="Inbox (default: the side's own).")] = None,
    serial: Annotated[str, typer.Option(help="The serial that stands on the medium; noted.")] = "",
    by: Annotated[str, typer.Option(help="Who brought it.")] = "",
    marking: Marking = "",
    write_once: Annotated[bool, typer.Option("--write-once", help="It can be written once.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy crates from media into the inbox; the media are only read.

    Only regular files of a crate are read, bounded in number and size. Several media may come in any
    order; what one gives damaged is taken from another. Exit status 7 while volumes are missing.
    Without --home it runs on an intake host without keys, into --into.

    Examples:
      lockgate media read /media/usb --serial USB-0042 --by 'A. Courier' --home lane/high
      lockgate media read disc-1.iso disc-2.iso --into intake
    """
    from lockgate.app.crossing.media import Label, read_media
    from lockgate.app.settings import load_settings

    side = None if home is None else load_settings(home)
    if side is None and (serial or into is None):
        raise typer.BadParameter("Without --home name --into; a serial is noted on a side.")
    if serial and not by:
        raise typer.BadParameter("With --serial say with --by who brought it.")
    label = Label(serial, by, marking, write_once) if serial else None
    with Bars(quiet=as_json) as bars:
        taken, foreign = read_media(side, media, into, bars, label)
    value = {
        "crates": [
            {
                "path": one.folder,
                "crate_sha256": one.crate_sha256,
                "copied": one.copied,
                "missing": list(one.missing),
                "damages": [asdict(part) for part in one.damages],
            }
            for one in taken
        ],
        "not_read": list(foreign),
    }

    def render(out: Console) -> None:
        for one in taken:
            state = f"waits for {', '.join(one.missing)}" if one.missing else "is all here"
            out.print(f"{one.folder.name} {state}; {human(one.copied)} copied")
            for part in one.damages[:SHOWN]:
                out.print(f"  damaged: {part.file}, {part.why} at {part.offset}, {human(part.length)}")
        for name in foreign[:SHOWN]:
            out.print(f"  not read: {escape(name)}")

    emit(as_json, value, render)
    if any(one.missing or one.damages for one in taken):
        raise typer.Exit(7)


@app.command()
def verify(
    medium: Annotated[Path, typer.Argument(help="A mount point, a folder, or an image (not mounted).")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read every byte of the crates on a medium and compare it with their digests.

    Whether crate.json was forged is judged only with --home. Exit status 7 when something is missing
    or damaged.

    Example: lockgate media verify /media/usb
    """
    from lockgate.app.crossing.media import verify_medium
    from lockgate.app.settings import load_settings

    side = None if home is None else load_settings(home)
    with Bars(quiet=as_json) as bars:
        found = verify_medium(side, medium, bars)
    value = {
        "crates": [
            {
                "crate": one.manifest.folder,
                "crate_sha256": one.crate_sha256,
                "signatures": "checked" if one.authentic else "not checked",
                "damages": [asdict(part) for part in one.damages],
            }
            for one in found.conditions
        ],
        "not_read": list(found.foreign),
    }

    def render(out: Console) -> None:
        for one in found.conditions:
            state = f"{len(one.damages)} places missing or damaged" if one.damages else "whole"
            signed = "signatures checked" if one.authentic else "signatures not checked (name --home for it)"
            out.print(f"{one.manifest.folder}: {state}; {signed}")
            for part in one.damages[:SHOWN]:
                out.print(f"  {part.file}, {part.why} at {part.offset}, {human(part.length)}")
        for name in found.foreign[:SHOWN]:
            out.print(f"  not read: {escape(name)}")

    emit(as_json, value, render)
    if any(one.damages for one in found.conditions):
        raise typer.Exit(7)


@app.command()
def encrypt(
    device: Annotated[Path, typer.Argument(help="Block device or file; everything on it is lost.")],
    key_file: Annotated[Path, typer.Option(help="File with the passphrase.")],
    erase: Annotated[bool, typer.Option("--erase", help="Overwrite what is on it.")] = False,
    name: Annotated[str, typer.Option(help="Name of the opened device.")] = "lockgate-medium",
    as_json: JsonOption = False,
) -> None:
    """Encrypt a medium with LUKS2 and open it, as a second layer around sealed crates.

    The header is written and verified everywhere; opening needs device-mapper and says so where
    there is none (LG-5733). Make a file system on the opened device, mount it and write to it.

    Example: lockgate media encrypt /dev/sdX --key-file medium.pass
    """
    from lockgate.app.crossing.media import encrypt_medium

    header, opened = encrypt_medium(device, key_file, erase=erase, name=name)
    value = {"device": device, "opened": opened, **asdict(header)}

    def render(out: Console) -> None:
        out.print(
            f"{device}: LUKS2, {header.cipher}, {header.key_bits} bits, {header.derivation}, {header.uuid}"
        )
        out.print(f"  opened as {opened}; make a file system there, mount it, then `lockgate media write`")

    emit(as_json, value, render)


@app.command()
def record(
    serial: Serial,
    done: Annotated[str, typer.Option(help="read, retained, wiped or destroyed.")],
    by: By,
    marking: Marking = "",
    write_once: Annotated[bool, typer.Option("--write-once", help="It can be written once.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Note what was done with a medium: retained, wiped, destroyed, by whom.

    Example: lockgate media record --serial USB-0042 --done destroyed --by 'B. Clerk' --home lane/high
    """
    from lockgate.app.crossing.media import Label, record_medium
    from lockgate.app.settings import load_settings
    from lockgate.crossing.media import Disposition

    if done not in list(Disposition):
        raise typer.BadParameter("--done is one of read, retained, wiped, destroyed.")
    life = record_medium(load_settings(home), Label(serial, by, marking, write_once), Disposition(done))
    emit(
        as_json,
        {"serial": life.serial, "marking": life.marking, "events": len(life.events), "open": life.open},
        lambda out: out.print(f"{life.serial}: {done} by {by}"),
    )


@app.command(name="list")
def list_(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the media that were read here, and what became of each.

    Example: lockgate media list --home lane/high
    """
    from lockgate.app.crossing.media import list_media
    from lockgate.app.settings import load_settings

    lives = list_media(load_settings(home))
    value = [
        {
            "serial": life.serial,
            "marking": life.marking,
            "write_once": life.write_once,
            "open": life.open,
            "events": [
                {"at": e.at, "done": e.done, "by": e.by, "crates": list(e.crates)} for e in life.events
            ],
        }
        for life in lives
    ]

    def render(out: Console) -> None:
        table = Table("Serial", "Marking", "Kind", "Last", "By", "When")
        for life in lives:
            last = life.events[-1]
            kind = "write-once" if life.write_once else "rewritable"
            table.add_row(life.serial, life.marking, kind, last.done, last.by, f"{last.at:%Y-%m-%d}")
        draw_list(out, table, "No medium is known")
        for life in lives:
            if life.open:
                out.print(f"  {life.serial} was read, and nobody said what became of it")

    emit(as_json, value, render)
