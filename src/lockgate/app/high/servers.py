"""Servers that others run, as the configuration names them, behind the gateway's one port for engines."""

from lockgate.app.high.signed_models import SignedModels
from lockgate.app.settings import Side
from lockgate.app.trust import utc_now
from lockgate.core.errors import InputError
from lockgate.infer import AdmittedModel, Engine, EngineLimits, Pool, RemoteConfig, RemoteEngine, RemoteKind
from lockgate.store.address import read_secret

SERVERS_LIMIT = 64
"""Most servers of one model."""


class ServerAddressError(InputError):
    """A server of the configuration cannot be read."""

    code = "LG-1f28"
    advice = "Write `[engine] servers` as `kind=http://host:port`: openai, llama, vllm, ollama or tgi."


def server_engine(side: Side, source: SignedModels, model: AdmittedModel) -> Engine:
    """Return the engine of a model that the configured servers have.

    Raises:
        ServerAddressError: One cannot be read, or there are too many.

    """
    section = side.settings.engine
    words = section.servers.split()
    if len(words) > SERVERS_LIMIT:
        what = f"There are {len(words)} servers; a model has at most {SERVERS_LIMIT}."
        raise ServerAddressError(what)
    secret = read_secret(side.home.root / section.server_key_file) if section.server_key_file else ""
    engines: dict[str, Engine] = {
        word: RemoteEngine(
            model=model.weights,
            open_model=lambda: source.open(model.weights.sha256),
            config=_config(word, section.served_name or model.name, secret),
            limits=EngineLimits(),
            clock=utc_now,
        )
        for word in words
    }
    return next(iter(engines.values())) if len(engines) == 1 else Pool(engines)


def _config(word: str, name: str, secret: str) -> RemoteConfig:
    kind, _, url = word.partition("=")
    known = kind in {each.value for each in RemoteKind}
    if not known or not url.startswith(("http://", "https://")) or url.count("/") != 2:  # noqa: PLR2004  # no path
        what = f"The server {word[:80]!r} is not of the form kind=http://host:port."
        raise ServerAddressError(what)
    return RemoteConfig(url, RemoteKind(kind), name, secret)
