"""Prove and enforce the gap: a network without a way out, and a check whether there is one."""

from lockgate.isolate.check import Judgement, Mark, Point, judge_isolation, name_servers
from lockgate.isolate.facts import Counters, Interface, NetworkFacts, Route, read_facts
from lockgate.isolate.namespace import Control, IsolatedNetwork, NetworkRecord
from lockgate.isolate.ports import Commands
from lockgate.isolate.process import HostCommands

__all__ = [
    "Commands",
    "Control",
    "Counters",
    "HostCommands",
    "Interface",
    "IsolatedNetwork",
    "Judgement",
    "Mark",
    "NetworkFacts",
    "NetworkRecord",
    "Point",
    "Route",
    "judge_isolation",
    "name_servers",
    "read_facts",
]
