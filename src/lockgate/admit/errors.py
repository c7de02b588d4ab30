"""Errors of the gate."""

from lockgate.core.errors import InputError, PolicyError, TrustError


class NoSuchCrossingError(InputError):
    """The gate knows no crossing with this number."""

    code = "LG-1801"
    advice = "`lockgate gate list` shows the crossings; `lockgate receive` brings a new one."


class WrongStateError(InputError):
    """A crossing is not in the state that this step needs."""

    code = "LG-1802"
    advice = "`lockgate gate show` says what the crossing waits for."


class HeldBackError(PolicyError):
    """The policy holds back artifacts of a crossing."""

    code = "LG-3801"
    advice = "`lockgate gate show` lists them with what would resolve each; --partial admits the others."


class NothingToAdmitError(PolicyError):
    """No artifact of a crossing may be admitted."""

    code = "LG-3802"
    advice = "Reject the crossing, or resolve what `lockgate gate show` lists."


class DeniedError(PolicyError):
    """An artifact was rejected before; its digest is on the deny list for good."""

    code = "LG-3803"
    advice = "Bring another version of it."


class VerdictsAlteredError(TrustError):
    """The verdicts on record are not those that the inspector signed."""

    code = "LG-2801"
    advice = "Inspect the crossing again: `lockgate gate inspect`."


class SnapshotDerivationError(TrustError):
    """A snapshot is not what the channel and the crossing under approval give."""

    code = "LG-2802"
    advice = "Somebody prepared it by hand. Ask again with `lockgate gate request`, and look who asked."


class PredecessorError(PolicyError):
    """The channel moved since the statement was made."""

    code = "LG-3804"
    advice = "Somebody published meanwhile. Ask again with `lockgate gate request`."


class SignerDistrustedError(TrustError):
    """A crossing waits that a key signed which was revoked or dropped since."""

    code = "LG-2803"
    advice = "Reject it, and have the low side collect and seal again with keys that count."


class CustodyBrokenError(PolicyError):
    """The policy demands an unbroken chain of hand-overs, and there is none."""

    code = "LG-3850"
    advice = (
        "`lockgate custody show` draws it. Record the missing hand-overs, or reject the crossing and "
        "send it again; only two approvers can change the policy."
    )


class SoakUnmetError(PolicyError):
    """A snapshot has not shown on the candidate channel what the rules demand."""

    code = "LG-3809"
    advice = "Publish into candidate (`--channel candidate`); `lockgate gate soak` says what it lacks."


class PromotionChangedError(PolicyError):
    """The candidate channel is not what a promotion names."""

    code = "LG-3806"
    advice = "Somebody published meanwhile. Ask again with `lockgate gate promote`."


class TakenAwayError(PolicyError):
    """A promotion would bring back what an operator took away from stable."""

    code = "LG-3807"
    advice = (
        "Withdraw it on candidate too (`lockgate gate withdraw --channel candidate`), or two publish it anew."
    )


class BehindStableError(PolicyError):
    """A promotion would lose something that stable serves."""

    code = "LG-3808"
    advice = "Publish the next crossing into candidate: it takes over what stable serves. Then promote that."


class BadReportError(TrustError):
    """A canary host's report is not about what is served on candidate, or not its own."""

    code = "LG-2804"
    advice = "Let the host report again: `lockgate canary report`."


class NoSuchArtifactError(InputError):
    """An emergency names something that the channel does not serve."""

    code = "LG-1803"
    advice = "Give package URLs of served artifacts: `lockgate gate show N` lists what a crossing brought."


class NothingOwedError(InputError):
    """There is no emergency that this signature would pay for."""

    code = "LG-1804"
    advice = "`lockgate gate owed` lists what waits for a second signature, with the file to sign."


class CrossingHeldError(PolicyError):
    """An operator holds a crossing that waits for publication."""

    code = "LG-3805"
    advice = "Find out why; then `lockgate gate release N`, which two approvers sign, or reject it."


class AdmissionProofError(TrustError):
    """A proof of an admission does not hold."""

    code = "LG-2805"
    advice = "Ask for it again: `lockgate who FILE --proof PROOF`. If it repeats, somebody altered it."


class NotAdmittedError(PolicyError):
    """Nobody let this in: no published crossing of this side brought it."""

    code = "LG-380a"
    advice = (
        "Do not use it before you know where it came from. What is unpacked or installed is another file than"
        " what was admitted: name the package or the model instead."
    )


class AmbiguousNameError(InputError):
    """Several admitted artifacts have this name."""

    code = "LG-1805"
    advice = "Name one of them by its package URL."
