"""Small wheels to measure with: made ones that are all alike, and packages as they are.

A made wheel has four modules of plain functions, which one look tells all of. Packages as they are have what
people write: those of the running environment, packed again as wheels of at most `LARGEST` bytes.
"""

import zipfile
from importlib.metadata import Distribution, distributions
from pathlib import Path

from corpora import inspection_content as make

LARGEST = 128 << 10
"""Bytes of the largest wheel that counts as small."""

_MADE_HERE = frozenset({"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"})
"""What an installer writes into the folder of metadata, and no wheel brings."""


def made(folder: Path, count: int) -> list[Path]:
    """Write small wheels of Python modules, each with other content."""
    paths = []
    for number in range(count):
        modules = {
            f"lock_demo/m{part}.py": "".join(
                f"def f{line}(value):\n    return value + {number * line + part}\n\n\n" for line in range(60)
            ).encode()
            for part in range(4)
        }
        paths.append(folder / f"{number}.whl")
        paths[-1].write_bytes(make.wheel(modules))
    return paths


def installed(folder: Path) -> list[Path]:
    """Write a wheel of each small package of the running environment that is all Python; return their paths.

    Returns:
        Files named ``NAME-VERSION-py3-none-any.whl``, sorted by name; none for a package that was compiled,
        that is larger than `LARGEST`, or whose files an installer has laid outside of its folder.

    """
    folder.mkdir(exist_ok=True)
    paths = []
    for each in distributions():
        members = _members(each)
        if members is None:
            continue
        path = folder / f"{each.name.replace('-', '_')}-{each.version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        if path.stat().st_size <= LARGEST:
            paths.append(path)
        else:
            path.unlink()
    return sorted(paths)


def _members(package: Distribution) -> dict[str, bytes] | None:
    """Return the members of a package's wheel, or nothing where it is not one of Python files alone."""
    tags = (package.read_text("WHEEL") or "").splitlines()
    if "Root-Is-Purelib: true" not in tags or package.read_text("direct_url.json"):
        return None
    members, info = {}, ""
    for file in package.files or ():
        place = Path(str(package.locate_file(file)))
        if file.parts[0] == ".." or file.parent.name == "__pycache__" or not place.is_file():
            continue  # programs that the installer made, and code that Python compiled here
        if file.parent.name.endswith(".dist-info"):
            info = file.parts[0]
            if file.name in _MADE_HERE:
                continue
        members[file.as_posix()] = place.read_bytes()
    return (
        members | {f"{info}/RECORD": make.record(members) + f"{info}/RECORD,,\n".encode()} if info else None
    )
