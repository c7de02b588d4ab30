"""The command line of the public TUF client conformance suite: signatures, thresholds, keys, time, rollback.

The scenarios are those that the suite's tests name.
"""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile

from corpora.tufclient import FIRST, Client, canonical, edited
from corpora.tufrepository import NOW, Repository

# Signatures, thresholds, keys


@pytest.mark.parametrize(
    ("role", "left"),
    [
        ("root", {"root": 1}),
        ("timestamp", {"root": 2}),
        ("snapshot", {"root": 2, "timestamp": 2}),
        ("targets", {"root": 2, "snapshot": 2, "timestamp": 2}),
    ],
)
def test_an_unsigned_role_ends_the_update_there(
    repository: Repository, client: Client, role: str, left: dict[str, int]
) -> None:
    repository.keys[role].clear()
    repository.publish("root", "targets", "snapshot", "timestamp")
    client.init()
    assert client.refresh() == 1
    assert client.roles() == left


@pytest.mark.parametrize(
    ("role", "left"),
    [
        ("root", {"root": 1}),
        ("snapshot", {"root": 1, "timestamp": 2}),
        ("targets", {"root": 1, "snapshot": 2, "timestamp": 2}),
    ],
)
def test_an_address_that_serves_another_version(
    repository: Repository, client: Client, role: str, left: dict[str, int]
) -> None:
    """What lies at the address of version 2 says that it is version 3."""
    repository.roles[role].signed.version = 2
    repository.publish(role)
    if role == "targets":
        repository.snapshot.meta["targets.json"].version = 2
        repository.publish("snapshot")
    if role != "root":
        repository.timestamp.snapshot_meta.version = 2
        repository.publish("timestamp")
    client.init()
    assert client.refresh() == 1
    assert client.roles() == left


def test_a_threshold_counts_keys_and_not_signatures(repository: Repository, ready: Client) -> None:
    repository.root.roles["snapshot"].threshold = 3
    repository.add_key("snapshot")
    repository.publish("root", "snapshot", "timestamp")
    assert ready.refresh() == 1
    assert ready.roles()["root"] == 2
    twice = json.loads(repository.published["snapshot"][-1])
    twice["signatures"].append(twice["signatures"][0])
    repository.published["snapshot"][-1] = json.dumps(twice).encode()
    assert ready.refresh() == 1
    assert ready.roles()["snapshot"] == 1
    repository.add_key("snapshot")
    repository.publish("root", "snapshot", "timestamp")
    assert ready.refresh() == 0
    assert ready.roles()["snapshot"] == 3


def test_a_key_id_occurs_once_among_signatures_and_in_a_role(repository: Repository, client: Client) -> None:
    repository.publish("targets", "snapshot", "timestamp")
    repository.published["snapshot"][-1] = edited(
        repository.published["snapshot"][-1], lambda m: m["signatures"].append(m["signatures"][0])
    )
    client.init()
    assert client.refresh() == 1
    assert "snapshot" not in client.roles()
    signer = repository.keys["root"][0]
    repository.publish("root")
    twice = json.loads(repository.published["root"][-1])["signed"]
    twice["roles"]["snapshot"]["keyids"] *= 6
    twice["roles"]["snapshot"]["threshold"] = 6
    text = signer.sign(canonical(twice)).to_dict()
    repository.published["root"][-1] = json.dumps({"signed": twice, "signatures": [text]}).encode()
    assert client.refresh() == 1
    assert "snapshot" not in client.roles()


