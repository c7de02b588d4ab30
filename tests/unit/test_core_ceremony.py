from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from lockgate.core.ceremony import (
    CARD_FORMAT,
    CeremonyError,
    Changes,
    Entry,
    KeyCard,
    demand_sound,
    first_root,
    next_root,
)
from lockgate.core.policy import EmergencyRule, OpaqueRule, Policy, Right
from lockgate.core.root_changes import differences
from lockgate.core.roots import KeyExpiredError, Purpose, Root, RootKind
from lockgate.core.wire import next_second, whole_second
from lockgate.trust.keys import new_recipient_key, new_signer

NOW = datetime(2026, 5, 1, tzinfo=UTC)
YEAR = NOW + timedelta(days=365)
SECOND = timedelta(seconds=1)
SITE = (
    *((Purpose.SITE_ROOT, p) for p in ("dora", "eli", "fay")),
    *((Purpose.APPROVER, p) for p in ("gus", "hal", "ora")),
    (Purpose.OPERATOR, "ora"),
    (Purpose.INSPECTOR, "gate"),
    (Purpose.LOG, "gate"),
)


def card(purpose: Purpose, person: str, lane: str = "plant") -> Entry:
    signer = new_signer(purpose, person)
    return Entry(
        signer.keyid,
        KeyCard(format=CARD_FORMAT, lane=lane, person=person, purpose=purpose, key=signer.public),
    )


def recipient(name: str = "gate") -> Entry:
    key = new_recipient_key(name)
    return Entry(
        key.recipient_id,
        KeyCard(format=CARD_FORMAT, lane="plant", person=name, recipient=key.published(NOW)),
    )


def site(*more: Entry, without: tuple[Purpose, str] | None = None, **changes) -> Root:
    cards = [card(*who) for who in SITE if who != without]
    facts = {"thresholds": {Purpose.SITE_ROOT: 2}} | changes
    add = (*cards, *more) if more else (*cards, recipient())
    return first_root(RootKind.SITE, "plant", "production", YEAR, Changes(add=add, **facts), at=NOW)


def of(root: Root, purpose: Purpose, person: str) -> str:
    return next(k for k, h in root.keys.items() if (h.purpose, h.person) == (purpose, person))


def test_a_root_lists_what_the_cards_say_until_its_own_end() -> None:
    root = site()
    assert {(h.purpose, h.person) for h in root.keys.values()} == set(SITE)
    assert {h.expires for h in root.keys.values()} == {r.expires for r in root.recipients.values()} == {YEAR}
    assert (root.version, root.assurance, root.policy) == (1, "production", Policy())
    assert root.revoked_keys == frozenset()
    assert b"revoked" not in msgspec.json.encode(root), "older readers know no such field"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: site(thresholds={}), "at least 2 persons must sign as site-root"),
        (lambda: site(thresholds={Purpose.SITE_ROOT: 4}), "3 persons hold a key for site-root; 4"),
        (lambda: site(without=(Purpose.LOG, "gate")), "0 persons hold a key for log"),
        (lambda: site(card(Purpose.APPROVER, "ivy")), "no key that crates could be sealed to"),
        (lambda: site(without=(Purpose.APPROVER, "gus")), "When ora asks, only 1 others may approve"),
        (lambda: site(recipient(), card(Purpose.SEALER, "low")), "lists no keys for sealer"),
        (lambda: site(recipient(), card(Purpose.APPROVER, "x", "other")), "is for lane 'other'"),
        (lambda: site(recipient(), card(Purpose.RELEASE, "rex")), "at least 2 persons must sign as lockgate"),
        (lambda: site(policy=Policy(approvers=3)), "the policy needs 3"),
    ],
)
def test_cards_that_make_no_sound_root_are_refused(make, why: str) -> None:
    with pytest.raises(CeremonyError, match=why):
        make()


