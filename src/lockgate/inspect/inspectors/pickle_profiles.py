"""Profiles: which globals a pickle of one kind of data may name. Everything else is refused.

Torch: what ``torch.load(weights_only=True)`` allows (``torch/_weights_only_unpickler.py``), less what
builds arbitrary subclasses. NumPy: what arrays, scalars, masked arrays and random generators pickle
as. pandas: frames, series and their indexes, arrays and types. scikit-learn: its own classes and those of
NumPy and SciPy that estimators hold. TorchScript: the names that its C++ loader resolves among the operators
and classes inside the archive.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lockgate.core.pickles import PickleProfile as Profile
from lockgate.inspect.inspectors.pickle_values import Walk
from lockgate.inspect.tally import nothing


def _names(module: str, names: str) -> frozenset[str]:
    return frozenset(f"{module}.{name}" for name in names.split())


_BUILTIN = "set frozenset complex bytearray range slice list dict tuple int float str bytes bool object"
_PATHS = "PurePath PurePosixPath PureWindowsPath Path PosixPath WindowsPath"
_DATA = (
    _names("builtins", _BUILTIN)
    | _names("__builtin__", f"{_BUILTIN} long unicode xrange")
    | _names("collections", "OrderedDict defaultdict Counter deque")
    | _names("datetime", "date datetime time timedelta timezone")
    | {"_codecs.encode", "decimal.Decimal", "fractions.Fraction", "uuid.UUID", "array._array_reconstructor"}
    | _names("pathlib", _PATHS)
    | _names("pathlib._local", _PATHS)
    | _names("ipaddress", "IPv4Address IPv6Address IPv4Network IPv6Network IPv4Interface IPv6Interface")
    | {"collections.ChainMap", "babel.dates.DateTimePattern", "babel.numbers.NumberPattern"}
    | {"array.array", "copyreg._reconstructor", "copy_reg._reconstructor", "types.SimpleNamespace"}
)

_SCALARS = (
    "bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 intc uintc longlong ulonglong float16 "
    "float32 float64 float128 longdouble complex64 complex128 complex256 clongdouble str_ bytes_ void "
    "datetime64 timedelta64 object_"
)
_NUMPY = (
    _DATA
    | _names("numpy", f"ndarray dtype matrix recarray record {_SCALARS}")
    | frozenset(
        f"{core}.{name}"
        for core in ("numpy.core", "numpy._core")
        for name in ("multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer")
    )
    | frozenset(
        f"{core}.{name}"
        for core in ("numpy.core", "numpy._core")
        for name in ("_internal._reconstruct", "records.recarray", "records.record")
    )
    | _names("numpy.ma.core", "_mareconstruct MaskedArray MaskedConstant")
    | _names("numpy.ma", "MaskedArray")
    | {"numpy.matrixlib.defmatrix.matrix", "numpy.rec.recarray", "numpy.rec.record"}
    | _names(
        "numpy.random._pickle",
        "__generator_ctor __bit_generator_ctor __randomstate_ctor",
    )
    | {"numpy.random._pcg64.PCG64", "numpy.random._pcg64.PCG64DXSM", "numpy.random._mt19937.MT19937"}
    | {"numpy.random._philox.Philox", "numpy.random._sfc64.SFC64"}
    | _names("numpy.random.bit_generator", "SeedSequence __pyx_unpickle_SeedSequence")
    | _names("numpy.random.mtrand", "RandomState __randomstate_ctor")
    | {"numpy.random._generator.Generator", "numpy.random.__RandomState_ctor"}
)

_ELEMENTS = (
    "Double Float Half Long Int Short Char Byte Bool BFloat16 ComplexDouble ComplexFloat QInt8 QInt32 "
    "QUInt8 QUInt4x2 QUInt2x4"
)
_STORAGES = " ".join(f"{element}Storage" for element in _ELEMENTS.split())
_TENSORS = " ".join(f"{element}Tensor" for element in _ELEMENTS.split())
_TORCH = (
    _NUMPY
    | _names("torch", f"{_STORAGES} {_TENSORS} Size Tensor device")
    | _names("torch.cuda", f"{_STORAGES} {_TENSORS}")
    | _names("torch.sparse", _TENSORS)
    | _names("torch.storage", "UntypedStorage TypedStorage _UntypedStorage _TypedStorage")
    | _names(
        "torch._utils",
        "_rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3 _rebuild_parameter "
        "_rebuild_parameter_with_state _rebuild_qtensor _rebuild_sparse_tensor _rebuild_sparse_csr_tensor "
        "_rebuild_meta_tensor_no_storage _rebuild_nested_tensor _rebuild_device_tensor_from_numpy "
        "_rebuild_device_tensor_from_cpu_tensor",
    )
    | _names("torch._tensor", "_rebuild_from_type_v2 Tensor")
    | _names("torch.nn.parameter", "Parameter Buffer")
    | {"torch.nn.Parameter", "torch.serialization._get_layout", "torch.torch_version.TorchVersion"}
)
_TORCH_WORDS = re.compile(
    r"torch\.(?:(?:u?int|float|complex|bfloat|qu?int|bcomplex|bits)\d\w{0,20}|bool|half|double|long"
    r"|per_(?:tensor|channel)_[a-z_]{1,30})"
)
"""Element types and quantisation schemes: values, not functions."""

_PANDAS_ARRAYS = {
    "categorical": "Categorical", "datetimes": "DatetimeArray", "timedeltas": "TimedeltaArray",
    "period": "PeriodArray", "interval": "IntervalArray", "boolean": "BooleanArray BooleanDtype",
    "integer": "IntegerArray Int8Dtype Int16Dtype Int32Dtype Int64Dtype UInt8Dtype UInt16Dtype UInt32Dtype "
    "UInt64Dtype", "floating": "FloatingArray Float32Dtype Float64Dtype",
    "string_": "StringArray StringDtype", "numpy_": "PandasArray NumpyExtensionArray",
    "sparse.array": "SparseArray", "sparse.dtype": "SparseDtype",
}  # fmt: skip
_PANDAS_INDEXES = {
    "base": "Index _new_Index", "range": "RangeIndex", "multi": "MultiIndex", "category": "CategoricalIndex",
    "numeric": "NumericIndex Int64Index UInt64Index Float64Index",
    "interval": "IntervalIndex _new_IntervalIndex",
    "datetimes": "DatetimeIndex _new_DatetimeIndex", "timedeltas": "TimedeltaIndex",
    "period": "PeriodIndex _new_PeriodIndex", "frozen": "FrozenList FrozenNDArray",
}  # fmt: skip
_PANDAS_OFFSETS = (
    "DateOffset Day Hour Minute Second Milli Micro Nano BusinessDay BusinessHour MonthEnd MonthBegin "
    "BusinessMonthEnd BusinessMonthBegin QuarterEnd QuarterBegin BQuarterEnd BQuarterBegin YearEnd YearBegin "
    "BYearEnd BYearBegin Week WeekOfMonth LastWeekOfMonth SemiMonthEnd SemiMonthBegin Easter"
)
_PANDAS_PUBLIC = (
    "DataFrame Series CategoricalDtype DatetimeTZDtype PeriodDtype IntervalDtype Categorical Timestamp "
    "Timedelta Period Interval NaT NA"
)
"""Classes that version 3 names as its documentation does, beside indexes, arrays and their types."""
_PANDAS = (
    _NUMPY
    | _names("pandas", _PANDAS_PUBLIC)
    | {
        f"{module}.{name}"
        for text in (*_PANDAS_ARRAYS.values(), *_PANDAS_INDEXES.values())
        for name in text.split()
        if not name.startswith("_")
        for module in ("pandas", "pandas.arrays")
    }
    | {"pandas.core.frame.DataFrame", "pandas.core.series.Series", "pandas.core.flags.Flags"}
    | _names("pandas.core.internals.managers", "BlockManager SingleBlockManager")
    | _names("pandas.core.internals.blocks", "new_block new_block_2d")
    | _names("pandas.core.internals", "BlockManager SingleBlockManager")
    | _names("pandas._libs.internals", "_unpickle_block BlockPlacement")
    | _names("pandas._libs.arrays", "NDArrayBacked __pyx_unpickle_NDArrayBacked")
    | _names("pandas._libs.sparse", "IntIndex BlockIndex")
    | _names("pandas._libs.tslibs.timestamps", "Timestamp _unpickle_timestamp")
    | _names("pandas._libs.tslibs.timedeltas", "Timedelta _timedelta_unpickle")
    | _names("pandas._libs.tslibs.period", "Period PeriodDtypeBase")
    | _names("pandas._libs.tslibs.offsets", _PANDAS_OFFSETS)
    | {"pandas._libs.tslibs.nattype._nat_unpickle", "pandas._libs.tslibs.nattype.NaTType"}
    | {"pandas._libs.interval.Interval", "pandas._libs.missing.NAType", "pandas._libs.missing.NA"}
    | _names(
        "pandas.core.dtypes.dtypes",
        "CategoricalDtype DatetimeTZDtype PeriodDtype IntervalDtype SparseDtype PandasDtype NumpyEADtype",
    )
    | {f"pandas.core.arrays.{name}" for each, text in _PANDAS_ARRAYS.items() for name in _names(each, text)}
    | {f"pandas.core.indexes.{name}" for each, text in _PANDAS_INDEXES.items() for name in _names(each, text)}
    | {f"pandas.indexes.{name}" for each, text in _PANDAS_INDEXES.items() for name in _names(each, text)}
    | _names("pytz", "_UTC _p")
    | {"zoneinfo.ZoneInfo._unpickle"}
)
"""Frames of versions 0.18 to 3: constructors and what gives back their parts; no reader and no `eval`.

