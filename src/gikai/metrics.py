"""Scores from gold and probabilities: per label, macro, with bootstrap intervals; and thresholds. Arrays only, no model.

Library module; no command of its own.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import norm
from sklearn.metrics import average_precision_score, confusion_matrix, precision_recall_fscore_support

from gikai.labels import Gold, LabelSet
from gikai.records import Passage

REPLICATES = 1000
FEW = 5
"""Clusters below which an interval would say little more than where a handful of meetings fell."""
SHRINK = 100.0
"""Positives at which a label's own threshold and the common one weigh the same."""

TOLERANCE = 0.01
"""Share of the best micro-F1 on dev that the common threshold may lose: so much is noise in some hundred passages."""


def score(
    label_set: LabelSet,
    gold: Sequence[Gold],
    probabilities: np.ndarray,
    thresholds: Sequence[float] | np.ndarray,
    clusters: Sequence[str] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the scores of one label set, as `metrics.json` holds them.

    `probabilities` is `(n, labels)` in the set's order; rows whose gold is None are left out. Macro-F1 is over all
    labels, 0 where a label has no true positive; `map` over the labels that occur; `empty_f1` is the F1 of "no label
    applies". `clusters` (one name a row) gives 95 percent intervals by resampling clusters with replacement
    (`interval`, 1,000 replicates). `groups_f1`, for a set with coarse groups: the F1 of each group, and `within`, the
    macro-F1 of its labels over the passages that belong to it (None where it is one label).
    """
    rows, truth, probabilities = label_set.known(gold, probabilities)
    if not len(rows):
        raise ValueError(f"no gold for label set {label_set.name}")
    chosen = label_set.choose(probabilities, thresholds)
    precision, recall, f1, support = precision_recall_fscore_support(truth, chosen, average=None, zero_division=0)
    ap = [float(average_precision_score(truth[:, k], probabilities[:, k])) if truth[:, k].any() else None for k in range(truth.shape[1])]
    labels = {
        label.id: {
            "precision": float(precision[k]),
            "recall": float(recall[k]),
            "f1": float(f1[k]),
            "ap": ap[k],
            "support": int(support[k]),
            **({"threshold": float(thresholds[k])} if label_set.kind == "multi" else {}),
        }
        for k, label in enumerate(label_set.labels)
    }
    once = headline(label_set, truth, chosen, probabilities, np.ones((1, len(truth))))
    result: dict[str, Any] = {"n": len(rows), **{name: float(values[0]) for name, values in once.items()}}
    if clusters is not None:
        names = np.asarray(clusters)[rows]
        result["clusters"] = len(set(names.tolist()))
        replicates = headline(label_set, truth, chosen, probabilities, resample(names, seed))
        result["ci"] = {name: interval(values, result[name]) for name, values in replicates.items()}
    result["labels"] = labels
    if label_set.kind == "single":
        index = range(len(label_set.labels))
        result["confusion"] = confusion_matrix(truth.argmax(axis=1), chosen.argmax(axis=1), labels=list(index)).tolist()
    if label_set.groups:
        result["groups_f1"] = _groups(label_set, truth, chosen)
    return result


def headline(
    label_set: LabelSet, truth: np.ndarray, chosen: np.ndarray, probabilities: np.ndarray, weights: np.ndarray, occurring: bool = False
) -> dict[str, np.ndarray]:
    """Return the headline scores under row weights `(replicates, n)`, each `(replicates,)`: the bootstrap in one pass.

    `truth` and `chosen` are `(n, labels)` booleans, `probabilities` of the same shape. `occurring` takes macro-F1 over
    the labels that occur in `truth` only: what parts of a data set can be asked for.
    """
    right = (truth == chosen).all(axis=1)
    total = weights.sum(axis=1)
    here = np.logical_or(truth.any(axis=0), not occurring)
    scores = {"macro_f1": _macro_f1(truth[:, here], chosen[:, here], weights)}
    if label_set.kind == "multi":
        true_positive = (weights @ (truth & chosen)).sum(axis=1)
        wrong = (weights @ (truth ^ chosen)).sum(axis=1)
        scores["micro_f1"] = _ratio(2 * true_positive, 2 * true_positive + wrong)
        scores["map"] = _mean_average_precision(truth, probabilities, weights)
        scores["exact_match"] = weights @ right / total
        none, none_chosen = (np.logical_not(array.any(axis=1, keepdims=True)) for array in (truth, chosen))
        if none.any():
            scores["empty_f1"] = _f1(none, none_chosen, weights)[:, 0]
    else:
        scores["accuracy"] = weights @ right / total
        if label_set.groups:
            member = _members(label_set)[1]
            coarse, coarse_chosen = (np.asarray(array.astype(int) @ member > 0) for array in (truth, chosen))
            scores["coarse_macro_f1"] = _macro_f1(coarse, coarse_chosen, weights)
    return scores


def _members(label_set: LabelSet) -> tuple[list[str], np.ndarray]:
    """Return the coarse groups in order of first appearance, and `(labels, groups)` booleans of who belongs to which."""
    of_label = [label_set.groups.get(label_id, label_id) for label_id in label_set.ids]
    groups = list(dict.fromkeys(of_label))
    return groups, np.array([[group == other for group in groups] for other in of_label])


def _groups(label_set: LabelSet, truth: np.ndarray, chosen: np.ndarray) -> dict[str, dict[str, float | None]]:
    groups, member = _members(label_set)
    result: dict[str, dict[str, float | None]] = {}
    for group, inside in zip(groups, member.T, strict=True):
        in_truth, in_chosen = (np.asarray(array[:, inside].any(axis=1, keepdims=True)) for array in (truth, chosen))
        once = np.ones((1, len(truth)))
        within = _f1(truth[:, inside], chosen[:, inside], once * in_truth.T).mean() if inside.sum() > 1 and in_truth.any() else None
        result[group] = {
            "f1": float(_f1(in_truth, in_chosen, once)[0, 0]),
            "within": None if within is None else float(within),
        }
    return result


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(numerator, denominator, out=np.zeros_like(numerator, dtype=np.float64), where=denominator > 0))


def _f1(truth: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return `(replicates, labels)` F1, 0 where a label has no true positive."""
    both = weights @ (truth & chosen)
    return _ratio(2 * both, weights @ truth + weights @ chosen)


def _macro_f1(truth: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return `(replicates,)` mean F1 over labels.

    A label that occurs, but not among the passages that a replicate drew, says nothing there and is left out of that
    replicate's mean; counted as 0 it would pull every replicate below the score itself.
    """
    counted = (weights @ truth > 0) | ~truth.any(axis=0)
    return np.asarray((_f1(truth, chosen, weights) * counted).sum(axis=1) / counted.sum(axis=1).clip(1))


def _mean_average_precision(truth: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return `(replicates,)` mean over occurring labels of average precision; tied scores count as one step."""
    total = np.zeros(len(weights))
    occurring = np.zeros(len(weights))
    for k in range(truth.shape[1]):
        order = np.argsort(-probabilities[:, k], kind="stable")
        scores, gold = probabilities[order, k], truth[order, k].astype(np.float64)
        last_of_tie = np.searchsorted(-scores, -scores, side="right") - 1
        ordered = weights[:, order]
        positives = np.cumsum(ordered * gold, axis=1)
        precision = _ratio(positives, np.cumsum(ordered, axis=1))[:, last_of_tie]
        has = positives[:, -1] > 0
        total += _ratio((ordered * gold * precision).sum(axis=1), positives[:, -1])
        occurring += has
    return _ratio(total, occurring)


def interval(replicates: np.ndarray, estimate: float) -> list[float]:
    """Return the 95 percent interval of `estimate` from bootstrap `replicates`: bias-corrected percentiles (Efron 1981).

    F1 over few positives is biased downwards in a bootstrap sample, which repeats some passages and lacks others; plain
    percentiles then lie too low. The correction moves both by how far the estimate is from the replicates' median.
    """
    below = (replicates < estimate - 1e-12).mean() + 0.5 * (np.abs(replicates - estimate) <= 1e-12).mean()
    bias = norm.ppf(np.clip(below, 1 / len(replicates), 1 - 1 / len(replicates)))
    low, high = np.percentile(replicates, 100 * norm.cdf(2 * bias + norm.ppf([0.025, 0.975])))
    return [float(low), float(high)]


def p_value(differences: np.ndarray) -> float:
    """Return the two-sided p-value of "no difference" from bootstrap `differences`: twice the share on the rarer side of 0.

    Never below 1 / (replicates + 1), since a bootstrap cannot see less.
    """
    count = len(differences)
    rarer = min((differences <= 1e-12).sum(), (differences >= -1e-12).sum())
    return float(min(1.0, 2 * (rarer + 0.5) / (count + 1)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for there being several of them (Holm 1979), in the order given."""
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty(len(p_values))
    corrected[order] = np.maximum.accumulate(np.asarray(p_values)[order] * (len(p_values) - np.arange(len(p_values)))).clip(0, 1)
    return [float(value) for value in corrected]


def resample(clusters: np.ndarray, seed: int, replicates: int = REPLICATES) -> np.ndarray:
    """Return `(replicates, n)` row weights of a cluster bootstrap: how often each row's cluster was drawn."""
    _, of_row = np.unique(clusters, return_inverse=True)
    count = int(of_row.max()) + 1
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=replicates)
    return draws[:, of_row].astype(np.float64)


def cluster_names(passages: Sequence[Passage]) -> tuple[list[str], str]:
    """Return (a cluster name for each passage, "assembly", "meeting" or "passage"): what a bootstrap must draw as a whole.

    Clusters are assemblies; meetings (assembly, date, meeting) where one assembly holds more than a fifth of the
    passages; single passages where that leaves fewer than FEW clusters, which no bootstrap can draw from. A passage
    without an assembly is a cluster of its own.
    """
    counts = Counter(passage.assembly for passage in passages if passage.assembly is not None)
    by_meeting = max(counts.values(), default=0) > 0.2 * len(passages)
    alone = [f"id:{passage.id}" for passage in passages]
    names = [
        own if passage.assembly is None else f"{passage.assembly}|{passage.date}|{passage.meeting}" if by_meeting else passage.assembly
        for passage, own in zip(passages, alone, strict=True)
    ]
    if len(set(names)) < min(FEW, len(passages)):
        return alone, "passage"
    return names, "meeting" if by_meeting else "assembly"


def fit_thresholds(label_set: LabelSet, gold: Sequence[Gold], probabilities: np.ndarray) -> list[float]:
    """Return one threshold a label, fitted on dev: the one of best F1, drawn towards the common one when positives are few.

    The common threshold is the one of best micro-F1, within TOLERANCE. Of equally good ones the lowest is taken: passages
    that nobody wrote or chose for annotation are less clear than dev's and score lower. Thresholds are averaged as logits,
    weighted by positives / SHRINK. For a single-label set there is nothing to fit: 0.5 everywhere, and unused.
    """
    _, truth, scores = label_set.known(gold, probabilities)
    if label_set.kind == "single" or not truth.any():
        return [0.5] * len(label_set.labels)
    scores = scores.clip(1e-6, 1 - 1e-6)
    grid = np.linspace(-5, 3, 161)
    logits = np.log(scores / (1 - scores))
    f1 = np.array([_f1(truth, logits >= cut, np.ones((1, len(truth))))[0] for cut in grid])
    micro = np.array([_f1(truth.reshape(-1, 1), (logits >= cut).reshape(-1, 1), np.ones((1, truth.size)))[0, 0] for cut in grid])
    positives = truth.sum(axis=0)
    common = _lowest(micro >= (1 - TOLERANCE) * micro.max(), grid)
    own = np.array([_lowest(f1[:, k] >= f1[:, k].max() - 1e-12, grid) if positives[k] else common for k in range(truth.shape[1])])
    weight = positives / (positives + SHRINK)
    return [float(cut) for cut in 1 / (1 + np.exp(-(weight * own + (1 - weight) * common)))]


def _lowest(good: np.ndarray, grid: np.ndarray) -> float:
    return float(grid[np.flatnonzero(good)[0]])
