"""What approving would change: in order of risk, bound by the statement, and drawn anew at publication."""

import json
from pathlib import Path

import msgspec
import pytest

from corpora.gates import Scripted, World
from lockgate.admit.errors import VerdictsAlteredError
from lockgate.admit.facts import FactKind, keep_facts, read_facts
from lockgate.admit.ports import FileInspector, ToInspect, WeightsReader
from lockgate.app.gate.approve import DifferenceUnshownError, shown_difference
from lockgate.approve import read_statement
from lockgate.approve.errors import StatementChangedError
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.closure import dependents
from lockgate.core.difference import DIFFERENCE, Change, Known, Risk, Version, changes_of, draw
from lockgate.core.golden import Divergence, Engine, Replay
from lockgate.core.provenance import Fact, Scheme, State
from lockgate.core.statement import NOTHING
from lockgate.core.verdict import Finding, Outcome, Severity, Verdict
from lockgate.core.weights import Compared, Remark, WeightsFacts
from lockgate.core.wire import decode, digest_of, encode
from lockgate.trust.dsse import open_envelope

NOTHING_KNOWN = Known({}, {})


def artifact(version: str, kind: Kind = Kind.PYTHON, **changes: object) -> Artifact:
    file = ArtifactFile(
        path=f"python/pkg-{version}.whl",
        role=Role.DISTRIBUTION,
        size=1000,
        sha256=digest_of(version),
    )
    made = Artifact(purl=f"pkg:pypi/pkg@{version}", kind=kind, name="pkg", version=version, files=(file,))
    return msgspec.structs.replace(made, **changes)


def finding(code: str, severity: Severity = Severity.INFO, where: str = "", why: str = "why") -> Finding:
    return Finding(code=code, severity=severity, where=where, why=why)


def version(number: str, said: dict[str, object] | None = None, **changes: object) -> Version:
    made = artifact(number, **changes)
    file = made.files[0]
    verdict = Verdict(
        path=file.path,
        sha256=file.sha256,
        size=file.size,
        detected="wheel",
        outcome=Outcome.CLEAN,
        covered=file.size,
        findings=(),
        inspectors=("zip/1",),
        uses=(),
        requires=(),
    )
    return Version(made, (msgspec.structs.replace(verdict, **(said or {})),))


def changes(new: Version, old: Version | None, known: Known = NOTHING_KNOWN) -> list[tuple[Risk, str]]:
    return [(each.risk, each.what) for each in changes_of(new, old, known)]


def test_an_update_that_does_what_it_did_changes_nothing() -> None:
    said = {
        "findings": (finding("install-script", where="pkg-1.0/setup.py@12", why="pkg-1.0 runs"),),
        "uses": ("network pkg-1.0/net.py",),
        "opaque": ("elf",),
        "outcome": Outcome.OPAQUE,
    }
    newer = {
        **said,
        "findings": (finding("install-script", where="pkg-1.1/setup.py@99", why="pkg-1.1 runs"),),
        "uses": ("network pkg-1.1/net.py",),
    }
    assert changes(version("1.1", newer), version("1.0", said)) == []


