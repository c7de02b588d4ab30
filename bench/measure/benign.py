"""Brings the benign packages that `bench/false_positives.py` measures with, by the registries' own clients.

What lies in the folder already is not brought again. Documents and models are files inside of what was
brought, copied out by their endings.
"""

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

LISTS = Path(__file__).with_name("benign.toml")
KINDS = ("wheels", "sdists", "npm", "debs")
INSIDE = {
    "pdf": "pdf",
    "office": "docx xlsx pptx odt ods odp rtf doc xls ppt",
    "pages": "html md",
    "mail": "eml",
    "weights": "safetensors gguf",
    "networks": "onnx tflite",
    "checkpoints": "pkl pickle joblib pt pth ckpt",
    "arrays": "h5 hdf5 keras npy npz",
}
"""Kinds of documents and models, with the endings of their names."""
_BATCH = {"wheels": 12, "sdists": 1, "npm": 12, "debs": 24}
_MOST_OF_ONE, _MOST_OF_ENDING, _MOST_BYTES = 8, 80, 32 << 20
"""How many documents or models of one ending are taken of one package and of all, and how long they may
be."""


def names(kind: str, few: int = 0) -> list[str]:
    """Return the packages of a kind, or some of them spread over the list."""
    every = tomllib.loads(LISTS.read_text("utf-8"))[kind].split()
    return every[:: max(1, len(every) // few)][:few] if few else every


def carriers(kind: str) -> list[str]:
    """Return the packages of a kind that documents and models are taken of, and that are not measured."""
    return str(tomllib.loads(LISTS.read_text("utf-8"))["carriers"].get(kind, "")).split()


def known() -> dict[str, str]:
    """Return the findings that are true: the package and the finding's code → what it is."""
    return dict(tomllib.loads(LISTS.read_text("utf-8")).get("true", {}))


def bring(kind: str, wanted: Sequence[str], folder: Path) -> list[str]:
    """Bring packages into a folder that remembers what it asked for; return those that are not to be had."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = folder.with_suffix(".asked")
    done = set(asked.read_text("utf-8").split()) if asked.exists() else set()
    left, missing = [name for name in wanted if name not in done], []
    for start in range(0, len(left), _BATCH[kind]):
        batch = left[start : start + _BATCH[kind]]
        print(f"{kind}: {start} of {len(left)} brought", file=sys.stderr)
        if _ask(kind, batch, folder):
            done |= set(batch)
        else:
            alone = {name: len(batch) > 1 and _ask(kind, [name], folder) for name in batch}
            done |= {name for name, came in alone.items() if came}
            missing += [name for name, came in alone.items() if not came]
        asked.write_text("\n".join(sorted(done)), "utf-8")
    return missing


def _ask(kind: str, wanted: Sequence[str], folder: Path) -> bool:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", "."]
    command = {
        "wheels": [*pip, "--only-binary", ":all:"],
        "sdists": [*pip, "--no-binary", ",".join(wanted)],
        "npm": ["npm", "pack", "--silent"],
        "debs": ["apt-get", "download", "--quiet"],
    }[kind]
    return not subprocess.run([*command, *wanted], cwd=folder, capture_output=True, check=False).returncode


def copy_out(kinds: Sequence[str], sources: Sequence[Path], folder: Path) -> None:
    """Copy documents and models out of packages; the same content is taken once.

    Args:
        kinds: Keys of `INSIDE`.
        sources: The packages.
        folder: Takes a folder for each kind with the copies, named by the package and the file.

    """
    kind_of = {ending: kind for kind in kinds for ending in INSIDE[kind].split()}
    for kind in kinds:
        shutil.rmtree(folder / kind, ignore_errors=True)
        (folder / kind).mkdir(parents=True)
    all_of: Counter[str] = Counter()
    seen: set[bytes] = set()
    for source in sources:
        of_one: Counter[str] = Counter()
        for name, content in _members(source, kind_of.keys()):
            ending = name.rpartition(".")[2].lower()
            digest = hashlib.sha256(content).digest()
            full = of_one[ending] >= _MOST_OF_ONE or all_of[ending] >= _MOST_OF_ENDING
            if full or not content or digest in seen:
                continue
            seen.add(digest)
            of_one[ending] += 1
            all_of[ending] += 1
            base = name.rpartition("/")[2]
            (folder / kind_of[ending] / f"{source.name}--{len(seen)}--{base}").write_bytes(content)


def _members(source: Path, endings: Collection[str]) -> Iterator[tuple[str, bytes]]:
    def wanted(name: str, size: int) -> bool:
        return name.rpartition(".")[2].lower() in endings and size <= _MOST_BYTES

    if source.suffix in {".whl", ".zip"}:
        with zipfile.ZipFile(source) as archive:
            for info in archive.infolist():
                if wanted(info.filename, info.file_size):
                    yield info.filename, archive.read(info)
    elif source.suffix == ".deb":
        with tempfile.TemporaryFile() as data:
            subprocess.run(["dpkg-deb", "--fsys-tarfile", str(source)], stdout=data, check=True)
            data.seek(0)
            with tarfile.open(fileobj=data) as archive:
                yield from _of_tar(archive, wanted)
    else:
        with tarfile.open(source) as archive:
            yield from _of_tar(archive, wanted)


def _of_tar(archive: tarfile.TarFile, wanted: Callable[[str, int], bool]) -> Iterator[tuple[str, bytes]]:
    for member in archive:
        stream = archive.extractfile(member) if member.isreg() and wanted(member.name, member.size) else None
        if stream:
            yield member.name, stream.read()
