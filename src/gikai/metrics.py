"""Scores from gold and probabilities: per label, macro, with bootstrap intervals; and thresholds. Arrays only, no model.

Library module; no command of its own.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, confusion_matrix, precision_recall_fscore_support

from gikai.labels import Gold, LabelSet

REPLICATES = 1000
SHRINK = 20.0
"""Positives at which a label's own threshold and the common one weigh the same."""


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
    labels, 0 where a label has no true positive; `map` over the labels that occur. `clusters` (one name a row) gives
    95 percent intervals by resampling clusters with replacement (percentile bootstrap, 1,000 replicates).
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.shape != (len(gold), len(label_set.labels)):
        raise ValueError(f"probabilities have shape {probabilities.shape}, expected ({len(gold)}, {len(label_set.labels)})")
    known = np.array([value is not None for value in gold])
    if not known.any():
        raise ValueError(f"no gold for label set {label_set.name}")
    truth = np.array([label_set.encode(value) for value in gold])[known] > 0.5
    probabilities = probabilities[known]
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
    result: dict[str, Any] = {"n": int(known.sum()), **_headline(label_set, truth, chosen, probabilities)}
    if clusters is not None:
        names = np.asarray(clusters)[known]
        result["clusters"] = len(set(names.tolist()))
        result["ci"] = _intervals(label_set, truth, chosen, probabilities, names, seed)
    result["labels"] = labels
    if label_set.kind == "single":
        index = range(len(label_set.labels))
        result["confusion"] = confusion_matrix(truth.argmax(axis=1), chosen.argmax(axis=1), labels=list(index)).tolist()
    return result