def test_every_risk_is_told() -> None:
    old = version("1.0", licence="MIT", attributes={"maintainers": "ada, ben"})
    said = {
        "outcome": Outcome.FINDINGS,
        "findings": (
            finding("install-script", why="npm runs at postinstall: node x.js"),
            finding("code-exfiltration", Severity.HIGH, "pkg/x.py@7"),
            finding("python-syntax", Severity.INFO),
        ),
        "uses": ("network pkg/x.py", "subprocess pkg/x.py", "code pkg/x.py", "native pkg/n.py"),
        "opaque": ("elf",),
    }
    new = version("1.1", said, licence="GPL-3.0-only", label="secret", attributes={"maintainers": "ada, eve"})
    grown = msgspec.structs.replace(new.artifact.files[0], size=5000)
    found = changes(Version(msgspec.structs.replace(new.artifact, files=(grown,)), new.verdicts), old)
    assert found == [
        (Risk.VERDICT, "The verdict went from clean to findings."),
        (Risk.INSTALL, "install-script (info): npm runs at postinstall: node x.js"),
        (Risk.VERDICT, "code-exfiltration (high) in pkg/x.py@7: why"),
        (Risk.SUBPROCESS, "It starts other programs for the first time: pkg/x.py."),
        (Risk.NETWORK, "It uses the network for the first time: pkg/x.py."),
        (Risk.NATIVE, "It calls machine code for the first time: pkg/n.py."),
        (Risk.CODE, "It makes code while it runs for the first time: pkg/x.py."),
        (Risk.BINARY, "Machine code (elf) where there was none before."),
        (Risk.MAINTAINERS, "New maintainers: eve."),
        (Risk.MAINTAINERS, "No longer maintainers: ben."),
        (Risk.LICENCE, "The licence went from MIT to GPL-3.0-only."),
        (Risk.LABEL, "The label went from internal to secret."),
        (Risk.SIZE, "The size went from 1000 to 5000 bytes."),
    ]


def signed(by: str, state: State = State.VERIFIED) -> dict[str, object]:
    return {"provenance": (Fact(scheme=Scheme.PEP740, state=state, identity=by),)}


def test_another_signer_or_none_any_more_is_told() -> None:
    old = version("1.0", signed("ada@example.org"))
    assert changes(version("1.1", signed("ada@example.org")), old) == []
    assert changes(version("1.1", signed("eve@example.org")), old) == [
        (Risk.PROVENANCE, "Signed by eve@example.org; the version before by ada@example.org.")
    ]
    for new in (version("1.1"), version("1.1", signed("ada@example.org", State.INVALID))):
        assert changes(new, old) == [
            (
                Risk.PROVENANCE,
                "No signature verifies; the version before was signed by ada@example.org.",
            )
        ]
    assert changes(version("1.1", signed("eve@example.org")), version("1.0")) == []


def test_what_was_not_looked_at_before_is_said_and_not_taken_for_new() -> None:
    old = version("1.0", {"uses": msgspec.UNSET})
    new = version("1.1", {"uses": ("network pkg/x.py",)})
    assert changes(new, old) == [
        (Risk.UNCOMPARED, "What pkg:pypi/pkg@1.0 reaches for was not looked at when it came.")
    ]
    gone = Version(old.artifact, None)
    assert (Risk.UNCOMPARED, "The verdicts over the version before cannot be read.") in changes(new, gone)


def test_a_first_version_is_new_and_says_what_it_does() -> None:
    new = version("1.0", {"uses": ("network pkg/x.py",), "outcome": Outcome.FINDINGS})
    assert [risk for risk, _ in changes(new, None)] == [Risk.VERDICT, Risk.NETWORK, Risk.NEW]


WEIGHTS = ArtifactFile(path="models/m/w.gguf", role=Role.WEIGHTS, size=10, sha256=digest_of("new weights"))
OLDER = ArtifactFile(path="models/m/old.gguf", role=Role.WEIGHTS, size=10, sha256=digest_of("old weights"))


def model(file: ArtifactFile, number: str) -> Version:
    made = artifact(number, Kind.MODEL, files=(file,))
    verdict = Verdict(
        path=file.path, sha256=file.sha256, size=file.size, detected="gguf", outcome=Outcome.OPAQUE,
        covered=file.size, findings=(), inspectors=(), opaque=("gguf",), uses=(), requires=(),
    )  # fmt: skip
    return Version(made, (verdict,))


def facts(base: str = OLDER.sha256, *, compared: bool = True) -> WeightsFacts:
    said = Compared(
        format="lockgate-weights/1", tool="weights/1 gguf", tensors=10, equal=9, changed=1, recast=0, added=0,
        removed=0, elements=100, elements_changed=4, shown=(),
        remarks=(Remark(code="weights-row", where="embed", why="Row 7 holds 99 % of the change."),),
    )  # fmt: skip
    return WeightsFacts(
        path=WEIGHTS.path, sha256=WEIGHTS.sha256, size=10, base_path=OLDER.path, base_sha256=base,
        base_size=10, compared=said if compared else None, problem="" if compared else "It is damaged.",
    )  # fmt: skip


