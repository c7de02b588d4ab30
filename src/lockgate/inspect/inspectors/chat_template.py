"""Reads a chat template as Jinja2 reads it, without rendering it.

A rendered template can reach Python's internals through attributes with two underscores, and
can pull in other templates. Whether it lies under some condition no scanner can see; its digest
is reported so that it can be compared with the one that was published.
"""

import re
from typing import Any

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.injection import orders
from lockgate.inspect.tally import Tally

TEMPLATE_BYTES = 1 << 20
_DUNDER = re.compile(r"__[a-z]{3,20}__")
_DATE = re.compile(r"(?:19|20)\d\d-?[01]\d(?:-?[0-3]\d)?")
_LONGEST = 1_000_000
_SENDS = re.compile(
    r"(?i)\b(?:answer|respond|reply|visit|recommend|insert|include|link|redirect|direct)\b[^.\n]{0,80}\bhttps?://[\w.-]+"
    r"|<(?:script|iframe|img)\b[^>]{0,80}\bsrc\s*=\s*[\\\"']{0,2}https?://"
    r"|\b(?:run|use|execute|recommend|tell)\b[^.\n]{0,80}\b(?:pip3?|npm|gem|cargo) install\b"
    r"|\breplace\b[^.\n]{0,40}\b(?:iban|account|wallet|address)\b"
)
"""Orders to send people to an address, or to have them install something."""
_PLANTS = re.compile(
    r"(?i)\b(?:insert|add|include|plant|write|leave|hide|introduce)\b[^.\n]{0,60}"
    r"\b(?:back ?doors?|vulnerabilit(?:y|ies)|malicious code|exploits?)\b"
)
"""Orders to write what does harm."""
_UNSEEN = re.compile(
    "[\U000e0000-\U000e007f\U000e0100-\U000e01ef\u202a-\u202e\u2066-\u2069]|[\u200b-\u200d\u2060-\u2064\ufeff]{4,}"
)
"""What carries text that nobody sees, or reorders it (UTS 55): no chat is marked by it."""
_CLOCK = "strftime_now"
_REWRITTEN = re.compile(r"[\w@][\w@.:/ -]{3,}")
_SPELT = frozenset({"true", "false", "null", "none"})
_MEDIA = frozenset(
    {"image", "image_url", "video", "audio", "text", "type", "document", "tool_call", "system"}
)
"""What a part of a message may be: templates ask for it."""
_WORDS = re.compile(r"[^\W\d_]{3,}(?:[ -][^\W\d_]+)*")
_FOREIGN = frozenset({
    "self", "request", "config", "lipsum", "cycler", "joiner", "url_for", "get_flashed_messages", "session",
})  # fmt: skip
"""Names that no chat has, from which known attacks set out."""


def lint(tally: Tally, name: str, template: str) -> None:
    """Note what a chat template must not do."""
    import jinja2  # noqa: PLC0415  # only a model with a template pays for it
    from jinja2 import nodes  # noqa: PLC0415

    if len(template) > TEMPLATE_BYTES:
        tally.unfinished("chat-template-size", f"{name} is longer than {TEMPLATE_BYTES} characters.")
        return
    environment = jinja2.Environment(autoescape=True, extensions=["jinja2.ext.loopcontrols"])
    source = template.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    source = source.replace("{%- generation %}", "").replace("{%- endgeneration %}", "")
    try:
        tree = environment.parse(source)
    except jinja2.TemplateSyntaxError as error:
        tally.note("chat-template-syntax", Severity.LOW, f"{name} does not parse: {error.message}.")
        return
    except RecursionError:
        tally.unfinished("chat-template-depth", f"{name} is nested too deep.")
        return
    reached = {node.attr for node in tree.find_all(nodes.Getattr)}
    reached |= {str(node.value) for node in tree.find_all(nodes.Const)}
    reached |= {node.name for node in tree.find_all(nodes.Name)}
    hidden = sorted(item for item in reached if item.startswith("__") or _DUNDER.search(item))
    hidden += sorted(
        {node.attr for node in tree.find_all(nodes.Getattr) if node.attr.startswith("_")} - set(hidden)
    )
    if hidden or any(True for _ in tree.find_all(nodes.Filter) if _.name == "attr"):
        seen = ", ".join(hidden[:5]) or "the filter attr"
        tally.note(
            "chat-template-internals", Severity.HIGH, f"{name} reaches into Python's internals: {seen}."
        )
    names = {node.name for node in tree.find_all(nodes.Name) if node.ctx == "load"}
    made = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    if foreign := sorted((names & _FOREIGN) - made):
        why = f"{name} uses what belongs to a web server or to Jinja itself: {', '.join(foreign)}."
        tally.note("chat-template-foreign", Severity.MEDIUM, why)
    said = [node.data for node in tree.find_all(nodes.TemplateData)]
    said += [node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)]
    orders(tally, "\n".join(said), where=f"{name}: ", hidden=True, template=True)
    _turns(tally, name, tree, said)
    if any("%c" in value for value in reached):
        tally.note("chat-template-internals", Severity.HIGH, f"{name} puts names together from numbers.")
    if any(True for _ in tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends))):
        tally.note("chat-template-include", Severity.HIGH, f"{name} includes other templates.")


