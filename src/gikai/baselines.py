"""Baselines that are runs like any other: majority, and TF-IDF with a linear classifier. No pickle.

python scripts/baseline.py name=tfidf|majority [run=DIR]
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix
from sklearn.calibration import _SigmoidCalibration
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from gikai import InputError, runs
from gikai.labels import LabelSet, Taxonomy
from gikai.records import Passage

NGRAMS = (1, 4)
LEAST_PASSAGES = 2
MOST_FEATURES = 200_000
STRENGTHS = (0.25, 1.0, 4.0)


class LinearPredictor:
    """Probabilities from TF-IDF of character n-grams and one linear function a label, calibrated on dev.

    The majority baseline is the case of no features: intercepts alone.
    """

    def __init__(
        self, taxonomy: Taxonomy, vocabulary: dict[str, int], idf: np.ndarray, weights: np.ndarray, intercepts: np.ndarray
    ) -> None:
        self.taxonomy, self.vocabulary, self.idf, self.weights, self.intercepts = taxonomy, vocabulary, idf, weights, intercepts

    def features(self, texts: Sequence[str]) -> csr_matrix:
        """Return `(n, features)` TF-IDF rows, sublinear and of unit length."""
        if not self.vocabulary:
            return csr_matrix((len(texts), 0))
        vectorizer = _vectorizer(vocabulary=self.vocabulary)
        vectorizer.idf_ = self.idf
        return vectorizer.transform(texts)

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return `(n, all labels)` float64, columns in taxonomy order; `texts` are normalised."""
        return self.taxonomy.activate(np.asarray(self.features(texts) @ self.weights) + self.intercepts)

    def save(self, folder: Path) -> None:
        """Write weights as safetensors and the vocabulary as JSON."""
        folder.mkdir(parents=True, exist_ok=True)
        runs.write_json(folder / "vocabulary.json", self.vocabulary)
        tensors = {"idf": self.idf, "weights": self.weights, "intercepts": self.intercepts}
        save_file({name: np.ascontiguousarray(value, dtype=np.float32) for name, value in tensors.items()}, folder / "model.safetensors")


def load_linear(folder: Path, taxonomy: Taxonomy) -> LinearPredictor:
    """Return the predictor that `save` wrote."""
    tensors = {name: value.astype(np.float64) for name, value in load_file(folder / "model.safetensors").items()}
    vocabulary: dict[str, int] = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
    return LinearPredictor(taxonomy, vocabulary, **tensors)


def fit_majority(taxonomy: Taxonomy, train: Sequence[Passage]) -> LinearPredictor:
    """Return the predictor that gives every text the shares of the training labels."""
    intercepts = []
    for label_set in taxonomy.sets:
        shares = _targets(label_set, train)[1].mean(axis=0).clip(1e-6, 1 - 1e-6)
        intercepts.append(np.log(shares / (1 - shares)) if label_set.kind == "multi" else np.log(shares))
    return LinearPredictor(taxonomy, {}, np.empty(0), np.empty((0, len(taxonomy.names))), np.concatenate(intercepts))


def fit_tfidf(taxonomy: Taxonomy, train: Sequence[Passage], dev: Sequence[Passage]) -> LinearPredictor:
    """Return TF-IDF (character 1 to 4-grams) with linear support vector machines, one a label, positives balanced.

    The penalty is chosen on dev by log loss; scores become probabilities by Platt's sigmoid (multi) or a multinomial
    logistic regression over them (single), both fitted on dev.
    """
    vectorizer = _vectorizer(min_df=LEAST_PASSAGES, max_features=MOST_FEATURES)
    vectorizer.fit([passage.text for passage in train])
    features, dev_features = (vectorizer.transform([passage.text for passage in items]) for items in (train, dev))
    weights, intercepts = [], []
    for label_set in taxonomy.sets:
        rows, targets = _targets(label_set, train)
        dev_rows, dev_targets = _targets(label_set, dev)
        tried = [_linear(label_set, features[rows], targets, dev_features[dev_rows], dev_targets, strength) for strength in STRENGTHS]
        _, of_set, constant = min(tried, key=lambda item: item[0])
        weights.append(of_set)
        intercepts.append(constant)
    vocabulary = {term: int(index) for term, index in vectorizer.vocabulary_.items()}
    return LinearPredictor(taxonomy, vocabulary, vectorizer.idf_, np.concatenate(weights, axis=1), np.concatenate(intercepts))


def _vectorizer(**settings: object) -> TfidfVectorizer:
    return TfidfVectorizer(analyzer="char", ngram_range=NGRAMS, sublinear_tf=True, lowercase=False, **settings)


def _targets(label_set: LabelSet, passages: Sequence[Passage]) -> tuple[np.ndarray, np.ndarray]:
    """Return (row numbers of the passages that carry the set, `(those, labels)` of 0 and 1)."""
    if all(passage.gold.get(label_set.name) is None for passage in passages):
        raise InputError(f'no passage of train or of dev has "{label_set.field}"; a baseline needs both')
    rows = np.array([index for index, passage in enumerate(passages) if passage.gold.get(label_set.name) is not None], dtype=int)
    return rows, np.array([label_set.encode(passages[index].gold[label_set.name]) for index in rows]).reshape(
        len(rows), len(label_set.labels)
    )


def _linear(
    label_set: LabelSet, features: csr_matrix, targets: np.ndarray, dev_features: csr_matrix, dev_targets: np.ndarray, strength: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return (dev log loss, weights `(features, labels)`, intercepts `(labels,)`), calibration folded in."""
    count = targets.shape[1]
    weights, intercepts = np.zeros((features.shape[1], count)), np.full(count, -10.0)
    for k in range(count):
        if 0 < targets[:, k].sum() < len(targets):
            machine = LinearSVC(C=strength, class_weight="balanced", random_state=0).fit(features, targets[:, k])
            weights[:, k], intercepts[k] = machine.coef_[0], machine.intercept_[0]
    scores = np.asarray(dev_features @ weights) + intercepts
    if label_set.kind == "multi":
        for k in range(count):
            if 0 < dev_targets[:, k].sum() < len(dev_targets):
                sigmoid = _SigmoidCalibration().fit(scores[:, k], dev_targets[:, k])
                weights[:, k], intercepts[k] = weights[:, k] * -sigmoid.a_, intercepts[k] * -sigmoid.a_ - sigmoid.b_
    else:
        known = dev_targets.argmax(axis=1)
        if len(np.unique(known)) == count > 2:
            regression = LogisticRegression(C=1.0, max_iter=1000).fit(scores, known)
            weights, intercepts = weights @ regression.coef_.T, intercepts @ regression.coef_.T + regression.intercept_
    probabilities = label_set.activate(np.asarray(dev_features @ weights) + intercepts).clip(1e-9, 1 - 1e-9)
    of_gold = dev_targets * np.log(probabilities)
    rest = (1 - dev_targets) * np.log(1 - probabilities) if label_set.kind == "multi" else 0.0
    return float(-(of_gold + rest).sum() / len(dev_targets)), weights, intercepts
