"""One ciphertext, two keys, two plaintexts: a sealer shows each recipient another content, and is refused."""

import base64
import os
from pathlib import Path

import msgspec
import pytest
from test_crate_tampering import reseal_volume

from corpora.gcm import for_two_keys
from crossing_lane import Lane, refused, resign
from lockgate.core.digests import sha256
from lockgate.crossing import RecordLedger
from lockgate.crossing import errors as e
from lockgate.crossing.format import (
    KEY_SIZE,
    NONCE_PREFIX,
    TAG_SIZE,
    Binding,
    VolumeHeader,
    header_block,
    nonce,
)
from lockgate.crossing.volumes import aes_gcm
from lockgate.store import MemoryBlobs, MemoryRecords
from lockgate.trust.keys import RecipientKey, new_recipient_key
from lockgate.trust.sealing import wrap


class Drawn:
    """Randomness that remembers what it gave."""

    def __init__(self) -> None:
        self.given: list[bytes] = []

    def __call__(self, count: int) -> bytes:
        self.given.append(os.urandom(count))
        return self.given[-1]

    def of(self, size: int) -> bytes:
        (found,) = [data for data in self.given if len(data) == size]
        return found


def test_the_forgery_is_one_ciphertext_that_two_keys_open() -> None:
    keys, number, data = (os.urandom(32), os.urandom(32)), os.urandom(12), os.urandom(100)
    sealed = for_two_keys(keys, number, data, b"associated")
    plain = []
    for key in keys:
        room = memoryview(bytearray(len(data)))
        aes_gcm(key).decrypt_into(number, memoryview(sealed), b"associated", room)
        plain.append(bytes(room))
    assert plain[0] != plain[1]
    assert sealed[16 : len(data)] == data[16:]


@pytest.mark.parametrize("committed", ["first", "second"])
def test_a_recipient_whose_key_was_not_committed_to_reads_nothing(tmp_path: Path, committed: str) -> None:
    lane, second = Lane(), new_recipient_key("second")
    lane.site = lane.site_root(lane.gate, second)
    drawn = Drawn()
    crate = lane.seal(tmp_path / "outbox", {"files/a": b"content"}, entropy=drawn)
    (entry,) = crate.manifest.volumes
    keys = (drawn.of(KEY_SIZE), os.urandom(KEY_SIZE))
    binding = Binding(lane.name, crate.manifest.crate, 1)
    volume = (crate.path / entry.name).read_bytes()
    start = entry.size - entry.plaintext_size - TAG_SIZE
    header = msgspec.json.decode(volume[12:start], type=VolumeHeader)
    ours = next(r for r in crate.manifest.recipients if r.recipient == second.recipient_id)
    info = binding.key_info(ours.suite, second.recipient_id, crate.manifest.sealer.keyid)
    wrapped = base64.standard_b64encode(wrap(keys[1], lane.site.recipients[second.recipient_id], info))
    header = msgspec.structs.replace(header, keys=header.keys | {second.recipient_id: wrapped.decode()})
    assert len(header_block(header)) == start
    number = nonce(drawn.of(NONCE_PREFIX), 0, last=True)
    record = for_two_keys(keys, number, volume[start:-TAG_SIZE], binding.aad)
    reseal_volume(lane, crate, header_block(header) + record)
    if committed == "second":
        index = (crate.path / "shards.idx").read_bytes()
        changed = msgspec.structs.replace(entry, commitment=binding.commitment(keys[1]))
        resign(lane, crate, volumes=(changed,), shards_sha256=sha256(index))

    def answer(key: RecipientKey, error: type[e.CommitmentError | e.PayloadError]) -> None:
        side = lane.opener(
            tmp_path / f"staging-{key.recipient_id[:8]}",
            keys=(key,),
            ledger=RecordLedger(MemoryRecords()),
            quarantine=MemoryBlobs(),
        )
        refused(side, crate, error)

    # The one whose key is committed to decrypts and finds a payload that is none; the other never does.
    answer(lane.gate, e.PayloadError if committed == "first" else e.CommitmentError)
    answer(second, e.CommitmentError if committed == "first" else e.PayloadError)
