"""Inspects one piece of content: detects its type, compares the claim, runs the inspector.

Everything here and in `inspectors` runs inside the sandbox and reads hostile bytes.
"""

import struct
import zlib
from functools import cache
from importlib import import_module
from importlib.metadata import version

from lockgate.core.artifact import Kind
from lockgate.core.verdict import Severity
from lockgate.core.wire import digest_of
from lockgate.inspect import first_look, malware, secrets, site
from lockgate.inspect.detect import (
    EMPTY,
    TEXT_TYPES,
    UNKNOWN,
    ZIP_TYPES,
    detect,
    extension,
    mismatch,
    zip_tail,
)
from lockgate.inspect.errors import BrokenContentError, OverLimitError
from lockgate.inspect.inspectors import system_files
from lockgate.inspect.limits import Budget, Limits
from lockgate.inspect.ports import Inspector, Part
from lockgate.inspect.tally import GAPS, Context, Tally
from lockgate.scoring.plain import weights_digest

_WHERE = {
    "gguf": "gguf:GgufInspector",
    "safetensors": "safetensors:SafetensorsInspector",
    "onnx": "onnx:OnnxInspector",
    "tflite": "tflite:TfliteInspector",
    "tensorflow": "graphs:GraphInspector",
    "dicom": "dicom:DicomInspector",
    "hdf5": "hdf5:Hdf5Inspector",
    "pickle": "pickles:PickleInspector",
    "npy": "arrays:ArrayInspector",
    "zip": "zips:ZipInspector",
    "gzip": "gzips:GzipInspector",
    **dict.fromkeys(("zlib", "bzip2", "xz", "lzma", "zstd", "lz4"), "compressed:CompressedInspector"),
    "tar": "tars:TarInspector",
    "cpio": "cpios:CpioInspector",
    "rpm": "rpms:RpmInspector",
    "elf": "native:ElfInspector",
    "pe": "programs:PeInspector",
    "coff": "programs:CoffInspector",
    "mach-o": "programs:MachInspector",
    "wasm": "programs:WasmInspector",
    "ar": "native:ArchiveInspector",
    "git-bundle": "git_bundles:GitBundleInspector",
    "java-class": "java_classes:JavaClassInspector",
    "sphinx-inventory": "inventories:InventoryInspector",
    "mo": "tables:CatalogueInspector",
    "tzif": "tables:ZoneInspector",
    "ico": "tables:IconInspector",
    "gif": "tables:GifInspector",
    "parquet": "parquet:ParquetInspector",
    "pyc": "bytecode:BytecodeInspector",
    **dict.fromkeys(("riff", "iff", "beam"), "chunks:ChunksInspector"),
    "midi": "chunks:MidiInspector",
    "ogg": "sounds:OggInspector",
    "mp3": "sounds:MpegAudioInspector",
    "bmp": "pictures:BitmapInspector",
    "tiff": "pictures:TiffInspector",
    "netpbm": "pictures:NetpbmInspector",
    "psf": "old_fonts:ConsoleFontInspector",
    "pcf": "old_fonts:PcfInspector",
    "pf2": "old_fonts:BootFontInspector",
    "magic": "compiled_texts:MagicInspector",
    "zwc": "compiled_texts:ZshInspector",
    "bmff": "films:BoxesInspector",
    "matroska": "films:MatroskaInspector",
    "pfb": "old_fonts:PfbInspector",
    "openpgp": "openpgp:OpenPgpInspector",
    "der": "der:DerInspector",
    "r-data": "r_data:RDataInspector",
    "r-database": "r_data:RDatabaseInspector",
    "sentencepiece": "vocabularies:SentencePieceInspector",
    "msgpack": "vocabularies:MessagePackInspector",
    "tesseract": "vocabularies:TesseractInspector",
    "gvdb": "gvdb:GvdbInspector",
    "glibc-locale": "locales:LocaleInspector",
    "gconv": "locales:ConversionsInspector",
    "qm": "locales:QtMessagesInspector",
    "bitcode": "bitcode:BitcodeInspector",
    "ds-store": "finder:FinderInspector",
    "sqlite": "sqlite:SqliteInspector",
    "netcdf": "grids:NetcdfInspector",
    "shapefile": "grids:ShapeInspector",
    "dbf": "grids:DbfInspector",
    "icc": "desktop:ColourInspector",
    "xcursor": "desktop:CursorInspector",
    "terminfo": "desktop:TerminalInspector",
    "eot": "desktop:EmbeddedFontInspector",
    **dict.fromkeys(("font", "woff", "woff2"), "fonts:FontInspector"),
    "png": "images:PngInspector",
    "jpeg": "images:JpegInspector",
    "fits": "images:FitsInspector",
    "pdf": "pdf:PdfInspector",
    "rtf": "rtf:RtfInspector",
    "mail": "mail:MailInspector",
    "ole2": "compound:CompoundInspector",
    "text": "texts:TextInspector",
    "text-latin1": "legacy_texts:LegacyTextInspector",
    "text-utf16": "legacy_texts:WideTextInspector",
    "xml": "texts:TextInspector",
    "python": "python_source:PythonInspector",
    "json": "texts:JsonInspector",
    "html": "html:HtmlInspector",
    "markdown": "markdown:MarkdownInspector",
}
"""Detected type → module and class; each is imported when the first such content comes."""

