"""No library that Lockgate loads brings a telemetry client of its own."""

import importlib.util
from pathlib import Path

import pytest

SIGNS = (b"OneCollector", b"telemetry_1ds", b"Microsoft::Applications::Events")


@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers", "pypdfium2_raw"])
def test_no_compiled_library_carries_a_telemetry_client(package: str) -> None:
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    libraries = [p for p in Path(found.origin).parent.rglob("*.so*") if p.is_file()]
    assert libraries, "nothing was looked at"
    for library in libraries:
        data = library.read_bytes()
        assert [sign for sign in SIGNS if sign in data] == [], library.name
