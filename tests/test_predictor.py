"""Backends: float32 torch is the reference; bfloat16 and int8 ONNX agree with it or are refused; auto takes the fastest."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import labelled_rows
from gikai import InputError, predictor
from gikai.export import export
from gikai.labels import load_taxonomy
from gikai.model import load_model
from gikai.predictor import OnnxPredictor, batches, checked, choose_backend, decisions, load_predictor
from gikai.runs import model_files
from gikai.tokenizer import Tokenizer

TEXTS = [str(row["text"]) for row in labelled_rows(40, 700)]
LONG = "".join(TEXTS[:12])


@pytest.fixture(scope="module")
def copy(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run: exports are written beside the model."""
    return Path(shutil.copytree(run, tmp_path_factory.mktemp("backends") / "run"))


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backends as on a machine without a GPU whose processor has bfloat16: both can be computed anywhere."""
    monkeypatch.setattr(predictor, "backends", lambda: ["torch", "torch-bf16", "onnx-int8"])


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("backend", ["torch-bf16", "onnx-int8", "onnx"])
def test_faster_backends_give_the_reference_decisions(copy: Path, backend: str) -> None:
    texts = [*TEXTS, LONG, "端末", ""]
    thresholds = json.loads((copy / "thresholds.json").read_text(encoding="utf-8"))
    reference, fast = load_predictor(copy), load_predictor(copy, backend=backend)
    wanted, found = reference.probabilities(texts), fast.probabilities(texts)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() < 0.05
    assert np.abs(found - wanted).max() > 0, "the same arithmetic would make this test empty"
    same = decisions(reference.taxonomy, thresholds, wanted) == decisions(reference.taxonomy, thresholds, found)
    assert same.mean() >= 0.995


@pytest.mark.usefixtures("on_cpu")
def test_the_check_is_made_once_and_again_for_another_model(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    first = checked(copy)
    assert first["passages"] > 0
    assert first["decisions"] == first["passages"] * 17
    assert set(first["agreement"]) == {"torch-bf16", "onnx-int8"}
    caplog.clear()
    assert checked(copy) == first
    assert not caplog.text
    thresholds = copy / "thresholds.json"
    before = thresholds.read_text(encoding="utf-8")
    try:
        thresholds.write_text(before + "\n", encoding="utf-8")
        assert checked(copy)["model"] != first["model"]
        assert "checking" in caplog.text
    finally:
        thresholds.write_text(before, encoding="utf-8")


@pytest.mark.usefixtures("on_cpu")
def test_what_a_text_gets_from_onnx_does_not_depend_on_its_neighbours(copy: Path) -> None:
    fast = load_predictor(copy, backend="onnx-int8")
    together = fast.probabilities([*TEXTS, LONG])
    alone = np.concatenate([fast.probabilities([text]) for text in reversed([*TEXTS, LONG])])[::-1]
    assert np.array_equal(together, alone)


@pytest.mark.usefixtures("on_cpu")
def test_a_backend_that_disagrees_is_refused_with_the_figure(
    copy: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    good = checked(copy)
    bad = {**good, "agreement": {"torch-bf16": 0.91, "onnx-int8": "no ONNX form is known for this model"}}
    (copy / "onnx/manifest.json").write_text(json.dumps(bad), encoding="utf-8")
    try:
        with pytest.raises(InputError, match=r"agrees with float32 on 91\.00% of decisions, less than 99\.5%"):
            load_predictor(copy, backend="torch-bf16")
        with pytest.raises(InputError, match="no ONNX form"):
            load_predictor(copy, backend="onnx")
        assert choose_backend(copy, TEXTS * 10) == "torch"
        assert "91.00%" in caplog.text
    finally:
        (copy / "onnx/manifest.json").write_text(json.dumps(good), encoding="utf-8")


@pytest.mark.usefixtures("on_cpu")
def test_auto_takes_the_fastest_and_few_texts_are_not_worth_it(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_backend(copy, TEXTS) == "torch"
    for fastest in ("torch", "torch-bf16", "onnx-int8"):
        rates = iter([2.0 if name == fastest else 1.0 for name in predictor.backends()])
        monkeypatch.setattr(predictor, "_rate", lambda predictor, texts, rates=rates: next(rates))
        assert choose_backend(copy, TEXTS * 10) == fastest


@pytest.mark.usefixtures("on_cpu")
def test_auto_says_why_it_takes_torch_where_nothing_can_be_exported(copy: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copytree(copy, tmp_path / "run", ignore=shutil.ignore_patterns("onnx"))
    (tmp_path / "run/onnx").write_text("in the way", encoding="utf-8")
    assert choose_backend(tmp_path / "run", TEXTS * 10) == "torch"
    assert "cannot be prepared here" in caplog.text


def test_rates_are_measured(copy: Path) -> None:
    assert 1 < predictor._rate(load_predictor(copy), TEXTS * 10) < 1e6


def test_backends_that_are_not_here_are_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor, "backends", lambda: ["torch"])
    with pytest.raises(InputError, match="onnxruntime"):
        load_predictor(copy, backend="onnx")
    with pytest.raises(InputError, match="there is no backend jax"):
        load_predictor(copy, backend="jax")
    assert choose_backend(copy, TEXTS * 10) == "torch"


def test_a_model_without_an_onnx_form_is_refused(copy: Path, tmp_path: Path) -> None:
    model = load_model(copy, load_taxonomy(copy / "taxonomy"))
    model.config.hidden_act = "relu"
    with pytest.raises(InputError, match="use backend=torch"):
        export(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_the_export_is_the_model_but_for_rounding(copy: Path, tmp_path: Path) -> None:
    """With weights that int8 holds exactly up to their scale, what is left is the rounding of activations."""
    taxonomy = load_taxonomy(copy / "taxonomy")
    model = load_model(copy, taxonomy)
    export(model, tmp_path / "model.onnx")
    tokenizer = Tokenizer(copy / "model")
    ours = OnnxPredictor(tmp_path / "model.onnx", tokenizer, taxonomy, 64, threads=3)
    for text in ("電子申込みの手数料です。", *TEXTS[:10]):
        with torch.inference_mode():
            wanted = model(input_ids=torch.tensor(tokenizer.windows(text, 64))).logits.numpy()
        spread = wanted.std()
        assert np.abs(ours.logits([text]) - wanted).max() < 0.1 * spread
    assert ours.logits([]).shape == (0, len(taxonomy.names))


def test_exports_are_no_part_of_what_a_model_is(copy: Path) -> None:
    assert not [path for path in model_files(copy) if "onnx" in path.parts]


def test_batches_hold_their_budget() -> None:
    lengths = [5, 60, 5, 7, 100, 64, 5]
    found = batches(lengths, 128)
    assert sorted(index for batch in found for index in batch) == list(range(7))
    assert all(len(batch) * max(lengths[index] for index in batch) <= 128 for batch in found)
