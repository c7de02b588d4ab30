"""What a model's name stands for at this moment, for the key that asks."""

from collections.abc import Mapping
from dataclasses import dataclass

from lockgate.infer.errors import EngineUnavailableError, UnknownModelError
from lockgate.infer.limits import EngineLimits
from lockgate.infer.ports import (
    AdmittedModel,
    ApiKey,
    ChannelModels,
    Engine,
    Knowledge,
    LoadedModel,
    ModelSource,
)
from lockgate.infer.queue import Slots

SEPARATOR = "@"
"""Stands between a model's name and the knowledge base that it is to answer from."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a model's name stands for at this moment."""

    view: ChannelModels
    model: AdmittedModel
    engine: Engine
    loaded: LoadedModel
    slots: Slots
    knowledge: Knowledge | None


class Targets:
    """Resolves models.

    Args:
        source: The admitted models.
        engines: The engine of each model, by the model's name.
        knowledge: The knowledge bases, by name.
        limits: Bounds on what engines may do.

    """

    def __init__(
        self,
        source: ModelSource,
        engines: Mapping[str, Engine],
        knowledge: Mapping[str, Knowledge],
        limits: EngineLimits,
    ) -> None:
        """Keep the parts."""
        self._source = source
        self._engines = engines
        self._knowledge = knowledge
        self._slots = {name: Slots(limits, engine.instances) for name, engine in engines.items()}

    def running(self, name: str) -> int:
        """Return how many answers an engine is making."""
        return self._slots[name].running

    def listed(self, key: ApiKey) -> tuple[ChannelModels, list[tuple[str, AdmittedModel]]]:
        """Return the models that a key may ask for, each alone and with each knowledge base."""
        view = self._source.current()
        mine = [m for m in view.models if m.name in self._engines and m.label in key.labels]
        bases = sorted(self._knowledge)
        return view, [(name, model) for model in mine for name in _names(model.name, bases)]

    def resolve(self, name: str, key: ApiKey) -> Target:
        """Return what a name stands for.

        Raises:
            UnknownModelError: There is no such model or knowledge base for this key.
            EngineUnavailableError: Its engine does not hold the admitted weights.

        """
        base, _, collection = name.partition(SEPARATOR)
        view = self._source.current()
        model = view.named(base)
        engine = self._engines.get(base)
        known = not collection or collection in self._knowledge
        if model is None or engine is None or not known or model.label not in key.labels:
            what = f"There is no model {name!r} for this key."
            raise UnknownModelError(what, param="model")
        loaded = engine.loaded
        if loaded is None:
            what = f"The engine of {base!r} has not loaded it."
            raise EngineUnavailableError(what)
        if loaded.sha256 != model.weights.sha256:
            what = f"The channel has other weights for {base!r} than the engine holds."
            raise EngineUnavailableError(what, advice="Restart the gateway to load the admitted weights.")
        return Target(view, model, engine, loaded, self._slots[base], self._knowledge.get(collection))


def _names(model: str, bases: list[str]) -> list[str]:
    return [model, *(f"{model}{SEPARATOR}{base}" for base in bases)]
