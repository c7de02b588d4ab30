"""Whole model repositories: what one file names in another, and where that leads."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from corpora.signing import NOW
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.verdict import Severity
from lockgate.inspect import Limits
from lockgate.inspect.insecure import InsecureInProcessSandbox
from lockgate.inspect.ports import Whole
from lockgate.inspect.signatures import Trust
from lockgate.inspect.whole import WholeInspection
from lockgate.inspect.wholes import Notes


def shard(*names: str) -> bytes:
    """Return a file of weights with one byte for each tensor."""
    header = {n: {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i, n in enumerate(names)}
    raw = json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + bytes(len(names))


def index(**shards: str) -> bytes:
    """Return an index: tensors by shard."""
    weights = {tensor: name for name, tensors in shards.items() for tensor in tensors.split()}
    return json.dumps({"metadata": {"total_size": 1}, "weight_map": weights}).encode()


def look(folder: Path, **files: Any) -> dict[str, Notes]:
    """Look at a repository whose files are given by name; return what is noted by name."""
    entries, places = [], {}
    for count, (name, content) in enumerate(files.items()):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        path, place = f"models/org/m/{name}", folder / str(count)
        place.write_bytes(data)
        entries.append(
            ArtifactFile(path=path, role=Role.OTHER, size=len(data), sha256=sha256(data).hexdigest())
        )
        places[path] = place
    artifact = Artifact(
        purl="pkg:huggingface/org/m@1", kind=Kind.MODEL, name="org/m", version="1", files=tuple(entries)
    )
    looks = WholeInspection(InsecureInProcessSandbox(), Limits(), Trust(NOW), jobs=1)
    found = looks._look(Whole(artifact=artifact, places=places))
    return {path.removeprefix("models/org/m/"): notes for path, notes in found.items()}


def codes(found: dict[str, Notes]) -> dict[str, set[str]]:
    quiet = {
        name: {f.code for f in n.findings if f.severity is not Severity.INFO} for name, n in found.items()
    }
    return {name: said for name, said in quiet.items() if said}


def test_an_everyday_repository_has_no_finding(tmp_path: Path) -> None:
    found = look(
        tmp_path,
        **{
            "config.json": {"model_type": "llama", "_name_or_path": "/data/run", "architectures": ["L"]},
            "tokenizer_config.json": {
                "tokenizer_class": "T",
                "special_tokens_map_file": "/data/x.json",
            },
            "model.safetensors.index.json": index(**{"model-00001-of-00001.safetensors": "a b"}),
            "model-00001-of-00001.safetensors": shard("b", "a"),
            "modules.json": [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}],
            "README.md": b"# Model",
        },
    )
    assert codes(found) == {}
    assert found["config.json"].inspectors == {"provenance/1", "repository/1"}


def test_code_that_a_configuration_names(tmp_path: Path) -> None:
    auto = {"AutoModel": "modeling_x.X", "AutoTokenizer": ["tokens.T", None]}
    found = look(tmp_path, **{"config.json": {"auto_map": auto}, "modeling_x.py": b"", "other.py": b""})
    assert codes(found) == {"config.json": {"model-code-missing"}, "other.py": {"model-code-unnamed"}}
    assert "tokens" in found["config.json"].findings[0].why
    foreign = {"auto_map": {"AutoModel": "somebody/code--modeling.X"}}
    found = look(tmp_path, **{"config.json": foreign})
    assert codes(found) == {"config.json": {"model-foreign-code"}}
    assert found["config.json"].findings[0].severity is Severity.CRITICAL


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tokenizer_config.json", {"vocab_file": "https://192.0.2.1/vocab.txt"}),
        ("preprocessor_config.json", {"deep": [{"image_mean_path": "../../etc/shadow"}]}),
        ("modules.json", [{"path": "../other", "type": "sentence_transformers.models.Pooling"}]),
        ("processor_config.json", {"url": "ftp://192.0.2.1/x"}),
    ],
)
def test_what_leads_out_of_a_repository(name: str, value: Any, tmp_path: Path) -> None:
    assert codes(look(tmp_path, **{name: value})) == {name: {"model-outside"}}


def test_modules_that_are_somebodys_own(tmp_path: Path) -> None:
    found = look(tmp_path, **{"modules.json": [{"path": "x", "type": "custom_st.Transformer"}]})
    assert codes(found) == {"modules.json": {"model-custom-module"}}


def test_indexes_and_shards_that_do_not_agree(tmp_path: Path) -> None:
    one, two = "m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors"
    name = "model.safetensors.index.json"
    listed = index(**{one: "a b", two: "c"})
    good = look(tmp_path, **{name: listed, one: shard("a", "b"), two: shard("c")})
    assert codes(good) == {}
    missing = look(tmp_path, **{name: listed, one: shard("a", "b")})
    assert codes(missing) == {name: {"model-shard-missing"}}
    for other in (("a", "x"), ("a",), ("a", "b", "c")):
        found = look(tmp_path, **{name: listed, one: shard(*other), two: shard("c")})
        assert codes(found) == {one: {"model-shard-differs"}}
    stray = look(tmp_path, **{name: index(**{one: "a"}), one: shard("a"), two: shard("c")})
    assert codes(stray) == {two: {"model-shard-unlisted"}}


def test_a_configuration_that_cannot_be_read_leaves_its_file_incomplete(tmp_path: Path) -> None:
    for bad in (b"{", b'{"a": 1, "a": 2}', b"\xff\xfe", b'{"weight_map": 3}'):
        found = look(tmp_path, **{"model.safetensors.index.json": bad})
        assert not found["model.safetensors.index.json"].complete, bad
    many = {f"c{n}/config.json": {"a": 1} for n in range(70)}
    found = look(tmp_path, **many)
    assert sum(not notes.complete for notes in found.values()) == 6
