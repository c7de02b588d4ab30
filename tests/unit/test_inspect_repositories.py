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
from lockgate.inspect.openvino import NAME as NETWORKS
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


_LAYER = '<layer id="{0}" name="w{0}" type="Const" version="opset1">{1}</layer>'


def _network(*elements: str, first: str = "") -> bytes:
    layers = "".join(_LAYER.format(count, element) for count, element in enumerate(elements))
    return (
        f'<?xml version="1.0"?>{first}<net name="n" version="11">\n<layers>{layers}</layers></net>'.encode()
    )


def _data(offset: str, size: str, more: str = "") -> str:
    return f'<data {more} element_type="f32" shape="2" offset="{offset}" size="{size}"/>'


def test_constants_that_lie_in_the_weights(tmp_path: Path) -> None:
    description = _network(_data("0", "8"), _data("8", "8"), '<data auto_pad="explicit" kernel="3,3"/>')
    found = look(tmp_path, **{"m.xml": description, "m.bin": bytes(16)})
    assert codes(found) == {}
    assert found["m.xml"].complete
    assert NETWORKS in found["m.xml"].inspectors


def test_other_descriptions_are_left_alone(tmp_path: Path) -> None:
    found = look(tmp_path, **{"a.xml": b'<a><data offset="9" size="9"/></a>', "a.bin": b"x"})
    assert codes(found) == {}
    assert found["a.xml"].complete


@pytest.mark.parametrize(
    "element",
    [
        _data("8", "9"),
        _data("17", "0"),
        _data("18446744073709551", "8"),
        _data("16", "1", 'name=">"'),
        "<data\n\toffset = '12'\n\tsize = '8' />",
        '<blobs><weights offset="0" size="17"/></blobs>',
        '<blobs><biases size="1" offset="16"/></blobs>',
    ],
)
def test_constants_that_lie_behind_the_weights(element: str, tmp_path: Path) -> None:
    found = look(tmp_path, **{"m.xml": _network(_data("0", "8"), element), "m.bin": bytes(16)})
    assert codes(found) == {"m.xml": {"openvino-offset"}}
    assert found["m.xml"].findings[-1].severity is Severity.HIGH
    assert "the weights end at 16" in found["m.xml"].findings[-1].why


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    found = look(tmp_path, **{"m.xml": _network(_data("0", "8")), "other.bin": bytes(16)})
    assert codes(found) == {"m.xml": {"openvino-weights-missing"}}


@pytest.mark.parametrize(
    "description",
    [
        _network(_data("-8", "8")),
        _network(_data("0x8", "8")),
        _network(_data("&#56;", "8")),
        _network('<data offset="0"/>'),
        _network('<data offset="0" size="8" offset="99"/>'),
        _network('<data offset="99" size="8" name="'),
        _network(_data("0", "8")).decode().encode("utf-16"),
        _network(_data("0", "8")).decode().encode("utf-16-le"),
    ],
)
def test_places_that_nobody_can_tell_leave_the_description_unread(description: bytes, tmp_path: Path) -> None:
    found = look(tmp_path, **{"m.xml": description, "m.bin": bytes(16)})
    assert not found["m.xml"].complete
    assert "openvino-unread" in {item.code for item in found["m.xml"].findings}
