"""A home for a trial of the mirrors: made in an empty folder, and nowhere else."""

import pytest
from typer.testing import CliRunner

from lockgate.app.high import mirrors
from lockgate.app.high.trial import is_loopback, trial_side
from lockgate.app.settings import SettingsError
from lockgate.cli.mirror import app


def test_an_empty_folder_becomes_a_demo_lane_once(tmp_path):
    for folder in (tmp_path / "absent", tmp_path / "empty"):
        if folder.name == "empty":
            folder.mkdir()
        side, made = trial_side(folder)
        assert made
        assert side.home.root == folder / "high"
        assert side.settings.lane.side == "high"
        assert side.settings.lane.assurance == "demo"
        again, made = trial_side(folder)
        assert (again.home.root, made) == (side.home.root, False)
        assert trial_side(folder / "high") == (again, False)


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SettingsError, match=r"There is no lockgate\.toml"):
        trial_side(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(SettingsError):
        trial_side(tmp_path / "notes.txt")


def test_a_side_is_taken_for_itself_though_a_lane_lies_in_it(tmp_path):
    lane = tmp_path / "lane"
    trial_side(lane)
    (lane / "lockgate.toml").write_text((lane / "low/lockgate.toml").read_text())
    side, made = trial_side(lane)
    assert (side.home.root, side.settings.lane.side, made) == (lane, "low", False)


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("127.0.0.1", True),
        ("127.4.5.6", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104 - never bound
        ("192.0.2.1", False),
        ("mirror", False),
        ("", False),
    ],
)
def test_loopback_is_what_nobody_else_reaches(host, alone):
    assert is_loopback(host) is alone


@pytest.mark.parametrize(
    ("options", "made"),
    [
        (("--port", "8931", "--open-namespace", "team"), True),
        (("--port", "8931", "--open-namespace", "team", "--host", "localhost"), True),
        (("--port", "8931"), False),
        (("--open-namespace", "team"), False),
        (("--port", "8931", "--open-namespace", "team", "--host", "192.0.2.1"), False),
    ],
)
def test_only_a_named_port_and_namespace_on_loopback_make_a_lane(tmp_path, monkeypatch, options, made):
    served = []
    monkeypatch.setattr(mirrors, "serve_mirror", lambda *given, **named: served.append((given, named)))
    home = tmp_path / "home"
    ended = CliRunner().invoke(app, ["serve", "--home", str(home), *options])
    assert home.exists() is made
    assert ("a demo lane was made in it" in ended.stderr) is made
    if made:
        (((side, host, port, opened), _),) = served
        assert (side.home.root, port, tuple(opened)) == (home / "high", 8931, ("team",))
        assert is_loopback(host)
    else:
        assert served == []
        assert isinstance(ended.exception, SettingsError)
