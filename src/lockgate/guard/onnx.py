"""Classifiers that a site brings: Prompt Guard 2, PIGuard and others, through ONNX Runtime.

They are admitted models with two files, weights and tokenizer. Nothing about them is guessed: which
label means an attack, and from which probability on, stands in the configuration. Long texts are read
in parts of as many tokens as such models were trained on.
"""

import hashlib
import math
from typing import Any

import numpy as np

from lockgate.guard.errors import GuardModelError
from lockgate.guard.ports import FLAG_SCORE, Scorer
from lockgate.guard.rules import Channel

PART_TOKENS = 512
"""Most tokens that are read together, the special ones included."""

PARTS = 64
"""Most parts of one text that are read."""

_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})
_RANK = 2


class OnnxScorer(Scorer):
    """A sequence classifier in ONNX.

    Args:
        name: What it is called, in decisions.
        model: The weights.
        tokenizer: The tokenizer, as ``tokenizer.json``.
        label: Which output means an attack, from 0; of one output it is that one's sigmoid.
        flag: The probability from which a text is flagged.
        block: The probability from which a text may be blocked.

    Raises:
        GuardModelError: The files cannot be used, or the numbers make no sense.

    """

    def __init__(
        self, name: str, model: bytes, tokenizer: bytes, *, label: int, flag: float = 0.5, block: float = 0.99
    ) -> None:
        """Load it."""
        if not 0 < flag <= block < 1 or label < 0:
            what = (
                f"The classifier {name} cannot flag at {flag:g} and block at {block:g} by the label {label}."
            )
            raise GuardModelError(what)
        self._version = f"{name}@{hashlib.sha256(model).hexdigest()[:12]}"
        self._label = label
        self._flag = flag
        self._block = block
        self._tokenizer = _tokenizer(tokenizer)
        self._session = _session(model)
        self._takes = [given.name for given in self._session.get_inputs()]
        if not set(self._takes) <= _INPUTS:
            what = f"The classifier {name} wants inputs that are not known here."
            raise GuardModelError(what)

    @property
    def version(self) -> str:
        """Return the name with the beginning of the weights' digest."""
        return self._version

    def score(self, plain: str, channel: Channel) -> float:
        """Return the highest score of a text's parts; such models know no channels."""
        del channel
        encoded = self._tokenizer.encode(plain)
        parts = [encoded, *encoded.overflowing][:PARTS]
        return self._shown(max(self._probability(part.ids) for part in parts))

    def block_at(self, channel: Channel) -> float:
        """Return the score from which a text may be blocked."""
        del channel
        return self._shown(self._block)

    def _probability(self, tokens: list[int]) -> float:
        ids = np.asarray([tokens], dtype=np.int64)
        fed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        try:
            logits = np.asarray(
                self._session.run(None, {name: fed[name] for name in self._takes})[0], dtype=float
            )
        except Exception as error:  # the library documents no base class of its errors
            what = f"The classifier {self._version} does not run."
            raise GuardModelError(what) from error
        if (
            logits.ndim != _RANK
            or logits.shape[0] != 1
            or self._label >= logits.shape[1]
            or not np.isfinite(logits).all()
        ):
            what = f"The classifier {self._version} answers with the shape {logits.shape}, not with labels."
            raise GuardModelError(what)
        if logits.shape[1] == 1:
            return 1 / (1 + math.exp(-max(-30.0, min(30.0, float(logits[0, 0])))))
        powers = np.exp(logits[0] - logits[0].max())
        return float(powers[self._label] / powers.sum())

    def _shown(self, probability: float) -> float:
        """Return a score that is one half where this model flags, and keeps the order."""
        if probability <= self._flag:
            return FLAG_SCORE * probability / self._flag
        return FLAG_SCORE + (1 - FLAG_SCORE) * (probability - self._flag) / (1 - self._flag)


def _tokenizer(data: bytes) -> Any:
    from tokenizers import Tokenizer  # noqa: PLC0415  # heavy; only who brings a model pays for it

    try:
        tokenizer = Tokenizer.from_buffer(data)
    except Exception as error:  # the library raises bare Exception
        raise GuardModelError("The classifier's tokenizer cannot be read.") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(PART_TOKENS, stride=PART_TOKENS // 8)
    return tokenizer


def _session(model: bytes) -> Any:
    import onnxruntime  # noqa: PLC0415  # heavy; only who brings a model pays for it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library documents no base class of its errors
        raise GuardModelError("The classifier cannot be loaded.") from error
