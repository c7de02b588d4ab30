"""What the advisories refuse, sorted by fault. The codes lie in the room `approve`, from 40 on."""

from lockgate.core.errors import HostError, InputError, LimitError, TrustError


class NotAdvisoryDataError(InputError):
    """A path holds nothing that is read as advisory data."""

    code = "LG-1440"
    advice = "Name a folder or all.zip of OSV records, a KEV catalogue (JSON) or an EPSS table (CSV, CSV.gz)."


class BadAdvisoryError(InputError):
    """A record of a data set cannot be read, so the set would have a hole."""

    code = "LG-1441"
    advice = (
        "Fetch the data set again. To use the rest, load with --incomplete: no answer from it is clean then."
    )


class NoAdvisoryDataError(InputError):
    """No advisory data is loaded."""

    code = "LG-1442"
    advice = "Load some first: `lockgate advisories load PATH`."


class BadPackageError(InputError):
    """A text is not a package URL, or a bill of materials cannot be read."""

    code = "LG-1443"
    advice = "Write it as pkg:type/namespace/name@version; a bill of materials is CycloneDX or SPDX in JSON."


class NoSuchAdvisoryError(InputError):
    """No loaded data set has a record under this identifier or alias."""

    code = "LG-1444"
    advice = "`lockgate advisories status` shows what is loaded; absence from it means nothing."


class BadVexError(InputError):
    """A VEX document cannot be read."""

    code = "LG-1445"
    advice = "Give OpenVEX, or CycloneDX with vulnerabilities that affect package URLs."


class OlderDataError(InputError):
    """A data set is older than the one that is loaded under its name."""

    code = "LG-1446"
    advice = "Load the newer one; with --older the old one is put back on purpose."


class DataSetAlteredError(TrustError):
    """A stored data set is not the one that was loaded."""

    code = "LG-2440"
    advice = "Somebody altered the file. Load the data set again from its source."


class AdvisoryLimitError(LimitError):
    """Advisory data reached a bound; the error names which."""

    code = "LG-4440"
    advice = "The bound stands in lockgate.advisories.limits. If the data is honest, split it by ecosystem."


class AdvisoryStoreError(HostError):
    """The folder of the advisory data cannot be read or written."""

    code = "LG-5440"
    advice = "Check the folder's free space and permissions."
