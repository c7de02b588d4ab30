"""The same contract over the double and the ONNX adapter."""

import numpy as np
import pytest

from corpora import tinymodel
from lockgate.core.digests import sha256
from lockgate.knowledge import Embedder, HashedWords, OnnxEmbedder
from lockgate.knowledge.errors import ModelAlteredError, ModelUnusableError

MODEL = tinymodel.model()
TOKENIZER = tinymodel.tokenizer()


def tiny(model: bytes = MODEL, tokenizer: bytes = TOKENIZER) -> OnnxEmbedder:
    return OnnxEmbedder("pkg:generic/tiny@1", model, sha256(model), tokenizer, sha256(tokenizer))


@pytest.fixture(params=["double", "onnx"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return HashedWords() if request.param == "double" else tiny()


def test_rows_have_length_one_and_the_named_dimension(embedder: Embedder) -> None:
    rows = embedder.embed(["pump water", "valve", "the night pump runs at night"])
    assert rows.shape == (3, embedder.dimension)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_a_vector_depends_on_its_text_alone(embedder: Embedder) -> None:
    together = embedder.embed(["pump", "water at night", "pump"])
    assert np.array_equal(together[0], together[2])
    assert np.array_equal(together[1], embedder.embed(["water at night"])[0])


def test_near_texts_are_nearer(embedder: Embedder) -> None:
    question, near, far = embedder.embed(["pump water", "water pump runs", "valve night"])
    assert question @ near > question @ far


def test_no_text_gives_no_row(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.dimension)


def test_any_text_has_a_vector(embedder: Embedder) -> None:
    rows = embedder.embed(["\u2603", "the", "x" * 5000])
    assert np.isfinite(rows).all()


def test_identities_differ_with_what_decides_the_vectors() -> None:
    other = json_variant()
    assert tiny().identity == tiny().identity
    assert len({tiny().identity, tiny(tokenizer=other).identity, HashedWords().identity}) == 3
    assert HashedWords(64).identity != HashedWords(128).identity


def json_variant() -> bytes:
    return TOKENIZER + b" "


@pytest.mark.parametrize("part", ["model", "tokenizer"])
def test_altered_bytes_are_refused_before_they_are_loaded(part: str) -> None:
    model, tokenizer = bytearray(MODEL), bytearray(TOKENIZER)
    (model if part == "model" else tokenizer)[20] ^= 1
    with pytest.raises(ModelAlteredError, match=part):
        OnnxEmbedder("pkg:x", bytes(model), sha256(MODEL), bytes(tokenizer), sha256(TOKENIZER))


def test_bytes_that_are_no_model_are_unusable() -> None:
    with pytest.raises(ModelUnusableError, match="cannot be loaded"):
        tiny(model=b"no model at all")
    with pytest.raises(ModelUnusableError, match="tokenizer"):
        tiny(tokenizer=b"{}")


def test_a_model_with_unknown_inputs_is_unusable() -> None:
    with pytest.raises(ModelUnusableError, match="inputs"):
        tiny(model=tinymodel.model("pixels"))


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockgate.knowledge.embed.CACHE_SIZE", 2)
    embedder = tiny()
    embedder.embed(["pump", "water", "valve", "water"])
    assert list(embedder._cache) == ["valve", "water"]