_OF_RULES = Kind.RULES
_RULES = "rules:RulesInspector"
"""What reads an artifact of kind ``rules``, whatever its text looks like."""

_EARLY_PDF = 1024
_READ_AS_TEXT = frozenset({"text", "text-latin1", "python", "markdown", "json"})
"""Texts that may speak of a PDF where one could begin: no reader takes them for one."""
_REFUSED = {
    "7z": "7z archives are not unpacked: their readers differ in what they make of a broken one.",
    "rar": "RAR archives are not unpacked: nothing that reads them is free and kept.",
}
"""Archives that are refused as such, so that nobody waits for them."""

_BROKEN = (struct.error, UnicodeDecodeError, zlib.error)
"""What reading raises by itself where a file is cut or its parts are not what its headers say."""


def inspectors() -> list[str]:
    """Return the modules of all inspectors, for whoever loads them ahead."""
    every = (*_WHERE.values(), _RULES)
    return sorted({f"lockgate.inspect.inspectors.{where.partition(':')[0]}" for where in every})


@cache
def inspector_for(detected: str) -> Inspector | None:
    """Return the inspector of a detected type, or None when there is none."""
    where = _WHERE.get(detected)
    return _made(where) if where else None


@cache
def _made(where: str) -> Inspector:
    module, name = where.split(":")
    kind = getattr(import_module(f"lockgate.inspect.inspectors.{module}"), name)
    inspector: Inspector = kind()
    return inspector


@cache
def engine_digest(announced: tuple[str, ...] = ()) -> str:
    """Return a digest over every inspector's version: another one, and content would be read otherwise.

    Args:
        announced: The site's own inspectors with what announces them and its version.

    """
    names = {f"{made.name}/{made.version}" for made in map(_made, (*_WHERE.values(), _RULES))}
    names |= {f"{each.NAME}/{each.VERSION}" for each in (malware, secrets)}
    names |= {f"{name} {version(name)}" for name in ("yara-x", "detect-secrets")}
    names.add(f"score/{weights_digest()}")
    return digest_of(sorted(names | set(announced)))


def inspect_content(data: memoryview, context: Context) -> Tally:
    """Return the tally of one piece of content; never raises for what the content is."""
    tally = Tally(len(data), context.where, context.limits.findings)
    try:
        tally.detected = detect(data, context.name, context.limits.text_bytes)
        if first_look.wants(data, tally, context):
            tally.seen = first_look.look(bytes(data), tally, context)
        _run(data, tally, context)
        _claims(data, tally, context)
        malware.look(data, tally, context)
        secrets.look(data, tally, context)
    except OverLimitError as error:
        tally.unfinished("over-limit", error.what, error.where.get("at"))
    except BrokenContentError as error:
        tally.unfinished(f"{tally.detected}-malformed", error.what, error.where.get("at"))
    except _BROKEN as error:
        why = f"It ends inside a structure, or holds what cannot be read ({type(error).__name__})."
        tally.unfinished(f"{tally.detected}-malformed", why)
    except (RecursionError, MemoryError) as error:
        tally.unfinished("inspector-exhausted", f"The inspector ran out of room ({type(error).__name__}).")
    except Exception as error:  # noqa: BLE001  # whatever hostile bytes do to a parser, they stay unread
        tally.unfinished("inspector-failed", f"The inspector could not read it ({type(error).__name__}).")
    return tally


