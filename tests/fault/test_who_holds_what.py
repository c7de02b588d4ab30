"""Who holds what, and how far it carries: every low-side key, the database and the blobs, the console."""

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from corpora.homes import HighSide
from corpora.mirrorsite import ask as ask_mirror
from crossing_lane import Lane, refused
from lockgate.admit.model import CHANNELS, DENIED, HISTORY, SPENT, ChannelPointer
from lockgate.app.gate.gate import execute, open_gate
from lockgate.app.high.channel import HOME_VARIABLE, channel_reader
from lockgate.app.high.mirrors import mirror_app
from lockgate.app.high.signed_models import SignedModels
from lockgate.app.lane.install import follow, install_root
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import signer_from, site_root, supply_root, utc_now
from lockgate.approve import combine, read_statement
from lockgate.approve.errors import ApprovalSpentError
from lockgate.console.home import console_app
from lockgate.core.errors import LockgateError
from lockgate.core.policy import Policy
from lockgate.core.roots import KeyRevokedError, Purpose, Root, UnknownKeyError
from lockgate.core.snapshot import Snapshot
from lockgate.core.statement import STATEMENT_TYPE, Operation, TooFewApproversError
from lockgate.core.wire import decode, encode
from lockgate.store import FileBlobs
from lockgate.trust.dsse import sign
from lockgate.trust.errors import SignatureError
from lockgate.trust.keys import Signer, new_signer
from lockgate.trust.roots import make_supply_root, rotate_site_root, sign_site_root

LOW = (Purpose.COLLECTOR, Purpose.SEALER, Purpose.TARGETS, Purpose.SNAPSHOT, Purpose.TIMESTAMP)


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    made = HighSide.new(tmp_path)
    made.publish(1, "first")
    made.arrive(2, "second")
    return made


# --- every key of the low side -----------------------------------------------------------------


def low_keys(high: HighSide) -> list[Signer]:
    """Return every key that the low side has, the supply root's holders' included."""
    root = supply_root(high.side)[1]
    keys = [signer_from(high.lane.low / "keys", purpose, root) for purpose in LOW]
    holders = [f for name, f in high.lane.people.items() if name.startswith("supply")]
    return keys + [signer_from(folder, Purpose.SUPPLY_ROOT, root) for folder in holders]


def trust_files(high: HighSide) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in high.side.home.trust.iterdir() if p.is_file()}


def test_low_side_keys_appoint_nobody_and_change_no_policy(high: HighSide) -> None:
    keys, before = low_keys(high), trust_files(high)
    assert len(keys) == 8
    old = site_root(high.side, None)
    mine = new_signer(Purpose.APPROVER, "approver-1")
    usurpers = [new_signer(Purpose.SITE_ROOT, f"site-holder-{n}") for n in (1, 2)]
    for changes in (
        {"keys": {**old.keys, mine.keyid: mine.held(old.expires)}},
        {"keys": {**old.keys, **{u.keyid: u.held(old.expires) for u in usurpers}}},
        {"keys": {u.keyid: u.held(old.expires) for u in usurpers}},
        {"policy": Policy(approvers=1, skew_seconds=10**8)},
        {"revoked": ()},
        {"recipients": {}},
    ):
        new = msgspec.structs.replace(old, version=2, **changes)
        for signers in (keys, [*keys, mine], usurpers):
            envelope = sign_site_root(new, signers)
            with pytest.raises(LockgateError):
                rotate_site_root(old, envelope, utc_now())
            file = high.folder / "root.json"
            file.write_bytes(envelope)
            with pytest.raises(LockgateError):
                install_root(high.side, follow(high.side, [file]), utc_now())
    assert trust_files(high) == before
    assert site_root(high.side, None) == old


def test_low_side_keys_admit_nothing(high: HighSide) -> None:
    keys = low_keys(high)
    high.ask_to_publish(2)
    request = open_gate(high.side).request(2, "stable", high.operator)
    statement = encode(read_statement(request))
    pairs = [sign(STATEMENT_TYPE, statement, [high.operator, *keys[n : n + 2]]) for n in range(len(keys) - 1)]
    for envelope in (sign(STATEMENT_TYPE, statement, keys), *pairs):
        file = high.folder / "forged.json"
        file.write_bytes(envelope)
        with pytest.raises(UnknownKeyError):
            execute(high.side, [file])
    as_approver = [Signer(Purpose.APPROVER, "approver-1", key.raw) for key in keys[:2]]
    file.write_bytes(sign(STATEMENT_TYPE, statement, [high.operator, *as_approver]))
    with pytest.raises(UnknownKeyError):
        execute(high.side, [file])
    assert open_gate(high.side).pointer("stable").version == 1


def test_low_side_keys_un_revoke_nothing(tmp_path: Path) -> None:
    """All holders of the supply root and all its workers list and use a key that the site revoked."""
    lane = Lane()
    revoked = lane.signers[Purpose.SEALER].keyid
    lane.site = msgspec.structs.replace(lane.site, revoked=(revoked,))
    first = lane.seal(tmp_path / "outbox")
    refused(lane.opener(tmp_path / "staging"), first, KeyRevokedError)
    lane.low_roots.append(make_supply_root(lane.supply_root(2), lane.holders))
    again = lane.seal(tmp_path / "outbox")
    assert revoked in lane.supply_root(2).keys
    error = refused(lane.opener(tmp_path / "staging"), again, KeyRevokedError)
    assert error.where["keyid"] == revoked


