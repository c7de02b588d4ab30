"""A courier or clerk who swaps, delays, repeats, reorders, cuts or forges is caught; each way by itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from corpora.custody import ANNA, BEN, CARA, CRATE, KNOWN, RULE, SEALED, Package, custodians, envelope
from lockgate.core.custody import Finding, FindingKind, Way, broken, judge_chain
from lockgate.core.errors import LockgateError, NotCanonicalError, TrustError
from lockgate.core.policy import CustodyRule, Policy
from lockgate.core.roots import KeyExpiredError, KeyPurposeError, Purpose, UnknownKeyError
from lockgate.crossing.custody import continue_chain, countersign_chain, read_chain, verify_chain
from lockgate.crossing.custody_ledger import CustodyLedger
from lockgate.crossing.errors import (
    ChainFullError,
    CustodyChainError,
    CustodyForkError,
    CustodyOlderError,
    CustodyPlaceError,
    NotTheClerkError,
)
from lockgate.store import MemoryRecords, Transaction
from lockgate.trust.errors import SignatureError
from lockgate.trust.keys import new_signer

SKEW = timedelta(minutes=10)


def shown(package: Package, rule: CustodyRule | None = RULE, **changes: object) -> list[str]:
    """Return what approvers see of a package that was received half an hour after its last hand-over."""
    chain = verify_chain(package.chain, KNOWN, 7, CRATE)
    way = Way(SEALED, package.at - timedelta(minutes=30), SKEW)
    found = judge_chain(chain, msgspec.structs.replace(way, **changes), rule)
    return [f"{finding.kind} {finding.step}" for finding in found]


def refused(data: bytes, error: type[LockgateError], crossing: int = 7, crate: str = CRATE) -> LockgateError:
    with pytest.raises(error) as caught:
        verify_chain(data, KNOWN, crossing, crate)
    assert type(caught.value) is error
    return caught.value


def test_the_honest_way_shows_nothing() -> None:
    package = Package().whole()
    assert shown(package) == []
    chain = verify_chain(package.chain, KNOWN, 7, CRATE)
    assert [s.signers for s in chain] == [("anna",), ("anna",), ("ben",), ("ben",), ("cara",)]
    assert [s.site_signers for s in chain] == [(), (), ("ben",), ("ben",), ("cara",)]


def test_media_swapped_between_two_crates() -> None:
    """The package of crate 7 carries the chain of crate 7 and the medium of crate 8, or the reverse."""
    seven, eight = Package().whole(), Package(crossing=8, crate="d" * 64).whole()
    refused(seven.chain, CustodyPlaceError, crossing=8, crate="d" * 64)
    refused(eight.chain, CustodyPlaceError)
    refused(seven.chain, CustodyPlaceError, crossing=7, crate="d" * 64)
    mixed = seven.of(*seven.envelopes[:2], *eight.envelopes[2:])
    assert refused(mixed, CustodyChainError).where["step"] == 2


def test_a_hand_over_of_an_earlier_crossing_is_played_again() -> None:
    """The same persons carried crossing 6 the same way; its last hand-over is put under crossing 7."""
    old = Package(crossing=6, crate="b" * 64).whole()
    new = Package().go("anna", "anna", ANNA).go("anna", "courier-1", ANNA)
    refused(new.of(*new.envelopes, old.envelopes[2]), CustodyChainError)
    refused(old.chain, CustodyPlaceError)
    # Even one that is made to follow the right hand-over names the crate that it was signed for.
    this = new.statement("courier-1", "ben", "ben", crossing=6, crate_sha256="b" * 64)
    refused(new.of(*new.envelopes, envelope(this, BEN)), CustodyPlaceError)


def test_a_seal_has_another_number() -> None:
    package = Package().go("anna", "anna", ANNA).go("anna", "courier-1", ANNA)
    package.seals = ("A104311", "A999999")
    package.go("courier-1", "cara", CARA)
    assert shown(package) == ["seal 2"]
    assert (
        "A104312"
        in judge_chain(verify_chain(package.chain, KNOWN), Way(SEALED, package.at, SKEW), RULE)[0].what
    )


def test_a_seal_is_gone_or_came_to_it() -> None:
    for seals in ((), ("A104311",), ("A104311", "A104312", "A104313")):
        package = Package().go("anna", "anna", ANNA).go("anna", "courier-1", ANNA)
        package.seals = seals
        assert shown(package.go("courier-1", "cara", CARA)) == ["seal 2"]


def test_a_courier_with_a_custodians_help_cannot_hide_an_opened_package() -> None:
    """Whoever packs again signs it with a reason; without one, or without a key, the seals are changed."""
    package = Package().go("anna", "anna", ANNA).go("anna", "ben", ANNA)
    package.seals = ("B1",)
    package.go("ben", "ben", BEN, note="customs opened it").go("ben", "cara", CARA)
    assert shown(package) == ["packed-again 2"]
    silent = Package().go("anna", "anna", ANNA).go("anna", "ben", ANNA)
    silent.seals = ("B1",)
    assert shown(silent.go("ben", "ben", BEN).go("ben", "cara", CARA)) == ["seal 2"]
    courier = Package().go("anna", "anna", ANNA).go("anna", "courier-1", ANNA)
    courier.seals = ("B1",)
    with pytest.raises(NotTheClerkError):
        courier.go("courier-1", "courier-1", replace(BEN, person="courier-1"), note="seal fell off")


def test_a_medium_has_another_label() -> None:
    package = Package().go("anna", "anna", ANNA).go("anna", "courier-1", ANNA)
    package.media = ("BD-0018",)
    assert shown(package.go("courier-1", "cara", CARA)) == ["medium 2"]


def test_a_hand_over_is_missing() -> None:
    """One courier gave the package to another without a counter."""
    package = Package().go("anna", "anna", ANNA).go("anna", "courier-1", ANNA).go("courier-2", "cara", CARA)
    assert shown(package) == ["gap 2"]


def test_a_hand_over_is_taken_out_of_the_middle() -> None:
    package = Package().whole()
    for gone in range(len(package.envelopes) - 1):
        rest = [e for n, e in enumerate(package.envelopes) if n != gone]
        refused(package.of(*rest), CustodyChainError)


def test_the_chain_is_cut_at_its_end() -> None:
    """What is left ends with somebody who is no custodian of the site, or is shorter than the record."""
    package = Package().whole()
    short = Package(chain=package.of(*package.envelopes[:4]), at=package.at)
    assert "unfinished -1" in shown(short)
    ledger = CustodyLedger(MemoryRecords(), KNOWN)
    ledger.record(package.chain, 7, CRATE)
    for kept in range(1, 5):
        with pytest.raises(CustodyOlderError):
            ledger.record(package.of(*package.envelopes[:kept]), 7, CRATE)
    assert len(ledger.chain(7, CRATE)) == 5
    assert not ledger.forked(7)


class Between(MemoryRecords):
    """Records at which somebody else works as soon as a transaction has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.then: Callable[[], object] | None = None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with super().transaction() as tx:
            yield tx
        then, self.then = self.then, None
        if then is not None:
            then()


