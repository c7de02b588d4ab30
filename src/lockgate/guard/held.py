"""Calls that wait for a person's yes, seen by every process of the gateway and by the operator's commands.

What is allowed is one call: this key, this tool, these arguments. It may be made once, within a time.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from lockgate.core.artifact import Digest
from lockgate.core.ports import Clock, Entropy
from lockgate.core.wire import Document, Moment, decode, encode, whole_second
from lockgate.guard.errors import UnknownHeldCallError
from lockgate.store import Records
from lockgate.store.ports import Transaction

HELD_FORMAT = "lockgate-held-call/1"
WAIT = timedelta(hours=24)
"""How long a call waits for an answer, and an answer for its call."""

HELD_LIMIT = 64
"""Most calls of one key that wait; its oldest go first."""

HELD_BYTES = 1 << 20
"""Largest entry that is read, in bytes."""

_CALLS = "held-call"


class HeldState(StrEnum):
    """What became of a held call."""

    WAITING = "waiting"
    ALLOWED = "allowed"
    REFUSED = "refused"


class HeldCall(Document, frozen=True):
    """One call that waits, with everything that a person needs to decide.

    `sha256` names the call: key, tool and arguments; `receipt` is the answer in which the model wanted it.
    """

    format: str
    id: str
    key: str
    tool: str
    arguments: str
    sha256: Digest
    receipt: str
    held: Moment
    state: HeldState = HeldState.WAITING


class HeldCalls:
    """The calls that wait, in one database.

    Args:
        records: The database.
        clock: The present moment.
        entropy: Makes ids.

    """

    def __init__(self, records: Records, clock: Clock, entropy: Entropy) -> None:
        """Keep the parts."""
        self._records = records
        self.clock = clock
        self._entropy = entropy

    def settle(self, call: HeldCall) -> tuple[HeldState, str]:
        """Return what is decided about a call, and its id; an undecided one waits from now on.

        A yes is used up by this. A refusal holds until it is forgotten.

        Args:
            call: The call; its id and time are given here.

        """
        now = whole_second(self.clock())
        with self._records.transaction() as tx:
            known = [each for each in self._fresh(tx, now) if each.sha256 == call.sha256]
            if known:
                found = known[0]
                if found.state is HeldState.ALLOWED:
                    tx.delete(_CALLS, found.id)
                return found.state, found.id
            entry = HeldCall(
                format=HELD_FORMAT,
                id=self._entropy(6).hex(),
                key=call.key,
                tool=call.tool,
                arguments=call.arguments,
                sha256=call.sha256,
                receipt=call.receipt,
                held=now,
            )
            tx.insert(_CALLS, entry.id, encode(entry))
            return HeldState.WAITING, entry.id

    def pending(self) -> Sequence[HeldCall]:
        """Return the calls that wait, the oldest first."""
        with self._records.transaction() as tx:
            found = list(self._fresh(tx, whole_second(self.clock())))
        return [call for call in found if call.state is HeldState.WAITING]

    def answer(self, call_id: str, state: HeldState) -> HeldCall:
        """Allow or refuse a call that waits.

        Raises:
            UnknownHeldCallError: None of that id waits.

        """
        now = whole_second(self.clock())
        with self._records.transaction() as tx:
            for call in self._fresh(tx, now):
                if call.id == call_id and call.state is HeldState.WAITING:
                    answered = msgspec.structs.replace(call, state=state, held=now)
                    tx.put(_CALLS, call.id, encode(answered))
                    return answered
        what = f"No call {call_id[:40]!r} waits for an answer."
        raise UnknownHeldCallError(what)

    def _fresh(self, tx: Transaction, now: datetime) -> Sequence[HeldCall]:
        """Return the calls that are not too old; forget the others."""
        calls = [decode(HeldCall, data, limit=HELD_BYTES, name="held call") for _, data in tx.scan(_CALLS)]
        calls.sort(key=lambda each: (each.held, each.id))
        kept: list[HeldCall] = []
        for key in {call.key for call in calls}:
            kept += [call for call in calls if call.key == key and now - call.held < WAIT][-HELD_LIMIT:]
        kept.sort(key=lambda each: (each.held, each.id))
        names = {call.id for call in kept}
        for call in calls:
            if call.id not in names:
                tx.delete(_CALLS, call.id)
        return kept
