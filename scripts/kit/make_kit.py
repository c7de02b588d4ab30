"""Builds the kit for the first installation on a machine without a network: `make kit`.

The same commit, requirements and key give the same bytes: the archive has sorted names, fixed owners
and modes, and the commit's time. Wheels come from wherever pip is configured to look, and each has to
have a hash that ``requirements/runtime.txt`` names.
"""  # noqa: INP001  # scripts are no package

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from kit_packages import Target, make_deb, make_rpm, make_tree, run, settle
from kit_signing import KitKey

ROOT = Path(__file__).resolve().parents[2]
FORMAT = "lockgate-kit/1"
GLIBC = "2.28"  # the newest that the pinned wheels ask for: Debian 10, RHEL 8 and later
UNSIGNED = ("SHA256SUMS", "SHA256SUMS.sig", "SHA256SUMS.pgp")


def export(folder: Path) -> int:
    """Write the commit that is checked out, and nothing beside it; return its time."""
    archive = folder.with_suffix(".tar")
    git = ["git", "-C", str(ROOT)]
    run([*git, "archive", "--format=tar", f"--output={archive}", "HEAD"])
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    shown = subprocess.run([*git, "log", "-1", "--format=%ct"], capture_output=True, text=True, check=True)  # noqa: S603
    return int(shown.stdout)


def build_wheel(source: Path, out: Path, epoch: int) -> None:
    """Build Lockgate's own wheel."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    ran = subprocess.run(  # noqa: S603  # our own command
        command,
        cwd=source,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
        check=False,
        capture_output=True,
    )
    if ran.returncode:
        raise SystemExit(ran.stderr.decode(errors="replace")[-2000:])


def collect(source: Path, out: Path, target: Target) -> None:
    """Fetch the wheels that the requirement files pin, by pip and its own configuration."""
    if target.python != "{}.{}".format(*sys.version_info):
        message = f"pip judges markers by the Python that runs it: build this kit with Python {target.python}"
        raise SystemExit(message)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps"]
    command += ["--dest", str(out), *target.pip_options]
    for name in ("requirements/runtime.txt", "scripts/kit/pip.txt"):
        run([*command, "-r", str(source / name)])


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def requirements(wheels: Path) -> str:
    """Return the requirements that install exactly the wheels of a folder."""
    lines = []
    for wheel in sorted(wheels.iterdir()):
        name, version = wheel.name.split("-")[:2]
        lines.append(f"{name}=={version} --hash=sha256:{_hash(wheel)}\n")
    return "".join(lines)


def lay_out(source: Path, kit: Path, target: Target, formats: list[str]) -> None:
    """Fill the kit's folder with everything but sums and signatures."""
    (kit / "wheels").mkdir(parents=True)
    build_wheel(source, kit / "wheels", target.epoch)
    collect(source, kit / "wheels", target)
    (kit / "requirements.txt").write_text(requirements(kit / "wheels"))
    for name in ("verify.sh", "install.sh"):
        shutil.copyfile(source / "scripts" / "kit" / name, kit / name)
    shutil.copyfile(source / "docs" / "runbooks" / "first-installation.md", kit / "README.md")
    shutil.copyfile(source / "LICENSE", kit / "LICENSE")
    facts = {"format": FORMAT, "glibc": target.glibc, "machine": target.machine, "python": target.python}
    facts |= {"version": target.version}
    (kit / "kit.json").write_text(json.dumps(facts, sort_keys=True, separators=(",", ":")) + "\n")
    makers = {"deb": make_deb, "rpm": make_rpm}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if formats:
            (kit / "packages").mkdir()
            make_tree(kit, work / "tree", target)
        for name in formats:
            makers[name](work / "tree", work, kit / "packages", target)


def sign(kit: Path, key: KitKey) -> str:
    """Write the sums of all files and the signatures over them; return the sums' own hash."""
    (kit / "kit-key.cert").write_bytes(key.certificate())
    files = sorted(p.relative_to(kit).as_posix() for p in kit.rglob("*") if p.is_file())
    sums = "".join(f"{_hash(kit / name)}  {name}\n" for name in files if name not in UNSIGNED).encode()
    signatures = key.sign(sums)
    for name, data in zip(UNSIGNED, (sums, signatures.raw, signatures.openpgp), strict=True):
        (kit / name).write_bytes(data)
    return hashlib.sha256(sums).hexdigest()


def pack(kit: Path, epoch: int) -> Path:
    """Write the kit as one archive (POSIX pax, for names over 100 bytes) without anything of this machine."""
    settle(kit, epoch)
    archive = kit.with_name(kit.name + ".tar")
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as out:
        for path in [kit, *sorted(kit.rglob("*"))]:
            entry = out.gettarinfo(path, path.relative_to(kit.parent).as_posix())
            entry.mtime = int(entry.mtime)
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            if path.is_file():
                with path.open("rb") as stream:
                    out.addfile(entry, stream)
            else:
                out.addfile(entry)
    return archive


def main() -> None:
    """Build a kit and print what has to be told to the high side another way."""
    parser = argparse.ArgumentParser(description="Build the signed offline kit.")
    parser.add_argument("--source", type=Path, help="source tree; default: the commit that is checked out")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "kit")
    parser.add_argument("--key", type=Path, required=True, help="Ed25519 key, PKCS #8; passphrase in .pass")
    parser.add_argument("--make-key", action="store_true", help="make the key when there is none")
    parser.add_argument("--python", default="3.11")
    parser.add_argument("--machine", default="x86_64", choices=("x86_64", "aarch64"))
    parser.add_argument("--packages", default="deb,rpm", help="deb, rpm, both, or none: ''")
    chosen = parser.parse_args()
    formats = [name for name in chosen.packages.split(",") if name]
    for name, tool in (("deb", "dpkg-deb"), ("rpm", "rpmbuild")):
        if name in formats and shutil.which(tool) is None:
            parser.error(f"{tool} is not installed: install it or leave {name} out of --packages")
    if chosen.make_key and not chosen.key.exists():
        KitKey.make(chosen.key)
        sys.stderr.write(f"A new kit key was made: {chosen.key}. Whoever has it can sign kits.\n")
    key = KitKey.load(chosen.key)
    with tempfile.TemporaryDirectory() as folder:
        source = chosen.source or Path(folder) / "source"
        told = os.environ.get("SOURCE_DATE_EPOCH")
        epoch = int(told) if told else 0
        if chosen.source is None:
            epoch = export(source)
        elif not told:
            parser.error("with --source, SOURCE_DATE_EPOCH has to be set")
        found = re.search(r'__version__ = "([0-9a-z.]+)"', (source / "src/lockgate/__init__.py").read_text())
        if found is None:
            parser.error(f"{source} has no version of Lockgate")
        target = Target(found[1], chosen.python, chosen.machine, GLIBC, epoch)
        short = target.python.replace(".", "")
        kit = chosen.out.resolve() / f"lockgate-kit-{target.version}-cp{short}-{target.machine}"
        shutil.rmtree(kit, ignore_errors=True)
        lay_out(source, kit, target, formats)
    facts = {"kit": str(kit), "sums_sha256": sign(kit, key)}
    archive = pack(kit, epoch)
    facts |= {"archive": str(archive), "archive_sha256": _hash(archive), "bytes": str(archive.stat().st_size)}
    facts |= {"key": key.public.hex(), "verify_sha256": _hash(kit / "verify.sh")}
    sys.stdout.write(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
