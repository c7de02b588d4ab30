"""Configurations of models: what a loader would run because a JSON file says so.

Hugging Face: ``auto_map`` and custom pipelines name Python files of the repository, chat templates are
Jinja2; Keras: layers that hold code, modules that are not Keras', files and addresses that are fetched.
"""

import re
from typing import Any

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors import pipeline
from lockgate.inspect.inspectors.chat_template import lint
from lockgate.inspect.tally import Tally

_NAMES = frozenset({
    "config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json",
    "generation_config.json", "adapter_config.json", "configuration.json", "model_index.json", "params.json",
    "feature_extractor_config.json", "video_preprocessor_config.json", "chat_template.json", "modules.json",
    "metadata.json", "model.json",
})  # fmt: skip
_VOCABULARIES = frozenset({"tokenizer.json", "vocab.json", "added_tokens.json", "special_tokens_map.json"})
_AUTO = ("auto_map", "custom_pipelines", "custom_pipeline", "custom_generate")
_ATTENTION = (
    "_attn_implementation",
    "attn_implementation",
    "_experts_implementation",
    "experts_implementation",
)
_KERNEL = re.compile(r"(?:\w{1,40}\|)?[\w.-]{1,100}/[\w.-]{1,100}(?:@[\w./-]{1,100})?(?::[\w.]{1,100})?")
"""A repository of kernels, which Transformers fetches and imports: owner, name, revision and function."""
_TEMPLATES = ("chat_template", "default_chat_template")
_KERAS_MODULE = re.compile(
    r"(?:keras|tf_keras|tensorflow\.keras)(?:\.src)?\.?(?:(?:layers|initializers|regularizers|constraints|optimizers"
    r"|losses|metrics|activations|models|ops|dtype_policies|quantizers|random|backend|applications|engine|legacy"
    r"|mixed_precision|saving\.object_registration)(?:\.[\w.]+)?)?"
)
_KERAS_CODE = {
    "Lambda": "holds Python byte code",
    "TorchModuleWrapper": "holds a pickle of a module",
    "TFSMLayer": "loads another saved model",
    "JaxLayer": "calls a function that the file names",
    "FlaxLayer": "calls a function that the file names",
    "__lambda__": "holds Python byte code",
}
_HARMFUL_WORDS = re.compile(
    r"(?:^|[.\s])(?:get_file|load_model|import_module|system|popen|exec|eval|loads|open|__import__|subprocess)$"
)
_LIBRARY = re.compile(r"(?:transformers|peft|sentence_transformers|diffusers|torch|timm)\b|__main__\Z")
"""Modules that adapters (PEFT, ``auto_mapping``) name as those of their base model."""
_OWN_MODULES = ("sentence_transformers.", "pylate.")
_MOST_NODES = 2_000_000


def wants(name: str) -> bool:
    """Return whether a JSON file of that name configures a model."""
    base = name.rsplit("/", 1)[-1]
    return base in _NAMES or base.endswith((".safetensors.index.json", ".bin.index.json"))


def shaped(value: Any) -> bool:
    """Return whether a JSON value is a model of Keras, whatever its file is named."""
    return isinstance(value, dict) and (
        ("class_name" in value and "config" in value) or "model_config" in value or "keras_version" in value
    )


def vocabulary(name: str) -> bool:
    """Return whether a file lists the pieces of a tokenizer, among which any text may be."""
    return name.rsplit("/", 1)[-1] in _VOCABULARIES


def check(tally: Tally, name: str, value: Any) -> None:
    """Note what a configuration has its loader do."""
    base = name.rsplit("/", 1)[-1]
    for at, item in _objects(value):
        for key in _AUTO:
            if item.get(key):
                names = ", ".join(str(entry)[:60] for entry in _leaves(item[key])[:3])
                tally.note(
                    "model-custom-code", Severity.HIGH, f"{base} has code of the repository loaded: {names}."
                )
        library = item.get("parent_library")
        if isinstance(library, str) and not _LIBRARY.match(library):
            tally.note("model-custom-code", Severity.HIGH, f"{base} has the module {library[:60]} imported.")
        if item.get("trust_remote_code") is True:
            tally.note(
                "model-custom-code", Severity.HIGH, f"{base} asks for trust in code of the repository."
            )
        for key in _TEMPLATES:
            for template in _leaves(item.get(key)) if at < 2 else ():  # noqa: PLR2004  # at the top
                lint(tally, key, template)
        if "_target_" in item:
            tally.note("yaml-target", Severity.HIGH, f"{base} has {str(item['_target_'])[:80]} called.")
        if "class_name" in item:
            _keras(tally, base, item)
        _parts(tally, base, item, top=not at)


