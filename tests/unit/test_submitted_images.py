"""Pushed images as submissions: whole, named apart from what crossed, with what they are visibly made of."""

import asyncio
import json
from dataclasses import dataclass, field

import pytest
from test_mirror_push import sending
from typer.testing import CliRunner

from corpora.gates import Scripted
from corpora.homes import HighSide
from corpora.images import IMAGE, digest, image, index, layer, refers, to_json
from corpora.images import artifact_of as listed
from corpora.mirrorsite import MirrorSite
from lockgate.app.gate.gate import execute, open_gate
from lockgate.app.high.internal import drop_folder, internal_of
from lockgate.app.settings import SettingsError
from lockgate.app.submit.bases import found_bases
from lockgate.app.submit.folder import take_all
from lockgate.app.submit.making import Offer, UnknownSubmissionError
from lockgate.app.submit.taking import NameTakenError, submit
from lockgate.cli.main import app
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.digests import sha256
from lockgate.core.submission import name_key
from lockgate.mirror.taking.drop import submitted_by
from lockgate.mirror.taking.pushed import ManifestPush
from lockgate.store import FileBlobs

REPO = "team/app"


@dataclass
class Inside:
    """A high side with an open namespace, pushed to without a server."""

    high: HighSide
    pushed: object
    uploads: object
    internal: object = field(repr=False)

    def blob(self, data, repository=REPO):
        upload = self.uploads.start(repository)
        with self.uploads.writing(upload, None) as file:
            self.uploads.write(upload, file, data)
        self.pushed.keep_blob(upload, digest(data), "client")
        self.uploads.end(upload)

    def push(self, made, tag="1.0", *, without=()):
        for data in made.blobs.values():
            self.blob(data)
        for name, body in made.manifests.items():
            if name not in without:
                reference = tag if name == made.root and tag else name
                self.pushed.keep_manifest(ManifestPush(REPO, reference, body, ""), "client")

    def submit(self, reference=f"{REPO}:1.0", **said):
        return submit(
            self.high.side, Offer(drop_folder(self.high.side), image=reference, **said), "dora", "oci"
        )

    def crossed(self, sequence, name, made):
        store = FileBlobs(self.high.side.home.quarantine)

        class Site:
            def file(self, path, data, role):
                return ArtifactFile(path=path, role=role, size=len(data), sha256=store.put_bytes(data))

        artifact = listed(Site(), name, made, "1")
        self.high.arrive_with(sequence, artifact)
        return artifact


@pytest.fixture
def inside(tmp_path):
    high = HighSide.new(tmp_path)
    config = high.side.home.config
    config.write_text(config.read_text() + '\n[serve]\nopen_namespaces = "team"\n')
    internal = internal_of(high.side)
    return Inside(high, internal.pushed, internal.uploads, internal)


def layered(*contents):
    """Return an image with one layer for each content."""
    packed = [layer(files)[1] for files in contents]
    config = to_json({"architecture": "amd64", "os": "linux"})
    kind = "application/vnd.oci.image.layer.v1.tar+gzip"
    said = [{"mediaType": kind, "digest": digest(p), "size": len(p)} for p in packed]
    about = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": digest(config),
        "size": len(config),
    }
    body = to_json({"schemaVersion": 2, "mediaType": IMAGE, "config": about, "layers": said})
    made = image()
    made.root, made.manifests = digest(body), {digest(body): body}
    made.blobs = {digest(data): data for data in (config, *packed)}
    return made


def test_an_image_comes_whole_with_its_platforms_and_what_refers_to_it(inside):
    both = index(image(), image({"x": b"arm"}, "arm64"))
    signed = refers(both)
    inside.push(both)
    inside.push(signed, tag="")
    cosign = image({"signature": b"by cosign"})
    inside.push(cosign, tag=f"{both.root.replace(':', '-')}.sig")
    taken = inside.submit(label="restricted", licence="MIT")
    artifact = taken.artifact
    everything = {**both.manifests, **both.blobs, **signed.manifests, **signed.blobs}
    everything |= {**cosign.manifests, **cosign.blobs}
    assert {f.sha256 for f in artifact.files} == {sha256(data) for data in everything.values()}
    manifests = {f.sha256 for f in artifact.files if f.role is Role.MANIFEST}
    assert manifests == {
        sha256(d) for d in {**both.manifests, **signed.manifests, **cosign.manifests}.values()
    }
    assert (artifact.kind, artifact.name, artifact.version) == (Kind.OCI, f"inside/{REPO}", both.root)
    assert (artifact.label, artifact.licence) == ("restricted", "MIT")
    assert artifact.attributes["tags"] == "1.0"
    assert artifact.attributes["origin"] == "internal"
    quarantine = FileBlobs(inside.high.side.home.quarantine)
    assert all(quarantine.has(f.sha256) for f in artifact.files)


def test_what_lacks_a_part_or_a_tag_is_no_submission(inside):
    both = index(image(), image({"x": b"arm"}, "arm64"))
    inside.push(both, without=(list(both.manifests)[-1],))
    with pytest.raises(UnknownSubmissionError, match="lacks sha256:"):
        inside.submit()
    lone = image({"lone": b"1"})
    inside.push(lone, tag="")
    with pytest.raises(UnknownSubmissionError, match="No tag names"):
        inside.submit(f"{REPO}@{lone.root}")
    for wrong in ("", f"{REPO}:absent", "absent:1.0", REPO, f"{REPO}@sha256:zz", "../x:1"):
        with pytest.raises(UnknownSubmissionError):
            inside.submit(wrong or "x:1")


