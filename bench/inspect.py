"""What inspection costs; the measurement is `bench/measure/inspection.py`, with the same options.

This file bears the name of a module of the standard library, and its folder comes first on the path of
every program in it: whoever imports `inspect` from there is given the standard library's.
"""

import runpy
import sys
import sysconfig
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

HERE = Path(__file__).parent

if __name__ == "__main__":
    sys.path = [path for path in sys.path if Path(path or ".").resolve() != HERE.resolve()]
    runpy.run_path(str(HERE / "measure" / "inspection.py"), run_name="__main__")
else:
    found = PathFinder.find_spec(__name__, [sysconfig.get_path("stdlib")])
    if found is None or found.loader is None:
        missing = f"The standard library has no module {__name__}."
        raise ImportError(missing)
    sys.modules[__name__] = module_from_spec(found)
    found.loader.exec_module(sys.modules[__name__])
