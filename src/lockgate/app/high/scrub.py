"""Scrubbing a side's store: every blob hashed again, mended from a replica, the rest told of."""

import time
from pathlib import Path

from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of
from lockgate.app.trust import audit_log
from lockgate.core.errors import TrustError
from lockgate.core.ports import Progress
from lockgate.store import FileBlobs
from lockgate.store.scrub import Pace, Scrubbed, scrub

SHOWN = 100
"""Most digests that the log names of one scrub."""


class DamagedBlobsError(TrustError):
    """Blobs of the store are not what their names say, and no replica could mend them."""

    code = "LG-2f20"
    advice = "They are not served. Bring them again with their crossing, or name a replica that holds them."


def run_scrub(side: Side, rate: int, replica: Path | None, progress: Progress) -> Scrubbed:
    """Hash every blob of a side again; the log says what was found.

    Args:
        side: The side.
        rate: Most bytes to read in a second.
        replica: Folder of a second blob store.
        progress: Told of the bytes read.

    Raises:
        DamagedBlobsError: Some stay damaged.
        StoreIoError: The store cannot be listed or written.

    """
    log = audit_log(side)
    intent = log.intent("scrub", replica=replica is not None)
    pace = Pace(rate, time.monotonic, time.sleep)
    found = scrub(blobs_of(side), pace, replica=FileBlobs(replica) if replica else None, progress=progress)
    facts = {
        "blobs": found.blobs,
        "mended": list(found.mended[:SHOWN]),
        "damaged": list(found.damaged[:SHOWN]),
    }
    log.outcome(intent, "failed" if found.damaged else "done", **facts)
    if found.damaged:
        what = (
            f"{len(found.damaged)} of {found.blobs} blobs are damaged; the first is {found.damaged[0][:12]}."
        )
        raise DamagedBlobsError(what, mended=len(found.mended))
    return found
