"""What is known of a model, read from its admitted files, its lock and the table of licences."""

import json
import re
from collections.abc import Callable, Mapping
from math import prod
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import msgspec

from lockgate.core.artifact import Digest
from lockgate.core.digests import sha256
from lockgate.core.wire import Document
from lockgate.infer.engines.ports import Count
from lockgate.infer.errors import ModelFactsError
from lockgate.infer.gguf import read_gguf
from lockgate.infer.ports import AdmittedModel, ModelFile
from lockgate.infer.terms import AS_OF, terms_of

CONFIG_LIMIT = 32 << 20
"""Longest configuration of a model that is read, in bytes."""

TENSORS_LIMIT = 128 << 20
"""Longest header of a file of safetensors that is read, in bytes."""

UNKNOWN = "unknown"

_FAMILIES: tuple[tuple[str, str], ...] = (
    ("gpt[-_]?oss", "gpt-oss"),
    ("deepseek", "DeepSeek"),
    ("smollm", "SmolLM"),
    ("tinyllama", "Llama"),
    ("qwen|qwq", "Qwen"),
    ("mixtral|mistral|ministral|codestral|devstral|magistral|pixtral", "Mistral"),
    ("gemma", "Gemma"),
    (r"\bphi[-_ ]?[0-9]|\bphi\b|phi3|phimoe", "Phi"),
    ("granite", "Granite"),
    ("command[-_]?r|cohere|aya", "Command"),
    ("falcon", "Falcon"),
    ("olmo", "OLMo"),
    ("nemotron", "Nemotron"),
    ("llama", "Llama"),
)
"""Families by what names and architectures have in them; the first that fits counts, so that a model that
was distilled into another's shape goes by its own name."""

_TOOLS = re.compile(r"\btools\b|\btool_calls?\b|\bavailable_tools\b")
_WANTED = re.compile(
    r"general\.(architecture|name|basename|file_type|finetune|license)$|\.context_length$|^tokenizer\.chat_template$"
)
_QUANTISATIONS = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    30: "IQ4_XS",
    32: "BF16",
}
"""What ``general.file_type`` stands for (enum ``llama_ftype`` of llama.h)."""


class LicenceFacts(Document, frozen=True):
    """What a model's licence says; `known` is false where the table does not have it."""

    identifier: str
    known: bool
    name: str
    commercial: bool | None
    restricted: bool | None
    facts: tuple[str, ...]
    source: str
    as_of: str


class ModelCard(Document, frozen=True):
    """What is known of one served model. Empty texts and nulls: its files do not say.

    `tools` tells whether its chat template takes tools, `json` whether answers can be held to a schema (the
    engines do that by constrained decoding, for every model with a chat template). `chat_template_sha256` is
    the digest of the template's UTF-8 text.
    """

    name: str
    version: str
    family: str
    architecture: str
    format: str
    quantisation: str
    weights: Count | None
    context_tokens: Count | None
    chat_template_sha256: Digest | None
    tools: bool
    json: bool
    knowledge_cutoff: str
    label: str
    licence: LicenceFacts
    base: str


def licence_facts(identifier: str) -> LicenceFacts:
    """Return what the table says of a licence."""
    terms = terms_of(identifier)
    if terms is None:
        said = (f"The table of licences does not know {identifier[:80]!r}: read its text before use.",)
        return LicenceFacts(
            identifier=identifier,
            known=False,
            name=UNKNOWN,
            commercial=None,
            restricted=None,
            facts=said,
            source="",
            as_of=AS_OF,
        )
    return LicenceFacts(
        identifier=identifier,
        known=True,
        name=terms.name,
        commercial=terms.commercial,
        restricted=terms.restricted,
        facts=terms.facts,
        source=terms.source,
        as_of=AS_OF,
    )


def family_of(*names: str) -> str:
    """Return the family that names stand for, the first name that fits counting most."""
    for name in names:
        for pattern, family in _FAMILIES:
            if re.search(pattern, name.lower()):
                return family
    return UNKNOWN