def test_all_tags_of_the_digest_come_along_and_the_same_image_only_once(inside):
    made = image()
    inside.push(made)
    inside.push(made, "latest")
    assert inside.submit(f"{REPO}@{made.root}").artifact.attributes["tags"] == "1.0 latest"
    with pytest.raises(NameTakenError, match="submitted before"):
        inside.submit()


def test_bytes_that_changed_in_the_open_namespace_are_not_taken(inside):
    made = image()
    inside.push(made)
    blob = inside.internal.files.path(sha256(next(iter(made.blobs.values()))))
    blob.chmod(0o600)
    blob.write_bytes(bytes(blob.stat().st_size))
    with pytest.raises(Exception, match="hash") as caught:
        inside.submit()
    assert caught.value.code.startswith("LG-")


def test_no_image_from_inside_has_the_short_name_of_one_that_crossed(inside):
    crossed = inside.crossed(1, f"registry.test/{REPO}", image({"theirs": b"1"}))
    inside.push(image())
    with pytest.raises(NameTakenError, match="crossed as number 1"):
        inside.submit()
    assert name_key(crossed) == f"oci {REPO}"


def test_the_layers_that_an_image_begins_with_say_what_it_is_made_of(inside):
    base, more, other = {"base": b"1"}, {"more": b"2"}, {"other": b"3"}
    short = inside.crossed(1, "registry.test/short", layered(base))
    long = inside.crossed(2, "registry.test/long", layered(base, more))
    inside.crossed(3, "registry.test/other", layered(other))
    gate = open_gate(inside.high.side)
    gate.inspect(2, Scripted())
    execute(inside.high.side, inside.high.signed(gate.request(2, "stable", inside.high.operator), "base"))
    inside.push(layered(base, more, {"own": b"4"}))
    taken = inside.submit()
    assert taken.artifact.attributes["derived-from"] == long.purl
    inside.push(layered(base, {"own": b"5"}), "2.0")
    assert inside.submit(f"{REPO}:2.0").artifact.attributes["derived-from"].split() == [short.purl]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("adapter_config.json", '{"base_model_name_or_path": "org/base"}', True),
        ("adapter_config.json", '{"base_model_name_or_path": ["org/base"]}', False),
        ("adapter_config.json", "[" * 100_000, False),
        ("README.md", "---\nlicense: mit\nbase_model: 'org/base'  \n---\n# x", True),
        ("README.md", "---\r\nbase_model:\r\n  - org/other\r\n  - org/base\r\n---\r\n", True),
        ("README.md", "no head\nbase_model: org/base\n", False),
        ("README.md", "---\nbase_model:\n---\n- org/base\n", False),
        ("notes.md", "---\nbase_model: org/base\n---\n", False),
    ],
)
def test_a_model_goes_back_to_the_base_that_it_names_if_that_is_known(inside, name, text, expected):
    store = FileBlobs(inside.high.side.home.quarantine)
    file = ArtifactFile(
        path=f"models/team/tuned/{name}",
        role=Role.OTHER,
        size=len(text),
        sha256=store.put_bytes(text.encode()),
    )

    def model(name, *files, version="1"):
        purl = f"pkg:huggingface/{name}@{version}"
        return listed_model(purl, name, version, files)

    base = model("org/base")
    made = model("team/tuned", file)
    assert found_bases(made, [base, model("org/third")], store) == ([base.purl] if expected else [])


def listed_model(purl, name, version, files):
    return Artifact(purl=purl, kind=Kind.MODEL, name=name, version=version, files=files or (FILE,))


FILE = ArtifactFile(path="models/x/y/model.gguf", role=Role.WEIGHTS, size=1, sha256="0" * 64)


def test_a_pushed_tag_is_noted_for_the_gate_and_taken_from_there(inside):
    made = image()
    for data in made.blobs.values():
        inside.blob(data)
    site = inside.high.side
    mirror = MirrorSite(inside.high.folder / "mirror")
    mirror.publish()
    served = mirror.app(internal=inside.internal)

    async def put(reference):
        path = f"/v2/{REPO}/manifests/{reference}"
        return await sending(
            served, "PUT", path, [{"type": "http.request", "body": made.manifests[made.root]}]
        )

    assert asyncio.run(put(made.root)).status == 201
    assert not drop_folder(site).exists()
    assert asyncio.run(put("1.0")).status == 201
    assert asyncio.run(put("latest")).status == 201
    served.state.site.blobs.close()
    (found,) = take_all(site, None, "nobody", lambda _: None)
    assert (found.code, found.number) == ("", 900_001)
    assert [p.name for p in drop_folder(site).iterdir() if p.is_file()] == []
    artifact = open_gate(site).lock(open_gate(site).crossings()[0]).artifacts[0]
    assert artifact.attributes["submitted-by"] == "address client"
    assert artifact.attributes["tags"] == "1.0 latest"


def test_tags_that_belong_to_another_manifest_are_no_submissions():
    root = image().root
    assert submitted_by("1.0", ())
    assert submitted_by(root, ("1.0",))
    assert not submitted_by(root, ())
    assert not submitted_by(root.replace(":", "-"), ())
    assert not submitted_by(f"{root.replace(':', '-')}.sig", ())


def test_nobody_opens_the_namespace_of_what_was_admitted(inside):
    config = inside.high.side.home.config
    config.write_text(config.read_text().replace('"team"', '"team inside/x"'))
    with pytest.raises(SettingsError, match="inside/x"):
        internal_of(inside.high.side)


def test_a_person_submits_a_pushed_image_by_its_tag(inside):
    inside.push(image())
    home = str(inside.high.lane.high)
    words = ["submit", "image", f"{REPO}:1.0", "--by", "dora", "--home", home, "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["number"] == 900_001
    done = CliRunner().invoke(app, ["submit", "image", "team/none:1", "--by", "dora", "--home", home])
    assert done.exit_code != 0