`pytz._p` and `ZoneInfo._unpickle` read the file of a time zone, and refuse names that lead out of its folder.
"""

_SKLEARN_FUNCTIONS = (
    _names(
        "sklearn.feature_selection._univariate_selection", "f_classif f_regression f_oneway chi2 r_regression"
    )
    | _names("sklearn.feature_selection._mutual_info", "mutual_info_classif mutual_info_regression")
    | _names("sklearn.cluster._kmeans", "_kmeans_single_lloyd _kmeans_single_elkan")
    | _names(
        "numpy",
        "mean median average sum min max amin amax std var abs absolute sign sqrt cbrt square exp expm1 log "
        "log2 log10 log1p sin cos tanh",
    )
    | {"scipy._lib.array_api_compat.numpy._aliases.asarray"}
)
"""What estimators hold to score, pool or transform by: arithmetic on arrays, which reaches nothing else."""
_SKLEARN = (
    _NUMPY
    | _SKLEARN_FUNCTIONS
    | {
        "joblib.numpy_pickle.NumpyArrayWrapper",
        "scipy.interpolate._interpolate.interp1d",
        "scipy.interpolate.interpolate.interp1d",
        "scipy.interpolate._bsplines.BSpline",
        "scipy.stats._distn_infrastructure.rv_frozen",
        "scipy.stats._distn_infrastructure.rv_continuous_frozen",
        "scipy.stats._distn_infrastructure.rv_discrete_frozen",
    }
)
_SKLEARN_WORDS = re.compile(
    r"sklearn(?:\.(?!datasets|externals|_testing|testing|conftest|tests|_joblib|fixes|_mocking)\w{1,40}){1,6}"
    r"\.(?:_?[A-Z][A-Za-z0-9]{1,60}|newObj|__pyx_unpickle_\w{1,60})"
    r"|scipy\.sparse\._?\w{3}\.\w{3}_(?:matrix|array)"
)
"""Classes by their CapWords name and the constructors of Cython types; functions are named one by one."""

_SCRIPT = (
    _names("torch.jit._pickle", "build_intlist build_doublelist build_boollist build_tensorlist "
           "build_tensor_from_id restore_type_tag")
    | _TORCH
)  # fmt: skip
_SCRIPT_WORDS = re.compile(r"__torch__(?:\.\w{1,200}){1,20}")

_NO_WORDS = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class Allowed:
    """One profile's globals: exact names, and names of a shape."""

    profile: Profile
    exact: frozenset[str]
    words: re.Pattern[str] = field(default=_NO_WORDS)
    persistent: bool = False
    own: Callable[[str], bool] = nothing

    def refused(self, seen: Walk) -> list[str]:
        """Return the globals of a walk that the profile does not hold, sorted."""
        return sorted({name for name in map(str, seen.globals) if not self.holds(name)})

    def holds(self, name: str) -> bool:
        """Return whether a global is on the list."""
        return name in self.exact or bool(self.words.fullmatch(name)) or self.own(name)