def card_of(model: AdmittedModel, open_file: Callable[[str], BinaryIO]) -> ModelCard:
    """Return what is known of an admitted model. Reads headers and configurations; blocks.

    Args:
        model: The model.
        open_file: Opens one of its files by its digest.

    Raises:
        ModelFactsError: A file is not what its name says, or over a bound.

    """
    files = {PurePosixPath(file.path).name: file for file in model.files}
    base = model.base or model.weights
    with open_file(base.sha256) as stream:
        gguf = stream.read(4) == b"GGUF"
    read = _from_gguf(base, open_file) if gguf else _from_folder(files, open_file)
    template = read.template
    return ModelCard(
        name=model.name,
        version=model.version,
        family=family_of(model.name, read.name, read.architecture),
        architecture=read.architecture or UNKNOWN,
        format="gguf" if gguf else "safetensors" if base.path.endswith(".safetensors") else UNKNOWN,
        quantisation=read.quantisation,
        weights=read.weights,
        context_tokens=read.context,
        chat_template_sha256=sha256(template.encode()) if template else None,
        tools=bool(_TOOLS.search(template)),
        json=bool(template),
        knowledge_cutoff=model.attributes.get("knowledge-cutoff", ""),
        label=model.label,
        licence=licence_facts(model.licence),
        base=model.attributes.get("base", ""),
    )


class _Read(msgspec.Struct):
    name: str = ""
    architecture: str = ""
    quantisation: str = ""
    weights: int | None = None
    context: int | None = None
    template: str = ""


def _from_gguf(weights: ModelFile, open_file: Callable[[str], BinaryIO]) -> _Read:
    with open_file(weights.sha256) as stream:
        said, count = read_gguf(stream, lambda key: _WANTED.search(key) is not None)
    architecture = str(said.get("general.architecture", ""))
    return _Read(
        name=" ".join(str(said.get(f"general.{key}", "")) for key in ("name", "basename")),
        architecture=architecture,
        quantisation=_QUANTISATIONS.get(said.get("general.file_type", -1), ""),
        weights=count,
        context=_whole(said.get(f"{architecture}.context_length")),
        template=str(said.get("tokenizer.chat_template", "")),
    )


def _from_folder(files: Mapping[str, ModelFile], open_file: Callable[[str], BinaryIO]) -> _Read:
    config = _json(files.get("config.json"), open_file)
    tokenizer = _json(files.get("tokenizer_config.json"), open_file)
    template = _text(files.get("chat_template.jinja"), open_file) or _template(tokenizer)
    architectures = config.get("architectures")
    inner = config.get("text_config")
    context = config.get("max_position_embeddings") or (
        inner.get("max_position_embeddings") if isinstance(inner, dict) else None
    )
    counted = [_tensors(file, open_file) for name, file in files.items() if name.endswith(".safetensors")]
    quantised = config.get("quantization_config")
    return _Read(
        name=str(config.get("model_type", "")),
        architecture=str(architectures[0]) if isinstance(architectures, list) and architectures else "",
        quantisation=str(quantised.get("quant_method", "")) if isinstance(quantised, dict) else "",
        weights=sum(counted) if counted else None,
        context=_whole(context),
        template=template,
    )


def _template(tokenizer: Mapping[str, Any]) -> str:
    found = tokenizer.get("chat_template")
    if isinstance(found, list):  # several, by name
        named = {t.get("name"): t.get("template") for t in found if isinstance(t, dict)}
        found = named.get("default") or next(iter(named.values()), "")
    return found if isinstance(found, str) else ""


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 1 << 53 else None


def _text(file: ModelFile | None, open_file: Callable[[str], BinaryIO]) -> str:
    if file is None:
        return ""
    if file.size > CONFIG_LIMIT:
        what = f"{PurePosixPath(file.path).name} has more than {CONFIG_LIMIT} bytes."
        raise ModelFactsError(what, limit="CONFIG_LIMIT")
    with open_file(file.sha256) as stream:
        return stream.read(CONFIG_LIMIT).decode("utf-8", "replace")


def _json(file: ModelFile | None, open_file: Callable[[str], BinaryIO]) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        found = json.loads(_text(file, open_file))
    except (ValueError, RecursionError) as error:
        what = f"{PurePosixPath(file.path).name} is no JSON."
        raise ModelFactsError(what) from error
    return found if isinstance(found, dict) else {}


def _tensors(file: ModelFile, open_file: Callable[[str], BinaryIO]) -> int:
    """Return how many weights a file of safetensors has, from its header."""
    name = PurePosixPath(file.path).name
    with open_file(file.sha256) as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > min(TENSORS_LIMIT, file.size):
            what = f"The header of {name} has {length} bytes."
            raise ModelFactsError(what, limit="TENSORS_LIMIT")
        data = stream.read(length)
    try:
        header = json.loads(data)
        return sum(prod(t["shape"]) for key, t in header.items() if key != "__metadata__")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        what = f"The header of {name} is not one of safetensors."
        raise ModelFactsError(what) from error
