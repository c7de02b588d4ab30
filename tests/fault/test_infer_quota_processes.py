"""Quotas across real processes: exact while several spend at once, and after one is killed at any instant."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from corpora.homes import HighSide
from corpora.ports import free_port
from infer_doubles import NOW, Counting, FakeServer, until
from lockgate.app.high.gateway import OwnEngineError, add_api_key, serve_gateway
from lockgate.app.high.quotas import quota_of, set_quota, spending_of
from lockgate.app.high.servers import ServerAddressError
from lockgate.infer import Quota, Quotas
from lockgate.infer.quotas import Wanted
from lockgate.store import open_records

SPEND = """
import secrets, sys
from datetime import UTC, datetime
from lockgate.infer import Quota, Quotas, Usage
from lockgate.infer.quotas import Settled, Wanted
from lockgate.store import open_records
quotas = Quotas(open_records(sys.argv[1]), lambda: datetime(2026, 1, 2, tzinfo=UTC), secrets.token_bytes)
wanted = Wanted("k", Quota(requests=300), 10, 20)
print("ready", flush=True)
while isinstance(name := quotas.work([wanted])[0], str):
    quotas.work([Settled(name, Usage(prompt_tokens=3, completion_tokens=4))])
    print("spent", flush=True)
"""


def spender(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SPEND, url], stdout=subprocess.PIPE, text=True)


def lines(process: subprocess.Popen[str]) -> int:
    output, _ = process.communicate(timeout=120)
    return output.count("spent")


def test_several_processes_spend_exactly_the_quota(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'quotas.sqlite'}"
    open_records(url).close()
    processes = [spender(url) for _ in range(3)]
    assert sum(lines(process) for process in processes) == 300
    quotas = Quotas(open_records(url), lambda: NOW, Counting())
    spent, running = quotas.spent("k")
    assert (spent.requests, spent.prompt_tokens, spent.completion_tokens, running) == (300, 900, 1200, 0)


def test_a_process_that_is_killed_gives_nothing_back_and_blocks_nobody(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'quotas.sqlite'}"
    records = open_records(url)
    quotas = Quotas(records, lambda: NOW, os.urandom)
    for at in range(6):
        process = spender(url)
        assert process.stdout is not None
        for _ in range(2 + 3 * at):
            process.stdout.readline()
        process.kill()
        process.communicate()
        spent, running = quotas.spent("k")
        open_now = running
        assert open_now in {0, 1}
        assert quotas.recover() == open_now
        after, running = quotas.spent("k")
        assert (after, running) == (spent, 0)
        whole, rest = divmod(after.completion_tokens, 4)
        assert rest == 0
        assert whole >= after.requests  # four for each that was settled, twenty for each that was cut off
    assert isinstance(quotas.work([Wanted("k", Quota(concurrent=1), 1, 1)])[0], str)


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    return HighSide.with_model(tmp_path)


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    found = [int(word) for word in text.split()]
    return [child for child in found if b"spawn_main" in words_of(child)]


def words_of(pid: int) -> bytes:
    """Return the command line of a process; nothing of one that was reaped since it was listed."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def until_serving(session: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(120):
        while True:
            try:
                async with session.get("/healthz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


def test_two_gateways_on_one_port_share_a_quota_exactly_and_one_may_die(high: HighSide) -> None:
    secret = add_api_key(high.side, "analysts", ("internal", "public"))
    set_quota(high.side, "analysts", Quota(requests=40))
    port = free_port()

    async def main() -> None:
        async with FakeServer().running() as server:
            environment = {
                **os.environ,
                "LOCKGATE_ENGINE__SERVERS": f"openai={server.url}",
                "LOCKGATE_SERVE__GATEWAY_PROCESSES": "2",
            }
            command = [sys.executable, "-m", "lockgate.cli.main", "gateway", "serve", "--port", str(port)]
            command += ["--home", str(high.side.home.root)]
            process = await asyncio.to_thread(
                partial(subprocess.Popen, command, env=environment, stderr=subprocess.DEVNULL)
            )
            try:
                connector = aiohttp.TCPConnector(force_close=True)
                async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector) as session:
                    await until_serving(session)
                    await until(lambda: len(children(process.pid)) == 2)
                    body = {"model": "small", "messages": [{"role": "user", "content": "Hi"}]}
                    headers = {"Authorization": f"Bearer {secret}"}

                    async def ask() -> int:
                        try:
                            async with session.post(
                                "/v1/chat/completions", json=body, headers=headers
                            ) as response:
                                await response.read()
                                return response.status
                        except aiohttp.ClientError:
                            return 0

                    counts: Counter[int] = Counter()
                    for _ in range(5):
                        counts.update(await asyncio.gather(*(ask() for _ in range(4))))
                    assert counts == {200: 20}
                    first = children(process.pid)[0]
                    os.kill(first, signal.SIGKILL)
                    await until(lambda: first not in children(process.pid))
                    await until(lambda: len(children(process.pid)) == 2)
                    for _ in range(20):
                        counts.update([await ask()])
                    await until_serving(session)
                    for _ in range(8):
                        counts.update(await asyncio.gather(*(ask() for _ in range(4))))
                    assert counts[200] == 40
                    assert counts[429] >= 8
            finally:
                process.terminate()
                assert await asyncio.to_thread(process.wait, 60) == 0

    asyncio.run(main())
    spending_of(high.side).recover()  # as the next gateway does when it starts
    quota, spent, running = quota_of(high.side, "analysts")
    assert quota == Quota(requests=40)
    assert (spent.requests, running) == (40, 0)
    unsettled, rest = divmod(spent.completion_tokens - 120, 1024 - 3)
    assert rest == 0, "each answer counts three tokens, or all that was reserved where its process was killed"
    assert 0 <= unsettled <= 4


def test_several_processes_never_start_several_engines(
    high: HighSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lockgate.app.settings import load_settings

    monkeypatch.setenv("LOCKGATE_SERVE__GATEWAY_PROCESSES", "2")
    with pytest.raises(OwnEngineError):
        serve_gateway(load_settings(high.side.home.root), "127.0.0.1", 0)


@pytest.mark.parametrize(
    "servers", ["http://127.0.0.1:1", "vllm=127.0.0.1:1", "own=http://x:1", "tgi=http://x/y"]
)
def test_servers_that_cannot_be_read_are_named(
    high: HighSide, monkeypatch: pytest.MonkeyPatch, servers: str
) -> None:
    from lockgate.app.settings import load_settings

    monkeypatch.setenv("LOCKGATE_ENGINE__SERVERS", servers)
    with pytest.raises(ServerAddressError):
        serve_gateway(load_settings(high.side.home.root), "127.0.0.1", 0)
