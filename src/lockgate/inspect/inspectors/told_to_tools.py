"""What a text has the program do that reads it: Python at its start, spreadsheets, GYP, assistants.

Sources: Python's "site"; "SYLK" as spreadsheets read it (the field E of a cell, dynamic data exchange); the
files of rules that assistants for programmers look for.
"""

import re

from lockgate.core.artifact import Kind
from lockgate.core.verdict import Severity
from lockgate.inspect.detect import extension
from lockgate.inspect.inspectors.injection import orders
from lockgate.inspect.inspectors.notes import documents
from lockgate.inspect.inspectors.packages import commands_of_gyp
from lockgate.inspect.inspectors.wheels import path_file
from lockgate.inspect.tally import Context, Tally

_CELL = re.compile(r"(?m)^C;[^\n]{0,200}?;?E[A-Z]{0,16}\|'[^'\n]{1,200}'!")
_PATH_LINE = re.compile(r"(?m)^import[ \t]")
_RULES = re.compile(
    r"(?:\.mdc|(?:^|/)(?:\.(?:cursor|windsurf|cline)rules|(?:AGENTS|CLAUDE|GEMINI|copilot-instructions)\.md))\Z"
)

_SERVERS = re.compile(r"(?:^|/)(?:\.?mcp|claude_desktop_config|server)\.json\Z")
_PLAIN = 256 << 10


def servers(tally: Tally, name: str, text: str) -> None:
    """Note orders to a model in settings that name servers of tools (Model Context Protocol)."""
    if _SERVERS.search(name) and len(text) <= _PLAIN:
        orders(tally, text.replace("\\n", "\n"))


def check(tally: Tally, text: str, context: Context) -> None:
    """Note what a text has its reader do.

    Args:
        tally: Takes the findings.
        text: The text.
        context: What it is a part of.

    """
    kind = extension(context.name)
    if kind == "slk" and (found := _CELL.search(text)):
        tally.note("csv-formula", Severity.HIGH, "A cell runs a command in a spreadsheet.", found.start())
    if kind == "pth" and not context.depth and _PATH_LINE.search(text):
        path_file(tally, context.name, text.encode())  # in a package, the walk over it tells
    if kind in {"gyp", "gypi"} and not context.package and not context.depth:
        commands_of_gyp(tally, text)
    if context.kind != Kind.DOCUMENT and _RULES.search(context.name):
        documents(tally, context.name, text)
