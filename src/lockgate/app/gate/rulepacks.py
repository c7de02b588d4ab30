"""The rules for malicious content that count on a high side: those of the served snapshot.

A pack counts from the moment that two persons published it, and no longer than it is served: there is
nothing to load, and nothing on this machine to switch it off by. The copies that the sandbox sees are
made anew from the store, hashed on the way.
"""

from lockgate.app.high.channel import CHANNEL, channel_file, channel_reader
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of
from lockgate.core.artifact import Kind
from lockgate.core.parts import rest_of
from lockgate.inspect import Limits, RulePack, RuleSet
from lockgate.store import FileBlobs

_FOLDER = "rules"


def active_rules(side: Side, limits: Limits | None = None) -> RuleSet:
    """Return the set of rules that inspection on this side uses now.

    Of several versions of one pack, that of the newest crossing counts.

    Raises:
        OverLimitError: Too many packs are served, or too long together.
        BlobMissingError, BlobMismatchError: A pack is not in the store as it was admitted.
        LockgateError: The channel does not verify; then nothing is known of its rules.

    """
    if not channel_file(side, CHANNEL).is_file():
        return RuleSet()
    snapshot = channel_reader(side, "rules").current().snapshot
    oldest_first = sorted(rest_of(snapshot).admitted, key=lambda a: a.crossing)
    newest = {a.artifact.name: a.artifact for a in oldest_first if a.artifact.kind is Kind.RULES}
    bounds = limits or Limits()
    blobs, copies, packs = blobs_of(side), FileBlobs(side.home.run / _FOLDER), []
    for name, artifact in sorted(newest.items()):
        for file in artifact.files:
            if not copies.has(file.sha256):
                with blobs.open(file.sha256) as stream:
                    copies.put_stream(stream, expected=file.sha256, limit=bounds.rule_bytes)
            packs.append(RulePack(name=name, sha256=file.sha256, file=copies.path(file.sha256)))
    return RuleSet.of(packs, bounds)
