"""Errors of the trust room."""

from lockgate.core.errors import HostError, InputError, TrustError


class EnvelopeError(TrustError):
    """A signed envelope is malformed or carries bytes that nobody signed."""

    code = "LG-2101"
    advice = "The file was altered or cut short. Ask the sender for it again."


class SignatureError(TrustError):
    """A signature does not verify."""

    code = "LG-2102"
    advice = "Somebody changed the document after it was signed, or signed it with another key."


class WrongLaneError(TrustError):
    """A document of another lane."""

    code = "LG-2103"
    advice = "Each lane has its own roots and keys. Use the document of this lane."


class PinMismatchError(TrustError):
    """A root is not the one that was pinned when the lane was made."""

    code = "LG-2104"
    advice = "Read the words of `lockgate root show` aloud on both sides; they must be the same."


class RootChainError(TrustError):
    """A newer root is not signed by the thresholds of the old and the new root."""

    code = "LG-2105"
    advice = "Hold the lane and ask the holders of the supply root."


class UpdateMetadataError(TrustError):
    """TUF metadata is missing, forged, older than what is trusted, or expired."""

    code = "LG-2106"
    advice = "Collect and seal again; if it repeats, compare the supply root on both sides."


class UnwrapError(TrustError):
    """A volume key does not open with this recipient key."""

    code = "LG-2107"
    advice = "The crate was sealed for another recipient or its header was forged."


class AssertionRefusedError(SignatureError):
    """An authenticator's answer does not sign this statement as the site root demands."""

    code = "LG-2108"
    advice = "Sign the statement again on the console's own page, with the key that the site root lists."


class CredentialError(TrustError):
    """A security key's credential is malformed, or none that the site root lists."""

    code = "LG-2109"
    advice = "Enrol the key again, and have the holders of the site root list its card."


class KeyFileError(InputError):
    """A key file is missing, not readable with this passphrase, or of the wrong kind."""

    code = "LG-1101"
    advice = "Check the path and the passphrase file."


class RootFileError(InputError):
    """A root document is missing or does not parse."""

    code = "LG-1102"
    advice = (
        "Put the document back: from a backup, from its holders, or a supply root from `roots/` of a crate."
    )


class TokenError(InputError):
    """A token or a key in it is not there, or does not open with this PIN."""

    code = "LG-1103"
    advice = "Check that the token is plugged in, and what its own program says of its label and objects."


class KeyFormError(InputError):
    """A key cannot be written in the form that a client of package repositories verifies."""

    code = "LG-1106"
    advice = "Use an Ed25519 or P-256 key for the purpose `repository`."


class KeyAddressError(InputError):
    """The address of a key in a token is not a `pkcs11:` URI that names one key."""

    code = "LG-1104"
    advice = "Write it as pkcs11:token=…;object=…?module-path=/…&pin-source=file:/… (RFC 7512)."


class CertificateNameError(InputError):
    """A certificate may not have this name."""

    code = "LG-1105"
    advice = "Name hosts and addresses of the closed network, within what `lockgate ca show` lists."


class CertificateAuthorityError(InputError):
    """The folder of the certificate authority is not there, not whole, or already in use."""

    code = "LG-1107"
    advice = "`lockgate ca init` makes an authority; `--ca` names its folder."


class TokenFailedError(HostError):
    """A token, or the library that speaks to it, failed."""

    code = "LG-5101"
    advice = "Plug the token in again; its own program says more."
