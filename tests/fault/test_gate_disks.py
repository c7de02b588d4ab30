"""What the gate's people do, on a disk that fills up anywhere while they do it.

A real tmpfs with a few pages to spare, in a mount namespace of a child. Each command is refused with an
error that blames the host; the channel verifies and the log holds; and with room the same command ends.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from corpora.advisories import archive, osv
from corpora.commands import Commands
from corpora.gates import Scripted
from corpora.homes import HighSide
from corpora.kills import answer, fast_folder, forked
from corpora.mounts import in_own_mounts, mount, used
from corpora.rulebook import write_rules
from lockgate.app.advice.vex import ask_to_apply
from lockgate.app.gate.gate import execute, open_gate, write_request
from lockgate.app.gate.rules import RULES
from lockgate.app.high.channel import channel_reader
from lockgate.app.settings import load_settings
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.wire import stamp
from lockgate.store import FileBlobs

PAGE, ROOM = 4096, 64 << 20
PAGES = (0, 1, 2, 4, 8, 16, 32, 64)
"""How many pages of the disk are free when a command begins."""

OPENVEX = "://".join(("https", "openvex.dev/ns/v0.2.0"))  # noqa: FLY002  # no address is written out
CLAIM = {
    "vulnerability": {"name": "A-1"},
    "products": [{"@id": "pkg:pypi/demo@1"}],
    "status": "not_affected",
    "justification": "vulnerable_code_not_present",
}


def _artifact(high: HighSide, name: str, data: bytes, **attributes: str) -> Artifact:
    digest = FileBlobs(high.side.home.quarantine).put_bytes(data)
    file = ArtifactFile(path=f"files/{name}", role=Role.OTHER, size=len(data), sha256=digest)
    purl = f"pkg:pypi/{name}@1"
    return Artifact(purl=purl, kind=Kind.FILE, name=name, version="1", files=(file,), attributes=attributes)


def _make(root: Path) -> None:
    """Make a side that serves two crossings, of which a third waits, and everything that is to be signed."""
    high = HighSide.new(root)
    record = osv("A-1", "demo", modified=stamp(datetime.now(UTC) - timedelta(days=2)))
    data = archive(root / "all.zip", [record]).read_bytes()
    high.arrive_with(1, _artifact(high, "osv", data, advisories="osv-pypi"), _artifact(high, "demo", b"1"))
    execute(high.side, high.ask_to_publish(1))
    high.publish(2, "b")
    high.arrive(3, "c")
    gate = open_gate(high.side)
    gate.inspect(3, Scripted())
    request = gate.request(3, "stable", high.operator)
    write_request(high.side, "publish-000003", request, None)
    high.signed(request, "publish")
    high.signed(gate.request_rollback("stable", high.operator), "rollback")
    rules = write_rules(root, '[[rule]]\nname = "all"\nmaximum_severity = "low"\n')
    high.signed(RULES.propose_file(high.side, rules, high.operator), "rules")
    vex = root / "vex.json"
    vex.write_text(json.dumps({"@context": OPENVEX, "statements": [CLAIM]}))
    high.signed(ask_to_apply(high.side, vex, high.operator), "vex")


@dataclass(frozen=True)
class Order:
    """A command that somebody gives at the gate, in words that begin after the program's name."""

    words: str

    def give(self, root: Path) -> Any:
        """Give it in a process of its own, as people do; return the error that it printed."""
        pin = load_settings(root / "lane/high").settings.trust.site_pin
        text = self.words.replace("ROOT", str(root)).replace("PIN", pin)
        if not text.startswith("approve"):
            text += f" --home {root}/lane/high"

        def command() -> object:
            ran = Commands().run(*text.split(), "--json")
            return None if ran.status == 0 else json.loads(ran.err)

        return answer(*forked(command))


BOTH = "ROOT/{0}.approver-1.json ROOT/{0}.approver-2.json"
OPERATOR = "--key ROOT/lane/people/operator"
ORDERS = {
    "request": f"gate request 3 {OPERATOR}",
    "approve": "approve ROOT/lane/high/pending/publish-000003.json --key ROOT/lane/people/approver-1 --yes"
    " --out ROOT/mine.json --state ROOT/seen --site-root ROOT/lane/high/trust/site.dsse.json --pin PIN",
    "publish": f"gate publish {BOTH.format('publish')}",
    "rollback": f"gate publish {BOTH.format('rollback')}",
    "activate": f"policy activate ROOT/rules-1.toml {BOTH.format('rules')}",
    "load": "advisories load --admitted",
    "vex": f"advisories vex ROOT/vex.json {BOTH.format('vex')}",
    "hold": f"gate hold pkg:pypi/demo@1 --reason odd {OPERATOR}",
    "withdraw": f"gate withdraw pkg:pypi/demo@1 --reason odd {OPERATOR}",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=fast_folder(tmp_path_factory.getbasetemp())) as folder:
        _make(Path(folder) / "made")
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
        side = load_settings(root / "lane/high")
        channel_reader(side, "test").current()
        assert Commands().run("audit", "verify", "--home", side.home.root).status == 0
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
