"""Errors of the guard room."""

from lockgate.core.errors import InputError, LimitError, PolicyError, TrustError


class GuardLineError(InputError):
    """A line that was to be checked is not one."""

    code = "LG-1a80"
    advice = 'Write one JSON object on each line: {"id": "…", "text": "…"}.'


class PromptBlockedError(PolicyError):
    """A guard stopped a request before a model saw it."""

    code = "LG-3a80"
    advice = "Say it in other words. If it was harmless, appeal: `lockgate guard appeal RECEIPT --reason …`."


class GuardTextTooLongError(LimitError):
    """A text is longer than the guards look at."""

    code = "LG-4a80"
    advice = "Split it; the bound is guard.text_characters."


class GuardWeightsError(InputError):
    """The weights of a classifier cannot be used."""

    code = "LG-1a81"
    advice = "Install Lockgate again, or name another model under [guard] classifier."


class BadModesError(InputError):
    """A document that says what guards do is malformed, or not the next version."""

    code = "LG-1a89"
    advice = "Mend what the error names, then look with `lockgate guard policy check FILE`."


class GuardModelError(InputError):
    """A classifier that a site brought cannot be used."""

    code = "LG-1a82"
    advice = "Admit a sequence classifier with weights in ONNX and tokenizer.json; see docs/guards.md."


class ArgumentSchemaError(InputError):
    """The schema of a tool's arguments cannot be used."""

    code = "LG-1a83"
    advice = (
        "Write JSON Schema with type, properties, required, enum, pattern and bounds; see docs/guards.md."
    )


class UnknownHeldCallError(InputError):
    """There is no held call of that id that still waits."""

    code = "LG-1a84"
    advice = "See what waits: `lockgate guard pending`. What waited too long is forgotten."


class UnknownToolError(InputError):
    """The tool is not on the list."""

    code = "LG-1a85"
    advice = "See the list: `lockgate guard tool show`."


class ToolRefusedError(PolicyError):
    """A request offers a tool that its key may not have called."""

    code = "LG-3a81"
    advice = "Leave the tool out, or ask your operator: `lockgate guard tool set`."


class UnknownAppealError(InputError):
    """There is no appeal of this number."""

    code = "LG-1a86"
    advice = "`lockgate guard appeals` shows the numbers."


class AppealTextError(InputError):
    """The texts that an appeal brings are missing, too long, or not those that the receipt is about."""

    code = "LG-1a87"
    advice = "Give the very request that was sent (--request FILE), or the one user turn (--text FILE)."


class NotAppealableError(InputError):
    """No guard stopped, flagged or altered anything of this receipt, so nothing can be appealed against."""

    code = "LG-1a88"
    advice = "See what the guards met: the field `guards` of the receipt."


class NotAnAuditorError(TrustError):
    """A sealed text does not open with this key."""

    code = "LG-2a80"
    advice = "Use the key of an auditor named under [guard] auditors when the text was kept."


class AppealDecidedError(PolicyError):
    """An appeal was decided already."""

    code = "LG-3a82"
    advice = "`lockgate guard appeals show` tells by whom and why."


class AppealedAlreadyError(PolicyError):
    """There is an appeal about this receipt already."""

    code = "LG-3a83"
    advice = "Wait for its decision; nobody appeals twice against one decision."


class OwnAppealError(PolicyError):
    """Whoever appealed would decide about it."""

    code = "LG-3a84"
    advice = "Have another person decide."


class AppealLimitError(LimitError):
    """There are as many appeals, or cases of the site's own set, as are kept."""

    code = "LG-4a81"
    advice = "Have a reviewer decide what waits: `lockgate guard appeals`."
