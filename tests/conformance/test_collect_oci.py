"""Images and Ollama's models, collected with the real skopeo from real registries; mirrors of mirrors."""

import json
import os
import subprocess

import pytest

from collect_doubles import NOW
from corpora.images import IMAGE, INDEX, artifact_of, descriptor, image, index, refers, to_json
from corpora.mirrorsite import MirrorSite, admitted
from corpora.registry import docker_registry, mirroring
from lockgate.collect.difference import State, compare
from lockgate.collect.errors import DigestMismatchError, UnreachableError, UnresolvableError
from lockgate.collect.memory import MemoryPackages, MemoryWeb
from lockgate.collect.oci import Clients, Skopeo, WebRegistry
from lockgate.collect.plan import plan
from lockgate.collect.service import collect
from lockgate.core.artifact import Kind, Role
from lockgate.core.ports import Silent
from lockgate.store.blobs import FileBlobs

AMD, ARM = image({"hello": b"amd\n", "big": os.urandom(1 << 20)}), image({"hello": b"arm\n"}, "arm64")
BOTH = index(AMD, ARM)
SIGNED = refers(BOTH, by="a test")
COUNTERSIGNED = refers(SIGNED, payload=b"countersigned")


def gather(folder, text, *, name="low", previous=None, offline=False):
    """Collect a manifest into a folder's store."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.toml").write_text(text)
    return collect(
        folder / "manifest.toml",
        blobs=FileBlobs(folder / "blobs"),
        work=folder / "work",
        lane="test",
        clock=lambda: NOW,
        progress=Silent(),
        packages=MemoryPackages({}),
        web=MemoryWeb({}),
        copier=Skopeo({**os.environ, "TMPDIR": str(folder)}),
        previous=previous,
        offline=offline,
    ).lock


def section(registry, repository="team/app", tags='["1.0"]', **more):
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
    return f'[[oci]]\nimage = "{registry.host}/{repository}"\ntags = {tags}\nplain_http = true\n{lines}'


def bytes_of(folder, artifact):
    """Return manifests and blobs of an artifact by digest, as the store has them."""
    blobs = FileBlobs(folder / "blobs")
    return {f"sha256:{f.sha256}": blobs.read(f.sha256) for f in artifact.files}


def everything(*made):
    return {key: data for each in made for key, data in {**each.manifests, **each.blobs}.items()}


def published(folder, *artifacts):
    """Return a mirror's site over the store that a collection filled."""
    site = MirrorSite(folder)
    site.entries += [admitted(artifact) for artifact in artifacts]
    site.publish()
    return site


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    with docker_registry(tmp_path_factory.mktemp("debian")) as registry:
        registry.push("team/app", index(AMD, ARM), "1.0")
        registry.push("team/app", index(AMD, ARM), "latest")
        registry.push("team/app", AMD, "amd")
        for signature in (SIGNED, COUNTERSIGNED):
            registry.push("team/app", signature, "unused")
        for subject, signature in ((BOTH, SIGNED), (SIGNED, COUNTERSIGNED)):
            entry = descriptor(signature.manifests[signature.root], IMAGE, artifactType="a/b")
            body = to_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})
            path = f"/v2/team/app/manifests/{subject.root.replace(':', '-')}"
            assert registry.ask("PUT", path, body, Content_Type=INDEX).status == 201
        yield registry


def test_a_tag_is_pinned_and_all_platforms_and_referrers_come(debian, tmp_path):
    (found,) = gather(tmp_path, section(debian, tags='["latest", "1.0"]')).artifacts
    assert (found.kind, found.version) == (Kind.OCI, BOTH.root)
    assert found.attributes == {"tags": "1.0 latest"}
    assert bytes_of(tmp_path, found) == everything(BOTH, SIGNED, COUNTERSIGNED)
    roles = {f"sha256:{f.sha256}": f.role for f in found.files}
    assert {key for key, role in roles.items() if role is Role.MANIFEST} == {
        *BOTH.manifests,
        *SIGNED.manifests,
        *COUNTERSIGNED.manifests,
    }


