"""How large update metadata is, and what a change of one file signs anew, beside one flat role.

Run it from the repository's root: `python bench/update_metadata.py [TARGETS …]`. Targets are named like
wheels, each with length and SHA-256. Prints one JSON object a line; sizes in bytes, times in seconds.
"""

import json
import platform
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TypeVar

from tuf.api.metadata import Metadata, TargetFile, Targets
from tuf.api.serialization.json import JSONSerializer

from lockgate import __version__
from lockgate.core.roots import ROOT_FORMAT, Purpose, Root, RootKind
from lockgate.trust.keys import Signer, new_signer
from lockgate.trust.roots import make_supply_root
from lockgate.trust.tuf import Target, TufSigners, build, settle

COUNTS = (100, 1_000, 10_000, 100_000)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
UNTIL = NOW + timedelta(days=45)
T = TypeVar("T")


def targets(count: int) -> dict[str, Target]:
    """Return as many targets, four files a project."""
    return {
        f"python/project-{n // 4:05d}/project_{n // 4:05d}-1.{n % 4}.0-py3-none-any.whl": Target(
            1000 + n, sha256(str(n).encode()).hexdigest()
        )
        for n in range(count)
    }


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Return what work gives and how long it took."""
    start = time.perf_counter()
    result = work()
    return result, round(time.perf_counter() - start, 3)


def roles() -> tuple[TufSigners, bytes]:
    """Return fresh keys of the online roles and a supply root that lists them."""
    names = (Purpose.TARGETS, Purpose.SNAPSHOT, Purpose.TIMESTAMP)
    top, snapshot, timestamp = (new_signer(p, str(p)) for p in names)
    holders = [new_signer(Purpose.SUPPLY_ROOT, f"holder-{n}") for n in range(2)]
    everybody = [top, snapshot, timestamp, *holders]
    root = Root(
        format=ROOT_FORMAT,
        kind=RootKind.SUPPLY,
        lane="bench",
        version=1,
        assurance="demo",
        expires=UNTIL,
        keys={s.keyid: s.held(UNTIL) for s in everybody},
        thresholds={Purpose.SUPPLY_ROOT: 2},
    )
    return TufSigners(top, snapshot, timestamp), make_supply_root(root, holders)


def flat_size(named: dict[str, Target], key: Signer) -> int:
    """Return the length of one role that lists everything, in the same encoding."""
    listed = {p: TargetFile(t.size, {"sha256": t.sha256}, p) for p, t in named.items()}
    metadata = Metadata(Targets(1, None, UNTIL, listed))
    metadata.sign(key.raw)
    return len(metadata.to_bytes(JSONSerializer(compact=True)))


def measure(count: int) -> dict[str, float]:
    """Build and verify two crossings that differ in one file."""
    signers, root = roles()
    named = targets(count)
    first, build_s = timed(lambda: build(named, 1, signers, UNTIL))
    settled, verify_s = timed(lambda: settle(root, first, {}, NOW))
    changed = named | {next(iter(named)): Target(1, "0" * 64)}
    second, rebuild_s = timed(lambda: build(changed, 2, signers, UNTIL, first))
    delta = {name: data for name, data in second.items() if first.get(name) != data}
    again, reverify_s = timed(lambda: settle(root, delta, settled.files, NOW))
    if settled.targets != named or again.targets != changed:
        raise SystemExit("what was verified is not what was built")
    flat = flat_size(named, signers.targets)
    size = sum(map(len, delta.values()))
    return {
        "targets": count,
        "files": len(first),
        "bytes": sum(map(len, first.values())),
        "largest_file": max(map(len, first.values())),
        "flat_bytes": flat,
        "change_files": len(delta),
        "change_bytes": size,
        "flat_vs_change": round(flat / size, 1),
        "build_s": build_s,
        "verify_s": verify_s,
        "rebuild_s": rebuild_s,
        "verify_change_s": reverify_s,
    }


def main() -> None:
    """Measure each count."""
    print(
        json.dumps({"lockgate": __version__, "machine": platform.machine(), "python": sys.version.split()[0]})
    )
    for count in [int(word) for word in sys.argv[1:]] or COUNTS:
        print(json.dumps(measure(count)))
    print(json.dumps({"peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


if __name__ == "__main__":
    main()
