"""The inspection corpus: files with the verdict or the findings that they must get."""

import zipfile

from corpora import inspection_content as make
from corpora.inspection_acts import ACTS_BAD, ACTS_GOOD
from corpora.inspection_archives import ARCHIVES
from corpora.inspection_asides import ASIDES_BAD, ASIDES_GOOD
from corpora.inspection_bad import CONTENT
from corpora.inspection_beside import BESIDE_BAD, BESIDE_BROKEN, BESIDE_GOOD
from corpora.inspection_bypasses import BYPASSES_BAD, BYPASSES_GOOD
from corpora.inspection_bypasses_documents import (
    DOCUMENT_BYPASSES_BAD,
    DOCUMENT_BYPASSES_GOOD,
    DOCUMENT_BYPASSES_UNREAD,
)
from corpora.inspection_carried import CARRIED_BAD, CARRIED_GOOD
from corpora.inspection_case import WHEEL, Case, inspected
from corpora.inspection_compiled import COMPILED_BAD, COMPILED_GOOD, COMPILED_UNREAD
from corpora.inspection_constructs import CONSTRUCTS_BAD, CONSTRUCTS_GOOD, CONSTRUCTS_UNREAD
from corpora.inspection_data import DATA_BAD, DATA_GOOD, DATA_UNREAD
from corpora.inspection_documents import DOCUMENTS_BAD, DOCUMENTS_GOOD, DOCUMENTS_UNREAD
from corpora.inspection_families import FAMILIES_BAD, FAMILIES_UNREAD
from corpora.inspection_families_made import FAMILIES_GOOD
from corpora.inspection_families_more import FAMILIES_MORE_BAD, FAMILIES_MORE_GOOD
from corpora.inspection_flows import FLOWS_BAD, FLOWS_GOOD
from corpora.inspection_found import FOUND_BAD, FOUND_GOOD, FOUND_UNREAD
from corpora.inspection_good import COMMON
from corpora.inspection_handed import HANDED_BAD, HANDED_GOOD
from corpora.inspection_hdf5 import HDF5_BAD, HDF5_GOOD, HDF5_UNREAD
from corpora.inspection_hidden_flows import HIDDEN_FLOWS_BAD, HIDDEN_FLOWS_GOOD
from corpora.inspection_legacy import LEGACY_BAD, LEGACY_GOOD
from corpora.inspection_lettered import LETTERED_BAD, LETTERED_GOOD, LETTERED_UNREAD
from corpora.inspection_malware import MALWARE_BAD, MALWARE_GOOD
from corpora.inspection_media import MEDIA_BAD, MEDIA_GOOD, MEDIA_UNREAD
from corpora.inspection_networks import NETWORKS_BAD, NETWORKS_GOOD, NETWORKS_UNREAD
from corpora.inspection_packages import PACKAGES_BAD, PACKAGES_GOOD
from corpora.inspection_packed import PACKED_BAD, PACKED_GOOD
from corpora.inspection_pages import PAGES_BAD, PAGES_GOOD
from corpora.inspection_pickles import PICKLES_BAD, PICKLES_GOOD, PICKLES_UNREAD
from corpora.inspection_pyflows import PYFLOWS_BAD, PYFLOWS_GOOD
from corpora.inspection_real import REAL_BAD, REAL_GOOD, REAL_UNREAD
from corpora.inspection_references import REFERENCES_BAD, REFERENCES_GOOD
from corpora.inspection_small import SMALL_BAD, SMALL_GOOD, SMALL_UNREAD
from corpora.inspection_systems import SYSTEMS_BAD, SYSTEMS_GOOD, SYSTEMS_UNREAD
from corpora.inspection_systems_data import SYSTEM_DATA_BAD, SYSTEM_DATA_GOOD, SYSTEM_DATA_UNREAD
from corpora.inspection_techniques import TECHNIQUES_BAD, TECHNIQUES_GOOD
from corpora.inspection_texts import INSTALLS_BAD, INSTALLS_GOOD, TEXTS_BAD, TEXTS_GOOD
from corpora.inspection_variants import VARIANTS_BAD, VARIANTS_GOOD, VARIANTS_UNREAD