def test_what_cosign_tags_comes_with_its_manifest(debian, tmp_path):
    """The older form refers to nothing: only its tag says what it signs."""
    signed, attested = (image({name: b"signature"}) for name in ("sig", "att"))
    debian.push("team/tagged", AMD, "1.0")
    for made, end in ((signed, "sig"), (attested, "att")):
        debian.push("team/tagged", made, f"{AMD.root.replace(':', '-')}.{end}")
    (found,) = gather(tmp_path, section(debian, "team/tagged", tags='["1.0"]')).artifacts
    assert bytes_of(tmp_path, found) == everything(AMD, signed, attested)
    (bare,) = gather(tmp_path, section(debian, "team/tagged", tags='["1.0"]', referrers=False)).artifacts
    assert bytes_of(tmp_path, bare) == everything(AMD)


def foresee(folder, text, previous):
    """Return what collecting a manifest again would change."""
    (folder / "manifest.toml").write_text(text)
    return plan(
        folder / "manifest.toml",
        blobs=FileBlobs(folder / "blobs"),
        work=folder / "work",
        progress=Silent(),
        packages=MemoryPackages({}),
        web=MemoryWeb({}),
        images=Clients(Skopeo({**os.environ, "TMPDIR": str(folder)}), as_registry),
        previous=previous,
    )


def short(made):
    return made.root.removeprefix("sha256:")[:12]


def as_registry(host, plain):
    return WebRegistry(host, plain=plain)


def test_what_is_signed_or_attested_after_it_was_taken_is_told_and_comes(tmp_path):
    """The digest stays the same: only what refers to it, and cosign's tags, say that there is more."""
    with docker_registry(tmp_path / "registry") as registry:
        registry.push("team/late", BOTH, "1.0")
        text = section(registry, "team/late")
        taken = gather(tmp_path / "low", text)
        assert foresee(tmp_path / "low", text, taken) == ()
        registry.push("team/late", SIGNED, "unused")
        entry = descriptor(SIGNED.manifests[SIGNED.root], IMAGE, artifactType="a/b")
        body = to_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})
        path = f"/v2/team/late/manifests/{BOTH.root.replace(':', '-')}"
        assert registry.ask("PUT", path, body, Content_Type=INDEX).status == 201
        attested = image({"att": b"attestation"})
        registry.push("team/late", attested, f"{ARM.root.replace(':', '-')}.att")
        (seen,) = foresee(tmp_path / "low", text, taken)
        assert (seen.before, seen.now) == ((BOTH.root,), (BOTH.root,))
        assert sorted(seen.warnings) == [
            f"new or changed attestation of {short(ARM)} by its tag: {short(attested)}",
            f"new referrer to {short(BOTH)}: a/b {short(SIGNED)}",
        ]
        again = gather(tmp_path / "low", text, previous=taken)
        assert {f"sha256:{f.sha256}" for f in again.artifacts[0].files} >= {SIGNED.root, attested.root}
        (change,) = compare(taken, again).of(State.CHANGED)
        assert change.warnings == (f"new signatures, attestations or others of {BOTH.root[:19]}: 2",)
        assert foresee(tmp_path / "low", text, again) == ()
        registry.push("team/late", AMD, "1.0")
        (moved,) = foresee(tmp_path / "low", text, again)
        assert (moved.before, moved.now, moved.warnings) == ((BOTH.root,), (AMD.root,), ())


def test_two_tags_of_two_digests_are_two_artifacts(debian, tmp_path):
    found = gather(tmp_path, section(debian, tags='["1.0", "amd"]', referrers=False)).artifacts
    assert {a.version: a.attributes["tags"] for a in found} == {BOTH.root: "1.0", AMD.root: "amd"}


def test_chosen_platforms_come_and_the_others_do_not(debian, tmp_path):
    (found,) = gather(tmp_path, section(debian, platforms=["linux/arm64"], referrers=False)).artifacts
    expected = {BOTH.root: BOTH.manifests[BOTH.root], **ARM.manifests, **ARM.blobs}
    assert bytes_of(tmp_path, found) == expected
    site = published(tmp_path, found)  # an index may lack platforms
    with mirroring(site) as mirror:
        served = mirror.ask("GET", f"/v2/{found.name}/manifests/{ARM.root}")
        assert served.body == ARM.manifests[ARM.root]
    with pytest.raises(UnresolvableError, match="none of the platforms"):
        gather(tmp_path, section(debian, platforms=["linux/s390x"]))


