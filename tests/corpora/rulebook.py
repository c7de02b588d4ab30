"""Admission rules as text, and a high side that puts them in force."""

from pathlib import Path

from corpora.homes import HighSide
from lockgate.app.gate.rules import RULES

TEMPLATE = """
format = "lockgate-policy/1"
version = {version}

{body}
"""


def rules_text(body: str = "", version: int = 1) -> str:
    return TEMPLATE.format(version=version, body=body)


def write_rules(folder: Path, body: str = "", version: int = 1) -> Path:
    file = folder / f"rules-{version}.toml"
    file.write_text(rules_text(body, version))
    return file


def put_in_force(high: HighSide, body: str, version: int = 1) -> Path:
    file = write_rules(high.folder, body, version)
    request = RULES.propose_file(high.side, file, high.operator)
    RULES.activate(high.side, file, high.signed(request, f"rules-{version}"))
    return file
