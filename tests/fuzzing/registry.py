"""Which functions of the code are parsers, told by their names and what they take; and which need no target.

A parser is a public function or method that takes bytes and is called as one that reads (`_READS`), or makes
more of them than bytes, texts and numbers. Each is
covered by a target, or stands in `EXEMPT` with the reason. A new one that is neither fails
`tests/unit/test_fuzz_registry.py`.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

_READS = re.compile(
    r"^(parse|read|decode|load|open|walk|unpack|split|inspect|verify|detect|extract|accept)(_|$)|_entry$|_of$"
)
_BYTES = re.compile(r"\b(bytes|memoryview|bytearray|BinaryIO|Readable)\b")
_WHOLE = frozenset({"bytes", "memoryview"})
_PLAIN = frozenset({"bytes", "None", "str", "int", "bool", "bytes | None", "str | None", "int | None"})
_MORE = re.compile(r"\b(Callable|Iterable|Iterator|Sequence|Mapping|Annotated|dict|tuple|list)\b")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def parsers_in(source: str) -> Iterator[str]:
    """Yield the names of the parsers of a module, methods with their class."""
    for node in ast.parse(source).body:
        if isinstance(node, _Function) and not node.name.startswith("_") and _parses(node):
            yield node.name
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = (each for each in node.body if isinstance(each, _Function))
            public = (each for each in methods if not each.name.startswith("_"))
            yield from (f"{node.name}.{each.name}" for each in public if _parses(each))


def parsers(package: Path) -> set[str]:
    """Return every parser below a package, as ``module.function`` without the package's own name."""
    found = set()
    for file in package.rglob("*.py"):
        module = ".".join(file.relative_to(package).with_suffix("").parts)
        found |= {f"{module}.{name}" for name in parsers_in(file.read_text("utf-8"))}
    return found


def _parses(function: _Function) -> bool:
    """Tell whether a function is called as a reader, or makes more of its bytes than texts and numbers."""
    arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    kinds = [ast.unparse(each.annotation) for each in arguments if each.annotation]
    takes = any(_BYTES.search(kind) and not _MORE.search(kind) for kind in kinds)
    first = bool(kinds) and kinds[0] in _WHOLE
    makes = function.returns is not None and ast.unparse(function.returns) not in _PLAIN
    return (takes and bool(_READS.search(function.name))) or (first and makes)


_INSPECTED = "part of an inspector, which has a target"
_SIGNED = "opens an envelope and judges its signatures first: the targets `envelopes` and `documents`"
_MAKES = "makes something of content of our own; it reads no format"
_PART = "runs what has a target by itself"
_PART_OF_PACKET = "cuts a packet at fixed places; what reads the parts has a target"

_SHOWN = (
    "gets a certificate that the handshake has verified; it is read by the library that verifies it again"
)

