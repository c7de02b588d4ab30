"""Profiles: what each demands of a site's policy and root, and what it gives up. Pure data and rules."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from lockgate.core.errors import PolicyError
from lockgate.core.policy import AutomaticRule, EmergencyRule, Policy, Right
from lockgate.core.roots import Purpose, Root

_HOUR, _DAY = 3600, 86400


class ProfileError(PolicyError):
    """A site's policy or root is less than its profile demands."""

    code = "LG-3006"
    advice = "`lockgate policy explain` says what each profile demands. Change the policy, or the profile."


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile: minima and maxima that a policy must keep, its default policy, and its price.

    Attributes:
        name: The profile's name in the policy.
        persons: How many persons must hold an operator's or approver's key.
        approvers: Least number of approvers beside the requester.
        approval_seconds: Longest life of an approval.
        rights: What one operator may be given.
        owed_seconds: Longest time until the second signature.
        withdraw_limit: Most artifacts that one operator, or the gate by itself, may withdraw.
        witness: Whether a witness is demanded: its key, and `witness_seconds` in the policy.
        separate: Whether nobody may hold an operator's and an approver's key.
        opaque: Whether opaque content may be admitted at all by rules of two, or only by three.
        gives_up: What the profile gives up, in text.

    """

    name: str
    persons: int
    approvers: int
    approval_seconds: int
    rights: frozenset[Right]
    owed_seconds: int
    withdraw_limit: int
    witness: bool
    separate: bool
    opaque_approvers: int
    gives_up: tuple[str, ...]

    def policy(self) -> Policy:
        """Return the profile's own policy: each value at what the profile demands."""
        rule = EmergencyRule(
            rights=tuple(sorted(self.rights)),
            owed_seconds=self.owed_seconds,
            withdraw_limit=self.withdraw_limit,
        )
        return Policy(
            profile=self.name,
            approvers=self.approvers,
            approval_seconds=self.approval_seconds,
            emergency=rule if self.rights else msgspec.UNSET,
            automatic=AutomaticRule(withdraw_limit=self.withdraw_limit),
            witness_seconds=_DAY if self.witness else msgspec.UNSET,
        )


SMALL_TEAM = Profile(
    name="small-team",
    persons=3,
    approvers=1,
    approval_seconds=30 * _DAY,
    rights=frozenset(Right),
    owed_seconds=7 * _DAY,
    withdraw_limit=64,
    witness=False,
    separate=False,
    opaque_approvers=2,
    gives_up=(
        (
            "Two of three persons admit: the one who asks and one who approves. So it works while one is "
            "absent; a second approver, who had no part in asking, does not look."
        ),
        "One person may hold keys for asking and for approving, though never for the same statement.",
        "No witness is needed: rolling back the disk of the gate is not noticed by itself.",
        "One operator may hold, withdraw and roll back, and the second signature may take a week.",
    ),
)
REGULATED = Profile(
    name="regulated",
    persons=4,
    approvers=2,
    approval_seconds=7 * _DAY,
    rights=frozenset(Right),
    owed_seconds=_DAY,
    withdraw_limit=16,
    witness=True,
    separate=False,
    opaque_approvers=2,
    gives_up=(
        "One person may hold keys for asking and for approving, though never for the same statement.",
        (
            "One operator may hold, withdraw and roll back; until the second signature, within a day, what "
            "is served may lack what two had admitted, or be the snapshot before."
        ),
        "Admission stops when no witness cosigned the log for a day.",
    ),
)
CLASSIFIED = Profile(
    name="classified",
    persons=5,
    approvers=2,
    approval_seconds=3 * _DAY,
    rights=frozenset({Right.HOLD, Right.WITHDRAW}),
    owed_seconds=8 * _HOUR,
    withdraw_limit=4,
    witness=True,
    separate=True,
    opaque_approvers=3,
    gives_up=(
        (
            "Speed: nobody asks and approves, weights and machine code need a rule of three, and going back "
            "to an older snapshot takes two persons even in an emergency."
        ),
        "Admission stops when no witness cosigned the log for a day.",
        "One operator may hold, and withdraw up to four artifacts, eight hours without a second signature.",
    ),
)
PROFILES = {profile.name: profile for profile in (SMALL_TEAM, REGULATED, CLASSIFIED)}


def breaches(root: Root, at: datetime) -> Iterator[str]:
    """Yield what a site root lacks of its profile; nothing where it keeps all of it."""
    policy = root.policy or Policy()
    profile = PROFILES.get(policy.profile)
    if profile is None:
        yield f"There is no profile {policy.profile[:40]!r}; there are {', '.join(PROFILES)}."
        return
    yield from _policy_breaches(policy, profile)
    yield from _people_breaches(root, profile, at)


def _policy_breaches(policy: Policy, profile: Profile) -> Iterator[str]:
    name = profile.name
    if policy.approvers < profile.approvers:
        yield f"{name} demands {profile.approvers} approvers; the policy has {policy.approvers}."
    if policy.approval_seconds > profile.approval_seconds:
        yield f"{name} lets approvals live {profile.approval_seconds} s, not {policy.approval_seconds} s."
    for rule in policy.opaque:
        if rule.approvers < profile.opaque_approvers:
            yield f"{name} demands {profile.opaque_approvers} approvers in the rule for {rule.detected}."
    if profile.witness and policy.witness_age is None:
        yield f"{name} demands a witness: the policy has no witness_seconds."
    yield from _emergency_breaches(policy, profile)


def _emergency_breaches(policy: Policy, profile: Profile) -> Iterator[str]:
    name, automatic = profile.name, policy.automatic_rule
    if automatic is not None and automatic.withdraw_limit > profile.withdraw_limit:
        yield f"{name} lets the gate withdraw {profile.withdraw_limit} artifacts by itself."
    emergency = policy.emergency_rule
    if emergency is None:
        return
    if foreign := sorted(set(emergency.rights) - profile.rights):
        yield f"{name} gives one operator no right to {', '.join(foreign)}."
    if emergency.owed_seconds > profile.owed_seconds:
        yield f"{name} demands the second signature within {profile.owed_seconds} s."
    if emergency.withdraw_limit > profile.withdraw_limit:
        yield f"{name} lets one operator withdraw {profile.withdraw_limit} artifacts."


def _people_breaches(root: Root, profile: Profile, at: datetime) -> Iterator[str]:
    held: dict[Purpose, set[str]] = {}
    for key in root.keys.values():
        if at < key.expires:
            held.setdefault(key.purpose, set()).add(key.person)
    askers, approvers = held.get(Purpose.OPERATOR, set()), held.get(Purpose.APPROVER, set())
    if len(askers | approvers) < profile.persons:
        yield f"{profile.name} needs {profile.persons} persons who ask or approve."
    if profile.separate and (both := sorted(askers & approvers)):
        yield f"{profile.name} lets nobody ask and approve: {', '.join(both)}."
    if profile.witness and not held.get(Purpose.WITNESS):
        yield f"{profile.name} demands a witness: the root lists no key for one."


def demand_profile(root: Root, at: datetime) -> None:
    """Refuse a site root that is less than its profile demands.

    Raises:
        ProfileError: Says all that is missing.

    """
    found = list(breaches(root, at))
    if found:
        raise ProfileError(" ".join(found))
