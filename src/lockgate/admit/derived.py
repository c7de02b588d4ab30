"""In which form the gate made a snapshot's pages, in its own signed words.

Another release of Lockgate may write a page otherwise. Pages that stay from one publication to the next would
then be of two forms, and whoever makes all of them anew would find other ones. So the gate signs, where it
made a snapshot anew and found it to be the one that was asked for, by which form its pages follow from its
artifacts. Pages of that form alone are taken over; and a snapshot of an earlier form is promoted as it is,
since it cannot be made again. The row that names the signature is believed by nobody: without one that fits,
all pages are made anew.
"""

from typing import TYPE_CHECKING

from lockgate.admit.parts import ReadingParts
from lockgate.core.artifact import Digest
from lockgate.core.errors import LockgateError
from lockgate.core.roots import Purpose
from lockgate.core.wire import Document, Moment, decode, encode, whole_second
from lockgate.trust.attest import DERIVATION, attest, check

if TYPE_CHECKING:
    from lockgate.trust.keys import Signer

DERIVED = "derived"
"""Digest of a snapshot → digest of the attestation that its pages follow from its artifacts."""


class Derived(Document, frozen=True):
    """The predicate of the attestation: each page of a snapshot follows from its artifacts by a form."""

    snapshot_sha256: Digest
    form: str
    made: Moment


class Derivations:
    """Finds and keeps what the gate signed of the pages that it made."""

    def __init__(self, parts: ReadingParts) -> None:
        """Use the gate's parts."""
        self._p = parts

    def form(self, snapshot_sha256: str) -> str | None:
        """Return by which form the pages of a snapshot follow; None where nothing that counts says it."""
        with self._p.records.transaction() as tx:
            digest = tx.get(DERIVED, snapshot_sha256)
        if digest is None:
            return None
        try:
            envelope = self._p.quarantine.read(digest.decode("ascii", "replace"))
            signed = check(envelope, self._p.site, Purpose.INSPECTOR, DERIVATION, self._p.clock())
            said = decode(Derived, encode(signed.predicate), name="derivation")
        except LockgateError:  # then pages are made anew, which costs time and nothing else
            return None
        return said.form if said.snapshot_sha256 == snapshot_sha256 else None

    def keep(self, snapshot_sha256: str, form: str, inspector: "Signer") -> None:
        """Sign by which form the pages of a snapshot follow, which was found just now."""
        made = whole_second(self._p.clock())
        said = Derived(snapshot_sha256=snapshot_sha256, form=form, made=made)
        envelope = attest({"snapshot": snapshot_sha256}, DERIVATION, said, inspector)
        kept = self._p.quarantine.put_bytes(envelope)
        with self._p.records.transaction() as tx:
            tx.put(DERIVED, snapshot_sha256, kept.encode())
