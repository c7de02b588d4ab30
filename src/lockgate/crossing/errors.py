"""Errors of the crossing: each step of opening has its own, naming file and byte range."""

from lockgate.core.errors import HostError, InputError, LimitError, PolicyError, TrustError


class SealRequestError(InputError):
    """What was asked to be sealed does not fit together."""

    code = "LG-1701"
    advice = "Collect again with `lockgate collect` and seal what it wrote."


class SealingUnfinishedError(InputError):
    """A sealing onto media was begun and is not finished."""

    code = "LG-1737"
    advice = "Go on with `lockgate seal --resume --to MEDIUM`, or discard it with `lockgate seal --give-up`."


class NotACrateError(InputError):
    """There is no crate where one was expected."""

    code = "LG-1702"
    advice = "Name the crate's own folder (crate-NNNNNN-xxxxxx) with crate.json in it."


class VolumeSizeError(InputError):
    """The volume size leaves no room for content."""

    code = "LG-1703"
    advice = "Set seal.volume_bytes to the size of the medium; at least 4096 bytes."


class ParityRequestError(InputError):
    """The share of parity that was asked for cannot be made."""

    code = "LG-1720"
    advice = "Name the parity as a percentage of the volumes: more than 0% and at most 100%."


class CrateGrammarError(TrustError):
    """The crate's folder holds something that the format does not name."""

    code = "LG-2701"
    advice = "Nothing but the crate's own regular files may lie in its folder. Do not open the foreign file."


class RootsListError(TrustError):
    """The files in roots/ are not the ones that crate.json lists."""

    code = "LG-2702"
    advice = "Copy roots/ again from the medium; if it repeats, ask the sealer."


class ManifestError(TrustError):
    """A signed crate.json contradicts itself or asks for what this version does not read."""

    code = "LG-2703"
    advice = "The fault is the sealer's. Ask for a crate that this version reads."


class RecipientNotListedError(TrustError):
    """A crate is sealed to a key that the site root does not publish."""

    code = "LG-2704"
    advice = "Only recipients of the site root may read crates. Find out who asked for the other key."


class NotARecipientError(TrustError):
    """The crate is not sealed to any key of this side."""

    code = "LG-2705"
    advice = "Use the recipient key that the site root publishes, or ask for a crate sealed to it."


class SealerMismatchError(TrustError):
    """The sealer that crate.json names is not the one who signed it."""

    code = "LG-2706"
    advice = "Hold the lane and ask the sealer."


class FutureCrateError(TrustError):
    """A crate is dated later than this side's clock and the allowed skew."""

    code = "LG-2707"
    advice = "Compare the clocks of both sides."


class ShardIndexDamagedError(TrustError):
    """shards.idx is not the file that crate.json names."""

    code = "LG-2708"
    advice = "shards.idx is on every medium: copy it from another one."


class HeaderDamagedError(TrustError):
    """The header of a volume was altered."""

    code = "LG-2709"
    advice = "Copy the volume again; if the medium is damaged, ask for the crossing again."


class RecordDamagedError(TrustError):
    """A sealed record was altered."""

    code = "LG-270a"
    advice = "Copy the volume again; if the medium is damaged, ask for the crossing again."


class VolumeTruncatedError(TrustError):
    """A volume is shorter than crate.json says."""

    code = "LG-270b"
    advice = "The copy was cut short. Copy the volume again."


class VolumeExtendedError(TrustError):
    """A volume is longer than crate.json says."""

    code = "LG-270c"
    advice = "Bytes were added that nobody sealed. Copy the volume again from the medium."


class HeaderContentError(TrustError):
    """The undamaged header of a volume contradicts crate.json."""

    code = "LG-270d"
    advice = "The fault is the sealer's, not the medium's. Hold the lane and ask the sealer."


class CommitmentError(TrustError):
    """A volume key is not the one that the sealer committed to."""

    code = "LG-270e"
    advice = "The sealer may try to show different content to different readers. Hold the lane."


class SealerFaultError(TrustError):
    """A record that arrived undamaged does not decrypt."""

    code = "LG-270f"
    advice = "This is never damage: the sealer made it wrong. Hold the lane and ask the sealer."


class PayloadError(TrustError):
    """The decrypted payload is not what the format says."""

    code = "LG-2710"
    advice = "The fault is the sealer's. Ask for the crossing again."


class TargetMismatchError(TrustError):
    """A file in the payload does not hash to what the signed metadata says."""

    code = "LG-2711"
    advice = "The fault is the sealer's. Nothing of the crossing was admitted."


class TargetSetError(TrustError):
    """Payload, update metadata and lock do not name the same files."""

    code = "LG-2712"
    advice = "The fault is the low side's. Collect and seal again."


class SourceChangedError(TrustError):
    """A file is no longer what the lock says while it is being sealed."""

    code = "LG-2713"
    advice = "The store of the low side was altered. Collect again; the unfinished crate was discarded."


class ParityMissingError(InputError):
    """A damaged crate has no parity to repair it with."""

    code = "LG-1721"
    advice = "Copy the named volume again from another medium, or ask for the crossing again with parity."


class TooDamagedError(TrustError):
    """More of a crate is missing or damaged than its parity can rebuild."""

    code = "LG-2720"
    advice = "Copy the named files again, best from another medium; what arrived undamaged is used again."


