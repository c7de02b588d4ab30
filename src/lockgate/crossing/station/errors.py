"""Errors of transfer stations: of their settings, of reports, of scanners and of the host."""

from lockgate.core.errors import HostError, InputError, LimitError, TrustError


class StationSettingsError(InputError):
    """The settings of a station do not name a scanner that can be used."""

    code = "LG-1770"
    advice = "`lockgate config explain` lists the keys of `[station]`; docs/runbooks/station.md has examples."


class ReportPartialError(InputError):
    """A station's report does not speak of every file of its crossing."""

    code = "LG-1771"
    advice = "Run `lockgate station scan` to its end at the station and carry the whole report."


class NoReportsError(InputError):
    """A crossing that a report is about is not held here."""

    code = "LG-1772"
    advice = "Receive the crate first: `lockgate receive`."


class ReportPlaceError(TrustError):
    """A station's report is of another lane, crossing, crate or content."""

    code = "LG-2770"
    advice = "Carry the report that was made of this very crate; keep this one and ask where it came from."


class ReportFormError(TrustError):
    """A station's report contradicts itself."""

    code = "LG-2771"
    advice = "No station of this version makes such a report. Keep it, and ask the station's holder."


class ReportExpiredError(TrustError):
    """A station's report is past its expiry, or dated in the future."""

    code = "LG-2772"
    advice = "Scan the crate again at the station; where the report is fresh, compare the clocks."


class ScannerBlindError(TrustError):
    """A scanner did not find the EICAR test pattern, or found something in a harmless file."""

    code = "LG-2773"
    advice = (
        "The scanner does not look, has no data, or bounds less than `station.largest_bytes`. "
        "Nothing was signed. Mend it, and scan again."
    )


class ReportsLimitError(LimitError):
    """There are as many reports of a crossing as are kept."""

    code = "LG-4770"
    advice = "Keep what is on record; reports that say no more than those are not needed."


class ScannerError(HostError):
    """A scanner cannot be used."""

    code = "LG-5770"
    advice = "Start the scanner, and check `[station]` in lockgate.toml; `lockgate station check` tries it."


class ScannerChangedError(HostError):
    """A scanner or its data changed while it looked at the files of a crate."""

    code = "LG-5771"
    advice = "Run `lockgate station scan` again: a report speaks of one version and one state of the data."


class StageSpaceError(HostError):
    """There is no room to stage a file for the scanner."""

    code = "LG-5772"
    advice = "Free space where files are staged and run the command again; it goes on where it was."


class StageIoError(HostError):
    """A file cannot be staged for the scanner."""

    code = "LG-5773"
    advice = "Look at the folder that the settings name: it must be a real folder that this user may write."
