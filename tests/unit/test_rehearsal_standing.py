"""What a lock can show of rehearsals: signed by the collector, of this lock, host and release, or none."""

import msgspec
import pytest

import lockgate
from corpora.commands import Commands
from corpora.rehearsals import Rehearsing, host_profile
from lockgate.app.crossing.collect import current_lock
from lockgate.app.lane import lane as lanes
from lockgate.app.rehearsal.errors import HostWantedError, OtherManifestError
from lockgate.app.rehearsal.service import rehearse
from lockgate.app.rehearsal.standing import (
    HOST,
    HOST_SUBJECT,
    LOCK_SUBJECT,
    NEWEST,
    PREDICATE,
    keep,
    rehearsed,
)
from lockgate.app.trust import signer_from, supply_root, utc_now
from lockgate.core.digests import sha256
from lockgate.core.host import Interpreter
from lockgate.core.ports import Silent
from lockgate.core.rehearsal import REHEARSAL_FORMAT, Mark, Missing, Rehearsal, Standing, Step
from lockgate.core.roots import Purpose
from lockgate.core.wire import whole_second
from lockgate.trust.attest import attest

DOCUMENTS = '[[documents]]\ncollection = "notes"\nfolder = "documents"\n'
PASSED = Step(what="pip", mark=Mark.PASSED)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("standing")
    demo = lanes.demo_policy
    lanes.demo_policy = lambda: msgspec.structs.replace(demo(), rehearsal=True)
    try:
        made = Rehearsing.make(folder / "demands")
    finally:
        lanes.demo_policy = demo
    made.collect(DOCUMENTS)
    return made


def facts(made, **changes):
    now = whole_second(utc_now())
    found = Rehearsal(
        format=REHEARSAL_FORMAT,
        lane="harbour",
        lockgate=lockgate.__version__,
        lock_sha256=sha256(current_lock(made.side).lock_bytes),
        host_sha256=sha256(b"host"),
        host="rack-1",
        started=now,
        finished=now,
        native=True,
        left_packets=0,
        steps=(PASSED,),
    )
    return msgspec.structs.replace(found, **changes)


def kept(made, found, *, purpose=Purpose.COLLECTOR, subjects=None, host=b"host"):
    """Put a rehearsal on record, as one key signed it, and return what sealing makes of it."""
    side = made.side
    signer = signer_from(side.home.keys, purpose, supply_root(side)[1])
    named = subjects or {LOCK_SUBJECT: found.lock_sha256, HOST_SUBJECT: found.host_sha256}
    keep(side, {HOST: host, NEWEST: attest(named, PREDICATE, found, signer)})
    return rehearsed(side)


def sealing(made):
    ran = Commands().run("seal", "--home", made.lane.low, "--json")
    return ran.status, ran.error["code"] if ran.status else ran.value["rehearsal"]["standing"]


def test_a_rehearsal_of_this_lock_host_and_release_counts_and_is_what_a_strict_policy_wants(made):
    assert kept(made, facts(made)).standing is Standing.PASSED
    status, standing = sealing(made)
    assert (status, standing) == (0, "passed")


@pytest.mark.parametrize(
    ("changes", "standing"),
    [
        ({"lock_sha256": "1" * 64}, Standing.STALE),
        ({"host_sha256": "1" * 64}, Standing.STALE),
        ({"lockgate": "0.0.9"}, Standing.STALE),
        ({"lane": "elsewhere"}, Standing.STALE),
        ({"format": "lockgate-rehearsal/9"}, Standing.STALE),
        ({"steps": (PASSED, Step(what="uv", mark=Mark.FAILED))}, Standing.FAILED),
        ({"missing": (Missing(protocol="npm", name="leaf"),)}, Standing.FAILED),
        ({"left_packets": 1}, Standing.FAILED),
        ({"native": False}, Standing.UNPROVEN),
        ({"steps": ()}, Standing.UNPROVEN),
        ({"steps": (Step(what="pip", mark=Mark.UNPROVEN),)}, Standing.UNPROVEN),
    ],
)
def test_a_rehearsal_of_something_else_or_one_that_did_not_pass_does_not_count(made, changes, standing):
    assert kept(made, facts(made, **changes)).standing is standing
    assert sealing(made) == (4, "LG-3008")
    assert Commands().json("seal", "--plan", "--home", made.lane.low)["rehearsal"]["standing"] == standing


def test_what_another_key_signed_or_what_speaks_of_other_files_does_not_count(made):
    found = facts(made)
    by_sealer = kept(made, found, purpose=Purpose.SEALER)
    assert by_sealer.standing is Standing.NONE
    assert "LG-2003" in by_sealer.why
    other = {LOCK_SUBJECT: "1" * 64, HOST_SUBJECT: found.host_sha256}
    assert "LG-2fc1" in kept(made, found, subjects=other).why
    side = made.side
    keep(side, {NEWEST: b'{"payload":"e30="}'})
    assert rehearsed(side).standing is Standing.NONE
    assert sealing(made) == (4, "LG-3008")


def test_a_newer_profile_of_the_host_makes_it_stale(made):
    assert kept(made, facts(made)).passed
    assert kept(made, facts(made), host=b"another host").standing is Standing.STALE


def test_nothing_is_tried_without_the_manifest_of_the_lock_or_a_host(made, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(f"{DOCUMENTS}# changed\n")
    with pytest.raises(OtherManifestError):
        rehearse(made.side, other, made.host(), Silent())
    fresh = Rehearsing.make(tmp_path / "fresh")
    fresh.collect(DOCUMENTS)
    with pytest.raises(HostWantedError):
        rehearse(fresh.side, fresh.manifest, None, Silent())
    assert fresh.left() == []


def test_a_lane_whose_policy_demands_none_is_warned_and_seals(tmp_path):
    fresh = Rehearsing.make(tmp_path / "fresh")
    fresh.collect(DOCUMENTS)
    ran = Commands().run("seal", "--home", fresh.lane.low)
    assert ran.status == 0
    assert "not rehearsed" in ran.err


def test_versions_of_python_are_told_in_their_order(made):
    pythons = tuple(
        Interpreter(implementation=kind, version=version)
        for kind, version in (
            ("cpython", "3.12.1"),
            ("cpython", "3.9.2"),
            ("pypy", "3.10.1"),
            ("cpython", "3.12.4"),
        )
    )
    assert host_profile(made.side, pythons=pythons).minors == ("3.9", "3.12")
