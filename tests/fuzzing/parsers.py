"""A target for each other parser of bytes that somebody else made."""

from corpora.debs import DebFile
from fuzzing.runs import (
    collector,
    decode_document,
    default,
    digest_key,
    extract,
    feeding,
    flatten,
    form,
    now,
    opened,
    outside,
    packet,
    page,
    patch,
    picture_args,
    recipe,
    request,
    roots,
    segment,
    site,
    stream,
    supply,
    supply_root,
    torch_args,
    trusting,
    with_base,
)
from fuzzing.seeds import (
    JWK,
    attestation_seeds,
    bundles,
    captured,
    cases_of,
    certificate,
    deflated,
    directory_seeds,
    document_seeds,
    envelope_seeds,
    guard_modes,
    manifests,
    patches,
    provenance_seeds,
    public_key,
    rulebook,
    stamp_seeds,
    texts,
    vectors,
)
from fuzzing.target import Target, confined, drained, found, late, limits, plain, refusing, two_inputs

OPENVEX = "://".join(("https", "openvex.dev/ns/v0.2.0"))  # noqa: FLY002  # no address is written out


def parser_targets() -> list[Target]:
    advised = default("advisories.limits.Limits")
    gateway = default("infer.limits.GatewayLimits")
    osv = texts({"id": "GHSA-1", "modified": "2026-01-01T00:00:00Z", "affected": [{"package": {
        "ecosystem": "PyPI", "name": "a"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"},
        {"fixed": "1.2"}]}], "versions": ["1.0"]}], "severity": [{"type": "CVSS_V3",
        "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]})  # fmt: skip
    chat = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True, "temperature": 0.5}
    return [
        Target("documents", ("core.wire.decode",), refusing(decode_document), document_seeds),
        plain("envelopes", "trust.dsse.open_envelope", envelope_seeds),
        plain("fields of documents", "core.wire.span_of", document_seeds, lambda: "$.a[0].b"),
        plain("payloads of envelopes", "trust.dsse.payload_span", envelope_seeds, lambda: 3, lambda: 5),
        plain("cards of a ceremony", "trust.ceremony.read_card", envelope_seeds),
        plain("documents of roots", "trust.ceremony.read_root", envelope_seeds),
        plain(
            "site roots",
            "trust.roots.load_site_root",
            envelope_seeds,
            lambda: "0" * 64,
            lambda: "test",
            now,
        ),
        plain(
            "supply roots",
            "trust.roots.read_supply_root",
            envelope_seeds,
            also=("trust.roots.load_supply_root",),
        ),
        *(
            Target(
                f"update metadata, {name}",
                (f"trust.tuf_trust.TrustedUpdates.accept_{name}",),
                refusing(trusting(f"accept_{name}")),
                envelope_seeds,
            )
            for name in ("root", "timestamp", "snapshot")
        ),
        plain(
            "trust roots of upstream", "core.provenance.read_roots", texts({"format": "x"}, b'format = "1"')
        ),
        plain("keep lists", "core.keep.read_keep", texts(b"LGK1" + bytes(200)), lambda: "test"),
        plain("receipts", "core.receipt.read_body", texts(b"LGR1" + bytes(100)), lambda: "test"),
        plain("image manifests", "core.oci.parse_manifest", manifests),
        plain("guards that people sign", "guard.modes.read_modes", guard_modes),
        plain("rulebooks", "core.rules.read_rules", lambda: [rulebook()]),
        plain(
            "advisories",
            "advisories.osv.parse_osv",
            osv,
            lambda: "a.json",
            advised,
            also=("advisories.osv.read_json",),
        ),
        plain(
            "exploited vulnerabilities",
            "advisories.reading.kev_catalogue",
            texts(
                {
                    "catalogVersion": "1",
                    "dateReleased": "2026-01-01T00:00:00Z",
                    "count": 0,
                    "vulnerabilities": [],
                }
            ),
            lambda: "kev",
        ),
        plain(
            "statements of exploitability",
            "advisories.vex.claims_of",
            texts(
                {
                    "@context": OPENVEX,
                    "statements": [
                        {
                            "vulnerability": {"name": "CVE-2026-1"},
                            "products": [{"@id": "pkg:pypi/a@1"}],
                            "status": "not_affected",
                            "justification": "component_not_present",
                        }
                    ],
                },
                {"bomFormat": "CycloneDX", "specVersion": "1.6", "vulnerabilities": []},
            ),
            lambda: "vex",
        ),
        plain(
            "bills of materials",
            "advisories.bill.purls_of",
            texts(
                {
                    "bomFormat": "CycloneDX",
                    "components": [{"type": "library", "name": "a", "purl": "pkg:pypi/a@1"}],
                },
                {"spdxVersion": "SPDX-2.3", "packages": []},
            ),
            lambda: "bill",
            advised,
        ),
        plain("wanted lists", "advisories.wanted.read_wanted", envelope_seeds),
        plain(
            "manifests",
            "collect.manifest.parse_manifest",
            texts(b'[python]\nrequirements = ["a==1"]\n[[models]]\nrepository = "a/b"\nrevision = "main"\n'),
        ),
        plain(
            "npm lock files",
            "collect.npm.lockfile.read_lock",
            texts(
                {
                    "lockfileVersion": 3,
                    "packages": {
                        "": {},
                        "node_modules/a": {
                            "version": "1.0.0",
                            "resolved": "https://r/a/-/a-1.0.0.tgz",
                            "integrity": "sha512-" + "A" * 86 + "==",
                        },
                    },
                }
            ),
            lambda: "lock",
            default("collect.ports.Limits"),
        ),
        Target(
            "index pages",
            ("collect.simple.read_page",),
            outside(page),
            texts(
                b'J{"meta":{"api-version":"1.0"},"files":[{"filename":"a","url":"a","hashes":{"sha256":"0"}}]}',
                b'H<a href="a.whl#sha256=00" data-requires-python="&gt;=3">a</a>',
            ),
        ),
        Target(
            "attached provenance",
            ("collect.simple.read_provenance",),
            outside(late("collect.simple.read_provenance")),
            texts({"version": 1, "attestation_bundles": []}),
        ),
        plain(
            "apt fields", "collect.apt.release.fields_of", texts(b"Origin: a\nSuite: b\nMD5Sum:\n 0 1 a\n")
        ),
        Target(
            "scripts of Debian packages",
            ("collect.apt.scripts.maintainer_scripts",),
            refusing(lambda data: found("collect.apt.scripts.maintainer_scripts")(stream(data))),
            lambda: [DebFile("leaf", "1", scripts={"postinst": b""}).data],
        ),
        plain(
            "apt sums",
            "collect.apt.release.sums_of",
            texts(b"SHA256:\n " + b"0" * 64 + b" 12 main/Packages\n"),
        ),
        plain(
            "texts of an appeal",
            "app.high.appeals.decode_passages",
            texts(b'[{"channel":"user","text":"x"}]'),
        ),
        plain("requests", "approve.service.read_statement", envelope_seeds),
        plain("evidence of the log", "audit.evidence.read_evidence", envelope_seeds),
        plain(
            "proofs of admissions", "admit.proof.read_proof", texts({"format": "lockgate-admission-proof/1"})
        ),
        plain("custody chains", "crossing.custody.read_chain", envelope_seeds),
        plain("station reports", "crossing.station.report.read_report", envelope_seeds, site),
        plain("announcements of a diode", "crossing.diode.table.read_table", texts({"files": []})),
        Target(
            "packets of a diode",
            ("crossing.diode.wire.read_front", "crossing.diode.wire.read_place"),
            refusing(packet),
            lambda: [bytes(80), bytes(range(80))],
        ),
        plain("indexes of shards", "crossing.shards.read_index", vectors("**/shards.idx"), tuple),
        Target("patches", ("crossing.delta.worker.rebuild_entry",), confined(two_inputs(patch)), patches),
        plain("tokens of a patch", "crossing.delta.tokens.decode_tokens", deflated, lambda: 1 << 20),
        *(
            Target(
                f"{name} of a patch",
                (f"crossing.delta.{module}.{function}",),
                with_base(f"crossing.delta.{module}.{function}")
                if module != "grouped"
                else two_inputs(late("crossing.delta.grouped.read_grouped")),
                lambda: [b"\0\2\0\0ab", b"\0\4" + bytes(40)],
            )
            for name, module, function in (
                ("planes", "planes", "read_planes"),
                ("groups", "grouped", "read_grouped"),
                ("alignments", "align", "read_aligned"),
            )
        ),
        Target(
            "segments of a patch",
            ("crossing.delta.rebuild.read_segment",),
            two_inputs(segment),
            lambda: [b"\0\4\0abc" + bytes(20)],
        ),
        plain("weights of the classifier", "guard.classifier.load_weights", texts(b"LGC1" + bytes(64))),
        plain("lines of a red team", "guard.lines.read_line", texts({"text": "a"}), lambda: 1),
        *(
            Target(
                f"requests, {name}",
                (f"infer.forms.{module}.{kind}.parse",),
                refusing(lambda data, m=module, k=kind: form(m, k).parse(data, gateway())),
                texts(chat, {**chat, "input": "hi", "prompt": "hi", "max_tokens": 5}),
            )
            for name, module, kind in (
                ("Anthropic", "anthropic", "AnthropicForm"),
                ("Ollama chat", "ollama", "OllamaChatForm"),
                ("Ollama", "ollama", "OllamaGenerateForm"),
                ("OpenAI chat", "openai_chat", "OpenAiChatForm"),
                ("OpenAI responses", "openai_responses", "OpenAiResponsesForm"),
                ("OpenAI text", "openai_text", "OpenAiTextForm"),
            )
        ),
        plain("chat requests", "infer.requests.parse", texts(chat), gateway),
        Target(
            "facts of models",
            ("infer.gguf.read_gguf",),
            refusing(lambda data: found("infer.gguf.read_gguf")(stream(data), lambda _: True)),
            cases_of("gguf:GgufInspector"),
        ),
        Target(
            "files of a wheel",
            ("infer.engines.installation.wheel_files", "infer.engines.installation.record_digests"),
            refusing(lambda data: found("infer.engines.installation.wheel_files")(stream(data))),
            cases_of("zips:ZipInspector"),
        ),
        Target(
            "records of a wheel",
            ("infer.engines.installation.record_digests",),
            refusing(late("infer.engines.installation.record_digests")),
            texts(b"a.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\nRECORD,,\n"),
        ),
        drained(
            "torch archives, converted",
            "inspect.convert.entry.torch_entry",
            cases_of("zips:ZipInspector", "pickles:PickleInspector"),
            torch_args,
        ),
        Target(
            "documents, flattened",
            ("inspect.convert.entry.text_entry",),
            confined(flatten),
            cases_of(
                "pdf:PdfInspector", "html:HtmlInspector", "markdown:MarkdownInspector", "zips:ZipInspector"
            ),
        ),
        drained(
            "configurations of models",
            "inspect.repositories.read",
            texts({"auto_map": {"A": "b.C"}}),
            lambda: b"config.json",
        ),
        drained(
            "descriptions of networks",
            "inspect.openvino.reach",
            texts(b'<net name="n"><layers><layer><data offset="0" size="8"/></layer></layers></net>'),
            lambda: b"",
        ),
        Target(
            "images",
            ("inspect.images.structure.read",),
            confined(lambda data: found("inspect.images.structure.read")(memoryview(b""), data)),
            manifests,
        ),
        plain("signature bundles", "inspect.provenance.bundles.read_bundle", bundles),
        plain("DER", "inspect.provenance.der.parse", lambda: [certificate()]),
        plain("certificates", "inspect.provenance.certificates.load", lambda: [certificate()]),
        plain("public keys", "inspect.provenance.keys.load", lambda: [public_key("DER")]),
        plain("public keys in text", "inspect.provenance.keys.load_pem_key", lambda: [public_key("PEM")]),
        Target(
            "tables of weights",
            ("inspect.weights.tables.read_table",),
            refusing(lambda data: found("inspect.weights.tables.read_table")(memoryview(data), limits())),
            cases_of("safetensors:SafetensorsInspector", "gguf:GgufInspector"),
        ),
        Target(
            "requests of the sandbox",
            ("inspect.helper.read_request",),
            request,
            texts(
                {
                    "version": 1,
                    "mounts": [["/a", 0]],
                    "links": [["/l", "usr/lib"]],
                    "keep": [[0, 1]],
                    "mounted_in": 1,
                    "errors": 1,
                    "command": ["/bin/true"],
                    "environment": {},
                }
            ),
        ),
        *(
            Target(
                f"knowledge, {name}",
                ("knowledge.extract.extract", f"knowledge.extract_{name}.parse"),
                extract(name.upper()),
                cases_of(f"{name}:{name.capitalize()}Inspector"),
            )
            for name in ("html", "markdown", "pdf")
        ),
        plain("extractions", "knowledge.extraction.read_extraction", envelope_seeds, lambda: "0" * 64),
        *(
            plain(title, where, envelope_seeds, site)
            for title, where in (
                ("looks again", "admit.assess.read_recheck"),
                ("receipts to approve", "app.crossing.receipt.read_request"),
                ("golden sets", "app.golden.sets.read_golden"),
                ("receipts of a restore", "app.record.restore.read_receipt"),
                ("keep lists to approve", "app.wishes.keep_high.read_keep_request"),
            )
        ),
        plain("releases", "app.release.release.read_release", envelope_seeds),
        plain("packets that were captured", "app.check.leak_capture.payload_of", captured, lambda: 0x0800),
        Target(
            "titles",
            ("collect.documents.title_of",),
            refusing(lambda data: found("collect.documents.title_of")("a.html", data)),
            cases_of("html:HtmlInspector"),
        ),
        plain("models of a TGI", "infer.engines.wire_tgi.model_of", texts({"model_id": "a"})),
        plain("statements of provenance", "inspect.provenance.pep740.statement_of", texts({"_type": "a"})),
        plain("counters of security keys", "trust.webauthn.counter_of", envelope_seeds),
        Target(
            "keys of receipts' digests",
            ("infer.digestkeys.DigestRing.open",),
            refusing(digest_key),
            lambda: [b"lgrk\x01" + bytes(68), b"lgrk\x01" + b"\x01" * 20, bytes(32)],
        ),
        Target("sealed texts", ("trust.hpke.open_base",), refusing(opened), lambda: [bytes(120)]),
        Target(
            "pickles, as trees",
            ("inspect.convert.tree.tree_of",),
            confined(lambda data: found("inspect.convert.tree.tree_of")(memoryview(data))),
            cases_of("pickles:PickleInspector"),
        ),
        *(
            plain(title, where, envelope_seeds, *more)
            for title, where, more in (
                ("releases to judge", "app.release.release.judge_release", (site, now)),
                ("receipts to judge", "crossing.receipts.judge_receipt", (site, now)),
                ("manifests of crates", "crossing.verify.authenticate", (supply, now)),
                ("signers of envelopes", "crossing.standing.dsse_signers", ()),
                ("attestations", "trust.attest.check", (supply, collector, lambda: "a", now)),
                ("new supply roots", "trust.roots.advance_supply_root", (lambda: [supply_root()],)),
            )
        ),
        plain("keys of an identity provider", "infer.identity.jws.key_set", texts({"keys": [JWK]})),
        plain("claims", "infer.identity.jws.strict_object", texts({"sub": "a"}), lambda: "claims"),
        *(
            Target(
                f"streamed answers, {name.removesuffix('Parser').lower()}s",
                (f"infer.sse.{name}.feed",),
                refusing(feeding(name)),
                lambda: [b'data: {"a": 1}\n\ndata: [DONE]\n\n', b"event: a\ndata: b\r\n\r\n"],
            )
            for name in ("EventParser", "LineParser")
        ),
        Target(
            "control blocks of a patch",
            ("crossing.delta.recipe.read_recipe",),
            refusing(recipe),
            lambda: [seed[2 : 2 + int.from_bytes(seed[:2])] for seed in patches()],
        ),
        Target(
            "provenance from PyPI",
            ("inspect.provenance.pep740.judge",),
            refusing(
                lambda data: found("inspect.provenance.pep740.judge")(data, "a.whl", "0" * 64, roots(), now())
            ),
            provenance_seeds,
        ),
        Target(
            "provenance from npm",
            ("inspect.provenance.npm.judge",),
            refusing(lambda data: found("inspect.provenance.npm.judge")(data, "sha512-A", roots())),
            provenance_seeds,
        ),
        plain(
            "cards of models",
            "collect.hub.card.base_models",
            lambda: [b"---\nbase_model:\n- org/base\nlicense: mit\n---\n# Model\n"],
        ),
        Target(
            "attestations from npm",
            ("inspect.provenance.npm_attestations.judge", "collect.npm.attested.sources_of"),
            refusing(
                lambda data: (
                    found("inspect.provenance.npm_attestations.judge")(
                        data, "pkg:npm/a@1", "0" * 128, roots(), now()
                    ),
                    found("collect.npm.attested.sources_of")(data),
                )
            ),
            attestation_seeds,
        ),
        Target(
            "signatures of models",
            ("inspect.provenance.models.judge",),
            refusing(
                lambda data: found("inspect.provenance.models.judge")(data, {"a": "0" * 64}, roots(), now())
            ),
            provenance_seeds,
        ),
        Target(
            "time stamps",
            ("inspect.provenance.timestamps.stamped",),
            refusing(
                lambda data: found("inspect.provenance.timestamps.stamped")(
                    data, b"a", roots().timestamp_authorities
                )
            ),
            stamp_seeds,
        ),
        Target(
            "approvals",
            ("approve.service.judge",),
            refusing(lambda data: found("approve.service.judge")(data, site(), now(), need=2)),
            envelope_seeds,
        ),
        plain("heads of a directory's messages", "infer.identity.ldap_wire.length_of", directory_seeds),
        plain("messages of a directory", "infer.identity.ldap_wire.read", directory_seeds, lambda: 1),
        drained(
            "documents, as pictures",
            "inspect.convert.entry.pictures_entry",
            cases_of("pdf:PdfInspector"),
            picture_args,
        ),
        Target(
            "publishers of attached provenance",
            ("collect.simple.publishers_of",),
            outside(late("collect.simple.publishers_of")),
            provenance_seeds,
        ),
    ]
