"""A clock that a test sets, in the place of the machine's own, for everything that a side joins."""

import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

TEN_YEARS = timedelta(days=3653)


def until_another_second() -> None:
    """Wait until the machine's clock shows another second: documents are dated by whole ones."""
    second = int(time.time())
    while int(time.time()) == second:
        time.sleep(0.01)


class Clock:
    """The clock of one machine; others keep the machine's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.off = timedelta()
        for name, module in list(sys.modules.items()):
            if name.startswith("lockgate.app.") and hasattr(module, "utc_now"):
                monkeypatch.setattr(module, "utc_now", self)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.off
