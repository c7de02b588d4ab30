"""Models as whole repositories: what their configurations name, held against what is there.

A loader follows `auto_map`, indexes of shards and paths from one file to another; no single file shows
where that leads. Sources: Transformers, "Custom models" (`auto_map`, ``repository--module.Class``) and
"Sharded checkpoints" (``*.index.json``); Sentence Transformers (``modules.json``); PEFT (adapters).
"""

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any

import msgspec

from lockgate.core.artifact import Artifact, ArtifactFile, Kind
from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.strict_json import loads
from lockgate.inspect.limits import Limits
from lockgate.inspect.ports import Sandbox, Whole
from lockgate.inspect.service import NO_ANSWER, run_in_sandbox
from lockgate.inspect.wholes import Extras, notes_of

NAME = "repository/1"
READ, TENSORS = "lockgate.inspect.repositories:read", "lockgate.inspect.repositories:tensors"

MOST_FILES = 64
"""Most configurations of one repository that are read."""

MOST_BYTES = 32 << 20
"""Longest configuration that is read, in bytes."""

_MOST_NODES, _MOST_SAID = 500_000, 200
_CONFIG = re.compile(
    r"(?:[\w.-]*config|modules|model_index|configuration|params|special_tokens_map|[\w.-]*\.index)\.json"
)
_SHARD = re.compile(r"(.+)-\d{5}-of-\d{5}\.safetensors")
_FOREIGN = re.compile(r"([\w.-]+/[\w.-]+)--")
_MODULE = re.compile(r"(?:[\w.-]+/[\w.-]+--)?([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\.[A-Za-z_]\w*")
_FILE_KEY = re.compile(r".*(?:_file|_path|_dir|_url|filename|_filename)|path|file|url")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{1,20}://", re.IGNORECASE)
_OWN_MODULES = ("sentence_transformers.", "pylate.")
_HEAD = 8


class Read(msgspec.Struct, frozen=True):
    """What one configuration names.

    Attributes:
        modules: Python modules of the repository that a loader imports.
        foreign: Other repositories whose code a loader fetches.
        outside: Values that lead out of the repository: addresses, and paths that climb.
        strange: Classes of modules that are not the library's own.
        base: The model that an adapter belongs upon.
        shards: Files of weights that an index names → how many tensors, and a digest of their names.

    """

    modules: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    base: str = ""
    shards: dict[str, tuple[int, str]] = {}