def _run(data: memoryview, tally: Tally, context: Context) -> None:
    if tally.detected == EMPTY:
        return
    inspector = _made(_RULES) if context.kind == _OF_RULES else inspector_for(tally.detected)
    if site.look(data, tally, context, known=inspector is not None) and inspector is None:
        return
    if tally.detected in _REFUSED:
        severity = Severity.INFO if context.package else Severity.HIGH
        tally.note("archive-refused", severity, f"{_REFUSED[tally.detected]} Ask for it as zip or tar.")
        tally.complete = False
        return
    if inspector is None:
        what = "The type of the content is not known." if tally.detected == UNKNOWN else ""
        tally.unfinished("unknown-type", what or f"No inspector understands {tally.detected}.")
        return
    tally.inspectors.add(f"{inspector.name}/{inspector.version}")
    inspector.inspect(data, tally, context)
    if context.depth and (context.role in system_files.ROLES or system_files.anywhere(context.name)):
        system_files.look_at(data, tally, context)


def _claims(data: memoryview, tally: Tally, context: Context) -> None:
    """Note names that promise another type, and content that is two things at once."""
    if mismatch(tally.detected, context.name):
        why = f"It is named .{extension(context.name)} and is {tally.detected}."
        inert = context.package and tally.detected in TEXT_TYPES
        tally.note("type-mismatch", Severity.INFO if inert else Severity.HIGH, why)
    if (
        tally.detected in ZIP_TYPES or tally.detected == "tflite"
    ):  # it may have texts behind it, and says so itself
        return
    tail = zip_tail(data)
    if tail is not None:
        tally.note(
            "polyglot-zip",
            Severity.HIGH,
            f"It is {tally.detected} and, read from its end, a ZIP archive.",
            tail,
        )
        tally.complete = False
    if tally.detected in _READ_AS_TEXT:
        return
    at = bytes(data[:_EARLY_PDF]).find(b"%PDF-")
    if at > 0:
        # What nobody understands keeps a package incomplete; pictures of documents hold one that they show.
        severity = Severity.INFO if context.package and tally.detected == UNKNOWN else Severity.HIGH
        tally.note("polyglot-pdf", severity, f"It is {tally.detected} and, for some readers, a PDF.", at)


def inspect_bytes(
    data: memoryview,
    name: str,
    kind: str,
    limits: Limits,
    profile: str = "auto",
    *,
    role: str = "",
    site: tuple[str, ...] = (),
) -> Part:
    """Inspect a whole file and return what the worker answers.

    Args:
        data: Its content.
        name: The path that it claims.
        kind: The kind of its artifact.
        limits: All bounds.
        profile: What pickles may be read as (`lockgate.inspect.inspectors.pickle_profiles.Profile`).
        role: What part of a package it is.
        site: Classes of the site's own inspectors (`lockgate.inspect.site`).

    """
    context = Context(
        name, kind, limits, Budget(limits), inspect_content, profile=profile, role=role, site=site
    )
    tally = inspect_content(data, context)
    for start, end in tally.gaps()[:GAPS] if tally.complete else ():
        tally.unfinished("unclaimed", f"{end - start} bytes that no parser accounts for.", start)
    tally.tell_repeated()
    return Part(
        detected=tally.detected,
        size=tally.size,
        covered=tally.covered,
        complete=tally.complete,
        opaque=tuple(sorted(tally.opaque)),
        findings=tuple(tally.findings),
        inspectors=tuple(sorted(tally.inspectors)),
        uses=tuple(sorted(tally.uses)),
        requires=tuple(sorted(tally.requires)),
    )
