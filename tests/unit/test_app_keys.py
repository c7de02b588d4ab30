"""Keys of people and machines in tokens, through the commands: from opening a crate to approving it."""

import logging
import shutil
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from corpora.commands import Commands
from corpora.softhsm import ED25519, PIN, SoftToken, soft_token
from lockgate.app.keys import TokenPlace, holds_key, key_place, opening_key, signing_key
from lockgate.core.roots import Purpose, Root
from lockgate.trust.errors import KeyAddressError, KeyFileError, TokenError
from lockgate.trust.keys import load_signer, new_recipient_key, new_signer, save_recipient_key, save_signer
from lockgate.trust.roots import load_site_root, sign_site_root, site_root_pin


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory):
    with soft_token(tmp_path_factory.mktemp("softhsm")) as made:
        yield made


class TokenLane:
    """A lane whose site root names keys in a token for approvers, inspector and recipient."""

    def __init__(self, folder: Path, token: SoftToken) -> None:
        self.folder, self.token, self.commands = folder, token, Commands()
        self.approvers = [token.make("approver-1", 1), token.make("approver-2", 2, ED25519)]
        self.commands.json("lane", "init", folder / "lane", "--name", "plant")
        self.keys = folder / "lane/high/keys"
        for name in ("inspector", "recipient"):
            (self.keys / f"{name}.pem").unlink()
            (self.keys / f"{name}.pass").unlink()
        (self.keys / "inspector.uri").write_text(token.make("inspector", 3) + "\n")
        (self.keys / "recipient.uri").write_text(token.make("recipient", 4, derive=True) + "\n")
        self._name_them()

    def _name_them(self) -> None:
        """Sign another site root that lists the tokens' keys in place of the files', and pin it."""
        old_pin = self.pin
        root = load_site_root(self.root.read_bytes(), old_pin, "plant", None)
        fresh = [
            signing_key(key_place(uri), Purpose.APPROVER, f"approver-{n + 1}")
            for n, uri in enumerate(self.approvers)
        ]
        fresh.append(signing_key(self.keys, Purpose.INSPECTOR, "gate-inspector"))
        gone = {(s.purpose, s.person) for s in fresh}
        kept = {k: h for k, h in root.keys.items() if (h.purpose, h.person) not in gone}
        gate = opening_key(self.keys, "gate")
        new: Root = msgspec.structs.replace(
            root,
            keys={**kept, **{s.keyid: s.held(root.expires) for s in fresh}},
            recipients={gate.recipient_id: gate.published(root.expires)},
        )
        envelope = sign_site_root(new, [self.holder(n) for n in (1, 2)])
        for side in ("low", "high"):
            home = self.folder / "lane" / side
            (home / "trust/site.dsse.json").write_bytes(envelope)
            text = (home / "lockgate.toml").read_text().replace(old_pin, site_root_pin(envelope))
            (home / "lockgate.toml").write_text(text)

    def holder(self, number: int):
        folder = self.folder / f"lane/people/site-holder-{number}"
        passphrase = (folder / "site-root.pass").read_bytes().strip()
        return load_signer(folder / "site-root.pem", passphrase, Purpose.SITE_ROOT, folder.name)

    @property
    def root(self) -> Path:
        return self.folder / "lane/high/trust/site.dsse.json"

    @property
    def pin(self) -> str:
        return tomllib.loads((self.folder / "lane/high/lockgate.toml").read_text())["trust"]["site_pin"]

    def request(self) -> Path:
        """Bring documents to the gate and ask for their publication."""
        low, high = (("--home", self.folder / "lane" / side) for side in ("low", "high"))
        (self.folder / "documents").mkdir()
        (self.folder / "documents/01-pump.md").write_text("# Pump\n\nThe pump has two valves.\n")
        manifest = self.folder / "manifest.toml"
        manifest.write_text('[[documents]]\ncollection = "notes"\nfolder = "documents"\n')
        self.commands.json("collect", manifest, "--offline", *low)
        crate = Path(self.commands.json("seal", *low)["path"])
        shutil.copytree(crate, self.folder / "lane/high/inbox" / crate.name)
        self.commands.json("receive", self.folder / "lane/high/inbox" / crate.name, *high)
        self.commands.json("gate", "inspect", 1, *high)
        operator = self.folder / "lane/people/operator"
        return Path(self.commands.json("gate", "request", 1, "--key", operator, *high)["request"])

    def approve(self, request: Path, key: str, *more: object) -> Any:
        trusted = ("--site-root", self.root, "--pin", self.pin, "--state", self.folder / "seen")
        return self.commands.run("approve", request, "--key", key, *trusted, "--yes", *more)


@pytest.fixture(scope="module")
def lane(token: SoftToken, tmp_path_factory: pytest.TempPathFactory) -> TokenLane:
    return TokenLane(tmp_path_factory.mktemp("lane"), token)


@pytest.fixture(scope="module")
def asked(lane: TokenLane) -> Path:
    return lane.request()


def test_tokens_open_inspect_and_approve_a_crossing(lane: TokenLane, asked: Path) -> None:
    out = [lane.folder / f"approved-{n}.json" for n in (1, 2)]
    for uri, file in zip(lane.approvers, out, strict=True):
        ran = lane.approve(asked, uri, "--out", file)
        assert ran.status == 0, ran.err
        assert f"{file.stem.replace('approved', 'approver')} signed" in ran.out.replace("\n", " ")
    done = lane.commands.json("gate", "publish", *out, "--home", lane.folder / "lane/high")
    assert done["operation"] == "publish"
    assert [p.name for p in lane.keys.glob("recipient.*")] == ["recipient.uri"]


