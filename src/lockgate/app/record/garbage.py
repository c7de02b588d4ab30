"""Collecting a side's garbage: everything that names a blob is asked what is held; the log says what went."""

from datetime import timedelta

from lockgate.app.record.holding import held_blobs
from lockgate.app.settings import Side
from lockgate.app.stores import records_of, stored_blobs
from lockgate.app.trust import audit_log, utc_now
from lockgate.core.errors import LockgateError
from lockgate.core.ports import Progress
from lockgate.store.garbage import Collected, Garbage, drop_old_holds

SHOWN = 100
"""Most digests that the log names of one run."""


def collect_garbage(side: Side, grace: timedelta, keep: int, progress: Progress, *, dry: bool) -> Collected:
    """Remove blobs that nothing holds since the grace, and mark those that nothing holds now.

    Args:
        side: The side.
        grace: How long a blob stays marked before it is removed.
        keep: How many of the newest versions of each channel keep their content; 0: all.
        progress: Told of the blobs looked at.
        dry: Only say what would be done.

    Raises:
        HoldUnknownError: Nobody can tell what is held.
        StoreIoError: The disk refused.

    """
    records = records_of(side)
    store = Garbage(records, stored_blobs(side), utc_now, grace)
    try:
        if dry:
            return store.collect(lambda: held_blobs(side, keep), dry=True, progress=progress)
        log = audit_log(side)
        intent = log.intent("collect garbage", grace_seconds=int(grace.total_seconds()), keep=keep)
        try:
            drop_old_holds(records, utc_now())
            found = store.collect(lambda: held_blobs(side, keep), progress=progress)
        except LockgateError as error:
            log.outcome(intent, "refused", code=error.code, error=error.what)
            raise
    finally:
        records.close()
    log.outcome(
        intent,
        "done",
        blobs=found.blobs,
        marked=len(found.marked),
        removed=len(found.removed),
        removed_bytes=sum(found.removed.values()),
        which=sorted(found.removed)[:SHOWN],
    )
    return found
