"""Which kinds of pickles inspection may read as data."""

from enum import StrEnum


class PickleProfile(StrEnum):
    """Kinds of pickles with a list of their own; `auto` is whichever covers a pickle, `none` refuses all."""

    AUTO = "auto"
    NONE = "none"
    DATA = "data"
    NUMPY = "numpy"
    PANDAS = "pandas"
    TORCH = "torch-state-dict"
    SKLEARN = "sklearn"
    TORCHSCRIPT = "torchscript"