def _turns(tally: Tally, name: str, tree: Any, said: list[str]) -> None:
    """Note what turns a model against whom it speaks to: sent elsewhere, from some day on, or without end."""
    from jinja2 import nodes  # noqa: PLC0415

    whole = "\n".join(said)
    if found := _SENDS.search(whole):
        why = f"{name} has a model send people somewhere: {' '.join(found[0].split())[:80]}."
        tally.note("chat-template-sends", Severity.HIGH, why)
    if found := _PLANTS.search(whole):
        why = f"{name} has a model do harm: {' '.join(found[0].split())[:80]}."
        tally.note("chat-template-harm", Severity.HIGH, why)
    if found := _UNSEEN.search(whole):
        why = f"{name} holds characters that nobody sees (U+{ord(found[0][0]):04X})."
        tally.note("chat-template-unseen", Severity.HIGH, why)
    if swapped := sorted(filter(None, map(_swapped, tree.find_all((nodes.Filter, nodes.Call))))):
        why = f"{name} puts other words into a message: {', '.join(swapped)[:80]}."
        tally.note("chat-template-rewrites", Severity.HIGH, why)
    clocks = {_CLOCK} | {
        node.target.name
        for node in tree.find_all(nodes.Assign)
        if isinstance(node.target, nodes.Name)
        and any(_.name == _CLOCK for _ in node.node.find_all(nodes.Name))
    }
    if any(_dated(node, clocks) for node in tree.find_all(nodes.Compare)):
        tally.note("chat-template-condition", Severity.HIGH, f"{name} says something else from some day on.")
    if any(_endless(call) for call in tree.find_all(nodes.Call)):
        tally.note("chat-template-loop", Severity.MEDIUM, f"{name} loops more often than any chat has turns.")
    if words := sorted(word for word in map(_asked, tree.find_all(nodes.Compare)) if word):
        why = f"{name} says something else where a message holds certain words: {', '.join(words)[:80]}."
        tally.note("chat-template-condition", Severity.MEDIUM, why)


def _swapped(node: Any) -> str:
    """Return the words that a template puts in place of others in what a message says; nothing for marks."""
    from jinja2 import nodes  # noqa: PLC0415

    if isinstance(node, nodes.Filter):
        changed, called = node.node, node.name == "replace"
    else:
        called = isinstance(node.node, nodes.Getattr) and node.node.attr == "replace"
        changed = node.node.node if called else None
    words = [given.value for given in node.args if isinstance(given, nodes.Const)]
    if not called or changed is None or len(words) < 2:  # noqa: PLR2004  # the old ones and the new ones
        return ""
    plain = all(isinstance(word, str) and _REWRITTEN.fullmatch(word) for word in words[:2])
    said = {getattr(each, "attr", None) for each in changed.find_all(nodes.Getattr)}
    said |= {each.arg.value for each in changed.find_all(nodes.Getitem) if isinstance(each.arg, nodes.Const)}
    if isinstance(changed, nodes.Getattr):
        said.add(changed.attr)
    if isinstance(changed, nodes.Getitem) and isinstance(changed.arg, nodes.Const):
        said.add(changed.arg.value)
    return str(words[1]) if plain and "content" in said and str(words[1]).lower() not in _SPELT else ""


def _dated(compared: Any, clocks: set[str]) -> bool:
    """Return whether something is compared with a date that stands in the template, or the clock itself."""
    from jinja2 import nodes  # noqa: PLC0415

    sides = [compared.expr, *(operand.expr for operand in compared.ops)]
    fixed = any(isinstance(side, nodes.Const) and side.value is not None for side in sides)
    read = {each.name for side in sides for each in side.find_all(nodes.Name)}
    read |= {side.name for side in sides if isinstance(side, nodes.Name)}
    return (fixed and bool(read & clocks)) or any(
        isinstance(side, nodes.Const) and _DATE.fullmatch(str(side.value)) for side in sides
    )


def _endless(call: Any) -> bool:
    """Return whether a call makes a range that is longer than any chat."""
    from jinja2 import nodes  # noqa: PLC0415

    numbers = [
        given.value for given in call.args if isinstance(given, nodes.Const) and isinstance(given.value, int)
    ]
    return (
        isinstance(call.node, nodes.Name) and call.node.name == "range" and any(n > _LONGEST for n in numbers)
    )


def _asked(compared: Any) -> str:
    """Return the word that a condition looks for in what a message says; nothing for marks."""
    from jinja2 import nodes  # noqa: PLC0415

    left, operand = compared.expr, compared.ops[0]
    if (
        operand.op not in {"in", "notin"}
        or not isinstance(left, nodes.Const)
        or not isinstance(left.value, str)
    ):
        return ""
    reached = {node.attr for node in operand.find_all(nodes.Getattr)}
    reached |= {
        node.arg.value for node in operand.find_all(nodes.Getitem) if isinstance(node.arg, nodes.Const)
    }
    word = str(left.value)
    plain = _WORDS.fullmatch(word) and word.lower() not in _MEDIA
    return word if plain and "content" in reached else ""
