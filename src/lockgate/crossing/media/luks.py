"""Encrypted media: a LUKS2 header written and verified; opening needs the kernel's device-mapper.

It is a second layer: a crate is sealed whether its medium is encrypted or not.
"""

import json
import stat
from dataclasses import dataclass
from pathlib import Path

from lockgate.crossing.media.errors import DeviceMapperError, MediumInUseError, ReadBackError
from lockgate.crossing.media.image import program, run

CONTROL = Path("/dev/mapper/control")
PROGRAM = "cryptsetup"
MAGIC = b"LUKS\xba\xbe\x00\x02"
CIPHER = "aes-xts-plain64"


@dataclass(frozen=True, slots=True)
class LuksHeader:
    """What the header of a device says: id, cipher, key derivation and length of the key in bits."""

    uuid: str
    cipher: str
    derivation: str
    key_bits: int


def format_luks(device: Path, key_file: Path, *, erase: bool) -> LuksHeader:
    """Write a LUKS2 header to a block device or file, and verify what it says.

    Args:
        device: What is encrypted; everything on it is lost.
        key_file: Holds the passphrase; it never stands on a command line.
        erase: Whether a device that is not empty may be overwritten.

    Raises:
        MediumInUseError: It is not empty, or neither a block device nor a regular file.
        ReadBackError: The header does not say what was asked for.
        ProgramMissingError, ProgramFailedError: cryptsetup.

    """
    mode = device.stat().st_mode
    if not stat.S_ISBLK(mode) and not stat.S_ISREG(mode):
        what = f"{device} is neither a block device nor a file."
        raise MediumInUseError(what)
    with device.open("rb") as file:
        if not erase and any(file.read(1 << 20)):
            what = f"{device} is not empty."
            raise MediumInUseError(what)
    command = [program(PROGRAM, "cryptsetup-bin"), "luksFormat", "--batch-mode", "--type", "luks2"]
    run([*command, "--cipher", CIPHER, "--key-size", "512", "--key-file", str(key_file), str(device)])
    return read_luks(device)


def read_luks(device: Path) -> LuksHeader:
    """Return what a device's header says.

    Raises:
        ReadBackError: It has no LUKS2 header, or one of another cipher.
        ProgramMissingError, ProgramFailedError: cryptsetup.

    """
    with device.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            what = f"{device} has no header of LUKS2."
            raise ReadBackError(what, file=str(device), offset=0)
    cryptsetup = program(PROGRAM, "cryptsetup-bin")
    dump = json.loads(run([cryptsetup, "luksDump", "--dump-json-metadata", str(device)]))
    uuid = run([cryptsetup, "luksUUID", str(device)]).decode().strip()
    slot = next(iter(dump["keyslots"].values()))
    header = LuksHeader(
        uuid, dump["segments"]["0"]["encryption"], slot["kdf"]["type"], 8 * int(slot["key_size"])
    )
    if header.cipher != CIPHER:
        what = f"{device} is encrypted with {header.cipher[:40]}, not {CIPHER}."
        raise ReadBackError(what, file=str(device))
    return header


def demand_mapper() -> None:
    """Demand that this system can open encrypted media.

    Raises:
        DeviceMapperError: It cannot.

    """
    if not CONTROL.exists():
        what = f"There is no {CONTROL}: this system has no device-mapper."
        raise DeviceMapperError(what)


def open_luks(device: Path, key_file: Path, name: str) -> Path:
    """Open a device; return the one that its content is read from and written to.

    Raises:
        DeviceMapperError: This system has no device-mapper.
        ProgramMissingError, ProgramFailedError: cryptsetup.

    """
    demand_mapper()
    run([program(PROGRAM, "cryptsetup-bin"), "open", "--key-file", str(key_file), str(device), name])
    return CONTROL.with_name(name)