def test_of_two_that_record_at_a_time_the_longer_chain_stays() -> None:
    records, package = Between(), Package().whole()
    ledger = CustodyLedger(records, KNOWN)
    records.then = lambda: ledger.record(package.chain, 7, CRATE)
    ledger.record(package.of(*package.envelopes[:2]), 7, CRATE)
    assert len(ledger.chain(7, CRATE)) == 5


def test_hand_overs_in_another_order() -> None:
    package = Package().whole()
    one, two, three, four, five = package.envelopes
    for order in ((two, one, three), (one, three, two, four, five), (one, two, four, three, five), (five,)):
        refused(package.of(*order), CustodyChainError)
    refused(package.of(one, two, two), CustodyChainError)


def test_a_delay_shows_wherever_it_was() -> None:
    at_rest = timedelta(hours=5)
    for late in range(5):
        package, parties = Package(), [("anna", "anna", ANNA), ("anna", "courier-1", ANNA)]
        parties += [("courier-1", "ben", BEN), ("ben", "courier-2", BEN), ("courier-2", "cara", CARA)]
        for step, (giver, receiver, clerk) in enumerate(parties):
            package.at += at_rest if step == late else timedelta(0)
            package.go(giver, receiver, clerk)
        assert shown(package) == [f"delay {late}"]
    package = Package().whole()
    assert shown(package, received=package.at + at_rest) == ["delay -1"]
    assert shown(package, rule=None, received=package.at + at_rest) == []