PROFILES: tuple[Allowed, ...] = (
    Allowed(Profile.DATA, _DATA),
    Allowed(Profile.NUMPY, _NUMPY | {"joblib.numpy_pickle.NumpyArrayWrapper"}),
    Allowed(Profile.PANDAS, _PANDAS),
    Allowed(Profile.TORCH, _TORCH, _TORCH_WORDS, persistent=True),
    Allowed(Profile.SKLEARN, _SKLEARN, _SKLEARN_WORDS),
    Allowed(Profile.TORCHSCRIPT, _SCRIPT, _SCRIPT_WORDS, persistent=True),
)
"""From the narrowest to the widest."""

_LOADS = frozenset({Profile.DATA, Profile.NUMPY, Profile.PANDAS, Profile.TORCH, Profile.SKLEARN})
"""Profiles of pickles that Python loads; TorchScript's are read by libtorch, inside its archives alone."""


def candidates(
    asked: str, inside: Profile | None = None, own: Callable[[str], bool] = nothing
) -> tuple[Allowed, ...]:
    """Return the profiles that may cover a pickle, narrowest first.

    Args:
        asked: What the operator asks for, `auto` for whichever fits.
        inside: The profile of the container that the pickle lies in, if it has one.
        own: Tells the classes of the package that the pickle lies in: whoever wrote it wrote them, too.

    """
    if asked == Profile.NONE:
        return ()
    if inside is not None:
        wanted = {Profile.DATA, Profile.NUMPY, Profile.TORCH, inside}
        if asked not in {Profile.AUTO, inside}:
            wanted &= _upto(asked)
    else:
        wanted = set(_LOADS) if asked == Profile.AUTO else _upto(asked)
    fitting = (item for item in PROFILES if item.profile in wanted)
    return tuple(replace(item, own=own) if item.profile != Profile.TORCHSCRIPT else item for item in fitting)


def _upto(asked: str) -> set[Profile]:
    """Return a profile and the narrower ones that it contains."""
    base = {Profile.DATA, Profile.NUMPY}
    if asked in {Profile.DATA, Profile.NUMPY}:
        return {Profile.DATA} if asked == Profile.DATA else base
    return base | {Profile(asked)}
