"""Makes a Debian package and an RPM of the same tree, each byte for byte reproducible.

The tree is a virtual environment as `venv` would lay it out, below ``/opt/lockgate``: it has no
maintainer scripts, so installing it runs nothing.
"""  # noqa: INP001  # scripts are no package

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HOME = "opt/lockgate"
DEBIAN_MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}
SUMMARY = "AI inside a closed network, and what it needs brought across the gap"
DESCRIPTION = (
    "Brings models, packages and documents across an air gap: verified, inspected,\n"
    "approved by two people, traceable. This package carries all Python dependencies."
)
PROGRAM = """#!/{home}/bin/python3 -I
import sys
from lockgate.cli.main import main

sys.exit(main())
"""


@dataclass(frozen=True, slots=True)
class Target:
    """What a kit is for: version of Lockgate and Python, machine, oldest C library."""

    version: str
    python: str
    machine: str
    glibc: str
    epoch: int

    @property
    def platforms(self) -> list[str]:
        """Return the platform tags of wheels that run there (PEP 600 and its predecessors)."""
        newest = int(self.glibc.split(".")[1])
        tags = [f"manylinux_2_{minor}_{self.machine}" for minor in range(newest, 16, -1)]
        older = ["manylinux2014"] + (["manylinux2010", "manylinux1"] if self.machine == "x86_64" else [])
        return tags + [f"{name}_{self.machine}" for name in older]

    @property
    def pip_options(self) -> list[str]:
        """Return the options that make pip choose wheels for the target and not for this machine."""
        short = f"cp{self.python.replace('.', '')}"
        options = ["--only-binary=:all:", "--implementation=cp", f"--python-version={self.python}"]
        options += [f"--abi={abi}" for abi in (short, "abi3", "none")]
        return options + [f"--platform={tag}" for tag in self.platforms]


