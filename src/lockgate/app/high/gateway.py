"""Joining the gateway: admitted models, the installed engine, knowledge, keys, log and receipts."""

import secrets
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from lockgate.app.high.appeals import appeals_of, auditors_of
from lockgate.app.high.engines import engines_of
from lockgate.app.high.guards import guard_policy, scorer_of
from lockgate.app.high.identities import callers_of, doors_of, passwords_of
from lockgate.app.high.mirrors import mirror_url
from lockgate.app.high.models import cards_of
from lockgate.app.high.quotas import quota_file, spending_of
from lockgate.app.high.receipts import receipts_of, seal_bare_keys
from lockgate.app.high.shares import SignedShares
from lockgate.app.high.signed_models import SignedModels
from lockgate.app.high.tls import tls_of
from lockgate.app.high.tools import held_calls, tool_file
from lockgate.app.high.workers import run_workers
from lockgate.app.logs import configure_logs
from lockgate.app.settings import Side, load_settings
from lockgate.app.trust import audit_log, utc_now
from lockgate.core.errors import InputError
from lockgate.infer import (
    ApiKey,
    FileKeys,
    GatewayConfig,
    Knowledge,
    Parts,
    new_key,
    run_gateway,
)
from lockgate.infer.keys import replace_file
from lockgate.infer.shaping import Profile, Shaping, ShapingPolicy


class OwnEngineError(InputError):
    """Several gateway processes cannot each start the engine."""

    code = "LG-1f29"
    advice = "Name servers under [engine] servers, or set [serve] gateway_processes to 1."


def _keys(side: Side) -> FileKeys:
    return FileKeys(side.home.trust / "api-keys.json")


def add_api_key(side: Side, name: str, labels: tuple[str, ...]) -> str:
    """Make an API key, recorded before and after; return its secret, which is kept nowhere."""
    log = audit_log(side)
    intent = log.intent("api-key-add", name=name, labels=list(labels))
    secret, kept = new_key(name, labels, utc_now, secrets.token_bytes)
    _keys(side).add(kept)
    log.outcome(intent, "done", key=kept.id)
    return secret


def remove_api_key(side: Side, name: str) -> None:
    """Take an API key off the record, recorded before and after."""
    log = audit_log(side)
    intent = log.intent("api-key-remove", name=name)
    _keys(side).remove(name)
    log.outcome(intent, "done")


def api_keys(side: Side) -> tuple[ApiKey, ...]:
    """Return every API key, without secrets."""
    return _keys(side).all()


def _knowledge(side: Side) -> Mapping[str, Knowledge]:
    if not side.settings.knowledge.collection:
        return {}
    from lockgate.app.high.knowledge import SignedKnowledge  # noqa: PLC0415  # heavy, only with knowledge

    base = SignedKnowledge(side)
    return {base.name: base}


class ShapingLabelsError(InputError):
    """The profiles of traffic shaping cannot be read."""

    code = "LG-1f2e"
    advice = (
        "Write `[shaping] labels` as `label=profile` with spaces between; `config explain` lists profiles."
    )


def shaping_policy(side: Side) -> ShapingPolicy:
    """Return what observers of the network see of answers, by label.

    Raises:
        ShapingLabelsError: A word is no label with a profile.

    """
    section = side.settings.shaping
    profiles: dict[str, Profile] = {}
    for word in section.labels.split():
        label, _, name = word.partition("=")
        if not label or name not in set(Profile):
            what = f"{word[:80]!r} names no label with a profile."
            raise ShapingLabelsError(what)
        profiles[label] = Profile(name)
    measures = Shaping(
        record_bytes=section.record_bytes,
        interval_seconds=section.interval_ms / 1000,
        bucket_records=section.bucket_records,
    )
    return ShapingPolicy(profiles, shaping=measures)


def _salt_secret(side: Side) -> bytes:
    """Return the secret of the salts that keep tenants' caches apart; made when it is first asked for."""
    path = side.home.keys / "cache-salt"
    if not path.exists():
        side.home.keys.mkdir(parents=True, exist_ok=True)
        replace_file(path, secrets.token_bytes(32))
    return path.read_bytes()


def serve_gateway(side: Side, host: str, port: int) -> None:
    """Start the engine with the admitted model, then serve until a signal ends it.

    Raises:
        OwnEngineError: Several processes are wanted where each would start an engine of its own.

    """
    seal_bare_keys(side)
    count = side.settings.serve.gateway_processes
    if count == 1:
        serve_alone(side.home.root, host, port, shared=False)
        return
    if not side.settings.engine.servers:
        what = f"{count} gateway processes would start {count} engines."
        raise OwnEngineError(what)
    run_workers(count, serve_alone, side.home.root, host, port)


def serve_alone(home: Path, host: str, port: int, *, shared: bool = True) -> None:
    """Serve in this process until a signal ends it; with `shared` beside others on the same port."""
    side = load_settings(home).require("high")
    configure_logs(side.settings.log.level)
    source = SignedModels(side)
    engines = engines_of(side, source)
    spending = spending_of(side)
    spending.recover()
    passwords = passwords_of(side)
    parts = Parts(
        source=source,
        engines=engines,
        knowledge=_knowledge(side),
        keys=_keys(side),
        ledger=audit_log(side),
        receipts=receipts_of(side),
        clock=utc_now,
        entropy=secrets.token_bytes,
        guards=guard_policy(side),
        guards_now=partial(guard_policy, side),
        tools=tool_file(side),
        held=held_calls(side),
        scorer=scorer_of(side, source.verified()),
        salt_secret=_salt_secret(side),
        quotas=quota_file(side),
        spending=spending,
        sources=mirror_url(side),
        shares=SignedShares(side),
        cards=cards_of(source, engines),
        shaping=shaping_policy(side),
        callers=callers_of(side, passwords),
        sign_in=doors_of(side, passwords),
        appeals=appeals_of(side),
        auditors=auditors_of(side),
    )
    tls = tls_of(side, utc_now())
    context = tls.server(optional=side.settings.serve.tls_client_optional) if tls else None
    run_gateway(GatewayConfig(host=host, port=port, shared=shared, tls=context), parts)
