"""Rebuilding inside the real sandbox: the same bytes, and hostile patches end there."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from test_delta_hostile import BASE, REFUSED

from delta_files import PAIRS
from lockgate.app.crossing.rebuild import SandboxRebuilder
from lockgate.crossing.delta import MemoryFile, PatchError, PatchLimitError
from lockgate.crossing.delta.bounds import Spool
from lockgate.crossing.delta.plan import OldFile, Planner
from lockgate.crossing.deltas import spooled
from lockgate.inspect.sandbox import ProcessSandbox


@pytest.fixture(scope="module")
def sandboxed() -> SandboxRebuilder:
    return SandboxRebuilder(ProcessSandbox())


def apply(rebuilder: SandboxRebuilder, folder: Path, patch: bytes, base: bytes, size: int) -> bytes:
    (folder / "patch").write_bytes(patch)
    (folder / "base").write_bytes(base)
    digest = "0" * 64 if base == BASE else hashlib.sha256(base).hexdigest()
    with rebuilder.rebuild(folder / "patch", {digest: folder / "base"}, size) as stream:
        parts = []
        while data := stream.read(100_000):
            parts.append(data)
    return b"".join(parts)


def planned(case: str, spool: Spool) -> bytes:
    name, old, new = PAIRS[case]
    before = OldFile("old", hashlib.sha256(old).hexdigest(), MemoryFile(old))
    with ThreadPoolExecutor(2) as pool:
        patch = Planner(pool, spool).members(name, MemoryFile(new), before)
    return patch.file.at(0, patch.size)


@pytest.mark.parametrize(
    "case", ["wheel", "tgz of a foreign compressor", "deb in xz", "layer in zst", "gguf"]
)
def test_the_sandbox_gives_the_same_bytes(sandboxed: SandboxRebuilder, tmp_path: Path, case: str) -> None:
    _, old, new = PAIRS[case]
    with spooled(tmp_path) as spool:
        assert apply(sandboxed, tmp_path, planned(case, spool), old, len(new)) == new


@pytest.mark.parametrize("case", list(REFUSED)[::3])
def test_hostile_patches_are_refused_in_the_sandbox(
    sandboxed: SandboxRebuilder, tmp_path: Path, case: str
) -> None:
    with pytest.raises(PatchError):
        apply(sandboxed, tmp_path, REFUSED[case].data, BASE, 10)


def test_a_patch_that_gives_another_length_than_was_signed_is_refused(
    sandboxed: SandboxRebuilder, tmp_path: Path
) -> None:
    _, old, new = PAIRS["gguf"]
    with spooled(tmp_path) as spool:
        patch = planned("gguf", spool)
    for size in (len(new) - 1, len(new) + 1):
        with pytest.raises(PatchError):
            apply(sandboxed, tmp_path, patch, old, size)


def test_a_patch_against_another_base_than_the_crate_says_is_refused(
    sandboxed: SandboxRebuilder, tmp_path: Path
) -> None:
    _, old, new = PAIRS["gguf"]
    with spooled(tmp_path) as spool:
        patch = planned("gguf", spool)
    with pytest.raises(PatchError):
        apply(sandboxed, tmp_path, patch, old + b"x", len(new))


def test_a_rebuilding_that_takes_too_long_is_ended(
    sandboxed: SandboxRebuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockgate.app.crossing.rebuild.WALL_SECONDS", 0)
    monkeypatch.setattr("lockgate.app.crossing.rebuild.BYTES_PER_SECOND", 1 << 40)
    _, old, new = PAIRS["wheel"]
    with spooled(tmp_path) as spool:
        patch = planned("wheel", spool)
    with pytest.raises(PatchLimitError, match="past its time"):
        apply(sandboxed, tmp_path, patch, old, len(new))


def test_a_rebuilding_has_no_more_memory_than_its_bound(
    sandboxed: SandboxRebuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockgate.app.crossing.rebuild.MEMORY_BYTES", 60 << 20)
    _, old, new = PAIRS["deb in xz"]
    with spooled(tmp_path) as spool:
        patch = planned("deb in xz", spool)
    with pytest.raises(PatchError):
        apply(sandboxed, tmp_path, patch, old, len(new))