@pytest.mark.parametrize("spell", [str, str.upper])
def test_one_key_under_several_ids_counts_once(
    repository: Repository, ready: Client, spell: Callable[[str], str]
) -> None:
    signer = repository.keys["root"][0]
    repository.publish("root")
    root = json.loads(repository.published["root"][-1])["signed"]
    (own,) = root["roles"]["snapshot"]["keyids"]
    other = {**root["keys"][own], "keyval": {"public": spell(root["keys"][own]["keyval"]["public"])}}
    root["keys"] |= {"a" * 64: other, "b" * 64: other}
    root["roles"]["snapshot"] = {"keyids": [own, "a" * 64, "b" * 64], "threshold": 3}
    text = signer.sign(canonical(root)).to_dict()
    repository.published["root"][-1] = json.dumps({"signed": root, "signatures": [text]}).encode()
    repository.publish("snapshot", "timestamp")
    signed = json.loads(repository.published["snapshot"][-1])
    sig = signed["signatures"][0]["sig"]
    signed["signatures"] = [{"keyid": k, "sig": sig} for k in root["roles"]["snapshot"]["keyids"]]
    repository.published["snapshot"][-1] = json.dumps(signed).encode()
    assert ready.refresh() == 1
    assert (ready.roles()["root"], ready.roles()["snapshot"]) == (2, 1)


def test_a_threshold_above_the_number_of_keys_is_never_met(repository: Repository, ready: Client) -> None:
    for _ in range(4):
        repository.add_key("snapshot")
    repository.root.roles["snapshot"].threshold = 6
    repository.publish("root", "snapshot", "timestamp")
    assert ready.refresh() == 1
    assert (ready.roles()["root"], ready.roles()["snapshot"]) == (2, 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: CryptoSigner.generate_rsa(size=2048),
        lambda: CryptoSigner.generate_rsa(scheme="rsa-pkcs1v15-sha256", size=2048),
        CryptoSigner.generate_ecdsa,
        CryptoSigner.generate_ed25519,
    ],
    ids=["rsassa-pss", "rsa-pkcs1v15", "ecdsa", "ed25519"],
)
def test_key_types(repository: Repository, ready: Client, make: Callable[[], CryptoSigner]) -> None:
    signer = repository.add_key("root", make())
    repository.root.roles["root"].threshold = 2
    repository.publish("root")
    assert ready.refresh() == 0
    assert ready.roles()["root"] == 2
    repository.publish("root")
    wrong = Metadata.from_bytes(repository.published["root"][-1])
    wrong.signatures[signer.public_key.keyid].signature = signer.sign(b"another").signature
    repository.published["root"][-1] = wrong.to_bytes()
    assert ready.refresh() == 1
    assert ready.roles()["root"] == 2


def test_one_bad_signature_beside_enough_good_ones_is_no_fault(repository: Repository, ready: Client) -> None:
    old = repository.keys["timestamp"][0].public_key.keyid
    repository.add_key("timestamp")
    for signature in ("00" * 64, ""):
        repository.publish("root", "timestamp")
        changed = Metadata.from_bytes(repository.published["timestamp"][-1])
        changed.signatures[old].signature = signature
        repository.published["timestamp"][-1] = changed.to_bytes()
        assert ready.refresh() == 0
    assert ready.roles()["timestamp"] == 3


def test_unknown_fields_are_signed_content(repository: Repository, ready: Client) -> None:
    repository.root.unrecognized_fields["x-field"] = {"b": [1, None], "a": '\u00e9"\\'}
    repository.root.roles["root"].unrecognized_fields["y"] = 1
    repository.keys["snapshot"][0].public_key.unrecognized_fields["keyid_hash_algorithms"] = ["md5"]
    repository.publish("root")
    assert ready.refresh() == 0
    assert ready.roles()["root"] == 2
    repository.publish("root")
    repository.published["root"][-1] = edited(
        repository.published["root"][-1], lambda m: m["signed"].update({"x-field": 2})
    )
    assert ready.refresh() == 1
    assert ready.roles()["root"] == 2


def test_the_spelling_of_json_is_free(repository: Repository, ready: Client) -> None:
    repository.hashes = True
    repository.publish("targets")
    spelled = json.dumps(
        json.loads(repository.published["targets"][-1]), indent=7, ensure_ascii=True
    ).encode()
    repository.published["targets"][-1] = spelled
    repository.describe("targets", spelled)
    repository.publish("snapshot", "timestamp")
    assert ready.refresh() == 0
    assert (ready.metadata / "targets.json").read_bytes() == spelled


