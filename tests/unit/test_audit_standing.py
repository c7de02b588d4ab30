"""How much of a log somebody else saw, and what an older checkpoint gives away."""

from pathlib import Path

import pytest

from corpora.audited import ORIGIN, Audited
from lockgate.audit import AuditLog, open_checkpoint, standing
from lockgate.audit.errors import CosignatureError, ForkedLogError, ProofError, TruncatedLogError
from lockgate.audit.rows import LEAF, NODE, leaf_key, node_key
from lockgate.core.errors import LockgateError


def witnessed(world: Audited, log: AuditLog, state: Path, old: int = 0, which: int = 0) -> str:
    request = world.request(log, old)
    note = request.note + world.witness(state / str(which), which).cosign(request, first=True)
    log.keep_witnessed(f"witness-{which + 1}", note)
    return note


def test_the_tail_is_what_no_witness_saw(tmp_path: Path) -> None:
    world = Audited()
    log = world.log(*range(7))
    assert (standing(log, world.site).witnessed, standing(log, world.site).tail) == (0, 7)
    witnessed(world, log, tmp_path)
    assert (standing(log, world.site).witnessed, standing(log, world.site).tail) == (7, 0)
    for n in range(3):
        log.append({"n": n})
    found = standing(log, world.site)
    assert (found.checkpoint, found.witnessed, found.tail) == (log.checkpoint(), 7, 3)
    assert [(s.person, s.checkpoint.size) for s in found.seals] == [("witness-1", 7)]


def test_as_many_witnesses_as_the_root_demands(tmp_path: Path) -> None:
    world = Audited(need=2)
    log = world.log(*range(4))
    witnessed(world, log, tmp_path)
    assert standing(log, world.site).witnessed == 0
    log.append({"n": 4})
    witnessed(world, log, tmp_path, which=1)
    assert standing(log, world.site).witnessed == 4


def test_an_empty_log_stands(tmp_path: Path) -> None:
    world = Audited()
    log = world.log()
    witnessed(world, log, tmp_path)
    found = standing(log, world.site, [open_checkpoint(world.note(log), ORIGIN, world.log_key.public)])
    assert (found.checkpoint.size, found.witnessed, found.tail) == (0, 0, 0)


def test_a_rebuilt_and_signed_again_log_is_found_by_what_a_witness_kept(tmp_path: Path) -> None:
    world = Audited()
    log = world.log(*range(6))
    note = witnessed(world, log, tmp_path)
    held = open_checkpoint(note, ORIGIN, world.log_key.public)
    for forked in ((0, 1, 9, 3, 4, 5), (0, 1, 2, 3, 4, 9, 6), (1, 0, 2, 3, 4, 5, 6)):
        other = world.log(*forked)
        open_checkpoint(world.note(other), ORIGIN, world.log_key.public)  # its signature is good
        with pytest.raises(ForkedLogError):
            standing(other, world.site, [held])
        other.keep_witnessed("witness-1", note)
        with pytest.raises(ForkedLogError):
            standing(other, world.site)
    short = world.log(*range(5))
    assert standing(short, world.site).tail == 5
    with pytest.raises(TruncatedLogError):
        standing(short, world.site, [held])
    assert standing(world.log(*range(9)), world.site, [held]).checkpoint.size == 9


def test_a_note_that_the_witness_did_not_sign_does_not_count(tmp_path: Path) -> None:
    world = Audited()
    log = world.log(*range(3))
    for note in (world.note(log), witnessed(world, world.log(*range(3)), tmp_path, which=1)):
        log.keep_witnessed("witness-1", note)
        with pytest.raises(CosignatureError):
            standing(log, world.site)
    log.keep_witnessed("witness-1", "nonsense")
    with pytest.raises(ProofError):
        standing(log, world.site)


def rows(log: AuditLog):
    return log._records


@pytest.mark.parametrize("size", [1, 2, 7, 1001])
def test_every_way_to_alter_rows_is_found(size: int) -> None:
    world = Audited()
    ways = []

    def way(change):
        ways.append(change)

    last = size - 1
    way(lambda tx: tx.put(LEAF, leaf_key(last), b'{"n":99,"time":"2026-05-01T12:00:00Z"}'))
    way(lambda tx: tx.delete(LEAF, leaf_key(0)))
    way(lambda tx: tx.put(LEAF, leaf_key(size), b'{"n":99}'))
    way(lambda tx: tx.put("audit", "size", str(size - 1).encode()))
    way(lambda tx: tx.put("audit", "size", str(size + 1).encode()))
    way(lambda tx: tx.put("audit", "size", b"-1"))
    way(lambda tx: tx.put(NODE, node_key(0, last), b"x" * 32))
    way(lambda tx: tx.delete(NODE, node_key(0, last)))
    if size > 1:
        top = size.bit_length() - 1
        way(lambda tx: tx.put(NODE, node_key(top, 0), b"x" * 32))
        way(swap_leaves)
    for change in ways:
        log = world.log()
        log._group._commit([b'{"n":%d,"time":"2026-05-01T12:00:00Z"}' % n for n in range(size)])
        assert log.verify() == log.checkpoint()
        with rows(log).transaction() as tx:
            change(tx)
        with pytest.raises(LockgateError):
            log.verify()


def swap_leaves(tx) -> None:
    first, second = tx.get(LEAF, leaf_key(0)), tx.get(LEAF, leaf_key(1))
    tx.put(LEAF, leaf_key(0), second)
    tx.put(LEAF, leaf_key(1), first)


def test_roots_of_older_sizes_come_from_the_leaves_themselves() -> None:
    world = Audited()
    log = world.log(*range(20))
    size, found = log.roots(range(30))
    assert size == 20
    assert found == {n: world.log(*range(n)).checkpoint().root for n in range(21)}
