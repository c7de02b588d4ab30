"""From clients' words and addresses to what is missing, with lines of a manifest; and which wheels fit."""

import json

import msgspec
import pytest

from corpora.rehearsals import host_profile
from lockgate.app.rehearsal.far import Recording, read_lookups
from lockgate.app.rehearsal.fit import best_platform, fits, platforms, uv_platform
from lockgate.app.rehearsal.loading import missing_files
from lockgate.app.rehearsal.missing import deb, from_lookups, from_output, hub, member, merged, npm, python
from lockgate.collect import parse_manifest

PIP = """\
Looking in indexes: http://127.0.0.1:8710/simple/
ERROR: Could not find a version that satisfies the requirement till<2,>=1 (from shop) (from versions: 0.9)
ERROR: No matching distribution found for till<2,>=1
"""
UV = """\
  \u00d7 No solution found when resolving dependencies:
  ╰─▶ Because till was not found in the package registry and shop==2.0
      depends on till>=1, we can conclude that shop==2.0 cannot be used.
"""
UV_VERSION = """\
  \u00d7 No solution found when resolving dependencies:
  ╰─▶ Because there are no versions of till and you require till, we can
      conclude that your requirements are unsatisfiable.
"""
UV_PINNED = "  ╰─▶ Because there is no version of numpy==9.9 and you require numpy==9.9, we can conclude"
NPM = """\
npm error code ETARGET
npm error notarget No matching version found for @garden/leaf@^2.
npm error notarget In most cases you or one of your dependencies are requesting
"""
APT = """\
Reading package lists...
E: Unable to locate package oak
The following packages have unmet dependencies:
 leaf : Depends: words (>= 2) but it is not installable
"""


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (PIP, [("pypi", "till", "<2,>=1")]),
        (UV, [("pypi", "till", "")]),
        (UV_VERSION, [("pypi", "till", "")]),
        (UV_PINNED, [("pypi", "numpy", "==9.9")]),
        (NPM, [("npm", "@garden/leaf", "^2")]),
        (APT, [("apt", "oak", ""), ("apt", "words", "")]),
        ("everything is well\n", []),
    ],
)
def test_what_clients_say_that_they_did_not_find_is_named(said, found):
    assert [(each.protocol, each.name, each.version) for each in merged(from_output(said))] == found


def test_addresses_that_were_asked_for_in_vain_are_names(tmp_path):
    asked = [
        ("GET", "/simple/till/"),
        ("GET", "/npm/@garden%2fleaf"),
        ("GET", "/npm/trunk/-/trunk-2.0.0.tgz"),
        ("GET", "/npm/-/v1/nothing"),
        ("GET", "/apt/debian/pool/main/w/words/words_7_all.deb"),
        ("GET", "/apt/debian/dists/bookworm/main/i18n/Translation-en.xz"),
        ("HEAD", "/v2/registry.example/library/postgres/manifests/17"),
        ("GET", "/git/example.org/tools/info/refs?service=git-upload-pack"),
        ("GET", "/org/model/resolve/main/adapter_config.json"),
        ("GET", "/healthz"),
    ]
    found = {(each.protocol, each.name): each.proposal for each in from_lookups(asked)}
    assert set(found) == {
        ("pypi", "till"),
        ("npm", "@garden/leaf"),
        ("npm", "trunk/trunk-2.0.0.tgz"),
        ("apt", "debian/pool/main/w/words/words_7_all.deb"),
        ("oci", "registry.example/library/postgres"),
        ("git", "example.org/tools"),
    }
    image = parse_manifest(found["oci", "registry.example/library/postgres"].encode()).oci[0]
    assert (image.image, image.tags) == ("registry.example/library/postgres", ("17",))
    assert (
        parse_manifest(found["git", "example.org/tools"].encode()).git[0].url == "https://example.org/tools"
    )


@pytest.mark.parametrize(
    "hostile",
    [
        python('x"]\nrequirements = ["evil'),
        python("--index-url=http://evil"),
        npm('x"]\n[[npm]]\npackages = ["evil'),
        npm("leaf", '1"]\nx = ["'),
        deb("words; rm"),
        hub('org/x"\nendpoint = "http://evil'),
        hub("org/model", 'x"]\nendpoint = "http://evil'),
        member("org/model", 'x"\nurl = "http://evil'),
    ],
)
def test_names_that_are_none_propose_nothing(hostile):
    assert hostile.proposal == ""
    assert hostile.name.isprintable()


