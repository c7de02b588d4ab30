"""What changed between two versions of a model's weights: facts for approvers, bound to both digests.

Facts, not findings: a fine-tune changes everything, and only people know whether that was wanted. Documents
hold no fractions, so that shares are parts per million and norms are short decimal texts.
"""

from enum import StrEnum
from typing import Annotated

import msgspec

from lockgate.core.artifact import Digest, Size
from lockgate.core.wire import Document

WEIGHTS_FORMAT = "lockgate-weights/1"

SHOWN_TENSORS = 64
"""How many tensors are told one by one, those that changed most first; the others are counted."""

SHOWN_REMARKS = 64
MILLION = 1_000_000

Number = Annotated[str, msgspec.Meta(pattern=r"^(?:-?[0-9.e+-]{1,24}|inf|nan)\Z")]
"""A real number as six significant decimal digits."""

Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Share = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
"""Parts per million."""

Label = Annotated[str, msgspec.Meta(max_length=160)]


class Fate(StrEnum):
    """What became of a tensor."""

    EQUAL = "equal"
    CHANGED = "changed"
    RECAST = "recast"
    ADDED = "added"
    REMOVED = "removed"


class TensorFacts(Document, frozen=True):
    """One tensor before and after.

    Attributes:
        name: Its name.
        fate: What became of it; `RECAST`: another type or shape, so that values are not compared.
        dtype: Its type before and after, empty where there is none.
        shape: Its shape before and after.
        elements: How many elements were compared (blocks' bytes for a quantised type).
        changed: How many of them differ.
        norm: Frobenius norm before and after; empty for quantised types.
        relative: Norm of the change over the norm before, in parts per million.
        rows: How many rows it has, where the change was looked at by rows.
        rows_changed: How many rows differ.
        top_row: The row that changed most.
        top_row_share: That row's share of the squared change, in parts per million.
        spectrum: Largest singular values before, by a randomised sketch.
        spectrum_after: The same of the new tensor.
        spectrum_share: What the same number of directions hold of the squared change, in parts per million.
        scales: Of a quantised type the mean block scale before and after, then the largest, before and
            after.
        not_finite: Elements of the new tensor that are no finite number.

    """

    name: Label
    fate: Fate
    dtype: tuple[Label, Label]
    shape: tuple[Label, Label]
    elements: Count = 0
    changed: Count = 0
    norm: tuple[Number, ...] = ()
    relative: Share = 0
    rows: Count = 0
    rows_changed: Count = 0
    top_row: Count = 0
    top_row_share: Share = 0
    spectrum: tuple[Number, ...] = ()
    spectrum_after: tuple[Number, ...] = ()
    spectrum_share: Share = 0
    scales: tuple[Number, ...] = ()
    not_finite: Count = 0


class Remark(Document, frozen=True):
    """Something that stands out: a stable code, the tensor (or nothing, for all together), and why."""

    code: Label
    where: Label
    why: Annotated[str, msgspec.Meta(max_length=240)]


class Compared(Document, frozen=True):
    """What the sandboxed comparison answers: everything but which files it read."""

    format: Label
    tool: Label
    tensors: Count
    equal: Count
    changed: Count
    recast: Count
    added: Count
    removed: Count
    elements: Count
    elements_changed: Count
    shown: Annotated[tuple[TensorFacts, ...], msgspec.Meta(max_length=SHOWN_TENSORS)]
    remarks: Annotated[tuple[Remark, ...], msgspec.Meta(max_length=SHOWN_REMARKS)]


class WeightsFacts(Document, frozen=True):
    """A comparison of a file of weights with its predecessor, bound to the digests of both."""

    path: str
    sha256: Digest
    size: Size
    base_path: str
    base_sha256: Digest
    base_size: Size
    compared: Compared | None
    problem: str = ""

    @property
    def sentence(self) -> str:
        """Return the facts as one sentence."""
        said = self.compared
        if said is None:
            return f"not compared with {self.base_path}: {self.problem}"
        share = 100 * said.elements_changed / max(1, said.elements)
        parts = [f"{said.changed} of {said.tensors} tensors changed ({share:.3g} % of all elements)"]
        for name, count in (("recast", said.recast), ("added", said.added), ("removed", said.removed)):
            if count:
                parts.append(f"{count} {name}")
        return ", ".join(parts)


def printable(facts: Compared) -> bool:
    """Tell whether every text of an answer may stand on a terminal."""
    texts = [text for each in facts.shown for text in (each.name, *each.dtype, *each.shape)]
    texts += [text for each in facts.remarks for text in (each.code, each.where, each.why)]
    return all(text.isprintable() for text in (facts.format, facts.tool, *texts))
