"""Sending a crate over a one-way link, and receiving one into the inbox."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lockgate.app.settings import Side
from lockgate.core.ports import Progress
from lockgate.crossing.diode import (
    Inlet,
    Receiver,
    ReceiverParts,
    ReceiveSettings,
    Sender,
    SenderParts,
    SendJournal,
    SendSettings,
    Sent,
    read_key,
)
from lockgate.crossing.diode.names import read_names


def send_crate(
    side: Side,
    crate: Path,
    key_file: Path,
    settings: SendSettings,
    progress: Progress,
    *,
    only: tuple[str, ...] = (),
    only_list: Path | None = None,
    afresh: bool = False,
) -> Sent:
    """Send a crate, or some of its files; goes on where an interrupted run ended.

    Args:
        side: The low side.
        crate: The crate's folder.
        key_file: What both ends share.
        settings: How to send.
        progress: Told about bytes.
        only: Names of files to send; all when there are none.
        only_list: A file with more names, one on a line.
        afresh: Whether to begin again even where a run was interrupted.

    Raises:
        LockgateError: See `Sender.send`, `read_key` and `read_names`.

    """
    names = (*only, *(read_names(only_list) if only_list else ()))
    journal = SendJournal(side.home.outbox / ".diode")
    if afresh:
        journal.forget(crate.name)
    return Sender(SenderParts(read_key(key_file), journal), settings).send(crate, names, progress)


@contextmanager
def diode_receiver(
    side: Side, address: str, port: int, key_file: Path, settings: ReceiveSettings
) -> Iterator[Receiver]:
    """Give a receiver into the inbox of the high side.

    Raises:
        LockgateError: See `Receiver.open`, `Inlet` and `read_key`.

    """
    key = read_key(key_file)
    with (
        Inlet(address, port) as inlet,
        Receiver.open(ReceiverParts(key, side.home.inbox, inlet), settings) as receiver,
    ):
        yield receiver
