"""Errors of isolation."""

from lockgate.core.errors import HostError, InputError, LimitError, PolicyError, TrustError


class NetworkGoneError(InputError):
    """No isolated network is on record, or its holder has ended."""

    code = "LG-1d01"
    advice = "Make one with `lockgate isolate create`."


class NetworkExistsError(InputError):
    """An isolated network of this side is already there."""

    code = "LG-1d02"
    advice = "Use it, or remove it with `lockgate isolate destroy`."


class NetworkBusyError(InputError):
    """Programs still run inside the isolated network."""

    code = "LG-1d03"
    advice = "Stop the services with `lockgate high down` first, or add --force to end them."


class CounterAlteredError(TrustError):
    """The link, another interface or the rules that count are not those that were made."""

    code = "LG-2d01"
    advice = "Do not rely on the count. Find out who changed the network, and make it anew."


class NotIsolatedError(PolicyError):
    """This place has a way out."""

    code = "LG-3d01"
    advice = "Remove what is listed as FAIL, or run inside the network of `lockgate isolate create`."


class CommandLimitError(LimitError):
    """A system tool took too long or said too much."""

    code = "LG-4d01"
    advice = "Look at the load of the machine, and run the named tool by hand."


class ToolMissingError(HostError):
    """A system tool is not installed."""

    code = "LG-5d01"
    advice = "Install iproute2, nftables and util-linux (ip, nft, nsenter, unshare, setpriv)."


class RightMissingError(HostError):
    """The kernel does not let this user make a network namespace."""

    code = "LG-5d02"
    advice = (
        "Run as root, or allow unprivileged user namespaces (sysctl user.max_user_namespaces, "
        "kernel.unprivileged_userns_clone)."
    )


class CommandFailedError(HostError):
    """A system tool refused."""

    code = "LG-5d03"
    advice = "Run the named tool by hand to see why it refuses."


class ControlFailedError(HostError):
    """Frames that were sent on purpose were not counted, so a count of zero proves nothing."""

    code = "LG-5d04"
    advice = "Do not rely on the count. Check `nft list ruleset` inside and that the link is up."
