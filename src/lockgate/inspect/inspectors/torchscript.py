"""TorchScript: code that libtorch compiles, kept as text; what its operators can reach is listed.

Names of operators: ``torch/csrc/jit/serialization/python_print.cpp`` prints ``torch.NAME`` for ATen and
``ops.NAMESPACE.NAME`` for all others.
"""

import re

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.texts import scan
from lockgate.inspect.tally import Tally

_FILES = re.compile(r"\b(?:torch|ops\.aten)\.(save|from_file|load|_save|_load|open)\b")
_SPACES = re.compile(r"\bops\.([A-Za-z_]\w*)\.")
_KNOWN = frozenset({
    "prim", "aten", "prims", "quantized", "torchvision", "torchaudio", "mkldnn", "onednn", "sparse",
    "profiler",
    "inductor", "higher_order", "debugprims", "mkldnn_prepacked", "prepacked", "xnnpack", "fb", "rngprims",
    "_quantized", "_caffe2", "nvprims", "cuda", "metal", "tensorexpr", "static_runtime", "dist_autograd",
})  # fmt: skip
_HOSTILE = re.compile(r"\b(?:__import__|eval|exec|compile|os\.system|subprocess|globals|__builtins__)\b")


def script(tally: Tally, raw: bytes) -> None:
    """Claim TorchScript source as text, and note operators that touch files or need other libraries."""
    tally.detected = "torchscript"
    tally.inspectors.add("torchscript/1")
    text = raw.decode("utf-8")
    scan(tally, text)
    tally.opaque.add("torchscript")
    tally.claim_all()
    for found in _FILES.finditer(text):
        why = f"The operator {found[1]} reads or writes files when the model runs."
        tally.note("torchscript-file", Severity.HIGH, why, found.start())
    for space in sorted({found[1] for found in _SPACES.finditer(text)} - _KNOWN):
        why = f"Operators of {space[:40]!r} need a library of their own."
        tally.note("torchscript-operators", Severity.MEDIUM, why)
    for found in _HOSTILE.finditer(text):
        why = f"{found[0]} is no TorchScript: other loaders may run it as Python."
        tally.note("torchscript-python", Severity.HIGH, why, found.start())
