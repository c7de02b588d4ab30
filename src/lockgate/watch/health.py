"""How the services are: up, failing or down, and what they count."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from prometheus_client.parser import text_string_to_metric_families

from lockgate.core.errors import LockgateError
from lockgate.watch.errors import ServiceReplyError, ServiceUnreachableError
from lockgate.watch.ports import Probe

_DETAIL = 200


class Condition(StrEnum):
    """How a service is. Failing: it answers, and says that something is wrong."""

    UP = "up"
    FAILING = "failing"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Target:
    """A service to watch: its name and where it listens."""

    name: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Health:
    """How one service is; `detail` is what it says of itself, or why it cannot be asked."""

    target: Target
    condition: Condition
    detail: str


def check(probe: Probe, target: Target) -> Health:
    """Ask one service how it is. Never raises for what the service does or fails to do."""
    try:
        reply = probe.get(target.host, target.port, "/healthz")
    except ServiceUnreachableError as error:
        return Health(target, Condition.DOWN, error.what)
    except LockgateError as error:
        return Health(target, Condition.FAILING, error.what)
    fine = HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES
    condition = Condition.UP if fine else Condition.FAILING
    said = _summary(reply.body)
    return Health(target, condition, said if fine else f"HTTP {reply.status}: {said}".rstrip(": "))


def check_all(probe: Probe, targets: Iterable[Target]) -> tuple[Health, ...]:
    """Ask services one after the other."""
    return tuple(check(probe, target) for target in targets)


def scrape(probe: Probe, target: Target) -> Mapping[str, float]:
    """Return a service's metrics: the sum over labels of each sample, by name.

    The text is the Prometheus exposition format, version 0.0.4.

    Raises:
        ServiceUnreachableError: It does not answer.
        ServiceReplyError: It answers something else.
        ReplyTooLongError: It answers too much.

    """
    reply = probe.get(target.host, target.port, "/metrics")
    if reply.status != HTTPStatus.OK:
        what = f"{target.name} answers HTTP {reply.status} for its metrics."
        raise ServiceReplyError(what)
    totals: dict[str, float] = {}
    try:
        for family in text_string_to_metric_families(reply.body.decode()):
            for sample in family.samples:
                totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
    except (ValueError, KeyError) as error:
        what = f"The metrics of {target.name} cannot be read: {error}."
        raise ServiceReplyError(what) from error
    return totals


def _summary(body: bytes) -> str:
    """Return a line for people of a health answer: the values of a flat JSON object, or its text."""
    text = body[:4096].decode(errors="replace").strip()
    try:
        value = json.loads(text)
    except ValueError:
        return _printable(text)
    if not isinstance(value, dict):
        return _printable(text)
    flat = (f"{k}: {v}" for k, v in value.items() if isinstance(v, str | int | float) and v != "")
    return _printable(", ".join(flat))


def _printable(text: str) -> str:
    """Return one line without control characters."""
    return "".join(c if c.isprintable() else " " for c in text)[:_DETAIL]
