"""Errors of the audit log."""

from lockgate.core.errors import InputError, TrustError


class ProofError(TrustError):
    """A proof, a checkpoint or the log itself does not hold."""

    code = "LG-2301"
    advice = "The log or the proof was altered. Compare with a checkpoint that somebody else holds."


class NoSuchLeafError(InputError):
    """The log has no such leaf or size."""

    code = "LG-1301"
    advice = "`lockgate audit verify` prints how long the log is."
