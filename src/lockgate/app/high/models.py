"""What is known of the models of a channel, for lists, the gateway and the console."""

from collections.abc import Iterable, Mapping

import structlog

from lockgate.app.high.shares import shared_names, standing
from lockgate.app.high.signed_models import SignedModels
from lockgate.app.settings import Side
from lockgate.core.errors import InputError, LockgateError
from lockgate.core.wire import Document
from lockgate.infer import AdmittedModel, ModelCard, card_of

_logger = structlog.get_logger("lockgate.app")


class UnknownModelNameError(InputError):
    """The channel has no model of that name."""

    code = "LG-1fa0"
    advice = "`lockgate models list` shows every model of the channel."


class ModelRow(Document, frozen=True):
    """One model of the channel: its card, its addresses, and the names that it answers for beside its own.

    `trouble` says why its files do not tell what they should; the card is then missing.
    """

    name: str
    purl: str
    sha256: str
    crossing: int
    configured: bool
    aliases: tuple[str, ...]
    card: ModelCard | None
    trouble: str


def cards_of(source: SignedModels, names: Iterable[str]) -> dict[str, ModelCard]:
    """Return the cards of served models by name; one whose files do not tell has none."""
    found: dict[str, ModelCard] = {}
    wanted = set(names)
    for model in source.current().models:
        if model.name in wanted:
            card, _ = _card(source, model)
            if card is not None:
                found[model.name] = card
    return found


def _card(source: SignedModels, model: AdmittedModel) -> tuple[ModelCard | None, str]:
    try:
        return card_of(model, source.open), ""
    except (LockgateError, OSError) as error:
        _logger.warning("a model's files do not tell what it is", model=model.name, error=str(error)[:300])
        return None, str(error)[:300]


def _aliases(side: Side) -> Mapping[str, tuple[str, ...]]:
    """Return the names with shares that each model answers for."""
    found: dict[str, list[str]] = {}
    for name in shared_names(side):
        try:
            share = standing(side, name)
        except LockgateError as error:
            _logger.warning("a share does not count", name=name, error=str(error)[:300])
            continue
        for arm in share.share.arms if share else ():
            found.setdefault(arm.model, []).append(name)
    return {model: tuple(names) for model, names in found.items()}


def list_models(side: Side) -> list[ModelRow]:
    """Return every model of the channel that can be served, the newest of each name first."""
    source, aliases = SignedModels(side, "models"), _aliases(side)
    words = {word.partition("@")[0] for word in side.settings.engine.chat_model.split()}
    rows = []
    for model in source.current().models:
        card, trouble = _card(source, model)
        rows.append(
            ModelRow(
                name=model.name,
                purl=model.purl,
                sha256=model.weights.sha256,
                crossing=model.crossing,
                configured=bool({model.name, model.full_name} & words),
                aliases=aliases.get(model.name, ()),
                card=card,
                trouble=trouble,
            )
        )
    return rows


def show_model(side: Side, name: str) -> ModelRow:
    """Return one model of the channel.

    Raises:
        UnknownModelNameError: There is none of that name.

    """
    for row in list_models(side):
        if name in {row.name, row.purl}:
            return row
    what = f"The channel has no model {name[:80]!r}."
    raise UnknownModelNameError(what)