def test_a_key_has_one_purpose_and_one_holder() -> None:
    twice = card(Purpose.APPROVER, "gus")
    again = Entry(twice.identifier, msgspec.structs.replace(twice.card, purpose=Purpose.OPERATOR))
    with pytest.raises(CeremonyError, match="one purpose and one holder"):
        site(recipient(), twice, again)


def test_what_signs_notes_is_ed25519() -> None:
    entry = card(Purpose.LOG, "gate-2")
    other = msgspec.structs.replace(entry.card.key, keytype="ecdsa", scheme="ecdsa-sha2-nistp256")
    wrong = Entry("1" * 64, msgspec.structs.replace(entry.card, key=other))
    with pytest.raises(CeremonyError, match="notes are signed by Ed25519"):
        site(recipient(), wrong)


def test_the_next_version_adds_retires_drops_renews_and_revokes() -> None:
    old, later = site(), NOW + timedelta(days=300)
    gone, past = of(old, Purpose.SITE_ROOT, "dora"), of(old, Purpose.APPROVER, "gus")
    added = (card(Purpose.SITE_ROOT, "gil"), card(Purpose.APPROVER, "joe"))
    stolen = "ab" * 32
    changes = Changes(add=added, drop=(gone,), retire=(past,), revoke=(stolen,), renew=True)
    until = later + timedelta(days=365)
    new = next_root(old, until, changes, at=later)
    assert gone not in new.keys
    assert new.keys[past].expires == later + SECOND
    assert {h.expires for k, h in new.keys.items() if k != past} == {until}
    assert new.revoked_keys == {stolen}
    said = differences(old, new, {stolen: "low-sealer"})
    assert f"DROPS site-root key {gone[:16]} of dora" in said
    assert f"adds approver key {added[1].identifier[:16]} of joe" in said
    assert f"approver key {past[:16]} of gus ends on 2027-02-25 00:00" in said
    assert f"REVOKES supply key {stolen[:16]} low-sealer" in said
    undone = next_root(new, until, Changes(restore=(stolen,)), at=later)
    assert undone.revoked_keys == frozenset()
    assert differences(new, undone) == [f"no longer revokes supply key {stolen[:16]}"]
    again = next_root(new, until + timedelta(days=1), Changes(renew=True), at=later)
    assert again.keys[past].expires == later + SECOND, "a retired key is not renewed"


@pytest.mark.parametrize("part", [0, 1, 999_999])
def test_what_a_key_signed_in_the_second_in_which_it_retires_stays_valid(part: int) -> None:
    old, at = site(recipient(), card(Purpose.APPROVER, "joe")), NOW + timedelta(days=1, microseconds=part)
    keyid = of(old, Purpose.APPROVER, "gus")
    new = next_root(old, YEAR, Changes(retire=(keyid,)), at=at)
    assert new.held(keyid, Purpose.APPROVER, whole_second(at)).person == "gus"
    for later in (next_second(at), at + timedelta(days=1)):
        with pytest.raises(KeyExpiredError):
            new.held(keyid, Purpose.APPROVER, later)
    # Another ceremony in the same second does not bring the key back.
    again = next_root(new, YEAR + timedelta(days=1), Changes(renew=True), at=at)
    assert again.keys[keyid].expires == next_second(at)
    assert again.keys[of(old, Purpose.APPROVER, "hal")].expires == YEAR + timedelta(days=1)


def test_a_key_that_retires_is_not_counted_among_those_that_stay() -> None:
    old = site()
    with pytest.raises(CeremonyError, match="When ora asks, only 1 others may approve"):
        next_root(old, YEAR, Changes(retire=(of(old, Purpose.APPROVER, "gus"),)), at=NOW)