@pytest.mark.parametrize(
    ("versions", "accepted"),
    [
        ([([1], 1, [1]), ([2], 1, [2, 1]), ([2], 1, [2])], 3),
        ([([1], 1, [3, 1, 4]), ([2], 1, [3, 2, 1, 4])], 2),
        ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 4, 1])], 2),
        ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([5, 6, 7, 8, 9], 3, [0, 2, 4, 5, 6, 7])], 2),
        ([([1, 2, 3], 1, [1]), ([1, 2, 3], 2, [1, 2])], 2),
        ([([1, 2, 3], 2, [1, 2]), ([1, 2, 3], 1, [1, 2]), ([1, 2, 3], 1, [1])], 3),
        ([([1], 1, [1]), ([2], 1, [2, 3, 4])], 1),
        ([([1], 1, [1]), ([2], 1, [1, 3, 4])], 1),
        ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 2, 4])], 1),
        ([([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 4, 5])], 1),
        ([([1, 2, 3], 1, [1]), ([1, 2, 3], 2, [2])], 1),
        ([([1, 2, 3], 2, [1, 2]), ([1, 2, 3], 1, [1])], 1),
    ],
)
def test_rotation_of_the_root(
    repository: Repository, client: Client, versions: list[tuple[list[int], int, list[int]]], accepted: int
) -> None:
    """Each version: which keys it lists, their threshold, which keys sign it."""
    signers = [CryptoSigner.generate_ed25519() for _ in range(10)]
    repository.published["root"].clear()
    for number, (keys, threshold, signing) in enumerate(versions, 1):
        repository.root.roles["root"].keyids.clear()
        for at in keys:
            repository.root.add_key(signers[at].public_key, "root")
        repository.root.roles["root"].threshold = threshold
        repository.root.version = number
        repository.keys["root"] = [signers[at] for at in signing]
        repository.publish("root", bump=False)
    assert client.init() == 0
    assert client.refresh() == (0 if accepted == len(versions) else 1)
    assert (client.metadata / "root.json").read_bytes() == repository.published["root"][accepted - 1]


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_rotation_of_each_other_role(repository: Repository, ready: Client, role: str) -> None:
    old = repository.rotate(role)
    new, repository.keys[role] = repository.keys[role], old
    repository.publish("root", "targets", "snapshot", "timestamp")
    assert ready.refresh() == 1
    assert ready.roles()["root"] == 2
    repository.keys[role] = new
    repository.publish("targets", "snapshot", "timestamp")
    assert ready.refresh() == 0
    assert (ready.metadata / f"{role}.json").read_bytes() == repository.published[role][-1]


# Expiry


def test_an_expired_root_is_kept_and_stops_the_rest(repository: Repository, ready: Client) -> None:
    repository.root.expires = NOW - timedelta(days=1)
    repository.publish("root", "targets", "snapshot", "timestamp")
    assert ready.refresh() == 1
    assert ready.roles() == {"root": 2, "snapshot": 1, "targets": 1, "timestamp": 1}
    repository.root.expires = NOW + timedelta(days=1)
    repository.publish("root")
    assert ready.refresh() == 0


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_an_expired_role_is_not_kept(repository: Repository, ready: Client, role: str) -> None:
    repository.roles[role].signed.expires = NOW - timedelta(seconds=1)
    repository.publish("targets", "snapshot", "timestamp")
    assert ready.refresh() == 1
    assert ready.roles()[role] == 1


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_what_was_trusted_and_has_expired_is_only_a_floor(
    repository: Repository, client: Client, role: str
) -> None:
    repository.roles[role].signed.expires = NOW + timedelta(days=7)
    repository.publish("targets", "snapshot", "timestamp")
    client.init()
    assert client.refresh() == 0
    client.now.append(NOW + timedelta(days=18))
    assert client.refresh() == 1
    repository.roles[role].signed.expires = NOW + timedelta(days=21)
    repository.publish("targets", "snapshot", "timestamp")
    assert client.refresh() == 0
    assert client.roles() == {"root": 1, "snapshot": 3, "targets": 3, "timestamp": 3}


# Rollback and recovery


def test_the_same_version_with_other_content_changes_nothing(repository: Repository, ready: Client) -> None:
    before = (ready.metadata / "timestamp.json").read_bytes()
    repository.timestamp.snapshot_meta.version = 100
    repository.publish("timestamp", bump=False)
    repository.asked.clear()
    assert ready.refresh() == 0
    assert repository.asked == FIRST[:2]
    assert (ready.metadata / "timestamp.json").read_bytes() == before


