"""What the gateway kept, brought back from a backup: nothing spent is given back, nothing erased returns."""

from collections.abc import Iterator

from lockgate.core.errors import TrustError
from lockgate.core.wire import decode, encode
from lockgate.infer.digestkeys import KEY, DigestRing
from lockgate.infer.quotas import DAY, Spent
from lockgate.infer.receiptstore import RECEIPT
from lockgate.store.ports import Records

ROWS = 1000
"""How many records are brought back in one transaction."""


class ReceiptDiffersError(TrustError):
    """A receipt in a backup is not the one that is there."""

    code = "LG-2a20"
    advice = "Keep both and look: a receipt is written once, so one of them was altered."


def restore_receipts(here: Records, saved: Records, ring: DigestRing) -> int:
    """Add the receipts that are missing, each with the key of its digests; return how many.

    A receipt that is there without its key had it erased, and stays so. Keys are encrypted under the newest
    of the ring's; one that none of them opens comes as it is.

    Raises:
        DigestKeyAlteredError: A key in the backup was altered; nothing of its batch was added.
        ReceiptDiffersError: A receipt is there with other bytes; nothing of its batch was added.

    """
    added = 0
    for rows in _batches(saved, RECEIPT):
        with saved.transaction() as tx:
            keys = {name: tx.get(KEY, name) for name, _ in rows}
        with here.transaction() as tx:
            for name, value in rows:
                present = tx.get(RECEIPT, name)
                if present is None:
                    tx.insert(RECEIPT, name, value)
                    if (kept := keys[name]) is not None:
                        key = ring.open(name, kept)
                        tx.insert(KEY, name, ring.seal(name, key) if key else kept)
                    added += 1
                elif present != value:
                    what = f"The receipt {name} in the backup is not the one that is there."
                    raise ReceiptDiffersError(what, receipt=name)
    return added


def restore_quotas(here: Records, saved: Records) -> int:
    """Raise what keys spent on each day to what the backup knows; return how many days of keys it raised.

    What ran when the backup was made runs no more: its reservations are part of what was spent, and stay so.
    """
    raised = 0
    for rows in _batches(saved, DAY):
        with here.transaction() as tx:
            for name, value in rows:
                there, before = decode(Spent, value), tx.get(DAY, name)
                known = Spent() if before is None else decode(Spent, before)
                most = Spent(
                    requests=max(known.requests, there.requests),
                    prompt_tokens=max(known.prompt_tokens, there.prompt_tokens),
                    completion_tokens=max(known.completion_tokens, there.completion_tokens),
                )
                if most != known:
                    tx.put(DAY, name, encode(most))
                    raised += 1
    return raised


def _batches(saved: Records, collection: str) -> Iterator[list[tuple[str, bytes]]]:
    rows: list[tuple[str, bytes]] = []
    with saved.transaction() as tx:
        for row in tx.scan(collection):
            rows.append(row)
            if len(rows) == ROWS:
                yield rows
                rows = []
    if rows:
        yield rows
