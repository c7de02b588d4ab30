"""Trust roots that crossed and two persons put in force; what the gate and its rules make of them."""

import hashlib
import json
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from corpora import npmregistry
from corpora.commands import Commands
from corpora.homes import HighSide
from corpora.npmpackages import NpmPackage
from corpora.rulebook import put_in_force
from corpora.signing import (
    REPOSITORY,
    World,
    b64,
    model_statement,
    provenance,
    publish_statement,
    signer,
)
from corpora.wheels import build_wheel
from lockgate.admit.errors import HeldBackError
from lockgate.app.gate.gate import SandboxedInspection, execute, open_gate
from lockgate.app.gate.trust_roots import (
    NoTrustRootsError,
    TrustRootsWithdrawnError,
    activate_roots,
    brought,
    propose_roots,
    roots_in_force,
    trust_now,
)
from lockgate.app.trust import utc_now
from lockgate.approve.errors import ApprovalSpentError, StatementChangedError
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.ports import Silent
from lockgate.core.provenance import Scheme, State, TrustRoots, read_roots
from lockgate.core.statement import TooFewApproversError
from lockgate.core.verdict import Outcome, Verdict
from lockgate.core.wire import encode, whole_second
from lockgate.store import FileBlobs

DAY = timedelta(days=1)
VERIFIED = '[[rule]]\nname = "signed"\necosystems = ["pypi"]\nprovenance = "verified"\n'


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    return HighSide.new(tmp_path)


def now() -> datetime:
    return whole_second(utc_now())


def roots(world: World, version: int = 1, **changes: Any) -> TrustRoots:
    return world.roots(version, **{"made": now() - DAY, "expires": now() + 30 * DAY, **changes})


def bring(high: HighSide, sequence: int, *documents: TrustRoots) -> None:
    """Let trust roots arrive in a crossing, and publish it."""
    quarantine = FileBlobs(high.side.home.quarantine)
    artifacts = []
    for made in documents:
        data, version = encode(made), str(made.version)
        file = ArtifactFile(
            path=f"files/trust-roots/{version}.json",
            role=Role.OTHER,
            size=len(data),
            sha256=quarantine.put_bytes(data),
        )
        artifacts.append(
            Artifact(
                purl=f"pkg:generic/trust-roots@{version}",
                kind=Kind.FILE,
                name="trust-roots",
                version=version,
                files=(file,),
                attributes={"trust-roots": version},
            )
        )
    high.arrive_with(sequence, *artifacts)
    execute(high.side, high.ask_to_publish(sequence))


def activate(high: HighSide) -> None:
    made, request = propose_roots(high.side, high.operator)
    activate_roots(high.side, high.signed(request, f"roots-{made.version}"))


def wheel_of(high: HighSide, data: bytes | None, version: str = "1") -> Artifact:
    """Return a wheel whose bytes lie in quarantine, with a provenance object beside it."""
    wheel = build_wheel("demo", version)
    quarantine = FileBlobs(high.side.home.quarantine)
    path = f"python/demo/{wheel.filename}"
    files = [(path, Role.DISTRIBUTION, wheel.data)]
    files += [(f"{path}.provenance", Role.PROVENANCE, data)] if data is not None else []
    return Artifact(
        purl=f"pkg:pypi/demo@{version}",
        kind=Kind.PYTHON,
        name="demo",
        version=version,
        files=tuple(
            ArtifactFile(path=name, role=role, size=len(body), sha256=quarantine.put_bytes(body))
            for name, role, body in files
        ),
    )


def statement(version: str = "1") -> dict[str, Any]:
    wheel = build_wheel("demo", version)
    return publish_statement(wheel.filename, wheel.sha256)


def inspect(high: HighSide, sequence: int) -> tuple[Verdict, list[str]]:
    """Inspect a crossing for real; return the first file's verdict and why anything is held."""
    gate = open_gate(high.side)
    crossing = gate.inspect(sequence, SandboxedInspection(high.side, Silent()))
    verdicts = gate.verdicts(crossing).verdicts
    return verdicts[0], [held.reason for held in crossing.held]


