"""Media on either side: writing and reading back, reading into the inbox, verifying."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lockgate.app.crossing.repair import mender
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, utc_now
from lockgate.core.ports import Progress
from lockgate.core.wire import whole_second
from lockgate.crossing.media import (
    MEDIA,
    Disposition,
    ImageForm,
    LuksHeader,
    MediaLife,
    MediaReader,
    MediaWriter,
    Medium,
    MediumEvent,
    MediumLife,
    Piece,
    Taken,
    Written,
    format_luks,
    open_luks,
    opened_medium,
    write_image,
)
from lockgate.crossing.mend import Condition


@dataclass(frozen=True, slots=True)
class Looked:
    """What verifying a medium found; `foreign` names what lies beside the crates and was not read."""

    conditions: tuple[Condition, ...]
    foreign: tuple[str, ...]


def plan_media(crate: Path, targets: Sequence[Path], medium: Medium | None) -> list[Piece]:
    """Return what would be written where; nothing is written."""
    return MediaWriter(crate).plan(targets, medium)


def plan_images(crate: Path, folder: Path, medium: Medium | None) -> list[Piece]:
    """Return which images would be written; nothing is written."""
    return MediaWriter(crate).plan_images(folder, medium or MEDIA["bd25"])


def write_media(crate: Path, pieces: Sequence[Piece], progress: Progress) -> list[Written]:
    """Write a crate to mounted media and read everything back."""
    writer = MediaWriter(crate, progress)
    return [writer.write(piece) for piece in pieces]


def write_images(
    crate: Path, pieces: Sequence[Piece], progress: Progress, form: ImageForm = ImageForm.ISO
) -> list[Path]:
    """Write a crate into images and read everything back; the folder that they lie in is made."""
    writer = MediaWriter(crate, progress)
    for piece in pieces:
        piece.target.parent.mkdir(parents=True, exist_ok=True)
    return [write_image(writer, piece, form) for piece in pieces]


@dataclass(frozen=True, slots=True)
class Label:
    """What stands on a medium, and who holds it: noted when the medium is read."""

    serial: str
    by: str
    marking: str = ""
    write_once: bool = False


def read_media(
    side: Side | None,
    media: Sequence[Path],
    inbox: Path | None,
    progress: Progress,
    label: Label | None = None,
) -> tuple[list[Taken], tuple[str, ...]]:
    """Copy the crates of media into an inbox, a side's own unless another is named.

    Args:
        side: Judges crate.json and keeps the record; None on an intake host without keys.
        media: Folders, mount points, images.
        inbox: Where crates go.
        progress: Told about the bytes.
        label: What stands on the medium; needs a side.

    Returns:
        What is in the inbox of each crate, after the last medium; and names that were not read.

    """
    found: dict[str, Taken] = {}
    foreign: list[str] = []
    folder = inbox if inbox is not None or side is None else side.home.inbox
    folder = folder or Path.cwd()
    reader = MediaReader(folder, mender(side, progress), progress)
    for path in media:
        with opened_medium(path) as medium:
            foreign += medium.foreign
            for source in medium.crates:
                found[source.name] = reader.take(source)
    if side is not None and label is not None:
        record_medium(side, label, Disposition.READ, [taken.crate_sha256 for taken in found.values()])
    return list(found.values()), tuple(foreign)


def record_medium(side: Side, label: Label, done: Disposition, crates: Sequence[str] = ()) -> MediumLife:
    """Note what was done with a medium, in the records and in the log."""
    event = MediumEvent(at=whole_second(utc_now()), done=done, by=label.by, crates=tuple(crates))
    facts = {"serial": label.serial, "done": done, "by": label.by, "crates": list(crates)}
    with audit_log(side).recorded("medium", **facts):
        return MediaLife(records_of(side)).note(
            label.serial, event, marking=label.marking, write_once=label.write_once
        )


def list_media(side: Side) -> list[MediumLife]:
    """Return what is known of every medium that was read on this side."""
    return list(MediaLife(records_of(side)).lives())


def encrypt_medium(device: Path, key_file: Path, *, erase: bool, name: str) -> tuple[LuksHeader, Path]:
    """Write and verify a LUKS2 header, then open the device.

    Raises:
        DeviceMapperError: The header is written and verified, and this system cannot open it.

    """
    header = format_luks(device, key_file, erase=erase)
    return header, open_luks(device, key_file, name)


def verify_medium(side: Side | None, path: Path, progress: Progress) -> Looked:
    """Read every byte of the crates on a medium and judge it."""
    judge = mender(side, progress)
    with opened_medium(path) as medium:
        return Looked(tuple(judge.look(source) for source in medium.crates), medium.foreign)