def test_a_signer_is_shown_each_loosened_fact() -> None:
    old = site(thresholds={Purpose.SITE_ROOT: 3})
    loose = msgspec.structs.replace(
        old,
        version=2,
        lane="other",
        assurance="demo",
        policy=Policy(approvers=4),
        thresholds={Purpose.SITE_ROOT: 1},
    )
    swapped = of(old, Purpose.APPROVER, "gus")
    keys = {**loose.keys, swapped: msgspec.structs.replace(loose.keys[swapped], person="mallory")}
    said = differences(old, msgspec.structs.replace(loose, keys=keys))
    assert said == [
        "lane: plant becomes other",
        "assurance: production becomes demo",
        "policy, approvers: 2 becomes 4",
        "persons needed for site-root: 3 becomes 1",
        f"ALTERS approver key {swapped[:16]} of mallory",
    ]
    assert differences(old, old) == ["nothing but the version"]


def test_a_signer_is_shown_each_rule_of_the_policy_that_changes() -> None:
    rules = tuple(
        OpaqueRule(detected=kind, source="collector-signed-lock", scanner="structure", approvers=2)
        for kind in ("elf", "gguf")
    )
    old = site()
    assert old.policy == Policy()
    strict = msgspec.structs.replace(
        old, policy=Policy(opaque=rules, emergency=EmergencyRule(rights=(Right.HOLD,)), rehearsal=True)
    )
    loose = msgspec.structs.replace(
        old,
        policy=Policy(
            opaque=rules[:1], emergency=EmergencyRule(rights=(Right.HOLD, Right.ROLLBACK)), cleartext=True
        ),
    )
    assert differences(strict, loose) == [
        "policy, cleartext: True",
        "policy, emergency.rights: hold becomes hold, rollback",
        "policy DROPS opaque (detected gguf, source collector-signed-lock, scanner structure, approvers 2)",
        "policy DROPS rehearsal: True",
    ]
    assert (
        "policy, opaque (detected elf, source collector-signed-lock, scanner structure, approvers 2)"
        in differences(old, strict)
    )


def test_who_signs_a_first_version_is_shown_the_whole_policy() -> None:
    said = differences(None, site())
    assert said[0] == "first version of the site root of lane plant"
    assert {"policy, approvers: 2", "policy, maximum_severity: low", "policy, opaque: none"} <= set(said)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (Changes(drop=("cd" * 32,)), "does not list cdcd"),
        (Changes(thresholds={Purpose.APPROVER: 9}), "3 persons hold a key for approver; 9"),
    ],
)
def test_a_next_version_that_cannot_work_is_refused(changes: Changes, why: str) -> None:
    with pytest.raises(CeremonyError, match=why):
        next_root(site(), YEAR, changes, at=NOW)


def test_a_role_of_tuf_cannot_be_retired() -> None:
    purposes = (Purpose.COLLECTOR, Purpose.SEALER, Purpose.TARGETS, Purpose.SNAPSHOT, Purpose.TIMESTAMP)
    cards = [card(Purpose.SUPPLY_ROOT, p) for p in ("ann", "bob")] + [card(p, f"low-{p}") for p in purposes]
    changes = Changes(add=tuple(cards), thresholds={Purpose.SUPPLY_ROOT: 2})
    root = first_root(RootKind.SUPPLY, "plant", "production", YEAR, changes, at=NOW)
    with pytest.raises(CeremonyError, match="TUF roles know no expiry"):
        next_root(root, YEAR, Changes(retire=(of(root, Purpose.TARGETS, "low-targets"),)), at=NOW)
    fresh = card(Purpose.SEALER, "low-2")
    old = of(root, Purpose.SEALER, "low-sealer")
    new = next_root(root, YEAR, Changes(retire=(old,), add=(fresh,)), at=NOW)
    assert new.keys[old].expires == NOW + SECOND
    with pytest.raises(CeremonyError, match="which is past"):
        demand_sound(root, YEAR)
    with pytest.raises(CeremonyError, match="not one of demo, production"):
        first_root(RootKind.SUPPLY, "plant", "real", YEAR, changes, at=NOW)
    with pytest.raises(CeremonyError, match="Recipients stand in the site root"):
        next_root(root, YEAR, Changes(add=(recipient(),)), at=NOW)
