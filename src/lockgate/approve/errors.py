"""Errors of approving and of what serves by approvals."""

from lockgate.core.errors import InputError, PolicyError, TrustError


class StatementChangedError(PolicyError):
    """The statement that was signed is not the one that would take effect."""

    code = "LG-3401"
    advice = "Something changed after the request. Ask for a new statement and sign that one."


class ApprovalSpentError(PolicyError):
    """An approval was used before."""

    code = "LG-3402"
    advice = "Approvals work once. Ask for a new statement with `lockgate gate request`."


class CounterBackError(TrustError):
    """An authenticator counted less than before: its credential may have been copied."""

    code = "LG-2403"
    advice = (
        "Carry statements out in the order in which they were signed, or sign this one again. If it "
        "repeats, have the holders of the site root drop the credential."
    )


class ChannelRollbackError(TrustError):
    """A channel statement is older than one that was served already."""

    code = "LG-2401"
    advice = "Somebody put an old channel file back. Publish again; the newer snapshot goes on serving."


class SnapshotMismatchError(TrustError):
    """The snapshot is not the one that the approvers signed."""

    code = "LG-2402"
    advice = "The snapshot's bytes were altered. Restore the blob from a replica or receive the crate again."


class NothingPublishedError(InputError):
    """The channel has no snapshot yet."""

    code = "LG-1401"
    advice = "Publish a crossing first: `lockgate gate list` shows what waits."


class NotRequesterError(PolicyError):
    """A request was not signed by the person it names."""

    code = "LG-3403"
    advice = "Who asks signs the request with their own operator key."
