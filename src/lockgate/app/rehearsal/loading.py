"""Inside the box: download one repository or file from the mirrors and load what an engine would load.

It runs the Hub's own client and this Lockgate's readers of models on files that nobody inspected yet: hence
the box. It prints one JSON object: what was loaded, what could not be, and which files are missing.
"""

import hashlib
import json
import os
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CONFIG_BYTES = 64 << 20
"""Longest configuration, index or tokenizer that is read, in bytes."""

TOKENIZERS = (
    ("tokenizer.json",),
    ("tokenizer.model",),
    ("vocab.txt",),
    ("vocab.json", "merges.txt"),
    ("spiece.model",),
    ("sentencepiece.bpe.model",),
)
"""Files of which one set makes a tokenizer, as readers look for them; the first is the usual one."""

PROMPT = "What is a canal lock?"


def read_json(path: Path) -> Any:
    """Return a bounded JSON document.

    Raises:
        ValueError: It is longer than `CONFIG_BYTES`, or no JSON.

    """
    if path.stat().st_size > CONFIG_BYTES:
        msg = f"{path.name} is longer than {CONFIG_BYTES} bytes"
        raise ValueError(msg)
    return json.loads(path.read_text("utf-8"))


def missing_files(folder: Path, form: str, task: str) -> Iterator[str]:
    """Yield the files that a model of a form and task needs and does not have.

    Shards are named by the index of the weights (``*.safetensors.index.json``, ``weight_map``).
    """
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for index in sorted(name for name in there if name.endswith(".safetensors.index.json")):
        mapped = read_json(folder / index).get("weight_map", {})
        inside = index.rpartition("/")[0]
        for shard in sorted({f"{inside}/{name}".lstrip("/") for name in map(str, mapped.values())}):
            if shard not in there:
                yield shard
    if form == "gguf":  # carries its configuration and its tokenizer
        return
    if form == "safetensors" and "config.json" not in there:
        yield "config.json"
    if _wants_tokenizer(folder, form, task) and not any(there.issuperset(each) for each in TOKENIZERS):
        begun = next((each for each in TOKENIZERS if there.intersection(each)), TOKENIZERS[0])
        yield from sorted(set(begun) - there)


def _wants_tokenizer(folder: Path, form: str, task: str) -> bool:
    """Tell whether a model reads text: by its task, else by a vocabulary in its configuration."""
    if task in {"chat", "embed"}:
        return True
    config = folder / "config.json"
    return form == "safetensors" and config.is_file() and "vocab_size" in read_json(config)


def load(folder: Path, form: str, task: str) -> Iterator[tuple[str, str, str]]:
    """Yield what was loaded: name of the part, ``passed`` or ``unproven``, and why.

    Raises:
        Exception: Whatever a reader says of a file that it cannot load.

    """
    config = folder / "config.json"
    if config.is_file():
        yield "configuration", "passed", str(read_json(config).get("model_type", ""))
    if (folder / "tokenizer.json").is_file():
        from tokenizers import Tokenizer  # noqa: PLC0415  # in the box alone

        tokens = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(PROMPT).ids
        yield "tokenizer", "passed", f"{len(tokens)} tokens"
    elif form != "gguf" and any(all((folder / name).is_file() for name in each) for each in TOKENIZERS):
        yield "tokenizer", "unproven", "it is in a form that no reader here loads"
    if form == "onnx" and task == "embed":
        yield "engine", "passed", _embedded(folder)


def _embedded(folder: Path) -> str:
    """Answer one prompt as the knowledge room does: with a vector."""
    from lockgate.knowledge.embed import OnnxEmbedder  # noqa: PLC0415  # in the box alone

    model, tokenizer = next(folder.rglob("*.onnx")).read_bytes(), (folder / "tokenizer.json").read_bytes()
    digests = [hashlib.sha256(data).hexdigest() for data in (model, tokenizer)]
    embedder = OnnxEmbedder("rehearsal", model, digests[0], tokenizer, digests[1])
    return f"a vector of {embedder.embed([PROMPT]).shape[-1]} numbers"


def repository(order: dict[str, Any]) -> dict[str, Any]:
    """Download a repository by snapshot and, where it is a model, load it."""
    from huggingface_hub import snapshot_download  # noqa: PLC0415  # in the box alone

    place = Path(
        snapshot_download(
            order["name"], revision=order["revision"], repo_type=order["type"], cache_dir=order["cache"]
        )
    )
    if order["type"] != "model":
        return {"folder": str(place), "loaded": [], "missing": []}
    lost = list(missing_files(place, order["form"], order["task"]))
    loaded = [] if lost else [list(each) for each in load(place, order["form"], order["task"])]
    return {"folder": str(place), "loaded": loaded, "missing": lost}


def fetch(order: dict[str, Any]) -> dict[str, Any]:
    """Fetch plain files and compare their digests; return which are not what they have to be."""
    bad = []
    for path, digest in order["files"]:
        address = f"{order['url']}/files/{urllib.parse.quote(path)}"
        found = hashlib.sha256()
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310  # the mirrors, in the box
                while data := answer.read(1 << 20):
                    found.update(data)
        except OSError as error:
            bad.append(f"{path}: {error}")
            continue
        if found.hexdigest() != digest:
            bad.append(f"{path}: another file")
    return {"bad": bad}


def main() -> None:
    """Carry out the order in the file that the environment names, and print what came of it."""
    order = json.loads(Path(os.environ["LOCKGATE_ORDER"]).read_text())
    try:
        done = fetch(order) if order["do"] == "fetch" else repository(order)
    except Exception as error:  # noqa: BLE001  # a reader's own words are the answer
        sys.exit(f"error: {type(error).__name__}: {error}")
    sys.stdout.write(f"\n{json.dumps(done)}\n")


if __name__ == "__main__":
    main()
