"""How fast parity is made and used, beside par2 on the same bytes in the same run.

    python bench/parity.py [--quick] [--json] [--folder FOLDER]

A crate of 1 GiB gets 10 % parity, and so does the same set of volumes from ``par2 create -r10``. Then the
same damage is done to both: first bits flipped at places scattered over all volumes, then a lost volume
as well; both programs repair, and the repaired bytes are compared. Ours also reads and hashes every
byte, as par2 does. Ratios are par2's wall time to ours; of several rounds the least disturbed counts.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from crossing import FILES, GIB, Round, machine, measured

from crossing_lane import MIB, NOW, SBOM_BYTES, Lane
from lockgate.core.artifact import LOCK_FORMAT, Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.digests import sha256
from lockgate.core.ports import Silent
from lockgate.core.roots import Purpose
from lockgate.crossing import SealedCrate, SealRequest, attest_collection
from lockgate.crossing.folder import CrateFolder
from lockgate.crossing.format import Manifest, ParityGroup
from lockgate.crossing.mend import Mender
from lockgate.crossing.open import read_shards
from lockgate.crossing.parity import PlannedParity, make_parity
from lockgate.store import FileBlobs

SHARE = Fraction(1, 10)
SPOTS = 100
"""Places where bits are flipped; par2's usual 2000 blocks with 10 % repair any 200 bad blocks."""


@dataclass(frozen=True)
class Row:
    """One measurement: the least disturbed round."""

    what: str
    wall_s: float
    cpu_s: float
    peak_mb: float
    mib_per_s: float
    rounds_s: tuple[float, ...]


def row(what: str, size: int, rounds: list[Round]) -> Row:
    """Return the least disturbed round as a row."""
    best = min(rounds, key=lambda r: r.wall)
    return Row(
        what,
        round(best.wall, 3),
        round(best.cpu, 3),
        round(max(r.peak for r in rounds), 1),
        round(size / MIB / best.wall, 1),
        tuple(round(r.wall, 3) for r in rounds),
    )


