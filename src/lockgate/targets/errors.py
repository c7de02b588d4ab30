"""Errors of publishing targets."""

from lockgate.core.errors import HostError, InputError


class TargetAddressError(InputError):
    """The address of a target is not one that can be used."""

    code = "LG-1940"
    advice = "Name it as https://host/path; plain http is for this machine alone."


class TargetAnswerError(HostError):
    """A target refused something, or answered in an unexpected way."""

    code = "LG-5940"
    advice = "Look at the target's own log; what is there already stays. Run the command again to go on."
