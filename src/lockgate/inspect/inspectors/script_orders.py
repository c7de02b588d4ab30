"""Commands that stand in JavaScript and are given to a shell: what the signs of shells say of them."""

import re
from collections.abc import Iterator

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors import shell_flow
from lockgate.inspect.inspectors.code_signs import look
from lockgate.inspect.inspectors.shell_signs import SHELL
from lockgate.inspect.tally import Tally

ORDERS = re.compile(
    r"\brm -\w|\bcrontab\b|/dev/tcp/|\bbase64\b|\bcurl\b|\bwget\b|\bnslookup\b"
    r"|\bnc -|\bdd if=|\btar \w|\bchattr\b|\beval\b"
)
"""Words without which no command is looked at."""
_LONGEST = 4000
_SHOWN = 3
_WIPES = re.compile(
    r"(?:^|[;&|]\s*)(?:sudo\s+)?rm\s+-\w*r\w*\s+(?:-\S+\s+)*(?P<what>\*|(?:~|\$HOME|\$\{HOME\})/?\*?|/\*?)\s*(?:$|[;&|])"
)
_STAYS = re.compile(r"\|\s*crontab(?:\s+-)?\s*$|\)\s*\|\s*crontab\b")
_STRONG = frozenset({Severity.HIGH, Severity.CRITICAL})


def ordered(written: str, *, aside: bool = False) -> Iterator[tuple[str, Severity, str]]:
    """Yield what harms in a command.

    Args:
        written: What stands between the quotes of JavaScript, with an x for what stands elsewhere.
        aside: Whether it runs in a folder that the program chose, all of which may be its own.

    """
    said = written.replace("\\n", "\n").replace("\\'", "'").replace('\\"', '"')
    if len(said) > _LONGEST or not ORDERS.search(said):
        return
    found = _WIPES.search(said)
    if found and not (aside and found["what"] == "*"):
        yield "js-destroys", Severity.CRITICAL, f"a command takes what is not its own: {said[:60]}"
    if _STAYS.search(said):
        yield "js-persistence", Severity.HIGH, f"a command has itself run again and again: {said[:60]}"
    tally = Tally(len(said), "", _SHOWN)
    look(tally, said, SHELL)
    shell_flow.flows(tally, said)
    for each in tally.findings:
        if each.severity in _STRONG:
            yield "js-command", each.severity, each.why
