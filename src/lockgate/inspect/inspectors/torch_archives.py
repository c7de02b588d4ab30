"""Torch's ZIP archives: state dicts, TorchScript and exported programs.

Format: ``caffe2/serialize/inline_container.h`` and ``torch/csrc/jit/docs/serialization.md``: one folder
with ``data.pkl``, the storages as ``data/KEY``, for TorchScript also ``constants.pkl`` and its code; for
exported programs ``models/`` and ``data/weights/``. A storage counts as read when a pickle names it and its
length is what the pickle says.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod
from typing import Any

from lockgate.core.pickles import PickleProfile as Profile
from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError, OverLimitError
from lockgate.inspect.inspectors.pickle_profiles import candidates
from lockgate.inspect.inspectors.pickle_values import Global
from lockgate.inspect.inspectors.pickles import follow, judge
from lockgate.inspect.inspectors.strict_json import loads
from lockgate.inspect.inspectors.torch_storage import ELEMENT_BYTES, EXPORTED_BYTES
from lockgate.inspect.inspectors.torchscript import script
from lockgate.inspect.inspectors.unpacking import unpack
from lockgate.inspect.inspectors.zip_walk import Entry
from lockgate.inspect.tally import Context, Tally

VERSION = 1
_ID = 5
_WEIGHTS = re.compile(r"data/(?:weights|constants)/\w+_config\.json")
_DEBUG = ".debug_pkl"


def root(names: Iterable[str]) -> str | None:
    """Return the folder (with its slash) in which all of a torch archive lies, or None for any other ZIP."""
    names = list(names)
    heads = {name.split("/", 1)[0] for name in names}
    if len(heads) != 1 or not all("/" in name for name in names):
        return None
    base = f"{heads.pop()}/"
    marks = {f"{base}data.pkl", f"{base}archive_format", f"{base}serialized_exported_program.json"}
    return base if marks & set(names) else None


@dataclass(slots=True)
class _Archive:
    data: memoryview
    tally: Tally
    context: Context
    base: str
    inside: Profile
    sizes: dict[str, int] = field(default_factory=dict)
    """Member → bytes that some pickle or table says it has."""


def check(data: memoryview, tally: Tally, context: Context, entries: list[Entry]) -> None:
    """Inspect the members; claim storages that the pickles name."""
    base = root(entry.name for entry in entries) or ""
    tally.inspectors.add(f"torch/{VERSION}")
    by_name = {entry.name: entry for entry in entries}
    script_archive = f"{base}constants.pkl" in by_name
    inside = Profile.TORCHSCRIPT if script_archive else Profile.TORCH
    archive = _Archive(data, tally, context, base, inside)
    first = [entry for entry in entries if _describes(entry.name.removeprefix(base))]
    for entry in first + [entry for entry in entries if entry not in first]:
        if not (entry.folder and not entry.size):
            _member(archive, entry)


def _describes(name: str) -> bool:
    return (name.endswith(".pkl") and "/" not in name) or bool(_WEIGHTS.fullmatch(name))


def _member(archive: _Archive, entry: Entry) -> None:
    tally, name = archive.tally, entry.name.removeprefix(archive.base)
    context = archive.context.member(entry.name)
    try:
        content = unpack(archive.data, entry, context)
    except (BrokenContentError, OverLimitError) as error:
        tally.unfinished("zip-member", f"{entry.name}: {error.what}", entry.start)
        if isinstance(error, OverLimitError):
            tally.note("zip-bomb", Severity.HIGH, f"{entry.name}: {error.what}", entry.start)
        return
    if archive.sizes.get(name) == len(content):
        tally.opaque.add("torch-storage")
        tally.claim(entry.data, entry.end)
        return
    inner = Tally(len(content), context.where, tally.limit)
    if (name.endswith(".pkl") and "/" not in name) or name.endswith(_DEBUG):
        _pickle(archive, name, content, inner)
    elif name.startswith("code/") and name.endswith(".py"):
        script(inner, bytes(content))
    else:
        if _WEIGHTS.fullmatch(name):
            archive.sizes |= _exported(name.rpartition("/")[0], loads(bytes(content).decode("utf-8")))
        inner = context.inspect(content, context)
    if tally.absorb(inner):
        tally.claim(entry.data, entry.end)


def _pickle(archive: _Archive, name: str, content: memoryview, inner: Tally) -> None:
    stream = follow(content)
    inner.inspectors.add("pickle/3")
    if judge(inner, stream, candidates(archive.context.profile, archive.inside)) is None:
        return
    inner.claim(0, stream.end)
    folder = "data" if name == "data.pkl" else name.removesuffix(".pkl")
    for item in (item for seen in stream.walks for item in seen.persistent):
        key, size = _storage(item)
        archive.sizes[f"{folder}/{key}"] = size


def _storage(item: Any) -> tuple[str, int]:
    """Return the key and the bytes of the storage that a persistent id names."""
    if isinstance(item, tuple) and len(item) == _ID and item[0] == "storage" and isinstance(item[1], Global):
        _, kind, key, _, count = item
        width = ELEMENT_BYTES.get(kind.name)
        if width and isinstance(key, str) and type(count) is int and count >= 0:
            return key, width * count
    what = "A storage is named in a way that is not read."
    raise BrokenContentError(what)


def _exported(folder: str, table: Any) -> dict[str, int]:
    """Return the members and sizes that the table of an exported program names."""
    rows = table.get("config", {}) if isinstance(table, dict) else {}
    out: dict[str, int] = {}
    for row in rows.values() if isinstance(rows, dict) else ():
        meta = row.get("tensor_meta") if isinstance(row, dict) else None
        if not isinstance(meta, dict) or row.get("use_pickle"):
            continue
        said = [size.get("as_int") for size in meta.get("sizes", ()) if isinstance(size, dict)]
        shape = [size for size in said if type(size) is int and 0 <= size < 1 << 48]
        width = EXPORTED_BYTES.get(meta.get("dtype", 0))
        if width and len(shape) == len(said):
            out[f"{folder}/{row.get('path_name')}"] = width * prod(shape)
    return out
