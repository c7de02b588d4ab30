"""Weights compared with those before: what was done to a model shows in the facts."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from corpora import weights as models
from lockgate.app.gate.weights import NoWeightsError, compare_weights, comparing_sandbox, counterpart
from lockgate.cli.main import app
from lockgate.core.digests import sha256
from lockgate.core.weights import Compared, Fate, TensorFacts
from lockgate.core.wire import decode, encode
from lockgate.inspect.errors import BrokenContentError, OverLimitError
from lockgate.inspect.limits import Limits
from lockgate.inspect.weights.compare import compare
from lockgate.inspect.weights.values import reals

BASE = models.tensors()


def facts(new: dict[str, np.ndarray], *, dtype: str = "F32") -> Compared:
    before, after = models.safetensors(BASE, dtype), models.safetensors(new, dtype)
    return compare(memoryview(before), memoryview(after), Limits())


def codes(found: Compared) -> set[tuple[str, str]]:
    return {(remark.code, remark.where) for remark in found.remarks}


def tensor(found: Compared, name: str) -> TensorFacts:
    return next(each for each in found.shown if each.name == name)


def test_the_same_bytes_show_nothing() -> None:
    found = facts(BASE)
    assert (found.equal, found.changed, found.elements_changed, found.remarks) == (6, 0, 0, ())
    assert found.elements == sum(a.size for a in BASE.values())


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16", "F64"])
def test_a_fine_tune_changes_everything_a_little_and_nothing_stands_out(dtype: str) -> None:
    found = facts(models.tuned(BASE), dtype=dtype)
    assert found.changed == found.tensors == 6
    assert found.remarks == ()
    assert found.elements_changed > (0.4 if dtype == "BF16" else 0.9) * found.elements
    layer = tensor(found, "layers.0.w")
    change = models.tuned(BASE)["layers.0.w"] - BASE["layers.0.w"]
    real = 1e6 * np.linalg.norm(change) / np.linalg.norm(BASE["layers.0.w"])
    assert layer.relative == pytest.approx(real, rel=0.2)
    assert float(layer.norm[0]) == pytest.approx(np.linalg.norm(BASE["layers.0.w"]), rel=1e-2)


def test_the_sketch_finds_the_largest_singular_values_and_is_the_same_each_time() -> None:
    new = models.adapted(BASE)
    found = tensor(facts(new), "layers.1.w")
    assert found == tensor(facts(new), "layers.1.w")
    real = np.linalg.svd(BASE["layers.1.w"], compute_uv=False)
    assert float(found.spectrum[0]) == pytest.approx(real[0], rel=0.25)
    assert float(found.spectrum_after[0]) == pytest.approx(
        np.linalg.svd(new["layers.1.w"], compute_uv=False)[0], rel=0.25
    )
    assert found.spectrum_share > 990_000


def test_a_merged_adapter_and_noise_are_told_apart() -> None:
    assert codes(facts(models.adapted(BASE))) == {("weights-low-rank", "")}
    assert codes(facts(models.shaken(BASE))) == {("weights-noise", "")}


def test_one_layer_swapped_is_named_with_where_its_bytes_were() -> None:
    found = facts(models.swapped(models.tuned(BASE), "layers.1.w", "layers.3.w"))
    assert codes(found) == {("weights-replaced", "layers.1.w"), ("weights-replaced", "layers.3.w")}
    found = facts(models.swapped(BASE, "layers.1.w", "layers.3.w"))
    assert codes(found) == {("weights-moved", "layers.1.w"), ("weights-moved", "layers.3.w")}
    assert {remark.why for remark in found.remarks} == {
        "It holds the very bytes of layers.3.w before.",
        "It holds the very bytes of layers.1.w before.",
    }


def test_a_layer_that_changed_far_more_than_the_others_stands_out() -> None:
    new = models.tuned(BASE)
    new["layers.2.w"] = BASE["layers.2.w"] + 20 * (new["layers.2.w"] - BASE["layers.2.w"])
    assert codes(facts(new)) == {("weights-stands-out", "layers.2.w")}


@pytest.mark.parametrize("under", [BASE, models.tuned(BASE)], ids=["alone", "under a fine-tune"])
def test_one_poisoned_row_of_the_embedding_is_named(under: dict[str, np.ndarray]) -> None:
    found = facts(models.poisoned(under))
    assert ("weights-row", "embed") in codes(found)
    assert tensor(found, "embed").top_row == models.POISONED
    assert tensor(found, "embed").top_row_share > 500_000
    assert under is not BASE or tensor(found, "embed").rows_changed == 1


def test_what_came_went_and_changed_its_type_is_told() -> None:
    new = {**BASE, "extra": np.ones(4, np.float32), "norm": np.ones(WIDER, np.float32)}
    del new["layers.0.w"]
    found = facts(new)
    assert (found.added, found.removed, found.recast, found.equal) == (1, 1, 1, 4)
    assert codes(found) == {
        ("weights-added", "extra"),
        ("weights-removed", "layers.0.w"),
        ("weights-recast", "norm"),
    }
    both = compare(
        memoryview(models.safetensors(BASE)), memoryview(models.safetensors(BASE, "F16")), Limits()
    )
    assert both.recast == 6
    assert tensor(both, "norm").dtype == ("F32", "F16")


WIDER = models.WIDTH + 1


def test_what_is_no_number_is_counted_and_poisons_no_fact() -> None:
    new = {name: a.copy() for name, a in BASE.items()}
    new["norm"][3:5] = np.nan, np.inf
    found = facts(new)
    assert ("weights-not-finite", "norm") in codes(found)
    assert tensor(found, "norm").not_finite == 2
    assert np.isfinite(float(tensor(found, "norm").norm[1]))


def test_quantised_types_are_compared_by_bytes_rows_and_scales() -> None:
    before = memoryview(models.gguf(BASE))
    found = compare(before, memoryview(models.gguf(models.poisoned(BASE))), Limits())
    assert found.tool.endswith("gguf")
    assert (found.changed, found.equal) == (1, 5)
    assert codes(found) == {("weights-row", "embed")}
    embed = tensor(found, "embed")
    assert (embed.dtype, embed.top_row, embed.rows_changed) == (("Q8_0", "Q8_0"), models.POISONED, 1)
    scale = np.abs(BASE["embed"].reshape(-1, 32)).max(axis=1).mean() / 127
    assert float(embed.scales[0]) == pytest.approx(scale, rel=1e-2)
    tripled = {**BASE, "layers.0.w": BASE["layers.0.w"] * 3}
    found = compare(before, memoryview(models.gguf(tripled)), Limits())
    assert codes(found) == {("weights-scale", "layers.0.w")}
    moved = models.swapped(BASE, "layers.0.w", "layers.1.w")
    found = compare(before, memoryview(models.gguf(moved)), Limits())
    assert codes(found) == {("weights-moved", "layers.0.w"), ("weights-moved", "layers.1.w")}


@pytest.mark.parametrize(("byte", "value"), [(0x38, 1.0), (0x7E, 448.0), (0x01, 2**-9), (0xB8, -1.0)])
def test_eight_bit_floats_are_read_as_the_specification_says(byte: int, value: float) -> None:
    assert reals(np.array([byte], np.uint8), "F8_E4M3")[0] == value
    assert reals(np.array([0x3C, 0x7B], np.uint8), "F8_E5M2").tolist() == [1.0, 57344.0]


def test_facts_are_a_document_of_whole_numbers_and_bounded() -> None:
    many = {f"t{n}": np.full((40, 40), n, np.float32) for n in range(300)}
    more = {name: a + 1 for name, a in many.items()}
    found = compare(memoryview(models.safetensors(many)), memoryview(models.safetensors(more)), Limits())
    assert decode(Compared, encode(found)) == found
    assert len(found.shown) == 64
    assert len(found.remarks) <= 64
    assert found.changed == 300


def test_two_hostile_files_are_refused_inside(tmp_path: Path) -> None:
    good = memoryview(models.safetensors(BASE))
    short = good[:-4]
    with pytest.raises(BrokenContentError):
        compare(good, short, Limits())
    with pytest.raises(OverLimitError):
        compare(memoryview(b"no weights at all"), good, Limits())
    (tmp_path / "a.gguf").write_bytes(b"GGUF" + bytes(64))
    (tmp_path / "b.gguf").write_bytes(models.gguf(BASE))
    said = compare_weights(tmp_path / "a.gguf", tmp_path / "b.gguf", comparing_sandbox())
    assert said.compared is None
    assert "GGUF version 0" in said.problem


def test_a_name_that_steers_a_terminal_is_shown_harmless() -> None:
    evil = "\x1b[2Jweights\u202e"
    found = facts({**BASE, evil: np.ones(4, np.float32)})
    assert [each.name for each in found.shown if each.fate is Fate.ADDED] == [r"\x1b[2Jweights\u202e"]


def test_the_command_tells_facts_bound_to_both_digests(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder, values in ((old, BASE), (new, models.poisoned(models.tuned(BASE)))):
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "model.safetensors").write_bytes(models.safetensors(values))
        (folder / "config.json").write_text("{}")
    run = CliRunner().invoke(app, ["inspect", "--against", str(old), str(new), "--json"])
    assert run.exit_code == 0, run.output
    lines = {Path(line["path"]).name: line for line in map(json.loads, run.output.splitlines())}
    assert "weights" not in lines["config.json"]
    said = lines["model.safetensors"]["weights"]
    assert said["base_sha256"] == sha256((old / "sub" / "model.safetensors").read_bytes())
    assert said["sha256"] == lines["model.safetensors"]["sha256"]
    assert said["compared"]["remarks"][0]["code"] == "weights-row"
    plain = CliRunner().invoke(app, ["inspect", "--against", str(old), str(new)])
    assert "weights-row embed: Row 777 holds" in " ".join(plain.output.split())


def test_only_weights_have_a_counterpart(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"")
    with pytest.raises(NoWeightsError):
        counterpart(tmp_path / "gone", tmp_path / "m.gguf", [])
    assert counterpart(tmp_path, tmp_path / "readme.md", [tmp_path]) is None
    assert counterpart(tmp_path, tmp_path / "m.gguf", [tmp_path / "m.gguf"]) == tmp_path / "m.gguf"
    assert counterpart(tmp_path, Path("other.gguf"), []) is None
