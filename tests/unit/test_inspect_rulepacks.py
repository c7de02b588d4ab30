"""Packs of rules that crossed: what counts, what a verdict rests on, and what is refused."""

from pathlib import Path

import msgspec
import pytest

from corpora.homes import HighSide
from lockgate.admit import ToInspect
from lockgate.app.gate.gate import SandboxedInspection, execute
from lockgate.app.gate.rulepacks import active_rules
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.digests import sha256
from lockgate.core.ports import Silent
from lockgate.core.verdict import Outcome, Verdict
from lockgate.inspect import InspectItem, Limits, RulePack, RuleSet, inspect_files, malware
from lockgate.inspect.engine import engine_digest, inspect_content
from lockgate.inspect.errors import NotInspectableError, OverLimitError, SandboxUnavailableError
from lockgate.inspect.limits import Budget
from lockgate.inspect.tally import Context, Tally
from lockgate.inspect.warm import WarmSandbox
from lockgate.store import FileBlobs
from lockgate.store.errors import BlobMismatchError

MARK = b"the-harbour-worm-2026"
PACK = b"""
rule harbour_worm { meta: severity = "critical" why = "It is the worm of the harbour" strings:
    $a = "the-harbour-worm-2026" condition: $a and filename == "note.txt" and filetype == "text" }
"""


def file_of(high: HighSide, data: bytes, path: str) -> ArtifactFile:
    digest = FileBlobs(high.side.home.quarantine).put_bytes(data)
    return ArtifactFile(path=path, role=Role.OTHER, size=len(data), sha256=digest)


def pack_of(high: HighSide, data: bytes, version: str = "1") -> Artifact:
    file = file_of(high, data, f"files/site-rules/{version}.yar")
    return Artifact(
        purl=f"pkg:generic/site-rules@{version}",
        kind=Kind.RULES,
        name="site-rules",
        version=version,
        files=(file,),
    )


def with_pack(folder: Path, data: bytes = PACK) -> HighSide:
    """Return a high side that serves one pack of rules."""
    high = HighSide.new(folder)
    high.arrive_with(1, pack_of(high, data))
    execute(high.side, high.ask_to_publish(1))
    return high


def inspected(high: HighSide, data: bytes = MARK, name: str = "note.txt") -> Verdict:
    file = file_of(high, data, name)
    artifact = Artifact(purl="pkg:generic/n@1", kind=Kind.FILE, name="n", version="1", files=(file,))
    on_disk = FileBlobs(high.side.home.quarantine).path(file.sha256)
    return SandboxedInspection(high.side, Silent(), 1).inspect([ToInspect(artifact, file, on_disk)])[0]


def test_a_pack_counts_once_it_is_served_and_the_verdict_says_so(tmp_path: Path) -> None:
    high = HighSide.new(tmp_path)
    before = inspected(high)
    assert before.outcome is Outcome.CLEAN
    assert before.rests_on == {"engine": engine_digest(), "rules": RuleSet().sha256}
    high.arrive_with(1, pack_of(high, PACK))
    assert inspected(high).outcome is Outcome.CLEAN, "what waits in quarantine counts for nothing"
    execute(high.side, high.ask_to_publish(1))
    after = inspected(high)
    assert [(f.code, f.severity, f.why) for f in after.findings] == [
        ("rule-harbour-worm", "critical", f"It is the worm of the harbour (pack_{sha256(PACK)[:16]}).")
    ]
    assert after.rests_on == {"engine": engine_digest(), "rules": active_rules(high.side).sha256}
    assert after.rests_on["rules"] != before.rests_on["rules"]
    assert inspected(high, name="other.txt").outcome is Outcome.CLEAN, "the rule asks for the name"


def test_the_newest_version_of_a_pack_takes_the_place_of_the_older(tmp_path: Path) -> None:
    high = with_pack(tmp_path)
    high.arrive_with(2, pack_of(high, PACK.replace(b"harbour_worm", b"newer_worm"), "2"))
    execute(high.side, high.ask_to_publish(2))
    assert len(active_rules(high.side).packs) == 1
    assert {f.code for f in inspected(high).findings} == {"rule-newer-worm"}


