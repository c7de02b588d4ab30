"""Joining the services of the high side: each reads the channel through its approvers' signatures."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from lockgate.app.high.internal import internal_of, open_namespaces
from lockgate.app.high.refusals import SignedRefusals
from lockgate.app.high.roots import InstalledRoots
from lockgate.app.high.tls import scheme, tls_of
from lockgate.app.logs import configure_logs
from lockgate.app.settings import Side, load_settings
from lockgate.app.stores import blob_files, blobs_of
from lockgate.app.trust import utc_now
from lockgate.approve import ChannelReader, VerifiedChannel
from lockgate.approve.verify import Pages
from lockgate.core.artifact import Kind, Role
from lockgate.core.errors import LockgateError, PolicyError
from lockgate.core.snapshot import Admitted, Generated
from lockgate.core.soak import STABLE
from lockgate.infer.ports import AdmittedModel, ChannelModels, ModelFile, ModelSource

CHANNEL = STABLE
"""The channel that services serve where nothing else is named."""

CHANNEL_VARIABLE = "LOCKGATE_CHANNEL"
"""The channel that a mirror serves, for its worker process."""

ADAPTER = "adapter"
"""The task of a model that is laid over another one (LoRA)."""

WEIGHTS_LAYER = "application/vnd.ollama.image.model"
"""Media type of the layer of Ollama's models that has the weights (GGUF)."""

MANIFEST_LIMIT = 4 << 20
"""Longest manifest of a model that is read, in bytes."""

_DIGEST = "sha256:"

VERSION_CHARACTERS = 8
"""How much of a revision tells versions of one name apart."""

HOME_VARIABLE = "LOCKGATE_HOME"
NAMESPACES_VARIABLE = "LOCKGATE_SERVE__OPEN_NAMESPACES"
"""Overrides the setting in the server's worker, which reads the configuration anew."""


class NotLoadableError(PolicyError):
    """A model is withdrawn or held: nobody may load it anew."""

    code = "LG-3f16"
    advice = "`lockgate gate owed` shows who took it away and why. Choose another model, or two approve anew."


def channel_file(side: Side, channel: str = CHANNEL) -> Path:
    """Return the file with a channel's signed statement."""
    return side.home.channels / f"{channel}.dsse.json"


def channel_reader(
    side: Side, service: str, channel: str = CHANNEL, pages: Pages | None = None
) -> ChannelReader:
    """Return what a service learns by what it may serve.

    Args:
        side: The high side.
        service: Names the service's own state file, which keeps the highest version it served.
        channel: The channel.
        pages: Makes pages anew, for whoever serves them.

    """
    floor = side.home.run / f"{service}-{channel}.version"
    blobs = blobs_of(side)
    roots = InstalledRoots(side)
    return ChannelReader(roots, channel, channel_file(side, channel), blobs, floor, pages=pages)


def served_side() -> Side:
    """Return the side that a worker process serves, with the worker's logs where its parent's go."""
    side = load_settings(Path(os.environ[HOME_VARIABLE])).require("high")
    configure_logs(side.settings.log.level)
    return side


def derived_pages(admitted: Sequence[Admitted], read: Callable[[str], bytes]) -> Iterable[Generated]:
    """Make the pages of all mirrors anew, for whoever believes none that one person signed alone."""
    from lockgate.mirror import generate_pages  # noqa: PLC0415  # servers alone need it

    return [page.generated() for page in generate_pages(admitted, read)]


def mirror_app() -> Any:
    """Return the mirrors' application for the home that the environment names."""
    from lockgate.app.advice.registry import RecordedAdvisor  # noqa: PLC0415  # the same
    from lockgate.app.gate.repository import signed_repositories  # noqa: PLC0415  # the same
    from lockgate.app.high.reading import access_of, door_of  # noqa: PLC0415  # the same
    from lockgate.mirror import (  # noqa: PLC0415  # servers alone need it
        Asked,
        SignedChannel,
        SignedView,
        build_app,
    )

    side = served_side()
    channel = os.environ.get(CHANNEL_VARIABLE, CHANNEL)
    reader = channel_reader(side, "mirror", channel, pages=derived_pages)
    signed = partial(signed_repositories, side)
    view = SignedView(SignedChannel(reader, channel_file(side, channel), signed), time.monotonic)
    asked = Asked(
        advisor=RecordedAdvisor(side),
        address=side.settings.serve.mirror_url,
        misses=misses_file(side),
        uses=uses_file(side, channel),
    )
    return build_app(
        view,
        blob_files(side),
        utc_now,
        internal=internal_of(side),
        asked=asked,
        access=access_of(side),
        door=door_of(side),
    )


def misses_file(side: Side) -> Path:
    """Return where the mirrors keep what they were asked for in vain."""
    return side.home.run / "misses.json"


def uses_file(side: Side, channel: str) -> Path:
    """Return where the mirrors of a channel keep which files were taken and by whom."""
    return side.home.run / f"uses-{channel}.json"


def mirror_url(side: Side) -> str:
    """Return the address that clients reach the mirrors by."""
    serve = side.settings.serve
    return serve.mirror_url or f"{scheme(side)}://{serve.host}:{serve.mirror_port}"


def serve_mirror(
    side: Side, host: str, port: int, opened: Sequence[str] = (), *, channel: str = CHANNEL
) -> None:
    """Serve the mirrors of a channel until a signal ends it.

    Args:
        side: The high side.
        host: Address to listen on.
        port: Port to listen on.
        opened: Namespaces to open beside those of the settings.
        channel: What is served.

    Raises:
        CannotListenError: The address is taken or not ours.
        SettingsError: A namespace that is to be open cannot be one.

    """
    from lockgate.mirror import serve  # noqa: PLC0415  # servers alone need it

    configure_logs(side.settings.log.level)
    os.environ[HOME_VARIABLE] = str(side.home.root)
    os.environ[NAMESPACES_VARIABLE] = " ".join(open_namespaces(side, opened))
    os.environ[CHANNEL_VARIABLE] = channel
    serve("lockgate.app.high.serving:mirror_app", host, port, tls=tls_of(side, utc_now()))


def short_name(admitted: Admitted) -> str:
    """Return what callers call a model: the last part of its name."""
    return admitted.artifact.name.rpartition("/")[2]


def models_of(verified: VerifiedChannel, task: str, *, loaded: bool = False) -> list[Admitted]:
    """Return the admitted models for a task (``chat`` or ``embed``), newest crossing first.

    With `loaded`, those too that are held: they go on where they are loaded, and are loaded nowhere.
    """
    chosen = [
        a
        for a in (verified.usable if loaded else verified.snapshot.admitted)
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
        return any(f.sha256 == sha256 for a in self.verified().snapshot.admitted for f in a.artifact.files)

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
