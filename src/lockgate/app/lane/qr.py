"""Checkpoints as QR pictures: they cross an air gap from a screen or a sheet of paper."""

from pathlib import Path

from lockgate.core.errors import HostError, LimitError

QR_BYTES = 2331
"""Most bytes that one picture holds (ISO/IEC 18004, version 40, error correction M)."""

_SCALE = 6
_BORDER = 4


class QrTooLongError(LimitError):
    """A text does not fit into one QR picture."""

    code = "LG-4f02"
    advice = "Carry it as a file, or bring fewer signatures (bound: qr_bytes)."


class QrWriteError(HostError):
    """A QR picture cannot be written."""

    code = "LG-5f10"
    advice = "Check the path, its permissions and free space."


def write_qr(text: str, target: Path) -> None:
    """Write a text as a QR picture (PNG); any reader of such pictures gives the same text back.

    Raises:
        QrTooLongError: Longer than `QR_BYTES` bytes.
        QrWriteError: The file cannot be written.

    """
    import segno  # noqa: PLC0415  # only where a picture is asked for

    data = text.encode()
    if len(data) > QR_BYTES:
        what = f"The text has {len(data)} bytes; a picture holds {QR_BYTES}."
        raise QrTooLongError(what, limit="qr_bytes")
    picture = segno.make(text, error="m", encoding="utf-8", micro=False, boost_error=False)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        picture.save(str(target), kind="png", scale=_SCALE, border=_BORDER)
    except OSError as error:
        what = f"{target} cannot be written: {error.strerror}."
        raise QrWriteError(what) from error
