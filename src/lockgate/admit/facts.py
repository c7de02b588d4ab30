"""Facts about a crossing besides verdicts: weights compared, golden prompts replayed, both signed."""

from collections.abc import Sequence
from enum import StrEnum

from lockgate.admit.errors import VerdictsAlteredError
from lockgate.admit.model import Crossing, crossing_key
from lockgate.admit.parts import GateParts, ReadingParts
from lockgate.core.artifact import Digest
from lockgate.core.difference import Known
from lockgate.core.golden import Replay
from lockgate.core.roots import Purpose
from lockgate.core.statement import NOTHING
from lockgate.core.weights import WeightsFacts
from lockgate.core.wire import Document, Moment, decode, digest_of, encode, whole_second
from lockgate.trust.attest import FACTS, InTotoStatement, attest, check
from lockgate.trust.dsse import open_envelope

FACTS_RECORD = "facts"
"""Crossing and kind of facts → digest of the attestation in quarantine."""


class FactKind(StrEnum):
    """What was looked at."""

    WEIGHTS = "weights"
    GOLDEN = "golden"


class Facts(Document, frozen=True):
    """The predicate of an attestation of facts; its subjects are every file that was read."""

    crossing: int
    crate_sha256: Digest
    made: Moment
    weights: tuple[WeightsFacts, ...] = ()
    replays: tuple[Replay, ...] = ()


def keep_facts(
    parts: GateParts,
    crossing: Crossing,
    *,
    weights: Sequence[WeightsFacts] | None = None,
    replays: Sequence[Replay] | None = None,
) -> None:
    """Sign facts of one kind and keep them; those of before are replaced, and a kind that is None stays."""
    for kind, found in ((FactKind.WEIGHTS, weights), (FactKind.GOLDEN, replays)):
        if found is None or (not found and read_facts(parts, crossing, kind) is None):
            continue
        facts = Facts(
            crossing=crossing.sequence,
            crate_sha256=crossing.crate_sha256,
            made=whole_second(parts.clock()),
            weights=tuple(weights or ()) if kind is FactKind.WEIGHTS else (),
            replays=tuple(replays or ()) if kind is FactKind.GOLDEN else (),
        )
        digest = parts.quarantine.put_bytes(attest(_subjects(facts), FACTS, facts, parts.inspector))
        with parts.records.transaction() as tx:
            tx.put(FACTS_RECORD, _key(crossing, kind), digest.encode())


def read_facts(parts: ReadingParts, crossing: Crossing, kind: FactKind) -> tuple[Facts, str] | None:
    """Return facts of one kind and the digest of their attestation, after checking who signed them.

    Raises:
        VerdictsAlteredError: They are about another crossing.
        LockgateError: They are not signed by an inspector, or cannot be read.

    """
    with parts.records.transaction() as tx:
        digest = tx.get(FACTS_RECORD, _key(crossing, kind))
    if digest is None:
        return None
    envelope = parts.quarantine.read(digest.decode("ascii"))
    claimed = decode(InTotoStatement, open_envelope(envelope).payload, name="attestation")
    facts = decode(Facts, encode(claimed.predicate), name="facts")
    check(envelope, parts.site, Purpose.INSPECTOR, FACTS, facts.made)
    if (facts.crossing, facts.crate_sha256) != (crossing.sequence, crossing.crate_sha256):
        what = f"The facts on record about crossing {crossing.sequence} are about another."
        raise VerdictsAlteredError(what)
    return facts, digest.decode("ascii")


def known_of(parts: ReadingParts, crossing: Crossing) -> Known:
    """Return all facts about a crossing by the file that they are about."""
    weights, replays, digests = {}, {}, []
    for kind in FactKind:
        found = read_facts(parts, crossing, kind)
        if found is None:
            continue
        facts, digest = found
        digests.append(digest)
        weights.update({each.sha256: each for each in facts.weights})
        replays.update({each.model_sha256: each for each in facts.replays})
    return Known(weights, replays, digest_of(digests) if digests else NOTHING)


def _key(crossing: Crossing, kind: FactKind) -> str:
    return f"{crossing_key(crossing.sequence)}:{kind}"


def _subjects(facts: Facts) -> dict[str, str]:
    """Return every file that the facts are about: the new one, the one before, the golden set."""
    found = {}
    for each in facts.weights:
        found[each.path] = each.sha256
        found[f"before {each.base_path} {each.base_sha256[:16]}"] = each.base_sha256
    for replay in facts.replays:
        found[f"model {replay.model_sha256[:16]}"] = replay.model_sha256
        found[f"golden {replay.golden_sha256[:16]}"] = replay.golden_sha256
    return found