def test_a_pack_that_is_not_as_it_was_admitted_is_not_scanned_with(tmp_path: Path) -> None:
    high = with_pack(tmp_path)
    (copy,) = active_rules(high.side).packs
    copy.file.chmod(0o600)
    copy.file.write_bytes(b"rule harmless { condition: false }")
    with pytest.raises(NotInspectableError, match="not what was admitted"):
        inspected(high)
    copy.file.unlink()
    blob = FileBlobs(high.side.home.blobs).path(copy.sha256)
    blob.chmod(0o600)
    blob.write_bytes(b"rule harmless { condition: false }")
    with pytest.raises(BlobMismatchError):
        inspected(high)


def test_a_pack_that_does_not_compile_any_more_stops_inspection_and_never_counts_as_clean(
    tmp_path: Path,
) -> None:
    high = with_pack(
        tmp_path, b"rule broken { condition: nobody }"
    )  # the double that inspected it says clean
    with pytest.raises(SandboxUnavailableError, match="unknown identifier"):
        inspected(high)


def copies(folder: Path, *texts: bytes) -> list[RulePack]:
    made = []
    for number, text in enumerate(texts):
        file = folder / f"{number}.yar"
        file.write_bytes(text)
        made.append(RulePack(name=f"pack-{number}", sha256=sha256(text), file=file))
    return made


def test_packs_have_bounds_in_number_and_length(tmp_path: Path) -> None:
    two = copies(tmp_path, b"rule a { condition: false }", b"rule b { condition: false }")
    with pytest.raises(OverLimitError, match="rule_packs"):
        RuleSet.of(two, Limits(rule_packs=1))
    with pytest.raises(OverLimitError, match="rule_bytes"):
        RuleSet.of(two, Limits(rule_bytes=40))
    assert RuleSet.of(two).sha256 == RuleSet.of(reversed(two)).sha256 != RuleSet.of(two[:1]).sha256


def scanned(folder: Path, data: bytes, limits: Limits, *packs: bytes) -> Verdict:
    file = folder / "note.txt"
    file.write_bytes(data)
    item = InspectItem(path="note.txt", kind="file", file=file, sha256=sha256(data), size=len(data))
    with WarmSandbox(rules=RuleSet.of(copies(folder, *packs))) as sandbox:
        return inspect_files([item], sandbox, limits=limits)[0]


def test_what_is_too_long_for_the_rules_is_not_clean(tmp_path: Path) -> None:
    verdict = scanned(tmp_path, b"x" * 99, Limits(rule_member_bytes=98))
    assert verdict.outcome is Outcome.INCOMPLETE
    assert "rule_member_bytes" in verdict.findings[0].why


def test_rules_that_took_too_long_leave_a_file_unfinished() -> None:
    limits = Limits()
    for used, complete in ((0.0, True), (limits.rule_seconds + 0.1, False)):
        context = Context("note.txt", "file", limits, Budget(limits, rule_seconds=used), inspect_content)
        tally = Tally(4, "", 10, detected="text")
        malware.look(memoryview(b"text"), tally, context)
        assert tally.complete is complete
        assert ["rule_seconds" in found.why for found in tally.findings] == ([] if complete else [True])


def test_rules_with_one_name_in_two_packs_do_not_meet(tmp_path: Path) -> None:
    same = b'rule same { strings: $a = "first" condition: $a }'
    other = b'rule same { strings: $a = "second" condition: $a }'
    verdict = scanned(tmp_path, b"first and second", Limits(), same, other)
    assert [f.code for f in verdict.findings] == ["rule-same", "rule-same"]
    assert len({f.why for f in verdict.findings}) == 2


def test_a_scanner_runs_where_no_thread_and_no_network_can_be_had(tmp_path: Path) -> None:
    """The sandbox denies both; a scanner that needed one would have made this incomplete."""
    key = "AK" + "IA" + "Q3EGRPKVNW7TMZ5D"
    verdict = scanned(tmp_path, f"see {key}\n".encode(), Limits())
    assert [(f.code, f.where) for f in verdict.findings] == [("secret-aws-key", "@4")]
    assert key not in msgspec.json.encode(verdict).decode(), "the secret is never repeated"
    assert set(verdict.inspectors) == {"malware/5", "secrets/5", "text/20"}
