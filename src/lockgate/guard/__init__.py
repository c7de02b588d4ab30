"""Guards: what may go to a model, and what may leave in its answer.

Names are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lockgate.guard.canary import new_canary
    from lockgate.guard.classifier import Classifier, shipped
    from lockgate.guard.datamark import Datamark, Marking, Unmarker
    from lockgate.guard.egress import STOPPED, OutputFilter
    from lockgate.guard.policy import Guard, GuardPolicy, Mode
    from lockgate.guard.ports import Scorer
    from lockgate.guard.rules import Channel
    from lockgate.guard.service import Decision, InputGuard, Outcome

_HOMES = {
    "STOPPED": "egress",
    "Channel": "rules",
    "Classifier": "classifier",
    "Datamark": "datamark",
    "Decision": "service",
    "Guard": "policy",
    "GuardPolicy": "policy",
    "InputGuard": "service",
    "Marking": "datamark",
    "Mode": "policy",
    "Outcome": "service",
    "OutputFilter": "egress",
    "Scorer": "ports",
    "Unmarker": "datamark",
    "new_canary": "canary",
    "shipped": "classifier",
}

__all__ = [
    "STOPPED",
    "Channel",
    "Classifier",
    "Datamark",
    "Decision",
    "Guard",
    "GuardPolicy",
    "InputGuard",
    "Marking",
    "Mode",
    "Outcome",
    "OutputFilter",
    "Scorer",
    "Unmarker",
    "new_canary",
    "shipped",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
