"""Witnesses: what they cosign, what they refuse, and what they remember."""

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from corpora.audited import NOW, ORIGIN, Audited
from lockgate.audit import (
    Checkpoint,
    Seen,
    Witness,
    WitnessRequest,
    cosignatures,
    parse_request,
    sign_checkpoint,
    witness_name,
)
from lockgate.audit.errors import (
    FirstCheckpointError,
    ForkedLogError,
    MemoryUnavailableError,
    NoteError,
    OutdatedProofError,
    ProofError,
    TruncatedLogError,
)
from lockgate.core.errors import LockgateError
from lockgate.core.roots import KeyExpiredError, KeyPurposeError, Purpose
from lockgate.trust.keys import new_signer, verifies


def test_a_cosignature_is_what_the_specification_says(tmp_path: Path) -> None:
    world = Audited()
    log = world.log(1, 2, 3)
    request = world.request(log, 0)
    line = world.witness(tmp_path).cosign(request, first=True)
    dash, name, encoded = line.rstrip("\n").split(" ")
    raw = base64.b64decode(encoded, validate=True)
    assert (dash, name) == ("\N{EM DASH}", "lockgate/test/witness/witness-1")
    assert len(raw) == 4 + 8 + 64
    assert int.from_bytes(raw[4:12], "big") == int(NOW.timestamp())
    body = request.note.partition("\n\n")[0] + "\n"
    message = f"cosignature/v1\ntime {int(NOW.timestamp())}\n{body}".encode()
    assert verifies(world.witnesses[0].public, raw[12:], message)
    checkpoint, people = cosignatures(request.note + line, ORIGIN, world.site)
    assert checkpoint == log.checkpoint()
    assert people == {"witness-1": NOW}


def test_a_request_survives_its_text(tmp_path: Path) -> None:
    world = Audited()
    request = world.request(world.log(*range(9)), 5)
    again = parse_request(request.text)
    assert again == request
    assert len(again.path) > 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "old 0\n\n",
        "old 01\n\nx",
        "old -1\n\nx",
        "old \N{ARABIC-INDIC DIGIT ONE}\n\nx",
        "new 0\n\nx",
        "old 0\nnot base64!\n\nx",
        "old 0\nAAAA\n\nx",
        "old 0\n" + "A" * 43 + "=\n" * 64 + "\n\nx",
        "old 0\n\n" + "x" * 70_000,
        f"old {1 << 70}\n\nx",
    ],
)
def test_malformed_requests_are_refused(text: str, tmp_path: Path) -> None:
    witness = Audited().witness(tmp_path)
    with pytest.raises(LockgateError) as caught:
        witness.cosign(parse_request(text), first=True)
    assert isinstance(caught.value, NoteError | ProofError)
    assert not list(tmp_path.glob("*.json"))


def test_it_follows_a_log_that_grows_and_cosigns_the_same_size_again(tmp_path: Path) -> None:
    world = Audited()
    log, old = world.log(), 0
    for n in range(12):
        witness = world.witness(tmp_path)  # a fresh process each time
        witness.cosign(world.request(log, old), first=n == 0)
        witness.cosign(world.request(log, log.size()))
        old = log.size()
        for _ in range(n % 4):
            log.append({"n": log.size()})
    assert log.size() > 12


def test_it_never_signs_smaller_forked_or_unproven(tmp_path: Path) -> None:
    world = Audited()
    log = world.log(0, 1, 2, 3, 4)
    witness = world.witness(tmp_path)
    witness.cosign(world.request(log, 0), first=True)
    before = {p.name: p.read_bytes() for p in tmp_path.glob("*.json")}
    with pytest.raises(TruncatedLogError):
        witness.cosign(world.request(world.log(0, 1, 2, 3), 4))
    with pytest.raises(TruncatedLogError):
        witness.cosign(world.request(world.log(), 0), first=True)
    with pytest.raises(ForkedLogError):
        witness.cosign(world.request(world.log(0, 1, 9, 3, 4), 5))
    fork = world.log(0, 1, 9, 3, 4, 5, 6)
    with pytest.raises(ProofError, match="does not show"):
        witness.cosign(world.request(fork, 5))
    longer = world.log(0, 1, 2, 3, 4, 5, 6)
    for old in (0, 4, 6, 7):
        with pytest.raises(OutdatedProofError) as caught:
            witness.cosign(world.request(longer, old))
        assert caught.value.where["seen"] == 5
    with pytest.raises(NoteError, match="beyond"):
        witness.cosign(msgspec_replace(world.request(longer, 7), old=8))
    honest = world.request(longer, 5)
    with pytest.raises(ProofError):
        witness.cosign(msgspec_replace(honest, path=honest.path[:-1]))
    assert {p.name: p.read_bytes() for p in tmp_path.glob("*.json")} == before
    witness.cosign(honest)


def msgspec_replace(request, **changes):
    return type(request)(**{"old": request.old, "path": request.path, "note": request.note, **changes})


def test_a_lost_memory_is_not_taken_for_a_new_log(tmp_path: Path) -> None:
    world = Audited()
    log = world.log(0, 1, 2)
    world.witness(tmp_path).cosign(world.request(log, 0), first=True)
    for file in tmp_path.iterdir():
        file.unlink()
    with pytest.raises(FirstCheckpointError):
        world.witness(tmp_path).cosign(world.request(log, 0))