_STORED = make.zipped({"a.txt": b"innocent"}, method=zipfile.ZIP_STORED)

GOOD = [
    *COMMON,
    *VARIANTS_GOOD,
    *PICKLES_GOOD,
    *PACKAGES_GOOD,
    *DOCUMENTS_GOOD,
    *HDF5_GOOD,
    *SMALL_GOOD,
    *MALWARE_GOOD,
    *REAL_GOOD,
    *TEXTS_GOOD,
    *SYSTEMS_GOOD,
    *INSTALLS_GOOD,
    *FOUND_GOOD,
    *LEGACY_GOOD,
    *DATA_GOOD,
    *NETWORKS_GOOD,
    *MEDIA_GOOD,
    *SYSTEM_DATA_GOOD,
    *COMPILED_GOOD,
    *ACTS_GOOD,
    *PAGES_GOOD,
    *PACKED_GOOD,
    *LETTERED_GOOD,
    *ASIDES_GOOD,
    *TECHNIQUES_GOOD,
    *FLOWS_GOOD,
    *HIDDEN_FLOWS_GOOD,
    *CARRIED_GOOD,
    *DOCUMENT_BYPASSES_GOOD,
    *HANDED_GOOD,
    *PYFLOWS_GOOD,
    *CONSTRUCTS_GOOD,
    *BYPASSES_GOOD,
    *BESIDE_GOOD,
    *REFERENCES_GOOD,
    *FAMILIES_GOOD,
    *FAMILIES_MORE_GOOD,
]
BAD = [
    *ARCHIVES,
    *CONTENT,
    *VARIANTS_BAD,
    *PICKLES_BAD,
    *PACKAGES_BAD,
    *DOCUMENTS_BAD,
    *HDF5_BAD,
    *SMALL_BAD,
    *MALWARE_BAD,
    *REAL_BAD,
    *TEXTS_BAD,
    *SYSTEMS_BAD,
    *INSTALLS_BAD,
    *FOUND_BAD,
    *LEGACY_BAD,
    *DATA_BAD,
    *NETWORKS_BAD,
    *MEDIA_BAD,
    *SYSTEM_DATA_BAD,
    *COMPILED_BAD,
    *ACTS_BAD,
    *PAGES_BAD,
    *PACKED_BAD,
    *LETTERED_BAD,
    *ASIDES_BAD,
    *TECHNIQUES_BAD,
    *FLOWS_BAD,
    *HIDDEN_FLOWS_BAD,
    *CARRIED_BAD,
    *DOCUMENT_BYPASSES_BAD,
    *HANDED_BAD,
    *PYFLOWS_BAD,
    *CONSTRUCTS_BAD,
    *BYPASSES_BAD,
    *BESIDE_BAD,
    *REFERENCES_BAD,
    *FAMILIES_BAD,
    *FAMILIES_MORE_BAD,
]

