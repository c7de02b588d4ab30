"""The Merkle tree against a plain reading of RFC 6962, and the log's proofs."""

import hashlib
from datetime import UTC, datetime

import msgspec
import pytest

from lockgate.audit import AuditLog, Checkpoint, check_proof, merkle, open_checkpoint, sign_checkpoint
from lockgate.audit.errors import NoSuchLeafError, ProofError
from lockgate.core.roots import Purpose
from lockgate.store import MemoryRecords
from lockgate.trust.keys import new_signer

ORIGIN = "lockgate/test/high"


def plain_root(leaves: list[bytes]) -> bytes:
    """MTH as the RFC writes it."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + plain_root(leaves[:k]) + plain_root(leaves[k:])).digest()


def make_log() -> tuple[AuditLog, MemoryRecords]:
    records = MemoryRecords()
    return AuditLog(records, ORIGIN, lambda: datetime(2026, 1, 2, tzinfo=UTC)), records


def test_leaves_added_together_make_the_nodes_that_they_make_one_by_one() -> None:
    leaves = [merkle.leaf_hash(bytes([i])) for i in range(40)]
    nodes: dict[tuple[int, int], bytes] = {}
    each = []
    for i, leaf in enumerate(leaves):
        each.append(merkle.added_nodes(i, leaf, lambda lv, at: nodes[lv, at]))
        nodes.update({(lv, at): value for lv, at, value in each[-1]})
    for begin in range(41):
        for end in range(begin, 41):
            asked: set[tuple[int, int]] = set()

            def node(level: int, at: int, asked: set[tuple[int, int]] = asked) -> bytes:
                asked.add((level, at))
                return nodes[level, at]

            together = merkle.all_added_nodes(begin, leaves[begin:end], node)
            assert sorted(together) == sorted(one for made in each[begin:end] for one in made)
            assert asked <= set(merkle.edge(begin)), (
                "what is asked for lies at the edge that was there before"
            )


def test_root_inclusion_and_consistency_for_every_small_tree() -> None:
    leaves = [bytes([i]) for i in range(33)]
    nodes: dict[tuple[int, int], bytes] = {}
    for i, leaf in enumerate(leaves):
        made = merkle.added_nodes(i, merkle.leaf_hash(leaf), lambda lv, at: nodes[lv, at])
        nodes.update({(lv, at): value for lv, at, value in made})
    node = lambda lv, at: nodes[lv, at]  # noqa: E731
    roots = [plain_root(leaves[:n]) for n in range(34)]
    for size in range(34):
        assert merkle.root(size, node) == roots[size]
        for index in range(size):
            path = merkle.inclusion(index, size, node)
            leaf = merkle.leaf_hash(leaves[index])
            assert merkle.inclusion_holds(index, size, leaf, path, roots[size])
            assert not merkle.inclusion_holds(index, size, merkle.leaf_hash(b"x"), path, roots[size])
            if size > 1:
                assert not merkle.inclusion_holds((index + 1) % size, size, leaf, path, roots[size])
                assert not merkle.inclusion_holds(index, size, leaf, path[:-1], roots[size])
                assert not merkle.inclusion_holds(index, size, leaf, [*path, b"x"], roots[size])
        for old in range(size + 1):
            proof = merkle.consistency(old, size, node)
            assert merkle.consistency_holds(old, size, roots[old], roots[size], proof)
            assert not merkle.consistency_holds(old, size, b"?" * 32, roots[size], proof)
            if 0 < old < size:
                assert not merkle.consistency_holds(old, size, roots[old], b"?" * 32, proof)
    assert not merkle.consistency_holds(3, 2, roots[3], roots[2], [])
    assert not merkle.consistency_holds(3, 5, roots[3], roots[5], [])


def test_log_pairs_intents_with_outcomes_and_proves_them() -> None:
    log, _ = make_log()
    first = log.intent("publish", crossing=1)
    for n in range(5):
        log.outcome(first, "done", step=n)
    signer = new_signer(Purpose.LOG, "log")
    proof = log.prove(first, signer)
    assert proof.event["action"] == "publish"
    assert check_proof(proof, ORIGIN, signer.public).size == 6
    assert log.verify() == log.checkpoint()
    assert [i for i, _ in log.events(2, 4)] == [2, 3]
    assert log.event(1)["intent"] == first
    bad = msgspec.structs.replace(proof, event={**proof.event, "action": "reject"})
    with pytest.raises(ProofError):
        check_proof(bad, ORIGIN, signer.public)
    with pytest.raises(ProofError):
        check_proof(proof, ORIGIN, new_signer(Purpose.LOG, "other").public)
    with pytest.raises(ProofError):
        check_proof(msgspec.structs.replace(proof, path=("?",)), ORIGIN, signer.public)
    with pytest.raises(NoSuchLeafError):
        log.prove(77, signer)
    with pytest.raises(NoSuchLeafError):
        log.consistency(77)
    assert log.consistency(6) == []


def test_altered_missing_and_rehashed_leaves_are_found() -> None:
    log, records = make_log()
    for n in range(4):
        log.append({"n": n})
    held = log.checkpoint()
    with records.transaction() as tx:
        original = tx.get("audit-leaf", f"{2:016d}")
        assert original is not None
        tx.put("audit-leaf", f"{2:016d}", original.replace(b'"n":2', b'"n":9'))
    with pytest.raises(ProofError, match="altered"):
        log.verify()
    with records.transaction() as tx:
        tx.delete("audit-leaf", f"{2:016d}")
    with pytest.raises(ProofError, match="missing"):
        log.verify()
    other, _ = make_log()
    for n in (0, 1, 9, 3, 4):
        other.append({"n": n})
    again = other.verify()
    path = other.consistency(4)
    assert not merkle.consistency_holds(4, again.size, held.root, again.root, path)


def test_checkpoint_notes_refuse_every_alteration() -> None:
    signer = new_signer(Purpose.LOG, "log")
    note = sign_checkpoint(Checkpoint(ORIGIN, 3, b"r" * 32), signer)
    assert open_checkpoint(note, ORIGIN, signer.public) == Checkpoint(ORIGIN, 3, b"r" * 32)
    changed = [note.replace("\n3\n", new) for new in ("\n4\n", "\n03\n", "\nx\n")]
    changed += [
        note[:40],
        note + "x" * 70_000,
        note.replace("\n3\n", "\nx\n"),
        note.split("\n\n")[0] + "\n\n",
    ]
    for text in changed:
        with pytest.raises(ProofError):
            open_checkpoint(text, ORIGIN, signer.public)