@pytest.mark.parametrize("hashes", [0, 1])
@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_no_role_goes_back(repository: Repository, client: Client, role: str, hashes: int) -> None:
    repository.hashes = bool(hashes)
    repository.publish("targets", "snapshot", "timestamp")
    repository.publish("targets", "snapshot", "timestamp")
    client.init()
    assert client.refresh() == 0
    kept = client.roles()
    repository.roles[role].signed.version = 1
    order = ["targets", "snapshot", "timestamp"]
    repository.publish(*order[order.index(role) :])
    assert client.refresh() == 1
    assert client.roles()[role] == kept[role] == 3


def test_a_snapshot_drops_no_role(repository: Repository, ready: Client) -> None:
    repository.snapshot.meta["A.json"] = MetaFile(1)
    repository.publish("snapshot", "timestamp")
    assert ready.refresh() == 0
    del repository.snapshot.meta["A.json"]
    repository.publish("snapshot", "timestamp")
    assert ready.refresh() == 1
    assert ready.roles()["snapshot"] == 2


def test_a_kept_snapshot_with_another_digest_is_fetched_again(repository: Repository, ready: Client) -> None:
    repository.hashes = True
    repository.snapshot.unrecognized_fields["x"] = 1
    repository.published["snapshot"].clear()
    repository.publish("snapshot", bump=False)
    repository.publish("timestamp")
    assert ready.refresh() == 0
    assert (ready.metadata / "snapshot.json").read_bytes() == repository.published["snapshot"][0]


@pytest.mark.parametrize(
    ("role", "rotated"),
    [("timestamp", ["timestamp"]), ("snapshot", ["snapshot", "timestamp"]), ("targets", ["snapshot"])],
)
def test_new_keys_recover_from_a_fast_forward(
    repository: Repository, client: Client, role: str, rotated: list[str]
) -> None:
    repository.roles[role].signed.version = 99
    repository.published[role] += [b""] * 98
    order = ["targets", "snapshot", "timestamp"]
    repository.publish(*order[order.index(role) :])
    client.init()
    assert client.refresh() == 0
    assert client.roles()[role] == 100
    for name in rotated:
        repository.rotate(name)
    repository.roles[role].signed.version = 1
    repository.published[role] = repository.published[role][:1]
    repository.publish("root", *order[order.index(role) :])
    assert client.refresh() == 0
    assert client.roles()[role] == 2


@pytest.mark.parametrize(("role", "left"), [("timestamp", (1, 1)), ("snapshot", (2, 1)), ("targets", (2, 2))])
def test_a_missing_file_is_a_failure(
    repository: Repository, ready: Client, role: str, left: tuple[int, int]
) -> None:
    repository.publish("targets", "snapshot", "timestamp")
    repository.published[role] = repository.published[role][:1] if role != "timestamp" else []
    assert ready.refresh() == 1
    assert (ready.roles()["timestamp"], ready.roles()["snapshot"]) == left
    assert ready.roles()["targets"] == 1


def test_hashes_of_metadata_count(repository: Repository, ready: Client) -> None:
    repository.hashes = True
    repository.publish("targets", "snapshot", "timestamp")
    assert ready.refresh() == 0
    repository.publish("targets")
    repository.snapshot.meta["targets.json"].hashes = {"sha256": "4" * 64}
    repository.publish("snapshot", "timestamp")
    assert ready.refresh() == 1
    assert (ready.roles()["snapshot"], ready.roles()["targets"]) == (3, 2)


def test_one_type_does_not_stand_for_another(repository: Repository, ready: Client) -> None:
    repository.add_key("snapshot", repository.keys["timestamp"][0])
    repository.snapshot.meta = {"snapshot.json": MetaFile(1)}
    repository.publish("root", "snapshot")
    repository.published["timestamp"].append(repository.published["snapshot"].pop())
    assert ready.refresh() == 1
    assert ready.roles()["timestamp"] == 1