def test_a_time_that_was_put_back() -> None:
    """The clerk who received it late says that it was earlier: the lie moves the delay, and shows."""
    package = Package().go("anna", "anna", ANNA).go("anna", "courier-1", ANNA)
    real = package.at + timedelta(hours=20)
    package.go("courier-1", "cara", CARA)  # dated an hour after the hand-over before it
    assert shown(package, received=real) == ["delay -1"]
    earlier = Package().go("anna", "anna", ANNA).go("anna", "courier-1", ANNA)
    earlier.at -= timedelta(hours=3)
    assert shown(earlier.go("courier-1", "cara", CARA), received=real) == ["clock 2", "delay -1"]
    before_sealing = Package(at=SEALED - timedelta(hours=1)).go("anna", "anna", ANNA).go("anna", "cara", CARA)
    assert shown(before_sealing) == ["clock 0"]
    ahead = Package().go("anna", "anna", ANNA).go("anna", "cara", CARA)
    assert shown(ahead, received=ahead.at - timedelta(hours=1) - SKEW * 2) == ["clock 1"]


def test_what_was_on_paper_first_says_so_and_cannot_be_dated_ahead() -> None:
    package = Package().go("anna", "anna", ANNA).go("anna", "courier-1", ANNA)
    happened = package.at - timedelta(minutes=30)
    package.go("courier-1", "courier-2", CARA, at=happened)
    assert shown(package.go("courier-2", "cara", CARA)) == ["paper 2"]
    ahead = Package().go("anna", "anna", ANNA)
    ahead.go("anna", "cara", CARA, at=ahead.at + timedelta(minutes=1))
    assert shown(ahead) == ["clock 1"]


def test_a_crate_whose_date_is_not_on_record_says_so() -> None:
    assert shown(Package().whole(), created=None) == ["clock 0"]


def test_a_forged_clerk() -> None:
    package = Package().go("anna", "anna", ANNA).go("anna", "courier-1", ANNA)
    forger = new_signer(Purpose.CUSTODIAN, "cara")
    this = package.statement("courier-1", "cara", "cara")
    refused(package.of(*package.envelopes, envelope(this, forger)), UnknownKeyError)
    other_purpose = new_signer(Purpose.OPERATOR, "cara")
    known = custodians(high=(BEN, CARA, other_purpose))
    with pytest.raises(KeyPurposeError):
        verify_chain(package.of(*package.envelopes, envelope(this, other_purpose)), known)
    # A custodian signs in another's name, or beside the one who has to.
    refused(package.of(*package.envelopes, envelope(this, BEN)), NotTheClerkError)
    refused(package.of(*package.envelopes, envelope(this, CARA, BEN)), NotTheClerkError)
    refused(package.of(*package.envelopes, envelope(this)), NotTheClerkError)
    # A signature that was made over another statement.
    moved = envelope(package.statement("courier-1", "cara", "cara", place="elsewhere"), CARA)
    real = envelope(this, CARA)
    swapped = msgspec.structs.replace(moved, signatures=real.signatures)
    refused(package.of(*package.envelopes, swapped), SignatureError)


def test_a_key_that_had_expired_when_it_signed() -> None:
    package = Package(at=SEALED + timedelta(days=364, hours=23))
    package.go("anna", "anna", ANNA)
    with pytest.raises(KeyExpiredError):
        package.go("anna", "cara", CARA)


def test_the_low_side_cannot_speak_for_a_clerk_of_the_site() -> None:
    """A compromised low side lists a key of its own in the name of the high side's clerk."""
    false_cara = new_signer(Purpose.CUSTODIAN, "cara")
    known = custodians(low=(ANNA, false_cara))
    package = Package(known=known).go("anna", "anna", ANNA).go("anna", "courier-1", ANNA)
    with pytest.raises(CustodyChainError, match="in the name of cara"):
        package.go("courier-1", "cara", false_cara)
    # In a name of its own it may sign, but the chain does not end at the site.
    dora = new_signer(Purpose.CUSTODIAN, "dora")
    theirs = Package(known=custodians(low=(ANNA, dora)))
    theirs.go("anna", "anna", ANNA).go("anna", "dora", dora)
    chain = verify_chain(theirs.chain, theirs.known, 7, CRATE)
    found = judge_chain(chain, Way(SEALED, theirs.at, SKEW), RULE)
    assert [f.kind for f in broken(found)] == [FindingKind.UNFINISHED]


def test_a_clerk_of_the_low_side_whom_the_site_revoked() -> None:
    package = Package().whole()
    site = msgspec.structs.replace(KNOWN.site, revoked=(ANNA.keyid,))
    with pytest.raises(UnknownKeyError, match="revokes"):
        verify_chain(package.chain, replace(KNOWN, site=site), 7, CRATE)


def test_persons_that_the_policy_does_not_name() -> None:
    rule = CustodyRule(maximum_seconds=4 * 3600, custodians=("anna", "ben", "cara", "courier-1"))
    assert shown(Package().whole(), rule) == ["custodian 3", "custodian 4"]


