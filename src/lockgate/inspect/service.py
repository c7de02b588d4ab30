"""The use cases: inspect files, and run one function of ours over one file."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from lockgate.core.digests import sha256_stream
from lockgate.core.ports import Progress, Silent
from lockgate.core.verdict import Severity, Verdict
from lockgate.inspect.announced import SiteInspector
from lockgate.inspect.decide import believable, decide, unread
from lockgate.inspect.engine import engine_digest
from lockgate.inspect.errors import (
    BrokenContentError,
    JobFailedError,
    JobOutputError,
    JobTimeoutError,
    NotInspectableError,
    OverLimitError,
)
from lockgate.inspect.limits import Limits, demand
from lockgate.inspect.ports import InspectItem, Job, Part, Sandbox
from lockgate.inspect.rulesets import RuleSet
from lockgate.inspect.sandbox import open_regular
from lockgate.inspect.worker import INSPECT, InspectArgs

OWN_FAULT = {
    JobFailedError: "worker-failed",
    JobTimeoutError: "worker-timeout",
    JobOutputError: "worker-output",
    OverLimitError: "over-limit",
    NotInspectableError: "unreadable",
}
"""What a file does to its own inspection → the code of the finding."""

NO_ANSWER: tuple[type[Exception], ...] = (*OWN_FAULT, BrokenContentError, msgspec.DecodeError)
"""What means that a sandboxed reader gave no answer that can be read."""


def inspect_files(
    items: Iterable[InspectItem],
    sandbox: Sandbox,
    *,
    jobs: int = 2,
    limits: Limits | None = None,
    progress: Progress | None = None,
) -> list[Verdict]:
    """Return one verdict for each file, in order.

    Whatever a file does to the process that reads it, only its own verdict suffers.

    Args:
        items: The files.
        sandbox: Runs the parsers.
        jobs: How many processors are kept at work; where there are several, one more file is under way.
        limits: All bounds; the defaults when left out.
        progress: Told of the bytes done.

    Raises:
        SandboxUnavailableError: Nothing can be parsed safely here.

    """
    todo: Sequence[InspectItem] = tuple(items)
    bounds = limits or Limits()
    shown = progress or Silent()
    shown.start("inspect", sum(item.size for item in todo))
    verdicts: list[Verdict] = []
    for item, verdict in zip(todo, _verdicts(todo, sandbox, bounds, jobs), strict=True):
        verdicts.append(verdict)
        shown.advance(item.size)
    shown.finish()
    return verdicts


def _verdicts(items: Sequence[InspectItem], sandbox: Sandbox, limits: Limits, jobs: int) -> Iterator[Verdict]:
    """Yield the verdict of each file, in order; several at a time, unless there is one job only.

    Of every file a part of the time passes before its process is there and after it has ended.
    """
    if jobs <= 1:
        yield from (inspect_file(item, sandbox, limits) for item in items)
        return
    with ThreadPoolExecutor(max_workers=jobs + 1, thread_name_prefix="inspect") as pool:
        waiting = [pool.submit(inspect_file, item, sandbox, limits) for item in items]
        try:
            yield from (future.result() for future in waiting)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def inspect_file(item: InspectItem, sandbox: Sandbox, limits: Limits) -> Verdict:
    """Return the verdict of one file, bound to the digest of the bytes that were read and to its basis.

    Raises:
        SandboxUnavailableError: Nothing can be parsed safely here.

    """
    return msgspec.structs.replace(
        _inspected(item, sandbox, limits), basis=basis_of(sandbox.rules, sandbox.site)
    )


def basis_of(rules: RuleSet, site: tuple[SiteInspector, ...] = ()) -> dict[str, str]:
    """Return what verdicts made with some rules rest on; it is told here, not by what reads hostile bytes.

    Args:
        rules: The rules.
        site: The site's own inspectors; each is told by what announces it, and its version.

    """
    announced = tuple(f"{each.distribution} {each.version} {each.entry}" for each in site)
    said = {"engine": engine_digest(announced), "rules": rules.sha256}
    return said | ({"site": "; ".join(announced)} if site else {})


def _inspected(item: InspectItem, sandbox: Sandbox, limits: Limits) -> Verdict:
    try:
        demand(item.size, limits.file_bytes, "file_bytes")
        if _digest(item.file) != (item.sha256, item.size):
            why = "The bytes on disk are not those that the digest names."
            return unread(item, "content-changed", why, Severity.CRITICAL)
        answer = sandbox.run(_job(item, limits, sandbox.site))
    except tuple(OWN_FAULT) as error:
        return unread(item, OWN_FAULT[type(error)], error.what)
    try:
        part = msgspec.json.decode(answer, type=Part)
    except msgspec.DecodeError:
        return unread(item, "worker-answer", "The inspecting process answered nothing that can be read.")
    if not believable(part, item, limits.findings):
        return unread(
            item, "worker-answer", "The inspecting process answered what cannot be true of the file."
        )
    return decide(item, part)


def run_in_sandbox(
    sandbox: Sandbox, entry: str, file: Path, args: bytes = b"", *, limits: Limits | None = None
) -> bytes:
    """Run one of our functions over a file under the limits of inspection; return its answer.

    Args:
        sandbox: Where it runs.
        entry: ``lockgate.room.module:function``, taking the content and `args`, returning bytes.
        file: The file; nothing else of the machine is visible to the function.
        args: What the function is told beside the content.
        limits: All bounds; the defaults when left out.

    Raises:
        NotInspectableError, BadEntryError, JobFailedError, JobTimeoutError, JobOutputError,
        SandboxUnavailableError: As the port says.

    """
    bounds = limits or Limits()
    size = file.stat().st_size if file.is_file() else 0
    return sandbox.run(_bounded(entry, file, args, size, bounds))


def _bounded(entry: str, file: Path, args: bytes, size: int, limits: Limits) -> Job:
    return Job(
        entry=entry,
        file=file,
        args=args,
        wall_seconds=limits.wall_seconds + size / limits.bytes_per_second,
        cpu_seconds=limits.cpu_seconds,
        memory_bytes=limits.memory_bytes + size,
        output_bytes=limits.output_bytes,
    )


def _job(item: InspectItem, limits: Limits, site: tuple[SiteInspector, ...]) -> Job:
    given = InspectArgs(
        name=item.path,
        kind=item.kind,
        limits=limits,
        profile=item.profile,
        role=item.role,
        site=tuple(each.entry for each in site),
    )
    args = msgspec.json.encode(given)
    return _bounded(INSPECT, item.file, args, item.size, limits)


def _digest(file: Path) -> tuple[str, int]:
    with os.fdopen(open_regular(file), "rb", buffering=0) as stream:
        return sha256_stream(stream)
