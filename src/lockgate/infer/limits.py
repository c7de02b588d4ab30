"""Every bound of the gateway and its engines, with its default."""

from dataclasses import dataclass

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """How long and how much the gateway takes from an engine.

    Seconds are floats, sizes bytes. `first_seconds` bounds the silence before the first token
    (the prompt is read then), `idle_seconds` the silence between tokens, `answer_seconds` the
    whole answer.
    """

    connect_seconds: float = 5.0
    first_seconds: float = 120.0
    idle_seconds: float = 30.0
    answer_seconds: float = 600.0
    answer_bytes: int = 16 * MIB
    event_bytes: int = 1 * MIB
    error_bytes: int = 64 * 1024
    running: int = 4
    waiting: int = 64
    wait_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """What one caller may ask of the gateway. Seconds are floats, sizes bytes.

    `head_seconds` bounds the wait for the first request on a connection, `kept_seconds` that for the next.
    """

    body_bytes: int = 4 * MIB
    head_seconds: float = 30.0
    body_seconds: float = 30.0
    kept_seconds: float = 75.0
    line_bytes: int = 8190
    header_bytes: int = 8190
    messages: int = 256
    parts: int = 256
    stops: int = 4
    tools: int = 128
    calls: int = 64
    choices: int = 8
    inputs: int = 512
    answer_tokens: int = 4096
    default_tokens: int = 1024
    per_key: int = 8
    client_stall_seconds: float = 60.0
    retry_after_seconds: int = 1
    shutdown_seconds: float = 20.0


SEAL_LIMIT = 8 * GIB
"""Largest model that is copied into sealed memory, in bytes; larger ones are hashed, not enforced."""

COPY_LIMIT = 2 * GIB
"""Longest engine, all files together in bytes, that runs from a private copy; longer ones are hashed, not
enforced."""

ANSWER_CALLS = 64
"""Most tools that an engine may call in one answer."""

CALL_ID_CHARACTERS = 128
"""Longest id of a tool call, in characters."""

TURN_TOKENS = 16
"""Tokens that a chat template may put around each turn."""

BYTES_A_TOKEN = 4
"""Bytes of a prompt that count as a token where an engine broke off before it told its own count."""
