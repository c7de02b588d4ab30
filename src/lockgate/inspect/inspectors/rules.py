"""Rules for malicious content that cross: text that the scanner must be able to compile."""

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.texts import scan
from lockgate.inspect.limits import demand
from lockgate.inspect.malware import RulesFaultyError, compiled
from lockgate.inspect.ports import Inspector
from lockgate.inspect.rulesets import source
from lockgate.inspect.tally import Context, Tally


class RulesInspector(Inspector):
    """A pack of YARA rules, compiled here where it can harm nothing, before anything is scanned with it."""

    name = "rules"
    version = 1
    detects = frozenset({"text", "text-latin1"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Claim the text when it compiles by itself; else it is a text with a finding."""
        demand(len(data), context.limits.rule_bytes, "rule_bytes")
        try:
            text = source(bytes(data), context.name)
            scan(tally, text)
            tally.claim_all()
            compiled({"tried": text})
        except BrokenContentError as error:
            tally.note("rules-invalid", Severity.HIGH, error.what)
        except RulesFaultyError as error:
            tally.note("rules-invalid", Severity.HIGH, f"The rules do not compile: {error}")
