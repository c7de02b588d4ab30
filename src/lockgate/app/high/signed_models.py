"""The chat models that the channel's approvers admitted, under the names that callers use."""

from collections.abc import Iterable
from typing import BinaryIO

import msgspec

from lockgate.app.high.channel import CHANNEL, channel_reader
from lockgate.app.high.refusals import SignedRefusals
from lockgate.app.high.roots import InstalledRoots
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of
from lockgate.approve import VerifiedChannel
from lockgate.core.artifact import Kind, Role
from lockgate.core.errors import LockgateError, PolicyError
from lockgate.core.parts import rest_of
from lockgate.core.snapshot import Admitted
from lockgate.infer.ports import AdmittedModel, ChannelModels, ModelFile, ModelSource

ADAPTER = "adapter"
"""The task of a model that is laid over another one (LoRA)."""

WEIGHTS_LAYER = "application/vnd.ollama.image.model"
"""Media type of the layer of Ollama's models that has the weights (GGUF)."""

MANIFEST_LIMIT = 4 << 20
"""Longest manifest of a model that is read, in bytes."""

_DIGEST = "sha256:"

VERSION_CHARACTERS = 8
"""How much of a revision tells versions of one name apart."""


class NotLoadableError(PolicyError):
    """A model is withdrawn or held: nobody may load it anew."""

    code = "LG-3f16"
    advice = "`lockgate gate owed` shows who took it away and why. Choose another model, or two approve anew."


def short_name(admitted: Admitted) -> str:
    """Return what callers call a model: the last part of its name."""
    return admitted.artifact.name.rpartition("/")[2]


def models_of(verified: VerifiedChannel, task: str, *, loaded: bool = False) -> list[Admitted]:
    """Return the admitted models for a task (``chat`` or ``embed``), newest crossing first.

    With `loaded`, those too that are held: they go on where they are loaded, and are loaded nowhere.
    """
    chosen = [
        a
        for a in (verified.usable if loaded else rest_of(verified.snapshot).admitted)
        if a.artifact.kind is Kind.MODEL and a.artifact.attributes.get("task") == task
    ]
    return sorted(chosen, key=lambda a: (-a.crossing, a.artifact.purl))


class SignedModels(ModelSource):
    """The chat models that the channel's approvers admitted."""

    def __init__(self, side: Side, service: str = "gateway") -> None:
        """Read the channel with a service's own version floor."""
        self._reader = channel_reader(side, service)
        self._refusals = SignedRefusals(side, InstalledRoots(side), service)
        self._blobs = blobs_of(side)
        self._view: tuple[VerifiedChannel, tuple[AdmittedModel, ...]] | None = None

    def verified(self) -> VerifiedChannel:
        """Return the channel as verified last."""
        return self._reader.current()

    def current(self) -> ChannelModels:
        """Return the models of the channel as verified last."""
        verified = self._reader.current()
        if self._view is None or self._view[0] is not verified:
            self._view = (verified, self._models(verified))
        return ChannelModels(
            channel=verified.statement.channel,
            channel_version=verified.statement.channel_version,
            snapshot_sha256=verified.statement.snapshot_sha256,
            created=verified.statement.created,
            models=self._view[1],
            owed=verified.owed,
        )

    def _models(self, verified: VerifiedChannel) -> tuple[AdmittedModel, ...]:
        """Return chat models and adapters of them; an older version of a name has its revision in its own."""
        found: list[AdmittedModel] = []
        chat = models_of(verified, "chat", loaded=True)
        for admitted in chat + models_of(verified, ADAPTER, loaded=True):
            base = base_of(admitted, chat)
            if admitted.artifact.attributes.get("task") == ADAPTER and base is None:
                continue  # without the very file that it was made for it is nothing
            name = short_name(admitted)
            found.append(_model(admitted, _free(name, admitted, found), base))
        for admitted in verified.usable:
            layer = self._layer(admitted)
            if layer is not None:
                found.append(_model(admitted, _free(short_name(admitted), admitted, found), None, layer))
        return tuple(found)

    def _layer(self, admitted: Admitted) -> str | None:
        """Return the digest of the weights of one of Ollama's models; nothing where it is none."""
        artifact = admitted.artifact
        if artifact.kind is not Kind.OLLAMA:
            return None
        root = artifact.version.removeprefix(_DIGEST)
        try:
            manifest = _manifests.decode(self._blobs.read(root, limit=MANIFEST_LIMIT))
        except (LockgateError, msgspec.DecodeError, OSError):
            return None
        wanted = [layer.digest for layer in manifest.layers if layer.media_type == WEIGHTS_LAYER]
        found = wanted[0].removeprefix(_DIGEST) if len(wanted) == 1 else ""
        return found if any(file.sha256 == found for file in artifact.files) else None

    def loadable(self, sha256: str) -> bool:
        """Tell whether a file may be loaded anew: the channel has it and holds it not."""
        admitted = rest_of(self.verified().snapshot).admitted
        return any(file.sha256 == sha256 for each in admitted for file in each.artifact.files)

    def open(self, sha256: str) -> BinaryIO:
        """Open a model's file to load it anew; what is read is hashed by the caller.

        Raises:
            NotLoadableError: The channel has it no longer, or holds it, or a newer verdict refuses it.
            RefusalsLostError: Nobody can tell what newer verdicts say.

        """
        if not self.loadable(sha256):
            what = f"The channel {CHANNEL!r} lets nobody load {sha256[:16]}… any more."
            raise NotLoadableError(what)
        if reason := self._refusals.reason(sha256):
            what = f"A newer verdict on {sha256[:16]}… refuses it: {reason}"
            raise NotLoadableError(what)
        return self._blobs.open(sha256)


class _Layer(msgspec.Struct, rename="camel"):
    media_type: str
    digest: str


class _Manifest(msgspec.Struct):
    layers: list[_Layer]


_manifests = msgspec.json.Decoder(_Manifest)


def _free(name: str, admitted: Admitted, taken: Iterable[AdmittedModel]) -> str:
    """Return the name of a model; where a newer one has it already, with its revision."""
    if any(model.name == name for model in taken):
        return f"{name}:{admitted.artifact.version.removeprefix(_DIGEST)[:VERSION_CHARACTERS]}"
    return name


def base_of(adapter: Admitted, models: Iterable[Admitted]) -> Admitted | None:
    """Return the model whose weights have the very digest that an adapter names as its base."""
    wanted = adapter.artifact.attributes.get("base-sha256")
    if not wanted:
        return None
    return next((m for m in models if any(f.sha256 == wanted for f in m.artifact.files)), None)


def _model(admitted: Admitted, name: str, base: Admitted | None, layer: str | None = None) -> AdmittedModel:
    artifact = admitted.artifact
    artifacts = [artifact, *([base.artifact] if base is not None else [])]
    files = tuple(ModelFile(path=f.path, sha256=f.sha256, size=f.size) for a in artifacts for f in a.files)
    wanted = artifact.attributes.get("base-sha256")
    weights = next(f for f in artifact.files if f.role is Role.WEIGHTS or f.sha256 == layer)
    return AdmittedModel(
        name=name,
        purl=artifact.purl,
        label=artifact.label,
        licence=artifact.licence,
        weights=ModelFile(path=weights.path, sha256=weights.sha256, size=weights.size),
        files=files,
        crossing=admitted.crossing,
        crate_sha256=admitted.crate_sha256,
        version=artifact.version,
        full_name=artifact.name,
        base=next((f for f in files if f.sha256 == wanted), None) if base is not None else None,
        attributes=artifact.attributes,
    )
