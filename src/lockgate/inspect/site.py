"""Inspectors of a site's own: installed beside Lockgate, announced as entry points, run inside the sandbox.

A distribution announces subclasses of `lockgate.inspect.ports.Inspector` in the group ``lockgate.inspectors``
(Entry points specification, packaging.python.org). What it may see inside is its own package, and Lockgate's.
It adds what it finds to what the inspectors of the house say; bytes it claims count only where none of
theirs understands the type of the content. Nothing that it says makes a verdict milder than theirs.
It must not rely on `random`, whose numbers are the same for every file (`lockgate.inspect.forking`).
"""

from importlib import import_module

from lockgate.inspect.errors import BrokenContentError, OverLimitError
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

EVERY = "*"
"""Stands for every type of content among those that an inspector looks at."""


def look(data: memoryview, tally: Tally, context: Context, *, known: bool) -> bool:
    """Let the site's inspectors look at content, inside the sandbox; return whether one understood it wholly.

    Args:
        data: The content.
        tally: Takes what they find.
        context: Names, limits, and the classes (`Context.site`).
        known: An inspector of the house understands the type, so that their claims do not count.

    """
    understood = False
    for entry in context.site:
        made = _made(entry)
        if not made.detects & {tally.detected, EVERY}:
            continue
        own = Tally(tally.size, tally.where, tally.limit, detected=tally.detected)
        own.inspectors.add(f"site/{made.name}/{made.version}")
        try:
            made.inspect(data, own, context)
        except (BrokenContentError, OverLimitError) as error:
            own.unfinished("site-inspector-stopped", f"{made.name}: {error.what}")
        except Exception as error:  # noqa: BLE001  # one that fails has not looked: the file stays unread
            own.unfinished("site-inspector-failed", f"{made.name} failed: {type(error).__name__}.")
        if known:
            own.claim_all()
        understood |= own.whole
        tally.findings.extend(own.findings[: max(0, tally.limit - len(tally.findings))])
        tally.inspectors |= own.inspectors
        tally.opaque |= own.opaque
        tally.complete &= own.complete or not known
    if understood and not known:
        tally.claim_all()
    return understood


def _made(entry: str) -> Inspector:
    module, _, name = entry.partition(":")
    kind = getattr(import_module(module), name)
    made: Inspector = kind()
    return made
