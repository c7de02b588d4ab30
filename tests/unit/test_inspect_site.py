"""A site's own inspector: announced by what is installed, run in the sandbox, told with its version."""

import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

from corpora import inspection_content as make
from corpora.homes import HighSide
from corpora.rulebook import put_in_force
from lockgate.admit.errors import HeldBackError
from lockgate.app.gate.gate import SandboxedInspection, execute, gate_parts, open_gate
from lockgate.core.digests import sha256
from lockgate.core.ports import Silent
from lockgate.core.roots import Purpose
from lockgate.core.sequence import CrossingState
from lockgate.core.verdict import Outcome, Severity
from lockgate.inspect import InspectItem, Limits, inspect_file
from lockgate.inspect.announced import SiteInspector, announced
from lockgate.inspect.rulesets import RuleSet
from lockgate.inspect.service import basis_of
from lockgate.inspect.warm import WarmSandbox
from lockgate.store import FileBlobs
from lockgate.trust.attest import INSPECTION, check
from lockgate.trust.dsse import open_envelope

CODE = """
import os
import socket

from lockgate.core.verdict import Severity
from lockgate.inspect.ports import Inspector


class Ours(Inspector):
    name = "ours"
    version = 7
    detects = frozenset({"unknown", "text"})

    def inspect(self, data, tally, context):
        raw = bytes(data)
        if raw.startswith(b"OURS"):
            tally.claim_all()
        if b"forbidden" in raw:
            tally.note("site-word", Severity.HIGH, f"A word that is not to be said; {reach()}")
        if b"fail" in raw:
            raise RuntimeError


def reach():
    try:
        socket.create_connection(("127.0.0.1", 9), 1)
    except OSError as error:
        return f"network {type(error).__name__}, accounts {os.path.exists('/etc/passwd')}"
    return "network"
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder in which a wheel with an inspector is installed."""
    points = b"[lockgate.inspectors]\nours = site_inspector:Ours\n"
    members = make.wheel_members({"site_inspector.py": CODE.encode()}, name="site_inspector", version="2.5")
    members["site_inspector-2.5.dist-info/entry_points.txt"] = points
    record = "".join(f"{name},,\n" for name in members)
    members["site_inspector-2.5.dist-info/RECORD"] = record.encode()
    wheel = tmp_path / "site_inspector-2.5-py3-none-any.whl"
    wheel.write_bytes(make.zipped(members))
    folder = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def _announced(folder: Path) -> tuple[SiteInspector, ...]:
    return announced(list(distributions(path=[str(folder)])))


def _verdict(folder: Path, name: str, data: bytes, monkeypatch: pytest.MonkeyPatch):
    file = folder.parent / name
    file.write_bytes(data)
    monkeypatch.syspath_prepend(str(folder))
    item = InspectItem(path=name, kind="file", file=file, sha256=sha256(data), size=len(data))
    with WarmSandbox(site=_announced(folder)) as sandbox:
        return inspect_file(item, sandbox, Limits())


def test_what_is_installed_announces_it(site: Path) -> None:
    (found,) = _announced(site)
    assert (found.distribution, found.version) == ("site_inspector", "2.5")
    assert (found.entry, found.package) == ("site_inspector:Ours", "site_inspector.py")
    assert announced([]) == ()


def test_it_runs_confined_and_its_finding_counts(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = _verdict(site, "a.txt", b"a forbidden word\n", monkeypatch)
    (found,) = [each for each in verdict.findings if each.code == "site-word"]
    assert verdict.outcome is Outcome.FINDINGS
    assert found.severity is Severity.HIGH
    assert found.why.endswith("Error, accounts False"), "neither the network nor the host is seen inside"
    assert "site/ours/7" in verdict.inspectors
    assert verdict.basis["site"] == "site_inspector 2.5 site_inspector:Ours"


def test_it_reads_what_nobody_else_understands(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _verdict(site, "a.bin", b"OURS\x00\x01", monkeypatch).outcome is Outcome.CLEAN
    other = _verdict(site, "a.bin", b"THEIRS\x00\x01", monkeypatch)
    assert (other.outcome, other.covered) == (Outcome.INCOMPLETE, 0)


def test_one_that_fails_leaves_the_file_unread(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = _verdict(site, "a.txt", b"let it fail\n", monkeypatch)
    assert verdict.outcome is Outcome.INCOMPLETE
    assert [each.code for each in verdict.findings] == ["site-inspector-failed"]


def test_another_version_is_another_basis(site: Path) -> None:
    found = _announced(site)
    assert basis_of(RuleSet(), found)["engine"] != basis_of(RuleSet())["engine"]
    assert "site" not in basis_of(RuleSet())


def test_the_command_finds_it_by_itself(site: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("a forbidden word\n")
    said = subprocess.run(  # our own program
        [sys.executable, "-m", "lockgate.cli.main", "inspect", str(file), "--json"],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        check=False,
    )
    line = json.loads(said.stdout)
    assert said.returncode == 4
    assert "site/ours/7" in line["inspectors"]
    assert [found["code"] for found in line["findings"]] == ["site-word"]


def test_a_rule_demands_it_and_publication_stands_on_what_it_signed(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    high = HighSide.new(tmp_path / "lane")
    demand = '[[rule]]\nname = "ours"\necosystems = ["generic"]\ninspectors_every_file = ["site/{}"]\n'
    put_in_force(high, demand.format("ours"))
    high.arrive(1, "plain.txt")
    gate = open_gate(high.side)
    (held,) = gate.inspect(1, SandboxedInspection(high.side, Silent())).held
    assert "the inspector site/ours did not read this file" in held.reason
    with pytest.raises(HeldBackError):
        gate.request(1, "stable", high.operator)
    monkeypatch.syspath_prepend(str(site))
    crossing = gate.inspect(1, SandboxedInspection(high.side, Silent()))
    assert crossing.held == ()
    said = gate.verdicts(crossing)
    assert said.verdicts[0].basis["site"] == "site_inspector 2.5 site_inspector:Ours"
    assert "site/ours/7" in said.verdicts[0].inspectors
    attested = FileBlobs(high.side.home.quarantine).read(crossing.attestation_sha256)
    statement = json.loads(open_envelope(attested).payload)
    assert "site/ours/7" in statement["predicate"]["verdicts"][0]["inspectors"]
    check(attested, gate_parts(high.side).site, Purpose.INSPECTOR, INSPECTION, said.inspected)
    put_in_force(high, demand.format("other"), 2)
    gate = open_gate(high.side)  # reads the rules that are in force now
    crossing = gate.judge_anew(crossing)
    assert "site/other" in crossing.held[0].reason
    put_in_force(high, demand.format("ours"), 3)
    gate = open_gate(high.side)
    assert gate.judge_anew(crossing).held == ()
    execute(high.side, high.signed(gate.request(1, "stable", high.operator), "publish-1"))
    assert gate.crossing(1).state is CrossingState.PUBLISHED
    high.arrive(2, "forbidden.txt")
    (held,) = gate.inspect(2, SandboxedInspection(high.side, Silent())).held
    assert "site-word" in held.reason
