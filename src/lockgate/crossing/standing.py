"""Which supply keys signed a crossing, and whether this site still believes them."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from lockgate.core.errors import LockgateError
from lockgate.core.roots import KeyRevokedError
from lockgate.crossing.folder import naming
from lockgate.crossing.format import root_name
from lockgate.trust.dsse import open_envelope


def dsse_signers(envelope: bytes) -> frozenset[str]:
    """Return the ids of the keys whose signatures an envelope bears; none is verified here."""
    return frozenset(open_envelope(envelope).signatures)


def metadata_signers(files: Iterable[bytes]) -> frozenset[str]:
    """Return the ids of the keys whose signatures update metadata bears, after it was verified.

    Every signature counts, whichever ones the threshold needed: metadata that a revoked key signed
    as well was in the hands of whoever has that key.
    """
    return frozenset(
        str(signature["keyid"]) for data in files for signature in json.loads(data)["signatures"]
    )


def demand_believed(signers: Iterable[str], revoked: frozenset[str], name: str) -> None:
    """Demand that none of the keys that signed is revoked; `name` says what they signed.

    Raises:
        KeyRevokedError: One is.

    """
    if bad := sorted(revoked.intersection(signers)):
        what = f"{name} is signed by the key {bad[0][:16]}…, which this site revoked."
        raise KeyRevokedError(what, keyid=bad[0])


def demand_believed_metadata(files: Mapping[str, bytes], revoked: frozenset[str], folder: str) -> None:
    """Demand that no file of the update metadata was signed by a revoked key; see `demand_believed`."""
    for name, data in files.items():
        with of_path(folder + name):
            demand_believed(metadata_signers([data]), revoked, folder + name)


def demand_believed_roots(fresh: Mapping[int, bytes], revoked: frozenset[str], folder: str) -> None:
    """Demand that no new supply root was signed by a revoked holder; see `demand_believed`."""
    for version, data in fresh.items():
        name = f"{folder}/{root_name(version)}"
        with naming(name, len(data)):
            demand_believed(metadata_signers([data]), revoked, name)


@contextmanager
def of_path(path: str) -> Iterator[None]:
    """Let an error of ours say which file of the payload it speaks of, unless it does already."""
    try:
        yield
    except LockgateError as error:
        error.where.setdefault("path", path)
        raise