def test_trust_roots_come_by_a_crossing_and_two_persons(high: HighSide) -> None:
    world = World()
    offered = roots(world)
    bring(high, 1, offered)
    assert brought(high.side) == {sha256(encode(offered)).hexdigest(): encode(offered)}
    assert roots_in_force(high.side) is None
    assert trust_now(high.side, now()).why == "No trust roots are in force."
    made, request = propose_roots(high.side, high.operator)
    with pytest.raises(TooFewApproversError):
        activate_roots(high.side, high.signed(request, "one", ["approver-1"]))
    assert roots_in_force(high.side) is None
    signed = high.signed(request, "both")
    activate_roots(high.side, signed)
    found = roots_in_force(high.side)
    assert found is not None
    assert (found.document, found.approvers) == (made, ("approver-1", "approver-2"))
    with pytest.raises(ApprovalSpentError):
        activate_roots(high.side, signed)
    with pytest.raises(NoTrustRootsError, match="newer than version 1"):
        propose_roots(high.side, high.operator)


def test_trust_roots_that_no_crossing_brought_or_that_are_over_are_not_put_in_force(high: HighSide) -> None:
    high.publish(1, "something else")
    with pytest.raises(NoTrustRootsError):
        propose_roots(high.side, high.operator)
    bring(high, 2, roots(World(), expires=now() - DAY))
    with pytest.raises(NoTrustRootsError, match="expired"):
        propose_roots(high.side, high.operator)


def test_older_trust_roots_never_come_back(high: HighSide) -> None:
    world = World()
    bring(high, 1, roots(world))
    _, competing = propose_roots(high.side, high.operator)
    late = high.signed(competing, "late")
    bring(high, 2, roots(world, 5))
    activate(high)
    with pytest.raises(StatementChangedError):
        activate_roots(high.side, late)
    for file in high.side.home.trust.glob("trust-roots-000005*"):
        file.rename(high.folder / file.name)
    with pytest.raises(TrustRootsWithdrawnError, match="in force and is gone"):
        roots_in_force(high.side)
    assert trust_now(high.side, now()).roots is None
    for file in high.folder.glob("trust-roots-000005*"):
        file.rename(high.side.home.trust / file.name)
    document = high.side.home.trust / "trust-roots-000005.json"
    document.write_bytes(encode(roots(World(), 5)))
    with pytest.raises(TrustRootsWithdrawnError, match="not what its approvers signed"):
        roots_in_force(high.side)


def test_trust_roots_judge_nothing_when_they_are_old_or_over(high: HighSide) -> None:
    bring(high, 1, roots(World()))
    activate(high)
    assert trust_now(high.side, now()).roots is not None
    assert "expired" in trust_now(high.side, now() + 31 * DAY).why
    config = high.side.home.config
    config.write_text(config.read_text() + "\n[provenance]\nage_days = 3\n")
    assert trust_now(high.side, now() + DAY).roots is not None
    assert "older than 3 days" in trust_now(high.side, now() + 5 * DAY).why


def test_the_gate_tells_absent_unchecked_invalid_expired_and_verified_apart(high: HighSide) -> None:
    world, at = World(), now() - 2 * DAY
    good = provenance(world.bundle(statement(), at))
    other = provenance(world.bundle(publish_statement("x-1.tar.gz", "1" * 64), at))
    high.arrive_with(1, wheel_of(high, good))
    verdict, held = inspect(high, 1)
    assert [fact.state for fact in verdict.facts] == [State.UNCHECKED]
    assert (held, verdict.outcome) == ([], Outcome.CLEAN)
    execute(high.side, high.ask_to_publish(1))
    bring(high, 2, roots(world))
    activate(high)
    made = {
        "2": (provenance(world.bundle(statement("2"), at)), State.VERIFIED),
        "3": (provenance(world.bundle(statement("3"), at, by=world.signer(at - DAY))), State.EXPIRED),
        "4": (other, State.INVALID),
        "5": (None, State.ABSENT),
    }
    high.arrive_with(3, *(wheel_of(high, data, version) for version, (data, _) in made.items()))
    inspect(high, 3)
    gate = open_gate(high.side)
    crossing = gate.crossing(3)
    verdicts = {v.path: v for v in gate.verdicts(crossing).verdicts}
    for version, (_, state) in made.items():
        verdict = verdicts[f"python/demo/{build_wheel('demo', version).filename}"]
        (fact,) = verdict.facts
        assert fact.state is state
        bad = state in {State.EXPIRED, State.INVALID}
        assert verdict.outcome is (Outcome.FINDINGS if bad else Outcome.CLEAN)
        held = [reason.reason for reason in crossing.held if reason.path == verdict.path]
        assert [f"provenance-{state}" in reason for reason in held] == ([True] if bad else [])
        assert "provenance/1" in verdict.inspectors
        if state is not State.ABSENT:
            assert (fact.roots, "trust-roots/1" in verdict.inspectors) == (1, True)
        if state is State.VERIFIED:
            assert (fact.repository, fact.signed) == (REPOSITORY, at)