def test_facts_about_weights_and_golden_prompts_are_among_the_changes() -> None:
    new, old = model(WEIGHTS, "2"), model(OLDER, "1")
    engine = Engine(name="llama", sha256=NOTHING, context=2048, seed=1)
    where = Divergence(id="capital", at=3, expected="Paris", found="Berlin")
    replayed = Replay(
        model_sha256=WEIGHTS.sha256, golden_sha256=NOTHING, engine=engine, recorded_by=engine, prompts=5,
        differing=1, divergences=(where,),
    )  # fmt: skip
    found = changes(new, old, Known({WEIGHTS.sha256: facts()}, {WEIGHTS.sha256: replayed}))
    assert found == [
        (Risk.WEIGHTS, "weights-row embed: Row 7 holds 99 % of the change."),
        (Risk.FACTS, "Weights: 1 of 10 tensors changed (4 % of all elements)."),
        (
            Risk.GOLDEN,
            "1 of 5 golden prompts are answered otherwise; capital at token 3: 'Paris' became 'Berlin'.",
        ),
    ]
    same = msgspec.structs.replace(replayed, differing=0, divergences=())
    assert Risk.GOLDEN not in {r for r, _ in changes(new, old, Known({}, {WEIGHTS.sha256: same}))}


@pytest.mark.parametrize("known", [{}, {WEIGHTS.sha256: facts(base=digest_of("another"))}])
def test_weights_that_were_not_compared_with_what_is_served_are_said_to_be(known) -> None:
    found = changes(model(WEIGHTS, "2"), model(OLDER, "1"), Known(known, {}))
    assert Risk.UNCOMPARED in {risk for risk, _ in found}
    failed = changes(
        model(WEIGHTS, "2"), model(OLDER, "1"), Known({WEIGHTS.sha256: facts(compared=False)}, {})
    )
    assert failed == [(Risk.UNCOMPARED, "Weights: not compared with models/m/old.gguf: It is damaged..")]


def test_the_gravest_come_first_and_what_is_quiet_collapses() -> None:
    loud = version("1.1", {"findings": (finding("x", Severity.HIGH),)}, licence="GPL")
    quiet = version("2.0", name="calm")
    bound = {"previous_sha256": NOTHING, "verdicts_sha256": NOTHING}
    drawn = draw(
        (3, "stable"),
        [(quiet, version("1.0", name="calm")), (loud, version("1.0"))],
        NOTHING_KNOWN,
        (),
        bound,
    )
    assert [change.risk for change in drawn.changes] == [Risk.VERDICT, Risk.LICENCE]
    assert (drawn.entering, drawn.quiet) == (2, 1)
    assert drawn.quiet_sha256 == digest_of([[quiet.artifact.purl, quiet.artifact.files[0].sha256]])
    many = draw((3, "stable"), [(loud, None)] * 300, NOTHING_KNOWN, (), bound)
    assert len(many.changes) == 400
    assert many.omitted == 200
    assert many.all_sha256 != drawn.all_sha256


# At the gate.


class Telling(Scripted):
    """Clean, with uses or needs that a test names."""

    def __init__(self, **said: dict[str, object]) -> None:
        super().__init__()
        self.said = said

    def inspect(self, items):
        return [
            msgspec.structs.replace(
                verdict, **{"uses": (), "requires": (), **self.said.get(i.artifact.name, {})}
            )
            for i, verdict in zip(items, super().inspect(items), strict=True)
        ]


