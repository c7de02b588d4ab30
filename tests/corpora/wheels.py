"""Tiny pure wheels, made in the test that needs them (Binary Distribution Format; PEP 376)."""

import base64
import hashlib
import io
import zipfile
from dataclasses import dataclass


@dataclass(frozen=True)
class Wheel:
    """A wheel with the core metadata that lies inside it."""

    filename: str
    data: bytes
    metadata: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def build_wheel(name, version, *, requires=(), requires_python="", source="", padding=b""):
    """Return a wheel with one module; the same arguments give the same bytes.

    Args:
        name: Project name as people write it.
        version: Its version.
        requires: Requirements, one string each.
        requires_python: Specifier, or empty.
        source: The module's text.
        padding: Bytes stored as a data file, to make the wheel as long as a test needs.
    """
    module = name.lower().replace("-", "_").replace(".", "_")
    info = f"{module}-{version}.dist-info"
    fields = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    fields += [f"Requires-Python: {requires_python}"] if requires_python else []
    fields += [f"Requires-Dist: {requirement}" for requirement in requires]
    metadata = ("\n".join(fields) + "\n").encode()
    files = {
        f"{module}/__init__.py": source.encode() or f'VERSION = "{version}"\n'.encode(),
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if padding:
        files[f"{module}/padding.bin"] = padding
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path), data)
    return Wheel(f"{module}-{version}-py3-none-any.whl", buffer.getvalue(), metadata)


def _record(files, own):
    lines = []
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(data)}")
    return "\n".join([*lines, f"{own},,", ""]).encode()
