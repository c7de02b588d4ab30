"""What is known of a model comes from its files; what is not known is said to be unknown."""

import hashlib
import io
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from corpora import tinyllama
from infer_doubles import admitted
from lockgate.infer import AdmittedModel, ModelFile, card_of
from lockgate.infer import gguf as module
from lockgate.infer.cards import family_of, licence_facts
from lockgate.infer.errors import ModelFactsError
from lockgate.infer.gguf import read_gguf
from lockgate.infer.terms import known, terms_of


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf(values: dict[str, Any], tensors: dict[str, tuple[int, ...]], version: int = 3) -> bytes:
    """Return a file's header, after docs/gguf.md: texts, whole numbers, and lists of texts."""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values))
    for key, value in values.items():
        out += text(key)
        if isinstance(value, str):
            out += struct.pack("<I", 8) + text(value)
        elif isinstance(value, list):
            out += struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(each) for each in value)
        else:
            out += struct.pack("<II", 4, value)
    for name, dimensions in tensors.items():
        out += text(name) + struct.pack("<I", len(dimensions))
        out += struct.pack(f"<{len(dimensions)}Q", *dimensions) + struct.pack("<IQ", 0, 0)
    return out


TEMPLATE = "{% if tools %}{{ tools }}{% endif %}{{ messages[0].content }}"
VALUES = {
    "general.architecture": "qwen2",
    "general.name": "Qwen2.5 Coder",
    "tokenizer.ggml.tokens": ["a", "b" * 100],
    "general.file_type": 15,
    "qwen2.context_length": 32768,
    "tokenizer.chat_template": TEMPLATE,
}


def model(contents: dict[str, bytes], weights: str, **more: Any) -> tuple[AdmittedModel, Any]:
    from dataclasses import replace

    files = {
        name: ModelFile(f"models/org/coder/{name}", hashlib.sha256(data).hexdigest(), len(data))
        for name, data in contents.items()
    }
    blobs = {files[name].sha256: data for name, data in contents.items()}
    made = replace(admitted("coder"), weights=files[weights], files=tuple(files.values()), **more)
    return made, lambda digest: io.BytesIO(blobs[digest])


def test_facts_of_a_gguf_file() -> None:
    data = gguf(VALUES, {"a": (64, 32), "b": (64,)})
    made, open_file = model(
        {"w.gguf": data}, "w.gguf", version="v" * 40, attributes={"knowledge-cutoff": "2024-10"}
    )
    card = card_of(made, open_file)
    assert (card.family, card.architecture, card.quantisation) == ("Qwen", "qwen2", "Q4_K_M")
    assert (card.weights, card.context_tokens) == (64 * 32 + 64, 32768)
    assert (card.tools, card.json, card.format) == (True, True, "gguf")
    assert card.chat_template_sha256 == hashlib.sha256(TEMPLATE.encode()).hexdigest()
    assert (card.knowledge_cutoff, card.label, card.version) == ("2024-10", "internal", "v" * 40)
    assert card.licence.known
    assert not card.licence.restricted


def test_facts_of_a_folder(tmp_path: Path) -> None:
    tinyllama.write(tmp_path)
    contents = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    made, open_file = model(contents, "model.safetensors", licence="llama3.2")
    card = card_of(made, open_file)
    assert (card.family, card.architecture, card.format) == ("Llama", "LlamaForCausalLM", "safetensors")
    assert card.context_tokens == tinyllama.CONTEXT
    assert card.weights == (len(contents["model.safetensors"]) - 8 - _header(contents)) // 4
    assert not card.tools
    assert card.licence.restricted
    assert any("military" in fact for fact in card.licence.facts)
    assert card.knowledge_cutoff == ""


def _header(contents: dict[str, bytes]) -> int:
    return int.from_bytes(contents["model.safetensors"][:8], "little")


