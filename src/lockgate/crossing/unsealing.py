"""Opening the records of a volume in several threads, each of which takes a record all the way.

Records are read in their order, one at a time, as media want it; hashing, decrypting and writing happen
side by side, while a record is in the caches of one core (docs/adr/0027 has the same for sealing).
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from cryptography.exceptions import InvalidTag

from lockgate.core.ports import Progress
from lockgate.crossing.buffers import write_all_at
from lockgate.crossing.crew import Crew
from lockgate.crossing.errors import RecordDamagedError, SealerFaultError
from lockgate.crossing.folder import SealedFile
from lockgate.crossing.format import RECORD_SIZE, TAG_SIZE, nonce
from lockgate.crossing.ports import Aead
from lockgate.crossing.volumes import VolumeOpening


def unseal(opening: VolumeOpening, file: SealedFile, handle: int, progress: Progress) -> None:
    """Write the plaintext of a volume into a file, each record after its hash and its tag were checked.

    Args:
        opening: What is known of the volume, and our key.
        file: The sealed volume.
        handle: Descriptor of the file, which is empty; a record goes to its own place.
        progress: Told about the bytes, by one thread at a time.

    Raises:
        VolumeTruncatedError, VolumeExtendedError: Another length than crate.json says.
        HeaderDamagedError, RecordDamagedError: Altered; the error names the byte range of the first damage.
        HeaderContentError, UnwrapError, CommitmentError, SealerFaultError: The sealer's fault.
        CrateIoError: The medium does not give the bytes.
        OSError: They cannot be written.

    """
    cipher, prefix = opening.unlock(file)
    emptying = _Emptying(opening, file, handle, progress)
    with Crew("open") as crew:
        crew.work(lambda: emptying.work(cipher, prefix), opening.entry.records, emptying.stop)
    emptying.demand_all_well()


class _Emptying:
    """One volume while its records are opened, by several threads at once."""

    def __init__(self, opening: VolumeOpening, file: SealedFile, handle: int, progress: Progress) -> None:
        self._opening = opening
        self._file = file
        self._handle = handle
        self._progress = progress
        self._next = 0
        self._stopped = False
        self._failed: dict[int, Exception] = {}
        self._lock = Lock()

    def stop(self) -> None:
        """Let every thread end before its next record."""
        self._stopped = True

    def demand_all_well(self) -> None:
        """Raise what the first of the records that failed met.

        Records are drawn in order, and each that was drawn is finished: which one is the first does not
        depend on the threads.
        """
        if self._failed:
            raise self._failed[min(self._failed)]

    def work(self, cipher: Callable[[], Aead], prefix: bytes) -> None:
        """Open record after record until none is left, or one is not as it should be."""
        aead, most = cipher(), self._opening.span(0)[1]
        room, plain = memoryview(bytearray(most)), memoryview(bytearray(most - TAG_SIZE))
        done = 0
        while (number := self._take(room, done)) is not None:
            done = 0
            with self._failing(number):
                done = self._open(number, room, plain, aead, prefix)

    def _take(self, room: memoryview, done: int) -> int | None:
        """Report what was written, read the next record into the room, and return its number."""
        with self._lock:
            self._progress.advance(done)
            number = self._next
            if self._stopped or number == self._opening.entry.records:
                return None
            self._next += 1
            with self._failing(number):
                self._read(number, room)
            return None if number in self._failed else number

    @contextmanager
    def _failing(self, number: int) -> Iterator[None]:
        """Keep the error of a record for the end of all threads, and let no other record begin."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # raised by `demand_all_well`
            self._failed[number] = error
            self.stop()

    def _read(self, number: int, room: memoryview) -> None:
        offset, length = self._opening.span(number)
        if not self._file.fill(room[:length], offset):
            raise self._damaged(number)

    def _open(self, number: int, room: memoryview, plain: memoryview, aead: Aead, prefix: bytes) -> int:
        """Hash, decrypt and write one record; return the length of its plaintext in bytes."""
        opening = self._opening
        offset, length = opening.span(number)
        sealed, target = room[:length], plain[: length - TAG_SIZE]
        if hashlib.sha256(sealed).digest() != opening.shards.digest(number + 1):
            raise self._damaged(number)
        last = number == opening.entry.records - 1
        try:
            aead.decrypt_into(nonce(prefix, number, last=last), sealed, opening.binding.aad, target)
        except InvalidTag as error:
            what = f"Record {number} of {self._file.name} arrived undamaged and does not decrypt."
            raise SealerFaultError(what, file=self._file.name, offset=offset, length=length) from error
        write_all_at(self._handle, target, number * RECORD_SIZE)
        return len(target)

    def _damaged(self, number: int) -> RecordDamagedError:
        offset, length = self._opening.span(number)
        what = f"Record {number} of {self._file.name} was altered."
        return RecordDamagedError(what, file=self._file.name, offset=offset, length=length)
