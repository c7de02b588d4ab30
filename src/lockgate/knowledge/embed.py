"""Sentence embeddings by an ONNX model of the BERT family (MiniLM), on the CPU.

Mean pooling over the tokens and length one, as the sentence-transformers models are trained
(Reimers and Gurevych, arXiv:1908.10084).
"""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np

from lockgate.core.digests import sha256
from lockgate.core.wire import digest_of
from lockgate.knowledge.errors import ModelAlteredError, ModelUnusableError
from lockgate.knowledge.ports import Embedder, Vectors

TOKENS_LIMIT = 256
"""Longest text in tokens; the rest is not seen by the model."""
THREADS = 2
CACHE_SIZE = 4096
"""Most vectors that are remembered, so that a sentence is embedded once."""
_POOLING = f"mean/{TOKENS_LIMIT}/l2"


class OnnxEmbedder(Embedder):
    """An embedder that uses the very bytes that were hashed: nothing is read from a path.

    One text is run at a time, so that its vector never depends on its neighbours.
    """

    def __init__(
        self, name: str, model: bytes, model_sha256: str, tokenizer: bytes, tokenizer_sha256: str
    ) -> None:
        """Hash the bytes again and load them.

        Args:
            name: Package URL of the model.
            model: The ONNX file.
            model_sha256: Its admitted digest.
            tokenizer: The ``tokenizer.json``.
            tokenizer_sha256: Its admitted digest.

        Raises:
            ModelAlteredError: The bytes are not the admitted ones; nothing is loaded.
            ModelUnusableError: They are, and cannot be loaded here.

        """
        for part, data, digest in (
            ("model", model, model_sha256),
            ("tokenizer", tokenizer, tokenizer_sha256),
        ):
            if sha256(data) != digest:
                what = f"The embedding {part} is not the admitted one."
                raise ModelAlteredError(what, model=name, expected=digest)
        self._name = name
        self._identity = digest_of([model_sha256, tokenizer_sha256, _POOLING])
        self._tokenizer = _tokenizer(tokenizer)
        self._session = _session(model)
        self._takes = frozenset(given.name for given in self._session.get_inputs())
        self._lock = Lock()
        self._cache: OrderedDict[str, Vectors] = OrderedDict()
        self._dimension = int(self._run("x").shape[0])

    @property
    def name(self) -> str:
        """Return the model's package URL."""
        return self._name

    @property
    def identity(self) -> str:
        """Return the digest over model, tokenizer and pooling."""
        return self._identity

    @property
    def dimension(self) -> int:
        """Return the length of a row."""
        return self._dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row for each text."""
        if not texts:
            return np.zeros((0, self._dimension), dtype=np.float32)
        return np.stack([self._remembered(text) for text in texts])

    def _remembered(self, text: str) -> Vectors:
        with self._lock:
            if text in self._cache:
                self._cache.move_to_end(text)
                return self._cache[text]
        vector = self._run(text)
        with self._lock:
            self._cache[text] = vector
            while len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        return vector

    def _run(self, text: str) -> Vectors:
        ids = np.asarray([self._tokenizer.encode(text).ids], dtype=np.int64)
        fed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        try:
            hidden = self._session.run(None, {name: fed[name] for name in self._takes})[0]
        except Exception as error:  # the library documents no base class of its errors
            raise ModelUnusableError("The embedding model does not run.", model=self._name) from error
        mean = np.asarray(hidden, dtype=np.float32)[0].mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)


def _tokenizer(data: bytes) -> Any:
    from tokenizers import Tokenizer  # noqa: PLC0415 - heavy; only who embeds pays for it

    try:
        tokenizer = Tokenizer.from_buffer(data)
    except Exception as error:  # the library raises bare Exception
        raise ModelUnusableError("The tokenizer cannot be read.") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS_LIMIT)
    return tokenizer


def _session(model: bytes) -> Any:
    import onnxruntime  # noqa: PLC0415 - heavy; only who embeds pays for it

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library documents no base class of its errors
        raise ModelUnusableError("The embedding model cannot be loaded.") from error
    known = {"input_ids", "attention_mask", "token_type_ids"}
    if not {given.name for given in session.get_inputs()} <= known:
        raise ModelUnusableError("The embedding model wants inputs that are not known here.")
    return session
