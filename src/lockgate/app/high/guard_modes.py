"""What guards do on a high side: proposed as TOML, signed by two persons, kept as files and verified anew.

How versions are kept and verified: `app.gate.versioned`. Whoever takes files away keeps the gateway from
starting and turns no guard off; one that runs goes on as it was.
"""

from lockgate.app.gate.versioned import InForce, Numbered
from lockgate.app.settings import Side
from lockgate.core.errors import TrustError
from lockgate.core.statement import Operation
from lockgate.guard.errors import BadModesError
from lockgate.guard.modes import MODES_LIMIT, GuardModes, read_modes


class GuardsWithdrawnError(TrustError):
    """What was in force for the guards is gone, or is not what was signed."""

    code = "LG-2f82"
    advice = (
        "No gateway starts until it is back: put the two files of the newest version into trust/ again, or "
        "restore a backup. Gateways that run go on with the guards that they have."
    )


MODES: Numbered[GuardModes] = Numbered(
    name="guards",
    operation=Operation.GUARDS,
    prefix="guards-",
    ending=".toml",
    limit=MODES_LIMIT,
    read=read_modes,
    withdrawn=GuardsWithdrawnError,
    floor=("guards-floor", "guards"),
    refused=BadModesError,
)


def modes_in_force(side: Side) -> InForce[GuardModes] | None:
    """Return what two persons signed about the guards, verified now; None where they never did.

    Raises:
        GuardsWithdrawnError: A version that was in force is gone, or not what was signed.
        LockgateError: Its signatures do not verify.

    """
    return MODES.in_force(side)
