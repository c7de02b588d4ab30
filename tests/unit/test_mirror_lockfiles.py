"""Lock files rewritten in place, and the command for it."""

import json

import pytest

from corpora.commands import Commands
from lockgate.mirror import rewrite
from lockgate.mirror.errors import LockfileKindError

HERE = "http://mirror.example:8710"
SUM = "a" * 64
NPM = """{
  "lockfileVersion": 3,
  "packages": {
    "node_modules/leaf": {
      "version": "2.1.0",
      "resolved": "https://user:secret@registry.example/leaf/-/leaf-2.1.0.tgz",
      "integrity": "sha512-x"
    },
    "node_modules/@garden/tree": {
      "resolved":   "https://registry.example/api/npm/feed/@garden%2ftree/-/tree-1.0.0.tgz"
    },
    "node_modules/here": { "resolved": "http://mirror.example:8710/npm/here/-/here-1.0.0.tgz" },
    "node_modules/git": { "resolved": "git+ssh://git@host.example/a/b.git#0123" },
    "node_modules/odd": { "resolved": "https://host.example/odd.tgz" }
  }
}
"""


def test_a_package_lock_keeps_every_other_byte():
    found = rewrite("package-lock.json", NPM, f"{HERE}/")
    assert found.text == NPM.replace("https://user:secret@registry.example/leaf", f"{HERE}/npm/leaf").replace(
        "https://registry.example/api/npm/feed/@garden%2ftree", f"{HERE}/npm/@garden/tree"
    )
    assert [old for old, _ in found.changed] == [
        "https://registry.example/leaf/-/leaf-2.1.0.tgz",
        "https://registry.example/api/npm/feed/@garden%2ftree/-/tree-1.0.0.tgz",
    ]
    assert found.left == ["https://host.example/odd.tgz", "git+ssh://host.example/a/b.git#0123"]
    again = rewrite("npm-shrinkwrap.json", found.text, HERE)
    assert (again.text, again.changed) == (found.text, [])


def test_a_yarn_lock_keeps_the_hash_behind_the_address():
    text = '# yarn lockfile v1\n\nleaf@^2:\n  version "2.1.0"\n  resolved "https://r.example/leaf/-/leaf-2.1.0.tgz#0123"\n'
    found = rewrite("yarn.lock", text, HERE)
    assert f'  resolved "{HERE}/npm/leaf/-/leaf-2.1.0.tgz#0123"\n' in found.text
    with pytest.raises(LockfileKindError):
        rewrite("yarn.lock", "__metadata:\n  version: 8\n", HERE)


def test_a_pnpm_lock_names_archives_only_where_they_are_unusual():
    text = "  leaf@2.1.0:\n    resolution: {integrity: sha512-x==, tarball: https://r.example/x/leaf/-/leaf-2.1.0.tgz}\n"
    found = rewrite("web/pnpm-lock.yaml", text, HERE)
    assert f"tarball: {HERE}/npm/leaf/-/leaf-2.1.0.tgz}}" in found.text


def test_a_uv_lock_is_led_to_the_files_by_their_digests():
    text = (
        'source = { registry = "https://i.example/simple" }\n'
        f'sdist = {{ url = "https://f.example/a/b/leaf-2.0.tar.gz", hash = "sha256:{SUM}", size = 1 }}\n'
        f'    {{ url = "https://f.example/c/leaf-2.0-py3-none-any.whl", hash = "sha256:{SUM}" }},\n'
        'source = { git = "git+https://host.example/x.git" }\n'
    )
    found = rewrite("uv.lock", text, HERE)
    assert f'registry = "{HERE}/simple/"' in found.text
    assert f'url = "{HERE}/packages/{SUM}/leaf-2.0-py3-none-any.whl", hash' in found.text
    assert f'url = "{HERE}/packages/{SUM}/leaf-2.0.tar.gz", hash' in found.text
    assert len(found.changed) == 3
    assert found.left == ["git+https://host.example/x.git"]


def test_a_poetry_lock_changes_in_its_sources_only():
    source = '[package.source]\ntype = "legacy"\nurl = "https://i.example/simple"\nreference = "x"\n'
    text = f'[[package]]\nname = "a"\nurl = "https://kept.example"\n\n{source}'
    found = rewrite("poetry.lock", text, HERE)
    assert found.text == text.replace("https://i.example/simple", f"{HERE}/simple")


def test_a_pdm_lock_with_addresses_is_led_to_the_files():
    entry = f'    {{url = "https://f.example/c/leaf-2.0%2Bcu1-py3-none-any.whl", hash = "sha256:{SUM}"}},\n'
    plain = f'    {{file = "leaf-2.0.tar.gz", hash = "sha256:{SUM}"}},\n'
    found = rewrite("pdm.lock", entry + plain, HERE)
    assert f'{{url = "{HERE}/packages/{SUM}/leaf-2.0%2Bcu1-py3-none-any.whl", hash' in found.text
    assert found.text.endswith(plain)


def test_a_standard_lock_is_led_to_the_files_however_its_tables_are_written():
    other = "b" * 64
    text = (
        '[[packages]]\nindex = "https://i.example/simple"\n'
        f'wheels = [{{ url = "https://f.example/a-1.whl", size = 1, hashes = {{ sha256 = "{SUM}" }} }},\n'
        f'  {{ url = "https://f.example/b-1.whl", hashes = {{ sha256 = "{other}" }} }}]\n'
        '[[packages.wheels]]\nname = "c-1.whl"\nurl = "https://f.example/c-1.whl"\n'
        f'[packages.wheels.hashes]\nsha256 = "{SUM}"\n'
        '[packages.archive]\nurl = "https://f.example/d-1.whl"\n'
    )
    found = rewrite("pylock.dev.toml", text, HERE)
    assert f'index = "{HERE}/simple/"' in found.text
    assert [new for _, new in found.changed[1:]] == [
        f"{HERE}/packages/{SUM}/a-1.whl",
        f"{HERE}/packages/{other}/b-1.whl",
        f"{HERE}/packages/{SUM}/c-1.whl",
    ]
    assert "https://f.example/d-1.whl" in found.text


def test_other_files_are_refused():
    for name in ("requirements.txt", "lock", "package.json"):
        with pytest.raises(LockfileKindError):
            rewrite(name, "", HERE)


def test_the_command_rewrites_and_checks(tmp_path):
    file = tmp_path / "package-lock.json"
    file.write_text(NPM)
    run = Commands().run
    checked = run("lockfile", "rewrite", file, "--to", HERE, "--check", "--json")
    assert checked.status == 1
    assert file.read_text() == NPM
    assert "secret" not in checked.out
    done = run("lockfile", "rewrite", file, "--to", HERE, "--json")
    assert done.status == 1
    assert json.loads(done.out)["left"] == [
        "https://host.example/odd.tgz",
        "git+ssh://host.example/a/b.git#0123",
    ]
    file.write_text(file.read_text().replace("git+ssh", "x").replace("https://host.example/odd.tgz", ""))
    assert run("lockfile", "rewrite", file, "--to", HERE, "--check", "--json").status == 0


@pytest.mark.parametrize(
    ("data", "to", "code"),
    [
        (b"{}", "ftp://x", "LG-1f70"),
        (b"{}", 'http://x"evil', "LG-1f70"),
        (b"\xff", HERE, "LG-1f71"),
    ],
)
def test_the_command_refuses_what_is_no_address_or_text(tmp_path, data, to, code):
    file = tmp_path / "package-lock.json"
    file.write_bytes(data)
    _, error = Commands().refused("lockfile", "rewrite", file, "--to", to)
    assert error["code"] == code
    assert file.read_bytes() == data