def test_a_pin_may_come_from_a_named_file_and_the_result_is_named_after_the_key(
    lane: TokenLane, asked: Path, tmp_path: Path
) -> None:
    bare = lane.approvers[0].split("&")[0]
    ran = lane.approve(asked, bare)
    assert ran.status == 2
    assert "There is no PIN for the key" in ran.err.replace("\n", " ")
    ran = lane.approve(asked, bare, "--token-pin-file", lane.token.pin_file)
    assert ran.status == 0, ran.err
    assert asked.with_suffix(".approver-1.json").is_file()
    wrong = tmp_path / "wrong.pin"
    wrong.write_text("pin-other-8812")
    wrong.chmod(0o600)
    ran = lane.approve(asked, lane.approvers[0], "--token-pin-file", wrong)
    assert ran.status == 2
    assert "LG-1103" in ran.err


def test_a_person_is_asked_for_the_pin(
    lane: TokenLane, asked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = []

    def prompt(text: str, **how: object) -> str:
        questions.append((text, how))
        return PIN

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", prompt)
    bare = lane.approvers[1].split("&")[0]
    ran = lane.approve(asked, bare, "--out", tmp_path / "x.json")
    assert ran.status == 0, ran.err
    assert questions == [("PIN of the token", {"hide_input": True, "err": True})]
    assert lane.approve(asked, lane.approvers[1], "--out", tmp_path / "x.json").status == 0
    assert len(questions) == 1, "a PIN that a file holds is not asked for"


def test_the_pin_is_in_no_output_log_result_or_record(
    lane: TokenLane, asked: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    absent = lane.approvers[0].replace("object=approver-1", "object=nobody")
    wrong = tmp_path / "wrong.pin"
    wrong.write_text("pin-other-8812")
    wrong.chmod(0o600)
    tries = (
        (lane.approvers[0],),
        (lane.approvers[0], "--json"),
        (absent,),
        (absent, "--json"),
        (lane.approvers[0], "--token-pin-file", wrong),
        (f"{lane.approvers[0]}&pin-value={PIN}",),
    )
    for key, *more in tries:
        ran = lane.approve(asked, key, "--out", tmp_path / "signed.json", *more)
        for text in (ran.out, ran.err, caplog.text):
            assert PIN not in text
            assert "pin-other-8812" not in text
    written = [f for f in (lane.folder / "lane/high").rglob("*") if f.is_file()]
    written += [tmp_path / "signed.json", *(f for f in (lane.folder / "seen").rglob("*") if f.is_file())]
    assert not [f for f in written if PIN.encode() in f.read_bytes()]


def test_a_key_that_the_root_does_not_list_for_approving_is_refused(lane: TokenLane, asked: Path) -> None:
    other = lane.token.make("stranger", 9)
    assert "LG-2002" in lane.approve(asked, other).err
    assert "LG-2003" in lane.approve(asked, lane.token.uri("object=inspector")).err


def test_the_approvers_folder_may_name_a_token(lane: TokenLane, asked: Path, tmp_path: Path) -> None:
    (tmp_path / "approver.uri").write_text(lane.approvers[0])
    assert lane.approve(asked, str(tmp_path), "--out", tmp_path / "x.json").status == 0
    (tmp_path / "approver.uri").write_text("http://host/key")
    assert "LG-1104" in lane.approve(asked, str(tmp_path), "--out", tmp_path / "x.json").err


def test_places_of_keys(token: SoftToken, tmp_path: Path) -> None:
    assert key_place("people/alice") == Path("people/alice")
    with pytest.raises(KeyFileError, match="goes with"):
        key_place("people/alice", tmp_path / "pin")
    place = key_place(token.uri("object=my%20key%2F1"), None, lambda: "never")
    assert isinstance(place, TokenPlace)
    assert place.name == "my-key-1"
    assert place.ask is None
    assert key_place(token.uri("id=%01").split("&")[0]).name == token.label
    with pytest.raises(KeyAddressError):
        key_place("pkcs11:token=a")


def test_a_folder_holds_a_key_once(token: SoftToken, tmp_path: Path) -> None:
    assert not holds_key(tmp_path, Purpose.LOG)
    save_signer(new_signer(Purpose.LOG, "x"), tmp_path / "log.pem", b"pass")
    assert holds_key(tmp_path, Purpose.LOG)
    with pytest.raises(KeyFileError, match="passphrase file"):
        signing_key(tmp_path, Purpose.LOG)
    (tmp_path / "log.pass").write_bytes(b"pass\n")
    assert signing_key(tmp_path, Purpose.LOG).public.scheme == "ed25519"
    (tmp_path / "log.uri").write_text(token.uri("object=any"))
    with pytest.raises(KeyFileError, match="only one"):
        signing_key(tmp_path, Purpose.LOG)
    (tmp_path / "snapshot.uri").write_bytes(b"\xff")
    assert holds_key(tmp_path, Purpose.SNAPSHOT)
    with pytest.raises(KeyAddressError, match="cannot be read"):
        signing_key(tmp_path, Purpose.SNAPSHOT)
    (tmp_path / "snapshot.uri").write_text(token.uri("object=any").split("&")[0])
    with pytest.raises(TokenError, match="no PIN"):
        signing_key(tmp_path, Purpose.SNAPSHOT)
    (tmp_path / "recipient.pass").write_bytes(b"pass")
    save_recipient_key(made := new_recipient_key("gate"), tmp_path / "recipient.pem", b"pass")
    assert opening_key(tmp_path, "gate").recipient_id == made.recipient_id
