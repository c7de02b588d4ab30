"""Settings of a side: the file, the environment over it, and a sentence for every mistake."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from lockgate.app.settings import (
    CONFIG_FILE,
    Home,
    Settings,
    SettingsError,
    default_home,
    explanations,
    load_settings,
)
from lockgate.app.targets import TargetSection

SMALL = """
[lane]
name = "plant"
side = "high"

[trust]
supply_pin = "aa"
site_pin = "bb"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / CONFIG_FILE).write_text(SMALL)
    return tmp_path


def write(home: Path, text: str) -> None:
    (home / CONFIG_FILE).write_text(text)


def test_a_small_file_is_enough_and_production_is_the_default(home: Path) -> None:
    side = load_settings(home)
    assert (side.lane, side.settings.lane.side, side.settings.lane.assurance) == (
        "plant",
        "high",
        "production",
    )
    assert side.settings.serve.host == "127.0.0.1"
    assert side.home.root == home.resolve()
    assert side.require("high") is side
    with pytest.raises(SettingsError, match="belongs to the low side"):
        side.require("low")


def test_the_environment_wins_over_the_file_key_by_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, SMALL + "[serve]\nmirror_port = 9000\nconsole_port = 9001\n")
    monkeypatch.setenv("LOCKGATE_SERVE__MIRROR_PORT", "9100")
    monkeypatch.setenv("LOCKGATE_LANE__NAME", "other")
    monkeypatch.setenv("LOCKGATE_HOME", "elsewhere")
    monkeypatch.setenv("LOCKGATE_API_KEY", "not a setting")
    side = load_settings(home)
    assert (side.settings.serve.mirror_port, side.settings.serve.console_port) == (9100, 9001)
    assert (side.lane, side.settings.lane.side) == ("other", "high")


def test_a_target_is_named_by_its_table_and_the_environment_wins(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, SMALL + "[targets.plant]\nkind = 'harbor'\nurl = 'https://old.example'\n")
    monkeypatch.setenv("LOCKGATE_TARGETS__PLANT__URL", "https://new.example")
    target = load_settings(home).settings.targets["plant"]
    assert (target.kind, target.url) == ("harbor", "https://new.example")


MISTAKES = {
    "no lane": ("[trust]\nsupply_pin = 'a'\nsite_pin = 'b'\n", "lane: Field required"),
    "no pin": (SMALL.replace('site_pin = "bb"', ""), "trust.site_pin: Field required"),
    "unknown section": (SMALL + "[sevre]\nhost = 'x'\n", "sevre: Extra inputs are not permitted"),
    "unknown key": (SMALL + "[serve]\nprot = 1\n", "serve.prot: Extra inputs are not permitted"),
    "other side": (
        SMALL.replace('"high"', '"middle"'),
        "lane.side: Input should be 'low', 'high' or 'station'",
    ),
    "bad port": (SMALL + "[serve]\nmirror_port = 70000\n", "serve.mirror_port: Input should be less than"),
    "text for a number": (
        SMALL + "[seal]\nvolume_bytes = 'big'\n",
        "seal.volume_bytes: Input should be a valid",
    ),
    "too small": (SMALL + "[seal]\nvolume_bytes = 1\n", "seal.volume_bytes: Input should be greater"),
    "section as a value": (SMALL + "serve = 1\n", "serve"),
    "name of a target": (SMALL + "[targets.'A b']\nkind = 'harbor'\n", "targets.A b"),
    "kind of target": (
        SMALL + "[targets.plant]\nkind = 'x'\n",
        "targets.plant.kind: Input should be 'harbor'",
    ),
    "not TOML": ("[lane\n", "cannot be read"),
    "twice": (SMALL + "[lane]\nname = 'x'\n", "cannot be read"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_file_is_named_with_its_key(home: Path, name: str) -> None:
    text, said = MISTAKES[name]
    write(home, text)
    with pytest.raises(SettingsError) as refused:
        load_settings(home)
    assert said in refused.value.what
    assert str(home / CONFIG_FILE) in refused.value.what


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("LOCKGATE_SERVE__MIRROR_PORT", "many", "serve.mirror_port"),
        ("LOCKGATE_SERVE__PROT", "1", "serve.PROT"),
        ("LOCKGATE_LANE", "plant", "lane"),
        ("LOCKGATE_SERVE", "{", "serve"),
    ],
)
def test_a_mistake_in_the_environment_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as refused:
        load_settings(home)
    assert said.lower() in refused.value.what.lower()


