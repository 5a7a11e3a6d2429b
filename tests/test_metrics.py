"""Metrics against scikit-learn and worked examples; thresholds; clusters."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, average_precision_score, f1_score

from gikai.labels import Label, LabelSet
from gikai.metrics import cluster_names, fit_thresholds, headline, holm, interval, p_value, resample, score
from gikai.records import Passage

MULTI = LabelSet("m", "m", "multi", tuple(Label(i) for i in "abc"))
SINGLE = LabelSet("s", "s", "single", (Label("a", group="x"), Label("b", group="x"), Label("c", group="y")))


def passages(assemblies: list[str | None], meetings: list[tuple[str, str]]) -> list[Passage]:
    rows = enumerate(zip(assemblies, meetings, strict=True), start=1)
    return [Passage(id=str(k), text="。", assembly=assembly, date=date, meeting=meeting) for k, (assembly, (date, meeting)) in rows]


@pytest.fixture(scope="module")
def multi() -> tuple[list[list[str]], np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    truth = random.random((200, 3)) < [0.4, 0.1, 0.05]
    probabilities = np.clip(truth * 0.3 + random.random((200, 3)) * 0.7, 0, 1).round(2)
    return [[label for label, yes in zip("abc", row, strict=True) if yes] for row in truth], truth, probabilities


def test_multi_agrees_with_scikit_learn(multi: tuple[list[list[str]], np.ndarray, np.ndarray]) -> None:
    gold, truth, probabilities = multi
    scores = score(MULTI, gold, probabilities, [0.5] * 3, clusters=[str(i % 40) for i in range(200)])
    chosen = probabilities >= 0.5
    assert scores["macro_f1"] == pytest.approx(f1_score(truth, chosen, average="macro", zero_division=0))
    assert scores["micro_f1"] == pytest.approx(f1_score(truth, chosen, average="micro"))
    assert scores["exact_match"] == pytest.approx(accuracy_score(truth, chosen))
    assert scores["map"] == pytest.approx(average_precision_score(truth, probabilities, average="macro"))
    for name, (low, high) in scores["ci"].items():
        assert low <= scores[name] <= high
    assert scores["clusters"] == 40


def test_single_agrees_with_scikit_learn() -> None:
    random = np.random.default_rng(2)
    gold = [["a", "b", "c"][k] for k in random.integers(3, size=150)]
    probabilities = random.dirichlet([1, 1, 1], size=150)
    predicted = [["a", "b", "c"][k] for k in probabilities.argmax(axis=1)]
    scores = score(SINGLE, gold, probabilities, [0.5] * 3)
    assert scores["macro_f1"] == pytest.approx(f1_score(gold, predicted, average="macro"))
    assert scores["accuracy"] == pytest.approx(accuracy_score(gold, predicted))
    group = {"a": "x", "b": "x", "c": "y"}
    assert scores["coarse_macro_f1"] == pytest.approx(f1_score([group[g] for g in gold], [group[p] for p in predicted], average="macro"))
    assert np.sum(scores["confusion"]) == 150


def test_a_label_never_found_counts_as_zero_and_none_is_left_out() -> None:
    scores = score(MULTI, [["a"], ["a"], None], np.array([[0.9, 0.1, 0.1], [0.8, 0.1, 0.1], [0.0, 0.9, 0.9]]), [0.5] * 3)
    assert scores["n"] == 2
    assert scores["macro_f1"] == pytest.approx(1 / 3)
    assert scores["labels"]["b"]["ap"] is None


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"expected \(2, 3\)"):
        score(MULTI, [["a"], []], np.zeros((2, 2)), [0.5] * 3)


def test_weights_of_ones_are_the_plain_score_and_ties_do_not_matter(multi: tuple[list[list[str]], np.ndarray, np.ndarray]) -> None:
    gold, truth, _ = multi
    tied = np.tile([0.7, 0.2, 0.2], (200, 1))
    assert score(MULTI, gold, tied, [0.5] * 3)["map"] == pytest.approx(average_precision_score(truth, tied, average="macro"))


def test_interval_covers_the_truth_about_95_times_of_100() -> None:
    """Clusters of 5 correlated passages; the accuracy of a coin of 0.7 should be covered in 90 to 99 percent of samples."""
    random = np.random.default_rng(0)
    covered = 0
    samples = 200
    for sample in range(samples):
        chance = random.beta(7, 3, size=60)
        right = random.random((60, 5)) < chance[:, None]
        gold = ["a"] * 300
        probabilities = np.where(right.reshape(-1, 1), [[0.8, 0.1, 0.1]], [[0.1, 0.8, 0.1]])
        low, high = score(SINGLE, gold, probabilities, [0.5] * 3, clusters=[str(k // 5) for k in range(300)], seed=sample)["ci"]["accuracy"]
        covered += low <= 0.7 <= high
    assert 0.90 <= covered / samples <= 0.99


def test_resampling_draws_whole_clusters() -> None:
    weights = resample(np.array(["a", "a", "b", "c"]), seed=0, replicates=50)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, [0, 2, 3]].sum(axis=1) == 3).all()


def test_clusters_are_meetings_where_one_assembly_dominates() -> None:
    names, unit = cluster_names(passages(["A", "B", "C", "D", "E", None], [("2020-01-01", "x")] * 6))
    assert (unit, names[-1]) == ("assembly", "id:6")
    names, unit = cluster_names(passages(["A", "A", "B"], [("d", "x"), ("d", "y"), ("d", "x")]))
    assert unit == "meeting"
    assert len(set(names)) == 3


def test_thresholds_separate_where_they_can_and_shrink_where_they_must(multi: tuple[list[list[str]], np.ndarray, np.ndarray]) -> None:
    gold, truth, probabilities = multi
    fitted = fit_thresholds(MULTI, gold, probabilities)
    assert f1_score(truth, probabilities >= fitted, average="macro") >= f1_score(truth, probabilities >= 0.5, average="macro") - 1e-9
    alone = fit_thresholds(MULTI, [["a"], *([[]] * 9)], np.array([[0.9, 0.0, 0.0], *([[0.1, 0.0, 0.0]] * 9)]))
    assert 0.1 < alone[0] < 0.9
    assert fit_thresholds(SINGLE, ["a"], np.ones((1, 3))) == [0.5] * 3


def test_no_label_at_all_is_scored_like_a_label(multi: tuple[list[list[str]], np.ndarray, np.ndarray]) -> None:
    gold, truth, probabilities = multi
    scores = score(MULTI, gold, probabilities, [0.6] * 3)
    assert scores["empty_f1"] == pytest.approx(f1_score(~truth.any(axis=1), ~(probabilities >= 0.6).any(axis=1)))
    assert "empty_f1" not in score(MULTI, [["a"], ["b"]], np.eye(3)[:2], [0.5] * 3)


def test_groups_and_the_labels_within_them() -> None:
    """Gold a a b b c c; predicted a b b c c a: group x (a, b) misses one and is invented once."""
    gold: list[str | None] = list("aabbcc")
    predicted = np.eye(3)[["abc".index(label) for label in "abbcca"]]
    groups = score(SINGLE, gold, predicted, [0.5] * 3)["groups_f1"]
    assert groups["x"]["f1"] == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))
    # Within x: a is found once of two, b once of two and once in the place of a.
    assert groups["x"]["within"] == pytest.approx(np.mean([2 / 3, 2 / 4]))
    assert groups["y"]["within"] is None


def test_interval_of_macro_f1_with_rare_labels_covers_the_truth() -> None:
    """16 labels of which some occur a few times in 470 passages of 30 assemblies: what the real passages look like."""
    random = np.random.default_rng(0)
    labels = LabelSet("m", "m", "multi", tuple(Label(f"l{k}") for k in range(16)))
    shares = np.geomspace(0.015, 0.1, 16)
    recall, invented = random.uniform(0.45, 0.9, 16), shares * random.uniform(0.2, 0.6, 16)

    def draw(assemblies: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        sizes = random.poisson(15, assemblies) + 1
        of_row = np.repeat(np.arange(assemblies), sizes)
        truth = random.random((len(of_row), 16)) < (shares * random.gamma(2, 0.5, (assemblies, 16)))[of_row]
        found = random.beta(recall * 12, (1 - recall) * 12, (assemblies, 16))[of_row]
        return truth, np.where(truth, random.random(truth.shape) < found, random.random(truth.shape) < invented), of_row

    truth, chosen, _ = draw(20000)
    expected = f1_score(truth, chosen, average="macro")
    covered = 0
    for sample in range(200):
        truth, chosen, of_row = draw(30)
        weights = resample(of_row.astype(str), seed=sample, replicates=400)
        once = headline(labels, truth, chosen, chosen.astype(float), np.ones((1, len(truth))))["macro_f1"]
        low, high = interval(headline(labels, truth, chosen, chosen.astype(float), weights)["macro_f1"], float(once[0]))
        covered += low <= expected <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_p_values_of_no_difference_are_spread_evenly() -> None:
    """Two coins of one chance on the same passages: about one in twenty comparisons is called real."""
    random = np.random.default_rng(1)
    found = []
    for sample in range(300):
        chance = random.beta(7, 3, size=60)[:, None]
        right = [(random.random((60, 5)) < chance).ravel() for _ in range(2)]
        weights = resample(np.repeat(np.arange(60), 5).astype(str), seed=sample, replicates=400)
        found.append(p_value(weights @ (right[0].astype(float) - right[1]) / weights.sum(axis=1)))
    assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.10
    assert p_value(np.zeros(100)) == 1.0
    assert p_value(np.ones(999)) == pytest.approx(0.001)


def test_holm_of_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_passages_are_drawn_singly_where_there_is_one_meeting() -> None:
    names, unit = cluster_names(passages(["A"] * 6, [("d", "x")] * 6))
    assert (unit, len(set(names))) == ("passage", 6)