def test_rules_demand_provenance_and_who_gave_it(high: HighSide) -> None:
    world, at = World(), now() - 2 * DAY
    bring(high, 1, roots(world))
    put_in_force(high, VERIFIED)
    good = provenance(world.bundle(statement(), at))
    high.arrive_with(2, wheel_of(high, good))
    assert "provenance is unchecked" in inspect(high, 2)[1][0]  # a waiting crossing, before the roots
    activate(high)
    assert inspect(high, 2)[1] == []
    execute_now = open_gate(high.side).request(2, "stable", high.operator)
    execute(high.side, high.signed(execute_now, "publish-2"))
    high.arrive_with(3, wheel_of(high, None, "2"))
    assert "provenance is absent" in inspect(high, 3)[1][0]
    with pytest.raises(HeldBackError):
        open_gate(high.side).request(3, "stable", high.operator)
    put_in_force(high, VERIFIED + 'signers = ["https://forge.example/somebody/*"]\n', 2)
    high.arrive_with(4, wheel_of(high, provenance(world.bundle(statement("3"), at)), "3"))
    assert "not among those that count" in inspect(high, 4)[1][0]
    put_in_force(high, VERIFIED + 'signers = ["https://forge.example/acme/*"]\n', 3)
    assert open_gate(high.side).assess(open_gate(high.side).crossing(4)).held == ()
    waiver = (
        '[[waiver]]\npurl = "pkg:pypi/demo@2"\nwaives = "provenance"\nreason = "old"\nowner = "security"\n'
        f"expires = {now() + DAY:%Y-%m-%dT%H:%M:%SZ}\n"
    )
    put_in_force(high, VERIFIED + waiver, 4)
    assessment = open_gate(high.side).assess(open_gate(high.side).crossing(3))
    assert assessment.held == ()
    assert assessment.waived[0].startswith("provenance in pkg:pypi/demo@2")


def test_a_signed_model_covers_the_files_that_it_names(high: HighSide) -> None:
    world = World()
    bring(high, 1, roots(world))
    activate(high)
    quarantine = FileBlobs(high.side.home.quarantine)
    bodies = {"config.json": b'{"a": 1}', "notes.md": b"# Notes\n"}
    named = {name: sha256(body).hexdigest() for name, body in bodies.items() if name != "notes.md"}
    by = signer(world.site, now() - DAY, minutes=10 * 24 * 60)
    bodies["model.sig"] = json.dumps(world.bundle(model_statement(named), by=by, log=False)).encode()
    roles = {"config.json": Role.CONFIGURATION, "notes.md": Role.OTHER, "model.sig": Role.PROVENANCE}
    files = tuple(
        ArtifactFile(
            path=f"models/org/m/{name}",
            role=roles[name],
            size=len(body),
            sha256=quarantine.put_bytes(body),
        )
        for name, body in bodies.items()
    )
    model = Artifact(purl="pkg:huggingface/org/m@1", kind=Kind.MODEL, name="org/m", version="1", files=files)
    high.arrive_with(2, model)
    gate = open_gate(high.side)
    crossing = gate.inspect(2, SandboxedInspection(high.side, Silent()))
    states = {v.path.rpartition("/")[2]: [f.state for f in v.facts] for v in gate.verdicts(crossing).verdicts}
    assert states == {"config.json": [State.VERIFIED], "notes.md": [State.ABSENT], "model.sig": []}


