"""The profile of a high-side host: taken, signed by an operator, and read on the low side as foreign data."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from corpora.commands import Commands
from lockgate.app.lane.lane import make_demo_lane
from lockgate.app.rehearsal.host import HostUnknownError, read_profile, take_profile
from lockgate.app.settings import load_settings
from lockgate.app.trust import signer_from, site_root, utc_now
from lockgate.core.host import HOST_LIMIT, HOST_TYPE, HostProfile
from lockgate.core.roots import Purpose
from lockgate.core.wire import decode, encode
from lockgate.trust.dsse import open_envelope, sign

ENGINE = '\n[engine]\nproject = "skulk-llama"\nexecutable = "skulk/bin/llama-server"\n'


@pytest.fixture(scope="module")
def lane(tmp_path_factory):
    made = make_demo_lane(tmp_path_factory.mktemp("host") / "lane", "harbour", datetime.now(UTC))
    with (made.high / "lockgate.toml").open("a") as config:
        config.write(ENGINE)
    (made.high / "runtime" / "skulk-llama-0.9.1-0123456789ab").mkdir(parents=True)
    return made


@pytest.fixture(scope="module")
def taken(lane, tmp_path_factory):
    file = tmp_path_factory.mktemp("out") / "host.profile.json"
    place = ("--key", lane.people["operator"], "--home", lane.high)
    told = Commands().json("profile", "take", "--name", "rack-1", "--out", file, *place)
    return file.read_bytes(), told


def profile_in(data: bytes) -> HostProfile:
    return decode(HostProfile, open_envelope(data).payload)


def signed(lane, profile, purpose=Purpose.OPERATOR, person="operator"):
    site = site_root(load_settings(lane.high), None)
    return sign(HOST_TYPE, encode(profile), [signer_from(lane.people[person], purpose, site)])


def test_what_an_operator_signed_is_read_on_the_low_side(lane, taken, tmp_path):
    data, told = taken
    file = tmp_path / "carried.json"
    file.write_bytes(data)
    shown = Commands().json("profile", "show", file, "--home", lane.low)
    assert shown["person"] == "operator"
    assert shown["sha256"] == told["sha256"]
    assert shown["profile"] == told["profile"]
    assert len(data) < HOST_LIMIT
    profile = read_profile(load_settings(lane.low), data).profile
    assert profile.name == "rack-1"
    assert profile.minors
    assert next((e.project, e.executable, e.version) for e in profile.engines) == (
        "skulk-llama",
        "skulk/bin/llama-server",
        "0.9.1",
    )


def test_a_machine_is_told_as_its_files_and_programs_say(lane, tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(
        '# system\nID=debian\nVERSION_ID="12"\nVERSION_CODENAME=book\x07worm\nNAME="x"\n'
    )
    (tmp_path / "sys/module/amdgpu").mkdir(parents=True)
    (tmp_path / "sys/module/amdgpu/version").write_text("6.8.5\n")

    def ask(argv):
        if argv[0] == "nvidia-smi":
            return "NVIDIA H100, 550.54.15\nNVIDIA H100, 550.54.15"
        if argv[0] == "ollama":
            return "ollama version is 0.5.7"
        return "cpython 3.12.4rc1" if "-c" in argv else ""

    found = take_profile(load_settings(lane.high), "rack-2", root=tmp_path, ask=ask)
    assert (found.system, found.release, found.codename) == ("debian", "12", "book-worm")
    assert [(g.name, g.driver) for g in found.graphics] == [
        *[("NVIDIA H100", "550.54.15")] * 2,
        ("amdgpu", "6.8.5"),
    ]
    assert [p.version for p in found.pythons] == ["3.12.4"]
    assert found.minors == ("3.12",)
    assert [(e.kind, e.version) for e in found.engines] == [("llama", "0.9.1"), ("ollama", "0.5.7")]
    assert decode(HostProfile, encode(found)) == found


def test_a_machine_that_does_not_say_what_it_is_has_no_profile(lane, tmp_path):
    with pytest.raises(HostUnknownError):
        take_profile(load_settings(lane.high), "rack-3", root=tmp_path, ask=lambda _: "")


def refusal(lane, data: bytes, folder: Path) -> str:
    file = folder / "forged.json"
    file.write_bytes(data)
    return Commands().refused("profile", "show", file, "--home", lane.low)[1]["code"]


def test_what_no_operator_of_the_site_signed_is_refused(lane, taken, tmp_path):
    profile = profile_in(taken[0])
    other = make_demo_lane(tmp_path / "other", "harbour", utc_now())
    assert refusal(lane, signed(other, profile), tmp_path) == "LG-2002"
    by_approver = signed(lane, profile, Purpose.APPROVER, "approver-1")
    assert refusal(lane, by_approver, tmp_path) == "LG-2003"
    changed = taken[0].replace(b'"sig":"', b'"sig":"AAAA', 1)
    assert refusal(lane, changed, tmp_path).startswith(("LG-2", "LG-1"))


def test_profiles_of_other_lanes_formats_and_days_to_come_are_refused(lane, taken, tmp_path):
    profile = profile_in(taken[0])
    for changes, code in (
        ({"lane": "elsewhere"}, "LG-2fc0"),
        ({"taken": profile.taken + timedelta(days=40)}, "LG-2fc0"),
        ({"format": "lockgate-host/9"}, "LG-1008"),
        ({"architecture": "x86_64; rm"}, "LG-1001"),
        ({"programs": {f"p{n}": "1" for n in range(40)}}, "LG-1001"),
    ):
        forged = signed(lane, msgspec.structs.replace(profile, **changes))
        assert refusal(lane, forged, tmp_path) == code, changes


def test_a_profile_beyond_its_bound_is_not_read(lane, tmp_path):
    assert refusal(lane, b"{" + b" " * HOST_LIMIT, tmp_path) == "LG-4001"


def test_a_key_that_is_no_operators_signs_no_profile(lane, tmp_path):
    out = tmp_path / "out.json"
    place = ("--key", lane.people["witness"], "--home", lane.high)
    status, _ = Commands().refused("profile", "take", "--out", out, *place)
    assert status
    assert not out.exists()
