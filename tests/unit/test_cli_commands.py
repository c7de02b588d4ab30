"""Commands on a real lane without a network: what they print, and how they end when refused."""

import errno
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from corpora.commands import Commands
from delta_files import foreign_tgz
from lockgate.app.settings import ANY_NAME, SettingsError
from lockgate.app.targets import TargetSection
from lockgate.cli import main as cli_main
from lockgate.core.digests import words


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCKGATE_HOME", "LOCKGATE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def commands() -> Commands:
    return Commands()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lane with one crossing published, made by commands alone; the tests copy it."""
    folder = tmp_path_factory.mktemp("lane")
    (folder / "documents").mkdir()
    (folder / "documents" / "01-pump.md").write_text("# Pump\n\nThe pump has two valves.\n")
    (folder / "manifest.toml").write_text('[[documents]]\ncollection = "notes"\nfolder = "documents"\n')
    return folder


@pytest.fixture(scope="module")
def published(made: Path) -> dict[str, Any]:
    low, high = ("--home", made / "lane/low"), ("--home", made / "lane/high")
    lockgate = Commands().json
    said = {"init": lockgate("lane", "init", made / "lane", "--name", "plant")}
    said["collect"] = lockgate("collect", made / "manifest.toml", "--offline", *low)
    said["plan"] = lockgate("seal", "--plan", *low)
    said["seal"] = lockgate("seal", *low)
    crate = Path(said["seal"]["path"])
    shutil.copytree(crate, made / "lane/high/inbox" / crate.name)
    said["receive"] = lockgate("receive", made / "lane/high/inbox" / crate.name, *high)
    said["inspect"] = lockgate("gate", "inspect", 1, *high)
    said["request"] = lockgate("gate", "request", 1, "--key", made / "lane/people/operator", *high)
    root = (
        "--site-root",
        made / "lane/high/trust/site.dsse.json",
        "--pin",
        said["init"]["site_pin"],
        "--yes",
    )
    for n in (1, 2):
        key = ("--key", made / f"lane/people/approver-{n}", "--out", made / f"approved-{n}.json")
        state = ("--state", made / "state")
        said[f"approve-{n}"] = lockgate("approve", said["request"]["request"], *key, *root, *state)
    said["publish"] = lockgate("gate", "publish", made / "approved-1.json", made / "approved-2.json", *high)
    return said


@pytest.fixture
def lane(made: Path, published: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the lane to work on, as the present folder."""
    assert published["publish"]["operation"] == "publish"
    shutil.copytree(made, tmp_path / "copy", symlinks=True)
    monkeypatch.chdir(tmp_path / "copy")
    # Each copy of the log goes on by itself: what one approver's device saw is not another's.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "copy" / "lane"


def test_a_byte_goes_the_whole_way_by_commands(published: dict[str, Any]) -> None:
    assert published["init"]["assurance"] == "demo"
    assert (published["collect"]["artifacts"], published["collect"]["files"]) == (1, 1)
    assert published["plan"]["sequence"] == published["seal"]["sequence"] == 1
    assert published["receive"]["crate_sha256"] == published["seal"]["sha256"]
    assert published["receive"]["sealer"] == "low-sealer"
    assert published["inspect"]["outcomes"] == {"clean": 1}
    assert published["inspect"]["held"] == []
    assert published["request"]["statement"]["requester"] == "operator"
    assert [published[f"approve-{n}"]["person"] for n in (1, 2)] == ["approver-1", "approver-2"]
    assert published["publish"]["channel_version"] == 1


def test_the_gate_lists_and_shows_what_it_holds(commands: Commands, lane: Path) -> None:
    listed = commands.json("gate", "list", "--home", lane / "high")
    assert [c["state"] for c in listed["crossings"]] == ["published"]
    assert listed["channels"]["stable"]["version"] == 1
    shown = commands.json("gate", "show", 1, "--home", lane / "high")
    assert [v["path"] for v in shown["verdicts"]] == ["documents/notes/01-pump.md"]
    for words_ in (("list",), ("show", 1)):
        text = commands.run("gate", *words_, "--home", lane / "high")
        assert text.status == 0
        assert "1" in text.out