def test_two_chains_for_one_crate() -> None:
    """Both are kept, both are shown, and where a chain is demanded nothing is admitted."""
    begun = Package().go("anna", "anna", ANNA)
    one = Package(chain=begun.chain, at=begun.at).go("anna", "courier-1", ANNA).go("courier-1", "cara", CARA)
    two = Package(chain=begun.chain, at=begun.at).go("anna", "courier-2", ANNA).go("courier-2", "cara", CARA)
    ledger, policy = CustodyLedger(MemoryRecords(), KNOWN), Policy(custody=RULE)
    ledger.record(one.chain, 7, CRATE)
    assert ledger.report(7, CRATE, one.at, SEALED, policy).findings == ()
    with pytest.raises(CustodyForkError):
        ledger.record(two.chain, 7, CRATE)
    report = ledger.report(7, CRATE, one.at, SEALED, policy)
    assert [f.kind for f in report.breaks] == [FindingKind.FORK]
    assert [s.handover.receiver for s in report.chain] == ["anna", "courier-1", "cara"]


def test_a_chain_on_record_grows_and_takes_more_signatures_and_loses_none() -> None:
    ledger = CustodyLedger(MemoryRecords(), KNOWN)
    package = Package().go("anna", "anna", ANNA).go("anna", "ben", ANNA)
    ledger.record(package.chain, 7, CRATE)
    both = countersign_chain(package.chain, BEN, KNOWN)
    assert ledger.record(both, 7, CRATE)[-1].signers == ("anna", "ben")
    with pytest.raises(CustodyOlderError):
        ledger.record(package.chain, 7, CRATE)
    longer = continue_chain(package.chain, package.statement("ben", "cara", "cara"), CARA, KNOWN)
    with pytest.raises(CustodyOlderError):
        ledger.record(longer, 7, CRATE)  # it lost a signature that is on record
    with pytest.raises(NotTheClerkError):
        countersign_chain(package.chain, CARA, KNOWN)


def test_a_chain_that_no_longer_verifies_breaks_and_does_not_hide() -> None:
    """A custodian's key is revoked after the chain was recorded."""
    records = MemoryRecords()
    package = Package().whole()
    CustodyLedger(records, KNOWN).record(package.chain, 7, CRATE)
    later = CustodyLedger(records, custodians(high=(CARA,)))
    report = later.report(7, CRATE, package.at, SEALED, Policy(custody=RULE))
    assert [f.kind for f in report.breaks] == [FindingKind.MISSING]
    assert "LG-2002" in report.findings[0].what
    assert later.report(7, CRATE, package.at, SEALED, Policy()).breaks


def test_no_chain_is_a_finding_only_where_there_is_a_rule() -> None:
    ledger = CustodyLedger(MemoryRecords(), KNOWN)
    assert ledger.report(7, CRATE, SEALED, SEALED, Policy()) is None
    report = ledger.report(7, CRATE, SEALED, SEALED, Policy(custody=RULE))
    assert report.findings == (
        Finding(kind=FindingKind.MISSING, step=-1, what="There is no chain of hand-overs."),
    )


def test_the_first_hand_over_is_the_packing() -> None:
    package = Package()
    for this in (package.statement("anna", "courier-1", "anna"), package.statement("x", "x", "anna")):
        refused(package.of(envelope(this, ANNA)), CustodyChainError)


def test_no_byte_of_a_chain_is_free() -> None:
    package = Package().go("anna", "anna", ANNA).go("anna", "cara", CARA)
    for at in range(0, len(package.chain), 3):
        altered = bytearray(package.chain)
        altered[at] ^= 1
        with pytest.raises(LockgateError):
            verify_chain(bytes(altered), KNOWN, 7, CRATE)
    with pytest.raises(NotCanonicalError):
        read_chain(package.chain + b"\n")
    unsorted = package.statement("anna", "cara", "cara", seals=("B", "A"))
    refused(package.of(*package.envelopes[:1], envelope(unsorted, CARA)), CustodyChainError)


def test_a_chain_has_an_end() -> None:
    package = Package().go("anna", "anna", ANNA)
    for _ in range(63):
        package.go("anna", "anna", ANNA)
    with pytest.raises(ChainFullError, match="64"):
        continue_chain(package.chain, package.statement("anna", "anna", "anna", step=63), ANNA, KNOWN)


def test_every_refusal_of_a_chain_is_one_of_trust() -> None:
    assert {issubclass(e, TrustError) for e in (CustodyChainError, CustodyPlaceError, NotTheClerkError)} == {
        True
    }
