"""An approver's device: it signs only when the log grew from what it saw last."""

from pathlib import Path

import msgspec
import pytest

from corpora.audited import NOW, ORIGIN, Audited
from lockgate.audit import Checkpoint, Seen, named_checkpoint, read_evidence, watch
from lockgate.audit.errors import ForkedLogError, OutdatedProofError, ProofError, TruncatedLogError
from lockgate.audit.log import SHOWN_SIZES
from lockgate.core.wire import encode


def shown(world: Audited, log, *sizes: int):
    return read_evidence(encode(log.evidence(world.log_key, sizes)))


def see(world: Audited, folder: Path, log, named: Checkpoint, *sizes: int):
    return watch(Seen(folder), shown(world, log, named.size, *sizes), named, world.site, NOW)


def test_a_device_follows_the_log_from_request_to_request(tmp_path: Path) -> None:
    world = Audited()
    log = world.log()
    last = None
    for n in range(9):
        named = log.checkpoint()
        log.append({"asked": n})  # the request's own outcome
        assert see(world, tmp_path, log, named) == last
        last = log.size()
        log.append({"n": n})


def test_requests_may_be_signed_in_another_order(tmp_path: Path) -> None:
    world = Audited()
    log = world.log(0, 1)
    early = log.checkpoint()
    early_evidence = shown(world, log, early.size)
    log.append({"n": 2})
    see(world, tmp_path, log, log.checkpoint())
    with pytest.raises(TruncatedLogError) as caught:
        watch(Seen(tmp_path), early_evidence, early, world.site, NOW)
    assert "--since 3" in caught.value.what_to_do
    assert see(world, tmp_path, log, early, 3) == 3


def test_forks_and_truncation_are_refused_and_not_remembered(tmp_path: Path) -> None:
    world = Audited()
    log = world.log(0, 1, 2, 3)
    see(world, tmp_path, log, log.checkpoint())
    (file,) = tmp_path.glob("*.json")
    before = file.read_bytes()
    for numbers, error in (
        ((0, 1, 9, 3), ForkedLogError),
        ((0, 1, 9, 3, 4, 5), ProofError),
        ((0, 1, 2), TruncatedLogError),
        ((), TruncatedLogError),
    ):
        other = world.log(*numbers)
        asked = (4,) if other.size() > 4 else ()
        with pytest.raises(error):
            see(world, tmp_path, other, other.checkpoint(), *asked)
        assert file.read_bytes() == before
    longer = world.log(*range(6))
    bare = msgspec.structs.replace(shown(world, longer, 4), extends=())
    with pytest.raises(OutdatedProofError, match="from size 4") as caught:
        watch(Seen(tmp_path), bare, longer.checkpoint(), world.site, NOW)
    assert "--since 4" in caught.value.what_to_do
    assert see(world, tmp_path, longer, longer.checkpoint(), 4) == 4


def test_the_statement_must_name_a_checkpoint_of_this_very_log(tmp_path: Path) -> None:
    world = Audited()
    log = world.log(*range(5))
    for numbers in ((0, 1, 9), (9, 1, 2, 3, 4), tuple(range(6))):
        named = world.log(*numbers).checkpoint()
        with pytest.raises(ProofError):
            watch(Seen(tmp_path), shown(world, log, 3), named, world.site, NOW)
    stranger = Audited()
    with pytest.raises(ProofError, match="no valid signature"):
        watch(Seen(tmp_path), shown(stranger, log, 5), log.checkpoint(), world.site, NOW)
    assert not list(tmp_path.glob("*.json"))
    for text in ("", "5", "05 " + "0" * 64, "5 " + "A" * 64, "5 " + "0" * 64 + "\n"):
        with pytest.raises(ProofError):
            named_checkpoint(text, ORIGIN)
    assert named_checkpoint(f"5 {log.checkpoint().root.hex()}", ORIGIN) == log.checkpoint()


def test_evidence_of_another_format_is_refused() -> None:
    world = Audited()
    evidence = world.log(1).evidence(world.log_key)
    with pytest.raises(ProofError, match="format"):
        read_evidence(encode(msgspec.structs.replace(evidence, format="lockgate-log-evidence/2")))


def test_earlier_sizes_are_proven_without_being_asked_for_and_are_bounded() -> None:
    world = Audited()
    log = world.log()
    for n in range(SHOWN_SIZES + 20):
        log.evidence(world.log_key)
        log.append({"n": n})
    sizes = [each.size for each in log.evidence(world.log_key).extends]
    assert sizes == list(range(20, SHOWN_SIZES + 20))
    assert len(encode(log.evidence(world.log_key))) < 64 * 1024