@pytest.mark.parametrize(
    ("names", "family"),
    [
        (("gpt-oss-20b",), "gpt-oss"),
        (("DeepSeek-R1-Distill-Llama-8B", "llama"), "DeepSeek"),
        (("Meta-Llama-3.1-8B",), "Llama"),
        (("Mixtral-8x7B",), "Mistral"),
        (("QwQ-32B", "qwen2"), "Qwen"),
        (("gemma-3-270m",), "Gemma"),
        (("Phi-4-mini",), "Phi"),
        (("smollm2-135m", "llama"), "SmolLM"),
        (("own-name", "MistralForCausalLM"), "Mistral"),
        (("alphabet", "bert"), "unknown"),
    ],
)
def test_families(names: tuple[str, ...], family: str) -> None:
    assert family_of(*names) == family


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GGUF",
        b"GGML" + bytes(40),
        gguf(VALUES, {}, version=9),
        gguf(VALUES, {"a": (1,)})[:-5],
        gguf({"x": ["y"]}, {}).replace(struct.pack("<IIQ", 9, 8, 1), struct.pack("<IIQ", 9, 8, 1 << 60)),
        gguf({"x": "y"}, {}).replace(struct.pack("<I", 8), struct.pack("<I", 77)),
        gguf({}, {"a": (1,) * 9}),
        b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0),
    ],
)
def test_a_header_that_lies_is_an_error_within_bounds(data: bytes) -> None:
    with pytest.raises(ModelFactsError):
        read_gguf(io.BytesIO(data), lambda _: True)


def test_a_header_over_its_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEADER_LIMIT", 50)
    with pytest.raises(ModelFactsError, match="50 bytes"):
        read_gguf(io.BytesIO(gguf(VALUES, {})), lambda _: True)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("config.json", b"{" * 100_000),
        ("tokenizer_config.json", b"nonsense"),
        ("model.safetensors", (1 << 40).to_bytes(8, "little")),
        ("model.safetensors", (4).to_bytes(8, "little") + b"[1]x"),
        ("model.safetensors", (10).to_bytes(8, "little") + b'{"a": [1]}'),
    ],
)
def test_a_folder_that_lies_is_an_error(name: str, data: bytes) -> None:
    contents = {"config.json": b"{}", "model.safetensors": (2).to_bytes(8, "little") + b"{}", name: data}
    made, open_file = model(contents, "model.safetensors")
    with pytest.raises(ModelFactsError):
        card_of(made, open_file)


def test_a_licence_that_the_table_does_not_have_is_never_free() -> None:
    found = licence_facts("my-own-licence")
    assert (found.known, found.commercial, found.restricted) == (False, None, None)
    assert "read its text" in found.facts[0]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Apache-2.0", "Apache License 2.0"),
        ("LicenseRef-gemma", "Gemma Terms of Use"),
        ("Llama-3.1-Community", "Llama 3.1 Community License"),
        ("deepseek-license", "DeepSeek Model License"),
    ],
)
def test_licences_are_known_by_the_names_that_people_write(written: str, name: str) -> None:
    found = terms_of(written)
    assert found is not None
    assert found.name == name


def test_every_licence_has_facts_and_a_source() -> None:
    for key, terms in known():
        assert terms.facts, key
        assert terms.source, key
        assert terms.restricted or terms.commercial, (
            "a licence without restrictions lets people work for money"
        )
        assert all(fact.endswith(".") for fact in terms.facts)


def test_a_chat_template_that_comes_by_name_is_found() -> None:
    said = {"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]}
    contents = {
        "config.json": json.dumps({"text_config": {"max_position_embeddings": 99}}).encode(),
        "tokenizer_config.json": json.dumps(said).encode(),
        "model.safetensors": (2).to_bytes(8, "little") + b"{}",
    }
    card = card_of(*model(contents, "model.safetensors"))
    assert card.chat_template_sha256 == hashlib.sha256(b"d").hexdigest()
    assert card.context_tokens == 99
    assert card.weights == 0
