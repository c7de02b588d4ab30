"""Quotas: reserved before dispatch, settled after, exact at the bound, refused in each API's shape."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infer_doubles import (
    NOW,
    Counting,
    answers,
    chunk,
    crashes_after,
    says_words,
    sends_then_hangs,
    site,
    until,
)
from lockgate.infer import FileQuotas, Priority, Quota, Quotas, Spent, Usage
from lockgate.infer.errors import QuotaError
from lockgate.infer.quotas import Settled, Wanted, alive, owner_of
from lockgate.store import MemoryRecords
from lockgate.store.memory import _MemoryTransaction

FREE = Quota(requests=1000, prompt_tokens=1_000_000, completion_tokens=1_000_000, concurrent=100)


def test_an_answer_is_settled_at_what_the_engine_counted() -> None:
    async def run() -> None:
        async with site(quota=FREE) as s:
            async with s.ask() as response:
                assert response.status == 200
            async with s.ask(stream=True) as response:
                await response.read()
            spent = Spent(requests=2, prompt_tokens=10, completion_tokens=6)
            await until(lambda: s.spending.spent(s.key.id) == (spent, 0))

    asyncio.run(run())


def test_a_reservation_counts_in_full_while_the_answer_runs() -> None:
    async def run() -> None:
        async with site(sends_then_hangs(chunk("One")), quota=FREE) as s:
            async with s.ask("Hi", stream=True, max_tokens=100) as response:
                await response.content.readuntil(b"\n\n")
                spent, running = s.spending.spent(s.key.id)
                assert (spent.requests, spent.completion_tokens, running) == (1, 100, 1)
                assert spent.prompt_tokens >= 2
                response.close()
            await until(lambda: s.spending.spent(s.key.id)[1] == 0)
            spent, _ = s.spending.spent(s.key.id)
            assert spent.completion_tokens == 1  # what was seen of it

    asyncio.run(run())


@pytest.mark.parametrize(
    ("quota", "limit"),
    [
        (Quota(requests=1), "requests"),
        (Quota(prompt_tokens=5), "tokens in"),
        (Quota(completion_tokens=9), "tokens out"),
    ],
)
def test_what_could_spend_more_than_is_left_is_refused_before_dispatch(quota: Quota, limit: str) -> None:
    async def run() -> None:
        async with site(quota=quota) as s:
            if quota.requests:
                async with s.ask() as response:
                    assert response.status == 200
            asked = len(s.server.bodies)
            async with s.ask(max_tokens=10) as response:
                assert response.status == 429
                assert int(response.headers["Retry-After"]) == 75_356  # until midnight of 03:04:05
                error = (await response.json())["error"]
            assert error["code"] == "insufficient_quota"
            assert limit in error["message"]
            assert len(s.server.bodies) == asked
            body: Any = {"model": "small", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}
            async with s.session.post("/v1/messages", json=body, headers=s.headers) as response:
                assert response.status == 429
                assert (await response.json())["error"]["type"] == "rate_limit_error"

    asyncio.run(run())


def test_running_requests_are_bounded_and_free_again_after_each_end() -> None:
    async def run() -> None:
        async with site(sends_then_hangs(chunk("One")), quota=Quota(concurrent=1)) as s:
            async with s.ask(stream=True) as running:
                await running.content.readuntil(b"\n\n")
                async with s.ask() as refused:
                    assert refused.status == 429
                    assert refused.headers["Retry-After"] == "1"
                running.close()
            await until(lambda: s.spending.spent(s.key.id)[1] == 0)
            s.server.behaviour = says_words
            async with s.ask() as response:
                assert response.status == 200

    asyncio.run(run())


@pytest.mark.parametrize(
    "behaviour",
    [answers(500, b"{}"), answers(200, b"x"), crashes_after(chunk("One"))],
    ids=["status", "garbage", "crash"],
)
def test_engines_that_fail_leave_no_reservation(behaviour: Any) -> None:
    async def run() -> None:
        async with site(behaviour, quota=FREE) as s:
            s.server.go.set()
            async with s.ask(max_tokens=500) as response:
                assert response.status == 502
            await until(lambda: s.spending.spent(s.key.id)[1] == 0)
            spent, _ = s.spending.spent(s.key.id)
            assert (spent.requests, spent.completion_tokens) in {(1, 0), (1, 1)}

    asyncio.run(run())


def test_many_at_once_never_spend_more_than_the_quota() -> None:
    async def run() -> None:
        async with site(quota=Quota(completion_tokens=3 * 5 + 40)) as s:

            async def ask() -> int:
                async with s.ask(max_tokens=40) as response:
                    await response.read()
                    status: int = response.status
                    return status

            done: list[int] = []
            while 200 in (found := await asyncio.gather(*(ask() for _ in range(4)))):
                done += found
                await until(lambda: s.spending.spent(s.key.id)[1] == 0)
                assert s.spending.spent(s.key.id)[0].completion_tokens <= 55
            assert set(found) == {429}
            spent, _ = s.spending.spent(s.key.id)
            assert spent.completion_tokens == 3 * done.count(200)
            assert 55 - spent.completion_tokens < 40  # no more would have fitted

    asyncio.run(run())


class Days:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> Any:
        return self.now


def test_days_begin_anew_and_settle_where_they_were_reserved() -> None:
    clock = Days()
    quotas = Quotas(MemoryRecords(), clock, Counting())
    wanted = Wanted("k", Quota(completion_tokens=10), 1, 10)
    (name,) = quotas.work([wanted])
    assert isinstance(name, str)
    clock.now += timedelta(days=1)
    (other,) = quotas.work([wanted])
    assert isinstance(other, str)
    quotas.work([Settled(name, Usage(prompt_tokens=1, completion_tokens=2))])
    assert quotas.spent("k") == (Spent(requests=1, prompt_tokens=1, completion_tokens=10), 1)


def test_one_transaction_judges_each_on_what_those_before_it_took() -> None:
    quotas = Quotas(MemoryRecords(), lambda: NOW, Counting())
    wanted = Wanted("k", Quota(requests=2), 1, 1)
    results = quotas.work([wanted] * 3)
    assert [isinstance(result, QuotaError) for result in results] == [False, False, True]


@given(st.lists(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 9)), max_size=8), max_size=6))
@settings(max_examples=100, deadline=None)
def test_what_shares_a_transaction_is_judged_and_kept_as_one_by_one(
    steps: list[list[tuple[str, int]]],
) -> None:
    quota = Quota(requests=9, prompt_tokens=60, completion_tokens=60, concurrent=3)
    together, single = (
        Quotas(MemoryRecords(), lambda: NOW, Counting(), "here", lambda _: True) for _ in range(2)
    )
    names = ["f" * 32]
    for step in steps:
        # Even numbers reserve; odd ones settle what was reserved before, once more now and then.
        items: list[Wanted | Settled] = [
            Settled(names[n % len(names)], Usage(prompt_tokens=n, completion_tokens=n))
            if n % 2
            else Wanted(key, quota, n, 2 * n)
            for key, n in step
        ]
        results = together.work(items)
        for result, alone in zip(results, [single.work([item])[0] for item in items], strict=True):
            assert type(result) is type(alone)
            assert str(result) == str(alone)
        names += [name for name in results if isinstance(name, str) and name not in names]
        for key in "ab":
            assert together.spent(key) == single.spent(key)
    assert records_of(together) == records_of(single)


def records_of(quotas: Quotas) -> list[list[tuple[str, bytes]]]:
    with quotas._records.transaction() as tx:
        return [list(tx.scan(name)) for name in ("quota-day", "quota-running", "quota-open")]


def test_requests_of_one_key_in_one_transaction_share_its_records(monkeypatch: pytest.MonkeyPatch) -> None:
    quotas = Quotas(MemoryRecords(), lambda: NOW, Counting(), "here", lambda _: True)
    touched: list[tuple[str, str]] = []
    for name in ("get", "put"):
        real = getattr(_MemoryTransaction, name)

        def noted(tx: Any, collection: str, *rest: Any, real: Any = real, name: str = name) -> Any:
            touched.append((name, collection))
            return real(tx, collection, *rest)

        monkeypatch.setattr(_MemoryTransaction, name, noted)
    names = [str(name) for name in quotas.work([Wanted("k", FREE, 5, 5)] * 20)]
    quotas.work([Settled(name, Usage(prompt_tokens=1, completion_tokens=1)) for name in names])
    shared = [one for one in touched if one[1] in {"quota-day", "quota-running"}]
    assert len(shared) == 8, "two transactions: each reads and writes two records"
    assert quotas.spent("k") == (Spent(requests=20, prompt_tokens=20, completion_tokens=20), 0)


def test_what_dead_processes_reserved_stays_spent_and_runs_no_more() -> None:
    records = MemoryRecords()
    living = {"one", "two"}
    make = lambda owner: Quotas(records, lambda: NOW, Counting(), owner, living.__contains__)  # noqa: E731
    one, two = make("one"), Quotas(records, lambda: NOW, lambda n: b"x" * n, "two", living.__contains__)
    wanted = Wanted("k", Quota(), 5, 7)
    one.work([wanted])
    two.work([wanted])
    assert two.recover() == 0
    living.remove("one")
    assert two.recover() == 1
    assert two.spent("k") == (Spent(requests=2, prompt_tokens=10, completion_tokens=14), 1)


def test_processes_have_names_that_never_come_again() -> None:
    import os
    import subprocess

    mine = owner_of(os.getpid())
    assert mine is not None
    assert alive(mine)
    child = subprocess.Popen(["sleep", "60"])
    other = owner_of(child.pid)
    assert other is not None
    assert other != mine
    assert alive(other)
    child.kill()
    child.wait()
    assert not alive(other)
    assert not alive(mine.replace(":", ":9", 1))
    assert not alive("nonsense")


def test_the_file_of_quotas_is_read_again_when_it_changes(tmp_path: Path) -> None:
    mine, others = FileQuotas(tmp_path / "q.json"), FileQuotas(tmp_path / "q.json")
    assert mine.find("k") is None
    others.put("k", Quota(requests=3, priority=Priority.HIGH))
    assert mine.find("k") == Quota(requests=3, priority=Priority.HIGH)
    assert (tmp_path / "q.json").stat().st_mode & 0o777 == 0o600
    others.put("k", None)
    assert mine.find("k") is None
