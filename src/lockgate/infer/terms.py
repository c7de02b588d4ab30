"""What licences of models say that matters to regulated users: short facts, each with where it stands.

Maintained by hand; `AS_OF` is the day on which the table was last worked on. They are facts to read a
licence by, no legal advice, and no replacement for its text, which crosses with the model. What is not in
this table is said to be unknown, never to be free.
"""

from collections.abc import Iterator
from dataclasses import dataclass

AS_OF = "2026-11-26"
"""The day on which the table was last worked on."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What one licence says.

    Attributes:
        name: The licence, as people call it.
        commercial: Whether work for money may use the model; `None` where that depends.
        restricted: Whether some uses are forbidden whoever the user is.
        facts: What to know before using it, in short sentences.
        source: The document and where in it that stands.

    """

    name: str
    commercial: bool | None
    restricted: bool
    facts: tuple[str, ...]
    source: str


_OPEN = ("No use is forbidden.", "The text and its notices go along with copies.")
_META = (
    "A company with more than 700 million monthly users at the model's release needs a licence of its own.",
    (
        "The acceptable use policy forbids military, warfare, nuclear and espionage uses, and regulated "
        "activities without the permission that they need; ask the licensor where the state is the user."
    ),
    "Copies and products show that they are built with Llama and carry the licence.",
)

_TABLE: dict[str, Terms] = {
    "apache-2.0": Terms(
        "Apache License 2.0",
        commercial=True,
        restricted=False,
        facts=(*_OPEN, "Patents are licensed until the user sues over them."),
        source="Apache License 2.0, sections 2 to 4",
    ),
    "mit": Terms("MIT License", commercial=True, restricted=False, facts=_OPEN, source="MIT License"),
    "bsd-3-clause": Terms(
        "BSD 3-Clause License", commercial=True, restricted=False, facts=_OPEN, source="BSD 3-Clause License"
    ),
    "cc-by-4.0": Terms(
        "Creative Commons Attribution 4.0",
        commercial=True,
        restricted=False,
        facts=("No use is forbidden.", "The author is named."),
        source="CC BY 4.0, sections 2 and 3",
    ),
    "cc-by-nc-4.0": Terms(
        "Creative Commons Attribution-NonCommercial 4.0",
        commercial=False,
        restricted=True,
        facts=(
            "No use that is primarily for commercial advantage or money.",
            "The author is named.",
            "Whether an authority's work counts as commercial is to be asked before use.",
        ),
        source="CC BY-NC 4.0, sections 1(i) and 2(a)(1)",
    ),
    "llama2": Terms(
        "Llama 2 Community License",
        commercial=True,
        restricted=True,
        facts=(*_META, "Answers must not improve other language models."),
        source="Llama 2 Community License, sections 1(b)(v) and 2; Acceptable Use Policy, 1 and 2",
    ),
    "llama3": Terms(
        "Llama 3 Community License",
        commercial=True,
        restricted=True,
        facts=(*_META, "Answers must not improve other language models."),
        source="Llama 3 Community License, sections 1(b) and 2; Acceptable Use Policy, 1 and 2",
    ),
    "llama3.1": Terms(
        "Llama 3.1 Community License",
        commercial=True,
        restricted=True,
        facts=(*_META, "A model that is trained on answers has a name that begins with Llama."),
        source="Llama 3.1 Community License, sections 1(b) and 2; Acceptable Use Policy, 1 and 2",
    ),
    "llama3.2": Terms(
        "Llama 3.2 Community License",
        commercial=True,
        restricted=True,
        facts=(
            *_META,
            "Rights to the multimodal models are not granted to persons and companies of the European Union.",
        ),
        source="Llama 3.2 Community License, sections 1(b) and 2; Acceptable Use Policy, last paragraph",
    ),
    "llama3.3": Terms(
        "Llama 3.3 Community License",
        commercial=True,
        restricted=True,
        facts=_META,
        source="Llama 3.3 Community License, sections 1(b) and 2; Acceptable Use Policy, 1 and 2",
    ),
    "llama4": Terms(
        "Llama 4 Community License",
        commercial=True,
        restricted=True,
        facts=(
            *_META,
            "Rights to the multimodal models are not granted to persons and companies of the European Union.",
        ),
        source="Llama 4 Community License, sections 1(b) and 2; Acceptable Use Policy, last paragraph",
    ),
    "gemma": Terms(
        "Gemma Terms of Use",
        commercial=True,
        restricted=True,
        facts=(
            "The prohibited use policy binds every user and goes along with every copy and derivative.",
            (
                "It forbids automated decisions in matters of rights or well-being (finance, law, jobs, "
                "health, housing, insurance, welfare) and practising a licensed profession without a licence."
            ),
            "The licensor may end or restrict uses that it believes break the policy.",
        ),
        source="Gemma Terms of Use, sections 3.1, 3.2 and 4.1; Gemma Prohibited Use Policy",
    ),
    "deepseek": Terms(
        "DeepSeek Model License",
        commercial=True,
        restricted=True,
        facts=(
            "Military use in any way is forbidden.",
            "So are fully automated decisions that harm a person's legal rights, and discrimination.",
            "The restrictions go along with every copy and derivative.",
        ),
        source="DeepSeek License Agreement 1.0, section 5 and attachment A",
    ),
    "mistral-research": Terms(
        "Mistral AI Research License",
        commercial=False,
        restricted=True,
        facts=("For research and personal use alone.", "Any other use needs a commercial licence."),
        source="Mistral AI Research License, sections 2 and 3.2",
    ),
    "qwen": Terms(
        "Tongyi Qianwen License Agreement",
        commercial=None,
        restricted=True,
        facts=(
            "A product with more than 100 million monthly users needs a licence of its own.",
            "Answers must not improve other language models, but for Tongyi Qianwen and its derivatives.",
        ),
        source="Tongyi Qianwen License Agreement, sections 4 and 5",
    ),
    "qwen-research": Terms(
        "Qwen Research License Agreement",
        commercial=False,
        restricted=True,
        facts=("For research and evaluation alone; commercial use needs a licence of its own.",),
        source="Qwen Research License Agreement, sections 1 and 2",
    ),
    "openrail": Terms(
        "OpenRAIL and BigScience RAIL licences",
        commercial=True,
        restricted=True,
        facts=(
            (
                "Forbidden: medical advice, justice and law enforcement by prediction, immigration, "
                "and fully automated decisions that harm a person's legal rights."
            ),
            "The restrictions go along with every copy and derivative.",
        ),
        source="BigScience RAIL License 1.0 and OpenRAIL-M, attachment A",
    ),
    "nvidia-open-model": Terms(
        "NVIDIA Open Model License",
        commercial=True,
        restricted=True,
        facts=("The licence ends for who removes a safety guardrail without an equal one in its place.",),
        source="NVIDIA Open Model License Agreement, section 2.1",
    ),
}