def test_a_supply_root_with_a_policy_and_approvers_gives_neither(tmp_path: Path) -> None:
    """The supply root may say what it likes: the high side reads people and policy from its own root."""
    lane = Lane()
    approver = new_signer(Purpose.APPROVER, "ap-1")
    generous = msgspec.structs.replace(lane.supply_root(2), policy=Policy(approvers=1))
    keys = {**generous.keys, approver.keyid: approver.held(generous.expires)}
    lane.low_roots.append(make_supply_root(msgspec.structs.replace(generous, keys=keys), lane.holders))
    crate, opener = lane.seal(tmp_path / "outbox"), lane.opener(tmp_path / "staging")
    site: Root = lane.site
    opener.receive(crate.path)
    assert opener._p.policy == (site.policy or Policy())
    assert approver.keyid not in opener._p.site.keys


# --- write access to the database and the blob folder ------------------------------------------


def served(high: HighSide) -> dict[str, tuple[str, ...] | str]:
    """Return what each service would serve that starts now; the code of why one refuses."""
    found: dict[str, tuple[str, ...] | str] = {}
    for service in ("mirror", "gateway", "knowledge"):
        try:
            reader = SignedModels(high.side) if service == "gateway" else channel_reader(high.side, service)
            verified = reader.verified() if isinstance(reader, SignedModels) else reader.current()
            found[service] = tuple(a.artifact.purl for a in verified.snapshot.admitted)
        except LockgateError as error:
            found[service] = error.code
    return found


def rows(high: HighSide) -> Iterator[tuple[str, str, bytes]]:
    records = records_of(high.side)
    with records.transaction() as tx:
        held = [(c, k, v) for c in tx.collections() for k, v in tx.scan(c)]
    records.close()
    yield from held


def write_row(high: HighSide, collection: str, key: str, value: bytes | None) -> None:
    records = records_of(high.side)
    with records.transaction() as tx:
        if value is None:
            tx.delete(collection, key)
        else:
            tx.put(collection, key, value)
    records.close()


def forged_snapshot(high: HighSide) -> tuple[Snapshot, str]:
    """Put a snapshot with a stranger's file into the blobs, as who can write there can."""
    blobs = FileBlobs(high.side.home.blobs)
    good = channel_reader(high.side, "thief").current().snapshot
    evil = blobs.put_bytes(b"evil")
    first = good.admitted[0]
    file = msgspec.structs.replace(first.artifact.files[0], sha256=evil, size=4)
    artifact = msgspec.structs.replace(first.artifact, purl="pkg:generic/evil@1", files=(file,))
    bad = msgspec.structs.replace(good, admitted=(msgspec.structs.replace(first, artifact=artifact),))
    return bad, blobs.put_bytes(encode(bad))


def test_whoever_writes_rows_and_blobs_makes_nothing_unsigned_served(high: HighSide) -> None:
    good = served(high)
    assert set(good.values()) == {("pkg:generic/first@1",)}
    blobs = FileBlobs(high.side.home.blobs)
    row = next(v for c, _, v in rows(high) if c == CHANNELS)
    pointer = decode(ChannelPointer, row)
    signed = blobs.read(pointer.statement_sha256)
    statement = read_statement(signed)
    _, digest = forged_snapshot(high)
    thieves = [new_signer(Purpose.OPERATOR, "operator")]
    thieves += [new_signer(Purpose.APPROVER, f"approver-{n}") for n in (1, 2)]
    changed = msgspec.structs.replace(statement, snapshot_sha256=digest, channel_version=2)
    unsigned = encode({**msgspec.json.decode(signed), "signatures": []})
    moved = encode(
        {
            **msgspec.json.decode(sign(STATEMENT_TYPE, encode(changed), [])),
            "signatures": msgspec.json.decode(signed)["signatures"],
        }
    )
    asked = [high.ask_to_publish(2)[0].read_bytes()]  # on the way: real, and with one approval
    request = open_gate(high.side).request(2, "stable", high.operator)
    wanted = read_statement(request).snapshot_sha256
    blobs.put_bytes(FileBlobs(high.side.home.quarantine).read(wanted))
    forgeries = (sign(STATEMENT_TYPE, encode(changed), thieves), unsigned, moved, request, *asked, b"{}", b"")
    for envelope in forgeries:
        forged = msgspec.structs.replace(
            pointer, version=2, snapshot_sha256=digest, statement_sha256=blobs.put_bytes(envelope)
        )
        write_row(high, CHANNELS, "stable", encode(forged))
        open_gate(high.side)  # writes the channel's file from the row
        for service, found in served(high).items():
            assert isinstance(found, str), (service, found)
    write_row(high, CHANNELS, "stable", row)
    open_gate(high.side)
    assert served(high) == good, "what was signed is served again"


