"""Models that are written as XML or JSON: PMML, OpenVINO, MXNet, skops and the manifest of TorchServe.

Formats: PMML 4.4 (dmg.org); OpenVINO "Operation Sets and IR"; MXNet's symbol JSON (``nnvm``
``pass/saveload_json.cc``); skops ``io/_utils.py`` (``schema.json``); TorchServe "Model Archive Manifest".
"""

import re
from typing import Any

from lockgate.core.pickles import PickleProfile as Profile
from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.pickle_profiles import PROFILES
from lockgate.inspect.tally import Tally

_PMML, _OPENVINO = re.compile(r"<PMML\b"), re.compile(r"<net\b[^<>]*>\s*<(?:layers|meta_data|pre-process)\b")
_SCRIPT = re.compile(r"<(?:\w+:)?script\b", re.IGNORECASE)
_ADDRESS = re.compile(
    r"\b(?:source|href|src|uri|url|location)\s*=\s*[\"']\s*(?:https?|ftp|file):"
    r"|<(?:\w+:)?(?:Extension|Value)\b[^<>]*\bvalue\s*=\s*[\"']\s*(?:https?|ftp|file):",
    re.IGNORECASE,
)
_LIBRARY = re.compile(
    r"\b(library|implementation|plugin|module|custom_op_library)\s*=\s*[\"']"
    r"(?=[^\"']*+[\"'])([^\"']*(?:\.so(?:\.\d+)*|\.dll|\.dylib|\.py|://[^\"']*|[/\\][^\"']*))[\"']",
    re.IGNORECASE,
)
_PYTHON_LAYER = re.compile(
    r"<layer\b[^<>]*\btype\s*=\s*[\"'](?:Python|Custom|PythonLayer)[\"']", re.IGNORECASE
)
_LIBRARY_KEYS = frozenset(
    {"library", "lib", "lib_path", "library_path", "plugin", "module", "path", "__subgraph_lib__"}
)
_CALLED = frozenset({"py/reduce", "py/repr", "py/initargs", "py/newargsex"})
_SKOPS_CALLS = frozenset({"MethodNode", "OperatorFuncNode"})
_SKOPS = tuple(item for item in PROFILES if item.profile in {Profile.SKLEARN, Profile.NUMPY})
_SKOPS_PLAIN = re.compile(
    r"(?:builtins|numpy|scipy|sklearn)(?:\.[a-z_]\w*)*\.(?:[A-Z]\w*|dict|list|tuple|set)"
)
_MOST = 200_000


def xml(tally: Tally, text: str) -> None:
    """Note what a model written as XML has loaded from elsewhere, or run."""
    if _PMML.search(text):
        for found in _SCRIPT.finditer(text):
            tally.note("pmml-script", Severity.HIGH, "The model carries a script.", found.start())
        for found in _ADDRESS.finditer(text):
            tally.note("pmml-external", Severity.MEDIUM, "A value comes from an address.", found.start())
    if _OPENVINO.search(text):
        for found in _LIBRARY.finditer(text):
            why = f"A layer is computed by another file: {found[2][:80]}"
            tally.note("model-library", Severity.HIGH, why, found.start())
        for found in _PYTHON_LAYER.finditer(text):
            tally.note("model-library", Severity.HIGH, "A layer is computed by Python.", found.start())


def graph(tally: Tally, value: Any) -> None:
    """Note what a model written as JSON has loaded from elsewhere, or called."""
    if not isinstance(value, dict):
        return
    if isinstance(nodes := value.get("nodes"), list) and "arg_nodes" in value and "heads" in value:
        _mxnet(tally, nodes)
    if "__loader__" in value:
        _skops(tally, value)
    _pickled(tally, value)


def _pickled(tally: Tally, value: Any) -> None:
    """Note what jsonpickle calls when it reads an object (``py/reduce``, ``py/repr``, ``py/function``)."""
    todo: list[Any] = [value]
    for _ in range(_MOST):
        if not todo:
            return
        item = todo.pop()
        if isinstance(item, list):
            todo.extend(child for child in item if isinstance(child, dict | list))
        elif isinstance(item, dict):
            if named := sorted(_CALLED & item.keys()):
                why = f"{named[0]} has something called when the file is read: {str(item[named[0]])[:80]}"
                tally.note("json-pickle", Severity.HIGH, why)
                return
            todo.extend(child for child in item.values() if isinstance(child, dict | list))


def served(tally: Tally, value: Any) -> None:
    """Note the code that TorchServe would run for an archive, by its manifest."""
    model = value.get("model") if isinstance(value, dict) else None
    handler = model.get("handler") if isinstance(model, dict) else None
    if isinstance(handler, str) and (".py" in handler or ":" in handler or "/" in handler):
        why = f"The manifest has code of the archive run: {handler[:80]}"
        tally.note("model-custom-code", Severity.HIGH, why)


def _mxnet(tally: Tally, nodes: list[Any]) -> None:
    for node in nodes[:_MOST]:
        attributes = node.get("attrs", node.get("param")) if isinstance(node, dict) else None
        if not isinstance(attributes, dict):
            continue
        for key in sorted(_LIBRARY_KEYS & set(attributes)):
            if re.search(r"[/\\]|\.(?:so|dll|dylib|py)\b", str(attributes[key])):
                why = f"An operator is computed by another file: {str(attributes[key])[:80]}"
                tally.note("model-library", Severity.HIGH, why)
        if node.get("op") == "Custom":
            why = f"The operator {str(attributes.get('op_type', ''))[:60]!r} is code of somebody's own."
            tally.note("model-library", Severity.MEDIUM, why)


def _skops(tally: Tally, value: dict[str, Any]) -> None:
    """Hold what a skops file makes and calls to the profile that pickles of scikit-learn are held to."""
    todo: list[Any] = [value]
    for _ in range(_MOST):
        if not todo:
            return
        item = todo.pop()
        if isinstance(item, list):
            todo.extend(item)
        if not isinstance(item, dict):
            continue
        todo.extend(item.values())
        loader, content = str(item.get("__loader__", "")), item.get("content")
        names = [f"{item['__module__']}.{item.get('__class__', '')}"] if "__module__" in item else []
        if isinstance(content, dict) and "module_path" in content:
            names = [f"{content['module_path']}.{content.get('function', '')}"]
        for name in names:
            if loader in _SKOPS_CALLS or not _held(name):
                why = f"It makes or calls {name[:80]} when it is loaded."
                tally.note("skops-type", Severity.HIGH, why)


def _held(name: str) -> bool:
    return any(item.holds(name) for item in _SKOPS) or bool(_SKOPS_PLAIN.fullmatch(name))
