"""Signatures of npm registries: ECDSA over ``name@version:integrity``.

Source: npm documentation, "ECDSA registry signatures"; `npm audit signatures` judges a key's expiry by the
time at which the version was published, and so does this.
"""

from datetime import datetime
from typing import Annotated

import msgspec

from lockgate.core.npm import NpmSignature, NpmVersion
from lockgate.core.provenance import Fact, Scheme, State, TrustRoots
from lockgate.core.wire import decode
from lockgate.inspect.provenance import keys
from lockgate.inspect.provenance.errors import InvalidProvenanceError

FACTS_LIMIT = 1 << 20
_Sig = Annotated[bytes, msgspec.Meta(max_length=512)]


def judge(data: bytes, integrity: str, roots: TrustRoots) -> tuple[Fact, ...]:
    """Return one fact for each signature that the registry gave of a version.

    Args:
        data: What the collector kept of the version (`lockgate.core.npm.NpmVersion`).
        integrity: The archive's own SHA-512, as ``sha512-…``.
        roots: What counts.

    Raises:
        InvalidProvenanceError: The archive is not the one that the registry signed.
        LockgateError: The document is malformed.

    """
    version = decode(NpmVersion, data, limit=FACTS_LIMIT, name="npm version")
    if version.signatures and version.integrity != integrity:
        raise InvalidProvenanceError("The archive is not the one that its registry signed.")
    said = f"{version.name}@{version.version}:{integrity}".encode()
    return tuple(_fact(one, said, version.published, roots) for one in version.signatures)


def _fact(one: NpmSignature, said: bytes, published: datetime | None, roots: TrustRoots) -> Fact:
    def fact(state: State, why: str = "") -> Fact:
        return Fact(
            scheme=Scheme.NPM,
            state=state,
            why=why,
            keyid=_line(one.keyid),
            signed=published,
            roots=roots.version,
        )

    known = next((key for key in roots.npm_keys if key.name == one.keyid), None)
    if known is None:
        return fact(State.INVALID, "No registry key of the trust roots has this id.")
    try:
        signature = msgspec.convert(one.sig, _Sig)
        if not keys.signed(keys.load(known.key), signature, said, "sha256"):
            return fact(State.INVALID, "The registry's signature does not verify.")
    except msgspec.ValidationError:
        return fact(State.INVALID, "The registry's signature is not base64.")
    except InvalidProvenanceError as error:
        return fact(State.INVALID, error.what)
    if known.expires is not None and (published is None or published >= known.expires):
        when = f"{known.expires:%Y-%m-%d %H:%M:%S} UTC"
        return fact(State.EXPIRED, f"The key expired on {when}, and the version was not published before.")
    return fact(State.VERIFIED)


def _line(text: str) -> str:
    return "".join(char for char in text if char.isprintable())[:128]
