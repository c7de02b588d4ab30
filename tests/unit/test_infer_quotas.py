"""Quotas: reserved before dispatch, settled after, exact at the bound, refused in each API's shape."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

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
