"""Keeping the signed list of what newer verdicts say may not be loaded."""

from lockgate.admit.parts import GateParts
from lockgate.core.refusals import (
    ENTRIES_LIMIT,
    REFUSALS_FORMAT,
    REFUSALS_TYPE,
    RefusalRow,
    Refusals,
    TooManyRefusalsError,
)
from lockgate.core.wire import decode, digest_of, encode, whole_second
from lockgate.trust.dsse import sign

REFUSED, LAST = "refusals", "last"


class RefusalKeeper:
    """Signs a list each time that it differs from the last, and has it written where models are loaded."""

    def __init__(self, parts: GateParts) -> None:
        """Use the gate's parts."""
        self._p = parts

    def keep(self, refused: dict[str, str]) -> None:
        """Make a list count; the same one again is only written again.

        Args:
            refused: Digest of a file → why it must not be loaded.

        Raises:
            TooManyRefusalsError: More than a list holds.

        """
        if len(refused) > ENTRIES_LIMIT:
            what = f"{len(refused)} files may not be loaded; a list holds {ENTRIES_LIMIT} (bound: entries)."
            raise TooManyRefusalsError(what)
        with self._p.records.transaction() as tx:
            value = tx.get(REFUSED, LAST)
        last = decode(RefusalRow, value) if value else None
        if last is None and not refused:
            return
        if last is None or last.refused_sha256 != digest_of(refused):
            last = self._renew(value, last.number + 1 if last else 1, refused)
        self._p.write_refusals(self._p.quarantine.read(last.envelope_sha256))

    def _renew(self, value: bytes | None, number: int, refused: dict[str, str]) -> RefusalRow:
        made = Refusals(
            format=REFUSALS_FORMAT,
            lane=self._p.site.lane,
            number=number,
            made=whole_second(self._p.clock()),
            refused=refused,
        )
        envelope = sign(REFUSALS_TYPE, encode(made), [self._p.inspector])
        row = RefusalRow(
            number=number,
            refused_sha256=digest_of(refused),
            envelope_sha256=self._p.quarantine.put_bytes(envelope),
        )
        with self._p.records.transaction() as tx:
            if value is None:
                tx.insert(REFUSED, LAST, encode(row))
            else:
                tx.swap(REFUSED, LAST, value, encode(row))
        return row
