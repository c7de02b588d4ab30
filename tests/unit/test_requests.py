"""Requests on both sides: kept, approved by two as a list of package URLs, carried, met, followed."""

import base64
import json
import re

import pytest

from corpora.commands import Commands
from corpora.wholelane import WholeLane
from lockgate.advisories import manifest_of_requests
from lockgate.advisories.errors import BadPackageError
from lockgate.app.gate.decisions import ask as ask_for
from lockgate.app.gate.gate import operator_key, write_request
from lockgate.app.settings import load_settings
from lockgate.app.wishes.high import LIST_FORMAT, SignedLists
from lockgate.approve import combine
from lockgate.core.statement import Operation
from lockgate.core.wire import encode
from lockgate.core.wish import WishError, meets, plain_purl

run, say, refused = Commands().run, Commands().json, Commands().refused


@pytest.mark.parametrize(
    "purl",
    [
        "pkg:npm/%40garden/tree@1.0.0",
        "pkg:pypi/httpx",
        "pkg:deb/debian/openssl@3.0.11-1~deb12u2",
        "pkg:npm/a@1.0.0-rc.1",
    ],
)
def test_a_plain_package_url_is_taken(purl):
    assert plain_purl(purl) == purl


@pytest.mark.parametrize(
    "purl",
    [
        "", "left-pad", "pkg:npm", "pkg:npm/a?x=secret", "pkg:npm/a#sub", "pkg:npm/a@1 2", "pkg:npm/ä",
        "pkg:npm/a%0Ab", "pkg:npm/a%20b", "pkg:npm/" + "a" * 300, "pkg:generic/x/../y",
    ],
)  # fmt: skip
def test_what_could_carry_a_message_out_is_refused(purl):
    with pytest.raises(WishError):
        plain_purl(purl)


def test_a_request_without_a_version_is_met_by_any():
    assert meets("pkg:npm/a", "pkg:npm/a@1.0.0")
    assert meets("pkg:npm/a@1.0.0", "pkg:npm/a@1.0.0")
    assert not meets("pkg:npm/a@1.0.0", "pkg:npm/a@1.0.1")
    assert not meets("pkg:npm/a", "pkg:pypi/a@1.0.0")
    assert not meets("pkg:npm/%40x/a", "pkg:npm/a@1.0.0")


def test_requests_become_tables_of_their_ecosystems():
    text = manifest_of_requests(["pkg:npm/%40a/b@1.0.0", "pkg:npm/c", "pkg:pypi/x@2.0", "pkg:deb/debian/y"])
    assert '[[python]]\nrequirements = [\n    "x==2.0",\n]' in text
    assert '[[npm]]\npackages = [\n    "@a/b@1.0.0",\n    "c",\n]' in text
    assert "#   pkg:deb/debian/y" in text
    for bad in ("pkg:npm/a@1", "pkg:pypi/x@latest", "pkg:npm/-x@1.0.0"):
        with pytest.raises(BadPackageError):
            manifest_of_requests([bad])


PURL = re.compile(r"pkg:generic/notes/01-pump\.md@[0-9a-f]{12}")


