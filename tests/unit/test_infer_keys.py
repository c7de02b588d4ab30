"""API keys: only a digest is kept, names are unique, files are private and read again when changed."""

import os
from pathlib import Path

import pytest

from infer_doubles import NOW, Counting, make_key
from lockgate.core.errors import MalformedDocumentError, TooLargeError
from lockgate.infer import FileKeys, MemoryKeys, new_key
from lockgate.infer import keys as module
from lockgate.infer.errors import BadApiKeyError, KeyNameError
from lockgate.infer.keys import authenticate


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryKeys | FileKeys:
    return MemoryKeys() if request.param == "memory" else FileKeys(tmp_path / "trust" / "api-keys.json")


def test_store_keeps_finds_and_forgets(store: MemoryKeys | FileKeys) -> None:
    entropy = Counting()
    secret, key = make_key(entropy, "b", "a", "a", name="one")
    assert store.find(key.id) is None
    assert store.all() == ()
    store.add(key)
    assert store.find(key.id) == key
    assert key.labels == ("a", "b")
    assert authenticate(f"bearer {secret}", store) == key
    with pytest.raises(KeyNameError):
        store.add(make_key(entropy, name="one")[1])
    store.remove("one")
    with pytest.raises(BadApiKeyError):
        authenticate(f"Bearer {secret}", store)
    with pytest.raises(KeyNameError):
        store.remove("one")


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb"])
def test_names_are_short_and_printable(name: str) -> None:
    with pytest.raises(KeyNameError):
        new_key(name, (), lambda: NOW, Counting())


def test_file_is_private_and_holds_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "api-keys.json"
    secret, key = make_key(Counting())
    FileKeys(path).add(key)
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret not in path.read_text()
    assert secret.rsplit("-", 1)[1] not in path.read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["api-keys.json"]


def test_change_by_another_process_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "api-keys.json"
    mine, theirs = FileKeys(path), FileKeys(path)
    secret, key = make_key(Counting())
    with pytest.raises(BadApiKeyError):
        authenticate(f"Bearer {secret}", mine)
    theirs.add(key)
    assert authenticate(f"Bearer {secret}", mine) == key
    theirs.remove(key.name)
    with pytest.raises(BadApiKeyError):
        authenticate(f"Bearer {secret}", mine)


def test_damaged_or_huge_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "api-keys.json"
    path.write_bytes(b"{}")
    with pytest.raises(MalformedDocumentError):
        FileKeys(path).find("0" * 12)
    monkeypatch.setattr(module, "KEYS_LIMIT", 1)
    with pytest.raises(TooLargeError):
        FileKeys(path).find("0" * 12)


def test_broken_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "api-keys.json"
    entropy = Counting()
    FileKeys(path).add(make_key(entropy, name="one")[1])
    before = path.read_bytes()

    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output"):
        FileKeys(path).add(make_key(entropy, name="two")[1])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["api-keys.json"]
