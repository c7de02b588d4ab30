"""Artifacts of every kind, some of which replace one another, with all that their pages are made from."""

from corpora.debs import DebFile, suite
from corpora.images import artifact_of, image, index, refers
from corpora.npmpackages import NpmPackage
from corpora.wheels import build_wheel
from lockgate.core.artifact import Artifact, Kind, Role
from lockgate.core.conda import CONDA_FORMAT, CondaPackage
from lockgate.core.rpm import REPOSITORY_FORMAT, RPM_FORMAT, RpmPackage, RpmRepository

RELEASES = ("1.0", "1.1")


def rpm(name, version):
    facts = {"format": RPM_FORMAT, "name": name, "version": version, "architecture": "x86_64"}
    return RpmPackage(**facts, epoch="0", release="1", summary="leaves")


def conda(name, version):
    return CondaPackage(
        format=CONDA_FORMAT, name=name, version=version, build="0", subdir="linux-64", extension=".conda"
    )


def add_repositories(site):
    site.add_suite(suite())
    site.add_suite(suite("trixie"))
    about = {"format": REPOSITORY_FORMAT, "repository": "rocky", "architecture": "x86_64"}
    for channel in ("base", "updates"):
        site.add_rpm_repository(RpmRepository(channel=channel, **about), "keys")


def add_packages(site):
    for version in RELEASES:
        site.add_wheels("leaf", version, build_wheel("leaf", version, requires_python=">=3.11"))
        site.add_deb(DebFile("leaf", version), "bookworm")
        site.add_rpm(rpm("leaf", version), version.encode(), "base:x86_64")
        site.add_conda(conda("leaf", version), version.encode())
        wanted = {"optionalDependencies": {"twig": "1", "bud": "1", "alias": "npm:stem@1"}}
        site.add_npm(NpmPackage("leaf", f"{version}.0", wanted))
    site.add_deb(DebFile("twig", "1"), "bookworm", "trixie")
    site.add_conda(conda("twig", "1"), b"twig", channel="other")
    for name in ("twig", "stem", "@a/leaf"):
        site.add_npm(NpmPackage(name, "1.0.0"))


def add_models(site):
    for model in ("org/m", "org/n", "plain"):
        for number in range(2):
            contents = {"model.gguf": b"%d" % number, "sub/config.json": model.encode()}
            site.add_model(model, contents, commit=f"{number}" * 40)
    for kind, folder in ((Kind.DATASET, "datasets"), (Kind.SPACE, "spaces")):
        file = site.file(f"{folder}/org/m/data/x.csv", b"a,b", Role.OTHER)
        purl = f"pkg:huggingface/org/m@{'c' * 40}"
        site.add(Artifact(purl=purl, kind=kind, name="org/m", version="c" * 40, files=(file,)))


def add_images(site):
    one, other = image(), image({"hello": b"x"}, "arm64")
    for name in ("registry.test/app", "registry.test/app/tool"):
        for made, tags in ((one, ["1", "latest"]), (other, ["latest"]), (index(one, other), ["all"])):
            site.add(artifact_of(site, name, made, *tags))
        site.add(artifact_of(site, name, refers(one)))
    site.add(artifact_of(site, "registry.test/app", image({"weights": b"y"}), "w", kind=Kind.OLLAMA))


def add_files(site):
    for path in ("a.txt", "b/c.md", "b/d/e.pdf", "b/SHA256SUMS", "c/d/f.txt"):
        site.add_document(path, b"1")
    site.add_document("a.txt", b"2", crossing=2)
    moved = site.file("moved/c.md", b"2", Role.DOCUMENT)
    purl = "pkg:generic/b.c.md@2"
    site.add(Artifact(purl=purl, kind=Kind.DOCUMENT, name="b/c.md", version="2", files=(moved,)), crossing=2)
    for kind, path in ((Kind.FILE, "tools/x.bin"), (Kind.FILE, "tools/y.bin"), (Kind.RULES, "rules/z.json")):
        file = site.file(path, path.encode(), Role.OTHER)
        site.add(Artifact(purl=f"pkg:generic/{path}@1", kind=kind, name=path, version="1", files=(file,)))
    site.add_git("team/tool", b"bundle", {"refs/heads/main": "d" * 40})


def add_every_kind(site):
    """Fill a site with artifacts of every kind."""
    for add in (add_repositories, add_packages, add_models, add_images, add_files):
        add(site)
    assert {entry.artifact.kind for entry in site.entries} == set(Kind)
