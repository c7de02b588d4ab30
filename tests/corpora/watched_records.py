"""Which records threads seal or open, in which order; and a `Progress` that one thread at a time may tell."""

import threading
from collections.abc import Callable

from lockgate.crossing.ports import Aead
from lockgate.crossing.volumes import aes_gcm

THREADS = 3
"""How many threads tests have, however many cores there are."""

SECONDS = 180
"""How long a thread waits for another at most."""


class Watched:
    """AES-256-GCM that says which record it is about to seal or open, and with which it is done."""

    def __init__(self, before: Callable[[int], None], after: Callable[[int], None] = lambda _: None) -> None:
        self._before, self._after = before, after
        self.numbers: list[int] = []

    def __call__(self, key: bytes) -> Aead:
        watched, real = self, aes_gcm(key)

        class Cipher:
            def encrypt_into(
                self, nonce: bytes, data: memoryview, associated_data: bytes, buf: memoryview
            ) -> int:
                number = watched._begins(nonce)
                length = real.encrypt_into(nonce, data, associated_data, buf)
                watched._after(number)
                return length

            def decrypt_into(
                self, nonce: bytes, data: memoryview, associated_data: bytes, buf: memoryview
            ) -> int:
                number = watched._begins(nonce)
                length = real.decrypt_into(nonce, data, associated_data, buf)
                watched._after(number)
                return length

        return Cipher()

    def _begins(self, nonce: bytes) -> int:
        number = int.from_bytes(nonce[7:11], "big")
        self.numbers.append(number)
        self._before(number)
        return number


class Counted:
    """Counts one task, and must not be told by two threads at once."""

    def __init__(self, task: str) -> None:
        self.total = self.done = 0
        self._inside = threading.Lock()
        self._counted, self._task = task, ""

    def start(self, task: str, total: int) -> None:
        self._task = task
        self.total += total if task == self._counted else 0

    def advance(self, count: int) -> None:
        assert self._inside.acquire(blocking=False), "told by two threads at once"
        self.done += count if self._task == self._counted else 0
        self._inside.release()

    def finish(self) -> None:
        pass
