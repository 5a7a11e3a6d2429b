"""Can the probabilities be believed: temperature scaling, reliability, and what could be answered at a chosen precision.

Library module; no command of its own. Arrays only, no model.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from gikai.labels import Gold, LabelSet

BINS = 15
POINTS = 100
"""Points of a selective-prediction curve at most."""
PRECISIONS = (0.8, 0.9, 0.95)
COLDEST, HOTTEST = 0.05, 20.0


def fit_temperature(label_set: LabelSet, gold: Sequence[Gold], probabilities: np.ndarray) -> float:
    """Return the temperature that makes `gold` most likely under tempered `probabilities` `(n, labels)`; fitted on dev.

    One number for the whole label set, so that the order of a label's probabilities, and with it every F1 and average
    precision, stays as it is. 1.0 where no passage carries the set. Guo et al. 2017, On Calibration of Modern Neural
    Networks.
    """
    _, truth, kept = label_set.known(gold, probabilities)
    if not len(truth):
        return 1.0

    def loss(logarithm: float) -> float:
        tempered = label_set.temper(kept, float(np.exp(logarithm))).clip(1e-12, 1 - 1e-12)
        missed = np.log(1 - tempered[~truth]).sum() if label_set.kind == "multi" else 0.0
        return float(-(np.log(tempered[truth]).sum() + missed) / len(truth))

    found = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def reliability(label_set: LabelSet, gold: Sequence[Gold], probabilities: np.ndarray) -> dict[str, Any]:
    """Return expected calibration error, Brier score and the 15 equal-width bins of a reliability diagram.

    A bin has the mean `confidence` of its decisions, the `share` that came true, and their `count`; empty ones are left
    out. Decisions are those of `LabelSet.decisions`. ECE is the mean distance of confidence and share, weighted by count
    (Naeini et al. 2015). Brier (1950) is the squared error a decision (multi), summed over labels a passage (single).
    """
    _, truth, kept = label_set.known(gold, probabilities)
    confidence, right = label_set.decisions(truth, kept)
    of_bin = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = []
    for index in range(BINS):
        inside = of_bin == index
        if inside.any():
            bins.append({"confidence": float(confidence[inside].mean()), "share": float(right[inside].mean()), "count": int(inside.sum())})
    distance = sum(item["count"] * abs(item["confidence"] - item["share"]) for item in bins) / len(confidence)
    return {"ece": float(distance), "brier": float(((kept - truth) ** 2).sum() / len(confidence)), "bins": bins}


def abstain(
    label_set: LabelSet, gold: Sequence[Gold], probabilities: np.ndarray, thresholds: Sequence[float] | np.ndarray
) -> dict[str, Any]:
    """Return what happens when only the passages that the model is surest of are answered.

    `curve` has points of `coverage` (share answered), `precision` (share of those whose labels are all right) and
    `threshold` (the least confidence answered, as `LabelSet.confidence` gives it). `at` says for some precisions the
    largest coverage that reaches them, or None. Selective prediction: El-Yaniv and Wiener 2010.
    """
    _, truth, kept = label_set.known(gold, probabilities)
    chosen = label_set.choose(kept, thresholds)
    confidence = label_set.confidence(kept, chosen)
    order = np.argsort(-confidence, kind="stable")
    answered = np.arange(1, len(order) + 1)
    precision = np.cumsum((truth == chosen).all(axis=1)[order]) / answered
    # Passages of one confidence are answered together or not at all.
    ends = np.flatnonzero(np.diff(confidence[order], append=-1.0))
    points = [
        {"coverage": float(answered[end] / len(order)), "precision": float(precision[end]), "threshold": float(confidence[order][end])}
        for end in ends
    ]
    at = {f"{wanted:.2f}": next((point for point in reversed(points) if point["precision"] >= wanted), None) for wanted in PRECISIONS}
    shown = np.unique(np.linspace(0, len(points) - 1, min(POINTS, len(points))).round().astype(int))
    return {"curve": [points[index] for index in shown], "at": at}
