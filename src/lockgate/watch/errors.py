"""Errors of watching."""

from lockgate.core.errors import HostError, LimitError


class ServiceUnreachableError(HostError):
    """A service does not answer."""

    code = "LG-5c01"
    advice = "Start it with `lockgate high up`; its log is below run/ in the home."


class ServiceReplyError(HostError):
    """A service answers something that is not HTTP or not metrics."""

    code = "LG-5c02"
    advice = "Check that nothing else listens on the configured port."


class ReplyTooLongError(LimitError):
    """A service answers more than is read."""

    code = "LG-4c01"
    advice = "Look at what the service exports; the bound is lockgate.watch.ports.REPLY_LIMIT."