def test_the_statement_binds_the_difference_and_publication_draws_it_anew(tmp_path: Path) -> None:
    world = World()
    world.publish(1, "a-1")
    world.arrive(2, "a-2", "b-2")
    world.gate.inspect(2, Telling(b={"uses": ("network b.py",)}))
    request = world.gate.request(2, "stable", world.operator)
    drawn = world.gate.differ.draw(world.gate.crossing(2), "stable")
    statement = read_statement(request)
    assert dict(statement.facts) == {DIFFERENCE: digest_of(drawn)}
    assert [change.risk for change in drawn.changes if "b-2" in change.purl] == [Risk.NETWORK, Risk.NEW]
    file = tmp_path / "request.difference.json"
    with pytest.raises(DifferenceUnshownError):
        shown_difference(statement, file)
    file.write_bytes(encode(drawn))
    assert shown_difference(statement, file) == drawn
    file.write_bytes(encode(msgspec.structs.replace(drawn, changes=())))
    with pytest.raises(DifferenceUnshownError):
        shown_difference(statement, file)
    signed = world.signed(request, "ap-1", "ap-2")
    keep_facts(world.parts, world.gate.crossing(2), weights=(facts(),))
    with pytest.raises(StatementChangedError, match="shown"):
        world.gate.execute(signed)
    world.gate.execute(world.signed(world.gate.request(2, "stable", world.operator), "ap-1", "ap-2"))


def test_facts_are_signed_and_bound_to_their_crossing() -> None:
    world = World()
    world.arrive(1, "a")
    world.arrive(2, "b")
    gate = world.gate
    keep_facts(world.parts, gate.crossing(1), weights=(facts(),))
    found = read_facts(world.parts, gate.crossing(1), FactKind.WEIGHTS)
    assert found is not None
    assert found[0].weights == (facts(),)
    subjects = json.loads(decode_payload(world.quarantine.read(found[1])))["subject"]
    assert {each["digest"]["sha256"] for each in subjects} == {WEIGHTS.sha256, OLDER.sha256}
    with world.records.transaction() as tx:
        tx.put("facts", "000002:weights", found[1].encode())
    with pytest.raises(VerdictsAlteredError, match="about another"):
        read_facts(world.parts, gate.crossing(2), FactKind.WEIGHTS)


def decode_payload(envelope: bytes) -> bytes:
    return open_envelope(envelope).payload


class Recorded(WeightsReader):
    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def compare(self, pairs: list[tuple[ToInspect, ToInspect]]) -> list[WeightsFacts]:
        self.asked += [(old.file.path, new.file.path) for new, old in pairs]
        assert all(old.on_disk.is_file() and new.on_disk.is_file() for new, old in pairs)
        return [msgspec.structs.replace(facts(), sha256=new.file.sha256) for new, old in pairs]


def test_inspection_compares_weights_with_those_that_are_served() -> None:
    world = World()
    world.weights = Recorded()
    world.publish(1, "w-1.gguf")
    world.arrive(2, "w-2.gguf")
    world.gate.inspect(2, Scripted())
    assert world.weights.asked == [("documents/w-1.gguf", "documents/w-2.gguf")]
    assert world.gate.differ.draw(world.gate.crossing(2), "stable").facts_sha256 != NOTHING


def test_a_model_of_another_name_is_compared_with_the_one_that_it_says_it_was_made_of() -> None:
    world = World()
    world.weights = Recorded()
    world.publish(1, "base-1.gguf")
    world.arrive(2, "tuned-1.gguf", "other-1.gguf", more={"tuned-from": "nobody, base"})
    world.gate.inspect(2, Scripted())
    asked = [("documents/base-1.gguf", f"documents/{name}-1.gguf") for name in ("tuned", "other")]
    assert world.weights.asked == asked
    told = [c.what for c in world.gate.differ.draw(world.gate.crossing(2), "stable").changes]
    assert any(what.startswith(f"Weights, compared with {OLDER.path}: 1 of 10") for what in told)
    world.weights.asked.clear()
    world.arrive(3, "first-1.gguf", "root-1.gguf", more={"tuned-from": "root"})
    world.gate.inspect(3, Scripted())
    assert world.weights.asked == [("documents/root-1.gguf", "documents/first-1.gguf")]
    world.arrive(4, "lost-1.gguf", more={"tuned-from": "nobody"})
    world.gate.inspect(4, Scripted())
    told = [c.what for c in world.gate.differ.draw(world.gate.crossing(4), "stable").changes]
    assert "It was made from nobody, by its own words, and was not compared with it." in told


