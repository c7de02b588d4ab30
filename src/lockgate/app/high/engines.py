"""From the settings to engines: which admitted models are served, by which programs, how many of each."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lockgate.app.high.engine import environment, installation, program
from lockgate.app.high.servers import server_engine
from lockgate.app.high.signed_models import SignedModels
from lockgate.app.settings import SettingsError, Side
from lockgate.app.trust import utc_now
from lockgate.core.errors import InputError
from lockgate.infer import (
    AdmittedModel,
    Engine,
    EngineLimits,
    LlamaConfig,
    LlamaEngine,
    OllamaConfig,
    OllamaEngine,
    Pool,
    TgiConfig,
    TgiEngine,
    VllmConfig,
    VllmEngine,
)


class NoChatModelError(InputError):
    """The channel has no chat model of the configured name."""

    code = "LG-1f06"
    advice = "Name an admitted model under [engine] chat_model in lockgate.toml: `lockgate gate show N`."


def chosen_models(side: Side, source: SignedModels) -> tuple[AdmittedModel, ...]:
    """Return the models that the settings name, each under the name that callers ask for.

    Raises:
        NoChatModelError: One is not in the channel, or none is.

    """
    words = side.settings.engine.chat_model.split()
    models = [m for m in source.current().models if source.loadable(m.weights.sha256)]
    if not words:
        words = [models[0].full_name] if models else [""]
    found = []
    for word in words:
        name, _, version = word.partition("@")
        matching = [
            m for m in models if name in {m.full_name, m.name} and m.version.startswith(version or "")
        ]
        if not matching:
            what = f"The channel has no chat model {word!r}."
            raise NoChatModelError(what)
        if matching[0] not in found:
            found.append(matching[0])
    return tuple(found)


def engines_of(side: Side, source: SignedModels) -> Mapping[str, Engine]:
    """Return the engine of each configured model, by the name that callers ask for.

    Raises:
        NoChatModelError: A configured model is not in the channel.
        SettingsError: Several models would be asked for under one name.

    """
    chosen = chosen_models(side, source)
    if len(chosen) > 1 and side.settings.engine.served_name:
        what = f"engine.served_name is one name, and {len(chosen)} models are served."
        advice = "Leave it empty and let the servers have the models under their own names."
        raise SettingsError(what, key="engine.served_name", advice=advice)
    return {model.name: _engine(side, source, model) for model in chosen}


def _engine(side: Side, source: SignedModels, model: AdmittedModel) -> Engine:
    settings = side.settings.engine
    if settings.servers:
        return server_engine(side, source, model)
    names = [f"{model.name}-{at}" for at in range(settings.instances)]
    engines = {name: _own(side, source, model, at) for at, name in enumerate(names)}
    return Pool(engines) if len(engines) > 1 else engines[names[0]]


def _own(side: Side, source: SignedModels, model: AdmittedModel, at: int) -> Engine:
    """Return one program of the gateway's own, with a folder of its own."""
    kind = side.settings.engine.kind
    first = chosen_models(side, source)[0] == model and not at
    run = side.home.run / ("engine" if first else f"engine-{model.name.replace(':', '-')}-{at}")
    if kind == "vllm":
        return _vllm(side, source, model, run)
    if kind == "tgi":
        config = TgiConfig(run, context=side.settings.engine.context_tokens)
        return TgiEngine(**_parts(source, model), installation=program(side), config=config)
    if kind == "ollama":
        return _ollama(side, source, model, run)
    settings = side.settings.engine
    adapter = model.weights if model.base is not None else None
    return LlamaEngine(
        model=model.base or model.weights,
        open_model=lambda: source.open((model.base or model.weights).sha256),
        adapter=adapter,
        open_adapter=lambda: source.open(model.weights.sha256),
        installation=installation(side),
        config=LlamaConfig(
            run_folder=run,
            context=settings.context_tokens,
            threads=settings.threads or os.cpu_count() or 1,
        ),
        limits=EngineLimits(),
        clock=utc_now,
    )


def _parts(source: SignedModels, model: AdmittedModel) -> dict[str, Any]:
    return {
        "model": model.weights,
        "files": model.files,
        "open_file": source.open,
        "limits": EngineLimits(),
        "clock": utc_now,
    }


def _ollama(side: Side, source: SignedModels, model: AdmittedModel, run: Path) -> Engine:
    """Return an Ollama over one of its own models: it takes templates from no other."""
    root = model.version.removeprefix("sha256:")
    manifest = next((file for file in model.files if file.sha256 == root), None)
    if manifest is None:
        what = f"{model.full_name!r} is no model of Ollama's: it has no manifest."
        advice = "Collect it with [[ollama]], or let `llama` serve it."
        raise NoChatModelError(what, advice=advice)
    config = OllamaConfig(run, context=side.settings.engine.context_tokens)
    return OllamaEngine(**_parts(source, model), manifest=manifest, installation=program(side), config=config)


def _vllm(side: Side, source: SignedModels, model: AdmittedModel, run: Path) -> Engine:
    settings = side.settings.engine
    config = VllmConfig(run, context=settings.context_tokens, options=options_of(settings.options))
    return VllmEngine(
        **_parts(source, model),
        base=model.base,
        installation=environment(side),
        config=config,
    )


def options_of(text: str) -> dict[str, str]:
    """Return options that are written with spaces between, each with its value if it has one.

    Raises:
        SettingsError: A value stands before every option.

    """
    found: dict[str, str] = {}
    last = ""
    for word in text.split():
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            found[name] = value if equals else ""
            last = "" if equals else name
        elif last:
            found[last], last = word, ""
        else:
            what = f"engine.options has the value {word[:60]!r} without an option before it."
            raise SettingsError(what, key="engine.options")
    return found
