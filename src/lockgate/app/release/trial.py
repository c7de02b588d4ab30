"""Trying a release in its slot: without network, without keys, in a sandbox that sees only copies.

The new version opens crates that earlier versions sealed on throw-away lanes, and hashes a copy of
this side's log again. What it says is compared with what is known here.
"""

import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path

from lockgate import __version__
from lockgate.app.crossing.collect import current_lock, run_collect
from lockgate.app.crossing.seal import seal_crate
from lockgate.app.lane.lane import make_demo_lane
from lockgate.app.record.audit import verify_log
from lockgate.app.release.apart import TrialFailedError, run_version
from lockgate.app.release.slots import Installed
from lockgate.app.settings import CONFIG_FILE, Side, load_settings
from lockgate.app.stores import audit_records_of
from lockgate.app.trust import site_root_files
from lockgate.core.ports import Silent
from lockgate.core.wire import Document, decode, encode
from lockgate.store import open_records

KEPT_DAYS = 300
"""How long a test crate is kept; its lane lives a year."""
CRATES_LIMIT = 8
"""Most test crates that are kept, the newest first."""

_LANE = "trial"
_DOCUMENTS = 3
_EXPECTED = "expected.json"


class Expected(Document, frozen=True):
    """What opening a test crate has to give: the digests of its files."""

    made: datetime
    version: str
    files: tuple[str, ...]


def retain_crate(crates: Path, at: datetime) -> None:
    """Seal a test crate with the running version, unless it did already; forget those that end soon."""
    for old in sorted(crates.glob("*")) if crates.is_dir() else []:
        said = old / _EXPECTED
        if not said.is_file() or _read(said).made < at - timedelta(days=KEPT_DAYS):
            shutil.rmtree(old)
    target = crates / __version__
    if target.exists():
        return
    partial = crates / f".partial-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    files = _make_crate(partial, at)
    expected = Expected(made=at, version=__version__, files=files)
    (partial / _EXPECTED).write_bytes(encode(expected))
    partial.rename(target)


def _make_crate(folder: Path, at: datetime) -> tuple[str, ...]:
    """Make a throw-away lane and a crate on it; keep its high side and the crate alone."""
    lane = make_demo_lane(folder / "lane", _LANE, at)
    texts = folder / "texts"
    texts.mkdir()
    for number in range(_DOCUMENTS):
        (texts / f"{number}.md").write_text(f"# Trial {number}\n\n" + f"Line of text {number}.\n" * 400)
    manifest = folder / "manifest.toml"
    manifest.write_text('[[documents]]\ncollection = "trial"\nfolder = "texts"\n')
    low = load_settings(lane.low)
    config = low.home.config
    config.write_text(config.read_text().replace("[seal]\n", "[seal]\nexpires_days = 360\n"))
    low = load_settings(lane.low)
    run_collect(low, manifest, Silent(), offline=True, dry_run=False)
    files = tuple(sorted(f.sha256 for a in current_lock(low).lock.artifacts for f in a.files))
    crate = seal_crate(low, Silent()).path
    (folder / "crate").mkdir()
    shutil.move(crate, folder / "crate" / crate.name)
    shutil.move(lane.high, folder / "high")
    for rest in ("lane", "texts"):
        shutil.rmtree(folder / rest)
    manifest.unlink()
    return files


def _read(expected: Path) -> Expected:
    return decode(Expected, expected.read_bytes(), name="test crate")


def open_crates(installed: Installed, crates: Path, work: Path) -> dict[str, int]:
    """Have the new version open every test crate; return how many files each one gave.

    Raises:
        TrialFailedError: It opens one otherwise than the version that sealed it.
        NoSandboxError: It cannot be run apart.

    """
    opened = {}
    kept = sorted(crates.glob("[!.]*"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for folder in kept[:CRATES_LIMIT]:
        expected = _read(folder / _EXPECTED)
        place = work / folder.name
        shutil.copytree(folder, place)
        (crate,) = (place / "crate").iterdir()
        words = ["receive", str(crate.relative_to(work)), "--home", f"{folder.name}/high", "--json"]
        brought = run_version(installed, work, words, f"{folder.name}/high/quarantine").files
        for digest in expected.files:
            if digest not in brought:
                what = f"The new version opened the crate of {folder.name}, and {digest[:16]} is not in it."
                raise TrialFailedError(what)
        opened[folder.name] = len(expected.files)
    return opened


def verify_copy(side: Side, installed: Installed, work: Path) -> tuple[int, str]:
    """Have the new version hash a copy of this side's log; return size and root, which must be the same.

    Raises:
        TrialFailedError: It finds another log than the running version does.

    """
    home = work / "log"
    (home / "trust").mkdir(parents=True)
    for file in [*side.home.trust.glob("*.root.json"), *site_root_files(side)]:
        shutil.copyfile(file, home / "trust" / file.name)
    lane, trust = side.settings.lane, side.settings.trust
    text = f'[lane]\nname = "{lane.name}"\nside = "{lane.side}"\nassurance = "{lane.assurance}"\n'
    text += f'[trust]\nsupply_pin = "{trust.supply_pin}"\nsite_pin = "{trust.site_pin}"\n'
    (home / CONFIG_FILE).write_text(text)
    _copy_log(side, home)
    known = verify_log(load_settings(home)).checkpoint
    said = run_version(installed, work, ["audit", "verify", "--home", "log", "--json"]).answer
    if (said.get("size"), said.get("root")) != (known.size, known.root.hex()):
        what = f"The new version finds another log: size {said.get('size')}, and here {known.size}."
        raise TrialFailedError(what)
    return known.size, known.root.hex()


def _copy_log(side: Side, home: Path) -> None:
    source, target = audit_records_of(side), open_records(load_settings(home).home.audit_url)
    with source.transaction() as here, target.transaction() as there:
        for collection in here.collections():
            for key, value in here.scan(collection):
                there.put(collection, key, value)
    source.close()
    target.close()