UNREAD = [
    *VARIANTS_UNREAD,
    *(
        Case(title, name, data)
        for title, name, data in (
            *(
                *SMALL_UNREAD,
                *REAL_UNREAD,
                *SYSTEMS_UNREAD,
                *FOUND_UNREAD,
                *DATA_UNREAD,
                *NETWORKS_UNREAD,
                *MEDIA_UNREAD,
                *SYSTEM_DATA_UNREAD,
                *COMPILED_UNREAD,
                *CONSTRUCTS_UNREAD,
                *BESIDE_BROKEN,
                *LETTERED_UNREAD,
            ),
        )
    ),
    *(Case(title, name, data, "model") for title, name, data in HDF5_UNREAD),
    *(
        Case(title, name, data, "document")
        for title, name, data in (*DOCUMENTS_UNREAD, *DOCUMENT_BYPASSES_UNREAD, *FAMILIES_UNREAD)
    ),
    *(Case(title, name, data, "model") for title, name, data in PICKLES_UNREAD),
    Case("random bytes", "x.bin", bytes(range(256)) * 3),
    Case("a 7z archive", "x.7z", b"7z\xbc\xaf\x27\x1c" + bytes(60)),
    Case("an encrypted PDF", "p.pdf", make.pdf(catalog="/Encrypt 5 0 R"), "document"),
    Case("a PDF with bytes between objects", "p.pdf", make.pdf(tail=b"hidden words"), "document"),
    Case("GGUF 1", "m.gguf", make.gguf(version=1), "model"),
    Case("GGUF with more tensors than fit", "m.gguf", make.gguf(count=1 << 40), "model"),
    Case("GGUF with a type that nobody knows", "m.gguf", make.gguf(tensors=[("x", (32,), 99, 0)]), "model"),
    Case("GGUF with rows that are no blocks", "m.gguf", make.gguf(tensors=[("x", (31,), 2, 0)]), "model"),
    Case("GGUF with a tensor past its end", "m.gguf", make.gguf(tensors=[("x", (32 << 20,), 2, 0)]), "model"),
    Case("GGUF with a key twice", "m.gguf", make.gguf(keys=[(b"general.alignment", bytes(8))]), "model"),
    Case("GGUF that ends in its header", "m.gguf", make.gguf()[:80], "model"),
    Case(
        "safetensors with a shape that lies",
        "m.safetensors",
        make.safetensors({"a": {"dtype": "F32", "shape": [7], "data_offsets": [0, 24]}}),
        "model",
    ),
    Case(
        "safetensors past the end",
        "m.safetensors",
        make.safetensors({"a": {"dtype": "U8", "shape": [99], "data_offsets": [0, 99]}}),
        "model",
    ),
    Case(
        "ONNX with a field that nobody knows",
        "m.onnx",
        make.onnx(tensor=make.message((1, 1), (2, 1), (99, 1))),
        "model",
    ),
    Case("an array that is too short", "a.npy", make.npy(data=bytes(23))),
    Case("an array with a type that nobody knows", "a.npy", make.npy("'<q4'")),
    Case("gzip that breaks off", "a.gz", make.gzipped(b"text" * 99)[:-12]),
    Case("a member that was altered", "a.zip", _STORED.replace(b"innocent", b"infected")),
    Case("bytes behind the directory", "a.zip", _STORED.replace(b"PK\x05\x06", b"hidden" + b"PK\x05\x06")),
    Case("tar with a false sum", "a.tar", make.tar({"a.txt": b"x"}).replace(b"0000644", b"0000744")),
    Case("gzip with another CRC", "a.gz", make.gzipped(b"text")[:-8] + bytes(4) + make.gzipped(b"text")[-4:]),
    Case("gzip with another size", "a.gz", make.gzipped(b"text")[:-4] + bytes(4)),
    Case("ONNX without operator sets", "m.onnx", make.onnx()[:-6], "model"),
    Case("a PDF that ends early", "p.pdf", make.pdf()[:-8], "document"),
    Case("gzip with a false sum", "a.gz", make.gzipped(b"text")[:-8] + bytes(8)),
    Case("tar without an end", "a.tar", make.tar({"a": b"x"})[:1024]),
    Case(
        "an encrypted member",
        "a.zip",
        make.zipped({"a.txt": b"x"}).replace(b"\x14\x00\x00\x00", b"\x14\x00\x01\x00"),
    ),
    Case("PNG with a false sum", "p.png", make.png()[:-20] + b"x" + make.png()[-19:]),
    Case("PNG with a line too many", "p.png", make.png(rows=bytes(70))),
    Case("machine code that breaks off", "a.so", make.elf()[:100], "python"),
    Case("Windows code", "a.exe", b"MZ" + bytes(200), "python"),
    Case("a thin library", "a.a", b"!<thin>\n", "python"),
]

__all__ = ["BAD", "GOOD", "UNREAD", "WHEEL", "Case", "inspected"]