def test_removing_rows_stops_and_opens_nothing(high: HighSide) -> None:
    """Each row alone, and all of them: what is served is what two persons signed, or nothing."""
    good = served(high)
    for collection, key, value in list(rows(high)):
        write_row(high, collection, key, None)
        assert all(found == good[s] or isinstance(found, str) for s, found in served(high).items())
        write_row(high, collection, key, value)
    for collection, key, _ in list(rows(high)):
        write_row(high, collection, key, None)
    assert served(high) == good, "who serves reads no row"
    for file in high.side.home.channels.iterdir():
        file.unlink()
    assert all(isinstance(found, str) for found in served(high).values())


def test_a_spent_approval_whose_row_was_removed_does_not_work_again(high: HighSide) -> None:
    blobs = blobs_of(high.side)
    first = high.folder / "first.json"
    pointer = next(decode(ChannelPointer, v) for c, _, v in rows(high) if c == CHANNELS)
    first.write_bytes(blobs.read(pointer.statement_sha256))
    execute(high.side, high.ask_to_publish(2))
    with pytest.raises(ApprovalSpentError):
        execute(high.side, [first])
    for collection, key, _ in list(rows(high)):
        if collection in {SPENT, DENIED, HISTORY}:
            write_row(high, collection, key, None)
    with pytest.raises(LockgateError):
        execute(high.side, [first])
    assert open_gate(high.side).pointer("stable").version == 2


def test_altered_blobs_are_not_handed_out(high: HighSide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(high.lane.high))
    found = ask_mirror(mirror_app(), "/files/documents/first")
    assert (found.status, found.body) == (200, b"first")
    digest = channel_reader(high.side, "x").current().snapshot.admitted[0].artifact.files[0].sha256
    blob = high.side.home.blobs / digest[:2] / digest
    blob.chmod(0o600)
    blob.write_bytes(b"fi5st")
    for _ in range(2):
        found = ask_mirror(mirror_app(), "/files/documents/first")
        assert found.status >= 500
        assert b"fi5st" not in found.body
    with pytest.raises(LockgateError):
        blobs_of(high.side).read(digest)


# --- a session at the console ------------------------------------------------------------------


def test_a_console_session_gives_no_order_and_holds_no_key(
    high: HighSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It works without any key on its host, so none can be reached through it; it takes no order."""
    pending = high.ask_to_publish(2)
    for folder in (high.side.home.keys, *high.lane.people.values()):
        shutil.rmtree(folder)
    monkeypatch.setenv(HOME_VARIABLE, str(high.lane.high))
    before = list(rows(high))
    app = console_app()
    assert ask_console(app, "/").status == 200
    assert ask_console(app, "/crossings/2").status == 200
    for path in ("/", "/crossings/2", "/approve", "/crossings/2/approve", "/healthz", "/metrics"):
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert ask_console(app, path, method=method).status in {404, 405}, (method, path)
    assert list(rows(high)) == before
    assert open_gate_without_keys(high) == 1
    assert pending


def ask_console(app, path: str, method: str = "GET"):
    return ask_mirror(app, path, method, host="127.0.0.1:8730")


def open_gate_without_keys(high: HighSide) -> int:
    return next(decode(ChannelPointer, v).version for c, _, v in rows(high) if c == CHANNELS)


@pytest.mark.parametrize("forgery", ["nobody", "one", "changed", "stranger", "operator"])
def test_who_can_hand_in_statements_forges_no_approval(high: HighSide, forgery: str) -> None:
    """What a session could hand in, were there a way: requests, and what approvers signed of others."""
    files = high.ask_to_publish(2)
    first, both = files[0].read_bytes(), combine([f.read_bytes() for f in files])
    statement = read_statement(both)
    changed = msgspec.structs.replace(statement, nonce=secrets.token_hex(16))
    stranger = new_signer(Purpose.APPROVER, "approver-2")
    request = sign(STATEMENT_TYPE, encode(statement), [high.operator])
    attempts: dict[str, tuple[bytes, type[LockgateError]]] = {
        "nobody": (request, TooFewApproversError),
        "one": (first, TooFewApproversError),
        "changed": (
            encode(
                {
                    **msgspec.json.decode(sign(STATEMENT_TYPE, encode(changed), [])),
                    "signatures": msgspec.json.decode(both)["signatures"],
                }
            ),
            SignatureError,
        ),
        "stranger": (combine([first, sign(STATEMENT_TYPE, encode(statement), [stranger])]), UnknownKeyError),
        "operator": (
            sign(
                STATEMENT_TYPE,
                encode(msgspec.structs.replace(statement, operation=Operation.CLOCK)),
                [Signer(Purpose.APPROVER, "operator", high.operator.raw)],
            ),
            LockgateError,
        ),
    }
    envelope, error = attempts[forgery]
    file = high.folder / "handed-in.json"
    file.write_bytes(envelope)
    with pytest.raises(error):
        execute(high.side, [file])
    assert open_gate(high.side).pointer("stable").version == 1
