"""Joining the loaded advisories to the mirrors: what a registry answers when a client asks for an audit."""

import time
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING

from lockgate.advisories import (
    AdvisoryData,
    Claims,
    Freshness,
    Matched,
    Outcome,
    SetKind,
    Shelf,
    Source,
    ages,
    match_all,
    npm_range,
)
from lockgate.advisories.errors import NoAdvisoryDataError
from lockgate.advisories.vex import CLOSED
from lockgate.app.advice.vex import approved
from lockgate.app.files import FRESH_NANOSECONDS
from lockgate.app.settings import Side
from lockgate.app.trust import utc_now
from lockgate.core.npm import is_name, is_version, npm_purl
from lockgate.mirror import Advice, Advisor, KnownAdvisory

if TYPE_CHECKING:
    from lockgate.advisories.database import FileData

_DAY = 86_400
_NPM = "npm"
_SHOWN = 200


class RecordedAdvisor(Advisor):
    """Asks the data sets of a high side; each file is hashed when it is opened and when it changes."""

    def __init__(self, side: Side, now: Callable[[], int] = time.time_ns) -> None:
        """Ask this side's; nothing is read yet.

        Args:
            side: The side.
            now: Tells the moment, in nanoseconds since 1970.

        """
        self._side = side
        self._now = now
        self._shelf = Shelf(side.home.advisories)
        self._lock = Lock()
        self._open: tuple[object, FileData] | None = None

    def npm(self, packages: Mapping[str, Sequence[str]]) -> Advice:
        """Return what is known against versions of npm packages.

        Raises:
            NoAdvisoryDataError: Nothing is loaded that speaks of npm.
            DataSetAlteredError: A data set is not the one that was loaded.

        """
        asked = {
            npm_purl(name, version): (name, version)
            for name, versions in packages.items()
            for version in versions
            if is_name(name) and is_version(version)
        }
        with self._lock:
            data = self._data()
            sources = [s for s in data.sources if s.kind is SetKind.OSV and _NPM in s.ecosystems]
            if not sources:
                raise NoAdvisoryDataError("No loaded data set speaks of npm packages.")
            freshness = Freshness(utc_now(), self._side.settings.advisories.age_days * _DAY)
            answers = match_all(data, asked, freshness, claims=Claims(approved(self._side).claims))
            return Advice(_known(data, asked, answers), _notices(sources, freshness))

    def _data(self) -> "FileData":
        """Return the data, opened again where the list or one of the files changed."""
        state = (self._shelf.sources(), self._fingerprints())
        held = self._open
        if held is not None and held[0] == state:
            return held[1]
        self._open = None
        if held is not None:
            held[1].close()
        data = self._shelf.open()
        self._open = (state, data)
        return data

    def _fingerprints(self) -> tuple[object, ...]:
        """Return what tells of a change of a file; of one that was just written, nothing does for a while."""
        found: list[object] = []
        for file in sorted((self._shelf.folder / "sets").glob("*.sqlite")):
            facts = file.stat()
            fresh = object() if 0 <= self._now() - facts.st_ctime_ns < FRESH_NANOSECONDS else None
            found.append(
                (file.name, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, fresh)
            )
        return tuple(found)


def _known(
    data: AdvisoryData, asked: Mapping[str, tuple[str, str]], answers: Sequence[Matched]
) -> dict[str, list[KnownAdvisory]]:
    found: dict[str, dict[str, KnownAdvisory]] = {}
    for answer in answers:
        if answer.outcome is not Outcome.AFFECTED:
            continue
        name, version = asked[answer.purl]
        entries = [entry for row in data.rows(_NPM, name) for entry in data.entries(row)]
        for one in (f for f in answer.found if f.vex not in CLOSED):
            known = found.setdefault(name, {}).get(one.id)
            found[name][one.id] = KnownAdvisory(
                id=one.id,
                title=one.summary[:_SHOWN],
                severity=str(one.severity or "critical"),
                ranges=npm_range(e for e in entries if e.id in {one.id, *one.aliases}),
                fixed=one.fixed or (known.fixed if known else ""),
                versions=(*(known.versions if known else ()), version),
                score_tenths=one.score_tenths,
            )
    return {name: list(known.values()) for name, known in found.items()}


def _notices(sources: Sequence[Source], freshness: Freshness) -> tuple[str, ...]:
    old = [age.source.name for age in ages(sources, freshness) if age.stale]
    return tuple(f"the advisory data {name} is older than its limit" for name in old)
