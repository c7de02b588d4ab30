"""What a new version of a root changes, in lines that whoever signs it is shown.

Each rule of the site's policy that differs has a line of its own: a root that weakens a rule must not look
like one that adds a card.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from lockgate.core.policy import Policy
from lockgate.core.roots import Purpose, Root


def differences(old: Root | None, new: Root, names: Mapping[str, str] | None = None) -> list[str]:
    """Return what a new version changes, a line for each thing, as a signer is shown it.

    Args:
        old: The version before, or None for the first.
        new: The document.
        names: Names of supply keys by id, where somebody knows them (for revocations).

    """
    if old is None:
        first = f"first version of the {new.kind} root of lane {new.lane}"
        return [first, *_policy_changed(None, new.policy)]
    lines = [*_facts_changed(old, new), *_keys_changed(old, new)]
    known = names or {}
    for word, ids in (
        ("REVOKES", new.revoked_keys - old.revoked_keys),
        ("no longer revokes", old.revoked_keys - new.revoked_keys),
    ):
        lines += [f"{word} supply key {i[:16]} {known.get(i, '')}".rstrip() for i in sorted(ids)]
    return lines or ["nothing but the version"]


def _facts_changed(old: Root, new: Root) -> list[str]:
    facts = (
        ("kind", old.kind, new.kind),
        ("lane", old.lane, new.lane),
        ("assurance", old.assurance, new.assurance),
        ("expires", f"{old.expires:%Y-%m-%d}", f"{new.expires:%Y-%m-%d}"),
    )
    lines = [f"{name}: {before} becomes {after}" for name, before, after in facts if before != after]
    lines += _policy_changed(old.policy, new.policy)
    needed = [(p, old.threshold(p), new.threshold(p)) for p in Purpose]
    return lines + [f"persons needed for {p}: {was} becomes {now}" for p, was, now in needed if was != now]


def _keys_changed(old: Root, new: Root) -> list[str]:
    lines = []
    for keyid in sorted(old.keys.keys() | new.keys.keys()):
        before, after = old.keys.get(keyid), new.keys.get(keyid)
        if before is None and after is not None:
            lines.append(f"adds {after.purpose} key {keyid[:16]} of {after.person}")
        elif after is None and before is not None:
            lines.append(f"DROPS {before.purpose} key {keyid[:16]} of {before.person}")
        elif before is not None and after is not None and before != after:
            whose = f"{after.purpose} key {keyid[:16]} of {after.person}"
            same = (before.key, before.purpose, before.person) == (after.key, after.purpose, after.person)
            lines.append(f"{whose} ends on {after.expires:%Y-%m-%d %H:%M}" if same else f"ALTERS {whose}")
    for identifier in sorted(old.recipients.keys() ^ new.recipients.keys()):
        word, root = ("adds", new) if identifier in new.recipients else ("DROPS", old)
        lines.append(f"{word} recipient {identifier[:16]} {root.recipients[identifier].name}")
    return lines


def _policy_changed(old: Policy | None, new: Policy | None) -> list[str]:
    was, now = dict(_rules(old)), dict(_rules(new))
    lines = []
    for name in sorted(was.keys() | now.keys()):
        before, after = was.get(name), now.get(name)
        if before == after:
            continue
        if before is None:
            lines.append(f"policy, {name}{_said(after)}")
        elif after is None:
            lines.append(f"policy DROPS {name}{_said(before)}")
        else:
            lines.append(f"policy, {name}: {before} becomes {after}")
    return lines


def _said(value: str | None) -> str:
    return f": {value}" if value else ""


def _rules(policy: Policy | None) -> Iterator[tuple[str, str]]:
    """Yield each rule of a policy as a name and one line; of a list of rules each by itself."""
    if policy is not None:
        yield from _flat("", msgspec.to_builtins(policy))


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}" if name else key, inner)
    elif isinstance(value, list | tuple) and any(isinstance(each, dict) for each in value):
        for each in value:
            words = ", ".join(f"{key} {said}" for key, said in _flat("", each))
            yield f"{name} ({words})", ""
    elif isinstance(value, list | tuple):
        yield name, ", ".join(map(str, value)) or "none"
    else:
        yield name, str(value)