def read(data: memoryview, args: bytes) -> bytes:
    """Read one configuration: an entry that the sandbox runs."""
    name = args.decode()
    value = loads(bytes(data).decode())
    found: dict[str, list[str]] = {"modules": [], "foreign": [], "outside": [], "strange": []}
    for key, item in _pairs(value):
        if key in {"auto_map", "custom_pipelines"}:
            _code(item, found)
        elif isinstance(item, str) and _FILE_KEY.fullmatch(key) and _leads_out(item):
            found["outside"].append(f"{key}: {item}")
        elif (
            name == "modules.json"
            and key == "type"
            and isinstance(item, str)
            and not item.startswith(_OWN_MODULES)
        ):
            found["strange"].append(item)
    base = value.get("base_model_name_or_path") if isinstance(value, dict) else None
    return msgspec.json.encode(
        Read(
            **{
                key: tuple(dict.fromkeys(text[:200] for text in said))[:_MOST_SAID]
                for key, said in found.items()
            },
            base=base[:200] if isinstance(base, str) else "",
            shards=_shards(value) if name.endswith(".index.json") else {},
        )
    )


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every key with its value, however deep."""
    todo, seen = [value], 0
    while todo and seen < _MOST_NODES:
        item = todo.pop()
        seen += 1
        if isinstance(item, dict):
            yield from ((key, child) for key, child in item.items())
            todo.extend(child for child in item.values() if isinstance(child, dict | list))
        elif isinstance(item, list):
            todo.extend(child for child in item if isinstance(child, dict | list))


def _code(value: Any, found: dict[str, list[str]]) -> None:
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
        elif isinstance(item, str):
            if foreign := _FOREIGN.match(item):
                found["foreign"].append(foreign[1])
            elif module := _MODULE.fullmatch(item):
                found["modules"].append(module[1])


def _leads_out(text: str) -> bool:
    return bool(_ADDRESS.match(text)) or ".." in re.split(r"[/\\]", text)


def _shards(value: Any) -> dict[str, tuple[int, str]]:
    names: dict[str, list[str]] = {}
    weights = value.get("weight_map") if isinstance(value, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(shard, str) for shard in weights.values()):
        raise BrokenContentError("The index maps no tensors to files.")
    for tensor, shard in weights.items():
        names.setdefault(shard, []).append(tensor)
    return {shard: (len(mine), _digest(mine)) for shard, mine in names.items()}


def _digest(names: list[str]) -> str:
    return sha256("\0".join(sorted(names)).encode("utf-8", "surrogatepass")).hexdigest()


def tensors(data: memoryview, args: bytes) -> bytes:
    """Count the tensors of one file of weights: an entry that the sandbox runs."""
    del args
    length = int.from_bytes(data[:_HEAD], "little")
    header = loads(bytes(data[_HEAD : _HEAD + length]).decode())
    names = [name for name in header if name != "__metadata__"]
    return msgspec.json.encode((len(names), _digest(names)))


class Repositories:
    """Holds what a model's configurations name against its files."""

    def __init__(self, sandbox: Sandbox, limits: Limits) -> None:
        """Read with a sandbox, within limits."""
        self._sandbox = sandbox
        self._limits = limits

    def look(self, whole: Whole) -> Extras:
        """Return what a model's files show together; nothing for other artifacts.

        Raises:
            SandboxUnavailableError: Nothing can be parsed safely here.

        """
        if whole.artifact.kind not in {Kind.MODEL, Kind.SPACE}:
            return {}
        extras: Extras = {}
        configs = [file for file in whole.artifact.files if _CONFIG.fullmatch(_base(file.path))]
        said: dict[str, Read] = {}
        for file in configs:
            notes = notes_of(extras, file.path)
            notes.inspectors.add(NAME)
            if len(said) >= MOST_FILES or file.size > MOST_BYTES:
                notes.unfinished(
                    "model-config-unread", file.path, "There are more or longer ones than are read."
                )
                continue
            try:
                said[file.path] = msgspec.json.decode(self._run(READ, whole, file), type=Read)
            except NO_ANSWER as error:
                why = f"The configuration could not be read: {getattr(error, 'what', 'no answer')}"
                notes.unfinished("model-config-unread", file.path, why)
        for path, found in said.items():
            self._named(whole.artifact, path, found, extras)
            self._sharded(whole, path, found, extras)
        _unlisted(whole.artifact, said, extras)
        return extras

    def _run(self, entry: str, whole: Whole, file: ArtifactFile) -> bytes:
        name = _base(file.path).encode()
        return run_in_sandbox(self._sandbox, entry, whole.places[file.path], name, limits=self._limits)

    def _named(self, artifact: Artifact, path: str, found: Read, extras: Extras) -> None:
        notes, folder = notes_of(extras, path), PurePosixPath(path).parent
        paths = {file.path for file in artifact.files}
        for repository in found.foreign:
            why = f"Its loader fetches and runs code of another repository, {repository}."
            notes.note("model-foreign-code", Severity.CRITICAL, path, why)
        for module in found.modules:
            if str(folder / f"{module.replace('.', '/')}.py") not in paths:
                why = f"It has the module {module} loaded, which is not among its files."
                notes.note("model-code-missing", Severity.MEDIUM, path, why)
        for text in found.outside:
            notes.note("model-outside", Severity.HIGH, path, f"It leads out of the repository: {text}.")
        for text in found.strange:
            notes.note(
                "model-custom-module",
                Severity.HIGH,
                path,
                f"It has {text} loaded, which is no library's own.",
            )
        if found.base:
            notes.note(
                "model-base", Severity.INFO, path, f"It belongs upon {found.base}, which has to be there too."
            )

    def _sharded(self, whole: Whole, path: str, found: Read, extras: Extras) -> None:
        files, folder = {file.path: file for file in whole.artifact.files}, PurePosixPath(path).parent
        for shard, wanted in sorted(found.shards.items()):
            file = files.get(str(folder / shard))
            if file is None:
                why = f"It names the file {shard}, which is not there."
                notes_of(extras, path).note("model-shard-missing", Severity.MEDIUM, path, why)
                continue
            if not shard.endswith(".safetensors"):
                continue  # pickles are read as such, and hold no list of names that could be compared
            try:
                held = msgspec.json.decode(self._run(TENSORS, whole, file), type=tuple[int, str])
            except NO_ANSWER:
                continue  # its own verdict says that its header cannot be read
            if held != wanted:
                why = (
                    f"It holds {held[0]} tensors; the index {_base(path)} names {wanted[0]} there, or others."
                )
                notes_of(extras, file.path).note("model-shard-differs", Severity.HIGH, file.path, why)


def _base(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _unlisted(artifact: Artifact, said: Mapping[str, Read], extras: Extras) -> None:
    """Note code and shards that no configuration names: a loader may still find them."""
    modules = {
        str(PurePosixPath(path).parent / f"{module.replace('.', '/')}.py")
        for path, found in said.items()
        for module in found.modules
    }
    shards = {
        str(PurePosixPath(path).parent / shard) for path, found in said.items() for shard in found.shards
    }
    for file in artifact.files:
        if file.path.endswith(".py") and file.path not in modules and artifact.kind is Kind.MODEL:
            why = "It is code that no configuration names; other code of the repository may import it."
            notes_of(extras, file.path).note("model-code-unnamed", Severity.LOW, file.path, why)
        elif _SHARD.fullmatch(_base(file.path)) and file.path not in shards:
            why = "It is called a shard, and no index names it."
            notes_of(extras, file.path).note("model-shard-unlisted", Severity.LOW, file.path, why)