@pytest.fixture(scope="module")
def lane(tmp_path_factory):
    """Return a lane whose first crossing is published."""
    return WholeLane.make(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def high(lane):
    return ("--home", lane.high)


@pytest.fixture
def low(lane):
    return ("--home", lane.low)


def signed(lane, request, tmp_path):
    """Return the list as two approvers sign it apart."""
    pin = say("config", "show", "--home", lane.high)["trust"]["site_pin"]
    root = ("--site-root", lane.high / "trust/site.dsse.json", "--pin", pin, "--yes")
    files = []
    for n in (1, 2):
        files.append(tmp_path / f"approved-{n}.json")
        key = ("--key", lane.folder / f"lane/people/approver-{n}", "--out", files[-1])
        say("approve", request, *key, *root, "--state", tmp_path / f"state-{n}")
    return files


def ask(lane, *numbers):
    words = [word for number in numbers for word in ("--number", number)]
    key = lane.folder / "lane/people/operator"
    return say("request", "approve", *words, "--key", key, "--home", lane.high)["request"]


def wish(purl, high):
    return say("request", purl, "--reason", "for the editor", "--owner", "ann", *high)


def state(number, high):
    return say("request", "show", number, *high)["state"]


def test_the_whole_way_of_a_request(lane, high, low, tmp_path):
    (served,) = {a.artifact.purl for a in lane.served().snapshot.admitted}
    assert PURL.fullmatch(served)
    there, wanted = wish(served, high), wish("pkg:npm/%40garden/tree@1.0.0", high)
    assert (there["state"], there["crossing"]) == ("available", 1)
    assert wanted["state"] == "requested"
    files = signed(lane, ask(lane, wanted["number"]), tmp_path)
    assert refused("request", "approve", files[0], *high)[1]["code"] == "LG-3002"
    assert say("request", "approve", *files, *high)["approved"] == [wanted["number"]]
    assert refused("request", "approve", *files, *high)[1]["code"] == "LG-3402"
    assert state(wanted["number"], high) == "approved"

    out = tmp_path / "requests.json"
    assert say("request", "export", "--out", out, *high)["lists"] == 1
    carried = out.read_bytes()
    assert b"ann" not in carried
    said = say("low", "wanted", out, *low)
    assert said["purls"] == ["pkg:npm/%40garden/tree@1.0.0"]
    assert '"@garden/tree@1.0.0"' in said["manifest"]
    (row,) = say("request", "list", *low)
    assert (row["state"], row["crossing"]) == ("approved", 0)

    for change in (b'"lane":"plant"', b'"lane":"other"'), (carried[200:204], b"AAAA"):
        (tmp_path / "altered.json").write_bytes(carried.replace(*change, 1))
        status, _ = refused("low", "wanted", tmp_path / "altered.json", *low)
        assert status in {2, 3}
    assert say("request", "list", *low)[0]["state"] == "approved"


def test_the_list_that_leaves_holds_package_urls_alone(lane, high, tmp_path):
    first, second = wish("pkg:npm/zebra", high), wish("pkg:npm/ant@1.0.0", high)
    envelope = json.loads(ask_file(lane, first["number"], second["number"]).read_bytes())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert statement["operation"] == "requests"
    assert statement["facts"] == {"package 001": "pkg:npm/ant@1.0.0", "package 002": "pkg:npm/zebra"}
    assert "editor" not in json.dumps(statement)


def ask_file(lane, *numbers):
    from pathlib import Path

    return Path(ask(lane, *numbers))


def smuggled(lane, tmp_path, facts, operation=Operation.REQUESTS):
    """Return a list with facts of somebody's choice, which an operator asks for and two persons sign."""
    side = load_settings(lane.high)
    envelope = ask_for(side, operation, facts, operator_key(side, lane.folder / "lane/people/operator"))
    return signed(lane, write_request(side, "smuggled", envelope, tmp_path / "smuggled.json"), tmp_path)


def carried(files, folder):
    """Return the signed list as it would leave, whoever wrote the file."""
    envelope = combine([file.read_bytes() for file in files])
    lists = SignedLists(format=LIST_FORMAT, lane="plant", lists=(base64.b64encode(envelope).decode(),))
    file = folder / "carried.json"
    file.write_bytes(encode(lists))
    return file


@pytest.mark.parametrize(
    "facts",
    [
        {"package 001": "pkg:npm/a", "note": "pkg:npm/b"},
        {"package 001": "pkg:npm/b", "package 002": "pkg:npm/a"},
        {"package 001": "pkg:npm/a?hidden=1"},
        {"package 001": "pkg:npm/a", "package 002": "pkg:npm/a"},
        {},
    ],
)
def test_a_list_that_says_more_is_taken_on_neither_side(lane, high, low, tmp_path, facts):
    files = smuggled(lane, tmp_path, facts)
    codes = {"LG-3401", "LG-1006", "LG-4f70"}
    assert refused("request", "approve", *files, *high)[1]["code"] in codes
    assert refused("low", "wanted", carried(files, tmp_path), *low)[1]["code"] in codes


def test_another_decision_of_two_persons_is_no_list(lane, low, tmp_path):
    files = smuggled(lane, tmp_path, {"package 001": "pkg:npm/a"}, Operation.VEX)
    assert refused("low", "wanted", carried(files, tmp_path), *low)[1]["code"] == "LG-3401"


def test_a_refused_request_tells_why_and_stays_refused(lane, high, tmp_path):
    number = wish("pkg:npm/unwanted", high)["number"]
    key = ("--key", lane.folder / "lane/people/operator")
    done = say("request", "refuse", number, "--reason", "use another", *key, *high)
    assert done["state"] == "refused"
    assert done["refusal"].startswith("use another (")
    again = refused("request", "refuse", number, "--reason", "again", *key, *high)
    assert again[1]["code"] == "LG-3f70"
    asked = refused("request", "approve", "--number", number, *key, *high)
    assert asked[1]["code"] == "LG-3f70"
    assert refused("request", "show", 999, *high)[1]["code"] == "LG-1f72"


def test_what_is_refused_after_it_was_signed_is_not_approved(lane, high, tmp_path):
    number = wish("pkg:npm/second-thoughts", high)["number"]
    files = signed(lane, ask(lane, number), tmp_path)
    key = ("--key", lane.folder / "lane/people/operator")
    say("request", "refuse", number, "--reason", "no longer", *key, *high)
    assert refused("request", "approve", *files, *high)[1]["code"] == "LG-3f70"


def test_requests_are_bounded(lane, high, monkeypatch):
    monkeypatch.setattr("lockgate.app.wishes.high.WISH_LIMIT", 0)
    _, error = refused("request", "pkg:npm/one-more", "--reason", "r", "--owner", "o", *high)
    assert error["code"] == "LG-4f70"


def test_a_request_that_names_no_package_is_refused(high):
    words = ("--reason", "r", "--owner", "o", *high)
    assert refused("request", "pkg:npm/a?secret=1", *words)[1]["code"] == "LG-1006"
    assert refused("request", "new", "left-pad", *words)[1]["code"] == "LG-1006"


def test_the_low_side_follows_a_package_to_the_crate_and_back(lane, high, low, tmp_path):
    lock = json.loads((lane.low / "locks/lock.json").read_bytes())
    purl = next(a["purl"] for a in lock["artifacts"] if "02-valve" in a["purl"])
    number = wish(purl, high)["number"]
    say("request", "approve", *signed(lane, ask(lane, number), tmp_path), *high)
    out = tmp_path / "requests.json"
    say("request", "export", "--out", out, *high)
    said = say("low", "wanted", out, *low)
    assert purl not in said["purls"]

    def low_state():
        return next(row for row in say("request", "list", *low) if row["purl"] == purl)

    assert low_state()["state"] == "collected"
    lane.demand(lane.run("seal"))
    assert (low_state()["state"], low_state()["crossing"]) == ("sealed", 2)
    lane.carry(2)
    lane.demand(lane.run("receive"))
    assert state(number, high) == "inspecting"
    lane.ask(2)
    lane.demand(lane.run("publish"))
    assert say("request", "show", number, *high)["state"] == "available"
    assert json.loads(out.read_bytes())["lists"]
    say("request", "export", "--out", out, *high)
    remaining = {row["purl"] for row in say("request", "list", *high) if row["state"] == "approved"}
    assert purl not in remaining


def test_misses_are_listed_most_often_first(lane, high):
    file = lane.high / "run/misses.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text('[{"count":1,"name":"a","protocol":"npm"},{"count":5,"name":"b","protocol":"pypi"}]')
    assert [m["name"] for m in say("request", "misses", *high)] == ["b", "a"]
    file.write_text("{")
    assert say("request", "misses", *high) == []