def test_commands_make_show_and_put_in_force(high: HighSide, tmp_path: Path) -> None:
    world, commands = World(), Commands()
    site = tmp_path / "site.pem"
    site.write_bytes(world.site.certificate.public_bytes(Encoding.PEM))
    npm = {"keys": [{"keyid": "SHA256:A+b/c=", "key": b64(world.roots().npm_keys[0].key), "expires": None}]}
    (tmp_path / "npm.json").write_text(json.dumps(npm))
    out = tmp_path / "roots.json"
    options = ("--npm-keys", tmp_path / "npm.json", "--authority", f"release={site}", "--version", "3")
    made = commands.json("provenance", "make", *options, "--out", out)
    assert made["sha256"] == sha256(out.read_bytes()).hexdigest()
    assert any("site's signing authority release" in sentence for sentence in made["says"])
    assert commands.refused("provenance", "make", "--version", "1", "--out", out)[1]["code"] == "LG-1550"
    assert any("npm registry key SHA256:A+b/c=:" in sentence for sentence in made["says"])
    (tmp_path / "bad.json").write_text(json.dumps(npm).replace("A+b", "A b"))
    bad = ("--npm-keys", tmp_path / "bad.json", "--version", "1", "--out", tmp_path / "bad-roots.json")
    assert commands.refused("provenance", "make", *bad)[1]["code"] == "LG-1550"
    assert not (tmp_path / "bad-roots.json").exists()
    home = ("--home", high.lane.high)
    assert commands.json("provenance", "show", *home)["judging"] is False
    bring(high, 1, read_roots(out.read_bytes()))
    asked = commands.json("provenance", "propose", "--key", high.lane.people["operator"], *home)
    request = Path(asked["request"]).read_bytes()
    commands.json("provenance", "activate", *high.signed(request, "roots"), *home)
    shown = commands.json("provenance", "show", *home)
    assert (shown["version"], shown["judging"], shown["says"]) == (3, True, made["says"])


def npm_of(high: HighSide, data: bytes | None, name: str) -> Artifact:
    """Put a version of an npm package into quarantine, with what its registry attests, where it does."""
    package = NpmPackage(name, "1.0.0")
    path = f"npm/{name}/{package.filename}"
    parts = [
        (path, Role.DISTRIBUTION, package.data),
        (f"{path}.json", Role.CORE_METADATA, encode(package.known)),
        *([(f"{path}.provenance", Role.PROVENANCE, data)] if data is not None else []),
    ]
    quarantine = FileBlobs(high.side.home.quarantine)
    files = tuple(
        ArtifactFile(path=where, role=role, size=len(each), sha256=quarantine.put_bytes(each))
        for where, role, each in parts
    )
    purl = f"pkg:npm/{name}@1.0.0"
    return Artifact(purl=purl, kind=Kind.NPM, name=name, version="1.0.0", files=files, label="internal")


def test_what_npm_registries_attest_is_judged_and_demanded_at_the_gate(high: HighSide) -> None:
    world, at = World(), now() - 2 * DAY
    bring(high, 1, roots(world))
    activate(high)

    def attested(name: str, of: str = "", by: World = world) -> bytes:
        digest = hashlib.sha512(NpmPackage(of or name, "1.0.0").data).hexdigest()
        made = by.bundle(npmregistry.statement(f"pkg:npm/{name}@1.0.0", digest), at)
        return npmregistry.answer((npmregistry.SLSA, made))

    made = {
        "good": (attested("good"), State.VERIFIED),
        "swapped": (attested("swapped", "good"), State.INVALID),
        "forged": (attested("forged", by=World()), State.INVALID),
        "none": (None, State.ABSENT),
    }
    demand = '[[rule]]\nname = "built"\necosystems = ["npm"]\nprovenance = "verified"\n'
    put_in_force(high, demand + 'signers = ["https://forge.example/acme/*"]\n')
    high.arrive_with(2, *(npm_of(high, data, name) for name, (data, _) in made.items()))
    inspect(high, 2)
    gate = open_gate(high.side)
    crossing = gate.crossing(2)
    verdicts = {v.path: v for v in gate.verdicts(crossing).verdicts}
    for name, (_, state) in made.items():
        verdict = verdicts[f"npm/{name}/{name}-1.0.0.tgz"]
        facts = {fact.scheme: fact for fact in verdict.facts}
        assert facts[Scheme.NPM].state is State.ABSENT
        assert facts[Scheme.NPM_ATTESTATION].state is state, name
        assert any(reason.path == verdict.path for reason in crossing.held) is (name != "good")
    assert facts[Scheme.NPM_ATTESTATION].state is State.ABSENT
    beside = verdicts["npm/good/good-1.0.0.tgz.provenance"]
    assert (beside.outcome, beside.facts) == (Outcome.CLEAN, ())
