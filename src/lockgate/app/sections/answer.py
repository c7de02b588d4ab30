"""Sections of answers: engines, knowledge, guards, and what an observer of the network learns."""

from typing import Literal

from pydantic import Field

from lockgate.app.sections.base import Section


class EngineSection(Section):
    """Which engine the gateway starts (high side)."""

    kind: Literal["llama", "vllm", "ollama", "tgi"] = Field(
        default="llama", description="What the engine is that the gateway starts."
    )
    project: str = Field(default="", description="Python project that carries the engine; empty: no engine.")
    executable: str = Field(
        default="", description="Path of the program inside that project (llama) or folder (ollama, tgi)."
    )
    folder: str = Field(
        default="",
        description="Folder of an installed program (ollama, tgi); each file in it must be admitted.",
    )
    options: str = Field(
        default="", description="Further options of vLLM with spaces between, as `--dtype bfloat16`."
    )
    instances: int = Field(
        default=1, ge=1, le=16, description="How many programs are started for each model."
    )
    chat_model: str = Field(
        default="",
        description="Names of the chat models to load, as `org/name` or `org/name@revision` with spaces "
        "between; empty: the newest.",
    )
    context_tokens: int = Field(default=4096, ge=512, le=1 << 20, description="Context window in tokens.")
    threads: int = Field(
        default=0, ge=0, le=512, description="Threads of the engine; 0: one for each processor."
    )
    servers: str = Field(
        default="",
        description="Servers that have the chat model, as `kind=http://host:port` with spaces between "
        "(openai, llama, vllm, ollama, tgi); empty: the gateway starts its own engine.",
    )
    served_name: str = Field(default="", description="Name of the model on the servers; empty: its own name.")
    server_key_file: str = Field(
        default="", description="File with the bearer token of the servers; relative ones lie below the home."
    )

    @property
    def serves(self) -> bool:
        """Tell whether there is anything to serve models with."""
        return bool(self.project or self.folder or self.servers)


class KnowledgeSection(Section):
    """What the knowledge base is built from (high side)."""

    collection: str = Field(default="", description="Document collection to index; empty: no knowledge base.")
    embed_model: str = Field(default="", description="Name of the embedding model, as `org/name`.")


class GuardSection(Section):
    """What the guards let pass (high side). No key turns one off: `guard policy` does, by two persons."""

    classifier: str = Field(
        default="",
        description="Name of an admitted classifier, as `org/name`; empty: the one that ships.",
    )
    classifier_label: int = Field(
        default=1, ge=0, le=1000, description="Which output of that classifier means an attack, from 0."
    )
    classifier_flag_percent: int = Field(
        default=50,
        ge=1,
        le=99,
        description="Probability from which that classifier flags a text, in percent.",
    )
    classifier_block_percent: int = Field(
        default=99, ge=1, le=99, description="Probability from which it blocks one, where it may block."
    )
    classifier_user: Literal["log", "block"] = Field(
        default="log", description="What a high score does to a user's turn."
    )
    classifier_retrieved: Literal["log", "block"] = Field(
        default="log", description="What a high score does to a passage that was looked up."
    )
    classifier_tool: Literal["log", "block"] = Field(
        default="log", description="What a high score does to what a tool answered."
    )

    marking: Literal["mark", "tag"] = Field(
        default="mark",
        description="How models are shown text of tools and documents: marked words, or tags around.",
    )
    hosts: str = Field(
        default="",
        description="Hosts that answers may link to, with spaces between; a leading dot admits subdomains.",
    )
    personal: Literal["log", "block"] = Field(
        default="log", description="Card numbers, IBANs and mail addresses in answers: counted, or removed."
    )
    auditors: str = Field(
        default="",
        description="Files of auditors' public keys, with spaces between: texts that guards stop or meet"
        " something in are kept for them, sealed; empty: no text is kept.",
    )
    system_prompt: Literal["log", "block"] = Field(
        default="log", description="Answers that repeat a system prompt word for word: counted, or stopped."
    )


class ShapingSection(Section):
    """What an observer of the network learns from sizes and times of answers (high side)."""

    labels: str = Field(
        default="",
        description="Profiles by label, as `secret=constant internal=padded`: off, padded, paced, constant.",
    )
    record_bytes: int = Field(default=1024, ge=64, le=1 << 20, description="Bytes of one record.")
    interval_ms: int = Field(default=50, ge=1, le=60_000, description="Milliseconds between two records.")
    bucket_records: int = Field(
        default=600, ge=1, le=1 << 20, description="A constant answer has a multiple of so many records."
    )
