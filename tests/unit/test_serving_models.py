"""Which models are served under which names: versions side by side, adapters over their very base."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from infer_doubles import NOW
from lockgate.app.high.engines import NoChatModelError, chosen_models, engines_of, options_of
from lockgate.app.high.signed_models import NotLoadableError, SignedModels
from lockgate.app.settings import SettingsError
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.snapshot import Admitted


def model(name: str, version: str, crossing: int, **attributes: str) -> Admitted:
    digest = f"{crossing:x}" * 64
    file = ArtifactFile(path=f"models/{name}/weights.gguf", role=Role.WEIGHTS, size=10, sha256=digest[:64])
    artifact = Artifact(
        purl=f"pkg:huggingface/{name}@{version}",
        kind=Kind.MODEL,
        name=name,
        version=version,
        files=(file,),
        licence="Apache-2.0",
        attributes={"task": "chat", "format": "gguf", **attributes},
    )
    return Admitted(
        artifact=artifact, crossing=crossing, crate_sha256="c" * 64, verdicts_sha256="d" * 64, outcome="clean"
    )


def source(*admitted: Admitted, held: Sequence[Admitted] = ()) -> SignedModels:
    """Return the models of a channel whose signatures were verified."""
    made = SignedModels.__new__(SignedModels)
    statement = SimpleNamespace(channel="stable", channel_version=3, snapshot_sha256="5" * 64, created=NOW)
    channel = SimpleNamespace(
        statement=statement,
        usable=(*admitted, *held),
        snapshot=SimpleNamespace(admitted=admitted),
        owed=(),
    )
    inner: Any = made
    inner._reader = SimpleNamespace(current=lambda: channel)
    inner._view = None
    inner._refusals = SimpleNamespace(reason=lambda _: None)
    inner._blobs = SimpleNamespace(open=lambda digest: digest)
    return made


def ollama(layers: list[dict[str, str]], crossing: int = 6) -> tuple[Admitted, bytes]:
    """Return one of Ollama's models and its manifest."""
    manifest = json.dumps({"schemaVersion": 2, "layers": layers}).encode()
    root = hashlib.sha256(manifest).hexdigest()
    files = tuple(
        ArtifactFile(path=f"ollama/library/tiny/{root}/{digest}", role=role, size=1, sha256=digest)
        for digest, role in ((root, Role.MANIFEST), ("f" * 64, Role.BLOB))
    )
    made = model("library/tiny", "x", crossing).artifact
    artifact = msgspec.structs.replace(
        made, kind=Kind.OLLAMA, version=f"sha256:{root}", files=files, attributes={"tags": "latest"}
    )
    return msgspec.structs.replace(model("x/y", "x", crossing), artifact=artifact), manifest


WEIGHTS_LAYER = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{'f' * 64}"}


def test_a_model_of_ollamas_stands_for_the_layer_of_its_weights() -> None:
    admitted, manifest = ollama(
        [{"mediaType": "application/vnd.ollama.image.license", "digest": "x"}, WEIGHTS_LAYER]
    )
    made = source(OLD, admitted)
    inner: Any = made
    inner._blobs = SimpleNamespace(read=lambda digest, *, limit: manifest if limit else digest)
    found = made.current().named("tiny")
    assert found is not None
    assert found.weights.sha256 == "f" * 64
    assert [m.name for m in chosen_models(side("library/tiny"), made)] == ["tiny"]
    assert [m.name for m in chosen_models(side(), made)] == ["small"], "an Ollama model was chosen unasked"


@pytest.mark.parametrize(
    "layers", [[], [WEIGHTS_LAYER, WEIGHTS_LAYER], [{**WEIGHTS_LAYER, "digest": f"sha256:{'9' * 64}"}]]
)
def test_a_manifest_without_one_admitted_layer_of_weights_is_no_model(layers: list[dict[str, str]]) -> None:
    admitted, manifest = ollama(layers)
    made = source(admitted)
    inner: Any = made
    inner._blobs = SimpleNamespace(read=lambda digest, *, limit: manifest if limit else digest)
    assert made.current().models == ()


