"""The key with which a lane signs its package repositories, in the gate's place."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from lockgate.app.gate.repository import signatures_for
from lockgate.core.repository import is_release, user_id
from lockgate.core.roots import Purpose
from lockgate.mirror import verify_signatures
from lockgate.trust.errors import KeyFileError
from lockgate.trust.keys import Signer, load_signer, new_signer, save_signer
from lockgate.trust.openpgp import OpenPgpKey, armor

LANE = "test"


@dataclass(frozen=True)
class LaneKey:
    """A key in a file, so that a server process and a test have the same one."""

    signer: Signer

    @classmethod
    def at(cls, file: Path) -> "LaneKey":
        if not file.is_file():
            try:
                save_signer(new_signer(Purpose.REPOSITORY, "gate"), file, b"test")
            except KeyFileError:
                assert file.is_file()  # another process was first
        return cls(load_signer(file, b"test", Purpose.REPOSITORY, "gate"))

    @property
    def key(self) -> OpenPgpKey:
        return OpenPgpKey(self.signer.public, user_id(LANE))

    @property
    def certificate(self) -> str:
        return armor(self.key.certificate(self.key.certify(self.signer)), "PUBLIC KEY BLOCK")

    def signed(self, blobs):
        """Return what signs each snapshot when it is read, and verifies it as a mirror does."""
        site = SimpleNamespace(lane=LANE, held=lambda *_: SimpleNamespace(key=self.signer.public))

        def sign(statement, snapshot):
            releases = {p.path: blobs.read(p.sha256) for p in snapshot.generated if is_release(p.path)}
            if not releases:
                return None
            signatures = signatures_for(self.key, self.signer, statement, releases)
            return verify_signatures(statement, releases, signatures, site)

        return sign
