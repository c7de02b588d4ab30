"""A token in software (SoftHSM 2) with keys, for tests of what tokens hold."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag

PIN = "pin-73914-never-shown"
P256 = bytes.fromhex("06082a8648ce3d030107")
P384 = bytes.fromhex("06052b81040022")
ED25519 = bytes.fromhex("06032b6570")
PLACES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm.so", "/usr/lib64/libsofthsm2.so")


def library() -> str:
    """Return the place of SoftHSM's library; the package is one of scripts/system-packages."""
    return next(place for place in PLACES if Path(place).exists())


class SoftToken:
    """One initialised token, whose PIN lies in a file that only its owner reads."""

    def __init__(self, folder: Path, label: str = "people") -> None:
        self.label = label
        self.pin_file = folder / f"{label}.pin"
        self.pin_file.write_text(f"{PIN}\n")
        self.pin_file.chmod(0o600)
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "0" * 8]
        subprocess.run([*command, "--pin", PIN], check=True, capture_output=True)
        pkcs11.lib(library()).reinitialize()

    def opened(self, *, rw: bool = False):
        return pkcs11.lib(library()).get_token(token_label=self.label).open(user_pin=PIN, rw=rw)

    def make(self, label: str, identifier: int, curve: bytes = P256, *, derive: bool = False) -> str:
        """Make a key pair and return the address of its private half."""
        kind, by = KeyType.EC, Mechanism.EC_KEY_PAIR_GEN
        if curve == ED25519:
            kind, by = KeyType.EC_EDWARDS, Mechanism.EC_EDWARDS_KEY_PAIR_GEN
        use = MechanismFlag.DERIVE if derive else MechanismFlag.SIGN | MechanismFlag.VERIFY
        with self.opened(rw=True) as session:
            parameters = session.create_domain_parameters(kind, {Attribute.EC_PARAMS: curve}, local=True)
            parameters.generate_keypair(
                mechanism=by, store=True, id=bytes([identifier]), label=label, capabilities=use
            )
        return self.uri(f"object={label}")

    def uri(self, named: str, *, pin: Path | None = None, module: str | None = None) -> str:
        query = f"module-path={module or library()}&pin-source=file:{pin or self.pin_file}"
        return f"pkcs11:token={self.label};{named}?{query}"


@contextmanager
def soft_token(folder: Path) -> Iterator[SoftToken]:
    """Give this process, and those that it starts, a token in a folder of their own."""
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    try:
        yield SoftToken(folder)
    finally:
        pkcs11.unload(library())
        os.environ.pop("SOFTHSM2_CONF")
        if before is not None:
            os.environ["SOFTHSM2_CONF"] = before
