"""Shares of traffic: the same answerer for the same tenant, weights that hold, nothing that is not able."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from infer_doubles import (
    WEIGHTS_SHA256,
    Counting,
    MemoryLedger,
    MemorySource,
    ScriptedEngine,
    admitted,
    make_key,
)
from lockgate.core.wire import decode, encode
from lockgate.infer import (
    Arm,
    By,
    GatewayConfig,
    MemoryKeys,
    MemoryReceipts,
    MemoryShares,
    Parts,
    Share,
    StoredReceipt,
    parse_arms,
    serving,
)
from lockgate.infer.errors import ShareError, UnknownModelError
from lockgate.infer.limits import EngineLimits
from lockgate.infer.targets import Targets

TENANTS = [f"key{n:05}" for n in range(4000)]
BOTH = frozenset({"old", "new"})


def share(old: int, new: int, by: By = By.TENANT) -> Share:
    return Share(name="small", arms=(Arm(model="old", weight=old), Arm(model="new", weight=new)), by=by)


def chosen(made: Share, tenant: str, request: bytes = b"", able: frozenset[str] = BOTH) -> str:
    arm = made.chosen(tenant, lambda: request, able)
    assert arm is not None
    return arm.model


@pytest.mark.parametrize(("old", "new"), [(90, 10), (1, 1), (100, 0), (0, 1), (10_000, 1)])
def test_weights_hold_and_nothing_else_decides(old: int, new: int) -> None:
    made = share(old, new)
    found = [chosen(made, tenant) for tenant in TENANTS]
    expected = new / (old + new)
    deviation = 5 * (expected * (1 - expected) / len(TENANTS)) ** 0.5
    assert abs(found.count("new") / len(TENANTS) - expected) <= deviation
    assert found == [chosen(made, tenant, b"other words") for tenant in TENANTS]


def test_whoever_has_the_new_one_keeps_it_while_its_share_grows() -> None:
    before = {t for t in TENANTS if chosen(share(90, 10), t) == "new"}
    after = {t for t in TENANTS if chosen(share(50, 50), t) == "new"}
    assert before < after


def test_a_share_by_request_is_the_same_for_the_same_request() -> None:
    made = share(50, 50, By.REQUEST)
    words = [b"%d" % n for n in range(2000)]
    first = [chosen(made, "a", word) for word in words]
    assert first == [chosen(made, "b", word) for word in words]
    assert 850 < first.count("new") < 1150


def test_a_model_that_is_gone_gets_nothing_and_the_rest_all() -> None:
    made = share(90, 10)
    assert {chosen(made, t, able=frozenset({"old"})) for t in TENANTS[:100]} == {"old"}
    assert made.chosen("a", bytes, frozenset()) is None
    assert chosen(share(100, 0), "a", able=frozenset({"new"})) == "new", "the last that is left answers"


@pytest.mark.parametrize(
    "text", ["", "old", "old=-1", "old=x", "old=1 old=2", "old=0", "../x=1", "a@b=1", "old=10001"]
)
def test_a_share_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ShareError):
        Share(name="small", arms=parse_arms(text))


def test_arms_are_read_as_they_are_written() -> None:
    arms = parse_arms("old=90 new:abcd1234=10")
    assert arms == (Arm(model="old", weight=90), Arm(model="new:abcd1234", weight=10))
    made = Share(name="small", arms=arms)
    assert decode(Share, encode(made)) == made


def gateway(shares: MemoryShares) -> tuple[Parts, str, MemoryReceipts, dict[str, ScriptedEngine]]:
    entropy = Counting()
    secret, key = make_key(entropy)
    receipts = MemoryReceipts()
    engines = {"old": ScriptedEngine(("Old.",)), "new": ScriptedEngine(("New.",))}
    parts = Parts(
        source=MemorySource(admitted("old"), admitted("new")),
        engines=dict(engines),
        knowledge={},
        keys=MemoryKeys(key),
        ledger=MemoryLedger(),
        receipts=receipts,
        clock=lambda: MemorySource().view.created,
        entropy=entropy,
        shares=shares,
    )
    return parts, secret, receipts, engines


def test_metrics_and_receipts_say_which_share_answered() -> None:
    import aiohttp

    async def run() -> None:
        shares = MemoryShares(share(0, 1))
        parts, secret, receipts, _ = gateway(shares)
        headers = {"Authorization": f"Bearer {secret}"}
        async with serving(GatewayConfig(port=0), parts) as url, aiohttp.ClientSession(url) as session:

            async def ask(model: str) -> tuple[str, Any]:
                body = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
                async with session.post("/v1/chat/completions", json=body, headers=headers) as response:
                    said = await response.json()
                    stored = receipts.get(response.headers["X-Lockgate-Receipt"])
                assert stored is not None
                return said["choices"][0]["message"]["content"], decode(
                    StoredReceipt, stored[0]
                ).receipt.model

            text, evidence = await ask("small")
            assert (text, evidence.name, evidence.share) == ("New.", "new", "small: 1 of 1 by tenant")
            text, evidence = await ask("old")
            assert (text, evidence.name) == ("Old.", "old")
            assert b"share" not in encode(evidence)
            shares.put(share(1, 0))
            assert (await ask("small"))[0] == "Old."
            async with session.get("/metrics") as response:
                metrics = await response.text()
            assert 'lockgate_gateway_share_answers_total{model="new",name="small"} 1.0' in metrics
            assert 'lockgate_gateway_share_answers_total{model="old",name="small"} 1.0' in metrics
            async with session.get("/v1/models/small", headers=headers) as response:
                listed = (await response.json())["lockgate"]
            assert listed["share"] == {"by": "tenant", "arms": {"old": 1, "new": 0}}

    asyncio.run(run())


def test_no_key_reaches_a_model_above_its_labels_by_a_share() -> None:
    async def run() -> None:
        entropy = Counting()
        _, key = make_key(entropy, "public")
        source = MemorySource(admitted("old"), admitted("new"))
        engines = {"old": ScriptedEngine(), "new": ScriptedEngine()}
        for engine in engines.values():
            await engine.start()
        targets = Targets(source, engines, {}, EngineLimits(), MemoryShares(share(1, 1)))
        with pytest.raises(UnknownModelError):
            targets.resolve("small", key)
        assert targets.listed(key)[1] == []
        old, new = source.view.models
        source.view = replace(source.view, models=(replace(old, label="public"), new))
        assert targets.resolve("small", key).model.name == "old"

    asyncio.run(run())


def test_a_share_that_changes_while_a_request_waits_does_not_change_who_answers_it() -> None:
    async def run() -> None:
        _, key = make_key(Counting())
        shares = MemoryShares(share(0, 1))
        source = MemorySource(admitted("old"), admitted("new"))
        engines = {"old": ScriptedEngine(), "new": ScriptedEngine()}
        for engine in engines.values():
            await engine.start()
        targets = Targets(source, engines, {}, EngineLimits(), shares)
        target = targets.resolve("small", key)
        shares.put(share(1, 0))
        again = targets.again(target, key)
        assert (again.model.name, again.engine) == ("new", engines["new"])
        source.view = replace(source.view, models=source.view.models[:1])
        with pytest.raises(UnknownModelError):
            targets.again(target, key)
        assert targets.resolve("small", key).loaded.sha256 == WEIGHTS_SHA256

    asyncio.run(run())
