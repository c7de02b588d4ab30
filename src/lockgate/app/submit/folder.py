"""Watched folders: what appears there is submitted once it lies still, and moved aside with what was said.

What clients upload to the mirrors comes the same way: the mirror writes it into a folder of the home, and
reads nothing of it.
"""

import shutil
import threading
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from lockgate.app.high.internal import drop_folder
from lockgate.app.settings import Side
from lockgate.app.submit.making import Offer, UnknownSubmissionError
from lockgate.app.submit.taking import submit
from lockgate.core.errors import LockgateError

ABOUT_LIMIT = 64 << 10
"""Longest file that says what another one is, in bytes."""

LOOK_SECONDS = 5.0
"""How often a folder is looked at; a file has to lie still from one look to the next."""

ABOUT = ".toml"
DONE, REFUSED = "done", "refused"
_OWN = frozenset({DONE, REFUSED})
_Line = Annotated[str, msgspec.Meta(max_length=400)]


class About(msgspec.Struct, forbid_unknown_fields=True):
    """What a file beside a submission says of it."""

    by: _Line = ""
    label: _Line = "internal"
    licence: _Line = "unknown"
    derived: list[_Line] = []
    model: _Line = ""
    task: _Line = "chat"
    collection: _Line = ""
    file: _Line = ""
    image: _Line = ""
    way: _Line = "folder"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file or folder."""

    name: str
    number: int
    purl: str
    code: str
    sentence: str


def take_all(side: Side, folder: Path | None, by: str, said: Callable[[Outcome], None]) -> list[Outcome]:
    """Submit everything that lies in a folder now; what clients uploaded where none is named."""
    found = []
    for path in _waiting(folder or drop_folder(side)):
        found.append(_take(side, path, by))
        said(found[-1])
    return found


def watch_folder(
    side: Side,
    folder: Path | None,
    by: str,
    said: Callable[[Outcome], None],
    stop: threading.Event | None = None,
) -> None:
    """Submit what appears in a folder once it lies still, until told to stop."""
    ended = stop or threading.Event()
    root = folder or drop_folder(side)
    before: dict[Path, tuple[int, int]] = {}
    while not ended.is_set():
        now = {path: _mark(path) for path in _waiting(root)}
        for path, mark in now.items():
            if before.get(path) == mark:
                said(_take(side, path, by))
        before = now
        ended.wait(LOOK_SECONDS)


def _waiting(root: Path) -> list[Path]:
    """Return what waits in a folder, by name: no hidden files, no links, nothing that tells of another."""
    found = sorted(root.iterdir()) if root.is_dir() else []
    return [
        path
        for path in found
        if not (path.name.startswith(".") or path.name in _OWN or path.is_symlink())
        and not (path.suffix == ABOUT and path.is_file())
    ]


def _mark(path: Path) -> tuple[int, int]:
    """Return what changes while somebody writes: the newest time and the size of all files."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    facts = [file.stat() for file in files]
    return max((f.st_mtime_ns for f in facts), default=0), sum(f.st_size for f in facts)


def _take(side: Side, path: Path, by: str) -> Outcome:
    about = path.with_name(path.name + ABOUT)
    try:
        said = _about(about)
        offer = Offer(
            path=path,
            label=said.label,
            licence=said.licence,
            derived=tuple(said.derived),
            model=said.model,
            task=said.task,
            collection=said.collection,
            file=said.file,
            image=said.image,
        )
        taken = submit(side, offer, said.by or by, said.way)
    except LockgateError as error:
        outcome = Outcome(path.name, 0, "", error.code, f"{path.name}: refused: {error.what} ({error.code})")
        _aside(path, about, REFUSED, f"{outcome.sentence}\n{error.what_to_do}\n")
        return outcome
    number, purl = taken.number, taken.artifact.purl
    outcome = Outcome(path.name, number, purl, "", f"{path.name}: submission {number}, {purl}")
    _aside(path, about, DONE, f"{outcome.sentence}\n", keep=path.parent != drop_folder(side))
    return outcome


def _about(file: Path) -> About:
    if not file.is_file() or file.is_symlink():
        return About()
    with file.open("rb") as stream:
        data = stream.read(ABOUT_LIMIT + 1)
    if len(data) > ABOUT_LIMIT:
        what = f"{file.name} is longer than {ABOUT_LIMIT} bytes."
        raise UnknownSubmissionError(what, limit="ABOUT_LIMIT")
    try:
        return msgspec.convert(tomllib.loads(data.decode()), About)
    except (ValueError, msgspec.ValidationError) as error:
        what = f"{file.name} cannot be read: {error}."
        raise UnknownSubmissionError(what, advice="`lockgate submit watch --help` lists its keys.") from error


def _aside(path: Path, about: Path, folder: str, text: str, *, keep: bool = True) -> None:
    """Move a submission and what lay beside it away; an older one of its name stays, under another name.

    What the mirrors laid here is not kept once it is in quarantine: nobody comes for it.
    """
    target = path.parent / folder
    target.mkdir(exist_ok=True)
    free = next(n for n in _names(path.name) if not (target / f"{n}.txt").exists())
    path.rename(target / free)
    if not keep:
        shutil.rmtree(target / free) if (target / free).is_dir() else (target / free).unlink()
    if about.is_file():
        about.rename(target / f"{free}{ABOUT}")
    (target / f"{free}.txt").write_text(text)


def _names(name: str) -> Iterator[str]:
    yield name
    number = 1
    while True:
        yield f"{number}-{name}"
        number += 1