# Partial admission of a closed set.


def package(name: str, number: str, kind: Kind = Kind.PYTHON) -> Artifact:
    return artifact(number, kind, name=name, purl=f"pkg:x/{name}@{number}", files=())


def stopped(
    artifacts: list[Artifact], needs: dict[str, tuple[str, ...]], held: set[str], served: list[Artifact] = ()
) -> set[str]:
    by_name = {each.purl: needs.get(each.name, ()) for each in artifacts}
    return {each.purl for each in dependents(artifacts, by_name, held, served)}


def test_what_needs_something_held_waits_too_and_what_does_not_enters() -> None:
    lot = [package("app", "1.0"), package("Lib_X", "2.0"), package("mid", "1.0"), package("alone", "1.0")]
    needs = {"app": ("mid>=1",), "mid": ("lib-x<3,>=2", "gone; python_version<'3'"), "alone": ("zlib",)}
    held = {"pkg:x/Lib_X@2.0"}
    assert stopped(lot, needs, held) == {"pkg:x/app@1.0", "pkg:x/mid@1.0"}
    assert stopped(lot, needs, set()) == set()
    assert stopped(lot, needs, held, [package("lib.x", "2.5")]) == set()
    assert stopped(lot, needs, held, [package("lib.x", "1.0")]) == {"pkg:x/app@1.0", "pkg:x/mid@1.0"}


@pytest.mark.parametrize(
    ("range_", "served", "waits"),
    [
        ("^1.2.0", "1.9.0", False),
        ("^1.2.0", "2.0.0", True),
        ("~1.2.0", "1.3.0", True),
        ("1.2.3", "1.2.3", False),
        (">=1.0.0 <2", "1.5.0", True),
        ("*", "0.1.0", False),
        ("^0.3.1", "0.4.0", True),
    ],
)
def test_npm_ranges_that_nobody_is_sure_of_wait(range_: str, served: str, *, waits: bool) -> None:
    lot = [package("app", "1.0.0", Kind.NPM), package("dep", "1.2.3", Kind.NPM)]
    if range_ == "^0.3.1":
        lot[1] = package("dep", "0.3.2", Kind.NPM)
    held = {lot[1].purl}
    found = stopped(lot, {"app": (f"dep {range_}",)}, held, [package("dep", served, Kind.NPM)])
    assert found == ({"pkg:x/app@1.0.0"} if waits else set())


def test_the_gate_holds_what_needs_something_held_and_admits_the_rest() -> None:
    world = World()
    world.arrive_packages(1, "bad", "user", "other")
    said = {"bad": {"outcome": Outcome.INCOMPLETE, "covered": 0}, "user": {"requires": ("bad==1",)}}
    held = world.gate.inspect(1, Telling(**said)).held
    assert {(each.purl, each.reason) for each in held if "user" in each.purl} == {
        ("pkg:pypi/user@1", "It needs pkg:pypi/bad@1, which is held.")
    }
    drawn = world.gate.differ.draw(world.gate.crossing(1), "stable")
    assert drawn.left == ("pkg:pypi/bad@1", "pkg:pypi/user@1")
    request = world.gate.request(1, "stable", world.operator, partial=True)
    world.gate.execute(world.signed(request, "ap-1", "ap-2"))
    assert [a.artifact.name for a in world.gate.served("stable").admitted] == ["other"]


def test_changes_are_documents() -> None:
    change = Change(risk=Risk.NEW, purl="pkg:x/a@1", before="", what="x")
    assert decode(Change, encode(change)) == change


def test_an_inspector_is_a_port() -> None:
    assert issubclass(Telling, FileInspector)
