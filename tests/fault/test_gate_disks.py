"""What the gate's people do, on a disk that fills up anywhere while they do it.

A real tmpfs with a few pages to spare, in a mount namespace of a child. Each command is refused with an
error that blames the host; the channel verifies and the log holds; and with room the same command ends.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpora.gateorders import ORDERS, Order, make_side, state_of
from corpora.kills import fast_folder
from corpora.mounts import in_own_mounts, mount, used

PAGE, ROOM = 4096, 64 << 20
PAGES = (0, 1, 2, 4, 8, 16, 32, 64)
"""How many pages of the disk are free when a command begins."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=fast_folder(tmp_path_factory.getbasetemp())) as folder:
        make_side(Path(folder) / "made")
        (Path(folder) / "disk").mkdir()
        yield Path(folder)


def _on_a_disk_with(made: Path, order: Order, pages: int) -> str:
    """Give an order where so many pages are free; return the code of its refusal, or nothing."""

    def work() -> str:
        disk = made / "disk"
        mount("-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", disk)
        root = disk / "root"
        shutil.copytree(made / "made", root)
        mount("-o", f"remount,size={used(disk) + pages * PAGE}", disk)
        refused = order.give(root)
        mount("-o", f"remount,size={ROOM}", disk)
        state_of(root)
        if refused is not None:
            assert order.give(root) is None, "with room the same order ends"
        left = [f for f in (root / "lane/high").glob("*/.*") if f.is_file()]
        assert left == [], "nothing half written takes space"
        return "" if refused is None else str(refused["code"])

    return str(in_own_mounts(work))


@pytest.mark.parametrize("name", ORDERS)
def test_a_full_disk_refuses_and_with_room_the_same_order_ends(name: str, made: Path) -> None:
    codes = [_on_a_disk_with(made, Order(ORDERS[name]), pages) for pages in PAGES]
    assert all(code == "" or code.startswith("LG-5") for code in codes), codes
    assert codes[0] != "", "something has to be written"
