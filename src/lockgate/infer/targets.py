"""What a model's name stands for at this moment, for the key that asks."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import msgspec

from lockgate.infer.engines.ports import Engine, LoadedModel
from lockgate.infer.errors import EngineUnavailableError, UnknownModelError
from lockgate.infer.limits import EngineLimits
from lockgate.infer.ports import AdmittedModel, ChannelModels, Knowledge, ModelSource, Principal
from lockgate.infer.queue import Slots
from lockgate.infer.shares import MemoryShares, Share, ShareSource

SEPARATOR = "@"
"""Stands between a model's name and the knowledge base that it is to answer from."""


class Target(msgspec.Struct, frozen=True):
    """What a model's name stands for at this moment."""

    view: ChannelModels
    model: AdmittedModel
    engine: Engine
    loaded: LoadedModel
    slots: Slots
    knowledge: Knowledge | None
    asked: str
    """The name that was asked for, without a knowledge base."""
    share: str
    """Which share of it this is, in words; empty where the name is the model's own."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A name that may be asked for, the model that stands behind it, and its share if it has one."""

    name: str
    model: AdmittedModel
    share: Share | None = None


class Targets:
    """Resolves models.

    Args:
        source: The admitted models.
        engines: The engine of each model, by the model's name.
        knowledge: The knowledge bases, by name.
        limits: Bounds on what engines may do.
        shares: How the traffic of names is spread.

    """

    def __init__(
        self,
        source: ModelSource,
        engines: Mapping[str, Engine],
        knowledge: Mapping[str, Knowledge],
        limits: EngineLimits,
        shares: ShareSource | None = None,
    ) -> None:
        """Keep the parts."""
        self._source = source
        self._engines = engines
        self._knowledge = knowledge
        self._shares = shares or MemoryShares()
        self._slots = {name: Slots(limits, engine.instances) for name, engine in engines.items()}

    def running(self, name: str) -> int:
        """Return how many answers an engine is making."""
        return self._slots[name].running

    def listed(self, key: Principal) -> tuple[ChannelModels, list[Listed]]:
        """Return the models that a key may ask for, each alone and with each knowledge base."""
        view = self._source.current()
        mine = {m.name: m for m in view.models if m.name in self._engines and m.label in key.labels}
        found = {name: Listed(name, model) for name, model in mine.items()}
        for name in self._shares.names():
            share = self._shares.find(name)
            arms = [arm for arm in share.arms if arm.model in mine] if share else []
            if arms:
                found[name] = Listed(name, mine[max(arms, key=lambda arm: arm.weight).model], share)
        bases = sorted(self._knowledge)
        return view, [
            Listed(name, one.model, one.share) for one in found.values() for name in _names(one.name, bases)
        ]

    def resolve(self, name: str, key: Principal, request: Callable[[], bytes] = bytes) -> Target:
        """Return what a name stands for.

        Args:
            name: As the caller wrote it.
            key: Who asks.
            request: Gives what stands for the request, where a share is decided by that.

        Raises:
            UnknownModelError: There is no such model or knowledge base for this key.
            EngineUnavailableError: Its engine does not hold the admitted weights.

        """
        base, _, collection = name.partition(SEPARATOR)
        view = self._source.current()
        handle, said = base, ""
        share = self._shares.find(base)
        if share is not None:
            arm = share.chosen(key.id, request, self._able(view, share, key))
            handle, said = (arm.model, share.said(arm)) if arm is not None else ("", "")
        model = view.named(handle)
        engine = self._engines.get(handle)
        known = not collection or collection in self._knowledge
        if model is None or engine is None or not known or model.label not in key.labels:
            what = f"There is no model {name!r} for this key."
            raise UnknownModelError(what, param="model")
        loaded = engine.loaded
        if loaded is None:
            what = f"The engine of {handle!r} has not loaded it."
            raise EngineUnavailableError(what)
        if loaded.sha256 != model.weights.sha256:
            what = f"The channel has other weights for {handle!r} than the engine holds."
            raise EngineUnavailableError(what, advice="Restart the gateway to load the admitted weights.")
        knowledge = self._knowledge.get(collection)
        return Target(view, model, engine, loaded, self._slots[handle], knowledge, base, said)

    def again(self, target: Target, key: Principal) -> Target:
        """Return a target as it is now, after a wait: the same model whatever its share has become.

        Raises:
            UnknownModelError: It was withdrawn meanwhile.
            EngineUnavailableError: See `resolve`.

        """
        view, loaded = self._source.current(), target.engine.loaded
        if view is target.view and loaded is target.loaded:
            return target  # what `resolve` looked at
        name = target.model.name
        model = view.named(name)
        if model is None or model.label not in key.labels:
            what = f"There is no model {name!r} for this key any more."
            raise UnknownModelError(what, param="model")
        if loaded is None or loaded.sha256 != model.weights.sha256:
            what = f"The engine of {name!r} does not hold its admitted weights."
            raise EngineUnavailableError(what)
        return msgspec.structs.replace(target, view=view, model=model, loaded=loaded)

    def _able(self, view: ChannelModels, share: Share, key: Principal) -> Collection[str]:
        """Return the models of a share that are admitted, served, and for this key."""
        able = set()
        for arm in share.arms:
            model = view.named(arm.model)
            if model is not None and arm.model in self._engines and model.label in key.labels:
                able.add(arm.model)
        return able


def _names(model: str, bases: list[str]) -> list[str]:
    return [model, *(f"{model}{SEPARATOR}{base}" for base in bases)]
