"""Small advisory data made here: records, archives, tables, and a shelf that holds them."""

import gzip
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lockgate.advisories import Freshness, Loading, Shelf, Source, Wish, load
from lockgate.core.ports import Silent

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
FRESH = Freshness(NOW, 14 * 86400)


def osv(
    identifier: str,
    name: str = "demo",
    *events: tuple[str, str],
    ecosystem: str = "PyPI",
    **more: Any,
) -> dict[str, Any]:
    """Return a record about one package; without events, everything from 0 on is affected."""
    package = more.pop("package", {"ecosystem": ecosystem, "name": name})
    affected: dict[str, Any] = {"package": package}
    listed = more.pop("versions", None)
    if listed is not None:
        affected["versions"] = listed
    if events or listed is None:
        kind = more.pop("type", "ECOSYSTEM")
        changes = [{k: v} for k, v in events or (("introduced", "0"),)]
        affected["ranges"] = [{"type": kind, "events": changes}]
    base = {"id": identifier, "modified": "2026-03-09T00:00:00Z", "published": "2026-01-02T00:00:00Z"}
    return {**base, "affected": [affected], **more}


def archive(path: Path, records: list[dict[str, Any]]) -> Path:
    """Write records as an ``all.zip``."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for record in records:
            out.writestr(f"{record['id']}.json", json.dumps(record))
    return path


def kev(path: Path, *cves: str, released: str = "2026-03-09T00:00:00Z") -> Path:
    """Write a KEV catalogue."""
    rows = [
        {
            "cveID": c,
            "dateAdded": "2026-02-01",
            "dueDate": "2026-02-22",
            "knownRansomwareCampaignUse": "Known",
        }
        for c in cves
    ]
    path.write_text(
        json.dumps(
            {"catalogVersion": "1", "dateReleased": released, "count": len(rows), "vulnerabilities": rows}
        )
    )
    return path


def epss(path: Path, scores: dict[str, str], scored: str = "2026-03-09T00:00:00+0000") -> Path:
    """Write an EPSS table, gzipped when the name says so."""
    lines = [f"#model_version:v1,score_date:{scored}", "cve,epss,percentile"]
    lines += [f"{cve},{score},0.5" for cve, score in scores.items()]
    data = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def fill(shelf: Shelf, path: Path, wish: Wish | None = None, now: datetime = NOW) -> Source:
    """Load a data set."""
    return load(shelf, path, wish or Wish(), Loading(now, Silent()))


def shelf_of(folder: Path, records: list[dict[str, Any]]) -> Shelf:
    """Return a shelf that holds some records."""
    folder.mkdir(parents=True, exist_ok=True)
    shelf = Shelf(folder / "advisories")
    fill(shelf, archive(folder / "all.zip", records))
    return shelf
