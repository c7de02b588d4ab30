"""Errors of the store."""

from lockgate.core.errors import HostError, InputError, LimitError, TrustError


class BlobMissingError(InputError):
    """No blob with this digest is held."""

    code = "LG-1201"
    advice = "Receive the crossing that brings it, or run `lockgate doctor` to check the store."


class BlobMismatchError(TrustError):
    """Bytes do not hash to the digest that they were promised under."""

    code = "LG-2201"
    advice = "The bytes were altered. Fetch or receive them again; nothing was stored."


class BlobTooLargeError(LimitError):
    """A blob is longer than its bound."""

    code = "LG-4201"
    advice = "If the input is honest, raise the named limit in lockgate.toml under [limits]."


class StoreIoError(HostError):
    """The disk did not take or give the bytes."""

    code = "LG-5201"
    advice = "Check free space, permissions and the health of the disk; the previous state is unchanged."


class RecordExistsError(InputError):
    """A record that must be new is there already."""

    code = "LG-1202"
    advice = "Somebody did the same thing first. Look at the present state and decide again."


class StaleRecordError(InputError):
    """A record changed between reading and writing it."""

    code = "LG-1203"
    advice = "Somebody else changed it meanwhile. Look at the present state and try again."


class RecordsUnavailableError(HostError):
    """The database cannot be opened or written."""

    code = "LG-5202"
    advice = "Check the path or address of the database, its permissions and free space."
