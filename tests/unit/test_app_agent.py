"""PINs of tokens by agent and by prompt: in memory, for the same user, for a while."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from corpora.ceremony import Ceremony
from corpora.commands import Commands
from corpora.softhsm import PIN, SoftToken, soft_token
from lockgate.app.lane.agent import AgentFailedError, AgentPlaceError, open_agent, peer_of, serve_pin
from lockgate.trust.errors import TokenError
from lockgate.trust.keys_token import read_pin


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftToken]:
    with soft_token(tmp_path_factory.mktemp("softhsm")) as made:
        yield made


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    return folder / "pin"


@contextmanager
def agent(place: Path, pin: str = PIN, **changes) -> Iterator[list[int]]:
    listening, given, end = open_agent(place), [], threading.Event()
    thread = threading.Thread(
        target=lambda: given.append(serve_pin(listening, pin, 600, stop=end.is_set, **changes))
    )
    thread.start()
    try:
        yield given
    finally:
        end.set()
        thread.join()


def test_a_key_in_a_token_signs_with_the_agents_pin(token: SoftToken, place: Path, tmp_path: Path) -> None:
    token.make("ann", 1)
    lane = Ceremony(tmp_path / "lane", {"ann": token.uri("object=ann", pin=place)})
    with agent(place) as given:
        document = lane.supply()
        assert lane.try_sign(document, "ann").status == 0
        assert (place.stat().st_mode & 0o777, place.is_socket()) == (0o600, True)
    assert given == [2], "once for the card, once to sign"
    assert not place.exists()
    refused = lane.try_sign(document, "ann")
    assert (refused.status, "LG-1103" in refused.err) == (2, True), "the agent has ended"
    with agent(place, "pin-other-1234"):
        assert "LG-1103" in lane.try_sign(document, "ann").err


def test_nobody_but_the_same_user_gets_the_pin(place: Path) -> None:
    asked: list[int] = []

    def stranger(connection: socket.socket) -> int:
        asked.append(peer_of(connection))
        return os.getuid() + 1

    with agent(place, peer=stranger) as given, pytest.raises(TokenError, match="is empty"):
        read_pin(place)
    assert asked == [os.getuid()], "the kernel said who asked"
    assert given == [0]


def test_a_place_that_others_reach_is_refused(tmp_path: Path, place: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(AgentPlaceError, match="Others than you"):
        open_agent(tmp_path / "open/pin")
    with pytest.raises(AgentPlaceError, match="cannot be used"):
        open_agent(tmp_path / "absent/pin")
    place.write_text("something")
    with pytest.raises(AgentPlaceError, match="already"):
        open_agent(place)
    with pytest.raises(AgentFailedError):
        open_agent(place.with_name("x" * 200))


def test_the_command_asks_for_the_pin_and_ends_with_its_time(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = []

    def prompt(text: str, **how: object) -> str:
        questions.append((text, how))
        return PIN

    served = {}

    def serve(listening: socket.socket, pin: str, seconds: float) -> int:
        served.update(pin=pin, seconds=seconds)
        return serve_pin(listening, pin, 0)

    monkeypatch.setattr("typer.prompt", prompt)
    monkeypatch.setattr("lockgate.app.lane.agent.serve_pin", serve)
    ran = Commands().run("agent", "--socket", place, "--minutes", 5)
    assert (ran.status, PIN in ran.out + ran.err) == (0, False)
    assert questions == [("PIN of the token", {"hide_input": True, "err": True})]
    assert served == {"pin": PIN, "seconds": 300}
    assert not place.exists()


def test_a_holder_is_asked_for_the_pin_when_nothing_else_names_it(
    token: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token.make("bob", 2)
    bare = token.uri("object=bob").split("&")[0]
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", lambda text, **how: asked.append(text) or PIN)
    lane = Ceremony(tmp_path / "lane", {"bob": bare})
    document = lane.supply()
    assert lane.try_sign(document, "bob").status == 0
    assert asked == ["PIN of the token"] * 2


def test_pins_of_roots_are_shown_as_pictures(tmp_path: Path) -> None:
    commands = Commands()
    made = commands.json("lane", "init", tmp_path / "lane")
    commands.json("root", "show", "--home", tmp_path / "lane/high", "--qr", tmp_path / "pins")
    for kind in ("supply", "site"):
        (code,) = zxingcpp.read_barcodes(
            Image.open(tmp_path / f"pins/{kind}-pin.png"), zxingcpp.BarcodeFormat.QRCode
        )
        assert code.text == made[f"{kind}_pin"]
