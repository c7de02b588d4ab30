"""``/api/tags`` and ``/api/show``: the models for Ollama's clients. Format: Ollama's API reference."""

from collections.abc import Sequence
from typing import Any

import msgspec

from lockgate.infer.errors import BadRequestError, UnknownModelError
from lockgate.infer.forms.ollama import plain_name
from lockgate.infer.ports import AdmittedModel, ChannelModels
from lockgate.infer.requests import ModelName, decoded

Listed = Sequence[tuple[str, AdmittedModel]]


class _Show(msgspec.Struct):
    model: ModelName | None = None
    name: ModelName | None = None
    verbose: bool | None = None


_shows = msgspec.json.Decoder(_Show)


def ollama_tags(view: ChannelModels, listed: Listed) -> dict[str, Any]:
    """Return the list of models."""
    return {"models": [_tag(view, name, entry) for name, entry in listed]}


def _tag(view: ChannelModels, name: str, entry: AdmittedModel) -> dict[str, Any]:
    return {
        "name": name,
        "model": name,
        "modified_at": f"{view.created:%Y-%m-%dT%H:%M:%SZ}",
        "size": entry.weights.size,
        "digest": entry.weights.sha256,
        "details": _details(entry),
    }


def _details(entry: AdmittedModel) -> dict[str, Any]:
    suffix = entry.weights.path.rpartition(".")[2].lower()
    return {
        "parent_model": "",
        "format": suffix,
        "family": "",
        "families": None,
        "parameter_size": "",
        "quantization_level": "",
    }


def ollama_show(view: ChannelModels, listed: Listed, data: bytes) -> dict[str, Any]:
    """Return one model.

    Raises:
        BadRequestError: No model is named.
        UnknownModelError: There is none of that name.

    """
    body = decoded(_shows, data, _Show)
    wanted = body.model or body.name
    if wanted is None:
        raise BadRequestError("The request names no model.", param="model")
    for name, entry in listed:
        if name == plain_name(wanted):
            return {
                "modified_at": f"{view.created:%Y-%m-%dT%H:%M:%SZ}",
                "template": "",
                "modelfile": "",
                "license": entry.licence,
                "details": _details(entry),
                "model_info": {"general.purl": entry.purl, "lockgate.label": entry.label},
                "capabilities": ["completion"],
            }
    what = f"There is no model {wanted!r} for this key."
    raise UnknownModelError(what, param="model")
