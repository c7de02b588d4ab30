"""A reader of stations' reports written from docs/formats alone: no part of Lockgate is used."""

import base64
import hashlib
from datetime import datetime
from typing import Any

from minimal_custody import demand, exact, pae, verify

INTOTO = "application/vnd.in-toto+json"
LIMIT = 1 << 28
FIELDS = {
    *("format", "lane", "crossing", "crate_sha256", "lock_sha256", "scanner", "largest"),
    *("started", "finished", "expires", "files"),
}


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    demand(found.tzinfo is not None, "zone")
    return found


def read_report(data: bytes, keys: dict[str, dict[str, str]], lane: str) -> dict[str, Any]:
    """Do steps 1 to 3 of "What a reader demands"; return the report with the stations that signed it."""
    demand(len(data) <= LIMIT, "length")
    envelope = exact(data)
    demand(set(envelope) == {"payload", "payloadType", "signatures"}, "envelope")
    demand(envelope["payloadType"] == INTOTO and envelope["signatures"], "type")
    payload = base64.b64decode(envelope["payload"], validate=True)
    stations = set()
    for entry in envelope["signatures"]:
        demand(entry["keyid"] in keys and keys[entry["keyid"]]["purpose"] == "scanner", "key")
        verify(keys[entry["keyid"]], base64.b64decode(entry["sig"], validate=True), pae(INTOTO, payload))
        stations.add(keys[entry["keyid"]]["person"])
    statement = exact(payload)
    demand(statement["_type"] == "https://in-toto.io/Statement/v1", "statement")
    demand(statement["predicateType"] == "urn:lockgate:station:v1", "predicate")
    report = statement["predicate"]
    demand(set(report) == FIELDS and report["format"] == "lockgate-station/1", "format")
    demand(report["lane"] == lane, "lane")
    expected = {"meta/crate.json": report["crate_sha256"]}
    for scan in report["files"]:
        demand(
            scan["path"] not in expected and scan["outcome"] in {"clean", "findings", "incomplete"}, "file"
        )
        demand(len(scan["names"]) <= 16, "names")
        demand(scan["outcome"] != "clean" or scan["size"] <= report["largest"], "longer than seen")
        expected[scan["path"]] = scan["sha256"]
    subjects = [(subject["name"], subject["digest"]) for subject in statement["subject"]]
    demand(subjects == [(name, {"sha256": expected[name]}) for name in sorted(expected)], "subjects")
    demand(moment(report["started"]) <= moment(report["finished"]) < moment(report["expires"]), "moments")
    return {**report, "stations": sorted(stations)}


def demand_crossing(report: dict[str, Any], crossing: int, crate: str, lock: bytes, at: datetime) -> None:
    """Do step 4: of this crossing, crate and lock, of exactly its files, and not expired."""
    demand(report["crossing"] == crossing and report["crate_sha256"] == crate, "crossing")
    demand(report["lock_sha256"] == hashlib.sha256(lock).hexdigest(), "lock")
    files = [(f["path"], f["sha256"], f["size"]) for a in exact(lock)["artifacts"] for f in a["files"]]
    demand([(s["path"], s["sha256"], s["size"]) for s in report["files"]] == files, "files")
    demand(at < moment(report["expires"]), "expired")
