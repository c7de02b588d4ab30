"""What makes the gate stricter than first verdicts do: newer verdicts, and bytes that were rejected."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from lockgate.admit.model import DENIED, RECHECKS, Crossing, recheck_key
from lockgate.core.artifact import Artifact
from lockgate.store.ports import Records


@dataclass(frozen=True, slots=True)
class Strictures:
    """Of a crossing: where newer verdicts are kept, by package URL; and digests of files that are denied."""

    newer: Mapping[str, bytes | None]
    denied: frozenset[str]

    @classmethod
    def of(cls, records: Records, crossing: Crossing, artifacts: Iterable[Artifact]) -> "Strictures":
        """Return what is on record about artifacts of a crossing, read at once."""
        newer: dict[str, bytes | None] = {}
        denied: set[str] = set()
        with records.transaction() as tx:
            for artifact in artifacts:
                newer[artifact.purl] = tx.get(RECHECKS, recheck_key(crossing.sequence, artifact.purl))
                denied.update(f.sha256 for f in artifact.files if tx.get(DENIED, f.sha256) is not None)
        return cls(newer, frozenset(denied))


def strictures_digest(records: Records) -> str:
    """Return a digest of all that is on record, which differs once anything comes or goes."""
    state = sha256()
    with records.transaction() as tx:
        for collection in (RECHECKS, DENIED):
            state.update(f"{collection}\n".encode())
            for key, value in tx.scan(collection):
                state.update(b"%d %s %d " % (len(key.encode()), key.encode(), len(value)))
                state.update(value)
    return state.hexdigest()