def _parts(tally: Tally, base: str, item: dict[str, Any], *, top: bool) -> None:
    """Note byte code in a layer, kernels, parts of a sentence model, and shards that lie elsewhere."""
    if item.get("function_type") == "lambda" and item.get("function"):
        tally.note("keras-code", Severity.CRITICAL, f"{base}: a layer holds Python byte code.")
    if base == "modules.json" and "idx" in item and isinstance(kind := item.get("type"), str):
        _module(tally, base, kind)
    for key in _ATTENTION:
        for kernel in filter(_KERNEL.fullmatch, _leaves(item.get(key))):
            why = f"{base} has a kernel fetched and run: {kernel[:80]}."
            tally.note("model-custom-code", Severity.HIGH, why)
    if base == "model_index.json" and top:
        pipeline.check(tally, base, item)
    weights = item.get("weight_map") if base.endswith(".index.json") and top else None
    for shard in sorted({str(entry) for entry in weights.values()}) if isinstance(weights, dict) else ():
        if "/" in shard or "\\" in shard:
            outside = shard.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", shard) or ":" in shard
            if outside:
                why = f"{base} has weights read from outside of the model: {shard[:80]}."
                tally.note("model-outside", Severity.HIGH, why)


def _module(tally: Tally, base: str, kind: str) -> None:
    """Note a part of a sentence model that is of no library (Sentence Transformers, ``modules.json``)."""
    if not kind.startswith(_OWN_MODULES):
        tally.note(
            "model-custom-code", Severity.HIGH, f"{base} has {kind[:60]} loaded, which is no library's own."
        )


def _objects(value: Any) -> list[tuple[int, dict[str, Any]]]:
    """Return all objects of a JSON value with how deep they lie."""
    out: list[tuple[int, dict[str, Any]]] = []
    todo: list[tuple[int, Any]] = [(0, value)]
    for _ in range(_MOST_NODES):
        if not todo:
            break
        depth, item = todo.pop()
        if isinstance(item, dict):
            out.append((depth, item))
            todo.extend((depth + 1, child) for child in item.values() if isinstance(child, dict | list))
        elif isinstance(item, list):
            todo.extend((depth + 1, child) for child in item if isinstance(child, dict | list))
    return out


def _leaves(value: Any) -> list[str]:
    """Return the texts in a value of texts, lists and objects, at most a thousand."""
    todo: list[Any] = [value]
    out: list[str] = []
    while todo and len(out) < 1000:  # noqa: PLR2004  # more is shown to nobody
        item = todo.pop(0)
        if isinstance(item, str):
            out.append(item)
        elif isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
    return out


def _keras(tally: Tally, base: str, item: dict[str, Any]) -> None:
    kind, module = str(item.get("class_name", "")), item.get("module")
    config = item.get("config")
    short = kind.rsplit(">", 1)[-1]
    if why := _KERAS_CODE.get(short):
        tally.note("keras-code", Severity.CRITICAL, f"{base}: the layer {short} {why}.")
    if isinstance(module, str) and module not in {"builtins", ""} and not _KERAS_MODULE.fullmatch(module):
        tally.note("keras-module", Severity.HIGH, f"{base}: {kind[:60]} comes from the module {module[:60]}.")
    if kind == "function" and (module == "builtins" or not isinstance(config, str)):
        tally.note("keras-function", Severity.HIGH, f"{base}: a function outside Keras: {str(config)[:60]}.")
    for text in (kind, config, str(item.get("registered_name") or "")):
        if isinstance(text, str) and _HARMFUL_WORDS.search(text):
            tally.note("keras-function", Severity.CRITICAL, f"{base} has {text[:60]} called.")
    if ">" in kind or (isinstance(item.get("registered_name"), str) and ">" in item["registered_name"]):
        tally.note("keras-custom", Severity.MEDIUM, f"{base}: {kind[:60]} is an object of somebody's own.")
    if isinstance(config, dict):
        vocabulary = config.get("vocabulary")
        if isinstance(vocabulary, str):
            tally.note("keras-file", Severity.HIGH, f"{base}: a layer reads the file {vocabulary[:80]}.")
        if isinstance(config.get("fn"), dict | str) and kind not in _KERAS_CODE:
            tally.note("keras-function", Severity.HIGH, f"{base}: {kind[:60]} carries a function.")