class RebuiltWrongError(TrustError):
    """What parity rebuilds does not hash to what the sealer signed."""

    code = "LG-2721"
    advice = (
        "Copy the crate to a disk and try there: the medium may read differently each time. "
        "If it repeats, the sealer's parity is wrong: ask for the crossing again."
    )


class ReceiptConflictError(TrustError):
    """A receipt contradicts what this side sealed or learnt before."""

    code = "LG-2740"
    advice = "Two histories exist. Hold the lane and compare both ledgers by telephone before sealing again."


class CustodyChainError(TrustError):
    """A chain of hand-overs does not hold together."""

    code = "LG-2750"
    advice = "Stop and call: somebody altered, reordered or cut the chain. Ask each clerk for their copy."


class CustodyPlaceError(TrustError):
    """A hand-over is of another lane, crossing or crate."""

    code = "LG-2751"
    advice = "Stop and call: this is the chain of another package, or media were swapped."


class NotTheClerkError(TrustError):
    """A hand-over is not signed by the clerk that it names, or by somebody without a part in it."""

    code = "LG-2752"
    advice = "Stop and call: the clerk who says it signs it, and nobody else but giver and receiver."


class CustodyForkError(TrustError):
    """Two chains tell the way of one crate."""

    code = "LG-2753"
    advice = "Stop and call: keep both chains and ask each clerk which one they signed."


class CrateExpiredError(PolicyError):
    """A crate arrived after its expiry."""

    code = "LG-3701"
    advice = "Ask for the crossing again; what is published goes on being served."


class CleartextRefusedError(PolicyError):
    """A crate is signed and not sealed, and the policy demands sealing."""

    code = "LG-3720"
    advice = "Ask for a sealed crate. A site root can permit cleartext by its policy (two signatures)."


class ReceiveWindowError(PolicyError):
    """Volumes arrived too long after their crate.json was recorded."""

    code = "LG-3702"
    advice = "Ask for the crossing again under a new number and have this one rejected."


class BaseMissingError(PolicyError):
    """A crate builds on a crossing that this side does not hold."""

    code = "LG-3703"
    advice = (
        "Bring the named crossing first, or ask for what builds only on earlier ones "
        "(`lockgate seal --since N`) or on nothing (`lockgate seal --full`)."
    )


class BaseFileMissingError(PolicyError):
    """A file that a patch builds on is in none of the crossings that the crate names."""

    code = "LG-3760"
    advice = "The file was removed here, or the sealer named the wrong crossing: ask for a full crossing."


class ClockHeldError(PolicyError):
    """This side's clock is behind a time that was already proved."""

    code = "LG-3704"
    advice = (
        "Set the clock right, or have two approvers sign `lockgate clock accept`. Serving goes on meanwhile."
    )


class OvertakenError(PolicyError):
    """A later crossing was opened already."""

    code = "LG-3705"
    advice = "Ask for the content in the next crossing; an older one is not opened after a newer one."


class BegunLedgerError(InputError):
    """A station is to begin with a crate and has seen crates of its lane."""

    code = "LG-1773"
    advice = "Show it the next crate without --begin; `--begin` is for the first crate of a station."


class CrossingStateError(PolicyError):
    """A crossing cannot go from one state of the ledger to another."""

    code = "LG-3706"
    advice = "Look at the ledger; a crossing that ended does not begin again."


class ReceiptReplayedError(PolicyError):
    """A receipt was read before."""

    code = "LG-3740"
    advice = "Nothing changed. Ask the high side for the receipt of a newer crossing."


class ReceiptEarlyError(PolicyError):
    """A crossing has not ended yet, or its one receipt was made with other content."""

    code = "LG-3741"
    advice = "A crossing has one receipt, made after it was published, rejected or given up."


class SubliminalSignatureError(PolicyError):
    """A key's signatures are not deterministic, so that they could carry something out."""

    code = "LG-3742"
    advice = "Approve receipts with an Ed25519 key, or with a P-256 key in a file (RFC 6979)."


class CustodyOlderError(PolicyError):
    """A chain is no longer than the one on record."""

    code = "LG-3750"
    advice = "Nothing changed. `lockgate custody show` draws the chain that is on record."


class CrateLimitError(LimitError):
    """A crate is over a bound."""

    code = "LG-4701"
    advice = "Seal less at once or in larger volumes; if the crate is honest, raise the named limit."


class ChainFullError(LimitError):
    """A chain of hand-overs has no room for one more."""

    code = "LG-4750"
    advice = "Reject the crossing and send it again on a shorter way (bound: custody_steps)."


class NoSpaceError(HostError):
    """There is too little free space for the work."""

    code = "LG-5701"
    advice = "Free the named number of bytes; nothing was written."


class CrateIoError(HostError):
    """A file of a crate cannot be read or written."""

    code = "LG-5702"
    advice = "Check the medium, the permissions and free space; then start the same command again."


class CrossingBusyError(HostError):
    """Another process is sealing or receiving in the same folder."""

    code = "LG-5703"
    advice = "Wait until it has ended, then start the same command again."


class ErasureLibraryError(HostError):
    """The library that computes parity is not installed."""

    code = "LG-5740"
    advice = "Install the Python package pyeclib, or the system's package libisal2."


class SandboxMissingError(HostError):
    """A delta crate cannot be rebuilt here."""

    code = "LG-5760"
    advice = "Install bubblewrap (`lockgate doctor` shows what is missing), or ask for a full crossing."
