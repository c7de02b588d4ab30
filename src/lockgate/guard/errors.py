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
