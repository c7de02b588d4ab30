"""Joining the loaded advisories to the gate's policy: facts about what wants in."""

from collections.abc import Mapping, Sequence

import msgspec

from lockgate.admit.ports import AdvisoryReader
from lockgate.advisories import Claims, Freshness, Matched, Outcome, SetKind, Shelf, Source, ages, match_all
from lockgate.advisories.errors import DataSetAlteredError, NoAdvisoryDataError
from lockgate.advisories.vex import CLOSED
from lockgate.app.advice.vex import approved
from lockgate.app.high.channel import CHANNEL, channel_file, channel_reader
from lockgate.app.settings import Side
from lockgate.app.trust import utc_now
from lockgate.core.advised import Advised, OpenAdvisory
from lockgate.core.artifact import Artifact, Kind
from lockgate.core.errors import LockgateError
from lockgate.core.parts import rest_of

_DAY = 86_400


class RecordedAdvisories(AdvisoryReader):
    """Asks the data sets of a high side."""

    def __init__(self, side: Side) -> None:
        """Ask this side's; nothing is read yet."""
        self._side = side

    def advised(
        self, artifacts: Sequence[Artifact], contents: Mapping[str, Sequence[str]]
    ) -> Sequence[Advised]:
        """Return what is known against each artifact, in order; why, where nothing can be told.

        An image is asked by the packages that its layers list, and as unknown as the least known of them.
        """
        asked = [a for a in artifacts if _speaks_of(a)]
        parts = [contents.get(a.purl) or (a.purl,) for a in asked]
        try:
            purls = sorted({purl for each in parts for purl in each})
            found = dict(zip(purls, self._ask(purls), strict=True))
            said = {a.purl: _joined([found[p] for p in each]) for a, each in zip(asked, parts, strict=True)}
        except LockgateError as error:
            said = {a.purl: Advised(unasked=f"{error.what} ({error.code})") for a in asked}
        return [said[a.purl] if _speaks_of(a) else Advised(applies=False) for a in artifacts]

    def _ask(self, purls: Sequence[str]) -> list[Advised]:
        shelf = Shelf(self._side.home.advisories)
        data = shelf.open()
        try:
            freshness = Freshness(utc_now(), self._side.settings.advisories.age_days * _DAY)
            self._demand_admitted(data.sources)
            claims = Claims(approved(self._side).claims)
            answers = match_all(data, purls, freshness, claims=claims)
            seconds = [age.seconds for age in ages(data.sources, freshness)]
            age = -1 if min(seconds) < 0 else max(seconds)
            catalogue = any(source.kind is SetKind.KEV for source in data.sources)
            return [_facts(answer, age, catalogue=catalogue) for answer in answers]
        finally:
            data.close()

    def _demand_admitted(self, sources: Sequence[Source]) -> None:
        """Demand that every data set of the served snapshot is loaded, so that dropping one lifts no hold.

        Raises:
            NoAdvisoryDataError: There is no vulnerability data, or one that was admitted is not loaded.
            DataSetAlteredError: One is loaded that no crossing brought.

        """
        if not any(source.kind is SetKind.OSV for source in sources):
            raise NoAdvisoryDataError("No data set of vulnerabilities is loaded.")
        admitted: dict[str, set[str]] = {}
        if channel_file(self._side, CHANNEL).is_file():
            for each in rest_of(channel_reader(self._side, "gate").current().snapshot).admitted:
                if name := each.artifact.attributes.get("advisories"):
                    admitted.setdefault(name, set()).update(f.sha256 for f in each.artifact.files)
        loaded = {source.name: source.origin for source in sources}
        for name, digests in admitted.items():
            if loaded.get(name) not in digests:
                what = f"The admitted data set {name!r} is not loaded."
                raise NoAdvisoryDataError(what)
        if strange := sorted(set(loaded) - set(admitted)):
            what = f"No served crossing brought the data set {strange[0]!r}."
            raise DataSetAlteredError(what)


def _speaks_of(artifact: Artifact) -> bool:
    """Tell whether advisories speak of such an artifact; only a plain file may be a data set itself."""
    is_data = artifact.kind is Kind.FILE and {"advisories", "trust-roots"} & artifact.attributes.keys()
    return artifact.kind not in {Kind.DOCUMENT, Kind.RULES} and not is_data


def _joined(parts: Sequence[Advised]) -> Advised:
    """Return what is known against everything that an artifact holds."""
    each = {one.id: one for part in parts for one in part.open}
    unknown = any(part.unknown for part in parts)
    return msgspec.structs.replace(parts[0], unknown=unknown, open=tuple(each.values()))


def _facts(answer: Matched, age: int, *, catalogue: bool) -> Advised:
    return Advised(
        catalogue=catalogue,
        age_seconds=age,
        unknown=answer.outcome is Outcome.UNKNOWN,
        open=tuple(
            OpenAdvisory(id=f.id, severity=f.severity, exploited=f.kev is not None, fixed=f.fixed)
            for f in answer.found
            if f.vex not in CLOSED
        ),
    )
