"""Errors of the collection room."""

from lockgate.core.errors import HostError, InputError, LimitError, TrustError


class ManifestError(InputError):
    """The manifest is malformed."""

    code = "LG-1501"
    advice = "Correct the named key of the manifest; `lockgate manifest init` writes an example."


class UnresolvableError(InputError):
    """A requirement cannot be met by the configured sources."""

    code = "LG-1502"
    advice = "Check the name and version, and which sources `pip config list` names."


class SourceMissingError(InputError):
    """A folder or file that the manifest names is not there."""

    code = "LG-1503"
    advice = "Paths in a manifest are relative to the manifest's own folder."


class DuplicateNameError(InputError):
    """Two entries of the manifest claim one name."""

    code = "LG-1504"
    advice = "Give each model, document and file one name, and each project one label."


class MemberMissingError(InputError):
    """A wheel lacks the member that a model is to be taken from."""

    code = "LG-1505"
    advice = "List the wheel's members with `python -m zipfile -l` and correct `member`."


class TargetError(InputError):
    """The wished Python version or platform cannot be resolved on this machine."""

    code = "LG-1506"
    advice = "Environment markers are judged by a real interpreter: collect where that version is installed."


class NotAWheelError(InputError):
    """A requirement resolves to something else than a wheel."""

    code = "LG-1507"
    advice = "Only wheels are collected: building a source distribution would run its code here."


class NoFileError(InputError):
    """A project offers nothing that fits one of the wished environments."""

    code = "LG-1508"
    advice = (
        "Pin a version with wheels for it, wish for another platform, or name the project in `sdists` "
        "if it may come as a source archive."
    )


class NotFromRegistryError(InputError):
    """A dependency comes from git, a folder or an address, or its registry gives no SHA-512."""

    code = "LG-1520"
    advice = "Depend on a version that a registry offers; what lies elsewhere can cross as [[file]]."


class LockfileError(InputError):
    """A package.json or package-lock.json cannot be read."""

    code = "LG-1521"
    advice = "Make it anew with `npm install --package-lock-only --lockfile-version 3`."


class OnlyError(InputError):
    """A collection of some tables alone has nothing to collect, or nothing to add to."""

    code = "LG-1522"
    advice = "Name tables that stand in the manifest, and collect all of it once before."


class NoAttestationsError(InputError):
    """A registry's answer holds no attestations of a version."""

    code = "LG-1523"
    advice = "Nothing is to be done: the version crosses without them, and rules that demand them hold it."


class DigestMismatchError(TrustError):
    """Fetched bytes do not hash to what the index, the report or the manifest says."""

    code = "LG-2501"
    advice = (
        "The source or the way to it altered the file. Nothing of it was stored; compare with another source."
    )


class BadWheelError(TrustError):
    """A wheel is damaged, or is not the one that its name says."""

    code = "LG-2502"
    advice = "Fetch it again; if it stays so, report it to the project and pin another version."


class IndexPinError(TrustError):
    """A project that is pinned to one package index would come from another, or that index is not known."""

    code = "LG-2504"
    advice = (
        "Check the index's address and its spelling in uv's configuration; nothing was taken from elsewhere."
    )


class BadSdistError(TrustError):
    """A source archive is damaged, says two things at once, or is not the one that its name says."""

    code = "LG-2505"
    advice = "Fetch it again; if it stays so, report it to the project and pin another version."


class QuarantinedError(TrustError):
    """A package index has put a project into quarantine (PEP 792)."""

    code = "LG-2503"
    advice = (
        "Take the project out of the manifest until its index has cleared it; look at what crossed before."
    )


class BadTarballError(TrustError):
    """An npm archive is damaged, says two things at once, or is not the one that its name says."""

    code = "LG-2520"
    advice = "Fetch it again; if it stays so, report it to the registry and pin another version."


class BadReleaseError(TrustError):
    """A package repository's index is not signed, out of date or not what is signed."""

    code = "LG-2540"
    advice = "Check keyring and clock; if both are right, somebody altered the repository or the way to it."


class BadRepositoryError(TrustError):
    """A git repository has objects that are malformed, missing or not what their names say."""

    code = "LG-2541"
    advice = "Have the repository's owner look at `git fsck --strict`; nothing of it was kept."


class BadPackageError(TrustError):
    """A package bears no signature of the keys that its repository is signed with."""

    code = "LG-2542"
    advice = "Check the keyring; if it is right, somebody altered the package or the way to it."


class CollectLimitError(LimitError):
    """Something upstream is larger or longer than its bound."""

    code = "LG-4501"
    advice = "If the input is honest, raise the named bound."


class DiskFullError(HostError):
    """There is not enough free space to collect."""

    code = "LG-5501"
    advice = "Free some space, or put the home on a larger disk; what was collected so far is kept."


class InstallerError(HostError):
    """The package client is missing, failed or took too long."""

    code = "LG-5502"
    advice = "Run `python -m pip --version` with the same interpreter and read its last message."


class UnreachableError(HostError):
    """A configured source does not answer."""

    code = "LG-5503"
    advice = "Check network, proxy and certificates (`pip config list`), then run it again."


class WorkFolderError(HostError):
    """A folder or file of the home cannot be read or written."""

    code = "LG-5504"
    advice = "Check permissions and the health of the disk, then run it again."


class TrustRootsError(InputError):
    """A file is no source of trust roots, or what it holds cannot be used."""

    code = "LG-1550"
    advice = "Give Sigstore's trusted_root.json, npm's keys as JSON, or keys and certificates in PEM."
