"""The console over a real home: what it reads, and that it believes signatures, not rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from lockgate.admit import FileInspector, Gate, ToInspect, Verdicts
from lockgate.admit.model import CROSSINGS, crossing_key
from lockgate.app.gate.gate import open_gate, operator_key
from lockgate.app.high.channel import CHANNEL, HOME_VARIABLE, channel_file
from lockgate.app.high.console import HOSTS_VARIABLE, Readings
from lockgate.app.lane.lane import NewLane, make_demo_lane
from lockgate.app.settings import Side, load_settings
from lockgate.app.trust import signer_from, site_root, utc_now
from lockgate.approve import approve, combine
from lockgate.console.home import HomeData, console_app
from lockgate.console.shell import Shell
from lockgate.core.artifact import LOCK_FORMAT, Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.difference import Risk
from lockgate.core.roots import Purpose
from lockgate.core.sequence import CrossingState, LedgerEntry
from lockgate.core.verdict import Outcome, Verdict
from lockgate.core.wire import digest_of, encode, whole_second
from lockgate.crossing.ledger import LEDGER, ledger_key
from lockgate.store import FileBlobs, open_records

CRATE = "c" * 64


class Scripted(FileInspector):
    """Says of each artifact what a test wants, and clean of the others."""

    def __init__(self, **outcomes: Outcome) -> None:
        self.outcomes = outcomes

    def inspect(self, items: Sequence[ToInspect]) -> list[Verdict]:
        return [
            Verdict(
                path=i.file.path,
                sha256=i.file.sha256,
                size=i.file.size,
                detected="elf",
                outcome=self.outcomes.get(i.artifact.name, Outcome.CLEAN),
                covered=i.file.size,
                findings=(),
                inspectors=("scripted 1",),
            )
            for i in items
        ]


@dataclass
class Site:
    """A high side with its gate and its people."""

    lane: NewLane
    side: Side
    gate: Gate

    def arrive(self, *names: str) -> None:
        quarantine = FileBlobs(self.side.home.quarantine)
        artifacts = []
        for name in names:
            data = name.encode()
            sha256 = quarantine.put_bytes(data)
            file = ArtifactFile(path=f"documents/{name}", role=Role.DOCUMENT, size=len(data), sha256=sha256)
            purl = f"pkg:generic/{name}@1"
            artifacts.append(Artifact(purl=purl, kind=Kind.DOCUMENT, name=name, version="1", files=(file,)))
        lock = Lock(
            format=LOCK_FORMAT,
            lane=self.side.lane,
            created=whole_second(utc_now()),
            manifest_sha256="0" * 64,
            artifacts=tuple(artifacts),
        )
        entry = LedgerEntry(
            sequence=1, crate_sha256=CRATE, state=CrossingState.RECORDED, previous_sha256="0" * 64
        )
        with open_records(self.side.home.records_url).transaction() as tx:
            tx.insert(LEDGER, ledger_key(1), encode(entry))
        self.gate.quarantined(1, "crate-000001-abcdef", CRATE, quarantine.put_bytes(encode(lock)))

    def publish(self) -> None:
        asked = self.gate.request(1, CHANNEL, operator_key(self.side, self.lane.people["operator"]))
        root = site_root(self.side, utc_now())
        signed = [
            approve(asked, signer_from(self.lane.people[name], Purpose.APPROVER, root), root, utc_now())
            for name in ("approver-1", "approver-2")
        ]
        self.gate.execute(combine(signed))

    @property
    def data(self) -> HomeData:
        return HomeData(Readings(self.side))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    lane = make_demo_lane(tmp_path, "harbour", utc_now())
    side = load_settings(lane.high)
    return Site(lane, side, open_gate(side))


def test_a_crossing_from_quarantine_to_served(site: Site) -> None:
    data = site.data
    assert (data.lane, data.assurance) == ("harbour", "demo")
    empty = data.overview()
    assert (empty.channel, empty.crossings, empty.approvals, empty.approvals_problem) == (None, (), (), "")
    assert "has no snapshot" in empty.channel_problem
    assert data.crossing(1) is None

    site.arrive("a", "b")
    waiting = data.crossing(1)
    assert waiting is not None
    assert (waiting.row.state, waiting.row.tallies, waiting.inspected) == ("quarantined", None, None)

    site.gate.inspect(1, Scripted(b=Outcome.OPAQUE))
    inspected = data.crossing(1)
    assert inspected is not None
    assert [(v.path, v.outcome) for v in inspected.verdicts] == [
        ("documents/a", Outcome.CLEAN),
        ("documents/b", Outcome.OPAQUE),
    ]
    assert inspected.row.tallies is not None
    assert [(t.outcome, t.files, t.bytes) for t in inspected.row.tallies] == [
        (Outcome.CLEAN, 1, 1),
        (Outcome.OPAQUE, 1, 1),
    ]

    site.publish()
    page = data.overview()
    assert page.channel is not None
    assert (page.channel.version, page.channel.requester) == (1, "operator")
    assert page.channel.approvers == ("approver-1", "approver-2")
    kinds = [(k.kind, k.artifacts, k.outcomes) for k in page.channel.kinds]
    assert kinds == [("document", 2, (("clean", 1), ("opaque", 1)))]
    assert [(a.crossing, a.version, a.approvers) for a in page.approvals] == [
        (1, 1, ("approver-1", "approver-2"))
    ]
    assert page.crossings[0].state == "published"
    assert page.crossings[0].finished is not None
    assert [(s.name, s.condition) for s in page.services] == [("mirror", "down")]


def test_an_artifact_shows_all_that_is_known_without_any_key_of_the_gate(site: Site) -> None:
    site.arrive("a", "b")
    crossing = site.gate.inspect(1, Scripted(b=Outcome.INCOMPLETE))
    signed = digest_of(site.gate.differ.draw(crossing, CHANNEL))
    for file in site.side.home.keys.iterdir():
        file.unlink()
    data = site.data
    detail = data.crossing(1)
    assert detail is not None
    assert detail.artifacts["documents/b"] == "pkg:generic/b@1"
    drawn = data.difference(1)
    assert (digest_of(drawn), drawn.entering, drawn.left) == (signed, 1, ("pkg:generic/b@1",))
    found = data.artifact(1, "pkg:generic/a@1")
    assert found is not None
    assert ([change.risk for change in found.changes or ()], found.held, found.before) == (
        [Risk.BINARY, Risk.NEW],
        (),
        "",
    )
    assert [verdict.outcome for verdict in found.verdicts] == [Outcome.CLEAN]
    assert found.advisories_problem or found.advisories == ()
    held = data.artifact(1, "pkg:generic/b@1")
    assert held is not None
    assert (held.changes, len(held.held)) == ((), 1)
    assert data.artifact(1, "pkg:generic/none@1") is None
    assert data.artifact(7, "pkg:generic/a@1") is None


def test_a_row_that_points_to_other_verdicts_is_not_believed(site: Site) -> None:
    site.arrive("a")
    crossing = site.gate.inspect(1, Scripted(a=Outcome.FINDINGS))
    verdicts = site.gate.verdicts(crossing)
    kind = [msgspec.structs.replace(v, outcome=Outcome.CLEAN) for v in verdicts.verdicts]
    forged = Verdicts(crossing=1, crate_sha256=CRATE, inspected=verdicts.inspected, verdicts=tuple(kind))
    digest = FileBlobs(site.side.home.quarantine).put_bytes(encode(forged))
    changed = msgspec.structs.replace(crossing, verdicts_sha256=digest)
    with open_records(site.side.home.records_url).transaction() as tx:
        tx.put(CROSSINGS, crossing_key(1), encode(changed))
    row = site.data.overview().crossings[0]
    assert row.tallies is None
    assert row.problem == "LG-2f02: These verdicts are not those that the inspector signed."
    detail = site.data.crossing(1)
    assert detail is not None
    assert (detail.verdicts, detail.inspected) == ((), None)


def test_a_channel_that_does_not_verify_is_not_shown_as_served(site: Site) -> None:
    site.arrive("a")
    site.gate.inspect(1, Scripted())
    site.publish()
    file = channel_file(site.side)
    envelope = msgspec.json.decode(file.read_bytes())
    envelope["signatures"] = envelope["signatures"][:1]
    file.write_bytes(encode(envelope))
    page = site.data.overview()
    assert page.channel is None
    assert page.channel_problem.startswith("LG-")


def test_an_approval_whose_statement_is_gone_is_a_problem_and_not_a_blank(site: Site) -> None:
    site.arrive("a")
    site.gate.inspect(1, Scripted())
    site.publish()
    pointer = site.gate.pointer(CHANNEL)
    assert pointer is not None
    FileBlobs(site.side.home.blobs).path(pointer.statement_sha256).unlink()
    page = site.data.overview()
    assert page.approvals == ()
    assert page.approvals_problem.startswith("LG-1201:")


def test_it_needs_no_key_of_the_side(site: Site) -> None:
    site.arrive("a")
    site.gate.inspect(1, Scripted())
    site.publish()
    for key in site.side.home.keys.iterdir():
        key.unlink()
    assert site.data.overview().channel is not None
    assert site.data.crossing(1) is not None


def test_the_application_is_made_from_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(site.side.home.root))
    monkeypatch.setenv(HOSTS_VARIABLE, '["console.site.example"]')
    app = console_app()
    assert isinstance(app, Shell)
    assert "console.site.example" in app._hosts