def test_missing_and_unreadable_homes_say_so(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"There is no lockgate\.toml"):
        load_settings(tmp_path)
    with pytest.raises(SettingsError, match=r"There is no lockgate\.toml"):
        load_settings(tmp_path / "absent")
    (tmp_path / CONFIG_FILE).mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingsError):
        load_settings(tmp_path / "file")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / CONFIG_FILE).write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "other")


def test_the_default_home_follows_the_base_directory_specification(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_home() == tmp_path / "lockgate"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_home() == tmp_path / ".local" / "share" / "lockgate"
    (tmp_path / ".local" / "share" / "lockgate").mkdir(parents=True)
    write(tmp_path / ".local" / "share" / "lockgate", SMALL)
    assert load_settings(None).lane == "plant"
    assert load_settings(Path("~/.local/share/lockgate")).lane == "plant"


def test_everything_of_a_side_lies_below_its_home(tmp_path: Path) -> None:
    home = Home(tmp_path)
    names = [n for n in vars(Home) if isinstance(vars(Home)[n], property)]
    assert len(names) > 10
    for name in names:
        assert str(tmp_path) in str(getattr(home, name)), name
    paths = [getattr(home, n) for n in names if isinstance(getattr(home, n), Path)]
    assert len(set(paths)) == len(paths)


def every_key() -> list[str]:
    found = []
    for section, field in Settings.model_fields.items():
        if section == "targets":
            found += [f"targets.NAME.{name}" for name in TargetSection.model_fields]
            continue
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, BaseModel)
        found += [f"{section}.{name}" for name in field.annotation.model_fields]
    return found


def test_every_key_is_explained_with_its_default_and_variable() -> None:
    said = {entry["key"]: entry for entry in explanations()}
    assert list(said) == every_key()
    for key, entry in said.items():
        assert entry["variable"] == f"LOCKGATE_{key.upper().replace('.', '__')}"
        assert entry["meaning"].endswith("."), key
        assert entry["default"], key
    assert said["lane.name"]["default"] == "none, must be set"
    assert said["serve.host"]["default"] == "'127.0.0.1'"


def test_every_explained_variable_works(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_settings(home).settings.model_dump()
    for entry in explanations():
        if entry["key"].startswith("targets."):  # of which there may be many, each with its own name
            continue
        section, name = entry["key"].split(".")
        old = before[section][name]
        new = {
            "side": "low",
            "assurance": "demo",
            "parity": "10%",
            "console_access": "people",
            "console_url": "https://console.lane.example",
            "personal": "block",
            "system_prompt": "block",
            "level": "debug",
            "adapter": "icap",
            "folder_answer": "result",
            "icap_method": "reqmod",
            "kind": "vllm",
            "classifier_user": "block",
            "classifier_retrieved": "block",
            "classifier_tool": "block",
            "classifier_block_percent": 98,
            "marking": "tag",
            "mirror_url": "https://mirror.example",
            "mirror_access": "labels",
            "oidc_issuer": "https://sso.example",
            "chat_url": "https://gateway.example",
            "ldap_url": "ldaps://directory.example",
        }.get(name, not old if isinstance(old, bool) else old + 1 if isinstance(old, int) else f"{old}x")
        with monkeypatch.context() as patch:
            patch.setenv(entry["variable"], str(new))
            after = load_settings(home).settings.model_dump()
        assert after[section][name] == new, entry["key"]
        after[section][name] = old
        assert after == before
