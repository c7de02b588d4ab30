"""The guards: what they catch and what they wrongly stop on this project's own sets, and what they cost.

The sets are made in `tests/corpora/prompts.py`: ordinary prompts, harmless ones full of trigger words,
orders to drop instructions, the same orders as attackers dress them, and orders planted in documents.
Numbers on one's
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

from corpora.prompts import attacks, benign, dressed, everyday, planted
from lockgate.guard import (
    Channel,
    GuardPolicy,
    InputGuard,
    Outcome,
    OutputFilter,
    Scorer,
    new_canary,
    shipped,
)

POLICY = GuardPolicy()
TOKEN = 4


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, 1927)."""
    z, share = 1.96, hits / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def judged(texts: Iterable[str], channel: Channel, scorer: Scorer | None) -> tuple[int, int, int]:
    """Return how many of the texts are blocked, how many flagged or blocked, and how many there are."""
    guard = InputGuard(POLICY, scorer)
    outcomes = [guard.check(text, channel).outcome for text in texts]
    blocked = sum(outcome is Outcome.BLOCK for outcome in outcomes)
    return blocked, sum(outcome is not Outcome.ALLOW for outcome in outcomes), len(outcomes)


def check_ms(rounds: int, scorer: Scorer | None) -> float:
    """Return the median CPU milliseconds of a check of 500 harmless characters."""
    guard, text, taken = InputGuard(POLICY, scorer), " ".join(benign())[:500], []
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


def share(found: tuple[int, int, int], which: int) -> float:
    """Return the share of texts that were blocked (0), or flagged or blocked (1)."""
    return found[which] / found[2]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    rounds = 20 if options.quick else 200
    sets = {
        "ordinary, from users": (list(everyday()), Channel.USER),
        "ordinary, looked up": (list(everyday()), Channel.RETRIEVED),
        "trigger words, from users": (list(benign()), Channel.USER),
        "trigger words, looked up": (list(benign()), Channel.RETRIEVED),
        "orders, from users": (list(attacks()), Channel.USER),
        "orders, dressed": ([d for a in attacks() for _, d in dressed(a)], Channel.USER),
        "orders, planted in documents": (list(planted()), Channel.RETRIEVED),
    }
    found: dict[tuple[str, str], tuple[int, int, int]] = {}
    for stack, scorer in (("rules", None), ("rules and classifier", shipped())):
        for name, (texts, channel) in sets.items():
            found[stack, name] = judged(texts, channel, scorer)
    rows = [
        {
            "stack": stack,
            "set": name,
            "blocked": blocked,
            "caught": caught,
            "texts": count,
            "interval": [round(x, 4) for x in wilson(caught, count)],
        }
        for (stack, name), (blocked, caught, count) in found.items()
    ]
    whole = "rules and classifier"
    ratios = {
        "benign_blocked": share(found["rules", "trigger words, from users"], 0),
        "ordinary_flagged": share(found[whole, "ordinary, from users"], 1),
        "trigger_words_flagged": share(found[whole, "trigger words, from users"], 1),
        "direct_caught": share(found[whole, "orders, from users"], 1),
        "dressed_caught": share(found[whole, "orders, dressed"], 1),
        "planted_caught": share(found[whole, "orders, planted in documents"], 1),
        "check_500_ms": round(check_ms(rounds * 5, None), 3),
        "check_500_classified_ms": round(check_ms(rounds * 5, shipped()), 3),
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
        print(
            f"{row['stack']:21} {row['set']:29} {row['blocked']:5} blocked {row['caught']:5} caught"
            f" of {row['texts']:5}  [{low:.3f}, {high:.3f}]"
        )
    for name, value in ratios.items():
        print(f"{name:32} {value:.4g}")


if __name__ == "__main__":
    main()
