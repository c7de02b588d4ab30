"""``lockgate manifest``: an example that is one, a check that looks, an explanation, a schema that agrees."""

import json
import re
import tomllib

import pytest
from jsonschema import Draft202012Validator

from corpora.commands import Commands
from lockgate.collect import example, parse_manifest, schema
from lockgate.collect.errors import ManifestError
from lockgate.collect.manifest import Manifest

run, refused = Commands().run, Commands().refused


def uncommented(text):
    """Return the example with every table in use."""
    out, inside = [], False
    for line in text.splitlines():
        bare = line.removeprefix("# ")
        inside = bool(line) and (inside or bare.startswith("[["))
        out.append(bare if inside else line)
    return "\n".join(out)


def test_the_example_is_a_manifest_and_names_every_table(tmp_path):
    manifest = parse_manifest(example().encode())
    assert manifest.python[0].requirements == ("httpx", "numpy>=2")
    everything = tomllib.loads(uncommented(example()))
    assert set(Manifest.__struct_fields__) <= set(
        re.findall(r"^(?:# )?\[\[(\w+)\]\]$", example(), re.MULTILINE)
    )
    used = {table: rows for table, rows in everything.items() if any(rows[0])}
    assert {"python", "npm", "model", "documents", "file", "advisories"} <= set(used)
    for table, rows in used.items():
        text = "".join(f"{line}\n" for line in toml_of(table, rows[0]))
        assert getattr(parse_manifest(text.encode()), table)


def toml_of(table, row):
    yield f"[[{table}]]"
    for key, value in row.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"[[{table}.{key}]]"
            yield from (f"{k} = {json.dumps(v)}" for k, v in value[0].items())
        else:
            yield f"{key} = {json.dumps(value)}"


def test_init_writes_once(tmp_path):
    file = tmp_path / "m.toml"
    assert run("manifest", "init", file).status == 0
    assert file.read_text() == example()
    assert refused("manifest", "init", file)[1]["code"] == "LG-1f09"
    assert run("manifest", "check", file).status == 0


def test_check_names_what_is_missing(tmp_path):
    file = tmp_path / "m.toml"
    file.write_text(
        '[[npm]]\npackage_json = "web/package.json"\n[[documents]]\ncollection = "d"\nfolder = "docs"\n'
        f'[[file]]\nname = "f"\nurl = "f.bin"\nsha256 = "{"0" * 64}"\n'
        f'[[file]]\nname = "far"\nurl = "https://x.invalid/f"\nsha256 = "{"0" * 64}"\n'
    )
    ran = run("manifest", "check", file, "--json")
    assert ran.status == 1
    assert ran.value["missing"] == [
        ["npm", 1, "web/package.json"],
        ["documents", 1, "docs"],
        ["file", 1, "f.bin"],
    ]
    (tmp_path / "docs").mkdir()
    (tmp_path / "web").mkdir()
    (tmp_path / "web/package.json").write_text("{}")
    (tmp_path / "f.bin").write_text("")
    assert run("manifest", "check", file, "--json").value == {"tables": 4, "missing": []}
    file.write_text("[[npm]]\npackage = ['x']\n")
    assert refused("manifest", "check", file)[1]["code"] == "LG-1501"


def test_explain_says_what_each_table_brings(tmp_path):
    file = tmp_path / "m.toml"
    file.write_text(
        '[[npm]]\npackages = ["leaf@^2"]\nplatforms = ["linux-x64"]\ndevelopment = false\nlabel = "public"\n'
        '[[npm]]\nlockfile = "package-lock.json"\n'
        '[[python]]\nrequirements = ["httpx"]\npython = "3.12"\n'
    )
    found = run("manifest", "explain", file, "--json").value
    assert [(one["table"], one["number"], one["label"]) for one in found] == [
        ("python", 1, "internal"),
        ("npm", 1, "public"),
        ("npm", 2, "internal"),
    ]
    assert (
        found[0]["brings"]
        == "Wheels for Python 3.12 on this platform, with everything they depend on: httpx."
    )
    assert "for linux-x64" in found[1]["brings"]
    assert found[1]["brings"].endswith("without development dependencies: leaf@^2.")
    assert "exactly what package-lock.json names" in found[2]["brings"]
    assert "[[npm]] 1" in run("manifest", "explain", file).out


def test_the_schema_agrees_with_the_reader():
    Draft202012Validator.check_schema(schema())
    judge = Draft202012Validator(schema())
    assert judge.is_valid(tomllib.loads(example()))
    printed = json.loads(run("manifest", "schema").out)
    assert printed == json.loads(json.dumps(schema()))
    wrong = [
        {"python": [{"requirements": []}]},
        {"python": [{"requirements": ["x"], "label": "A B"}]},
        {"python": [{"requirements": ["x"], "python": "2.7"}]},
        {"npm": [{"packages": ["a"], "script": True}]},
        {"lane": []},
    ]
    for value in wrong:
        assert not judge.is_valid(value), value
        text = "".join(f"{line}\n" for t, rows in value.items() if rows for line in toml_of(t, rows[0]))
        with pytest.raises(ManifestError):
            parse_manifest((text or "lane = []").encode())
