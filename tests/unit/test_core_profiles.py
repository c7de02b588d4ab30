"""Profiles: what each demands of policy and people, and that three persons suffice for the smallest."""

from datetime import timedelta

import msgspec
import pytest
from typer.testing import CliRunner

from corpora.gates import START, Scripted, World
from lockgate.app.lane.lane import make_demo_lane
from lockgate.app.trust import utc_now
from lockgate.approve import approve
from lockgate.cli.main import app
from lockgate.core.policy import EmergencyRule, OpaqueRule, Policy, Right
from lockgate.core.profiles import PROFILES, ProfileError, breaches, demand_profile
from lockgate.core.roots import ROOT_FORMAT, Purpose, Root, RootKind
from lockgate.core.statement import OwnRequestError, TooFewApproversError
from lockgate.core.wire import decode, encode
from lockgate.trust.keys import new_signer

EXPIRES = START + timedelta(days=365)
ASKS, ANSWERS = Purpose.OPERATOR, Purpose.APPROVER


def root_of(profile: str, people: dict[str, tuple[Purpose, ...]], /, **changes: object) -> Root:
    signers = [new_signer(purpose, person) for person, held in people.items() for purpose in held]
    return Root(
        format=ROOT_FORMAT,
        kind=RootKind.SITE,
        lane="test",
        version=1,
        assurance="production",
        expires=EXPIRES,
        keys={signer.keyid: signer.held(EXPIRES) for signer in signers},
        thresholds={},
        policy=msgspec.structs.replace(PROFILES[profile].policy(), **changes),
    )


BOTH = (ASKS, ANSWERS)
PEOPLE = {
    "small-team": {"ann": BOTH, "bob": BOTH, "eve": BOTH},
    "regulated": {"ann": BOTH, "bob": BOTH, "eve": BOTH, "sam": BOTH, "wit": (Purpose.WITNESS,)},
    "classified": {
        "ann": (ASKS,),
        "bob": (ASKS,),
        "eve": (ANSWERS,),
        "sam": (ANSWERS,),
        "kim": (ANSWERS,),
        "wit": (Purpose.WITNESS,),
    },
}


@pytest.mark.parametrize("name", PROFILES)
def test_each_profile_keeps_its_own_demands_and_says_what_it_gives_up(name: str) -> None:
    profile = PROFILES[name]
    assert list(breaches(root_of(name, PEOPLE[name]), START)) == []
    assert profile.gives_up
    policy = profile.policy()
    assert decode(Policy, encode(policy)) == policy


@pytest.mark.parametrize(
    ("name", "changes", "word"),
    [
        ("regulated", {"approvers": 1}, "2 approvers"),
        ("classified", {"approvers": 1}, "2 approvers"),
        ("regulated", {"approval_seconds": 8 * 86400}, "approvals live"),
        ("small-team", {"approval_seconds": 31 * 86400}, "approvals live"),
        ("regulated", {"witness_seconds": msgspec.UNSET}, "witness_seconds"),
        ("classified", {"emergency": EmergencyRule(rights=tuple(Right), owed_seconds=3600)}, "rollback"),
        ("regulated", {"emergency": EmergencyRule(rights=(), owed_seconds=86401)}, "within 86400 s"),
        ("classified", {"emergency": EmergencyRule(rights=(), owed_seconds=60)}, "withdraw 4"),
        ("classified", {"opaque": (OpaqueRule(detected="elf"),)}, "3 approvers in the rule for elf"),
        ("small-team", {"profile": "unheard-of"}, "no profile"),
    ],
)
def test_a_policy_below_its_profile_is_refused(name: str, changes: dict[str, object], word: str) -> None:
    with pytest.raises(ProfileError, match=word) as refused:
        demand_profile(root_of(name, PEOPLE[name], **changes), START)
    assert refused.value.code == "LG-3006"


@pytest.mark.parametrize(
    ("name", "person", "held", "word"),
    [
        ("small-team", "eve", (), "3 persons"),
        ("regulated", "wit", (), "no key for one"),
        ("regulated", "sam", (), "4 persons"),
        ("classified", "ann", BOTH, "nobody ask and approve: ann"),
    ],
)
def test_people_below_the_profile_are_refused(
    name: str, person: str, held: tuple[Purpose, ...], word: str
) -> None:
    root = root_of(name, {**PEOPLE[name], person: held})
    with pytest.raises(ProfileError, match=word):
        demand_profile(root, START)


def test_keys_that_have_expired_count_for_nobody() -> None:
    found = list(breaches(root_of("small-team", PEOPLE["small-team"]), EXPIRES))
    assert any("3 persons" in each for each in found)


def test_a_small_team_of_three_admits_while_one_is_absent_and_nobody_alone() -> None:
    world = World()
    keys = [new_signer(purpose, name) for name in ("ann", "bob", "eve") for purpose in BOTH]
    people = {(signer.person, signer.purpose): signer for signer in keys}
    site = root_of("small-team", {})
    listed = {s.keyid: s.held(EXPIRES) for s in (*keys, world.inspector)}
    world.site = msgspec.structs.replace(site, keys=listed)
    assert list(breaches(world.site, START)) == []
    world.arrive(1, "doc-1")
    world.gate.inspect(1, Scripted())
    asked = world.gate.request(1, "stable", people["ann", ASKS])  # eve is absent
    with pytest.raises(OwnRequestError):
        approve(asked, people["ann", ANSWERS], world.site, world.now)
    with pytest.raises(TooFewApproversError):
        world.gate.execute(asked)
    world.gate.execute(approve(asked, people["bob", ANSWERS], world.site, world.now))
    assert world.gate.pointer("stable").version == 1


def test_the_command_line_explains_and_writes_policies(tmp_path) -> None:
    run = CliRunner()
    said = run.invoke(app, ["policy", "explain"]).output
    assert all(name in said for name in PROFILES)
    file = tmp_path / "policy.json"
    assert run.invoke(app, ["policy", "explain", "classified", "--out", str(file)]).exit_code == 0
    assert decode(Policy, file.read_bytes()) == PROFILES["classified"].policy()
    assert run.invoke(app, ["policy", "explain", "loose"]).exit_code != 0
    made = make_demo_lane(tmp_path / "lane", "harbour", utc_now())
    shown = run.invoke(app, ["policy", "show", "--home", str(made.high)]).output
    assert "small-team" in shown
    assert "gives up" in shown
    assert "lacks" not in shown