def test_a_file_of_the_hub_is_proposed_where_it_came_from():
    (table,) = parse_manifest(hub("org/model", "tokenizer.json").proposal.encode()).huggingface
    assert (table.repository, table.include) == ("org/model", ("tokenizer.json",))
    assert 'role = "tokenizer"' in member("org/model", "tokenizer.json").proposal


def test_the_same_thing_is_named_once_and_with_its_version():
    found = merged([python("till"), python("till>=1"), npm("till"), python("till")])
    assert [(each.protocol, each.version) for each in found] == [("pypi", ">=1"), ("npm", "")]


class Side:
    lane = "harbour"


def host(**changes):
    return msgspec.structs.replace(
        host_profile(Side()), architecture="x86_64", libc="glibc", libc_version="2.28", **changes
    )


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("a-1-py3-none-any.whl", True),
        ("a-1-cp312-cp312-manylinux_2_28_x86_64.whl", True),
        ("a-1-cp312-cp312-manylinux_2_34_x86_64.whl", False),
        ("a-1-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", True),
        ("a-1-cp39-abi3-manylinux2014_x86_64.whl", True),
        ("a-1-cp311-cp311-manylinux_2_17_x86_64.whl", False),
        ("a-1-cp312-cp312-musllinux_1_2_x86_64.whl", False),
        ("a-1-cp312-cp312-manylinux_2_17_aarch64.whl", False),
        ("a-1-cp313-abi3-manylinux_2_17_x86_64.whl", False),
        ("not a wheel.whl", False),
        ("a-1.tar.gz", True),
    ],
)
def test_a_wheel_fits_by_its_tags(name, good):
    assert fits([name], host(), "3.12") is good


def test_a_host_is_named_as_clients_name_it():
    assert best_platform(host()) == "manylinux_2_28_x86_64"
    assert "manylinux2014_x86_64" in platforms(host())
    assert uv_platform(host()) == "x86_64-manylinux_2_28"
    assert uv_platform(msgspec.structs.replace(host(), libc_version="2.30")) == "x86_64-manylinux_2_28"
    assert uv_platform(msgspec.structs.replace(host(), libc="musl", libc_version="")) == ""
    assert best_platform(msgspec.structs.replace(host(), libc_version="")) == "linux_x86_64"


@pytest.mark.parametrize(
    ("files", "form", "task", "lacks"),
    [
        ({"model.gguf": ""}, "gguf", "chat", []),
        ({"model.onnx": "", "tokenizer.json": "{}"}, "onnx", "embed", []),
        ({"model.onnx": ""}, "onnx", "embed", ["tokenizer.json"]),
        (
            {"model.safetensors": "", "vocab.json": "{}", "config.json": "{}"},
            "safetensors",
            "chat",
            ["merges.txt"],
        ),
        ({"model.safetensors": ""}, "safetensors", "", ["config.json"]),
        (
            {"model.safetensors": "", "config.json": '{"vocab_size": 7}'},
            "safetensors",
            "",
            ["tokenizer.json"],
        ),
        ({"unet/model.safetensors": "", "config.json": "{}"}, "safetensors", "", []),
        (
            {
                "config.json": "{}",
                "tokenizer.model": "",
                "model-1.safetensors": "",
                "model.safetensors.index.json": json.dumps(
                    {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
                ),
            },
            "safetensors",
            "chat",
            ["model-2.safetensors"],
        ),
    ],
)
def test_files_that_a_model_cannot_be_loaded_without_are_named(tmp_path, files, form, task, lacks):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert list(missing_files(tmp_path, form, task)) == lacks


async def _answer(status, recording, path):
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "status": status}
    await recording(scope, None, send)
    return sent


def test_absent_addresses_are_written_down_once_each(tmp_path):
    import asyncio

    async def app(scope, receive, send):
        del receive
        await send({"type": "http.response.start", "status": scope["status"], "headers": []})

    recording = Recording(app, tmp_path / "lookups.jsonl")
    for status, path in ((404, "/simple/till/"), (200, "/simple/shop/"), (404, "/simple/till/"), (403, "/x")):
        sent = asyncio.run(_answer(status, recording, path))
        assert sent[0]["status"] == status
    assert read_lookups(tmp_path) == [("GET", "/simple/till/")]
