"""Calibration: a known temperature is found again, errors agree with scikit-learn and worked examples, and abstaining pays."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from gikai.calibration import abstain, fit_temperature, reliability
from gikai.labels import Label, LabelSet

MULTI = LabelSet("m", "m", "multi", tuple(Label(i) for i in "abc"))
SINGLE = LabelSet("s", "s", "single", tuple(Label(i) for i in "abc"))


def drawn(label_set: LabelSet, n: int = 4000) -> tuple[list[list[str] | str | None], np.ndarray]:
    """Return gold drawn from well-calibrated probabilities, and those probabilities."""
    random = np.random.default_rng(3)
    probabilities = label_set.activate(random.normal(0, 2, size=(n, 3)))
    if label_set.kind == "multi":
        return label_set.decode(random.random((n, 3)) < probabilities), probabilities
    picked = (random.random((n, 1)) > probabilities.cumsum(axis=1)).sum(axis=1).clip(0, 2)
    return label_set.decode(np.eye(3, dtype=bool)[picked]), probabilities


@pytest.mark.parametrize("label_set", [MULTI, SINGLE], ids=["multi", "single"])
@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_found_and_calibration_restored(label_set: LabelSet, factor: float) -> None:
    gold, probabilities = drawn(label_set)
    sharpened = label_set.temper(probabilities, 1 / factor)
    temperature = fit_temperature(label_set, gold, sharpened)
    assert temperature == pytest.approx(factor, rel=0.08)
    before, after = reliability(label_set, gold, sharpened), reliability(label_set, gold, label_set.temper(sharpened, temperature))
    assert after["ece"] < 0.03
    assert after["brier"] <= before["brier"] + 1e-4
    assert factor == 1.0 or before["ece"] > 2 * after["ece"]


def test_brier_agrees_with_scikit_learn() -> None:
    gold, probabilities = drawn(MULTI, 300)
    truth = np.array([MULTI.encode(value) for value in gold])
    assert reliability(MULTI, gold, probabilities)["brier"] == pytest.approx(brier_score_loss(truth.ravel(), probabilities.ravel()))
    gold, probabilities = drawn(SINGLE, 300)
    theirs = brier_score_loss(np.array(gold), probabilities, labels=list("abc"), scale_by_half=False)
    assert reliability(SINGLE, gold, probabilities)["brier"] == pytest.approx(theirs)


def test_expected_calibration_error_of_a_worked_example() -> None:
    """Ten passages at 0.9, of which seven are right, and ten at 0.5, of which five are: (10 * 0.2 + 10 * 0) / 20."""
    gold = ["a"] * 7 + ["b"] * 3 + ["a"] * 5 + ["b"] * 5
    probabilities = np.array([[0.9, 0.06, 0.04]] * 10 + [[0.5, 0.3, 0.2]] * 10)
    found = reliability(SINGLE, [*gold, None], np.vstack([probabilities, [[0.1, 0.1, 0.8]]]))
    assert found["ece"] == pytest.approx(0.1)
    assert [item["count"] for item in found["bins"]] == [10, 10]
    assert found["bins"][1] == pytest.approx({"confidence": 0.9, "share": 0.7, "count": 10})


def test_abstaining_answers_the_surest_first() -> None:
    """Confidences 0.9, 0.8, 0.8, 0.6; right, right, wrong, right: ties are answered together."""
    probabilities = np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.8, 0.2, 0.0], [0.6, 0.4, 0.0]])
    found = abstain(SINGLE, ["a", "a", "b", "a"], probabilities, [0.5] * 3)
    assert [(point["coverage"], point["precision"]) for point in found["curve"]] == [(0.25, 1.0), (0.75, pytest.approx(2 / 3)), (1.0, 0.75)]
    assert [point["threshold"] for point in found["curve"]] == [0.9, 0.8, 0.6]
    assert found["at"]["0.90"] == found["curve"][0]
    assert abstain(SINGLE, ["b"], np.array([[0.9, 0.1, 0.0]]), [0.5] * 3)["at"]["0.80"] is None


def test_confidence_of_several_labels_is_that_of_being_right_in_all() -> None:
    probabilities = np.array([[0.9, 0.2, 0.1]])
    assert MULTI.confidence(probabilities, np.array([[True, False, False]])) == pytest.approx([0.9 * 0.8 * 0.9])
    assert SINGLE.confidence(probabilities, np.array([[True, False, False]])) == pytest.approx([0.9])


@pytest.mark.parametrize("label_set", [MULTI, SINGLE], ids=["multi", "single"])
def test_the_whole_curve_ends_at_the_score_of_all(label_set: LabelSet) -> None:
    gold, probabilities = drawn(label_set, 500)
    curve = abstain(label_set, gold, probabilities, [0.5] * 3)["curve"]
    right = np.mean(
        [value == choice for value, choice in zip(gold, label_set.decode(label_set.choose(probabilities, [0.5] * 3)), strict=True)]
    )
    assert curve[-1]["coverage"] == 1.0
    assert curve[-1]["precision"] == pytest.approx(right)
    assert curve[len(curve) // 4]["precision"] > curve[-1]["precision"]
    assert len(curve) <= 100


def test_no_gold_needs_no_temperature() -> None:
    assert fit_temperature(MULTI, [None], np.ones((1, 3))) == 1.0