def test_what_is_not_there_is_said(debian, tmp_path):
    for text in (section(debian, tags='["absent"]'), section(debian, "absent/app")):
        with pytest.raises(UnresolvableError):
            gather(tmp_path, text)
    with pytest.raises(UnreachableError):
        gather(tmp_path, '[[oci]]\nimage = "127.0.0.1:9/team/app"\ntags = ["1"]\nplain_http = true\n')


def test_offline_what_was_collected_before_is_taken_again(debian, tmp_path):
    first = gather(tmp_path, section(debian))
    assert gather(tmp_path, section(debian), previous=first, offline=True) == first
    with pytest.raises(UnresolvableError, match="was not collected before"):
        gather(tmp_path, section(debian, tags='["amd"]'), previous=first, offline=True)


def test_a_mirror_of_a_mirror_is_byte_identical(debian, tmp_path):
    (first,) = gather(tmp_path / "one", section(debian)).artifacts
    with mirroring(published(tmp_path / "one", first)) as one:
        (second,) = gather(tmp_path / "two", section(one, first.name)).artifacts
        with mirroring(published(tmp_path / "two", second)) as two:
            assert bytes_of(tmp_path / "two", second) == bytes_of(tmp_path / "one", first)
            for file in first.files:
                what = "manifests" if file.role is Role.MANIFEST else "blobs"
                path = f"{what}/sha256:{file.sha256}"
                pair = [m.ask("GET", f"/v2/{n}/{path}") for m, n in ((one, first.name), (two, second.name))]
                assert pair[0].body == pair[1].body
                assert pair[0].headers["content-type"] == pair[1].headers["content-type"]
            lists = [
                json.loads(m.ask("GET", f"/v2/{n}/referrers/{BOTH.root}").body)
                for m, n in ((one, first.name), (two, second.name))
            ]
            assert lists[0] == lists[1]
            assert [entry["digest"] for entry in lists[0]["manifests"]] == [SIGNED.root]


def skopeo(*arguments):
    subprocess.run(["skopeo", "--insecure-policy", *arguments], check=True, capture_output=True)


def test_layouts_and_archives_are_sources_too(debian, tmp_path):
    source = f"docker://{debian.host}/team/app"
    plain = ("copy", "--src-tls-verify=false")
    skopeo(*plain, "--all", "--preserve-digests", f"{source}:1.0", f"oci:{tmp_path}/layout:1.0")
    skopeo(*plain, "--all", "--preserve-digests", f"{source}:1.0", f"oci-archive:{tmp_path}/a.tar:1.0")
    skopeo(*plain, f"{source}:amd", f"docker-archive:{tmp_path}/d.tar:registry.test/team/app:1.0")
    head = '[[oci]]\nimage = "registry.test/team/app"\ntags = ["1.0"]\n'
    for line in ('layout = "layout"', 'oci_archive = "a.tar"'):
        (found,) = gather(tmp_path, f"{head}{line}\n").artifacts
        assert bytes_of(tmp_path, found) == everything(BOTH)
    (made,) = gather(tmp_path, f'{head}docker_archive = "d.tar"\n').artifacts
    held = bytes_of(tmp_path, made)
    manifest = json.loads(held[made.version])
    assert manifest["mediaType"] == IMAGE
    assert json.loads(held[manifest["config"]["digest"]])["architecture"] == "amd64"
    assert gather(tmp_path, f'{head}docker_archive = "d.tar"\n').artifacts == (made,)


def test_a_registry_that_gives_other_bytes_is_refused(tmp_path):
    site = MirrorSite(tmp_path / "site")
    made = index(AMD).include(refers(index(AMD)))
    site.add(artifact_of(site, "h.test/app", made, "1.0"))
    site.publish()
    with mirroring(site) as mirror:
        text = section(mirror, "h.test/app")
        (key,) = [k for k, v in made.blobs.items() if v == b'{"signed": true}']
        path = site.blobs.path(key.removeprefix("sha256:"))
        path.chmod(0o644)
        path.write_bytes(b'{"signed": evil}'[: path.stat().st_size])
        with pytest.raises((DigestMismatchError, UnreachableError)):
            gather(tmp_path / "low", text)
        assert not FileBlobs(tmp_path / "low" / "blobs").has(key.removeprefix("sha256:"))
