"""The command line of the public TUF client conformance suite, scenario by scenario.

The scenarios are those that the suite's tests name: requests and files of each step, signatures,
thresholds, key types, expiry, rollback, recovery from fast-forward, delegations, odd names.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Targets

from corpora.tufrepository import BASE, NOW, MemoryFetcher, Repository
from lockgate.cli.main import main

FIRST = [("root", 2), ("timestamp", None), ("snapshot", 1), ("targets", 1)]


@dataclass
class Client:
    """Runs the command in this process, against a repository in memory."""

    repository: Repository
    home: Path
    trusted: bytes = b""
    now: list[datetime] = field(default_factory=lambda: [NOW])

    @property
    def metadata(self) -> Path:
        return self.home / "metadata"

    def run(self, *arguments: str) -> int:
        known = ["tuf-client", "--metadata-dir", str(self.metadata), "--metadata-url", f"{BASE}/metadata/"]
        with pytest.raises(SystemExit) as end:
            main([*known, *arguments])
        return int(end.value.code or 0)

    def init(self) -> int:
        initial = self.home / "initial_root.json"
        initial.write_bytes(self.trusted or self.repository.published["root"][0])
        return self.run("init", str(initial))

    def refresh(self) -> int:
        return self.run("refresh")

    def download(self, *names: str) -> int:
        options = [word for name in names for word in ("--target-name", name)]
        folder, base = str(self.home / "targets"), f"{BASE}/targets/"
        return self.run(*options, "--target-dir", folder, "--target-base-url", base, "download")

    def files(self) -> list[bytes]:
        folder = self.home / "targets"
        return sorted(p.read_bytes() for p in folder.iterdir()) if folder.exists() else []

    def roles(self) -> dict[str, int]:
        found = sorted(self.metadata.glob("*.json"))
        return {p.stem: json.loads(p.read_bytes())["signed"]["version"] for p in found}


@pytest.fixture
def repository() -> Repository:
    return Repository()


@pytest.fixture
def client(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client(repository, tmp_path)
    monkeypatch.setattr("lockgate.app.tuf_client.http_fetcher", lambda: MemoryFetcher(repository))
    monkeypatch.setattr("lockgate.app.trust.utc_now", lambda: made.now[-1])
    return made


@pytest.fixture
def ready(client: Client) -> Client:
    """Return a client that has refreshed once."""
    assert client.init() == 0
    assert client.refresh() == 0
    return client


def edited(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(data)
    change(document)
    return json.dumps(document).encode()


# Requests, files, exit statuses


def test_a_refresh_asks_in_order_and_keeps_the_very_bytes(repository: Repository, client: Client) -> None:
    repository.published["timestamp"][-1] += b" "
    assert client.init() == 0
    assert repository.asked == []
    assert client.refresh() == 0
    assert repository.asked == FIRST
    for role in ("root", "timestamp", "snapshot", "targets"):
        assert (client.metadata / f"{role}.json").read_bytes() == repository.published[role][-1]


def test_nothing_new_asks_for_root_and_timestamp_alone(repository: Repository, ready: Client) -> None:
    repository.asked.clear()
    assert ready.refresh() == 0
    assert repository.asked == FIRST[:2]


def test_a_download_refreshes_first(repository: Repository, client: Client) -> None:
    client.init()
    assert client.download("missing") == 1
    assert repository.asked == FIRST
    assert client.roles() == {"root": 1, "snapshot": 1, "targets": 1, "timestamp": 1}


@pytest.mark.parametrize(
    "change",
    [
        lambda root: root["signed"].pop("version"),
        lambda root: root["signatures"][0].update(sig="00" * 64),
        lambda root: root.update(signatures=[]),
        lambda root: root["signed"].update(_type="targets"),
    ],
)
def test_a_bad_initial_root_leads_nowhere(
    repository: Repository, client: Client, change: Callable[[dict[str, Any]], object]
) -> None:
    client.trusted = edited(repository.published["root"][0], change)
    assert client.init() == 1
    assert client.refresh() == 1
    assert repository.asked == []
    client.metadata.mkdir()
    (client.metadata / "root.json").write_bytes(client.trusted)
    assert client.refresh() == 1
    assert repository.asked == []


def test_what_is_missing_on_the_command_line_is_a_failure(client: Client) -> None:
    client.init()
    with pytest.raises(SystemExit) as end:
        main(["tuf-client", "--metadata-dir", str(client.metadata), "refresh"])
    assert end.value.code == 1
    assert client.run("download") == 1
    assert client.run("init", str(client.home / "absent.json")) == 1


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


def canonical(signed: dict[str, Any]) -> bytes:
    from securesystemslib.formats import encode_canonical

    return str(encode_canonical(signed)).encode()


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


# Targets


def test_a_target_is_downloaded_once(repository: Repository, client: Client) -> None:
    repository.add_file("file.txt", b"content")
    repository.add_file("path/to/file.txt", b"another", "targets", "sha512", "sha256")
    repository.publish_all("targets")
    client.init()
    assert client.download("file.txt", "path/to/file.txt") == 0
    assert client.files() == [b"another", b"content"]
    assert len(repository.fetched) == 2
    assert client.download("file.txt") == 0
    assert len(repository.fetched) == 2
    repository.add_file("file.txt", b"newer")
    repository.publish_all("targets")
    assert client.download("file.txt") == 0
    assert client.files() == [b"another", b"newer"]


def test_without_consistent_snapshots_nothing_is_prefixed(repository: Repository, client: Client) -> None:
    repository.root.consistent_snapshot = False
    repository.publish("root")
    repository.add_file("a/b.txt", b"content")
    repository.publish_all("targets")
    client.init()
    assert client.download("a/b.txt") == 0
    assert repository.fetched == ["a/b.txt"]
    assert repository.asked[-3:] == [("timestamp", None), ("snapshot", None), ("targets", None)]


@pytest.mark.parametrize("data", [b"malicious", b"malicious and longer than what was signed for", b""])
def test_other_content_is_never_kept(repository: Repository, client: Client, data: bytes) -> None:
    repository.add_file("one", b"honest 1")
    repository.add_file("two", b"honest 2")
    repository.publish_all("targets")
    client.init()
    assert client.download("one") == 0
    repository.files.update(one=data, two=data)
    assert client.download("one") == 0
    assert client.download("two") == 1
    assert client.files() == [b"honest 1"]
    assert list((client.home / "targets").glob(".*")) == []


@pytest.mark.parametrize(
    "path", ["..", ".", "../escape", "a b", "?", "#x", "ü/ß.txt", "a%2Fb", "/root", "x" * 1000, "a//b"]
)
def test_odd_targets_stay_in_their_folder(repository: Repository, client: Client, path: str) -> None:
    repository.add_file(path, b"content of it")
    repository.files |= {path.replace("%2F", "/"): b"content of it"}
    repository.publish_all("targets")
    client.init()
    before = set(client.home.iterdir()) | {client.home / "targets"}
    client.download(path)
    assert set(client.home.iterdir()) <= before
    assert client.files() in ([b"content of it"], [])
    if path not in {"a%2Fb", "/root", "..", "."}:
        assert client.files() == [b"content of it"]


# Delegations


def published(repository: Repository, *edges: tuple[str, str, list[str] | None, bool]) -> None:
    for delegator, name, paths, terminating in edges:
        repository.delegate(delegator, name, paths, terminating=terminating)
    names = dict.fromkeys([n for edge in edges for n in (edge[1],)])
    repository.publish_all(*names, "targets")


ANY, PY = None, ["*.py"]


@pytest.mark.parametrize(
    ("edges", "order"),
    [
        ([("targets", "A", ANY, False)], "A"),
        ([("targets", "A", ANY, False), ("targets", "B", ANY, False), ("B", "C", ANY, False)], "ABC"),
        (
            [
                ("targets", "A", ANY, False),
                ("targets", "B", ANY, False),
                ("A", "C", ANY, False),
                ("C", "D", ANY, False),
            ],
            "ACDB",
        ),
        (
            [
                ("targets", "A", ANY, False),
                ("targets", "B", ANY, False),
                ("A", "C", ANY, True),
                ("A", "D", ANY, False),
            ],
            "AC",
        ),
        (
            [
                ("targets", "A", ANY, False),
                ("targets", "B", ANY, False),
                ("A", "C", ANY, True),
                ("C", "D", ANY, False),
            ],
            "ACD",
        ),
        ([("targets", "A", PY, False), ("targets", "B", ANY, False), ("A", "C", ANY, False)], "B"),
        (
            [
                ("targets", "A", ANY, False),
                ("targets", "B", ANY, False),
                ("A", "C", PY, False),
                ("C", "D", ANY, False),
            ],
            "AB",
        ),
        ([("targets", "A", ANY, False), ("targets", "B", ANY, False), ("B", "C", ANY, False),
          ("C", "D", ANY, False), ("D", "B", ANY, False)], "ABCD"),
        ([("targets", "A", ANY, False), ("targets", "B", ANY, False), ("B", "C", ANY, False),
          ("A", "C", PY, False)], "ABC"),
    ],
)  # fmt: skip
def test_the_order_of_search(
    repository: Repository,
    client: Client,
    edges: list[tuple[str, str, list[str] | None, bool]],
    order: str,
) -> None:
    published(repository, *edges)
    client.init()
    assert client.download("missing") == 1
    assert [role for role, _ in repository.asked[4:]] == list(order)


def test_two_delegators_of_one_role_ask_for_it_once(repository: Repository, client: Client) -> None:
    signer = CryptoSigner.generate_ed25519()
    for delegator, name in (("targets", "A"), ("targets", "B"), ("B", "C"), ("A", "C")):
        repository.delegate(delegator, name, signer=signer)
    repository.keys["C"] = [signer]
    repository.publish_all("C", "A", "B", "targets")
    client.init()
    assert client.download("missing") == 1
    assert [role for role, _ in repository.asked[4:]] == ["A", "C", "B"]


def test_a_role_trusted_for_one_delegator_is_not_for_another(repository: Repository, client: Client) -> None:
    """A and B delegate to C with different keys; C is signed with the one that A names."""
    repository.delegate("targets", "A", ["a/*"])
    repository.delegate("targets", "B", ["b/*"])
    repository.delegate("A", "C", ["a/*"])
    signed_for_a = list(repository.keys["C"])
    repository.delegate("B", "C", ["b/*"])
    both, repository.keys["C"] = repository.keys["C"], signed_for_a
    repository.add_file("a/file", b"of a", "C")
    repository.add_file("b/file", b"of b", "C")
    repository.publish_all("C", "A", "B", "targets")
    client.init()
    assert client.download("a/file", "b/file") == 1
    assert client.files() == [b"of a"]
    assert client.download("b/file") == 1
    assert client.files() == [b"of a"]
    repository.keys["C"] = both
    repository.publish_all("C")
    assert client.download("a/file", "b/file") == 0
    assert client.files() == [b"of a", b"of b"]


def test_a_kept_role_is_verified_against_the_present_delegator(
    repository: Repository, client: Client
) -> None:
    """Its own file, version and place in the snapshot stay; only the delegator takes its key away."""
    published(repository, ("targets", "A", ANY, False))
    repository.add_file("first", b"1", "A")
    repository.add_file("second", b"2", "A")
    repository.publish_all("A")
    client.init()
    assert client.download("first") == 0
    old = repository.rotate("A", "targets")
    repository.publish_all("targets")
    assert client.download("second") == 1
    new, repository.keys["A"] = repository.keys["A"], [*repository.keys["A"], *old]
    repository.publish_all("A")
    assert client.download("second") == 0
    assert client.files() == [b"1", b"2"]
    assert len(new) == 1


def test_an_expired_delegated_role_names_nothing(repository: Repository, client: Client) -> None:
    repository.delegate("targets", "A")
    repository.targets("A").expires = NOW + timedelta(days=7)
    repository.add_file("first", b"1", "A")
    repository.add_file("second", b"2", "A")
    repository.publish_all("A", "targets")
    client.init()
    assert client.download("first") == 0
    client.now.append(NOW + timedelta(days=18))
    assert client.download("second") == 1
    repository.targets("A").expires = NOW + timedelta(days=21)
    repository.publish_all("A")
    assert client.download("second") == 0
    assert client.files() == [b"1", b"2"]


@pytest.mark.parametrize(
    ("path", "order", "found"),
    [
        ("file", "", 1),
        ("README.md", "A", 1),
        ("releases/x/v1", "BC", 1),
        ("releases/y/v1.zip", "BD", 1),
        ("releases/z/v1.zip", "B", 0),
    ],
)
def test_a_target_counts_only_where_it_was_delegated(
    repository: Repository, client: Client, path: str, order: str, found: int
) -> None:
    repository.delegate("targets", "A", ["*.doc", "*.md"])
    repository.delegate("targets", "B", ["releases/*/*"])
    repository.delegate("B", "C", ["releases/x/*"])
    repository.delegate("B", "D", ["releases/y/*.zip"])
    for role, name in (
        ("targets", "file"),
        ("A", "README.md"),
        ("C", "releases/x/v1"),
        ("D", "releases/y/v1.zip"),
        ("D", "releases/z/v1.zip"),
    ):
        repository.add_file(name, name.encode(), role)
    repository.publish_all("C", "D", "A", "B", "targets")
    client.init()
    assert client.download(path) == (0 if found else 1)
    assert client.files() == ([path.encode()] if found else [])
    assert [role for role, _ in repository.asked[4:]] == list(order)


def test_hash_prefixes(repository: Repository, client: Client) -> None:
    for name, prefixes in (("low", "01234567"), ("high", "89abcdef")):
        repository.delegate("targets", name, prefixes=list(prefixes))
    repository.add_file("x", b"of low", "low")  # SHA-256 of "x" begins with 2
    repository.add_file("y", b"of low, which is not asked", "low")  # of "y" with a
    repository.publish_all("low", "high", "targets")
    client.init()
    assert client.download("x") == 0
    assert client.download("y") == 1
    assert [role for role, _ in repository.asked[4:5]] == ["low"]


@pytest.mark.parametrize("bits", [1, 5, 9])
def test_hash_bins(repository: Repository, client: Client, bits: int) -> None:
    names = repository.bins("targets", bits, "bin")
    bins = repository.targets().delegations.succinct_roles
    role = bins.get_role_for_target("some/file")
    repository.add_file("some/file", b"content", role)
    repository.publish_all(*names, "targets")
    client.init()
    assert client.download("some/file") == 0
    assert repository.asked[4:] == [(role, 1)]
    assert client.download("other/file") == 1


@pytest.mark.parametrize("name", ["?", "#", "/role", "../role", "a b", ".", "..", "ü", "%2F", "A" * 500])
def test_odd_role_names_are_quoted_and_stay_in_the_folder(
    repository: Repository, client: Client, name: str
) -> None:
    published(repository, ("targets", name, ANY, False))
    client.init()
    before = set(client.home.iterdir()) | {client.metadata}
    assert client.download("missing") == 1
    assert repository.asked[4:] == [(quote(name, safe=""), 1)]
    assert len(list(client.metadata.iterdir())) == 5
    assert set(client.home.iterdir()) == before | {client.metadata}
    assert client.download("missing") == 1
    assert len(repository.asked) == 7


def test_a_search_ends_after_so_many_roles(repository: Repository, client: Client) -> None:
    chain = [("targets", "0"), *((str(n), str(n + 1)) for n in range(40))]
    published(repository, *((a, b, ANY, False) for a, b in chain))
    repository.add_file("deep", b"deep", "40")
    repository.add_file("near", b"near", "20")
    repository.publish_all("40", "20")
    client.init()
    assert client.download("near") == 0
    assert client.download("deep") == 1
    assert len(client.roles()) == 4 + 31


# As a program of its own, over HTTP


@contextmanager
def served(repository: Repository) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                data = repository.answer(self.path.removeprefix("/"))
            except (KeyError, IndexError):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_the_program_over_http(tmp_path: Path) -> None:
    repository = Repository()
    far = datetime.now(NOW.tzinfo).replace(microsecond=0) + timedelta(days=30)
    for metadata in repository.roles.values():
        metadata.signed.expires = far
    repository.published.clear()
    repository.delegate("targets", "../role")
    repository.targets("../role").expires = far
    repository.add_file("a/b c.txt", b"content", "../role")
    repository.publish("../role")
    repository.publish("targets", "snapshot", "timestamp", "root", bump=False)
    initial = tmp_path / "initial_root.json"
    initial.write_bytes(repository.published["root"][0])

    def run(base: str, *arguments: str) -> int:
        program = [sys.executable, "-m", "lockgate.cli.main", "tuf-client"]
        options = ["--metadata-dir", str(tmp_path / "metadata"), "--metadata-url", f"{base}/metadata"]
        return subprocess.run([*program, *options, *arguments], check=False, timeout=60).returncode

    with served(repository) as base:
        assert run(base, "init", str(initial)) == 0
        assert run(base, "refresh") == 0
        more = ("--target-dir", str(tmp_path / "t"), "--target-base-url", f"{base}/targets")
        assert run(base, "--target-name", "a/b c.txt", *more, "download") == 0
        assert [p.read_bytes() for p in (tmp_path / "t").iterdir()] == [b"content"]
        assert run(base, "--target-name", "another", *more, "download") == 1
    assert run(base, "refresh") == 1
    assert isinstance(repository.targets(), Targets)
