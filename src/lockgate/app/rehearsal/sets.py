"""Requirement sets of npm and apt, images and git repositories: each by its own client, from the mirrors."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from lockgate.app.rehearsal.box import Ran
from lockgate.app.rehearsal.context import Context, Outcome, Trial, some
from lockgate.app.rehearsal.fit import debian_architecture, node_cpu
from lockgate.app.rehearsal.missing import deb, from_output
from lockgate.collect.apt.section import AptSection
from lockgate.collect.npm.section import NpmSection, split_spec
from lockgate.core.artifact import Kind
from lockgate.mirror import rewrite

_APT_FOLDERS = (
    "etc/sources.list.d",
    "etc/preferences.d",
    "etc/apt.conf.d",
    "lists/partial",
    "archives/partial",
    "root/var/lib/dpkg/updates",
    "root/var/lib/dpkg/info",
)


def rehearse_npm(context: Context) -> Iterator[Outcome]:
    """Yield what came of each ``[[npm]]`` table; no package's script is run."""
    for number, section in enumerate(context.manifest.content.npm, 1):
        what = some(section.packages) or section.package_json or section.lockfile or ""
        trial = Trial(context, f"npm set {number} ({what}): npm")
        if shutil.which("npm") is None:
            yield trial.unproven("There is no npm here.")
            continue
        folder = context.folder("npm")
        command = _npm_project(context, section, folder)
        words = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
        words += ["--registry", f"{context.url}/npm/", "--replace-registry-host", "always"]
        words += ["--os", "linux", "--cpu", node_cpu(context.host), "--libc", context.host.libc]
        words += [] if section.development else ["--omit", "dev"]
        quiet = {"npm_config_cache": str(folder / "cache"), "npm_config_update_notifier": "false"}
        yield trial.of(context.box.run(folder, ["npm", command, *words], quiet))


def _npm_project(context: Context, section: NpmSection, folder: Path) -> str:
    """Write what npm is to install into a folder and return npm's command for it."""
    if section.packages:
        wanted = dict(split_spec(text) for text in section.packages)
        (folder / "package.json").write_text(json.dumps({"name": "rehearsal", "dependencies": wanted}))
        return "install"
    if section.package_json is not None:
        shutil.copyfile(context.manifest.folder / section.package_json, folder / "package.json")
        return "install"
    lockfile = context.manifest.folder / (section.lockfile or "")
    text = lockfile.read_text()
    (folder / "package-lock.json").write_text(rewrite("package-lock.json", text, context.url).text)
    beside = lockfile.with_name("package.json")
    if beside.is_file():
        shutil.copyfile(beside, folder / "package.json")
        return "ci"
    root = json.loads(text).get("packages", {}).get("", {})
    (folder / "package.json").write_text(json.dumps({"name": "rehearsal", **root}))
    return "ci"


def rehearse_apt(context: Context) -> Iterator[Outcome]:
    """Yield what came of each ``[[apt]]`` table, in a private root with an empty system."""
    for number, section in enumerate(context.manifest.content.apt, 1):
        name = f"apt set {number} ({some(section.packages) or section.name})"
        trial = Trial(context, f"{name}: apt-get update")
        if not context.apt_sources:
            yield trial.failed("The mirrors serve no signed repository.")
            continue
        if shutil.which("apt-get") is None:
            yield trial.unproven("There is no apt here.")
            continue
        apt = _Apt(context)
        ran = apt("update")
        yield trial.of(ran)
        if ran.well:
            yield _packages(context, section, apt, name)


def _packages(context: Context, section: AptSection, apt: "_Apt", name: str) -> Outcome:
    trial = Trial(context, f"{name}: apt-get install for {apt.architecture}")
    if section.architectures and apt.architecture not in section.architectures:
        return trial.unproven(f"The set is for {', '.join(section.architectures)}, not for the host.")
    if not section.packages:
        return trial.unproven("The set names no packages; what it brings was indexed and not installed.")
    recommends = "--install-recommends" if section.recommends else "--no-install-recommends"
    words = ["install", "--yes", "--download-only", recommends]
    ran = apt(*words, *section.packages)
    if ran.well:
        return trial.passed("Resolved and fetched into an empty system; maintainer scripts were not run.")
    suite = section.suites[0] if section.suites else ""
    lost = [deb(each.name, section.name, suite) for each in from_output(ran.said) if each.protocol == "apt"]
    return trial.failed(ran.reason, lost)


class _Apt:
    """apt-get with folders of its own, told of the throw-away mirrors alone (apt.conf(5))."""

    def __init__(self, context: Context) -> None:
        self._box = context.box
        self.architecture = debian_architecture(context.host)
        self._folder = folder = context.folder("apt")
        for name in _APT_FOLDERS:
            (folder / name).mkdir(parents=True)
        status = folder / "root/var/lib/dpkg/status"
        status.touch()
        (folder / "etc/sources.list.d/lockgate.sources").write_text(context.apt_sources)
        settings = {
            "Dir::Etc": folder / "etc",
            "Dir::Etc::SourceList": "/dev/null",
            "Dir::Etc::TrustedParts": "/dev/null",
            "Dir::Etc::Trusted": "/dev/null",
            "Dir::State": folder,
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": status,
            "Dir::State::extended_states": folder / "extended",
            "Dir::Cache": folder,
            "Dir::Cache::archives": folder / "archives",
            "Dir::Log": folder,
            "APT::Architecture": self.architecture,
            "APT::Architectures": self.architecture,
            "APT::Sandbox::User": "root",
            "Debug::NoLocking": "1",
            "Acquire::Retries": "0",
        }
        self._config = folder / "apt.conf"
        self._config.write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))

    def __call__(self, *words: str) -> Ran:
        place = {"APT_CONFIG": str(self._config), "LC_ALL": "C"}
        return self._box.run(self._folder, ["apt-get", *words], place)


def rehearse_images(context: Context) -> Iterator[Outcome]:
    """Yield what came of pulling each image's tags for the host's processor; no image is run."""
    for section in context.manifest.content.oci:
        for tag in section.tags:
            trial = Trial(context, f"image {section.image}:{tag}: skopeo")
            if shutil.which("skopeo") is None:
                yield trial.unproven("There is no skopeo here.")
                continue
            source = f"docker://{context.url.partition('://')[2]}/{section.name}:{tag}"
            machine = debian_architecture(context.host)
            words = ["skopeo", "--insecure-policy", "--override-os", "linux", "--override-arch", machine]
            folder = context.folder("image")
            target = f"dir:{folder / 'image'}"
            yield trial.of(
                context.box.run(folder, [*words, "copy", "--src-tls-verify=false", source, target])
            )


def rehearse_git(context: Context) -> Iterator[Outcome]:
    """Yield what came of cloning each repository."""
    for artifact in context.artifacts(Kind.GIT):
        trial = Trial(context, f"git {artifact.name}: clone")
        if shutil.which("git") is None:
            yield trial.unproven("There is no git here.")
            continue
        words = ["git", "clone", "--quiet", "--bare", f"{context.url}/git/{artifact.name}", "clone"]
        yield trial.of(context.box.run(context.folder("git"), words))
