"""Errors of the diode."""

from lockgate.core.errors import HostError, InputError, LimitError, TrustError


class DiodeKeyError(InputError):
    """The key file of a diode cannot be used."""

    code = "LG-1780"
    advice = "Make one with `lockgate diode key`, and carry a copy to the other end by hand."


class DiodeSettingError(InputError):
    """A setting of a diode is out of its range or names what is not there."""

    code = "LG-1781"
    advice = "Look at `lockgate diode send --help` for what each option takes."


class DiodeTableError(TrustError):
    """A sender announces what no crate may hold."""

    code = "LG-2780"
    advice = (
        "Nothing of it was written. Find out who holds the diode's key and sends other things than crates."
    )


class DiodeConflictError(TrustError):
    """What arrives under a crate's name is not the crate whose files arrived before."""

    code = "LG-2781"
    advice = (
        "Find out who sends two crates under one name. To take the other one, remove what arrived so far."
    )


class DiodeLimitError(LimitError):
    """A transfer is over a bound of the receiver."""

    code = "LG-4780"
    advice = (
        "If the sender is honest, raise the named limit at the receiver or send with a smaller interleave."
    )


class DiodeSocketError(HostError):
    """The socket of a diode cannot be used."""

    code = "LG-5780"
    advice = "Check the address, the port, and that no other receiver listens there."
