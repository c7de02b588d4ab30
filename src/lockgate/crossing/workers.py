"""Sealing and writing volumes in several threads, each of which takes a record all the way.

One thread reads, judges, seals, hashes and writes a record while others do so with the records after it: its
bytes stay in the caches of one core, and nothing waits between steps (docs/adr/0027). Reading and judging
have an order, so one thread at a time does them.
"""

import base64
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Self

from lockgate.core.ports import Progress
from lockgate.crossing.buffers import Buffers, Loan, write_all_at
from lockgate.crossing.crew import Crew
from lockgate.crossing.errors import CrateIoError
from lockgate.crossing.format import (
    BULK_SUITE,
    CLEARTEXT_SUITE,
    CRATE_FORMAT,
    KEY_SIZE,
    NONCE_PREFIX,
    NOTHING,
    RECORD_SIZE,
    TAG_SIZE,
    Binding,
    VolumeEntry,
    VolumeHeader,
    header_block,
    nonce,
    record_length,
)
from lockgate.crossing.layout import PlannedVolume
from lockgate.crossing.payload import PayloadSource, judge
from lockgate.crossing.ports import Aead
from lockgate.crossing.shards import VolumeShards
from lockgate.crossing.volumes import Cleartext, CrateKeys
from lockgate.trust.sealing import wrap


def plaintext_records(source: PayloadSource, volumes: Sequence[PlannedVolume]) -> Iterator[Loan]:
    """Yield the plaintext of every record of every volume, in order, judged against the lock's entries.

    Raises:
        SourceChangedError: A file has another length or digest than its entry. The last bytes of
            that file may have been given before.

    """
    buffers = Buffers(RECORD_SIZE)
    for volume in volumes:
        for number in range(volume.records):
            record = buffers.lend(record_length(volume.plaintext_size, number))
            judge(source.fill(record.view))
            yield record
    # Only now is the last file judged: its end lies behind the last record.
    judge(source.finish())


class VolumeWriter:
    """Seals and writes volume after volume from one stream of records.

    Used as a context, which ends its threads.
    """

    def __init__(self, records: Iterator[Loan], keys: CrateKeys, progress: Progress) -> None:
        """Take what is sealed, and what keys are made from; nothing is read yet.

        Args:
            records: The plaintext of every record, in order.
            keys: What volume keys are made from and for.
            progress: Told about the bytes, by one thread at a time.

        """
        self._records = records
        self._keys = keys
        self._progress = progress
        self._crew = Crew("seal")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the end of the threads."""
        self._crew.end()

    def write(self, folder: Path, volume: PlannedVolume) -> tuple[VolumeEntry, VolumeShards]:
        """Seal the next records into a volume under a fresh key; durable on return.

        Args:
            folder: The folder that gets it.
            volume: What was planned.

        Returns:
            Its line for crate.json and its digests.

        Raises:
            SourceChangedError: A file is no longer what the lock names.
            CrateIoError: There are fewer records than were planned.

        """
        binding = Binding(self._keys.lane, self._keys.crate, volume.number)
        sealed_to = bool(self._keys.recipients)
        key = self._keys.entropy(KEY_SIZE) if sealed_to else b""
        prefix = self._keys.entropy(NONCE_PREFIX) if sealed_to else bytes(NONCE_PREFIX)
        header = _header(binding, key, prefix, self._keys)
        with (folder / volume.name).open("xb", buffering=0) as file:
            write_all_at(file.fileno(), memoryview(header), 0)
            self._progress.advance(len(header))
            filling = _Filling(volume, self._records, file.fileno(), self._progress)

            def work() -> None:
                cipher = self._keys.cipher(key) if sealed_to else Cleartext()
                filling.work(cipher, prefix, binding.aad)

            self._crew.work(work, volume.records, filling.stop)
            os.fsync(file.fileno())
        entry = VolumeEntry(
            name=volume.name,
            size=volume.size,
            records=volume.records,
            plaintext_size=volume.plaintext_size,
            commitment=binding.commitment(key) if sealed_to else NOTHING,
        )
        return entry, VolumeShards(len(header), hashlib.sha256(header).digest() + filling.digests)


class _Filling:
    """One volume while its records are sealed, by several threads at once."""

    def __init__(
        self, volume: PlannedVolume, records: Iterator[Loan], handle: int, progress: Progress
    ) -> None:
        self.volume = volume
        self._records = records
        self._handle = handle
        self._progress = progress
        self._digests = [b""] * volume.records
        self._next = 0
        self._stopped = False
        self._lock = Lock()

    @property
    def digests(self) -> bytes:
        """Return the SHA-256 of every record, in order."""
        return b"".join(self._digests)

    def stop(self) -> None:
        """Let every thread end before its next record."""
        self._stopped = True

    def work(self, cipher: Aead, prefix: bytes, aad: bytes) -> None:
        """Seal record after record until none is left."""
        room = memoryview(bytearray(min(self.volume.plaintext_size, RECORD_SIZE) + TAG_SIZE))
        done = 0
        try:
            while taken := self._take(done):
                number, record = taken
                sealed = room[: len(record.view) + TAG_SIZE]
                last = number == self.volume.records - 1
                cipher.encrypt_into(nonce(prefix, number, last=last), record.view, aad, sealed)
                record.give_back()
                self._digests[number] = hashlib.sha256(sealed).digest()
                offset = self.volume.header_size + number * (RECORD_SIZE + TAG_SIZE)
                write_all_at(self._handle, sealed, offset)
                done = len(sealed)
        except BaseException:
            self.stop()
            raise

    def _take(self, done: int) -> tuple[int, Loan] | None:
        """Report what was written, and draw the next record with its number."""
        with self._lock:
            try:
                self._progress.advance(done)
                number = self._next
                if self._stopped or number == self.volume.records:
                    return None
                self._next += 1
                return number, self._draw()
            except BaseException:  # seen by the others before they draw from what has failed
                self.stop()
                raise

    def _draw(self) -> Loan:
        for record in self._records:
            return record
        raise CrateIoError("There is less to seal than was planned.")


def _header(binding: Binding, key: bytes, prefix: bytes, keys: CrateKeys) -> bytes:
    wrapped = {
        name: wrap(key, recipient, binding.key_info(recipient.suite, name, keys.sealer))
        for name, recipient in keys.recipients.items()
    }
    header = VolumeHeader(
        format=CRATE_FORMAT,
        lane=binding.lane,
        crate=binding.crate,
        volume=binding.volume,
        suite=BULK_SUITE if keys.recipients else CLEARTEXT_SUITE,
        record_size=RECORD_SIZE,
        nonce=prefix.hex(),
        keys={name: base64.standard_b64encode(data).decode() for name, data in wrapped.items()},
    )
    return header_block(header)