def side(words: str = "", **more: str) -> Any:
    engine = SimpleNamespace(chat_model=words, servers="", **more)
    return SimpleNamespace(settings=SimpleNamespace(engine=engine))


OLD, NEW = model("org/small", "a" * 40, 1), model("org/small", "b" * 40, 2)
BASE = OLD.artifact.files[0].sha256


def adapter(base: str = BASE) -> Admitted:
    return model("site/legal", "c" * 40, 3, task="adapter", **{"base": "org/small", "base-sha256": base})


def test_the_newest_version_has_the_name_and_older_ones_their_revision_beside_it() -> None:
    names = {m.name: m.version for m in source(OLD, NEW).current().models}
    assert names == {"small": "b" * 40, "small:aaaaaaaa": "a" * 40}


def test_an_adapter_stands_for_its_own_weights_and_brings_its_base() -> None:
    found = source(OLD, NEW, adapter()).current().named("legal")
    assert found is not None
    assert found.weights.sha256 == "3" * 64
    assert found.base is not None
    assert found.base.sha256 == BASE
    assert {file.sha256 for file in found.files} == {"3" * 64, BASE}


@pytest.mark.parametrize("base", ["e" * 64, ""])
def test_an_adapter_of_another_base_is_not_there(base: str) -> None:
    assert source(OLD, adapter(base)).current().named("legal") is None


def test_an_adapter_goes_with_its_base() -> None:
    assert source(NEW, adapter()).current().named("legal") is None


def test_settings_choose_by_name_and_by_revision() -> None:
    made = source(OLD, NEW, model("org/other", "d" * 40, 4))
    assert [m.name for m in chosen_models(side("org/small"), made)] == ["small"]
    assert [m.name for m in chosen_models(side("org/small org/small@aaaa"), made)] == [
        "small",
        "small:aaaaaaaa",
    ]
    assert [m.name for m in chosen_models(side("small small"), made)] == ["small"]
    assert [m.name for m in chosen_models(side(), made)] == ["other"], "the newest crossing"
    for wrong in ("org/none", "org/small@ffff"):
        with pytest.raises(NoChatModelError):
            chosen_models(side(wrong), made)
    with pytest.raises(NoChatModelError):
        chosen_models(side(), source())


def test_what_is_held_is_listed_and_not_loaded() -> None:
    made = source(OLD, held=[NEW])
    assert [m.name for m in made.current().models] == ["small", "small:aaaaaaaa"]
    assert [m.version for m in chosen_models(side("org/small"), made)] == ["a" * 40]
    with pytest.raises(NotLoadableError):
        made.open(NEW.artifact.files[0].sha256)


def test_the_view_is_made_once_for_each_channel() -> None:
    made = source(OLD)
    assert made.current().models is made.current().models
    inner: Any = made
    before = inner._reader.current()
    inner._reader = SimpleNamespace(current=lambda: SimpleNamespace(**{**vars(before), "usable": ()}))
    assert made.current().models == ()


def test_options_are_read_as_they_are_written() -> None:
    assert options_of("--dtype bfloat16 --enforce-eager --seed=7") == {
        "--dtype": "bfloat16",
        "--enforce-eager": "",
        "--seed": "7",
    }
    with pytest.raises(SettingsError):
        options_of("bfloat16 --dtype")
    with pytest.raises(SettingsError):
        options_of("--dtype a b")


def test_every_attribute_reaches_the_card() -> None:
    made = replace(source(model("org/x", "e" * 40, 5, **{"knowledge-cutoff": "2025-01"})).current().models[0])
    assert made.attributes["knowledge-cutoff"] == "2025-01"
    assert made.full_name == "org/x"


def test_several_models_are_not_asked_for_under_one_name() -> None:
    made = source(OLD, NEW)
    both = side("org/small org/small@aaaa", served_name="small")
    both.settings.engine.servers = "openai=http://one.invalid:1"
    with pytest.raises(SettingsError, match="2 models"):
        engines_of(both, made)