def test_events_are_shown_newest_last(commands: Commands, lane: Path) -> None:
    events = commands.json("audit", "show", "--home", lane / "high")
    assert [e["index"] for e in events] == list(range(len(events)))
    assert {"open", "receive", "inspect", "request", "execute"} == {
        e["action"] for e in events if "action" in e
    }
    assert events[-1]["status"] == "done"
    assert commands.json("audit", "show", "--last", 2, "--home", lane / "high") == events[-2:]
    assert commands.json("audit", "show", "--last", 0, "--home", lane / "high") == []
    text = commands.run("audit", "show", "--last", 1, "--home", lane / "high").out
    assert f"done of {events[-1]['intent']}" in text


def test_the_log_is_verified_and_proofs_are_checked_without_a_home(commands: Commands, lane: Path) -> None:
    high = ("--home", lane / "high")
    whole = commands.json("audit", "verify", *high)
    assert whole["tail"] == whole["size"] == len(commands.json("audit", "show", *high))
    assert "The log holds" in commands.run("audit", "verify", *high).out
    proof = lane / "proof.json"
    made = commands.json("audit", "prove", 3, "--out", proof, *high)
    assert made["event"] == {
        k: v for k, v in commands.json("audit", "show", *high)[3].items() if k != "index"
    }
    pin = commands.json("config", "show", *high)["trust"]["site_pin"]
    apart = ("--proof", proof, "--site-root", lane / "low/trust/site.dsse.json", "--pin", pin)
    checked = commands.json("audit", "verify", *apart)
    assert (checked["holds"], checked["size"], checked["root"]) == (True, whole["size"], whole["root"])
    assert commands.json("audit", "verify", "--proof", proof, *high) == checked
    assert commands.refused("audit", "verify", *apart[:-1], "0" * 64)[1]["code"] == "LG-2104"
    proof.write_bytes(proof.read_bytes().replace(b'"index":3', b'"index":2'))
    status, error = commands.refused("audit", "verify", *apart)
    assert (status, error["code"]) == (3, "LG-2301")


def test_a_log_that_was_altered_does_not_verify(commands: Commands, lane: Path) -> None:
    with sqlite3.connect(lane / "high/audit.sqlite") as base:
        changed = "CAST(replace(CAST(value AS TEXT), 'done', 'fine') AS BLOB)"
        base.execute(f"UPDATE records SET value = {changed} WHERE collection = 'audit-leaf'")  # noqa: S608
    base.close()
    status, error = commands.refused("audit", "verify", "--home", lane / "high")
    assert (status, error["code"]) == (3, "LG-2301")


def test_roots_are_shown_with_the_words_of_their_pins(commands: Commands, lane: Path) -> None:
    for name in ("low", "high"):
        roots = commands.json("root", "show", "--home", lane / name)
        assert [r["kind"] for r in roots] == ["supply", "site"]
        assert [r["words"] for r in roots] == [words(r["pin"]) for r in roots]
        assert {h["person"] for h in roots[1]["keys"].values()} >= {"approver-1", "operator"}
        text = commands.run("root", "show", "--home", lane / name).out
        assert all(r["words"] in text.replace("\n", "") for r in roots)


