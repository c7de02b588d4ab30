"""Names that are odd and allowed, each asked for by an unmodified client: the Hub's, curl, skopeo, git."""

import json
import sys
from urllib.parse import quote

import pytest

from corpora.gitrepo import GitRepo
from corpora.images import artifact_of, image
from corpora.mirrorserver import HOST, PORT, Server
from corpora.mirrorsite import MirrorSite

MODEL = "Some.Org-1/Model_v1.0-GGUF"
FILES = [
    "plain.txt",
    "UPPER.txt",
    "upper.txt",
    "a b.txt",
    "a+b.txt",
    "a~b.txt",
    "100%.txt",
    "%41.txt",
    "%2e%2e",
    "a?b=c&d.txt",
    "a#b.txt",
    "a;b,c.txt",
    "grüße.txt",
    "gru\u0308ße.txt",
    "日本語/模型.bin",
    "🙂.json",
    ".hidden/.gitattributes",
    "..dots..",
    "a'b\"c.txt",
    "[x]{y}(z).txt",
    "resolve/main/tree/x.txt",
    "api/models/raw.txt",
    f"{'long' * 50}.txt",
    f"{'deep/' * 20}end.txt",
]
CONTENT = {name: f"the content of {name}".encode() for name in FILES}
IMAGES = [
    "registry.test/a",
    "registry.test/a-b/c.d/e_f/g__h/i---j",
    "registry.test/team/blobs",
    "registry.test/team/manifests",
    "registry.test/team/tags/list",
    "registry.test/team/blobs/uploads",
    "registry.test/v2/v2",
    "registry.test/0/1/2/3/4/5/6/7/8/9",
    f"registry.test/{'n' * 200}",
]
TAGS = ["latest", "LATEST", "v1.0", "1", "_x", "a.b-c_d", "sha256-0", "t" * 128]
REPOSITORIES = ["code.example/Group/Tool", "code.example/group/tool", "code.example/a.b/x.y_z-1"]
GIT_TAGS = ["@scope/tool@1.0.0", "_x", "v1.0+rc-1", "UPPER", "upper", "info", f"long-{'x' * 150}"]


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    made = GitRepo(tmp_path_factory.mktemp("repo") / "work")
    made.step(0)
    for name in GIT_TAGS:
        made.tag(name)
    return made


@pytest.fixture(scope="module")
def server(tmp_path_factory, repo):
    site = MirrorSite(tmp_path_factory.mktemp("odd"))
    site.add_model(MODEL, CONTENT)
    for number, name in enumerate(IMAGES):
        tags = TAGS if number == 0 else ["1"]
        site.add(artifact_of(site, name, image({"number": str(number).encode()}), *tags))
    for name in REPOSITORIES:
        site.add_git(name, repo.bundle(), repo.refs())
    for name in FILES:
        site.add_document(f"odd/{name}", CONTENT[name])
    site.publish()
    with Server(site) as running:
        yield running


def test_the_hubs_client_finds_files_of_every_name(server):
    code = (
        "import json, pathlib, huggingface_hub as h\n"
        f"folder = pathlib.Path(h.snapshot_download({MODEL!r}, local_dir='all'))\n"
        "found = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob('*')"
        " if p.is_file() and '.cache' not in p.parts}\n"
        f"one = {{n: open(h.hf_hub_download({MODEL!r}, n)).read() for n in {FILES!r}}}\n"
        f"fs = h.HfFileSystem(); there = [n for n in {FILES!r} if fs.exists({MODEL!r} + '/' + n)]\n"
        "print(json.dumps([found, one, there]))"
    )
    home = {"HF_HOME": str(server.home / "hf")}
    found, one, there = json.loads(server.run(sys.executable, "-c", code, **home).stdout.splitlines()[-1])
    wanted = {name: data.decode() for name, data in CONTENT.items()}
    assert one == wanted
    assert found == wanted
    assert there == FILES


def test_files_are_fetched_by_the_names_that_the_listing_links(server):
    for name in FILES:
        address = f"{server.url}/files/odd/{quote(name)}"
        got = server.run("curl", "-sS", "--path-as-is", "-w", "%{http_code}", address).stdout
        assert got == CONTENT[name].decode() + "200", name


@pytest.mark.parametrize("name", IMAGES)
def test_skopeo_copies_repositories_of_every_name(server, name):
    reference = f"docker://{HOST}:{PORT}/{name}:1"
    folder = f"oci-{IMAGES.index(name)}"
    server.run(
        "skopeo",
        "--insecure-policy",
        "copy",
        "--src-tls-verify=false",
        reference,
        f"oci:{folder}:1",
        TMPDIR=str(server.home),
    )
    index = json.loads((server.home / folder / "index.json").read_text())
    wanted = image({"number": str(IMAGES.index(name)).encode()})
    assert [entry["digest"] for entry in index["manifests"]] == [wanted.root]


def test_skopeo_knows_tags_that_differ_by_case_alone(server):
    where = f"docker://{HOST}:{PORT}/{IMAGES[0]}"
    listed = json.loads(server.run("skopeo", "list-tags", "--tls-verify=false", where).stdout)["Tags"]
    assert listed == sorted(TAGS)
    for tag in TAGS:
        raw = server.run("skopeo", "inspect", "--raw", "--tls-verify=false", f"{where}:{tag}").stdout
        assert raw == server.run("skopeo", "inspect", "--raw", "--tls-verify=false", f"{where}:1").stdout


@pytest.mark.parametrize("name", REPOSITORIES)
def test_git_clones_repositories_and_references_of_every_name(server, repo, name):
    folder = f"git-{REPOSITORIES.index(name)}"
    server.run("git", "clone", "-q", "--bare", f"{server.url}/git/{name}.git", folder)
    assert server.run("git", "-C", folder, "tag").stdout.splitlines() == sorted(GIT_TAGS)
