"""Re-anchoring: two approvers say that the log goes on from where it stands."""

from collections.abc import Sequence
from pathlib import Path

from lockgate.app.gate.decisions import Decision, ask, decided, spend
from lockgate.app.gate.holds import HOLDS, LOG, holds
from lockgate.app.record.logwatch import ANCHORS, LAST, Anchored
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, site_root
from lockgate.approve.errors import StatementChangedError
from lockgate.audit import Checkpoint, cosignatures
from lockgate.core.errors import LockgateError
from lockgate.core.statement import Operation
from lockgate.core.wire import encode
from lockgate.trust.keys import Signer


def _seen(side: Side) -> dict[str, Checkpoint | None]:
    """Return what each witness cosigned last; None where its note cannot be believed."""
    log, site = audit_log(side), site_root(side, None)
    found: dict[str, Checkpoint | None] = {}
    for person, note in log.witnessed().items():
        try:
            checkpoint, people = cosignatures(note, log.origin, site)
        except LockgateError:
            found[person] = None
            continue
        found[person] = checkpoint if person in people else None
    return found


def ask_to_anchor(side: Side, requester: Signer) -> bytes:
    """Return the request to go on from the log as it stands.

    It names size and root, what witnesses saw, and why admission is held.
    """
    at = audit_log(side).verify()
    records = records_of(side)
    hold = holds(records).get(LOG)
    records.close()
    seen = _seen(side)
    said = [f"{person}: {each.size if each else 'unreadable'}" for person, each in sorted(seen.items())]
    facts = {
        "size": str(at.size),
        "root": at.root.hex(),
        "witnesses": ", ".join(said) or "none",
        "reason": hold.reason if hold else "no witness",
    }
    return ask(side, Operation.ANCHOR, facts, requester)


def anchor_again(side: Side, signed: Sequence[Path]) -> Decision:
    """Go on from the log that enough approvers named; notes of witnesses that contradict it go.

    The witnesses' own memory stays: they cosign again only after their operators have looked.

    Raises:
        StatementChangedError: The log does not continue the one that was signed.
        ProofError: The log was altered.
        LockgateError: Too few approvers, expired, used before.

    """
    decision = decided(side, Operation.ANCHOR, signed)
    facts, log, seen = decision.facts, audit_log(side), _seen(side)
    size = int(facts["size"]) if facts.get("size", "").isdigit() else -1
    known = {each.size for each in seen.values() if each is not None}
    here = log.size()
    now, roots = log.roots({n for n in (size, *known) if 0 <= n <= here})
    if size not in roots or roots[size].hex() != facts.get("root"):
        raise StatementChangedError("The log does not continue the one that the approvers signed.")
    intent = log.intent("anchor", approvers=sorted(decision.approvers), **facts)
    for person, each in seen.items():
        if each is None or each.size > now or roots.get(each.size) != each.root:
            log.forget_witnessed(person)
    records = records_of(side)
    with records.transaction() as tx:
        spend(tx, decision.statement)
        tx.put(ANCHORS, LAST, encode(Anchored(statement=decision.envelope.decode())))
        tx.delete(HOLDS, LOG)
    records.close()
    log.outcome(intent, "done")
    return decision
