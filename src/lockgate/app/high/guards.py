"""Joining the guards: what the settings say they do, and the classifier that scores for them."""

from lockgate.app.high.guard_modes import modes_in_force
from lockgate.app.sections import GuardSection
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of
from lockgate.approve import VerifiedChannel
from lockgate.core.artifact import Kind, Role
from lockgate.core.errors import InputError
from lockgate.guard import Channel, GuardPolicy, InputGuard, Marking, Mode, Scorer, shipped

MODEL_LIMIT = 2 << 30
"""Largest classifier that is loaded, in bytes."""


class NoClassifierError(InputError):
    """The channel has no classifier of the configured name."""

    code = "LG-1f81"
    advice = "Admit a model with weights in ONNX and a tokenizer, or leave [guard] classifier empty."


def guard_policy(side: Side, section: GuardSection | None = None) -> GuardPolicy:
    """Return what the guards of a side do: by its settings, and over them what two persons signed.

    Args:
        side: The high side.
        section: Settings to go by in place of the side's own.

    Raises:
        GuardsWithdrawnError: What was signed is gone, or altered.

    """
    policy = policy_of(section or side.settings.guard)
    signed = modes_in_force(side)
    return signed.document.over(policy) if signed else policy


def policy_of(section: GuardSection) -> GuardPolicy:
    """Return what guards do by these settings."""
    return GuardPolicy(
        classifier={
            Channel.USER: Mode(section.classifier_user),
            Channel.RETRIEVED: Mode(section.classifier_retrieved),
            Channel.TOOL: Mode(section.classifier_tool),
        },
        marking=Marking(section.marking),
        hosts=frozenset(section.hosts.lower().split()),
        personal=Mode(section.personal),
        system_prompt=Mode(section.system_prompt),
    )


def scorer_of(side: Side, verified: VerifiedChannel, section: GuardSection | None = None) -> Scorer:
    """Return the classifier of a side: the one that ships, or an admitted one.

    Args:
        side: The high side.
        verified: What its channel serves.
        section: Settings to go by in place of the side's own.

    Raises:
        NoClassifierError: The channel has none of the configured name.
        GuardModelError: It cannot be used.

    """
    section = section or side.settings.guard
    if not section.classifier:
        return shipped()
    from lockgate.guard.onnx import OnnxScorer  # noqa: PLC0415  # heavy, only with a model of the site's own

    blobs = blobs_of(side)
    for admitted in sorted(verified.usable, key=lambda a: -a.crossing):
        artifact = admitted.artifact
        parts = {file.role: file.sha256 for file in artifact.files}
        if (
            artifact.kind is Kind.MODEL
            and artifact.name == section.classifier
            and parts.keys()
            >= {
                Role.WEIGHTS,
                Role.TOKENIZER,
            }
        ):
            return OnnxScorer(
                artifact.name,
                blobs.read(parts[Role.WEIGHTS], limit=MODEL_LIMIT),
                blobs.read(parts[Role.TOKENIZER], limit=MODEL_LIMIT),
                label=section.classifier_label,
                flag=section.classifier_flag_percent / 100,
                block=section.classifier_block_percent / 100,
            )
    what = f"The channel has no classifier {section.classifier!r} with weights and tokenizer."
    raise NoClassifierError(what)


def input_guard(side: Side, verified: VerifiedChannel) -> InputGuard:
    """Return what decides about texts on a side."""
    return InputGuard(guard_policy(side), scorer_of(side, verified))