def _headline(label_set: LabelSet, truth: np.ndarray, chosen: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    ones = np.ones((1, len(truth)))
    return {name: float(values[0]) for name, values in _weighted(label_set, truth, chosen, probabilities, ones).items()}


def _weighted(
    label_set: LabelSet, truth: np.ndarray, chosen: np.ndarray, probabilities: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the headline scores under row weights `(replicates, n)`, each `(replicates,)`: the bootstrap in one pass."""
    right = (truth == chosen).all(axis=1)
    total = weights.sum(axis=1)
    scores = {"macro_f1": _f1(truth, chosen, weights).mean(axis=1)}
    if label_set.kind == "multi":
        true_positive = (weights @ (truth & chosen)).sum(axis=1)
        wrong = (weights @ (truth ^ chosen)).sum(axis=1)
        scores["micro_f1"] = _ratio(2 * true_positive, 2 * true_positive + wrong)
        scores["map"] = _mean_average_precision(truth, probabilities, weights)
        scores["exact_match"] = weights @ right / total
    else:
        scores["accuracy"] = weights @ right / total
        if label_set.groups:
            scores["coarse_macro_f1"] = _f1(_coarse(label_set, truth), _coarse(label_set, chosen), weights).mean(axis=1)
    return scores


def _coarse(label_set: LabelSet, onehot: np.ndarray) -> np.ndarray:
    """Return `(n, groups)` booleans: the label sets' coarse groups, in order of first appearance."""
    of_label = [label_set.groups.get(label_id, label_id) for label_id in label_set.ids]
    groups = list(dict.fromkeys(of_label))
    member = np.array([[group == other for group in groups] for other in of_label])
    return np.asarray((onehot.astype(int) @ member) > 0)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(numerator, denominator, out=np.zeros_like(numerator, dtype=np.float64), where=denominator > 0))


def _f1(truth: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return `(replicates, labels)` F1, 0 where a label has no true positive."""
    both = weights @ (truth & chosen)
    return _ratio(2 * both, weights @ truth + weights @ chosen)


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


def _intervals(
    label_set: LabelSet, truth: np.ndarray, chosen: np.ndarray, probabilities: np.ndarray, clusters: np.ndarray, seed: int
) -> dict[str, list[float]]:
    """Return 95 percent percentile intervals; `_resample` says how."""
    weights = resample(clusters, seed)
    scores = _weighted(label_set, truth, chosen, probabilities, weights)
    return {name: [float(low), float(high)] for name, values in scores.items() for low, high in [np.percentile(values, [2.5, 97.5])]}


def resample(clusters: np.ndarray, seed: int, replicates: int = REPLICATES) -> np.ndarray:
    """Return `(replicates, n)` row weights of a cluster bootstrap: how often each row's cluster was drawn."""
    _, of_row = np.unique(clusters, return_inverse=True)
    count = int(of_row.max()) + 1
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=replicates)
    return draws[:, of_row].astype(np.float64)


def cluster_names(
    ids: Sequence[str], assemblies: Sequence[str | None], meetings: Sequence[tuple[str | None, str | None]]
) -> tuple[list[str], str]:
    """Return (a cluster name for each passage, "assembly" or "meeting"): what a bootstrap must draw as a whole.

    Clusters are assemblies; meetings (assembly, date, meeting) where one assembly holds more than a fifth of the
    passages. A passage without an assembly is a cluster of its own. `meetings` holds (date, meeting).
    """
    counts: dict[str, int] = {}
    for name in assemblies:
        if name is not None:
            counts[name] = counts.get(name, 0) + 1
    by_meeting = max(counts.values(), default=0) > 0.2 * len(ids)
    names = []
    for passage_id, assembly, (date, meeting) in zip(ids, assemblies, meetings, strict=True):
        if assembly is None:
            names.append(f"id:{passage_id}")
        else:
            names.append(f"{assembly}|{date}|{meeting}" if by_meeting else assembly)
    return names, "meeting" if by_meeting else "assembly"


def fit_thresholds(label_set: LabelSet, gold: Sequence[Gold], probabilities: np.ndarray) -> list[float]:
    """Return one threshold a label, fitted on dev: the lowest that dev cannot tell from its best one.

    Best is the highest F1; what lies within one standard error of it (200 bootstrap draws of passages) counts as equal, and
    of equals the lowest is taken (the one-standard-error rule, Breiman et al. 1984): passages that nobody chose for
    annotation are less clear than dev's and score lower. Where positives are few a label's threshold is drawn towards
    the common one, found in the same way from macro-F1: logits are averaged, weighted by positives / SHRINK.
    For a single-label set there is nothing to fit: 0.5 everywhere, and unused.
    """
    known = np.array([value is not None for value in gold])
    if label_set.kind == "single" or not known.any():
        return [0.5] * len(label_set.labels)
    truth = np.array([label_set.encode(value) for value in gold])[known] > 0.5
    scores = np.asarray(probabilities, dtype=np.float64)[known].clip(1e-6, 1 - 1e-6)
    if not truth.any():
        return [0.5] * len(label_set.labels)
    grid = np.linspace(-5, 3, 161)
    logits = np.log(scores / (1 - scores))
    n = len(truth)
    weights = np.vstack([np.ones((1, n)), np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=200)])
    f1 = np.stack([_f1(truth, logits >= cut, weights) for cut in grid])
    positives = truth.sum(axis=0)
    common = _lowest_of_best(f1[:, :, positives > 0].mean(axis=2), grid)
    own = np.array([_lowest_of_best(f1[:, :, k], grid) if positives[k] else common for k in range(truth.shape[1])])
    weight = positives / (positives + SHRINK)
    return [float(cut) for cut in 1 / (1 + np.exp(-(weight * own + (1 - weight) * common)))]


def _lowest_of_best(values: np.ndarray, grid: np.ndarray) -> float:
    """Return the lowest cut within a standard error of the best; `values` is `(cuts, 1 + draws)`, the sample itself first."""
    best = int(values[:, 0].argmax())
    return float(grid[np.flatnonzero(values[:, 0] >= values[best, 0] - values[best, 1:].std())[0]])
