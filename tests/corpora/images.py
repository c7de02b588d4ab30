"""Container images made by hand: layers, configurations, manifests, indexes, referrers."""

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field

from lockgate.core.artifact import Artifact, Kind, Role

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"
SIGNATURE = "application/vnd.example.signature.v1+json"


def digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def descriptor(data, media_type, **members):
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **members}


def to_json(value):
    """Return JSON with white space, which nobody may change."""
    return json.dumps(value, indent=1).encode()


def layer(files):
    """Return an uncompressed layer and its gzip form."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue(), gzip.compress(out.getvalue(), mtime=0)


@dataclass
class Image:
    """A closed set of manifests and blobs; `root` is the digest that a tag stands for."""

    root: str
    manifests: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def include(self, other):
        self.manifests |= other.manifests
        self.blobs |= other.blobs
        return self


def image(files=None, architecture="amd64", **members):
    """Return an image of one layer."""
    plain, packed = layer(files or {"hello": b"hello\n"})
    config = to_json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(plain)]},
        }
    )
    manifest = to_json(
        {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": descriptor(config, CONFIG),
            "layers": [descriptor(packed, LAYER)],
            **members,
        }
    )
    blobs = {digest(config): config, digest(packed): packed}
    return Image(digest(manifest), {digest(manifest): manifest}, blobs)


def index(*images, missing=()):
    """Return an index over images, one per architecture; `missing` are descriptors of absent ones."""
    listed = []
    for each, architecture in zip(images, ("amd64", "arm64", "s390x"), strict=False):
        body = each.manifests[each.root]
        listed.append(descriptor(body, IMAGE, platform={"os": "linux", "architecture": architecture}))
    body = to_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [*listed, *missing]})
    made = Image(digest(body), {digest(body): body})
    for each in images:
        made.include(each)
    return made


def refers(subject, artifact_type=SIGNATURE, payload=b'{"signed": true}', **annotations):
    """Return an artifact that refers to the first manifest of an image."""
    body = subject.manifests[subject.root]
    kind = json.loads(body)["mediaType"]
    manifest = to_json(
        {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "artifactType": artifact_type,
            "config": descriptor(b"{}", EMPTY),
            "layers": [descriptor(payload, "application/json")],
            "subject": descriptor(body, kind),
            "annotations": annotations,
        }
    )
    return Image(
        digest(manifest), {digest(manifest): manifest}, {digest(b"{}"): b"{}", digest(payload): payload}
    )


def titled(files):
    """Return an artifact of files that are no layers, each under its title, as ORAS pushes them."""
    title = "org.opencontainers.image.title"
    layers = [descriptor(d, "application/octet-stream", annotations={title: n}) for n, d in files.items()]
    manifest = to_json(
        {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "artifactType": "application/vnd.test.data",
            "config": descriptor(b"{}", EMPTY),
            "layers": layers,
        }
    )
    blobs = {digest(data): data for data in (b"{}", *files.values())}
    return Image(digest(manifest), {digest(manifest): manifest}, blobs)


def artifact_of(site, name, made, *tags, kind=Kind.OCI, **attributes):
    """Return an image as a lock lists it; its bytes lie in the site's store."""
    root = made.root.removeprefix("sha256:")
    files = []
    for role, held in ((Role.MANIFEST, made.manifests), (Role.BLOB, made.blobs)):
        for data in held.values():
            path = f"{kind}/{name}/{root}/{hashlib.sha256(data).hexdigest()}"
            files.append(site.file(path, data, role))
    return Artifact(
        purl=f"pkg:oci/{name.rpartition('/')[2]}@sha256%3A{root}?repository_url={name}",
        kind=kind,
        name=name,
        version=made.root,
        files=tuple(files),
        attributes={"tags": " ".join(tags), **attributes},
    )
