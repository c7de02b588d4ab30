"""Logs: one JSON object a line on standard error, for our own events and those of libraries alike.

Standard output belongs to results, so that ``--json`` is always pure. What looks like a secret is
taken out of each line before it is written, whoever wrote it: a backstop, for code that logs none.
"""

import logging
import os
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from lockgate.core.errors import InputError, LockgateError

LEVEL_VARIABLE = "LOCKGATE_LOG__LEVEL"
"""The environment variable that overrides ``[log] level``; it holds for every command."""

SUPERVISED_VARIABLE = "LOCKGATE_SUPERVISED"
"""Set by the supervisor: standard error is a log, and what ends a service is an event in it."""

LEVELS = ("debug", "info", "warning", "error")
DEFAULT_LEVEL = "info"

TEXT_LIMIT = 16_384
"""Longest text in one field of an event, in characters; the rest is cut off."""

DEPTH_LIMIT = 6
"""How deep lists and tables in an event are followed; what lies deeper is written as text."""

HIDDEN = "[hidden]"

_SECRET_NAME = re.compile(
    r"(?i)(?:^|[_.-])(?:secret|password|passwd|passphrase|pass|pin|token|cookie|authorization"
    r"|api[_-]?key|access[_-]?key|private[_-]?key)$"
)
_SECRET_TEXT = (
    (re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"), HIDDEN),
    (re.compile(r"\b(lg-[0-9a-f]{12})-[A-Za-z0-9_-]{20,}"), rf"\1-{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(://[^/\s:@]*):[^/\s@]+@"), rf"\1:{HIDDEN}@"),
    (
        re.compile(
            r"(?i)\b(pin|pin-value|password|passwd|passphrase|secret|cookie|authorization|api[_-]?key"
            r"|access[_-]?token|X-Amz-(?:Signature|Credential|Security-Token))"
            r"(\s{0,9}[\"']?\s{0,9}[=:]\s{0,9}[\"']?)[^&;?\s\"']+"
        ),
        rf"\1\2{HIDDEN}",
    ),
)


class LogLevelError(InputError):
    """The level of the logs is none that exists."""

    code = "LG-1f16"
    advice = f"Give {LEVEL_VARIABLE} one of: {', '.join(LEVELS)}."


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is at that moment; it may be put elsewhere after the start."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """Take no other stream."""


def hide_text(text: str) -> str:
    """Return a text without what has the form of a secret, cut to `TEXT_LIMIT`."""
    text = text[: 2 * TEXT_LIMIT]  # what begins before the cut is seen whole, or cut away with it
    for pattern, instead in _SECRET_TEXT:
        text = pattern.sub(instead, text)
    return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}…"


def _hide(name: str, value: object, depth: int = 0) -> Any:
    """Return a value as it may be written; what is neither number nor text becomes text first."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if _SECRET_NAME.search(name):
        return HIDDEN
    if depth < DEPTH_LIMIT and isinstance(value, dict):
        return {hide_text(str(key)): _hide(str(key), inner, depth + 1) for key, inner in value.items()}
    if depth < DEPTH_LIMIT and isinstance(value, list | tuple | set | frozenset):
        return [_hide(name, inner, depth + 1) for inner in value]
    return hide_text(str(value))


def hide_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take out of an event what is named or formed like a secret (a structlog processor)."""
    return {hide_text(name): _hide(name, value) for name, value in event.items()}


_BEFORE: tuple[Any, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,  # as text: it names no local variable and shows no value of one
)


def _handler() -> logging.Handler:
    handler = _StandardError()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_BEFORE,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                hide_secrets,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    return handler


def configure_logs(level: str | None = None) -> None:
    """Send every log of this process to standard error, as JSON; the last call's level holds.

    What libraries tell of their work is for the level ``debug`` alone; below it they only warn.

    Args:
        level: The least level that is written (default: the environment's, else info).

    Raises:
        LogLevelError: There is no such level.

    """
    chosen = os.environ.get(LEVEL_VARIABLE) or level or DEFAULT_LEVEL
    if chosen not in LEVELS:
        what = f"There is no log level {chosen[:40]!r}."
        raise LogLevelError(what)
    root = logging.getLogger()
    if not any(isinstance(handler, _StandardError) for handler in root.handlers):
        root.addHandler(_handler())
    logging.getLogger("lockgate").setLevel(chosen.upper())
    root.setLevel(chosen.upper() if chosen in {"debug", "error"} else "WARNING")
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_BEFORE,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def tell_end(error: LockgateError) -> None:
    """Write as an event what ends a service."""
    facts = {str(name): value for name, value in error.where.items()}
    log = structlog.get_logger("lockgate")
    log.error("service ends", code=error.code, error=error.what, advice=error.what_to_do, where=facts)
