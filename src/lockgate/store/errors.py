"""Errors of the store."""

from pathlib import Path

from lockgate.core.errors import HostError, InputError, LimitError, TrustError


class BlobMissingError(InputError):
    """No blob with this digest is held."""

    code = "LG-1201"
    advice = "Receive the crossing that brings it, or run `lockgate doctor` to check the store."


class BlobMismatchError(TrustError):
    """Bytes do not hash to the digest that they were promised under."""

    code = "LG-2201"
    advice = "The bytes were altered. Fetch or receive them again; nothing was stored."


def altered(digest: str, file: Path | None) -> BlobMismatchError:
    """Return the error of a blob that was right when it was stored and is not now."""
    return BlobMismatchError(
        "A stored blob was altered.",
        advice="A disk fails, or somebody wrote there; nothing altered is served. Put the file back from a"
        " replica or a copy of the folder, and run the same command again.",
        digest=digest,
        file=file,
    )


class BlobTooLargeError(LimitError):
    """A blob is longer than its bound."""

    code = "LG-4201"
    advice = "The bound belongs to this version. If the input is honest, split it."


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


def damaged(what: str, address: str) -> RecordsUnavailableError:
    """Return the error of a database that cannot be used; where it is broken, that is said."""
    broken = "malformed" in what or "not a database" in what
    advice = "The file is damaged. Keep it for a look, and restore the newest backup: `lockgate restore`."
    return RecordsUnavailableError(what, advice=advice if broken else None, database=address)


class RecordKeyError(InputError):
    """A record's collection or key is not one that every database can hold."""

    code = "LG-1204"
    advice = "Choose a shorter name in plain characters."


class StoreAddressError(InputError):
    """The address of a database or blob store is not one that can be used."""

    code = "LG-1205"
    advice = "`lockgate config explain` shows the forms that the keys of [store] take."


class SchemaOutdatedError(InputError):
    """The database was made by an older Lockgate and holds records."""

    code = "LG-1206"
    advice = "Make a backup, stop the services, and run `lockgate doctor --migrate`."


class SchemaUnknownError(InputError):
    """The database was made by a newer Lockgate, or by something else."""

    code = "LG-1207"
    advice = "Use the version of Lockgate that made it, or name another database."


class RecordsConflictError(HostError):
    """The database gave up a transaction in favour of another one; nothing of it took effect."""

    code = "LG-5203"
    advice = "Run the command again. If it comes often, look for sessions that hold locks for long."


class SpoolFullError(LimitError):
    """The local folder that content passes through on its way to an object store is at its bound."""

    code = "LG-4202"
    advice = "Wait for running work to end, free space, or raise store.spool_bytes in lockgate.toml."


class BlobsSweptError(HostError):
    """Blobs that were to be referred to were collected as garbage at that very moment."""

    code = "LG-5204"
    advice = "Nothing was changed. Run the command again: it puts them back from where they came."
