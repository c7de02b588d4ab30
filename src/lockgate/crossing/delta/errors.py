"""What the delta refuses, sorted by fault."""

from lockgate.core.errors import LimitError, TrustError


class PatchError(TrustError):
    """A patch is not what its format says, or does not rebuild the file that it is for."""

    code = "LG-2760"
    advice = "The fault is the sealer's. Nothing of the crossing was admitted; ask for a full crossing."


class PatchLimitError(LimitError):
    """A patch asks for more than one may."""

    code = "LG-4760"
    advice = "If the patch is honest, ask for a full crossing."
