"""What all forms of the API share: errors and their status, models, tokens, and what stands behind answers.

Format: OpenAI API reference, "Models" and "Error codes". The field ``lockgate`` is ours; clients ignore
fields that they do not know.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from lockgate.core.errors import InputError, LimitError, LockgateError, PolicyError
from lockgate.guard.errors import (
    AppealedAlreadyError,
    AppealLimitError,
    GuardTextTooLongError,
    PromptBlockedError,
)
from lockgate.infer import errors
from lockgate.infer.cards import ModelCard
from lockgate.infer.engines.ports import Usage
from lockgate.infer.ports import ChannelModels, Citation
from lockgate.infer.targets import Listed

_Mapped = tuple[type[LockgateError], int, str, str]

# error class → HTTP status, OpenAI type, OpenAI code; the first that fits counts
_STATUS: tuple[_Mapped, ...] = (
    (errors.BadApiKeyError, 401, "invalid_request_error", "invalid_api_key"),
    (errors.BadCredentialsError, 401, "invalid_request_error", "invalid_credentials"),
    (errors.NotGrantedError, 403, "permission_error", "nothing_granted"),
    (errors.UnknownModelError, 404, "invalid_request_error", "model_not_found"),
    (errors.UnknownReceiptError, 404, "invalid_request_error", "receipt_not_found"),
    (PromptBlockedError, 400, "invalid_request_error", "content_filter"),
    (AppealedAlreadyError, 409, "invalid_request_error", "appealed_already"),
    (AppealLimitError, 429, "rate_limit_error", "too_many_appeals"),
    (errors.UnsupportedParameterError, 400, "invalid_request_error", "unsupported_parameter"),
    (errors.NotServedError, 400, "invalid_request_error", "not_served"),
    (errors.EngineRefusedError, 400, "invalid_request_error", "context_length_exceeded"),
    (GuardTextTooLongError, 400, "invalid_request_error", "string_above_max_length"),
    (errors.BodyTooLargeError, 413, "invalid_request_error", "body_too_large"),
    (errors.SlowRequestError, 408, "invalid_request_error", "request_timeout"),
    (errors.TooManyRequestsError, 429, "rate_limit_error", "rate_limit_exceeded"),
    (errors.QuotaError, 429, "insufficient_quota", "insufficient_quota"),
    (errors.QueueFullError, 503, "server_error", "overloaded"),
    (errors.EngineUnavailableError, 503, "server_error", "engine_unavailable"),
    (errors.EngineTimeoutError, 504, "server_error", "engine_timeout"),
    (errors.EngineGarbageError, 502, "server_error", "engine_error"),
    (errors.EngineBrokenOffError, 502, "server_error", "engine_error"),
    (errors.AnswerTooLargeError, 502, "server_error", "engine_error"),
    (errors.LedgerUnavailableError, 503, "server_error", "audit_unavailable"),
    (errors.KnowledgeUnavailableError, 503, "server_error", "knowledge_unavailable"),
    (InputError, 400, "invalid_request_error", "invalid_request"),
    (PolicyError, 403, "permission_error", "refused_by_policy"),
    (LimitError, 503, "server_error", "limit_reached"),
    (LockgateError, 503, "server_error", "unavailable"),
)
_CONTEXT = "exceed_context_size_error"


def error_object(message: str, kind: str, code: str, param: str | None = None) -> dict[str, Any]:
    """Return the fields of an error; each form writes them in its own way."""
    return {"message": message, "type": kind, "code": code, "param": param}


INTERNAL_ERROR = error_object("The gateway failed; its log says more.", "server_error", "internal_error")
"""What callers see of a fault that has no name."""


def described(error: LockgateError) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the fields of one of our errors."""
    _, status, kind, code = next(row for row in _STATUS if isinstance(error, row[0]))
    if isinstance(error, errors.EngineRefusedError) and error.where.get("engine_type") != _CONTEXT:
        code = "invalid_request"
    param = error.where.get("param")
    said = error_object(f"{error.what} ({error.code}: {error.what_to_do})", kind, code, param)
    if receipt := error.where.get("receipt"):
        said["receipt"] = receipt  # what an appeal names
    return status, said


def models(view: ChannelModels, listed: Sequence[Listed], cards: Mapping[str, ModelCard]) -> dict[str, Any]:
    """Return the list of models: what may be asked for and what stands behind it."""
    return {"object": "list", "data": [model(view, one, cards) for one in listed]}


def model(view: ChannelModels, listed: Listed, cards: Mapping[str, ModelCard]) -> dict[str, Any]:
    """Return one model's entry."""
    entry, card, share = listed.model, cards.get(listed.model.name), listed.share
    said: dict[str, Any] = {
        "purl": entry.purl,
        "sha256": entry.weights.sha256,
        "licence": entry.licence,
        "label": entry.label,
        "crossing": entry.crossing,
        "snapshot_sha256": view.snapshot_sha256,
        "channel_version": view.channel_version,
    }
    if card is not None:
        said["card"] = msgspec.to_builtins(card)
    if share is not None:
        said["share"] = {"by": share.by.value, "arms": {arm.model: arm.weight for arm in share.arms}}
    return {
        "id": listed.name,
        "object": "model",
        "created": int(view.created.timestamp()),
        "owned_by": "lockgate",
        "lockgate": said,
    }


def provenance(
    receipt: str, purl: str, knowledge: str | None, citations: Sequence[Citation]
) -> dict[str, Any]:
    """Return the ``lockgate`` object that ends an answer."""
    return {
        "receipt": receipt,
        "model": purl,
        "knowledge": knowledge,
        "citations": [citation_object(citation) for citation in citations],
    }


def citation_object(citation: Citation) -> dict[str, Any]:
    """Return a citation as clients read it."""
    found: dict[str, Any] = msgspec.to_builtins(citation)
    return found


def usage_object(usage: Usage) -> dict[str, int]:
    """Return the tokens as the API shows them."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
