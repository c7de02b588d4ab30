"""Errors of media: what is wrong with a medium, a request to write one, or the host."""

from lockgate.core.errors import HostError, InputError, LimitError, PolicyError, TrustError


class MediumUnknownError(InputError):
    """A medium is named that has no known size."""

    code = "LG-1730"
    advice = "Name fat32, dvd, bd25, bd50, bd100, or a number of bytes."


class NoCrateOnMediumError(InputError):
    """A medium holds no crate, or more than one where one was expected."""

    code = "LG-1731"
    advice = "Name the folder, mount point or image that holds the crate; of several, the crate's own folder."


class CrateUnfinishedError(InputError):
    """A crate that is to be written to media is not whole."""

    code = "LG-1732"
    advice = "Repair it with `lockgate repair`, or seal it again; nothing was written."


class MediumNameError(InputError):
    """A serial, marking or name of a medium cannot be kept."""

    code = "LG-1733"
    advice = "Write what stands on the medium, in at most 120 printable characters."


class MediumInUseError(InputError):
    """A device that is to be encrypted is not empty, or no device."""

    code = "LG-1734"
    advice = "Name the right device. If everything on it may be lost, say so with --erase."


class ImageFormError(TrustError):
    """An image is not an ISO 9660 file system of the form that crates are written in."""

    code = "LG-2730"
    advice = "Write the image again with `lockgate media write --image`; do not mount a foreign one."


class ReadBackError(TrustError):
    """What was read back from a medium is not what was written to it."""

    code = "LG-2731"
    advice = "Do not use this medium. Write the crate to another one."


class TwoCratesError(TrustError):
    """Two media bring different crates under one name."""

    code = "LG-2732"
    advice = "One of the media is forged or stale. Keep both apart and call the sealer."


class MediumEndedError(PolicyError):
    """A medium cannot be what its life so far does not allow."""

    code = "LG-3730"
    advice = "Look at `lockgate media list`; compare serial and marking with the medium itself."


class MediumListingError(LimitError):
    """A medium holds more than is looked at."""

    code = "LG-4730"
    advice = "A medium carries its crate and nothing else. Copy the crate to an empty medium."


class MediumSpaceError(HostError):
    """The media have too little room."""

    code = "LG-5730"
    advice = "Free the named number of bytes, or name more media; nothing was written."


class ProgramMissingError(HostError):
    """A program that writes media is not installed."""

    code = "LG-5731"
    advice = "Install the named Debian package, then start the same command again."


class ProgramFailedError(HostError):
    """A program that writes media failed."""

    code = "LG-5732"
    advice = "Read what it said, check the medium and free space, then start the same command again."


class DeviceMapperError(HostError):
    """This system has no device-mapper, so that an encrypted medium cannot be opened here."""

    code = "LG-5733"
    advice = (
        "The header was written and verified. Open the medium on a host with device-mapper "
        "(dm-crypt); the crate is sealed with or without it."
    )