_NAMES: dict[str, str] = {
    "bigcode-openrail-m": "openrail",
    "bigscience-openrail-m": "openrail",
    "deepseek-license": "deepseek",
    "gemma-terms-of-use": "gemma",
    "llama-2-community": "llama2",
    "llama-3-community": "llama3",
    "llama-3.1-community": "llama3.1",
    "llama-3.2-community": "llama3.2",
    "llama-3.3-community": "llama3.3",
    "llama-4-community": "llama4",
    "meta-llama-2": "llama2",
    "meta-llama-3": "llama3",
    "mrl": "mistral-research",
    "nvidia-open-model-license": "nvidia-open-model",
    "openrail++": "openrail",
    "tongyi-qianwen": "qwen",
    "tongyi-qianwen-research": "qwen-research",
}
"""Other identifiers that people and model cards write, in lower case."""


def terms_of(licence: str) -> Terms | None:
    """Return what a licence says; nothing where the table does not know it.

    Args:
        licence: An identifier (SPDX, or what model cards write), with or without ``LicenseRef-``.

    """
    key = licence.strip().lower().removeprefix("licenseref-").removesuffix("-license")
    return _TABLE.get(key) or _TABLE.get(_NAMES.get(key, "")) or _TABLE.get(_NAMES.get(licence.lower(), ""))


def known() -> Iterator[tuple[str, Terms]]:
    """Return every licence that the table knows."""
    yield from sorted(_TABLE.items())
