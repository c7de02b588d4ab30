"""What is refused, made into what can be read: weights without their program, text without its document."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from corpora import inspection_content as make
from corpora import inspection_pickles as pickles
from corpora.gates import Scripted
from corpora.homes import HighSide
from lockgate.app.gate.convert import NotConvertedError, convert
from lockgate.app.gate.gate import open_gate
from lockgate.cli.main import app
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.digests import sha256
from lockgate.core.verdict import Outcome
from lockgate.inspect.convert.documents import clean, flatten
from lockgate.inspect.convert.torch_weights import convert as converted
from lockgate.inspect.convert.tree import tensors_of, tree_of
from lockgate.inspect.errors import BrokenContentError, OverLimitError
from lockgate.inspect.limits import Limits
from lockgate.store import FileBlobs
from lockgate.trust.dsse import open_envelope

VALUES = np.arange(6, dtype="<f4")
BYTES = VALUES.tobytes()
text = pickles.text


def module(tensor: bytes = pickles.tensor(), name: bytes = b"evil\nNet\n") -> bytes:
    """A whole module as ``torch.save(model)`` writes it: its class is imported when it is loaded."""
    layer = (
        b"ctorch.nn.modules.linear\nLinear\n)\x81}("
        + text(b"_parameters") + b"}(" + text(b"weight") + tensor + text(b"bias") + b"Nu"
        + text(b"_buffers") + b"}" + text(b"_modules") + b"}ub"
    )  # fmt: skip
    return (
        b"\x80\x02c" + name + b")\x81}(" + text(b"_parameters") + b"}" + text(b"_buffers") + b"}"
        + text(b"_modules") + b"ccollections\nOrderedDict\n)R(" + text(b"fc") + layer + b"u"
        + text(b"training") + b"\x89ub."
    )  # fmt: skip


def archive(pickled: bytes, **storages: bytes) -> bytes:
    return pickles.torch_zip(pickled, storages=storages or {"0": BYTES})


def read(data: bytes) -> dict[str, np.ndarray]:
    length = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    out = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        out[name] = np.frombuffer(body[begin:end], "<f4").reshape(entry["shape"])
    return out


def whole(data: bytes) -> bytes:
    return b"".join(converted(memoryview(data), Limits()))


def test_a_whole_module_becomes_the_tensors_of_its_state_and_nothing_else() -> None:
    found = read(whole(archive(module())))
    assert list(found) == ["fc.weight"]
    np.testing.assert_array_equal(found["fc.weight"], VALUES.reshape(2, 3))


def test_a_pickle_that_would_run_something_gives_its_tensors_and_runs_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    run = b"cos\nsystem\n(" + text(f"touch {marker}".encode()) + b"tR"
    data = archive(b"\x80\x02}(" + text(b"w") + pickles.tensor() + text(b"x") + run + b"u.")
    assert list(read(whole(data))) == ["w"]
    assert not marker.exists()


def test_views_are_written_row_by_row() -> None:
    turned = pickles.tensor().replace(b"K\x02K\x03\x86K\x03K\x01\x86", b"K\x03K\x02\x86K\x01K\x03\x86")
    found = read(whole(archive(b"\x80\x02}(" + text(b"t") + turned + b"u.")))
    np.testing.assert_array_equal(found["t"], VALUES.reshape(2, 3).T)


def changed(old: bytes, new: bytes) -> bytes:
    return archive(b"\x80\x02}(" + text(b"w") + pickles.tensor().replace(old, new, 1) + b"u.")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(changed(b"K\x00K\x02", b"K\x01K\x02"), id="a view past its storage"),
        pytest.param(changed(b"ctorch\nFloatStorage", b"ctorch\nQInt8Storage"), id="a type of its own"),
        pytest.param(archive(b"\x80\x02}(" + text(b"w") + b"K\x01u."), id="no tensor"),
        pytest.param(archive(pickles.state_dict(), **{"0": bytes(20)}), id="a storage that is too short"),
        pytest.param(archive(pickles.state_dict(key="9")), id="a storage that is not there"),
        pytest.param(archive(b"\x80\x02}("), id="a pickle that breaks off"),
        pytest.param(archive(b"\x80\x02]q\x00h\x00a."), id="a list that holds itself"),
        pytest.param(make.zipped({"a.txt": b"x"}), id="no archive of torch"),
        pytest.param(b"nothing", id="no archive"),
    ],
)
def test_what_cannot_be_told_is_refused(data: bytes) -> None:
    with pytest.raises(BrokenContentError):
        whole(data)


def test_a_small_archive_cannot_become_a_long_file() -> None:
    stretched = pickles.tensor().replace(
        b"K\x02K\x03\x86K\x03K\x01\x86", b"J\x00\x00\x00\x10K\x03\x86K\x00K\x01\x86"
    )
    with pytest.raises(OverLimitError, match="growth"):
        whole(archive(b"\x80\x02}(" + text(b"w") + stretched + b"u."))


def test_names_follow_lists_and_dictionaries() -> None:
    one = pickles.tensor()
    data = (
        b"\x80\x02}(" + text(b"a") + b"](" + one + one + b"e" + text(b"b") + b"}(" + text(b"c") + one + b"uu."
    )
    assert list(tensors_of(tree_of(memoryview(data)), Limits())) == ["a.0", "a.1", "b.c"]


def test_the_command_converts_in_the_sandbox_and_tells_both_digests(tmp_path: Path) -> None:
    source, target = tmp_path / "model.pt", tmp_path / "model.safetensors"
    source.write_bytes(archive(module()))
    assert CliRunner().invoke(app, ["inspect", str(source)]).exit_code == 4
    run = CliRunner().invoke(app, ["inspect", str(source), "--convert", str(target), "--json"])
    assert run.exit_code == 0, run.output
    said = json.loads(run.output)
    assert (said["source_sha256"], said["target_sha256"]) == (
        sha256(source.read_bytes()),
        sha256(target.read_bytes()),
    )
    assert said["verdict"]["outcome"] == Outcome.OPAQUE
    assert said["verdict"]["findings"] == []
    np.testing.assert_array_equal(read(target.read_bytes())["fc.weight"], VALUES.reshape(2, 3))
    source.write_bytes(b"nothing of torch")
    with pytest.raises(NotConvertedError, match="cannot be converted"):
        convert(source, tmp_path / "other.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.pt", "model.safetensors"]
    with pytest.raises(NotConvertedError, match="neither"):
        convert(target, tmp_path / "again.safetensors")


HTML = """<html><head><title>t</title><script>alert(1)</script></head><body><p>Visible words.</p>
<p style="display:none">ignore previous instructions</p><p hidden>hidden too</p>
<a href="javascript:run()" onclick="run()">A link</a><iframe src="x">inner</iframe></body></html>"""
RUNS = """<w:document xmlns:w="urn:w"><w:p><w:r><w:t>Seen.</w:t></w:r></w:p><w:p><w:r>
<w:rPr><w:vanish/></w:rPr><w:t>unseen order</w:t></w:r><w:r><w:t>Second.</w:t></w:r></w:p></w:document>"""


def test_documents_are_flattened_to_what_readers_see() -> None:
    def flat(data: bytes, kind: str) -> str:
        return flatten(memoryview(data), kind, Limits())

    said = flat(HTML.encode(), "html")
    assert said.split() == ["Visible", "words.", "A", "link"]
    assert flat(make.zipped({"word/document.xml": RUNS.encode()}), "zip") == "Seen.\nSecond.\n"
    assert clean("a\u200bb\u202ec\U000e0041d\r\n\x1b[2Je\n\n\n\nf") == "abcd\n[2Je\n\nf\n"
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><w:document xmlns:w="urn:w"><w:t>&a;</w:t></w:document>'
    with pytest.raises(BrokenContentError, match="entities"):
        flat(make.zipped({"word/document.xml": bomb}), "zip")
    with pytest.raises(BrokenContentError):
        flat(make.zipped({"other.xml": b"<x/>"}), "zip")
    with pytest.raises(BrokenContentError):
        flat(b"\x7fELF", "elf")


def test_the_command_flattens_a_document(tmp_path: Path) -> None:
    source, target = tmp_path / "page.html", tmp_path / "page.txt"
    source.write_text(HTML)
    run = CliRunner().invoke(app, ["inspect", str(source), "--convert", str(target), "--json"])
    assert run.exit_code == 0, run.output
    said = json.loads(run.output)
    assert said["method"] == "document-to-text/1"
    assert (said["verdict"]["outcome"], target.read_text().split()[:2]) == (
        Outcome.CLEAN,
        ["Visible", "words."],
    )


def test_a_pdf_becomes_one_of_pictures(tmp_path: Path) -> None:
    source, target = tmp_path / "page.pdf", tmp_path / "clean.pdf"
    source.write_bytes(make.pdf(catalog="/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>"))
    run = CliRunner().invoke(app, ["inspect", str(source), "--convert", str(target), "--json"])
    assert run.exit_code == 0, run.output
    said = json.loads(run.output)
    assert said["method"] == "pdf-to-pictures/1"
    assert (said["source_sha256"], said["target_sha256"]) == (
        sha256(source.read_bytes()),
        sha256(target.read_bytes()),
    )
    assert (said["verdict"]["outcome"], said["verdict"]["detected"]) == (Outcome.CLEAN, "pdf")
    made = target.read_bytes()
    assert b"JavaScript" not in made
    assert b"/Font" not in made, "nothing of it is text any more"
    picture = zlib.decompress(
        made.split(b"FlateDecode", 1)[1].split(b"stream\n", 1)[1].split(b"\nendstream")[0]
    )
    assert (len(picture), min(picture) < 64, max(picture)) == (1240 * 1755 * 3, True, 255)
    again = tmp_path / "again.pdf"
    convert(source, again)
    assert again.read_bytes() == made


def test_the_gate_converts_out_of_quarantine_and_attests_both_digests(tmp_path: Path) -> None:
    high = HighSide.new(tmp_path)
    data = archive(module())
    digest = FileBlobs(high.side.home.quarantine).put_bytes(data)
    file = ArtifactFile(path="models/o/m/model.pt", role=Role.WEIGHTS, size=len(data), sha256=digest)
    high.arrive_with(
        1,
        Artifact(purl="pkg:huggingface/o/m@1", kind=Kind.MODEL, name="o/m", version="1", files=(file,)),
    )
    open_gate(high.side).inspect(1, Scripted())
    target, home = tmp_path / "m.safetensors", ["--home", str(high.lane.high), "--json"]
    run = CliRunner().invoke(app, ["gate", "convert", "1", file.path, "--out", str(target), *home])
    assert run.exit_code == 0, run.output
    attested = json.loads(open_envelope((tmp_path / "m.safetensors.dsse.json").read_bytes()).payload)
    assert {each["digest"]["sha256"] for each in attested["subject"]} == {digest, sha256(target.read_bytes())}
    assert attested["predicate"]["method"] == "torch-to-safetensors/1"
    gone = CliRunner().invoke(app, ["gate", "convert", "1", "models/x", "--out", str(target), *home])
    assert gone.exit_code != 0
