"""Slots of releases: what Python would run in place of what was installed and approved is not there."""

import importlib.util
import marshal
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate.app.release.slots import (
    SLOT_FILE,
    Installed,
    Slot,
    SlotAlteredError,
    demand_unaltered,
    tree_digest,
)

HONEST, FORGED = "as installed", "somebody else's"


@pytest.fixture
def slot(tmp_path: Path) -> Installed:
    """A slot with one package of one module, below a folder that is named like those of compiled files."""
    folder = tmp_path / "__pycache__" / "0.2.0-00"
    package = folder / "lib" / "site-packages" / "thing"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"SAYS = {HONEST!r}\n")
    facts = Slot(release_sha256="0" * 64, version="0.2.0", tree_sha256=tree_digest(folder))
    return Installed(folder, facts)


def module(slot: Installed) -> Path:
    return slot.folder / "lib" / "site-packages" / "thing" / "__init__.py"


def said(slot: Installed) -> str:
    """Return what the module says when Python loads it, which writes nothing."""
    look = (
        f"import sys; sys.path.insert(0, {str(module(slot).parents[1])!r}); import thing; print(thing.SAYS)"
    )
    command = [sys.executable, "-I", "-B", "-c", look]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def plant(slot: Installed) -> Path:
    """Lay compiled code beside the source that names the source's time and length."""
    source = module(slot)
    compiled = Path(importlib.util.cache_from_source(str(source)))
    compiled.parent.mkdir(exist_ok=True)
    facts = source.stat()
    header = importlib.util.MAGIC_NUMBER + struct.pack("<III", 0, int(facts.st_mtime), facts.st_size)
    compiled.write_bytes(header + marshal.dumps(compile(f"SAYS = {FORGED!r}", str(source), "exec")))
    return compiled


def test_compiled_code_that_was_planted_is_removed_before_a_slot_counts(slot: Installed) -> None:
    demand_unaltered(slot)
    assert said(slot) == HONEST
    compiled = plant(slot)
    assert said(slot) == FORGED, "Python runs it"
    demand_unaltered(slot)
    assert not compiled.exists()
    assert said(slot) == HONEST


def test_a_link_in_place_of_the_folder_of_compiled_code_is_removed_and_not_followed(
    slot: Installed, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(plant(slot).parent, elsewhere)
    shutil.rmtree(plant(slot).parent)
    module(slot).with_name("__pycache__").symlink_to(elsewhere)
    assert said(slot) == FORGED
    demand_unaltered(slot)
    assert list(elsewhere.iterdir()), "what it leads to is not ours"
    assert said(slot) == HONEST


def test_a_slot_below_a_folder_of_that_name_is_hashed_like_any_other(slot: Installed) -> None:
    module(slot).write_text(f"SAYS = {FORGED!r}\n")
    with pytest.raises(SlotAlteredError):
        demand_unaltered(slot)


def test_the_slots_own_document_and_nothing_else_is_left_out(slot: Installed) -> None:
    (slot.folder / SLOT_FILE).write_text("{}")
    demand_unaltered(slot)
    module(slot).with_name(SLOT_FILE).write_text("{}")
    with pytest.raises(SlotAlteredError):
        demand_unaltered(slot)
