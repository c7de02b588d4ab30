"""Unmodified clients of the Hub beyond downloads: file system, data sets, spaces, configurations."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from corpora.mirrorserver import Server
from corpora.mirrorsite import COMMIT, MirrorSite
from lockgate.core.artifact import Artifact, Kind, Role

CARD = b"---\nconfigs:\n- config_name: default\n  data_files: data/*.csv\n---\n# Rows\n"
ROWS = b"name,count\nalpha,1\nbeta,2\n"
CONFIG = {
    "model_type": "bert",
    "hidden_size": 32,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "vocab_size": 7,
}
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "closed", "network"]


def repository(site, kind, name, contents):
    files = tuple(site.file(f"{kind}s/{name}/{path}", data, Role.OTHER) for path, data in contents.items())
    purl = f"pkg:huggingface/{name}@{COMMIT}?repository_type={kind}"
    return Artifact(purl=purl, kind=kind, name=name, version=COMMIT, files=files)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    site = MirrorSite(tmp_path_factory.mktemp("hub"))
    site.add_model(
        "org/bert",
        {
            "config.json": json.dumps(CONFIG).encode(),
            "vocab.txt": "".join(f"{word}\n" for word in WORDS).encode(),
            "tokenizer_config.json": b'{"tokenizer_class": "BertTokenizer", "do_lower_case": true}',
            "odd names/a b+c #1.txt": b"odd",
        },
    )
    site.add(repository(site, Kind.DATASET, "org/rows", {"README.md": CARD, "data/train.csv": ROWS}))
    site.add(repository(site, Kind.SPACE, "org/app", {"app.py": b"print()\n"}))
    site.publish()
    with Server(site) as running:
        yield running


def python(server, code, program=sys.executable):
    """Run a program in the namespace and return what it prints, as JSON."""
    home = {"HF_HOME": str(server.home / "hf"), "PYTHONDONTWRITEBYTECODE": "1"}
    return json.loads(server.run(program, "-c", code, **home).stdout.splitlines()[-1])


def test_the_file_system_lists_finds_and_reads(server):
    found = python(
        server,
        "import json, huggingface_hub as h; fs = h.HfFileSystem()\n"
        "p = 'org/bert/odd names/a b+c #1.txt'\n"
        "with fs.open(p, 'rb') as f: f.seek(1); part = f.read(2).decode()\n"
        "print(json.dumps([sorted(fs.find('org/bert')), part, fs.exists('org/bert/absent'),"
        " fs.glob('datasets/org/rows/**/*.csv'), fs.info('org/bert/config.json', expand_info=True)"
        "['last_commit'].oid, sorted(e['type'] for e in fs.ls('datasets/org/rows', detail=True))]))",
    )
    names = ["config.json", "odd names/a b+c #1.txt", "tokenizer_config.json", "vocab.txt"]
    assert found == [
        [f"org/bert/{name}" for name in names],
        "dd",
        False,
        ["datasets/org/rows/data/train.csv"],
        COMMIT,
        ["directory", "file"],
    ]


def test_data_sets_and_spaces_are_downloaded_and_told_of(server):
    found = python(
        server,
        "import json, pathlib, huggingface_hub as h; api = h.HfApi()\n"
        "d = pathlib.Path(h.snapshot_download('org/rows', repo_type='dataset'))\n"
        "s = pathlib.Path(h.hf_hub_download('org/app', 'app.py', repo_type='space'))\n"
        "paths = api.get_paths_info('org/rows', ['data', 'absent'], repo_type='dataset', expand=True)\n"
        "commits = api.list_repo_commits('org/rows', repo_type='dataset')\n"
        "print(json.dumps([(d / 'data/train.csv').read_text(), s.read_text(), [p.path for p in paths],"
        " [c.commit_id for c in commits], api.dataset_info('org/rows').sha, api.space_info('org/app').id]))",
    )
    assert found == [ROWS.decode(), "print()\n", ["data"], [COMMIT], COMMIT, "org/app"]


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """Return an interpreter that has `transformers` and `datasets`."""
    folder = tmp_path_factory.mktemp("libraries") / "venv"
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    program = str(folder / "bin" / "python")
    install = [uv, "pip", "install", "-q", "--python", program, "transformers", "datasets"]
    subprocess.run(install, check=True)
    return program


@pytest.mark.online
@pytest.mark.slow
def test_transformers_and_datasets_load_from_the_mirror(server, libraries):
    found = python(
        server,
        "import json; from transformers import AutoConfig, AutoTokenizer\n"
        "c = AutoConfig.from_pretrained('org/bert'); t = AutoTokenizer.from_pretrained('org/bert')\n"
        "print(json.dumps([c.hidden_size, t('Closed network')['input_ids']]))",
        libraries,
    )
    assert found == [32, [2, 5, 6, 3]]
    rows = python(
        server,
        "import json; from datasets import load_dataset\n"
        "d = load_dataset('org/rows', split='train'); print(json.dumps(d.to_list()))",
        libraries,
    )
    assert rows == [{"name": "alpha", "count": 1}, {"name": "beta", "count": 2}]
