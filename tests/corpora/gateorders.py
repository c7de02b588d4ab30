"""Orders that people give at the gate, and a side on which each of them is next.

Every order is one command, given in a process of its own. What decides whether it was carried out is what
the side says afterwards: what is served and held, which rules, statements and data sets are in force.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from corpora.advisories import archive, osv
from corpora.commands import Commands
from corpora.gates import Scripted
from corpora.homes import HighSide
from corpora.kills import answer, forked
from corpora.rulebook import write_rules
from lockgate.advisories import Shelf
from lockgate.app.advice.vex import approved, ask_to_apply
from lockgate.app.gate.gate import execute, open_gate, write_request
from lockgate.app.gate.rules import RULES, in_force
from lockgate.app.high.channel import channel_reader
from lockgate.app.settings import load_settings
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.wire import stamp
from lockgate.store import FileBlobs

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


def make_side(root: Path) -> None:
    """Make a side that serves two crossings, a third waits and a fourth soaks; sign what is to be."""
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
    high.arrive(4, "d")
    gate.inspect(4, Scripted())
    execute(high.side, high.signed(gate.request(4, "candidate", high.operator), "candidate"))
    high.signed(open_gate(high.side).request_promote(high.operator), "promote")
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
        return answer(*forked(lambda: self.carry_out(root)))

    def carry_out(self, root: Path) -> Any:
        """Give it in this process; return the error that it printed."""
        pin = load_settings(root / "lane/high").settings.trust.site_pin
        text = self.words.replace("ROOT", str(root)).replace("PIN", pin)
        if not text.startswith("approve"):
            text += f" --home {root}/lane/high"
        ran = Commands().run(*text.split(), "--json")
        return None if ran.status == 0 else json.loads(ran.err)


BOTH = "ROOT/{0}.approver-1.json ROOT/{0}.approver-2.json"
OPERATOR = "--key ROOT/lane/people/operator"
ORDERS = {
    "request": f"gate request 3 {OPERATOR}",
    "approve": "approve ROOT/lane/high/pending/publish-000003.json --key ROOT/lane/people/approver-1 --yes"
    " --out ROOT/mine.json --state ROOT/seen --site-root ROOT/lane/high/trust/site.dsse.json --pin PIN",
    "publish": f"gate publish {BOTH.format('publish')}",
    "rollback": f"gate publish {BOTH.format('rollback')}",
    "promote": f"gate publish {BOTH.format('promote')}",
    "activate": f"policy activate ROOT/rules-1.toml {BOTH.format('rules')}",
    "load": "advisories load --admitted",
    "vex": f"advisories vex ROOT/vex.json {BOTH.format('vex')}",
    "hold": f"gate hold pkg:pypi/demo@1 --reason odd {OPERATOR}",
    "withdraw": f"gate withdraw pkg:pypi/demo@1 --reason odd {OPERATOR}",
}


def state_of(root: Path) -> dict[str, Any]:
    """Return what a side serves, holds and goes by; its channel has to verify, and its log to hold."""
    side = load_settings(root / "lane/high")
    verified, rules = channel_reader(side, "test").current(), in_force(side)
    assert Commands().run("audit", "verify", "--home", side.home.root).status == 0
    return {
        "served": sorted(each.artifact.purl for each in verified.snapshot.admitted),
        "held": sorted(each.artifact.purl for each in verified.held),
        "rules": rules.document.version if rules else 0,
        "claims": [claim.sentence for claim in approved(side).claims],
        "data": [source.origin for source in Shelf(side.home.advisories).sources()],
        "states": {each.sequence: str(each.state) for each in open_gate(side).crossings()},
        "signed": (root / "mine.json").is_file(),
    }
