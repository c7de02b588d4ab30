"""Python projects for several environments at once, with source archives and what building them needs."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from lockgate.collect.errors import InstallerError, NoFileError, UnresolvableError
from lockgate.collect.ports import Resolution, Wheel
from lockgate.collect.room import Room
from lockgate.collect.universal.fetch import fetch_files
from lockgate.collect.universal.ports import Described, Locker, Scope
from lockgate.collect.universal.pylock import SDIST_SUFFIX
from lockgate.collect.universal.sdists import Source, read_sdist
from lockgate.core.errors import LockgateError

ROUNDS = 6
"""How often is resolved anew with what chosen source archives say they depend on."""

DEPTH = 4
"""How deep source archives may need other source archives to be built."""

TASK_LENGTH = 60

_WORD = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(slots=True)
class Lock:
    """Everything that a scope and the builds of its source archives need."""

    files: dict[tuple[str, str], Wheel] = field(default_factory=dict)
    pages: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add(self, found: Resolution) -> None:
        """Add what one resolution gave."""
        self.files |= {(file.filename, file.sha256): file for file in found.wheels}
        for project, addresses in found.pages.items():
            self.pages[project] = tuple(dict.fromkeys((*self.pages.get(project, ()), *addresses)))

    def resolution(self) -> Resolution:
        """Return it as one resolution."""
        return Resolution(tuple(self.files[key] for key in sorted(self.files)), self.pages)


def resolve_scope(room: Room, scope: Scope) -> Resolution:
    """Return the files that a scope needs, and those that building its source archives needs.

    Source archives are fetched, since nothing else says what they depend on; none of them is run. Building
    happens apart from what is installed, so each archive's needs are resolved by themselves.

    Raises:
        UnresolvableError: No source has what is asked for, or no answer fits itself.
        LockgateError: See `Locker.resolve` and `read_sdist`.

    """
    lock = Lock()
    built: set[str] = set()
    waiting: list[tuple[tuple[str, ...], int]] = [(scope.requirements, 0)]
    while waiting:
        requirements, depth = waiting.pop()
        found = _settled(room, replace(scope, requirements=requirements))
        lock.add(found)
        for file, source in _sources(room, found):
            if file.sha256 in built or not source.build:
                continue
            built.add(file.sha256)
            if depth == DEPTH:
                what = f"Building {file.project} needs source archives that need others, over {DEPTH} times."
                raise UnresolvableError(what, advice="Name fewer projects in `sdists`.")
            waiting.append((source.build, depth + 1))
    return lock.resolution()


def demand_locker(room: Room) -> Locker:
    """Return the client that locks for several environments.

    Raises:
        InstallerError: There is none.

    """
    if room.locker is None:
        what = (
            "The manifest wants several environments or indexes, and this collection has no client for them."
        )
        raise InstallerError(what, advice="Install uv, or collect where it is installed.")
    return room.locker


def _settled(room: Room, scope: Scope) -> Resolution:
    """Resolve with wheels alone, then with one source archive after the other, where nothing else does.

    It ends when what the chosen archives depend on is what was resolved with.
    """
    waiting = list(scope.sources)
    scope = replace(scope, sources=())
    for _ in range(ROUNDS + len(waiting)):
        try:
            found = _resolve(room, scope)
        except (UnresolvableError, NoFileError) as error:
            needed = _needed(error, waiting)
            if not needed:
                raise
            waiting = [one for one in waiting if one not in needed]
            scope = replace(scope, sources=(*scope.sources, *needed))
            continue
        said = _described(room, scope, found)
        if said == scope.sources:
            return found
        scope = replace(scope, sources=said)
    what = f"What source archives depend on chooses other archives, {ROUNDS} times."
    raise UnresolvableError(what, advice="Pin the versions of the projects that are named in `sdists`.")


def _needed(error: LockgateError, waiting: Sequence[Described]) -> list[Described]:
    """Return the projects that may come as source archives and that a failure is about; else all of them."""
    about = {error.where.get("project"), *_WORD.findall(error.what.lower())}
    return [one for one in waiting if one.project in about] or list(waiting)


def _described(room: Room, scope: Scope, found: Resolution) -> tuple[Described, ...]:
    """Return what chosen archives say; a project that came as wheels alone is described by them."""
    chosen = {file.project: source for file, source in _sources(room, found)}
    present = {file.project for file in found.wheels}
    return tuple(
        Described(one.project, chosen[one.project].requires) if one.project in chosen else one
        for one in scope.sources
        if one.project in chosen or one.project not in present
    )


def _resolve(room: Room, scope: Scope) -> Resolution:
    names = ", ".join(scope.requirements)
    room.progress.start(f"lock {names[:TASK_LENGTH]}", 0)
    with TemporaryDirectory(dir=room.work, prefix="lock-") as folder:
        found = demand_locker(room).resolve(scope, Path(folder), room.progress.advance)
    room.progress.finish()
    return found


def _sources(room: Room, found: Resolution) -> Iterator[tuple[Wheel, Source]]:
    """Yield the source archives of a resolution with what they say."""
    archives = [file for file in found.wheels if file.filename.endswith(SDIST_SUFFIX)]
    fetch_files(room, archives)
    for file in archives:
        source = read_sdist(room.blobs.path(file.sha256), file.filename, room.limits)
        _tell(room, file, source)
        yield file, source


def _tell(room: Room, file: Wheel, source: Source) -> None:
    if not source.promised:
        room.note(
            f"{file.filename}: what it depends on is what its authors wrote down; building it may say more."
        )
    if source.own_backend:
        room.note(f"{file.filename}: its build runs code of its own, which may ask for more than it says.")
