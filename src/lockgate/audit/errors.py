"""Errors of the audit log and its witnesses."""

from lockgate.core.errors import HostError, InputError, LimitError, PolicyError, TrustError


class ProofError(TrustError):
    """A proof, a checkpoint or the log itself does not hold."""

    code = "LG-2301"
    advice = "The log or the proof was altered. Compare with a checkpoint that somebody else holds."


class ForkedLogError(TrustError):
    """The log does not continue a checkpoint that its own key signed earlier."""

    code = "LG-2302"
    advice = (
        "The log's past was rewritten, or the log has two versions. Keep both checkpoints as evidence, "
        "stop admission, and compare with the other holders of checkpoints."
    )


class TruncatedLogError(TrustError):
    """The log is shorter than a checkpoint that its own key signed earlier."""

    code = "LG-2303"
    advice = "Leaves were removed or an old state was restored. Stop admission and look at the backups."


class CosignatureError(TrustError):
    """A checkpoint bears no valid cosignature of a witness that the site root lists."""

    code = "LG-2304"
    advice = "Ask the witness to cosign the checkpoint with the key that the site root lists."


class FirstCheckpointError(PolicyError):
    """There is no remembered checkpoint of a log, and nobody said that this is the first."""

    code = "LG-3301"
    advice = (
        "Say --first if this log was never shown here. If it was, the memory was lost: restore it, "
        "since without it an older or another log cannot be told from the true one."
    )


class NoSuchLeafError(InputError):
    """The log has no such leaf or size."""

    code = "LG-1301"
    advice = "`lockgate audit verify` prints how long the log is."


class OutdatedProofError(InputError):
    """A proof does not begin at the checkpoint that was seen last."""

    code = "LG-1302"
    advice = "Ask for a proof from the size that is named: `lockgate audit checkpoint --since SIZE`."


class NoteError(InputError):
    """A request to a witness or a file of remembered checkpoints is malformed."""

    code = "LG-1303"
    advice = "Check that the file is complete; copy it again or make it anew."


class EventTooLargeError(LimitError):
    """An event is longer than one leaf may be."""

    code = "LG-4301"
    advice = "Record the digest of the content instead of the content (bound: event_bytes)."


class AuditUnavailableError(HostError):
    """The log could not be written or read; nothing was recorded."""

    code = "LG-5301"
    advice = "Check free space and permissions of the log's database. What needs a record waits until then."


class MemoryUnavailableError(HostError):
    """The memory of checkpoints could not be read or written; nothing was signed."""

    code = "LG-5302"
    advice = "Check the folder that --state names: permissions and free space."