EXEMPT = {
    "infer.identity.certificates.ClientCertificates.holder": _SHOWN,
    "app.high.reading.GrantedCertificates.find": _SHOWN,
    "mirror.access.CertifiedCallers.find": _SHOWN,
    "admit.emergency.Emergencies.ratify": _PART,
    "admit.promote.Promoter.keep": _PART,
    "admit.publish.Publisher.execute": _PART,
    "admit.service.Gate.execute": _PART,
    "admit.soak.read_report": _SIGNED,
    "app.crossing.leaving.Leaving.approve": _MAKES,
    "app.crossing.leaving.Leaving.open": _PART,
    "app.crossing.leaving.Leaving.signatures": "decodes a document of four texts, which `documents` covers",
    "app.crossing.receipt.approve_receipt": _PART,
    "app.gate.versioned.Versioned.facts": _PART,
    "app.gate.approve.sign_as_approver": _PART,
    "app.lane.ceremony.write_document": _MAKES,
    "app.lane.qr_parts.to_lines": _MAKES,
    "app.lane.qr_parts.write_pictures": _MAKES,
    "app.rehearsal.host.read_profile": _SIGNED,
    "app.rehearsal.standing.read_rehearsal": _SIGNED,
    "app.wishes.keep_high.approve_keep": _PART,
    "app.wishes.low.read_lists": _SIGNED,
    "approve.verify.verify_channel": _SIGNED,
    "collect.oci.service.Bringing.manifest": _PART,
    "core.rules.active_rules": _PART,
    "crossing.custody.verify_chain": "reads by crossing.custody.read_chain, which has a target",
    "crossing.custody_ledger.CustodyLedger.record": _PART,
    "crossing.delta.anchors.Sought.runs": _MAKES,
    "crossing.delta.matching.sketch": _MAKES,
    "crossing.delta.planes.split": "takes numbers apart; any bytes of its length are right",
    "crossing.delta.seek.aligned": _MAKES,
    "crossing.delta.seek.runs": _MAKES,
    "crossing.delta.segments.tensor": _MAKES,
    "crossing.delta.segments.written": _MAKES,
    "crossing.diode.wire.tagging": _PART_OF_PACKET,
    "crossing.whereabouts.within_manifest": "points into crate.json: the target `fields of documents`",
    "crossing.diode.wire.taken_apart": _PART_OF_PACKET,
    "crossing.diode.wire.DiodeKey.session": _MAKES,
    "crossing.media.write.read_small_back": "compares bytes of our own with those that were written",
    "crossing.payload.PayloadSource.fill": _MAKES,
    "crossing.receipts.judge_signed": _PART,
    "crossing.volumes.aes_gcm": _MAKES,
    "infer.forms.base.Form.parse": "abstract",
    "infer.engines.sealed.load": "copies and hashes; it reads no format",
    "infer.engines.wire.Reader.feed": "abstract",
    "guard.sealedtext.seal_text": _MAKES,
    "inspect.convert.pictures.pictures": _PART,
    "inspect.convert.torch_weights.convert": _PART,
    "inspect.detect.detect": _INSPECTED,
    "inspect.engine.inspect_bytes": _INSPECTED,
    "inspect.engine.inspect_content": _INSPECTED,
    "inspect.escapes.attempt_entry": "the self-test's own code; its input is ours",
    "inspect.first_look.hinted": _INSPECTED,
    "inspect.first_look.look": _INSPECTED,
    "inspect.inspectors.gguf.read_header": _INSPECTED,
    "inspect.inspectors.lz4.decode": _INSPECTED,
    "inspect.inspectors.protobuf.fields": _INSPECTED,
    "inspect.inspectors.protobuf.varint": _INSPECTED,
    "inspect.inspectors.pickle_machine.walk": _INSPECTED,
    "inspect.inspectors.pickles.follow": _INSPECTED,
    "inspect.inspectors.pickles.imports": _INSPECTED,
    "inspect.inspectors.shapes.pyc_magic": _INSPECTED,
    "inspect.inspectors.source_hints.hints": _INSPECTED,
    "inspect.inspectors.strings.texts_of": _INSPECTED,
    "inspect.inspectors.safetensors.read_header": _INSPECTED,
    "inspect.inspectors.tars.extended": _INSPECTED,
    "inspect.inspectors.tars.read_header": _INSPECTED,
    "inspect.inspectors.torch_legacy.inspect_legacy": _INSPECTED,
    "inspect.inspectors.unpacking.unpack": _INSPECTED,
    "inspect.malware.Scanner.again": _INSPECTED,
    "inspect.malware.Scanner.scan": _INSPECTED,
    "inspect.malware.Scanner.unnamed": _INSPECTED,
    "inspect.inspectors.wires.der_value": _INSPECTED,
    "inspect.inspectors.wires.openpgp_packet": _INSPECTED,
    "inspect.inspectors.wires.proto_field": _INSPECTED,
    "inspect.inspectors.wires.tesseract_parts": _INSPECTED,
    "inspect.inspectors.zip_walk.entries": _INSPECTED,
    "inspect.ports.Inspector.inspect": "abstract",
    "inspect.provenance.bundles.message_of": "takes a bundle that was read, and a digest",
    "inspect.weights.compare.compare": "reads by inspect.weights.tables.read_table, which has a target",
    "inspect.weights.entry.compare_entry": "reads by inspect.weights.tables.read_table, which has a target",
    "inspect.worker.inspect_entry": _PART,
    "knowledge.extract.extract_job": _PART,
    "trust.hpke.key_schedule": _MAKES,
    "trust.keys.load_recipient_key": "reads a key file of this side's own; PEM is read by the library",
    "trust.keys.load_signer": "reads a key file of this side's own; PEM is read by the library",
    "trust.keys_token.TokenSigner.sign": _MAKES,
    "trust.tuf.settle": _PART,
    "trust.tuf.verify": "takes documents that TrustedUpdates, which has targets, accepts or refuses",
    "trust.tuf_trust.TrustedUpdates.accept_role": "reads as accept_snapshot does",
    "trust.webauthn.challenge_of": "hashes",
}
"""Parsers without a target, each with the reason."""
