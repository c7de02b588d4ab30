"""What the high side keeps of stations' reports: every one of a crossing, verified again when it is read."""

from collections.abc import Sequence
from dataclasses import dataclass

from lockgate.core.artifact import Artifact
from lockgate.core.errors import LockgateError
from lockgate.core.roots import Root
from lockgate.core.station import SignedReport
from lockgate.crossing.ledger import ledger_key
from lockgate.crossing.station.errors import ReportsLimitError
from lockgate.crossing.station.report import demand_report, read_report
from lockgate.store import Records

STATIONS = "station"

REPORTS_LIMIT = 16
"""Most reports of one crossing."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is on record of a crossing: reports that verify, and why others do not."""

    reports: tuple[SignedReport, ...]
    unproven: tuple[str, ...]


class StationLedger:
    """Reports by crossing. None is ever replaced: the strictest of all of them counts."""

    def __init__(self, records: Records, site: Root) -> None:
        """Use what the records hold, and the keys that the site root names."""
        self._records = records
        self._site = site

    def record(self, data: bytes, signed: SignedReport) -> None:
        """Keep a report that was judged; keeping it again changes nothing.

        Raises:
            ReportsLimitError: There are as many as are kept.

        """
        prefix = ledger_key(signed.report.crossing)
        with self._records.transaction() as tx:
            known = [key for key, _ in tx.scan(STATIONS, f"{prefix}/")]
            key = f"{prefix}/{signed.sha256}"
            if key not in known and len(known) >= REPORTS_LIMIT:
                what = f"There are {len(known)} reports of crossing {signed.report.crossing}."
                raise ReportsLimitError(what, limit="reports")
            tx.put(STATIONS, key, data)

    def reports(
        self, crossing: int, crate_sha256: str, lock_sha256: str, artifacts: Sequence[Artifact]
    ) -> Kept:
        """Return what is on record of a crossing.

        A report whose key was dropped since, or whose record was altered, counts for nothing and is
        named as such: where the policy demands one, none is there then.
        """
        with self._records.transaction() as tx:
            rows = list(tx.scan(STATIONS, f"{ledger_key(crossing)}/"))
        found: list[SignedReport] = []
        unproven: list[str] = []
        for _, data in rows:
            try:
                signed = read_report(data, self._site)
                demand_report(signed, crossing, crate_sha256, lock_sha256, artifacts)
            except LockgateError as error:
                unproven.append(f"A station's report on record does not verify ({error.code}): {error.what}")
            else:
                found.append(signed)
        return Kept(tuple(found), tuple(unproven))
