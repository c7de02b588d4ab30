"""Quotas of API keys: set by an operator, recorded before and after, kept in one database for all."""

import secrets

from lockgate.app.settings import Side
from lockgate.app.trust import audit_log, utc_now
from lockgate.infer import FileKeys, FileQuotas, Quota, Quotas, Spent
from lockgate.infer.errors import KeyNameError
from lockgate.infer.identity import Source
from lockgate.store import open_records


def quota_file(side: Side) -> FileQuotas:
    """Return where quotas are written."""
    return FileQuotas(side.home.trust / "quotas.json")


def spending_of(side: Side) -> Quotas:
    """Return what keeps what keys spend."""
    records = open_records(f"sqlite:///{side.home.root / 'quotas.sqlite'}")
    return Quotas(records, utc_now, secrets.token_bytes)


def _key_id(side: Side, name: str) -> str:
    for key in FileKeys(side.home.trust / "api-keys.json").all():
        if key.name == name:
            return key.id
    source, _, subject = name.partition(":")
    if source in set(Source) and subject:
        return name  # a caller whom an identity source knows, as receipts name them
    what = f"No API key is named {name[:80]!r}."
    raise KeyNameError(what)


def set_quota(side: Side, name: str, quota: Quota | None) -> None:
    """Set a key's quota, or take it away; gateways follow at once.

    Raises:
        KeyNameError: No key has that name.

    """
    key = _key_id(side, name)
    log = audit_log(side)
    bounds = {
        field: value
        for field in ("requests", "prompt_tokens", "completion_tokens", "concurrent")
        if quota is not None and (value := getattr(quota, field)) is not None
    }
    intent = log.intent("quota-set", key=key, bounds=bounds, priority=quota.priority.value if quota else "")
    quota_file(side).put(key, quota)
    log.outcome(intent, "done")


def quota_of(side: Side, name: str) -> tuple[Quota | None, Spent, int]:
    """Return a key's quota, what it spent today (UTC), and how many of its requests run.

    Raises:
        KeyNameError: No key has that name.

    """
    key = _key_id(side, name)
    spent, running = spending_of(side).spent(key)
    return quota_file(side).find(key), spent, running
