"""A hold for a known vulnerability is not lifted by deleting, altering or dropping the data behind it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from corpora.advisories import archive, osv
from corpora.gates import Listing, Scripted, World
from corpora.homes import HighSide
from lockgate.admit import Gate
from lockgate.admit.errors import HeldBackError
from lockgate.admit.ports import AdvisoryReader
from lockgate.app.advice.advisories import load_admitted, place
from lockgate.app.gate.gate import execute, open_gate
from lockgate.cli.shared import Bars
from lockgate.core.advised import Advised, OpenAdvisory
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.policy import Policy
from lockgate.core.verdict import Severity
from lockgate.core.wire import stamp
from lockgate.store import FileBlobs


def gate_of(high: HighSide) -> Gate:
    """Return the real gate under a policy with the rule."""
    parts = open_gate(high.side)._p
    policy = msgspec.structs.replace(parts.policy, maximum_advisory=Severity.MEDIUM)
    return Gate(replace(parts, site=msgspec.structs.replace(parts.site, policy=policy)))


def artifact(high: HighSide, data: bytes, name: str, version: str, **marks: str) -> Artifact:
    digest = FileBlobs(high.side.home.quarantine).put_bytes(data)
    file = ArtifactFile(path=f"files/{name}-{version}", role=Role.OTHER, size=len(data), sha256=digest)
    purl = f"pkg:pypi/{name}@{version}"
    return Artifact(purl=purl, kind=Kind.FILE, name=name, version=version, files=(file,), attributes=marks)


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    """A high side that loaded what crossing 1 brought; crossing 2 brings an affected and a fixed version."""
    high = HighSide.new(tmp_path)
    recent = stamp(datetime.now(UTC) - timedelta(days=2))
    record = osv("A-1", "demo", ("introduced", "0"), ("fixed", "2"), modified=recent)
    data = archive(tmp_path / "all.zip", [record]).read_bytes()
    high.arrive_with(1, artifact(high, data, "osv", "1", advisories="osv-pypi"))
    execute(high.side, high.ask_to_publish(1))
    with Bars(quiet=True) as bars:
        load_admitted(place(high.lane.high, None, None), bars)
    high.arrive_with(2, artifact(high, b"1", "demo", "1"), artifact(high, b"2", "demo", "2"))
    open_gate(high.side).inspect(2, Scripted())
    return high


def held(high: HighSide) -> dict[str, str]:
    gate = gate_of(high)
    return {h.purl: h.reason for h in gate.assess(gate.crossing(2)).held}


def test_the_affected_version_is_held_and_a_site_without_the_rule_admits_it(high: HighSide) -> None:
    assert held(high) == {"pkg:pypi/demo@1": "A-1 has no known severity; the policy allows medium."}
    gate = open_gate(high.side)
    assert gate._p.policy.asks_advisories is Policy().asks_advisories is False
    assert gate.assess(gate.crossing(2)).held == ()


def test_an_image_is_held_for_what_its_layers_list(high: HighSide) -> None:
    """The data knows nothing of the image itself; a package that it does not know is never clean."""
    image = msgspec.structs.replace(artifact(high, b"3", "app", "3"), purl="pkg:oci/app@3", kind=Kind.OCI)
    high.arrive_with(3, image)
    for packages, reasons in (
        (("pkg:pypi/demo@1", "pkg:pypi/demo@2"), ["A-1 has no known severity; the policy allows medium."]),
        (("pkg:pypi/demo@2",), []),
    ):
        open_gate(high.side).inspect(3, Listing(*packages))
        gate = gate_of(high)
        assert [each.reason for each in gate.assess(gate.crossing(3)).held] == reasons
    reader = open_gate(high.side)._p.advisories
    assert reader is not None
    told = [
        reader.advised([image], {image.purl: said})[0] for said in (["pkg:pypi/demo@2"], ["pkg:pypi/x@1"], [])
    ]
    assert [each.unknown for each in told] == [False, True, True]


@dataclass
class Told(AdvisoryReader):
    """Says what a test wants it to say of everything."""

    said: Advised = field(default_factory=Advised)

    def advised(
        self, artifacts: Sequence[Artifact], contents: Mapping[str, Sequence[str]]
    ) -> Sequence[Advised]:
        return [self.said] * len(artifacts)


def test_publication_asks_again_and_only_about_what_enters() -> None:
    world, told = World(), Told()
    world.with_policy(maximum_advisory=Severity.MEDIUM)
    world.arrive(1, "a")
    gate = Gate(replace(world.gate._p, advisories=told))
    gate.inspect(1, Scripted())
    signed = world.signed(gate.request(1, "stable", world.operator), "ap-1", "ap-2")
    bad = Advised(open=(OpenAdvisory(id="CVE-2026-1", severity=Severity.HIGH, exploited=False, fixed="2"),))
    for said, reason in ((Advised(unasked="Gone."), "Gone"), (bad, "CVE-2026-1 is high; the policy allows")):
        told.said = said
        with pytest.raises(HeldBackError, match=reason) as refused:
            gate.execute(signed)
        assert refused.value.where["purl"] == "pkg:generic/a@1"
    assert refused.value.what_to_do != HeldBackError.advice, "it says what resolves this advisory"
    assert gate.pointer("stable") is None
    told.said = Advised()
    gate.execute(signed)
    told.said = Advised(open=(OpenAdvisory(id="A-1", severity=Severity.HIGH, exploited=False),))
    gate._publisher.judge_again(gate.served("stable"))
    with pytest.raises(HeldBackError):
        gate._publisher.judge_again(gate.served("stable"), 1)


def test_a_gate_that_reads_no_advisories_holds_where_the_policy_asks() -> None:
    world = World()
    world.with_policy(hold_exploited=True)
    world.arrive(1, "a")
    assert "reads no advisories" in world.gate.inspect(1, Scripted()).held[0].reason


def delete_list(folder: Path) -> None:
    (folder / "current.json").unlink()


def delete_set(folder: Path) -> None:
    next((folder / "sets").glob("*.sqlite")).unlink()


def alter_set(folder: Path) -> None:
    file = next((folder / "sets").glob("*.sqlite"))
    file.chmod(0o600)
    file.write_bytes(file.read_bytes() + b"x")


def swap_set(folder: Path) -> None:
    listed = json.loads((folder / "current.json").read_bytes())
    listed["sources"][0]["name"] = "harmless"
    (folder / "current.json").write_text(json.dumps(listed, separators=(",", ":"), sort_keys=True))


@pytest.mark.parametrize("attack", [delete_list, delete_set, alter_set, swap_set])
def test_whoever_touches_the_data_holds_everything(high: HighSide, attack: Callable[[Path], None]) -> None:
    attack(high.side.home.advisories)
    said = held(high)
    assert set(said) == {"pkg:pypi/demo@1", "pkg:pypi/demo@2"}
    assert all("cannot be told" in reason for reason in said.values())
    gate = gate_of(high)
    assert gate.assess(gate.crossing(1)).held == (), "the data itself must be able to enter"
    assert gate.assess(gate.crossing(2), entering=False).held == ()
