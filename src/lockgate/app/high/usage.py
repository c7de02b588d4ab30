"""Who used which model how much: counted over the receipts of a high side."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice

import msgspec

from lockgate.app.high.receipts import receipt_records
from lockgate.app.settings import Side
from lockgate.core.errors import InputError
from lockgate.infer import FileKeys
from lockgate.infer.engines.ports import Usage
from lockgate.infer.receipts import Status
from lockgate.infer.receiptstore import RECEIPT

ROWS = 1000
"""Receipts that are read in one transaction: no answer waits for the counting."""


class UsageDaysError(InputError):
    """A number of days for usage is out of bounds."""

    code = "LG-1f75"
    advice = "Give --days from 1 to 3660."


MOST_DAYS = 3660
"""Longest time that is counted over, in days."""


class By(StrEnum):
    """What a row is about."""

    CALLER = "caller"
    MODEL = "model"
    DAY = "day"


@dataclass(slots=True)
class Used:
    """What one caller used, one model answered, or one day (UTC) saw; tokens as engines counted them."""

    name: str
    requests: int = 0
    answered: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    last: str = ""


class _Model(msgspec.Struct):
    name: str


class _Receipt(msgspec.Struct):
    """What of a receipt is counted; the rest is passed over."""

    status: Status
    api_key: str
    requested: datetime
    model: _Model
    usage: Usage


class _Stored(msgspec.Struct):
    receipt: _Receipt


def usage(side: Side, days: int, by: By, now: datetime) -> list[Used]:
    """Return what was used in the last days, the most tokens first; days in their order.

    Receipts that an earlier version left as files are not counted.

    Raises:
        UsageDaysError: A number of days that is out of bounds.

    """
    if not 1 <= days <= MOST_DAYS:
        what = f"{days} days cannot be counted over."
        raise UsageDaysError(what)
    begin = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days - 1)
    names = {key.id: key.name for key in FileKeys(side.home.trust / "api-keys.json").all()}
    rows: dict[str, Used] = {}
    for receipt in _receipts(side):
        if receipt.requested < begin:
            continue
        moment = f"{receipt.requested.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        name = {
            By.CALLER: names.get(receipt.api_key, receipt.api_key),
            By.MODEL: receipt.model.name,
            By.DAY: moment[:10],
        }[by]
        row = rows.setdefault(name, Used(name))
        row.requests += 1
        row.answered += receipt.status is Status.ANSWERED
        row.prompt_tokens += receipt.usage.prompt_tokens
        row.completion_tokens += receipt.usage.completion_tokens
        row.last = max(row.last, moment)
    if by is By.DAY:
        return sorted(rows.values(), key=lambda row: row.name)
    return sorted(rows.values(), key=lambda row: (-row.prompt_tokens - row.completion_tokens, row.name))


def _receipts(side: Side) -> Iterator[_Receipt]:
    decoder = msgspec.json.Decoder(_Stored)
    with closing(receipt_records(side)) as records:
        after = ""
        while True:
            with records.transaction() as tx:
                page = list(islice(tx.scan(RECEIPT, after=after), ROWS))
            for _, value in page:
                yield decoder.decode(value).receipt
            if len(page) < ROWS:
                return
            after = page[-1][0]
