"""The four attestations of a crossing, taken out for tools and people that read in-toto statements."""

from dataclasses import dataclass
from pathlib import Path

from lockgate.admit import Crossing
from lockgate.admit.model import ADMISSIONS, CROSSINGS, crossing_key
from lockgate.app.files import write_named
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.core.errors import InputError
from lockgate.core.wire import decode
from lockgate.crossing import LOCK_ATTESTATION, RecordLedger
from lockgate.crossing.payload import SEALING
from lockgate.store import FileBlobs


class NoAttestationsError(InputError):
    """There are no attestations of a crossing on this side."""

    code = "LG-1f14"
    advice = "`lockgate gate list` shows the crossings that were opened."


@dataclass(frozen=True, slots=True)
class Attestations:
    """Where the attestations of a crossing were written, by what they are about."""

    sequence: int
    files: dict[str, Path]


def write_attestations(side: Side, sequence: int, out: Path) -> Attestations:
    """Write what was attested of a crossing: collection, sealing, inspection, admission, as far as it came.

    Raises:
        NoAttestationsError: The crossing was not opened here.

    """
    records = records_of(side)
    held = RecordLedger(records).held(sequence)
    with records.transaction() as tx:
        row, admission = tx.get(CROSSINGS, crossing_key(sequence)), tx.get(ADMISSIONS, crossing_key(sequence))
    records.close()
    if held is None:
        what = f"Crossing {sequence} was not opened on this side."
        raise NoAttestationsError(what)
    quarantine = FileBlobs(side.home.quarantine)
    inspected = decode(Crossing, row).attestation_sha256 if row else ""
    found = {
        "collection": (quarantine, held.meta.get(LOCK_ATTESTATION, "")),
        "sealing": (quarantine, held.meta.get(SEALING, "")),
        "inspection": (quarantine, inspected),
        "admission": (blobs_of(side), admission.decode() if admission else ""),
    }
    files = {}
    for name, (blobs, digest) in found.items():
        if digest:
            files[name] = out / f"{sequence:06d}-{name}.dsse.json"
            write_named(files[name], blobs.read(digest))
    return Attestations(sequence, files)