def test_settings_in_force_and_every_key_explained(
    commands: Commands, lane: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCKGATE_SERVE__GATEWAY_PORT", "9999")
    shown = commands.json("config", "show", "--home", lane / "high")
    assert shown["serve"]["gateway_port"] == 9999
    text = commands.run("config", "show", "--home", lane / "high").out
    assert "gateway_port = 9999" in text
    keys = [f"{section}.{key}" for section, part in shown.items() for key in part]
    explained = [entry["key"] for entry in commands.json("config", "explain")]
    named = f"targets.{ANY_NAME}."  # one table for each name that a site gives
    assert [key for key in explained if not key.startswith(named)] == keys
    assert {key.removeprefix(named) for key in explained} - set(keys) == set(TargetSection.model_fields)
    text = commands.run("config", "explain").out
    assert all(key in text for key in keys)


def test_the_home_can_come_from_the_environment(
    commands: Commands, lane: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCKGATE_HOME", str(lane / "low"))
    assert commands.json("config", "show")["lane"]["side"] == "low"
    assert commands.json("config", "show", "--home", lane / "high")["lane"]["side"] == "high"


def test_the_doctor_looks_at_machine_and_side(commands: Commands, lane: Path) -> None:
    machine = {p["name"]: p for p in commands.json("doctor")}
    assert machine["Python"]["state"] == "ok"
    assert "Configuration" not in machine
    side = {p["name"]: p["state"] for p in commands.json("doctor", "--home", lane / "high")}
    assert {side[n] for n in ("Configuration", "Supply root", "Site root")} == {"ok"}
    (lane / "high/trust/site.dsse.json").write_bytes(b"{}")
    ran = commands.run("doctor", "--home", lane / "high", "--json")
    assert ran.status == 1
    points = {p["name"]: p for p in ran.value}
    assert points["Site root"]["state"] == "missing"
    assert points["Site root"]["detail"].startswith("LG-")
    assert points["Supply root"]["state"] == "ok"
    assert "missing" in commands.run("doctor", "--home", lane / "absent").out


def approve(lane: Path, statement: Path, person: str, out: Path) -> tuple[object, ...]:
    pin = tomllib.loads((lane / "high/lockgate.toml").read_text())["trust"]["site_pin"]
    key = ("--key", lane / "people" / person, "--out", out, "--yes")
    return ("approve", statement, *key, "--site-root", lane / "high/trust/site.dsse.json", "--pin", pin)


def test_refusals_end_with_the_status_of_whose_fault_it_is(commands: Commands, lane: Path) -> None:
    high, low = ("--home", lane / "high"), ("--home", lane / "low")
    statement = lane / "high/pending/publish-000001.json"
    absent = lane / "absent.json"
    key = ("--key", lane / "people/operator")
    wanted: list[tuple[tuple[object, ...], int, str]] = [
        (("gate", "show", 9, *high), 2, "LG-1801"),
        (("gate", "inspect", 1, *high), 2, "LG-1802"),
        (("gate", "rollback", *key, *high), 2, "LG-1802"),
        (("gate", "request", 1, "--key", lane / "people/approver-1", *high), 2, "LG-1101"),
        (("gate", "list", *low), 2, "LG-1f01"),
        (("gate", "list", "--home", lane / "absent"), 2, "LG-1f01"),
        (("gate", "publish", absent, *high), 2, "LG-1f09"),
        (("gate", "publish", statement, *high), 4, "LG-3002"),
        (approve(lane, absent, "approver-1", lane / "x.json"), 2, "LG-1f09"),
        (approve(lane, statement, "operator", lane / "x.json"), 4, "LG-3001"),
        (approve(lane, statement, "site-holder-1", lane / "x.json"), 2, "LG-1101"),
        ((*approve(lane, statement, "approver-1", lane / "x.json")[:-1], "0" * 64), 3, "LG-2104"),
        (("audit", "prove", 99, "--out", lane / "x.json", *high), 2, "LG-1301"),
        (("audit", "prove", 0, "--out", lane / "people", *high), 2, "LG-1f09"),
        (("audit", "verify", "--proof", absent, *high), 2, "LG-1f09"),
        (("audit", "verify", "--proof", statement, *high), 2, "LG-1001"),
        (("receive", lane / "absent", *high), 2, ""),
        (("lane", "init", lane), 2, "LG-1f02"),
        (("lane", "init", lane / "new", "--name", "A B"), 2, "LG-1000"),
        (("seal", *high), 2, "LG-1f01"),
        (("ask", "why?", "--key-file", absent, *high), 2, "LG-1f09"),
        (("ask", "why?", *high), 2, "LG-1f07"),
    ]
    for call, status, code in wanted:
        found, error = commands.refused(*call)
        assert (found, error["code"]) == (status, code or error["code"]), (call, error)
        assert error["error"].endswith("."), error
        assert error["advice"], error
    assert not (lane / "x.json").exists()


def test_the_program_itself_ends_with_the_status_and_keeps_its_outputs_apart(lane: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "lockgate.cli.main",
        "gate",
        "show",
        "9",
        "--home",
        "lane/high",
        "--json",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (ran.returncode, ran.stdout, json.loads(ran.stderr)["code"]) == (2, "", "LG-1801")
    assert lane.is_dir()


def test_people_read_the_code_the_sentence_the_facts_and_what_to_do(commands: Commands, lane: Path) -> None:
    ran = commands.run("gate", "publish", lane / "high/pending/publish-000001.json", "--home", lane / "high")
    assert (ran.status, ran.out) == (4, "")
    assert ran.err.startswith("LG-3002 0 of 2 needed persons approved (nobody).")
    assert "What to do: Show the statement to another approver" in ran.err.replace("\n", " ")
    assert "Traceback" not in ran.err


def test_an_approver_sees_what_they_sign_and_may_say_no(
    commands: Commands, lane: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = lane / "high/pending/publish-000001.json"
    call = [w for w in approve(lane, statement, "approver-3", lane / "x.json") if w != "--yes"]
    asked: list[str] = []

    def answer(text: str, *, yes: bool) -> bool:
        asked.append(text)
        return yes

    monkeypatch.setattr("typer.confirm", lambda text: answer(text, yes=False))
    ran = commands.run(*call)
    assert (ran.status, asked) == (1, ["Sign exactly this?"])
    assert "snapshot_sha256" in ran.out
    assert not (lane / "x.json").exists()
    monkeypatch.setattr("typer.confirm", lambda text: answer(text, yes=True))
    assert "approver-3 signed" in commands.run(*call).out
    assert (lane / "x.json").is_file()


def test_a_second_publication_and_a_rollback_by_commands(commands: Commands, lane: Path) -> None:
    high, low, key = ("--home", lane / "high"), ("--home", lane / "low"), ("--key", lane / "people/operator")
    (lane.parent / "documents/02-valve.md").write_text("# Valve\n\nIt opens to the left.\n")
    commands.json("collect", lane.parent / "manifest.toml", "--offline", *low)
    crate = Path(commands.json("seal", *low)["path"])
    assert commands.json("receive", crate, *high)["sequence"] == 2
    assert commands.json("gate", "inspect", 2, *high)["outcomes"] == {"clean": 2}
    first = commands.json("gate", "list", *high)["channels"]["stable"]["snapshot_sha256"]

    def carry_out(request: str) -> dict[str, Any]:
        for person in ("approver-2", "approver-3"):
            commands.json(*approve(lane, Path(request), person, lane / f"{person}.json"))
        done: dict[str, Any] = commands.json("gate", "publish", *lane.glob("approver-*.json"), *high)
        return done

    assert carry_out(commands.json("gate", "request", 2, *key, *high)["request"])["channel_version"] == 2
    back = carry_out(commands.json("gate", "rollback", *key, *high)["request"])
    assert (back["operation"], back["snapshot_sha256"]) == ("rollback", first)
    now = commands.json("gate", "list", *high)["channels"]["stable"]
    assert (now["version"], now["snapshot_sha256"]) == (3, first)
    assert commands.json("audit", "verify", *high)["size"] > 10
    assert commands.refused("receive", crate, *high)[0] == 3


def test_a_second_crossing_is_a_delta_unless_said_otherwise(commands: Commands, lane: Path) -> None:
    high, low = ("--home", lane / "high"), ("--home", lane / "low")
    page = lane.parent / "documents/01-pump.md"
    page.write_text("# Pump\n\nThe pump has three valves.\n" + "It is primed by hand.\n" * 300)
    (lane.parent / "documents/02-same.md").write_text("# Same\n")
    commands.json("collect", lane.parent / "manifest.toml", "--offline", *low)
    commands.json("receive", commands.json("seal", *low)["path"], *high)
    page.write_text(page.read_text().replace("three", "four"))
    commands.json("collect", lane.parent / "manifest.toml", "--offline", *low)
    kinds = {}
    for choice in ((), ("--since", "1"), ("--full",)):
        plan = commands.json("seal", "--plan", *choice, *low)
        kinds[choice] = (
            plan["kind"],
            sorted(plan["bases"]),
            [a["kind"] for a in plan["artifacts"] if a["path"].startswith("documents")],
        )
    assert kinds == {
        (): ("delta", ["2"], ["patch", "same"]),
        ("--since", "1"): ("delta", ["1"], ["patch", "whole"]),
        ("--full",): ("full", [], ["whole", "whole"]),
    }
    assert commands.run("seal", "--full", "--since", "1", *low).status == 2
    crate = commands.json("seal", *low)["path"]
    assert commands.json("receive", crate, *high)["sequence"] == 3
    assert commands.json("gate", "inspect", 3, *high)["outcomes"] == {"clean": 2}


def test_the_plan_names_members_whose_compressor_cannot_be_run_again(
    commands: Commands, lane: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockgate.crossing.delta.recompress.TOKENS_LIMIT", 0)
    high, low = ("--home", lane / "high"), ("--home", lane / "low")
    with (lane.parent / "manifest.toml").open("a") as manifest:
        manifest.write('include = ["**/*"]\n')
    archive = lane.parent / "documents/02-logs.gz"
    for changes in (0, 40):
        archive.write_bytes(foreign_tgz("1.0", changes))
        commands.json("collect", lane.parent / "manifest.toml", "--offline", *low)
        if not changes:
            commands.json("receive", commands.json("seal", *low)["path"], *high)
    (planned,) = (a for a in commands.json("seal", "--plan", *low)["artifacts"] if a["path"].endswith(".gz"))
    assert planned["kept"] == ["02-logs#1"]
    assert planned["why"].endswith("1 member is not taken apart (its compressor is unknown here): 02-logs#1")
    cells = [line.split("│") for line in commands.run("seal", "--plan", *low).out.splitlines()]
    assert "02-logs#1" in "".join(row[-2].strip() for row in cells if len(row) > 2)


def test_an_error_of_python_is_one_sentence_and_a_traceback_only_with_debug(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(arguments: list[str]) -> None:
        raise ZeroDivisionError(arguments)

    monkeypatch.setattr(cli_main, "app", broken)
    status, error = commands.refused("doctor")
    assert (status, error["code"]) == (1, "LG-0000")
    assert "ZeroDivisionError" in error["error"]
    assert "--debug" in error["advice"]
    with pytest.raises(ZeroDivisionError):
        commands.run("--debug", "doctor")


@pytest.mark.parametrize(
    ("line", "named", "advised"),
    [
        (("gat", "list"), "No such command 'gat'.", "`lockgate gate`"),
        (("gate", "isnpect", 1), "'isnpect'", "`lockgate gate inspect`"),
        (("gate", "show", "one"), "sequence", "`lockgate gate show --help`"),
        (("gate", "request", 1), "--key", "`lockgate gate request --help`"),
        (("seal", "--bogus"), "--bogus", "`lockgate seal --help`"),
    ],
)
def test_a_wrong_command_line_has_a_code_and_says_what_it_takes(
    commands: Commands, line: tuple[object, ...], named: str, advised: str
) -> None:
    status, error = commands.refused(*line)
    assert (status, error["code"]) == (2, "LG-1f21")
    assert named in error["error"]
    assert advised in error["advice"]
    text = commands.run(*line)
    assert text.status == 2
    assert "LG-1f21" in text.err
    assert "What to do:" in text.err


def test_a_question_that_nobody_answers_is_an_error_with_a_code(
    commands: Commands, lane: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    line = approve(lane, lane / "high/pending/publish-000001.json", "approver-3", lane / "third.json")
    ran = commands.run(*(word for word in line if word != "--yes"))
    assert ran.status == 2
    assert "LG-1f22" in ran.err
    assert not (lane / "third.json").exists()


@pytest.mark.parametrize(
    ("number", "advised"), [(errno.ENOSPC, "Free space"), (errno.EACCES, "right"), (errno.ENXIO, "Mend")]
)
def test_what_the_system_refuses_is_named_with_its_file(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, number: int, advised: str
) -> None:
    def refused(arguments: list[str]) -> None:
        raise OSError(number, os.strerror(number), f"a-file-of-{arguments[0]}")

    monkeypatch.setattr(cli_main, "app", refused)
    status, error = commands.refused("doctor")
    assert (status, error["code"]) == (6, "LG-5f22")
    assert "a-file-of-doctor" in error["error"]
    assert advised in error["advice"]


def test_the_wrong_side_and_no_side_are_told_how_to_name_the_right_one(
    commands: Commands, lane: Path
) -> None:
    for line in (("seal", "--home", lane / "high"), ("gate", "list", "--home", lane / "low")):
        assert "--home" in commands.refused(*line)[1]["advice"]
    assert "`lockgate lane init`" in commands.refused("gate", "list", "--home", lane)[1]["advice"]


def test_a_file_of_another_kind_is_named(commands: Commands, lane: Path) -> None:
    other = lane.parent / "manifest.toml"
    request = lane / "high/pending/publish-000001.json"
    line = approve(lane, other, "approver-1", lane / "signed.json")
    assert commands.refused(*line)[1]["where"]["file"] == str(other)
    root = (lane / "high/trust/site.dsse.json", other)
    line = [root[1] if word == root[0] else word for word in approve(lane, request, "approver-1", other)]
    assert commands.refused(*line)[1]["where"]["file"] == str(other)
    proof = ("audit", "verify", "--proof", other, "--home", lane / "high")
    assert commands.refused(*proof)[1]["where"]["file"] == str(other)


@pytest.mark.parametrize(
    ("place", "line", "code"),
    [
        ("high/trust/site.dsse.json", ("gate", "list"), "LG-1001"),
        ("high/trust/1.root.json", ("root", "show"), "LG-1102"),
        ("high/lockgate.toml", ("gate", "list"), "LG-1f01"),
        ("high/keys/inspector.pem", ("gate", "list"), "LG-1101"),
        ("high/records.sqlite", ("gate", "list"), "LG-5202"),
        ("high/audit.sqlite", ("audit", "verify"), "LG-5202"),
        ("high/pending/publish-000001.log.json", ("approve",), "LG-1001"),
        ("approved-2.json", ("gate", "publish"), "LG-1001"),
        ("low/locks/lock.json", ("seal",), "LG-1001"),
    ],
)
def test_a_file_with_one_wrong_byte_is_named_and_left_as_it_is(
    commands: Commands, lane: Path, place: str, line: tuple[str, ...], code: str
) -> None:
    high, low = ("--home", lane / "high"), ("--home", lane / "low")
    lines: dict[tuple[str, ...], tuple[object, ...]] = {
        ("approve",): approve(lane, lane / "high/pending/publish-000001.json", "approver-3", lane / "x"),
        ("gate", "publish"): (
            *("gate", "publish", lane.parent / "approved-1.json", lane.parent / "approved-2.json"),
            *high,
        ),
        ("seal",): ("seal", *low),
    }
    file = lane / place if (lane / place).exists() else lane.parent / place
    if file.suffix == ".sqlite":
        with closing(sqlite3.connect(file)) as base:  # what stands in its log is read from there
            base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(file.read_bytes())
    data[0] ^= 1  # an opening brace, bracket or dash, or the first letter of a database's mark
    file.write_bytes(bytes(data))
    status, error = commands.refused(*lines.get(line, (*line, *high)))
    assert status == int({"1": 2, "2": 3, "5": 6}[code[3]])
    assert error["code"] == code
    assert str(file) in {*map(str, error["where"].values())} or str(file) in error["error"]
    assert error["advice"]
    assert file.read_bytes() == bytes(data)


def test_a_folder_without_the_key_of_the_role_is_named(commands: Commands, lane: Path) -> None:
    for folder, said in (("approver-1", "holds no operator.pem"), ("nobody", "There is no folder")):
        line = ("gate", "request", 1, "--key", lane / "people" / folder, "--home", lane / "high")
        status, error = commands.refused(*line)
        assert (status, error["code"]) == (2, "LG-1101")
        assert said in error["error"]
        assert "operator.pass" in error["advice"]


def test_an_approver_sees_every_digest_whole_on_a_narrow_terminal(
    commands: Commands, lane: Path, published: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    line = approve(lane, lane / "high/pending/publish-000001.json", "approver-3", lane / "third.json")
    shown = "".join(row.split("│")[2].strip() for row in commands.run(*line).out.splitlines() if "│" in row)
    for name in ("crate_sha256", "snapshot_sha256", "verdicts_sha256", "policy_sha256", "log_checkpoint"):
        assert published["request"]["statement"][name].replace(" ", "") in shown.replace(" ", "")
    assert "…" not in shown


def test_a_file_that_is_no_api_key_is_not_printed(commands: Commands, lane: Path) -> None:
    secret = lane.parent / "secret"
    secret.write_text("first line of a secret\nsecond line of it\n")
    ran = commands.run("ask", "Who?", "--key-file", secret, "--home", lane / "high")
    assert ran.status == 2
    assert "LG-1f07" in ran.err
    assert "of a secret" not in ran.out + ran.err
    assert "second line" not in ran.out + ran.err


def test_debug_shows_where_an_error_of_ours_came_from(commands: Commands, lane: Path) -> None:
    with pytest.raises(SettingsError):
        commands.run("--debug", "config", "show", "--home", lane / "absent")


def test_people_get_text_where_programs_get_json(commands: Commands, lane: Path) -> None:
    high, low, key = ("--home", lane / "high"), ("--home", lane / "low"), ("--key", lane / "people/operator")
    (lane.parent / "documents/03-hose.md").write_text("# Hose\n\nTwo metres long.\n")

    def text(*words_: object) -> str:
        ran = commands.run(*words_)
        assert ran.status == 0, ran.err
        with pytest.raises(json.JSONDecodeError):
            json.loads(ran.out)
        return ran.out.replace("\n", " ")

    assert "assurance: demo" in text("lane", "init", lane / "second", "--name", "other")
    assert "03-hose" in text("collect", lane.parent / "manifest.toml", "--offline", *low)
    assert "Nothing changed" in text("collect", lane.parent / "manifest.toml", "--offline", *low)
    assert "vol-0001" in text("seal", "--plan", *low)
    assert "Crossing 2 sealed" in text("seal", *low)
    crate = next((lane / "low/outbox").glob("crate-000002-*"))
    assert "Crossing 2 verified: sealed by low-sealer" in text("receive", crate, *high)
    assert "2 clean" in text("gate", "inspect", 2, *high)
    assert "Request to reject crossing 2" in text("gate", "reject", 2, *key, *high)
    signed = []
    for person in ("approver-1", "approver-2"):
        signed.append(lane / f"{person}.json")
        assert f"{person} signed" in text(
            *approve(lane, lane / "high/pending/reject-000002.json", person, signed[-1])
        )
    assert "reject of crossing 2 done" in text("gate", "publish", *signed, *high)
    assert "Proof of leaf 0" in text("audit", "prove", 0, "--out", lane / "proof.json", *high)
    assert "The proof holds" in text("audit", "verify", "--proof", lane / "proof.json", *high)
    states = [c["state"] for c in commands.json("gate", "list", *high)["crossings"]]
    assert states == ["published", "rejected"]


def test_a_crate_with_a_missing_volume_waits(commands: Commands, lane: Path) -> None:
    low, high = ("--home", lane / "low"), ("--home", lane / "high")
    crate = Path(commands.json("seal", *low)["path"])
    (crate / "vol-0001.lgv").rename(lane / "kept")
    ran = commands.run("receive", crate, *high, "--json")
    assert (ran.status, ran.value["state"], ran.value["missing"]) == (7, "waiting", ["vol-0001.lgv"])
    assert "waits for vol-0001.lgv" in commands.run("receive", crate, *high).out
    (lane / "kept").rename(crate / "vol-0001.lgv")
    assert commands.json("receive", crate, *high)["state"] == "quarantined"
