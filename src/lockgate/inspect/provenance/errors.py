"""Why a signature proves nothing. Both become facts about a file, never the end of an inspection."""

from lockgate.core.errors import TrustError


class InvalidProvenanceError(TrustError):
    """A signature, or something that it rests on, is not what it says."""

    code = "LG-2601"
    advice = "Bring the file again from upstream with its signature. If it stays so, ask who signed it."


class ExpiredProvenanceError(TrustError):
    """A signature is sound, and its key or certificate was not valid when it was made."""

    code = "LG-2602"
    advice = "Bring a version that was signed while its certificate was valid."
