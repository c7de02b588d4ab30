"""What `zipfile` raises for an archive that cannot be read; its documentation names the first alone."""

import lzma
import zlib
from typing import Final
from zipfile import BadZipFile

ZIP_ERRORS: Final = (BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError)
"""Bad structure, damaged streams, an early end, encryption, methods and versions that it does not know
(`NotImplementedError` is a `RuntimeError`), and places before the file's beginning."""
