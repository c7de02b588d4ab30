"""Errors of rehearsals."""

from lockgate.core.errors import HostError, InputError, LimitError


class OtherManifestError(InputError):
    """The manifest is not the one that the present lock was collected from."""

    code = "LG-1fc1"
    advice = "Collect it first: `lockgate collect MANIFEST`, then rehearse the same file."


class HostWantedError(InputError):
    """No profile of a high-side host was given, and none is kept from before."""

    code = "LG-1fc2"
    advice = "Have one taken on the high side by `lockgate profile take`, and name it with --host."


class RehearsalBusyError(InputError):
    """Another rehearsal of this side runs."""

    code = "LG-1fc3"
    advice = "Wait for it, or stop it; what it made goes with it."


class RehearsalLimitError(LimitError):
    """The throw-away side or a client of it went beyond a bound."""

    code = "LG-4fc0"
    advice = "Look at what the step tried; a smaller set of the manifest shows which part it is."


class ThrowAwayError(HostError):
    """The throw-away high side cannot be made or does not serve."""

    code = "LG-5fc1"
    advice = "Look at what it said; `lockgate doctor` checks what this machine lacks."
