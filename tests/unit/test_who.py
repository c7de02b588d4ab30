"""Who let this in: by file, digest, name and package URL, with a proof that is checked without the side."""

import dataclasses
import re
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from corpora.commands import Commands
from corpora.gates import Scripted
from corpora.homes import HighSide
from infer_doubles import NOW, loaded
from lockgate.admit.errors import AdmissionProofError, AmbiguousNameError
from lockgate.admit.model import CHANNELS, ChannelPointer
from lockgate.admit.proof import PROOF_FORMAT, AdmissionProof, Pins, check_admission, read_proof
from lockgate.admit.snapshots import SnapshotMaker
from lockgate.app.gate import who
from lockgate.app.gate.gate import execute, open_gate
from lockgate.app.high.receipts import receipts_of
from lockgate.app.settings import load_settings
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.submit.taking import submissions
from lockgate.audit import LogProof
from lockgate.cli.who import _plain as plain
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.core.submission import DERIVED, FIRST, INTERNAL, ORIGIN, SUBMITTER
from lockgate.core.wire import decode, encode
from lockgate.infer import Usage
from lockgate.infer.receipts import (
    RECEIPT_FORMAT,
    FileEvidence,
    ModelEvidence,
    Receipt,
    Status,
    stored_bytes,
)

NAME = "notes/01-pump.md"
TEXT = b"# Pump\n\nThe pump has two valves.\n"


@dataclass(frozen=True)
class Site:
    """A lane with one published crossing, and the proof of its one document."""

    lane: Path
    file: Path
    pins: Pins
    proof: bytes

    def changed(self, **fields: object) -> AdmissionProof:
        return msgspec.structs.replace(read_proof(self.proof), **fields)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.delenv("LOCKGATE_HOME", raising=False)
    return Commands()


