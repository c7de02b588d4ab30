"""Replaying golden prompts at the gate: each golden set of a crossing, on its model, before publication."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lockgate.admit import Crossing
from lockgate.admit.facts import keep_facts
from lockgate.app.gate.gate import gate_parts, open_gate
from lockgate.app.golden.box import EngineReplayError, Setup
from lockgate.app.golden.engine import NoEngineWheelError, unpacked
from lockgate.app.golden.sets import check, read_golden
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of
from lockgate.app.trust import supply_root
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.errors import LockgateError
from lockgate.core.golden import GOLDEN_LIMIT, GOLDEN_SUFFIX, GoldenSet, Replay
from lockgate.store import FileBlobs


def replay_crossing(
    side: Side, sequence: int, engine: Path | None = None, executable: str = ""
) -> list[Replay]:
    """Replay every golden set of a crossing, sign what it showed, and keep it; return it.

    Args:
        side: The high side.
        sequence: The crossing.
        engine: The engine's wheel; left out: the one that is served, or that comes with the crossing.
        executable: The program inside it; left out: the one that the settings name.

    Raises:
        WrongStateError: The crossing is not inspected, or is done.
        NoEngineWheelError: There are golden sets and no engine.
        LockgateError: A golden set is not what a collector signed.

    """
    gate, parts = open_gate(side), gate_parts(side)
    crossing = gate.crossing(sequence)
    gate.verdicts(crossing)
    lock = gate.lock(crossing)
    sets = golden_of(side, lock)
    found: list[Replay] = []
    if sets:
        with _engine(side, crossing, lock, engine, executable) as setup:
            found = [_replayed(side, golden, digest, model, setup) for golden, digest, model in sets]
    keep_facts(parts, crossing, replays=found)
    gate.judge_anew(crossing)
    return found


_Sets = list[tuple[GoldenSet, str, ArtifactFile]]


def golden_of(side: Side, lock: Lock) -> _Sets:
    """Return the golden sets of a lock, each with its digest and with the file of its model.

    A set of a model that is not in the lock says nothing about the crossing, and is passed over.

    Raises:
        LockgateError: A set is malformed, or not signed by a collector.

    """
    quarantine, supply = FileBlobs(side.home.quarantine), supply_root(side)[1]
    files = {file.sha256: file for artifact in lock.artifacts for file in artifact.files}
    found = []
    for file in files.values():
        if file.role is Role.GOLDEN or file.path.endswith(GOLDEN_SUFFIX):
            golden = read_golden(quarantine.read(file.sha256, limit=GOLDEN_LIMIT), supply)
            if golden.model_sha256 in files:
                found.append((golden, file.sha256, files[golden.model_sha256]))
    return found


def _replayed(side: Side, golden: GoldenSet, digest: str, model: ArtifactFile, setup: Setup) -> Replay:
    """Return what a replay showed; that an engine gave no answers is shown too."""
    file = FileBlobs(side.home.quarantine).path(model.sha256)
    try:
        return check(golden, digest, file, setup)
    except EngineReplayError as error:
        return Replay(
            model_sha256=model.sha256,
            golden_sha256=digest,
            engine=setup.engine,
            recorded_by=golden.engine,
            prompts=len(golden.answers),
            differing=len(golden.answers),
            problem=error.what[:240],
        )


@contextmanager
def _engine(
    side: Side, crossing: Crossing, lock: Lock, engine: Path | None, executable: str
) -> Iterator[Setup]:
    program = executable or side.settings.engine.executable
    if engine is not None:
        with unpacked(engine, program, engine.name) as setup:
            yield setup
        return
    found = _served(side) or _coming(side, lock)
    if found is None:
        what = f"Nothing served or in crossing {crossing.sequence} is the engine that the settings name."
        raise NoEngineWheelError(what)
    with unpacked(found[1], program, found[0]) as setup:
        yield setup


def _served(side: Side) -> tuple[str, Path] | None:
    """Return the engine that two persons admitted, if one is served."""
    try:
        from lockgate.app.high.engine import engine_wheel  # noqa: PLC0415  # reads the channel

        admitted, wheel = engine_wheel(side)
    except LockgateError:
        return None
    return admitted.artifact.purl, blobs_of(side).path(wheel.sha256)


def _coming(side: Side, lock: Lock) -> tuple[str, Path] | None:
    """Return the engine that comes with the crossing: the sandbox asks for no more trust than in it."""
    for artifact in lock.artifacts:
        if artifact.kind is Kind.PYTHON and artifact.name == side.settings.engine.project:
            return artifact.purl, FileBlobs(side.home.quarantine).path(_wheel(artifact).sha256)
    return None


def _wheel(artifact: Artifact) -> ArtifactFile:
    return next(file for file in artifact.files if file.role is Role.DISTRIBUTION)