def sealed(folder: Path, size: int) -> SealedCrate:
    """Seal a crate of that many incompressible bytes, with parity."""
    lane = Lane(low_blobs=FileBlobs(folder / "low"))
    files = []
    for number in range(FILES):
        with tempfile.TemporaryFile(dir=folder) as file:
            for _ in range(size // FILES // MIB):
                file.write(os.urandom(MIB))
            file.seek(0)
            digest, length = lane.low_blobs.put_stream(file)
        files.append(ArtifactFile(path=f"files/{number}", role=Role.OTHER, size=length, sha256=digest))
    artifacts = tuple(
        Artifact(purl=f"pkg:generic/{f.path}@1", kind=Kind.FILE, name=f.path, version="1", files=(f,))
        for f in files
    )
    lock = Lock(
        format=LOCK_FORMAT, lane=lane.name, created=NOW, manifest_sha256=sha256(b""), artifacts=artifacts
    )
    request = SealRequest(
        lock, attest_collection(lock, SBOM_BYTES, lane.signers[Purpose.COLLECTOR]), SBOM_BYTES
    )
    crate = lane.sealer(folder / "outbox", volume_bytes=GIB, parity=SHARE).seal(request)
    shutil.rmtree(folder / "low")
    return crate


def groups(manifest: Manifest) -> tuple[ParityGroup, ...]:
    """Return the groups of a crate's parity."""
    return manifest.parity.groups if manifest.parity else ()


class Contest:
    """One crate of ours, and a copy of its volumes under par2."""

    def __init__(self, folder: Path, size: int) -> None:
        """Seal the crate and copy its volumes."""
        self.crate = sealed(folder, size)
        self.theirs = folder / "par2"
        self.theirs.mkdir()
        for volume in self.crate.manifest.volumes:
            shutil.copy(self.crate.path / volume.name, self.theirs)
        self.digests = {v.name: self._digest(self.crate.path / v.name) for v in self.crate.manifest.volumes}

    @staticmethod
    def _digest(path: Path) -> str:
        return sha256(path.read_bytes())

    def create(self) -> Round:
        """Make our parity volumes anew."""
        for path in self.crate.path.glob("par-*"):
            path.unlink()
        manifest = self.crate.manifest
        with CrateFolder(self.crate.path) as folder:
            files = read_shards(folder, manifest)[: len(manifest.volumes)]
        planned, left = [], list(manifest.parity.volumes if manifest.parity else ())
        for group in groups(manifest):
            planned.append(PlannedParity(group, left[0].size))
            left = left[group.parity :]
        return measured(lambda: make_parity(self.crate.path, files, planned, Silent()))

    def create_par2(self) -> Round:
        """Let par2 make its recovery files."""
        for path in self.theirs.glob("*.par2"):
            path.unlink()
        names = [v.name for v in self.crate.manifest.volumes]
        command = ["par2", "create", "-q", "-q", "-r10", "set.par2", *names]
        return measured(lambda: subprocess.run(command, cwd=self.theirs, check=True, capture_output=True))

    def damage(self, *, lose: bool) -> None:
        """Do the same damage to both."""
        chance = random.Random(5)  # noqa: S311  # chooses what is damaged
        volumes = self.crate.manifest.volumes
        for number in range(SPOTS):
            volume = volumes[number % len(volumes)]
            offset = chance.randrange(volume.size)
            for folder in (self.crate.path, self.theirs):
                with (folder / volume.name).open("r+b") as file:
                    file.seek(offset)
                    (byte,) = file.read(1)
                    file.seek(offset)
                    file.write(bytes([byte ^ 0x10]))
        if lose:
            for folder in (self.crate.path, self.theirs):
                (folder / volumes[len(volumes) // 2].name).unlink()

    def repair(self) -> Round:
        """Repair ours in its place."""
        return self._judged(self.crate.path, lambda: Mender().repair(self.crate.path))

    def repair_par2(self) -> Round:
        """Let par2 repair."""
        command = ["par2", "repair", "-q", "-q", "set.par2"]
        return self._judged(
            self.theirs,
            lambda: subprocess.run(command, cwd=self.theirs, check=True, capture_output=True),
        )

    def _judged(self, folder: Path, work: Callable[[], object]) -> Round:
        kept = {p.name for p in folder.iterdir()}
        found = measured(work)
        for name, digest in self.digests.items():
            if self._digest(folder / name) != digest:
                sys.exit(f"{name} was not repaired.")
        for path in list(folder.iterdir()):
            if path.name not in kept and path.name not in self.digests:
                path.unlink()
        return found


def run(size: int, rounds: int, folder: Path) -> dict[str, object]:
    """Measure everything; return machine, ratios and rows."""
    facts = machine({"folder": folder}) | {"content_mib": size // MIB, "load_before": os.getloadavg()}
    with tempfile.TemporaryDirectory(prefix=".lockgate-bench-", dir=folder) as place:
        contest = Contest(Path(place), size)
        facts["groups"] = [[g.volumes, g.parity] for g in groups(contest.crate.manifest)]
        rows: list[Row] = []

        def pair(what: str, ours: Callable[[], Round], theirs: Callable[[], Round]) -> float:
            mine, other = [], []
            for _ in range(rounds):
                mine.append(ours())
                other.append(theirs())
            rows.extend([row(f"{what}, lockgate", size, mine), row(f"{what}, par2", size, other)])
            return rows[-1].wall_s / rows[-2].wall_s

        def damaged(work: Callable[[], Round], *, first: bool, lose: bool) -> Callable[[], Round]:
            def inner() -> Round:
                if first:  # both get the same damage at once, before ours repairs
                    contest.damage(lose=lose)
                return work()

            return inner

        ratios = {"create_vs_par2": pair("create", contest.create, contest.create_par2)}
        for name, lose in (("repair_vs_par2", False), ("repair_lost_vs_par2", True)):
            ratios[name] = pair(
                "repair, scattered" + (" and a lost volume" if lose else ""),
                damaged(contest.repair, first=True, lose=lose),
                damaged(contest.repair_par2, first=False, lose=lose),
            )
        ratios["peak_rss_mb"] = max(r.peak_mb for r in rows if r.what.endswith("lockgate"))
    facts["load_after"] = os.getloadavg()
    rounded = {name: round(value, 2) for name, value in ratios.items()}
    return {"machine": facts, "ratios": rounded, "rows": [asdict(r) for r in rows]}


def show(found: dict[str, object]) -> None:
    """Print the findings for people."""
    for name, value in found["machine"].items():  # type: ignore[attr-defined]
        print(f"{name:>18}  {value}")
    print(f"\n{'':>44}{'MiB/s':>9}{'wall s':>9}{'CPU s':>9}{'peak MB':>9}  rounds (wall s)")
    for line in found["rows"]:  # type: ignore[attr-defined]
        numbers = (
            f"{line['mib_per_s']:>9.0f}{line['wall_s']:>9.2f}{line['cpu_s']:>9.2f}{line['peak_mb']:>9.0f}"
        )
        print(f"{line['what']:>44}{numbers}  {' '.join(f'{s:.2f}' for s in line['rounds_s'])}")
    print()
    for name, value in found["ratios"].items():  # type: ignore[attr-defined]
        print(f"{name:>24}{value:>10}")


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="256 MiB instead of 1 GiB, one round")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--folder", type=Path, default=Path("/dev/shm"), help="a folder on tmpfs")  # noqa: S108
    options = parser.parse_args()
    if not shutil.which("par2"):
        sys.exit("par2 is not installed (Debian package par2).")
    size, rounds = (GIB // 4, 1) if options.quick else (GIB, 2)
    found = run(size, rounds, options.folder)
    if options.json:
        print(json.dumps(found))
    else:
        show(found)


if __name__ == "__main__":
    main()
