"""Errors of sealing straight onto media."""

from lockgate.core.errors import InputError


class WrongMediumError(InputError):
    """A medium that is mounted is not the one that is needed."""

    code = "LG-1735"
    advice = "Plug in the medium that is named, then start the same command again: it goes on where it was."


class MediumWantedError(InputError):
    """The next medium is needed, and nobody can be asked for it."""

    code = "LG-1736"
    advice = "Plug in the medium that is named, then start the same command again: it goes on where it was."


class NothingUnfinishedError(InputError):
    """There is no unfinished sealing onto media."""

    code = "LG-1738"
    advice = "Start one with `lockgate seal --to MEDIUM`."