def test_nothing_is_signed_that_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = Audited()
    witness = world.witness(tmp_path)
    log = world.log(0)
    witness.cosign(world.request(log, 0), first=True)
    log.append({"n": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("lockgate.audit.seen.os.fsync", full)
        with pytest.raises(MemoryUnavailableError, match="No space"):
            witness.cosign(world.request(log, 1))
    log.append({"n": 2})
    witness.cosign(world.request(log, 1))  # the old checkpoint is still the last one
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(MemoryUnavailableError):
        world.witness(blocked / "x").cosign(world.request(log, 0), first=True)


def test_a_memory_of_another_log_or_altered_is_refused(tmp_path: Path) -> None:
    world = Audited()
    log = world.log(0)
    world.witness(tmp_path).cosign(world.request(log, 0), first=True)
    (file,) = tmp_path.glob("*.json")
    good = file.read_bytes()
    for bad in (good.replace(b"/high", b"/low!"), good + b" ", b"{}", b"x" * 5000):
        file.write_bytes(bad)
        with pytest.raises(LockgateError):
            world.witness(tmp_path).cosign(world.request(log, 1))


def test_other_logs_and_other_keys_are_refused(tmp_path: Path) -> None:
    world, other = Audited(), Audited()
    log = world.log(0)
    with pytest.raises(ProofError, match="no valid signature"):
        world.witness(tmp_path).cosign(other.request(log, 0), first=True)
    foreign = world.request(log, 0).text.replace("lockgate/test/high", "lockgate/other/high")
    with pytest.raises(ProofError, match="does not know"):
        world.witness(tmp_path).cosign(parse_request(foreign), first=True)
    with pytest.raises(KeyPurposeError):
        Witness(world.site, world.approver, Seen(tmp_path), lambda: NOW)
    late = Audited(now=NOW)
    witness = late.witness(tmp_path)
    late.now = NOW + timedelta(days=366)
    with pytest.raises(KeyExpiredError):
        witness.cosign(late.request(log, 0), first=True)


def test_cosignatures_of_strangers_and_after_expiry_do_not_count(tmp_path: Path) -> None:
    world = Audited()
    log = world.log(0, 1)
    request = world.request(log, 0)
    line = world.witness(tmp_path / "a").cosign(request, first=True)
    stranger = Audited(log_key=world.log_key)
    strange = stranger.witness(tmp_path / "b").cosign(stranger.request(log, 0), first=True)
    assert cosignatures(request.note + strange, ORIGIN, world.site)[1] == {}
    assert set(cosignatures(request.note + strange + line, ORIGIN, world.site)[1]) == {"witness-1"}
    another = world.witness(tmp_path / "c", 1).cosign(request, first=True)
    assert set(cosignatures(request.note + line + another, ORIGIN, world.site)[1]) == {
        "witness-1",
        "witness-2",
    }
    swapped = line.replace("witness-1", "witness-2")
    assert cosignatures(request.note + swapped, ORIGIN, world.site)[1] == {}
    raw = bytearray(base64.b64decode(line.split(" ")[2]))
    for at in range(len(raw)):
        bad = bytearray(raw)
        bad[at] ^= 1
        text = f"\N{EM DASH} lockgate/test/witness/witness-1 {base64.b64encode(bad).decode()}\n"
        assert cosignatures(request.note + text, ORIGIN, world.site)[1] == {}
    site = world.site
    keyid = world.witnesses[0].keyid
    expired = msgspec.structs.replace(site.keys[keyid], expires=datetime(2026, 4, 1, tzinfo=UTC))
    old = msgspec.structs.replace(site, keys={**site.keys, keyid: expired})
    assert cosignatures(request.note + line, ORIGIN, old)[1] == {}


def test_names_of_witnesses_fit_into_notes() -> None:
    assert witness_name("test", "w-1") == "lockgate/test/witness/w-1"
    for person in ("two words", "a+b", "line\nbreak"):
        with pytest.raises(NoteError):
            witness_name("test", person)


def test_a_witness_with_another_kind_of_key_is_told(tmp_path: Path) -> None:
    world = Audited()
    key = new_signer(Purpose.WITNESS, "witness-1")
    held = key.held(NOW + timedelta(days=9))
    odd = msgspec.structs.replace(held, key=msgspec.structs.replace(held.key, keytype="ecdsa"))
    site = msgspec.structs.replace(world.site, keys={**world.site.keys, key.keyid: odd})
    log = world.log(0)
    assert cosignatures(world.note(log), ORIGIN, site)[1] == {}


@pytest.mark.parametrize("size", [(1 << 53) + 1, 1 << 64, 10**4000])
def test_a_size_that_no_log_has_is_refused_though_the_log_signed_it(tmp_path: Path, size: int) -> None:
    """Whoever owns the log's key cannot bring a witness to a number that it cannot remember."""
    world = Audited()
    note = sign_checkpoint(Checkpoint(ORIGIN, size, b"r" * 32), world.log_key)
    with pytest.raises(ProofError):
        world.witness(tmp_path).cosign(WitnessRequest(0, (), note), first=True)
    log = world.log(1, 2)
    world.witness(tmp_path).cosign(world.request(log, 0), first=True)
    with pytest.raises(ProofError):
        world.witness(tmp_path).cosign(WitnessRequest(2, (b"x" * 32,) * 63, note))
    assert world.witness(tmp_path).cosign(world.request(world.log(1, 2, 3), 2))
