"""Update metadata of a crossing under attack: with stolen keys, with old files, with too much of it."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.signer import CryptoSigner, Signature, SSlibKey
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

from corpora.trusted import NOW, Supply
from lockgate.core.artifact import PATH_LIMIT
from lockgate.core.roots import Purpose
from lockgate.trust import tuf
from lockgate.trust.errors import UpdateMetadataError
from lockgate.trust.keys import Signer, new_signer
from lockgate.trust.tuf import KEPT, TUF_FILES, Target, TufSigners, build, settle
from lockgate.trust.tuf_trust import TOP, Edge, TrustedUpdates

UNTIL = NOW + timedelta(days=45)
SUPPLY = Supply()
ROOT = SUPPLY.signed(1)
PYTHON = new_signer(Purpose.TARGETS, "python-team")
SIGNERS = TufSigners(SUPPLY.targets, SUPPLY.snapshot, SUPPLY.timestamp, {"python": PYTHON})
SMALL = {
    "python/numpy/numpy-2.whl": Target(10, "a" * 64),
    "models/org/name/model.gguf": Target(20, "b" * 64),
    "documents/handbook/01.md": Target(30, "c" * 64),
    "meta/lock.json": Target(40, "d" * 64),
    "notes.txt": Target(50, "e" * 64),
}
DELEGATED = ("python.json", "models.json", "documents.json", "meta.json", "files.json")

Files = dict[str, bytes]


def many(count: int, salt: int = 0) -> dict[str, Target]:
    return {f"python/p{n}/p{n}.whl": Target(n, f"{n + salt:064x}") for n in range(count)}


def signed(document: Targets | Snapshot | Timestamp, signer: Signer) -> bytes:
    metadata = Metadata(document)
    metadata.sign(signer.raw)
    return metadata.to_bytes()


def again(base: Files, version: int, /, expiry: dict[str, datetime] | None = None, **changed: bytes) -> Files:
    """Return files with some roles replaced, and a snapshot and timestamp that vouch for them.

    That is what somebody can make who holds the keys of snapshot and timestamp.
    """
    until = {"snapshot": UNTIL, "timestamp": UNTIL, **(expiry or {})}
    new = {**base, **{f"{name}.json": data for name, data in changed.items()}}
    meta = {
        name: MetaFile.from_data(json.loads(data)["signed"]["version"], data, ["sha256"])
        for name, data in new.items()
        if name not in TUF_FILES[:2]
    }
    new["snapshot.json"] = signed(Snapshot(version, None, until["snapshot"], meta), SUPPLY.snapshot)
    named = MetaFile.from_data(version, new["snapshot.json"], ["sha256"])
    new["timestamp.json"] = signed(Timestamp(version, None, until["timestamp"], named), SUPPLY.timestamp)
    return new


def refused(
    files: Files, because: str, trusted: Files | None = None, root: bytes = ROOT
) -> UpdateMetadataError:
    with pytest.raises(UpdateMetadataError, match=because) as raised:
        settle(root, files, trusted or {}, NOW)
    return raised.value


def named(error: UpdateMetadataError, files: Files, role: str, path: str) -> None:
    """Demand that an error names the role's file and the byte at which the target's entry begins."""
    assert (error.where["role"], error.where["path"]) == (role, path)
    rest = files[f"{role}.json"][error.where["offset"] :]
    assert json.loads(b"{" + rest[: rest.index(b"}}") + 1] + b"}")[path]["length"] == 1


def role(targets: dict[str, Target], version: int = 1, delegations: Delegations | None = None) -> Targets:
    listed = {p: TargetFile(t.size, {"sha256": t.sha256}, p) for p, t in targets.items()}
    return Targets(version, None, UNTIL, listed, delegations)


def test_the_tools_of_these_tests_make_metadata_that_is_accepted() -> None:
    files = build(SMALL, 1, SIGNERS, UNTIL)
    assert settle(ROOT, files, {}, NOW).targets == SMALL
    assert settle(ROOT, again(files, 2), {}, NOW).targets == SMALL
    other = signed(role({"python/x/x.whl": Target(1, "f" * 64)}), PYTHON)
    assert "python/x/x.whl" in settle(ROOT, again(files, 2, python=other), {}, NOW).targets


# Older, mixed, frozen


@pytest.mark.parametrize("name", DELEGATED)
def test_a_delegated_role_does_not_go_back(name: str) -> None:
    """Who holds the keys of snapshot and timestamp offers the older file of one role."""
    old = build(SMALL, 1, SIGNERS, UNTIL)
    trusted = build({p: Target(t.size + 1, t.sha256) for p, t in SMALL.items()}, 2, SIGNERS, UNTIL)
    mixed = again({**trusted, name: old[name]}, 3)
    refused(mixed, "older than 2", trusted)
    assert settle(ROOT, mixed, {}, NOW).targets != SMALL


@pytest.mark.parametrize("name", [*TUF_FILES, *DELEGATED])
def test_files_of_two_crossings_do_not_mix(name: str) -> None:
    first = build(SMALL, 1, SIGNERS, UNTIL)
    second = build({p: Target(t.size + 1, t.sha256) for p, t in SMALL.items()}, 2, SIGNERS, UNTIL)
    refused({**second, name: first[name]}, "signed for|not newer|version")
    refused({**first, name: second[name]}, "signed for|not newer|version")


@pytest.mark.parametrize("name", [*TUF_FILES, *DELEGATED])
def test_no_role_disappears_or_is_left_out_of_the_first_crossing(name: str) -> None:
    files = build(SMALL, 1, SIGNERS, UNTIL)
    del files[name]
    refused(files, f"brings no {name}")


def test_a_role_once_listed_stays_listed() -> None:
    trusted = build(SMALL, 1, SIGNERS, UNTIL)
    flat = {name: data for name, data in trusted.items() if name in TUF_FILES}
    flat = again(flat, 2, targets=signed(role(SMALL, 2), SUPPLY.targets))
    refused(flat, "no longer lists", trusted)
    assert settle(ROOT, flat, {}, NOW).targets == SMALL


@pytest.mark.parametrize("name", ["timestamp", "snapshot", "targets", "python"])
def test_an_expired_role_stops_admission(name: str) -> None:
    """One role expires while all others live on."""
    long = NOW + timedelta(days=90)
    expiry = {
        role: UNTIL if role == name else long for role in ("timestamp", "snapshot", "targets", "python")
    }
    files = build(SMALL, 1, SIGNERS, long)
    for role, signer in (("targets", SUPPLY.targets), ("python", PYTHON)):
        document = Metadata[Any].from_bytes(files[f"{role}.json"]).signed
        document.expires = expiry[role]
        files[f"{role}.json"] = signed(document, signer)
    files = again(files, 1, expiry)
    assert settle(ROOT, files, {}, UNTIL - timedelta(seconds=1)).targets == SMALL
    with pytest.raises(UpdateMetadataError, match=f"'{name}' expired"):
        settle(ROOT, files, {}, UNTIL)


def test_delegated_roles_outlive_the_timestamp_and_are_signed_anew_in_time() -> None:
    first = build(SMALL, 1, SIGNERS, UNTIL)
    assert Metadata[Any].from_bytes(first["python.json"]).signed.expires == UNTIL + KEPT
    second = build(SMALL, 2, SIGNERS, UNTIL + KEPT, first)
    assert second["python.json"] == first["python.json"]
    third = build(SMALL, 3, SIGNERS, UNTIL + KEPT + timedelta(seconds=1), second)
    assert third["python.json"] != first["python.json"]


# Keys


def test_each_ecosystem_has_its_own_key() -> None:
    files = build(SMALL, 1, SIGNERS, UNTIL)
    for signer in (SUPPLY.targets, SUPPLY.snapshot, new_signer(Purpose.TARGETS, "stranger")):
        refused(again(files, 2, python=signed(role({}), signer)), "'python' lacks signatures")
    refused(again(files, 2, models=signed(role({}), PYTHON)), "'models' lacks signatures")


@pytest.mark.parametrize("ecosystem", ["python", "models", "documents", "meta", "files"])
def test_a_role_signed_by_a_removed_key_is_refused(ecosystem: str) -> None:
    """The top-level role names a new key; the old one still signs, with all that it signed before."""
    old, new = (new_signer(Purpose.TARGETS, "old"), new_signer(Purpose.TARGETS, "new"))
    online = (SUPPLY.targets, SUPPLY.snapshot, SUPPLY.timestamp)
    before = build(SMALL, 1, TufSigners(*online, {ecosystem: old}), UNTIL)
    after = build(SMALL, 2, TufSigners(*online, {ecosystem: new}), UNTIL, before)
    name = f"{ecosystem}.json"
    assert after[name] != before[name]
    assert settle(ROOT, after, before, NOW).targets == SMALL
    refused(again({**after, name: before[name]}, 3), "lacks signatures")
    left_out = again({**after, name: before[name]}, 3)
    del left_out[name]
    refused(left_out, "lacks signatures", before)


def test_what_was_trusted_is_verified_again_for_the_present_delegator() -> None:
    before = build(SMALL, 1, SIGNERS, UNTIL)
    after = build(SMALL, 2, SIGNERS, UNTIL, before)
    brought = {name: after[name] for name in TUF_FILES}
    settled = settle(ROOT, brought, before, NOW)
    assert settled.targets == SMALL
    assert settled.files == after
    refused(brought, "brings no")
    refused(brought, "signed for", {**before, "python.json": before["models.json"]})
    refused(brought, "signed for", {**before, "python.json": b"{}"})


@pytest.mark.parametrize("left", [0, 1, 2])
def test_after_a_rotation_of_the_online_keys_the_removed_ones_count_nothing(left: int) -> None:
    """Of targets, snapshot and timestamp, all but one key are new; that one old key signs on."""
    fresh = Supply(SUPPLY.holders, SUPPLY.collector)
    root = fresh.signed(2)
    trusted = build(SMALL, 1, SUPPLY.online, UNTIL)
    keys = [fresh.targets, fresh.snapshot, fresh.timestamp]
    assert settle(root, build(SMALL, 2, TufSigners(*keys), UNTIL, trusted), trusted, NOW).targets == SMALL
    keys[left] = (SUPPLY.targets, SUPPLY.snapshot, SUPPLY.timestamp)[left]
    refused(build(SMALL, 2, TufSigners(*keys), UNTIL, trusted), "lacks signatures", trusted, root)


# Delegations


@pytest.mark.parametrize(
    ("name", "signer", "path"),
    [
        ("python", PYTHON, "models/org/name/other.gguf"),
        ("python", PYTHON, "meta/lock.json"),
        ("python", PYTHON, "python/too/deep/x.whl"),
        ("python", PYTHON, "elsewhere"),
        ("models", SUPPLY.targets, "python/numpy/other.whl"),
        ("files", SUPPLY.targets, "python/numpy/other.whl"),
        ("files", SUPPLY.targets, "meta/other.json"),
    ],
)
def test_a_role_names_nothing_outside_its_delegation(name: str, signer: Signer, path: str) -> None:
    files = build(SMALL, 1, SIGNERS, UNTIL)
    evil = signed(role({path: Target(1, "9" * 64)}), signer)
    forged = again(files, 2, **{name: evil})
    named(refused(forged, "not delegated to it"), forged, name, path)


def test_a_bin_names_only_what_hashes_into_it() -> None:
    files = build(many(1500), 1, SIGNERS, UNTIL)
    bins = SuccinctRoles([], 1, 3, "python")
    path = "python/p1/p1.whl"
    wrong = next(n for n in bins.get_roles() if n != bins.get_role_for_target(path))
    evil = signed(role({path: Target(1, "9" * 64)}), PYTHON)
    refused(again(files, 2, **{wrong: evil}), "not delegated to it")


def top(*roles: DelegatedRole, keys: tuple[Signer, ...] = (PYTHON,)) -> bytes:
    known = {k.raw.public_key.keyid: k.raw.public_key for k in keys}
    delegations = Delegations(dict(known), {r.name: r for r in roles})
    return signed(role({}, 1, delegations), SUPPLY.targets)


def delegated(name: str, *paths: str, terminating: bool = False) -> DelegatedRole:
    return DelegatedRole(name, [PYTHON.raw.public_key.keyid], 1, terminating, [*paths])


def crossing(**roles: bytes) -> Files:
    return again({}, 1, **roles)


def test_two_roles_do_not_name_one_target() -> None:
    both = signed(role({"x": Target(1, "9" * 64)}), PYTHON)
    twice = crossing(targets=top(delegated("A", "*"), delegated("B", "*")), A=both, B=both)
    error = refused(twice, "Two roles name")
    named(error, twice, error.where["role"], "x")
    terminating = top(delegated("A", "*", terminating=True), delegated("B", "*"))
    refused(crossing(targets=terminating, A=signed(role({}), PYTHON), B=both), "not delegated to it")
    only = crossing(targets=top(delegated("A", "*"), delegated("B", "*")), A=signed(role({}), PYTHON), B=both)
    assert list(settle(ROOT, only, {}, NOW).targets) == ["x"]


def nested(*names: str) -> bytes:
    key = PYTHON.raw.public_key
    return signed(role({}, 1, Delegations({key.keyid: key}, {n: delegated(n, "*") for n in names})), PYTHON)


def test_cycles_diamonds_and_long_chains_are_refused() -> None:
    empty = signed(role({}), PYTHON)
    circle = refused(crossing(targets=top(delegated("A", "*")), A=nested("A")), "delegated to twice")
    assert circle.where["role"] == "A"
    refused(
        crossing(
            targets=top(delegated("A", "*"), delegated("B", "*")), A=nested("C"), B=nested("C"), C=empty
        ),
        "delegated to twice",
    )
    chain = crossing(targets=top(delegated("A", "*")), A=nested("B"), B=nested("C"), C=empty)
    refused(chain, "at most 3 roles")


def test_files_that_no_role_delegates_to_are_refused() -> None:
    files = build(SMALL, 1, SIGNERS, UNTIL)
    foreign = refused({**files, "extra.json": files["python.json"]}, "no role delegates to")
    assert foreign.where["role"] == "extra"
    refused({**files, "root.json": ROOT}, "no role delegates to")


@pytest.mark.parametrize(
    "patterns",
    [
        [f"p{number}/*" for number in range(tuf.PARTS_LIMIT)],
        ["*" + "a*" * PATH_LIMIT],
        ["/".join(["a"] * PATH_LIMIT)],
    ],
)
def test_delegations_that_take_long_to_compare_are_refused(patterns: list[str]) -> None:
    files = crossing(targets=top(delegated("A", *patterns)), A=signed(role({}), PYTHON))
    refused(files, "too many or too long patterns")


def test_delegations_within_the_bounds_are_compared() -> None:
    many_parts = [f"p{number}/*" for number in range(tuf.PARTS_LIMIT - 1)]
    named = {f"p{tuf.PARTS_LIMIT - 2}/a": Target(1, "9" * 64)}
    files = crossing(targets=top(delegated("A", *many_parts)), A=signed(role(named), PYTHON))
    assert settle(ROOT, files, {}, NOW).targets == named


def test_more_is_not_compared_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    files = build(many(20), 1, SIGNERS, UNTIL)
    settle(ROOT, files, {}, NOW)
    monkeypatch.setattr(tuf, "MATCHING_LIMIT", 100)
    refused(files, "more than can be compared")
    prefixes = delegated("A")
    prefixes.paths, prefixes.path_hash_prefixes = None, [f"{n:04x}" for n in range(64)]
    files = crossing(targets=top(prefixes), A=signed(role({"x": Target(1, "9" * 64)}), PYTHON))
    refused(files, "more than can be compared")


def test_a_target_with_a_path_that_nothing_can_have_is_refused() -> None:
    named = {"a" * (PATH_LIMIT + 1): Target(1, "9" * 64)}
    refused(
        crossing(targets=top(delegated("A", "*")), A=signed(role(named), PYTHON)), "more than 1024 characters"
    )


@pytest.mark.parametrize("keytype", ["ecdsa", "ecdsa-sha2-nistp256"])
def test_one_key_under_two_names_of_its_type_counts_once(keytype: str) -> None:
    key = CryptoSigner(ec.generate_private_key(ec.SECP256R1()))
    again = SSlibKey("e" * 64, keytype, key.public_key.scheme, {"public": key.public_key.keyval["public"]})
    metadata = Metadata(role({}))
    metadata.sign(key)
    signature = metadata.signatures[key.public_key.keyid].signature
    metadata.signatures[again.keyid] = Signature(again.keyid, signature)
    twice = DelegatedRole("A", [key.public_key.keyid, again.keyid], 2, terminating=False, paths=["*"])
    known = {key.public_key.keyid: key.public_key, again.keyid: again}
    named = signed(role({}, 1, Delegations(known, {"A": twice})), SUPPLY.targets)
    refused(crossing(targets=named, A=metadata.to_bytes()), "lacks signatures")


def test_delegations_to_roles_of_the_top_are_refused() -> None:
    for name in ("root", "targets", "snapshot", "timestamp"):
        forged = json.loads(top(delegated("A", "*")))
        forged["signed"]["delegations"]["roles"][0]["name"] = name
        refused(crossing(targets=json.dumps(forged).encode()), "unreadable")


# Too much, too little


def test_every_cut_of_every_file_is_refused() -> None:
    files = build(SMALL, 1, SIGNERS, UNTIL)
    for name, data in files.items():
        for end in range(0, len(data), 37):
            refused({**files, name: data[:end]}, "unreadable|signed for")
        refused({**files, name: data + b" "}, "signed for") if name != "timestamp.json" else None


def test_every_changed_byte_of_a_delegated_role_is_refused() -> None:
    files = build(SMALL, 1, SIGNERS, UNTIL)
    for at in range(0, len(files["python.json"]), 5):
        changed = bytearray(files["python.json"])
        changed[at] ^= 1
        refused({**files, "python.json": bytes(changed)}, "signed for")


def test_more_files_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    files = build(SMALL, 1, SIGNERS, UNTIL)
    monkeypatch.setattr(tuf, "FILES_LIMIT", len(files) - 1)
    refused(files, "at most 7 are read")
    brought = {name: files[name] for name in TUF_FILES}
    later = build(SMALL, 2, SIGNERS, UNTIL, files)
    refused({name: later[name] for name in brought}, "More than 7 roles", files)


@pytest.mark.parametrize("bits", [14, 32])
def test_more_bins_than_the_bound(bits: int) -> None:
    key = PYTHON.raw.public_key
    bins = Delegations({key.keyid: key}, None, SuccinctRoles([key.keyid], 1, bits, "python"))
    files = build(SMALL, 1, SIGNERS, UNTIL)
    refused(again(files, 2, python=signed(role({}, 1, bins), PYTHON)), "bins")


def test_more_targets_than_there_can_be_bins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.trust.tuf_layout.BITS_LIMIT", 2)
    with pytest.raises(UpdateMetadataError, match="more than 4 bins"):
        build(many(1025), 1, SIGNERS, UNTIL)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.update(targets={"python/x/x": {"length": 1, "hashes": {"sha512": "0" * 128}}}),
        lambda s: s.update(targets={"python/x/x": {"length": 1}}),
        lambda s: s.update(targets={"python/x/x": {"length": -1, "hashes": {"sha256": "0" * 64}}}),
        lambda s: s.update(targets=[]),
        lambda s: s.update(version=0),
        lambda s: s.update(version="1"),
        lambda s: s.update(spec_version="2.0.0"),
        lambda s: s.update(expires="never"),
        lambda s: s.update(delegations={"keys": {}, "roles": [], "succinct_roles": {}}),
        lambda s: s.pop("expires"),
    ],
)
def test_malformed_content_under_a_valid_signature(change: Callable[[dict[str, Any]], object]) -> None:
    from securesystemslib.formats import encode_canonical

    files = build(SMALL, 1, SIGNERS, UNTIL)
    document = json.loads(files["python.json"])
    change(document["signed"])
    raw = str(encode_canonical(document["signed"])).encode()
    document["signatures"] = [PYTHON.raw.sign(raw).to_dict()]
    data = json.dumps(document).encode()
    snapshot = Metadata[Any].from_bytes(files["snapshot.json"]).signed
    snapshot.meta["python.json"] = MetaFile.from_data(1, data, ["sha256"])
    files |= {"python.json": data, "snapshot.json": signed(snapshot, SUPPLY.snapshot)}
    named = MetaFile.from_data(1, files["snapshot.json"], ["sha256"])
    files["timestamp.json"] = signed(Timestamp(1, None, UNTIL, named), SUPPLY.timestamp)
    refused(files, "unreadable|no SHA-256")


# The order of the workflow


def test_nothing_is_trusted_before_its_turn() -> None:
    files = build(SMALL, 1, SIGNERS, UNTIL)
    updates = TrustedUpdates(ROOT, NOW)
    for early in (
        lambda: updates.accept_snapshot(files["snapshot.json"]),
        lambda: updates.accept_role(files["targets.json"], TOP),
        lambda: updates.role("targets"),
    ):
        with pytest.raises(UpdateMetadataError):
            early()
    assert updates.accept_timestamp(files["timestamp.json"])
    with pytest.raises(UpdateMetadataError, match="root came after"):
        updates.accept_root(SUPPLY.signed(2))
    with pytest.raises(UpdateMetadataError, match="no trusted snapshot"):
        updates.accept_role(files["targets.json"], TOP)
    updates.accept_snapshot(files["snapshot.json"])
    with pytest.raises(UpdateMetadataError, match="not verified yet"):
        updates.accept_role(files["python.json"], Edge("targets", "python"))
    updates.accept_role(files["targets.json"], TOP)
    updates.accept_role(files["python.json"], Edge("targets", "python"))
    with pytest.raises(UpdateMetadataError, match="cannot be judged"):
        updates.accept_role(files["models.json"], Edge("python", "models"))
    assert not updates.trusts(Edge("python", "models"))


def test_a_snapshot_that_was_trusted_before_is_no_snapshot_of_now() -> None:
    old, new = build(SMALL, 1, SIGNERS, UNTIL), build(SMALL, 2, SIGNERS, UNTIL)
    updates = TrustedUpdates(ROOT, NOW)
    updates.accept_timestamp(new["timestamp.json"])
    assert not updates.recall_snapshot(old["snapshot.json"])
    with pytest.raises(UpdateMetadataError, match="no trusted snapshot"):
        updates.accept_role(old["targets.json"], TOP)


def test_two_contents_of_one_version_are_not_both_trusted() -> None:
    """Without digests in the snapshot, a second file of the same version comes for another delegation."""
    key = PYTHON.raw.public_key
    one, two = (signed(role({"x": Target(n, "9" * 64)}), PYTHON) for n in (1, 2))
    both = top(delegated("A", "*"), delegated("B", "*"))
    meta = {f"{n}.json": MetaFile(1) for n in ("targets", "A", "B", "C")}
    snapshot = signed(Snapshot(1, None, UNTIL, meta), SUPPLY.snapshot)
    updates = TrustedUpdates(ROOT, NOW)
    updates.accept_timestamp(signed(Timestamp(1, None, UNTIL, MetaFile(1)), SUPPLY.timestamp))
    updates.accept_snapshot(snapshot)
    updates.accept_role(both, TOP)
    for name in "AB":
        inner = Delegations({key.keyid: key}, {"C": delegated("C", "*")})
        updates.accept_role(signed(role({}, 1, inner), PYTHON), Edge("targets", name))
    updates.accept_role(one, Edge("A", "C"))
    with pytest.raises(UpdateMetadataError, match="two different"):
        updates.accept_role(two, Edge("B", "C"))
    updates.accept_role(one, Edge("B", "C"))


def test_a_search_stops_where_its_caller_brings_nothing() -> None:
    files = build(SMALL, 1, SIGNERS, UNTIL)
    updates = TrustedUpdates(ROOT, NOW)
    updates.accept_timestamp(files["timestamp.json"])
    updates.accept_snapshot(files["snapshot.json"])
    search = updates.search("notes.txt")
    assert next(search) == TOP
    with pytest.raises(UpdateMetadataError, match="was not verified"):
        next(search)