@pytest.fixture(scope="module", params=["one document", "in parts"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("who")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "in parts":
            patch.setitem(SnapshotMaker.__init__.__kwdefaults__, "parted_from", 1)
        yield _site(folder)


def _site(folder: Path) -> Site:
    lockgate, lane = Commands().json, folder / "lane"
    (folder / "documents").mkdir()
    (folder / "documents/01-pump.md").write_bytes(TEXT)
    (folder / "manifest.toml").write_text('[[documents]]\ncollection = "notes"\nfolder = "documents"\n')
    low, high = ("--home", lane / "low"), ("--home", lane / "high")
    lockgate("lane", "init", lane, "--name", "plant")
    lockgate("collect", folder / "manifest.toml", "--offline", *low)
    crate = Path(lockgate("seal", *low)["path"])
    shutil.copytree(crate, lane / "high/inbox" / crate.name)
    lockgate("receive", lane / "high/inbox" / crate.name, *high)
    lockgate("gate", "inspect", 1, *high)
    asked = lockgate("gate", "request", 1, "--key", lane / "people/operator", *high)["request"]
    trust = tomllib.loads((lane / "high/lockgate.toml").read_text())["trust"]
    root = ("--site-root", lane / "high/trust/site.dsse.json", "--pin", trust["site_pin"], "--yes")
    signed = [folder / f"{person}.json" for person in ("approver-1", "approver-2")]
    for out in signed:
        key = ("--key", lane / "people" / out.stem, "--out", out, "--state", folder / "seen")
        lockgate("approve", asked, *key, *root)
    lockgate("gate", "publish", *signed, *high)
    lockgate("gate", "publish", *signed, *high)  # done already, and recorded a second time
    proof = who.trace(load_settings(lane / "high"), NAME).proof
    file = folder / "documents/01-pump.md"
    return Site(lane, file, Pins(trust["site_pin"], trust["supply_pin"]), proof)


def test_a_file_a_digest_a_name_and_a_package_url_lead_to_the_same_people(
    commands: Commands, site: Site
) -> None:
    high = ("--home", site.lane / "high")
    purl = read_purl(site)
    told = [commands.json("who", each, *high) for each in (site.file, sha256(TEXT), NAME, purl)]
    for each in told:
        assert (each["requester"], each["approvers"]) == ("operator", ["approver-1", "approver-2"])
        assert (each["crossing"], each["outcome"], each["served"]) == (1, "clean", ["stable 1"])
        assert (each["sealers"], each["collectors"]) == (["low-sealer"], ["low-collector"])
        assert each["sha256"] == sha256(TEXT)
    text = commands.run("who", site.file, *high)
    assert "approver-1 and approver-2" in text.out
    assert "crossing 1" in text.out


def read_purl(site: Site) -> str:
    return check_admission(read_proof(site.proof), site.pins).admitted.artifact.purl


@pytest.mark.parametrize("held", [sha256(TEXT), "5" * 64])
def test_an_answer_leads_to_who_let_its_model_in(
    commands: Commands, site: Site, tmp_path: Path, held: str
) -> None:
    shutil.copytree(site.lane / "high", tmp_path / "high")
    answer, none = "ab" * 16, "0" * 64
    model = ModelEvidence(
        name="m",
        purl="pkg:generic/m@1",
        files=(FileEvidence(path="m", sha256=sha256(TEXT)),),
        loaded=loaded(held),  # of several files the engine holds another digest than any file has
        crossing=1,
        crate_sha256=none,
    )
    receipt = Receipt(
        format=RECEIPT_FORMAT,
        id=answer,
        status=Status.ANSWERED,
        reason="",
        api_key="desk",
        requested=NOW,
        finished=NOW,
        channel="stable",
        channel_version=1,
        snapshot_sha256=none,
        model=model,
        knowledge=None,
        guards=(),
        prompt_hmac=none,
        answer_hmac=none,
        usage=Usage(),
        intent_leaf=1,
    )
    receipts_of(load_settings(tmp_path / "high")).put(answer, stored_bytes(encode(receipt), 2), b"key")
    told = commands.json("who", answer, "--home", tmp_path / "high")
    assert (told["sha256"], told["approvers"]) == (sha256(TEXT), ["approver-1", "approver-2"])


def test_what_was_made_inside_leads_to_who_submitted_it_and_nobody_sealed_it(
    commands: Commands, tmp_path: Path
) -> None:
    high, model = HighSide.new(tmp_path), tmp_path / "model.gguf"
    model.write_bytes(b"GGUF tuned here")
    high.publish(1, "base")
    base = "pkg:generic/base@1"
    home = ("--home", high.lane.high)
    words = ("submit", "add", model, "--model", "team/tuned", "--derived-from", base, "--by", "dora")
    commands.json(*words, *home)
    open_gate(high.side).inspect(FIRST, Scripted())
    asked = open_gate(high.side).request(FIRST, "stable", high.operator)
    execute(high.side, high.signed(asked, "tuned"))

    proof = tmp_path / "proof.json"
    told = commands.json("who", model, "--proof", proof, *home)
    assert (told["origin"], told["submitter"], told["derived_from"]) == ("internal", "dora", [base])
    assert (told["crossing"], told["requester"]) == (FIRST, "operator")
    assert told["approvers"] == ["approver-1", "approver-2"]
    assert (told["sealers"], told["collectors"]) == ([], [])
    (submission,) = submissions(high.side)
    assert told["crate_sha256"] == sha256(encode(submission[1]))
    pins = who.side_pins(high.side)
    checked = commands.json("who", "--check", proof, "--pin", pins.site, "--supply-pin", pins.supply)
    own = {"served", "proof"}
    assert {k: v for k, v in checked.items() if k != "holds"} == {
        k: v for k, v in told.items() if k not in own
    }
    said = commands.run("who", model, *home).out
    for line in (rf"came by +submission {FIRST}, made inside", "submitted by +dora", f"made of +{base}"):
        assert re.search(line, said)
    assert "sealed by" not in said


def test_what_crossed_was_not_made_inside_whatever_attributes_it_has(site: Site) -> None:
    found = check_admission(read_proof(site.proof), site.pins)
    marks = {ORIGIN: INTERNAL, SUBMITTER: "dora", DERIVED: "pkg:generic/base@1"}
    forged = msgspec.structs.replace(found.admitted.artifact, attributes=marks)
    admitted = msgspec.structs.replace(found.admitted, artifact=forged)
    told = plain(dataclasses.replace(found, admitted=admitted))
    assert (told["origin"], told["submitter"], told["derived_from"]) == ("crossing", "", [])


def test_a_proof_is_checked_with_nothing_but_the_pin(
    commands: Commands, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof, other = tmp_path / "proof.json", tmp_path / "other.md"
    commands.json("who", site.file, "--proof", proof, "--home", site.lane / "high")
    other.write_bytes(TEXT + b"!")
    monkeypatch.chdir(tmp_path)
    pin = ("--pin", site.pins.site)
    told = commands.json("who", site.file, "--check", proof, *pin)
    assert (told["holds"], told["approvers"], told["sealers"]) == (True, ["approver-1", "approver-2"], [])
    assert commands.json("who", "--check", proof, *pin, "--supply-pin", site.pins.supply)["sealers"]
    assert "The proof holds" in commands.run("who", "--check", proof, *pin).out
    for name in (told["sha256"], told["purl"], told["path"]):
        assert commands.json("who", name, "--check", proof, *pin)["holds"]
    status, error = commands.refused("who", "numpy", "--check", proof, *pin)
    assert (status, error["code"]) == (3, "LG-2805")
    assert "nor a name of it" in error["error"]
    status, error = commands.refused("who", other, "--check", proof, *pin)
    assert (status, error["code"]) == (3, "LG-2805")
    assert "another file" in error["error"]
    assert commands.refused("who", "--check", proof, "--pin", "0" * 64)[1]["code"] == "LG-2104"
    for line in (("who", "--check", proof), ("who", "--check", proof, *pin, "--proof", other), ("who",)):
        assert commands.refused(*line)[1]["code"] == "LG-1f21"


def test_what_nobody_let_in_is_said_so(commands: Commands, site: Site, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.bin"
    stranger.write_bytes(b"from nowhere")
    for each in (stranger, "0" * 64, "nobody-knows-this", "numpy==1.0", "0" * 32):
        status, error = commands.refused("who", each, "--home", site.lane / "high")
        assert (status, error["code"]) == (4, "LG-380a")
    assert commands.refused("who", tmp_path / "absent", "--home", site.lane / "high")[1]["code"] == "LG-1f09"


def test_no_byte_of_a_proof_is_free(site: Site) -> None:
    assert holds(site.proof, site.pins)
    for at in range(0, len(site.proof), max(1, len(site.proof) // 400)):
        data = bytearray(site.proof)
        data[at] ^= 1
        assert not holds(bytes(data), site.pins), f"byte {at} of {len(data)} may be changed"


def holds(proof: bytes, pins: Pins) -> bool:
    try:
        check_admission(read_proof(proof), pins)
    except LockgateError:
        return False
    return True


def test_parts_of_other_truths_make_no_proof(site: Site) -> None:
    side = load_settings(site.lane / "high")
    log, signer = who.audit_log(side), who.log_signer(side)
    honest = read_proof(site.proof)
    refused = [
        site.changed(log=log.prove(honest.log.index - 1, signer)),  # the intent, not the outcome
        site.changed(sha256="0" * 64),
        site.changed(snapshot=honest.statement),
        site.changed(part=honest.snapshot),
        site.changed(statement=honest.inspection),
        site.changed(inspection=honest.sealing),
        site.changed(sealing=honest.collection),
        site.changed(collection=honest.sealing),
        site.changed(collection=""),
    ]
    refused += [site.changed(sealing=""), site.changed(supply_roots=())]
    assert [holds(encode(proof), site.pins) for proof in refused] == [False] * len(refused)
    again = log.prove(honest.log.index + 2, signer)  # the same publication, said a second time
    assert check_admission(site.changed(log=again), site.pins).leaf == honest.log.index + 2


def test_a_log_that_says_other_people_approved_is_no_proof(site: Site) -> None:
    honest = read_proof(site.proof)
    facts = {**honest.log.event["facts"], "approvers": ["approver-1", "approver-3"]}
    event = {**honest.log.event, "facts": facts}
    forged = msgspec.structs.replace(honest.log, event=event)
    with pytest.raises(LockgateError):
        check_admission(site.changed(log=forged), site.pins)


def test_a_proof_of_another_format_is_refused() -> None:
    log = LogProof(format="x", index=0, event={}, path=(), checkpoint="")
    texts = dict.fromkeys(("statement", "snapshot", "part", "inspection", "collection", "sealing"), "")
    for form, roots in (("lockgate-admission-proof/2", ("x",)), (PROOF_FORMAT, ())):
        made = AdmissionProof(
            format=form, sha256="0" * 64, site_roots=roots, supply_roots=(), log=log, **texts
        )
        with pytest.raises(AdmissionProofError, match="format"):
            read_proof(encode(made))


def test_a_name_that_several_artifacts_have_is_not_guessed() -> None:
    def snapshot(*versions: str) -> Any:
        files = (SimpleNamespace(sha256="a" * 64, size=1), SimpleNamespace(sha256="b" * 64, size=2))
        artifacts = [
            SimpleNamespace(purl=f"pkg:pypi/x@{each}", name="x", version=each, files=files)
            for each in versions
        ]
        return SimpleNamespace(admitted=[SimpleNamespace(artifact=each) for each in artifacts])

    with pytest.raises(AmbiguousNameError, match=r"2 artifacts.*pkg:pypi/x@1, pkg:pypi/x@2"):
        who._digest_named("x", [snapshot("2", "1")])
    assert who._digest_named("x==1", [snapshot("2", "1")]) == "b" * 64
    assert who._digest_named("x", [snapshot("2"), snapshot("1")]) == "b" * 64


def test_an_altered_store_proves_nothing(commands: Commands, site: Site, tmp_path: Path) -> None:
    shutil.copytree(site.lane, tmp_path / "lane")
    high = tmp_path / "lane/high"
    digest = read_proof(site.proof).log.event["facts"]["snapshot"]
    blob = high / "blobs" / digest[:2] / digest
    blob.write_bytes(blob.read_bytes().replace(b"lockgate", b"logkgate"))
    status, error = commands.refused("who", NAME, "--home", high)
    assert (status, error["code"]) == (3, "LG-2201")
    assert error["where"]["file"] == str(blob)


def test_after_a_disaster_it_is_told_as_before(commands: Commands, site: Site, tmp_path: Path) -> None:
    lane, home, backup = tmp_path / "lane", tmp_path / "home", tmp_path / "backup"
    shutil.copytree(site.lane, lane)
    high = ("--home", lane / "high")
    before = commands.json("who", NAME, *high)
    verdicts = commands.json("gate", "show", 1, *high)["verdicts"]
    commands.json("backup", backup, "--blobs", "--key", lane / "people/operator", *high)
    home.mkdir()
    shutil.copy(backup / "lockgate.toml", home)
    shutil.copytree(backup / "trust", home / "trust")
    shutil.copytree(lane / "high/keys", home / "keys")
    floor = ("--last-crossing", 1, "--last-crate", before["crate_sha256"], "--home", home)
    asked = commands.json("restore", backup, "--key", lane / "people/operator", *floor)["request"]
    root = ("--site-root", home / "trust/site.dsse.json", "--pin", site.pins.site, "--yes")
    signed = [tmp_path / f"{person}.json" for person in ("approver-1", "approver-2")]
    for out in signed:
        key = ("--key", lane / "people" / out.stem, "--out", out, "--state", tmp_path / "seen")
        commands.json("approve", asked, *key, *root)
    commands.json("restore", backup, "--signed", signed[0], "--signed", signed[1], *floor)
    after = commands.json("who", NAME, "--home", home)
    moving = {"log_size", "log_root"}
    assert {k: v for k, v in after.items() if k not in moving} == {
        k: v for k, v in before.items() if k not in moving
    }
    assert commands.json("gate", "show", 1, "--home", home)["verdicts"] == verdicts
    attested = ("gate", "attestations", 1, "--out", tmp_path / "attested", "--home", home)
    assert set(commands.json(*attested)["attestations"]) >= {"collection", "sealing", "inspection"}


def test_what_one_person_withdrew_or_held_is_not_served(commands: Commands, tmp_path: Path) -> None:
    """The row of the publication still names the snapshot that holds it; the channel has moved on."""
    site = _site(tmp_path)
    home = ("--home", site.lane / "high")
    words = ("--reason", "odd", "--key", site.lane / "people/operator", *home)
    for act, served in (("hold", ["stable 2, held"]), ("withdraw", [])):
        commands.json("gate", act, read_purl(site), *words)
        told = commands.json("who", NAME, *home)
        assert (told["served"], told["crossing"]) == (served, 1)
    assert "on no channel" in commands.run("who", NAME, *home).out
    side = load_settings(site.lane / "high")
    records = records_of(side)
    with records.transaction() as tx:
        pointer = decode(ChannelPointer, tx.get(CHANNELS, "stable") or b"")
    records.close()
    blobs_of(side).path(pointer.statement_sha256).unlink()
    assert commands.json("who", NAME, *home)["served"] == ["stable 3: not known (LG-1201)"]
