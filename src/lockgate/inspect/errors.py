"""What inspection refuses, sorted by fault."""

from lockgate.core.errors import HostError, InputError, LimitError


class NotInspectableError(InputError):
    """A path is no regular file that can be read."""

    code = "LG-1601"
    advice = "Give the path of a regular file that this user may read."


class JobFailedError(InputError):
    """The child process died on its input, or answered something that is no answer."""

    code = "LG-1602"
    advice = "The file is held as incomplete. It may be hostile: keep it and look at it on another machine."


class BrokenContentError(InputError):
    """Content does not have the structure that its type demands."""

    code = "LG-1603"
    advice = "The file is damaged or made to be read in two ways. Ask for another copy."


class BadEntryError(InputError):
    """The function that is to run in the sandbox is not one of Lockgate's."""

    code = "LG-1604"
    advice = "Name it as 'lockgate.room.module:function'."


class JobTimeoutError(LimitError):
    """The child process ran past its wall-clock limit."""

    code = "LG-4601"
    advice = "If the file is honest, raise inspect_seconds under [limits] in lockgate.toml."


class JobOutputError(LimitError):
    """The child process wrote more than an answer may have."""

    code = "LG-4602"
    advice = "The file makes its inspector say too much. Look at it on another machine."


class OverLimitError(LimitError):
    """Content reached one of the inspection limits; the error names which."""

    code = "LG-4603"
    advice = "If the file is honest, have it repacked into smaller or shallower parts."


class SandboxUnavailableError(HostError):
    """The sandbox cannot be built here, so nothing is parsed here."""

    code = "LG-5601"
    advice = (
        "Install bubblewrap and allow user namespaces, or start the root-owned sandbox helper"
        " (docs/runbooks/hardened-hosts.md); `lockgate doctor` shows what is missing."
    )


class ClamdDownError(HostError):
    """ClamAV's daemon is demanded, and does not answer or finds nothing."""

    code = "LG-5621"
    advice = (
        "Start clamd, or look at [clamav] in lockgate.toml; while it is required, nothing goes without it."
    )


class ClamdOldError(HostError):
    """The data of ClamAV is older than the settings allow, or nobody can tell how old it is."""

    code = "LG-5622"
    advice = "Bring newer signatures across and reload clamd, or raise database_days under [clamav]."
