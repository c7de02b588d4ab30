"""Errors of the guard room."""

from lockgate.core.errors import InputError, LimitError, PolicyError


class GuardLineError(InputError):
    """A line that was to be checked is not one."""

    code = "LG-1a80"
    advice = 'Write one JSON object on each line: {"id": "…", "text": "…"}.'


class PromptBlockedError(PolicyError):
    """A guard stopped a request before a model saw it."""

    code = "LG-3a80"
    advice = "Say it in other words. If it was harmless, show the receipt's id to your operator."


class GuardTextTooLongError(LimitError):
    """A text is longer than the guards look at."""

    code = "LG-4a80"
    advice = "Split it; the bound is guard.text_characters."


class GuardWeightsError(InputError):
    """The weights of a classifier cannot be used."""

    code = "LG-1a81"
    advice = "Install Lockgate again, or name another model under [guard] classifier."


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
