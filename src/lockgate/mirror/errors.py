"""Errors of the mirror room."""

from lockgate.core.errors import HostError, InputError, LimitError, PolicyError, TrustError


class LayoutError(InputError):
    """An admitted artifact does not have the shape that its protocol serves."""

    code = "LG-1901"
    advice = "Collect the artifact again; the lock's paths and names follow docs/formats of its ecosystem."


class AddressError(InputError):
    """A request does not say by which name this mirror is reached."""

    code = "LG-1920"
    advice = "Send a Host header, or set serve.mirror_url in lockgate.toml."


class QuestionError(InputError):
    """A question about advisories is not what its protocol says."""

    code = "LG-1921"
    advice = "Send what `npm audit` sends: JSON with versions by package name."


class UnknownClientError(InputError):
    """No configuration is known for a client."""

    code = "LG-1922"
    advice = "`lockgate client-config --help` lists the clients."


class MirrorNamesError(InputError):
    """The names of the mirrors' protocols, or the addresses that they lead to, cannot be used."""

    code = "LG-1925"
    advice = "serve.mirror_names has PROTOCOL=NAME with spaces between, as in npm=npm.mirror.example."


class NothingForClientError(InputError):
    """What is served has nothing that a client could be configured for."""

    code = "LG-1924"
    advice = "Publish a snapshot with packages for it, and ask at the high side's home; then ask again."


class LockfileKindError(InputError):
    """A file is no lock file that pins hosts."""

    code = "LG-1923"
    advice = "Name a uv.lock, poetry.lock, package-lock.json, pnpm-lock.yaml, or a yarn.lock of yarn 1."


class QuestionLimitError(LimitError):
    """A question about advisories is longer than its bound."""

    code = "LG-4920"
    advice = "Ask about fewer packages at a time."


class TamperedBlobError(TrustError):
    """A blob's bytes are not what the signed snapshot says."""

    code = "LG-2901"
    advice = "Somebody or something changed the file in the store. Restore it from its crate, then look why."


class LeaseBrokenError(TrustError):
    """Somebody opened a blob for writing while it was sent; the answer was cut off."""

    code = "LG-2906"
    advice = "Blobs are never written to once they are whole: look who did. The client asks again by itself."


class AmbiguousSnapshotError(TrustError):
    """A snapshot names two different things for one address."""

    code = "LG-2902"
    advice = "Do not serve it: ask for a new snapshot without the duplicate."


class OlderChannelError(TrustError):
    """A channel statement is older than the one that is being served."""

    code = "LG-2903"
    advice = "Somebody put an old channel file back. Rolling back takes a new statement with its approvals."


class WrongStatementError(TrustError):
    """A channel statement does not say that this snapshot is to be served."""

    code = "LG-2904"
    advice = "Publish again; the statement and the snapshot in the channel do not belong together."


class UnsignedRepositoryError(TrustError):
    """What the gate signed for clients of package repositories is missing or does not verify."""

    code = "LG-2920"
    advice = "`lockgate gate list` completes what the gate left open; it signs with keys/repository.pem."


class BadBundleError(TrustError):
    """An admitted bundle does not hold what the signed snapshot says of it."""

    code = "LG-2921"
    advice = "Collect the repository again; `git bundle verify` says what is wrong with the bundle."


class NoGitError(HostError):
    """git is missing on the mirror's host, failed, or took too long."""

    code = "LG-5920"
    advice = "Install git on the mirror's host: its http-backend serves repositories."


class MissingBlobError(HostError):
    """A blob that the snapshot lists is not in the store."""

    code = "LG-5901"
    advice = "Restore the blob from its crate, or publish a snapshot without it."


class NothingPublishedError(HostError):
    """No snapshot has been published on this channel, or none verifies."""

    code = "LG-5902"
    advice = (
        "Publish a snapshot with `lockgate gate publish`; /healthz names what was wrong with the last one."
    )


class CannotListenError(HostError):
    """The server cannot listen on the address it was given."""

    code = "LG-5903"
    advice = "Choose another port in lockgate.toml, or end what listens there."


class UploadUnknownError(InputError):
    """An upload session is not known, or not this repository's."""

    code = "LG-1902"
    advice = "Start the upload again; sessions end after an hour without bytes and with the server."


class UploadOrderError(InputError):
    """A part of an upload does not follow the part before it, or comes beside another."""

    code = "LG-1903"
    advice = "Ask for the state of the upload, and go on from there."


class BadPushError(InputError):
    """A pushed manifest, tag or name is none."""

    code = "LG-1904"
    advice = (
        "Push with a client of container registries; names, tags and manifests follow OCI's specifications."
    )


class BadUploadError(InputError):
    """An upload is not what its client sends, or a file of it is not what it says."""

    code = "LG-1906"
    advice = "Upload wheels with twine, one by one, and a whole model at once with `hf upload`."


class UploadNotOpenError(PolicyError):
    """A key may not upload files of a project or model."""

    code = "LG-3902"
    advice = (
        "`[serve] open_projects` and `open_models` open names; a key needs the label `push:pypi/` or "
        "`push:hf/` and the word that opens."
    )


class NotPushedError(InputError):
    """Something that was never pushed is to be read or removed."""

    code = "LG-1905"
    advice = "`lockgate mirror pushed` lists what internal namespaces hold."


class PushDigestError(TrustError):
    """Pushed bytes do not hash to the digest that the client named."""

    code = "LG-2905"
    advice = "The bytes changed on the way, or the client named a wrong digest. Nothing was kept."


class PushLimitError(LimitError):
    """A push is over one of its bounds."""

    code = "LG-4901"
    advice = "Remove what is no longer needed from the internal namespace, or push less at once."


class CredentialsError(PolicyError):
    """A caller of the mirror has no API key, or one that proves nobody."""

    code = "LG-3901"
    advice = (
        "`lockgate gateway key add` makes a key; `lockgate client-config` prints where each client takes it."
    )
