"""The guards: what they catch and what they wrongly stop on this project's own sets, and what they cost.

The sets are made in `tests/corpora/prompts.py`: harmless prompts full of trigger words, orders to drop
instructions, the same orders as attackers dress them, and orders planted in documents. Numbers on one's
own sets say little about foreign ones; intervals are Wilson's at 95 %. Times are CPU time of one thread:
a check against SHA-256 of the same text would be no peer, so the filter is set beside passing text on.
`--quick` changes nothing but the rounds, `--json` prints the ratios.
"""

import argparse
import json
import math
import os
import platform
import random
import sys
import time
from collections.abc import Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from corpora.prompts import attacks, benign, dressed, planted
from lockgate.guard import Channel, GuardPolicy, InputGuard, Outcome, OutputFilter, new_canary

POLICY = GuardPolicy()
TOKEN = 4


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, 1927)."""
    z, share = 1.96, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def blocked(texts: Iterable[str], channel: Channel) -> tuple[int, int]:
    """Return how many of the texts are blocked, and how many there are."""
    guard = InputGuard(POLICY)
    outcomes = [guard.check(text, channel).outcome for text in texts]
    return sum(outcome is Outcome.BLOCK for outcome in outcomes), len(outcomes)


def check_ms(rounds: int) -> float:
    """Return the median CPU milliseconds of a check of 500 harmless characters."""
    guard, text, taken = InputGuard(POLICY), " ".join(benign())[:500], []
    for _ in range(rounds):
        began = time.thread_time()
        guard.check(text, Channel.USER)
        taken.append((time.thread_time() - began) * 1000)
    return sorted(taken)[len(taken) // 2]


def stream_us(rounds: int, *, canary: bool) -> float:
    """Return the CPU microseconds that the filter adds to each piece of four characters."""
    text = "The generator starts when the grid fails; it takes 12 seconds and the log says so. " * 50
    pieces = [text[at : at + TOKEN] for at in range(0, len(text), TOKEN)]
    taken = []
    for _ in range(rounds):
        through = OutputFilter(POLICY, (new_canary(),) if canary else ())
        began = time.thread_time()
        for piece in pieces:
            through.feed(piece)
        filtered = time.thread_time() - began
        began = time.thread_time()
        for piece in pieces:
            str(piece)
        taken.append((filtered - (time.thread_time() - began)) / len(pieces) * 1e6)
    return min(taken)


def held_back(rounds: int) -> int:
    """Return the most characters that were ever held back in harmless prose with a canary set."""
    text, worst = " ".join(benign())[:20_000], 0
    for seed in range(rounds):
        rng = random.Random(seed)  # noqa: S311  # repeatable
        through, came, left, at = OutputFilter(POLICY, (new_canary(),)), 0, 0, 0
        while at < len(text):
            piece = text[at : at + rng.randint(1, 8)]
            at += len(piece)
            came += len(piece)
            left += len(through.feed(piece))
            if not through.hits:
                worst = max(worst, came - left)
    return worst


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    rounds = 20 if options.quick else 200
    sets = {
        "harmless, from users": blocked(benign(), Channel.USER),
        "harmless, looked up": blocked(benign(), Channel.RETRIEVED),
        "orders, from users": blocked(attacks(), Channel.USER),
        "orders, dressed": blocked((d for a in attacks() for _, d in dressed(a)), Channel.USER),
        "orders, planted in documents": blocked(planted(), Channel.RETRIEVED),
    }
    rows = [
        {"set": name, "blocked": hits, "texts": count, "interval": [round(x, 4) for x in wilson(hits, count)]}
        for name, (hits, count) in sets.items()
    ]
    ratios = {
        "benign_blocked": sets["harmless, from users"][0] / sets["harmless, from users"][1],
        "direct_caught": sets["orders, from users"][0] / sets["orders, from users"][1],
        "dressed_caught": sets["orders, dressed"][0] / sets["orders, dressed"][1],
        "check_500_ms": round(check_ms(rounds * 5), 3),
        "filter_us_per_piece": round(stream_us(rounds, canary=False), 1),
        "filter_canary_us_per_piece": round(stream_us(rounds, canary=True), 1),
        "held_back_characters": held_back(rounds // 10),
    }
    machine = {"python": platform.python_version(), "processors": os.cpu_count()}
    if options.json:
        print(json.dumps({"machine": machine, "ratios": ratios, "rows": rows}))
        return
    for row in rows:
        low, high = row["interval"]
        print(f"{row['set']:32} {row['blocked']:5} of {row['texts']:5} blocked   [{low:.3f}, {high:.3f}]")
    for name, value in ratios.items():
        print(f"{name:32} {value:.4g}")


if __name__ == "__main__":
    main()
