"""Delivering an admitted snapshot to a target: what is missing is brought, then everything is read back."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from lockgate.core.errors import LockgateError
from lockgate.core.ports import Progress, Silent
from lockgate.core.snapshot import Admitted
from lockgate.targets.ports import Item, Open, Target

NOT_ATOMIC = (
    "The target was changed piece by piece: while this ran, its users saw some of the new and some of the"
    " old, and what it held before is still there."
)


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of one artifact: `wrong` are its files that the target does not give with their bytes.

    `size` is that of all its files, in bytes.
    """

    purl: str
    size: int = 0
    wrong: tuple[str, ...] = ()
    code: str = ""
    problem: str = ""

    @property
    def good(self) -> bool:
        """Tell whether the target gives every file with its very bytes."""
        return not self.wrong and not self.code


@dataclass(slots=True)
class Report:
    """What a target holds of a snapshot afterwards.

    `passed_over` are artifacts that it cannot take; `problem` says what it refused of everything together
    (a list of digests, tags of packages).
    """

    delivered: list[Delivered] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    code: str = ""
    problem: str = ""
    atomic: bool = False
    note: str = NOT_ATOMIC

    @property
    def failed(self) -> list[Delivered]:
        """Return what is not there as it should be."""
        return [each for each in self.delivered if not each.good]


def deliver(
    admitted: Iterable[Admitted],
    open_blob: Open,
    target: Target,
    progress: Progress | None = None,
    *,
    compare_only: bool = False,
) -> Report:
    """Bring what a snapshot admits to a target, and compare afterwards what the target gives.

    One artifact that is refused does not stop the others: the report names it.

    Args:
        admitted: The snapshot's artifacts, verified.
        open_blob: Opens their bytes; what was read is compared at the target's end.
        target: Where they go.
        progress: Told of the bytes.
        compare_only: Bring nothing.

    """
    shown = progress or Silent()
    report = Report(note="" if compare_only else NOT_ATOMIC)
    items: list[Item] = []
    for each in sorted(admitted, key=lambda a: a.artifact.purl):
        if target.takes(each.artifact):
            items.append(Item(each.artifact, open_blob, each.crossing))
        else:
            report.passed_over.append(each.artifact.purl)
    target.begin(items)
    shown.start("deliver", sum(item.artifact.size for item in items))
    problems: dict[str, LockgateError] = {}
    for item in items:
        if not compare_only:
            try:
                target.put(item)
            except LockgateError as error:
                problems[item.artifact.purl] = error
        shown.advance(item.artifact.size)
    if not compare_only:
        try:
            target.finish(items)
        except LockgateError as error:
            report.code, report.problem = error.code, error.what
    shown.finish()
    report.delivered += [_compared(item, target, problems.get(item.artifact.purl)) for item in items]
    return report


def _compared(item: Item, target: Target, problem: LockgateError | None) -> Delivered:
    purl, size = item.artifact.purl, item.artifact.size
    expected = {file.path: file.sha256 for file in item.artifact.files}
    try:
        wrong = tuple(path for path, found in target.held(item) if found != expected.get(path, "-"))
    except LockgateError as error:
        return Delivered(purl, size, (), error.code, error.what)
    if problem is not None:
        return Delivered(purl, size, wrong, problem.code, problem.what)
    return Delivered(purl, size, wrong)