def run(command: list[str], **environment: str) -> None:
    """Run a program; end the build with what it said when it fails."""
    ran = subprocess.run(  # noqa: S603  # our own commands
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        message = f"{' '.join(command[:4])} … failed:\n{(ran.stdout + ran.stderr)[-2000:]}"
        raise SystemExit(message)


def settle(folder: Path, epoch: int) -> None:
    """Give everything below a folder fixed modes and times, whatever the umask was."""
    for path in [*folder.rglob("*"), folder]:
        if not path.is_symlink():
            runs = path.is_dir() or path.suffix == ".sh" or path.parent.name == "bin"
            path.chmod(0o755 if runs else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def make_tree(kit: Path, stage: Path, target: Target) -> None:
    """Install a kit's wheels into a tree that is a virtual environment."""
    home = stage / HOME
    packages = home / "lib" / f"python{target.python}" / "site-packages"
    (home / "bin").mkdir(parents=True)
    (pip,) = (kit / "wheels").glob("pip-*.whl")
    interpreter = sys.executable
    command = [interpreter, "-I", f"{pip}/pip", "--isolated", "--quiet", "install", "--no-index"]
    command += ["--disable-pip-version-check", "--root-user-action=ignore", "--no-cache-dir", "--no-compile"]
    command += ["--no-deps", "--require-hashes", f"--find-links={kit / 'wheels'}", f"--target={packages}"]
    run([*command, *target.pip_options, "-r", str(kit / "requirements.txt")])
    _drop_scripts(packages)
    configuration = f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {target.python}\n"
    (home / "pyvenv.cfg").write_text(configuration)
    (home / "bin" / "python3").symlink_to(f"/usr/bin/python{target.python}")
    (home / "bin" / "python").symlink_to("python3")
    (home / "bin" / "lockgate").write_text(PROGRAM.format(home=HOME))
    (stage / "usr" / "bin").mkdir(parents=True)
    (stage / "usr" / "bin" / "lockgate").symlink_to(f"/{HOME}/bin/lockgate")


def _drop_scripts(packages: Path) -> None:
    """Remove the scripts of packages, which name the interpreter of this machine, and their digests."""
    shutil.rmtree(packages / "bin", ignore_errors=True)
    for record in packages.glob("*.dist-info/RECORD"):
        lines = record.read_text("utf-8").splitlines(keepends=True)
        record.write_text("".join(line for line in lines if not line.startswith("../../bin/")), "utf-8")


def _sums(stage: Path) -> str:
    """Return the list that ``dpkg --verify`` compares with."""
    files = sorted(p for p in stage.rglob("*") if p.is_file() and not p.is_symlink())
    lines = [
        f"{hashlib.md5(p.read_bytes(), usedforsecurity=False).hexdigest()}  {p.relative_to(stage)}\n"
        for p in files
    ]
    return "".join(lines)


def make_deb(tree: Path, work: Path, out: Path, target: Target) -> Path:
    """Make the Debian package (deb(5), deb-control(5))."""
    machine = DEBIAN_MACHINE[target.machine]
    stage = work / "deb"
    shutil.copytree(tree, stage, symlinks=True)
    size = sum(p.stat().st_size for p in stage.rglob("*") if p.is_file() and not p.is_symlink())
    sums = _sums(stage)
    control = {
        "Package": "lockgate",
        "Version": target.version,
        "Architecture": machine,
        "Maintainer": "Lockgate <root@localhost>",
        "Installed-Size": str(-(-size // 1024)),
        "Depends": f"libc6 (>= {target.glibc}), libgcc-s1, libstdc++6, python{target.python}, bubblewrap",
        "Recommends": "iproute2, nftables, util-linux",
        "Section": "admin",
        "Priority": "optional",
        "Description": SUMMARY + "".join(f"\n {line}" for line in DESCRIPTION.splitlines()),
    }
    (stage / "DEBIAN").mkdir()
    (stage / "DEBIAN" / "control").write_text("".join(f"{k}: {v}\n" for k, v in control.items()))
    (stage / "DEBIAN" / "md5sums").write_text(sums)
    settle(stage, target.epoch)
    file = out / f"lockgate_{target.version}_{machine}.deb"
    command = ["dpkg-deb", "--root-owner-group", "--threads-max=1", "-Zxz", "-z1", "--build"]
    run([*command, str(stage), str(file)], SOURCE_DATE_EPOCH=str(target.epoch))
    return file


SPEC = """Name: lockgate
Version: {version}
Release: 1
Summary: {summary}
License: Apache-2.0
AutoReqProv: no
Requires: /usr/bin/python{python}
Requires: libstdc++
Requires: bubblewrap
%description
{description}
%install
mkdir -p %{{buildroot}}
cp -a {tree}/. %{{buildroot}}/
%files
%defattr(-,root,root,-)
/opt/lockgate
/usr/bin/lockgate
"""
MACROS = {
    "_buildhost": "reproducible",
    "use_source_date_epoch_as_buildtime": "1",
    "clamp_mtime_to_source_date_epoch": "1",
    "_build_id_links": "none",
    "debug_package": "%{nil}",
    "__os_install_post": "%{nil}",
    "_binary_payload": "w1.xzdio",
    "_build_name_fmt": "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
}


def make_rpm(tree: Path, work: Path, out: Path, target: Target) -> Path:
    """Make the RPM with rpmbuild."""
    top = work / "rpm"
    top.mkdir()
    stage = work / "rpm-tree"
    shutil.copytree(tree, stage, symlinks=True)
    settle(stage, target.epoch)
    spec = top / "lockgate.spec"
    facts = {"version": target.version, "python": target.python, "tree": stage}
    spec.write_text(SPEC.format(summary=SUMMARY, description=DESCRIPTION, **facts))
    macros = {**MACROS, "_topdir": str(top), "_rpmdir": str(top / "made"), "_tmppath": str(top)}
    options = [part for name, value in macros.items() for part in ("--define", f"{name} {value}")]
    command = ["rpmbuild", "-bb", "--quiet", "--target", f"{target.machine}-linux", *options, str(spec)]
    run(command, SOURCE_DATE_EPOCH=str(target.epoch), LC_ALL="C.UTF-8", TZ="UTC")
    (made,) = (top / "made").rglob("*.rpm")
    file = out / made.name
    shutil.copyfile(made, file)
    return file
