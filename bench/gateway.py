"""The gateway beside no gateway, a bare pass-through proxy, and LiteLLM's proxy, in front of one fake engine.

The engine speaks with fixed timing in its own process; every proxy has one worker in its own. First tokens
are timed with Poisson arrivals at 100 running streams of 20 tokens/s, the arms taking turns. Requests
are counted per core: by the CPU seconds that the proxy's process spent, which other load on the machine
does not change. The pass-through is what one writes with aiohttp, which Lockgate serves with too: a handler
that posts the body on and writes what comes, on asyncio's own loop. Lockgate runs with keys, durable log,
receipts and metrics; where it is compared with LiteLLM, with guards and a quota as well. LiteLLM runs with
its master key and its metrics but without a database, since its virtual keys, quotas and spend logs need
PostgreSQL: that favours it.
`--quick` leaves LiteLLM out unless `--litellm` names an installed one; `--soak` streams for 30 minutes and
prints how memory grows.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROLES = Path(__file__).parent / "measure" / "gateway_roles.py"
TICK = os.sysconf("SC_CLK_TCK")
LITELLM = ("litellm[proxy]", "prometheus-client")
QUESTION = (
    "How long do the batteries of the emergency generator last at full load, and who may switch it off?"
)
BODY = {"model": "small", "messages": [{"role": "user", "content": QUESTION}], "stream": True}


@dataclass
class Arm:
    """One way to the engine: where, with which key, and the process that is measured (none: direct)."""

    name: str
    port: int
    key: str = "none"
    pid: int = 0

    def request(self) -> bytes:
        """Return the bytes of a request."""
        body = json.dumps(BODY).encode()
        return (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n%b" % (self.key.encode(), len(body), body)
        )

    def cpu(self) -> float:
        """Return the CPU seconds that the process has spent."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def rss(self) -> float:
        """Return the process's resident memory in MB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1000
        return 0.0


@contextmanager
def role(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Start a process of `measure/gateway_roles.py`; yield it with the words of its first line."""
    process = subprocess.Popen(
        [sys.executable, str(ROLES), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if not os.environ.get("BENCH_DEBUG") else None,
        text=True,
    )
    try:
        yield process, process.stdout.readline().split()  # type: ignore[union-attr]
    finally:
        process.communicate()


@contextmanager
def litellm(program: Path, engine: str, folder: Path) -> Iterator[Arm]:
    """Start LiteLLM's proxy with one worker and wait until it serves."""
    port = 20_000 + os.getpid() % 20_000
    config = {
        "model_list": [
            {
                "model_name": "small",
                "litellm_params": {"model": "openai/small", "api_base": f"{engine}/v1", "api_key": "none"},
            }
        ],
        "general_settings": {"master_key": "sk-bench"},
        "litellm_settings": {"callbacks": ["prometheus"], "telemetry": False, "drop_params": True},
    }
    (folder / "litellm.json").write_text(json.dumps(config))
    log = (folder / "litellm.log").open("wb")
    process = subprocess.Popen(
        [str(program), "--config", str(folder / "litellm.json"), "--port", str(port), "--host", "127.0.0.1"],
        stdout=log,
        stderr=log,
        env={
            **os.environ,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_MODE": "PRODUCTION",
            "NO_PROXY": "*",
            "LITELLM_LOG": "ERROR",
        },
    )
    try:
        arm = Arm("LiteLLM", port, "sk-bench", process.pid)
        deadline = time.monotonic() + 180
        while not asyncio.run(_answers(arm)):
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit("LiteLLM did not start: " + (folder / "litellm.log").read_text()[-2000:])
            time.sleep(1)
        yield arm
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


async def _answers(arm: Arm) -> bool:
    try:
        return (await one(arm))[1]
    except (OSError, asyncio.IncompleteReadError):
        return False


async def one(arm: Arm, pipe: Any = None) -> tuple[float, bool]:
    """Send a request; return the seconds to the first text, and whether the answer came whole."""
    reader, writer = pipe or await asyncio.open_connection("127.0.0.1", arm.port)
    try:
        began = time.monotonic()
        writer.write(arm.request())
        first, seen = 0.0, b""
        while data := await reader.read(1 << 16):
            if not first and b"generator" in data:
                first = time.monotonic() - began
            seen = (seen + data)[-64:]
            if seen.endswith(b"0\r\n\r\n"):
                return first, b"[DONE]" in seen and first > 0
        return first, False
    finally:
        if pipe is None:
            writer.close()


async def poisson(
    arm: Arm, streams: int, seconds: float, length: float, seed: int
) -> list[tuple[float, bool]]:
    """Keep so many streams of a length running on average; return what was seen of each."""
    rng = random.Random(seed)  # noqa: S311  # repeatable
    tasks, due = [], time.monotonic()
    end = due + seconds
    while due < end:
        due += rng.expovariate(streams / length)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        tasks.append(asyncio.create_task(one(arm)))
    return await asyncio.gather(*tasks)


async def saturate(arm: Arm, connections: int, seconds: float) -> tuple[int, int]:
    """Ask over so many kept connections for a time; return whole and failed answers."""
    end = time.monotonic() + seconds
    counts = [0, 0]

    async def ask() -> None:
        pipe = await asyncio.open_connection("127.0.0.1", arm.port)
        while time.monotonic() < end:
            _, whole = await one(arm, pipe)
            counts[0 if whole else 1] += 1
            if not whole:
                break
        pipe[1].close()

    await asyncio.gather(*(ask() for _ in range(connections)))
    return counts[0], counts[1]


async def cancelled(arm: Arm, engine: int, rounds: int) -> list[float]:
    """Leave before the first token; return the milliseconds until the engine saw it, each time."""
    found = []
    for _ in range(rounds):
        _, writer = await asyncio.open_connection("127.0.0.1", arm.port)
        writer.write(arm.request())
        await asyncio.sleep(0.2)
        left = time.monotonic()
        writer.transport.abort()
        seen = 0.0
        while seen < left:
            reader, asking = await asyncio.open_connection("127.0.0.1", engine)
            asking.write(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
            seen = json.loads((await reader.readuntil(b"}")).partition(b"\r\n\r\n")[2])["left"]
            asking.close()
            if time.monotonic() - left > 10:  # noqa: PLR2004  # it was never told
                return [10_000.0]
        found.append((seen - left) * 1000)
    return found


async def ramp(arm: Arm, streams: int, over: float) -> tuple[int, float]:
    """Begin so many streams over a time; return how many failed and the most memory in MB."""
    peak = 0.0

    async def later(at: int) -> bool:
        await asyncio.sleep(over * at / streams)
        try:
            return (await one(arm))[1]
        except OSError:
            return False

    tasks = [asyncio.create_task(later(at)) for at in range(streams)]
    while not all(task.done() for task in tasks):
        peak = max(peak, arm.rss())
        await asyncio.wait(tasks, timeout=0.25)
    return sum(not task.result() for task in tasks), peak


def percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile in milliseconds."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


class Bench:
    """Measures and gathers rows and ratios."""

    def __init__(self, *, quick: bool, program: Path | None, folder: Path) -> None:
        """Begin with nothing measured."""
        self.quick, self.program, self.folder = quick, program, folder
        self.rows: list[dict[str, Any]] = []
        self.ratios: dict[str, float | int | None] = {}

    def arms(
        self,
        stack: ExitStack,
        *engine: str,
        guards: Sequence[bool],
        peers: bool = True,
        quotas: bool = False,
    ) -> list[Arm]:
        """Start an engine and the proxies in front of it."""
        process, (port, *_) = stack.enter_context(role("engine", *engine))
        url = f"http://127.0.0.1:{port}"
        self.engine = int(port)
        found = []
        if peers:
            found.append(Arm("direct", int(port), pid=process.pid))
            process, (port, *_) = stack.enter_context(role("passthrough", "--engine", url))
            found.append(Arm("pass-through", int(port), pid=process.pid))
        for on in guards:
            folder = tempfile.mkdtemp(dir=self.folder)
            flags = ["--guards"] * on + ["--quotas"] * (on and quotas)
            process, (port, key) = stack.enter_context(
                role("lockgate", "--engine", url, "--folder", folder, *flags)
            )
            name = "Lockgate" if on else "Lockgate, guards off"
            found.append(Arm(name, int(port), key, process.pid))
        if peers and self.program is not None:
            found.append(stack.enter_context(litellm(self.program, url, self.folder)))
        return found

    def row(self, what: str, arm: str, **values: float | str) -> None:
        """Note what was seen."""
        self.rows.append({"what": what, "arm": arm, **values})

    def first_tokens(self) -> None:
        """Time first tokens under Poisson arrivals, the arms taking turns."""
        tokens, rate, streams = 20, 20, 100
        rounds, seconds = (2, 4.0) if self.quick else (6, 8.0)
        with ExitStack() as stack:
            arms = self.arms(stack, "--rate", str(rate), "--tokens", str(tokens), guards=[True])
            times: dict[str, list[float]] = {arm.name: [] for arm in arms}
            failed = dict.fromkeys(times, 0)
            for arm in arms:
                asyncio.run(saturate(arm, 8, 1.5))  # connections, caches
            for at in range(rounds):
                for arm in arms:
                    load = streams if arm.name != "LiteLLM" else 10  # it cannot carry more on one core
                    seen = asyncio.run(poisson(arm, load, seconds, tokens / rate, at))
                    times[arm.name] += [first for first, whole in seen if whole]
                    failed[arm.name] += sum(not whole for _, whole in seen)
            for name, values in times.items():
                self.row(
                    "first token, 100 streams" if name != "LiteLLM" else "first token, 10 streams",
                    name,
                    p50_ms=round(percentile(values, 0.5), 2),
                    p99_ms=round(percentile(values, 0.99), 2),
                    answers=len(values),
                    failed=failed[name],
                )
        for share in (0.5, 0.99):
            over = percentile(times["Lockgate"], share) - percentile(times["pass-through"], share)
            self.ratios[f"ttft_over_passthrough_p{share * 100:.0f}_ms"] = round(over, 2)

    def cancels(self) -> None:
        """Time how long the engine works on for a caller who left before the first token."""
        with ExitStack() as stack:
            arms = self.arms(stack, "--rate", "20", "--wait", "30", guards=[True], peers=False)
            values = asyncio.run(cancelled(arms[0], self.engine, 5 if self.quick else 30))
        self.row("engine told that caller left", "Lockgate", p50_ms=round(statistics.median(values), 1))
        self.ratios["cancel_ms"] = round(statistics.median(values), 1)

    def rates(self) -> None:
        """Count requests per CPU second with every connection busy, the arms taking turns."""
        rounds, seconds = (2, 3.0) if self.quick else (4, 6.0)
        with ExitStack() as stack:
            arms = self.arms(stack, guards=[False, True], quotas=True)
            per_core: dict[str, list[float]] = {arm.name: [] for arm in arms}
            per_second: dict[str, list[float]] = {arm.name: [] for arm in arms}
            for arm in arms:
                asyncio.run(saturate(arm, 32, 1.5))
            for _ in range(rounds):
                for arm in arms:
                    before, began = arm.cpu(), time.monotonic()
                    done, failed = asyncio.run(saturate(arm, 32, seconds))
                    if failed:
                        sys.exit(f"{arm.name} failed {failed} requests")
                    per_core[arm.name].append(done / (arm.cpu() - before))
                    per_second[arm.name].append(done / (time.monotonic() - began))
        core = {name: statistics.median(values) for name, values in per_core.items()}
        for name, values in per_second.items():
            self.row("requests", name, per_cpu_s=round(core[name]), per_s=round(statistics.median(values)))
        bare = core["pass-through"]
        self.ratios["rps_vs_passthrough"] = round(core["Lockgate, guards off"] / bare, 2)
        self.ratios["rps_guarded_vs_passthrough"] = round(core["Lockgate"] / bare, 2)
        peer = core.get("LiteLLM")
        self.ratios["rps_vs_litellm"] = round(core["Lockgate"] / peer, 1) if peer else None
        if peer is None:
            self.row("requests", "LiteLLM", per_cpu_s="skipped", per_s="skipped")

    def crowd(self) -> None:
        """Run 2,000 streams of 2 tokens/s at once."""
        streams, over = 2000, 5.0
        tokens = 20 if self.quick else 40
        with ExitStack() as stack:
            (arm,) = self.arms(stack, "--rate", "2", "--tokens", str(tokens), guards=[True], peers=False)
            before = arm.cpu()
            failed, peak = asyncio.run(ramp(arm, streams, over))
            spent = arm.cpu() - before
        self.row(
            "2,000 streams at 2 tokens/s",
            "Lockgate",
            failed=failed,
            rss_mb=round(peak),
            cpu_s=round(spent, 1),
        )
        self.ratios["streams_2000_errors"] = failed
        self.ratios["streams_2000_rss_mb"] = round(peak)

    def soak(self, minutes: float) -> None:
        """Stream for a long time and see how memory grows after the first tenth."""
        with ExitStack() as stack:
            (arm,) = self.arms(stack, "--rate", "20", "--tokens", "40", guards=[True], peers=False)
            sizes, part = [], minutes * 60 / 20
            for at in range(20):
                asyncio.run(poisson(arm, 50, part, 2.0, at))
                sizes.append(arm.rss())
                print(f"  soak {at + 1}/20: {sizes[-1]:.0f} MB", file=sys.stderr)
        self.row("soak", "Lockgate", minutes=minutes, after_tenth_mb=round(sizes[1]), end_mb=round(sizes[-1]))
        self.ratios["soak_growth_mb"] = round(sizes[-1] - sizes[1], 1)


def installed(folder: Path) -> Path:
    """Install LiteLLM's proxy into an environment of its own."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(folder / "bin/pip"), "install", "--quiet", *LITELLM], check=True)
    return folder / "bin/litellm"


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less of everything, without LiteLLM")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--litellm", type=Path, help="an installed `litellm` program")
    parser.add_argument("--soak", nargs="?", type=float, const=30.0, help="stream for so many minutes (30)")
    parser.add_argument("--only", choices=("first", "cancel", "rates", "crowd"), help="one part alone")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="lockgate-bench-"))
    try:
        program = options.litellm
        if program is None and not options.quick and not options.soak:
            program = installed(folder / "litellm")
        bench = Bench(quick=options.quick, program=program, folder=folder)
        parts = {
            "first": bench.first_tokens,
            "cancel": bench.cancels,
            "rates": bench.rates,
            "crowd": bench.crowd,
        }
        if options.soak:
            bench.soak(options.soak)
        else:
            for name, part in parts.items():
                if options.only in {None, name}:
                    part()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    machine = {
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "load": [round(load, 1) for load in os.getloadavg()],
    }
    if options.json:
        print(json.dumps({"machine": machine, "ratios": bench.ratios, "rows": bench.rows}))
        return
    print("  ".join(f"{name} {value}" for name, value in machine.items()))
    for row in bench.rows:
        values = "  ".join(f"{k} {v}" for k, v in row.items() if k not in {"what", "arm"})
        print(f"{row['what']:>30}  {row['arm']:<22}{values}")
    for name, value in bench.ratios.items():
        print(f"{name:>30}  {'skipped' if value is None else value}")


if __name__ == "__main__":
    main()
