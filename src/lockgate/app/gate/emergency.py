"""Emergencies on a high side: one operator acts at once, and the statement waits for a second person."""

from collections.abc import Sequence
from pathlib import Path

from lockgate.admit.hold import CrossingHold
from lockgate.app.gate.gate import open_gate, operator_key, write_request
from lockgate.app.lane.qr_parts import read_documents
from lockgate.app.settings import Side
from lockgate.app.trust import utc_now
from lockgate.approve import combine, read_statement
from lockgate.core.emergency import Standing, judge_debt
from lockgate.core.errors import InputError
from lockgate.core.sequence import FINAL
from lockgate.core.statement import Operation, Statement

EVERYTHING = "everything"
_CROSSING = "crossing:"


class EmergencyNameError(InputError):
    """What an emergency names is nothing that it can be about."""

    code = "LG-1f60"
    advice = "Name package URLs, `crossing:N` for all that a crossing brought, or `everything`."


def _purls(names: Sequence[str], standing: Standing) -> frozenset[str]:
    """Return the package URLs that names stand for among what is served or held."""
    known = (*standing.snapshot.admitted, *standing.held)
    found: set[str] = set()
    for name in names:
        number = name.removeprefix(_CROSSING)
        if name == EVERYTHING:
            found |= {a.artifact.purl for a in standing.snapshot.admitted}
        elif name.startswith(_CROSSING) and number.isascii() and number.isdigit():
            brought = {a.artifact.purl for a in known if a.crossing == int(number)}
            if not brought:
                what = f"Nothing that is served came with crossing {number}."
                raise EmergencyNameError(what)
            found |= brought
        elif name.startswith("pkg:"):
            found.add(name)
        else:
            what = f"{name[:80]!r} names no artifact."
            raise EmergencyNameError(what)
    if names and not found:
        raise EmergencyNameError("Nothing that is served bears this name.")
    return frozenset(found)


def hold_waiting(side: Side, names: Sequence[str], reason: str, key: Path) -> tuple[int, CrossingHold] | None:
    """Hold a crossing that is named alone and waits for publication; None where none is.

    Raises:
        NoEmergencyRightError: The policy gives one operator no right to hold.
        NoSuchCrossingError: There is no such crossing.

    """
    number = names[0].removeprefix(_CROSSING) if len(names) == 1 else ""
    if not number.isascii() or not number.isdigit() or not names[0].startswith(_CROSSING):
        return None
    gate = open_gate(side)
    crossing = gate.crossing(int(number))
    if crossing.state in FINAL:
        return None
    return crossing.sequence, gate.holds.put(crossing, reason, operator_key(side, key))


def act(
    side: Side,
    operation: Operation,
    channel: str,
    names: Sequence[str],
    *,
    reason: str,
    key: Path,
    out: Path | None = None,
) -> tuple[Statement, Path]:
    """Hold, withdraw or roll back as one operator; return the statement and the file to sign.

    Raises:
        NoEmergencyRightError, EmergencyBoundError: More than the policy gives one person.
        EmergencyNameError, NoSuchArtifactError: Nothing that is served.

    """
    gate = open_gate(side)
    purls = _purls(names, gate.emergencies.standing(channel))
    envelope = gate.emergencies.act(operation, channel, purls, reason, operator_key(side, key))
    statement = read_statement(envelope)
    name = f"{operation}-{statement.channel_version:06d}"
    return statement, write_request(side, name, envelope, out)


def ratify(side: Side, signed: Sequence[Path]) -> Statement:
    """Put a second person's signature to the newest emergency; see `admit.Emergencies.ratify`."""
    return open_gate(side).emergencies.ratify(combine(read_documents(signed)))


def owed(side: Side) -> tuple[str, tuple[Statement, ...]]:
    """Return how urgent second signatures are (``none``, ``due``, ``overdue``), and what lacks one."""
    found = open_gate(side).emergencies.owed()
    return judge_debt(found, utc_now()).name.lower(), found
