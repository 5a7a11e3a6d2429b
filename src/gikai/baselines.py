"""Baselines that are runs like any other: majority, keyword rules, and TF-IDF with a linear classifier. No pickle.

python scripts/baseline.py name=majority|keywords|tfidf [run=DIR]
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
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
RARE = -10.0
"""Logit of a label that was never seen."""
KEYWORDS = "keywords.yaml"


class LinearPredictor:
    """Probabilities from features of a text and one linear function of them a label, calibrated on dev.

    `features` turns texts into `(n, features)`: TF-IDF of character n-grams, or which keyword rules match. The majority
    baseline is the case of no features: intercepts alone.
    """

    def __init__(
        self, taxonomy: Taxonomy, features: "TfidfFeatures | KeywordFeatures", weights: np.ndarray, intercepts: np.ndarray
    ) -> None:
        self.taxonomy, self.features, self.weights, self.intercepts = taxonomy, features, weights, intercepts

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return `(n, all labels)` float64, columns in taxonomy order; `texts` are normalised."""
        return self.taxonomy.activate(np.asarray(self.features(texts) @ self.weights) + self.intercepts)

    def save(self, folder: Path) -> None:
        """Write weights as safetensors, and the vocabulary as JSON or the rules as YAML."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {"weights": self.weights, "intercepts": self.intercepts, **self.features.save(folder)}
        save_file({name: np.ascontiguousarray(value, dtype=np.float32) for name, value in tensors.items()}, folder / "model.safetensors")


@dataclass(frozen=True)
class TfidfFeatures:
    """TF-IDF of the character n-grams of a vocabulary, which may be empty."""

    vocabulary: dict[str, int]
    idf: np.ndarray

    def __call__(self, texts: Sequence[str]) -> csr_matrix:
        """Return `(n, features)` TF-IDF rows, sublinear and of unit length."""
        if not self.vocabulary:
            return csr_matrix((len(texts), 0))
        vectorizer = _vectorizer(vocabulary=self.vocabulary)
        vectorizer.idf_ = self.idf
        return vectorizer.transform(texts)

    def save(self, folder: Path) -> dict[str, np.ndarray]:
        """Write what is not a tensor and return what is."""
        runs.write_json(folder / "vocabulary.json", self.vocabulary)
        return {"idf": self.idf}


@dataclass(frozen=True)
class Rule:
    """One line of a keyword file: `weight` for the label in `column` where `match` is found and `unless` is not."""

    column: int
    match: re.Pattern[str]
    weight: float = 1.0
    unless: re.Pattern[str] | None = None


@dataclass(frozen=True)
class KeywordFeatures:
    """Which of the rules of a keyword file match a text. `source` is the file as it was read, and travels with the run."""

    source: str
    rules: tuple[Rule, ...]

    def __call__(self, texts: Sequence[str]) -> csr_matrix:
        """Return `(n, rules)` of 0 and 1."""
        hits = [[bool(rule.match.search(text)) and not (rule.unless and rule.unless.search(text)) for rule in self.rules] for text in texts]
        return csr_matrix(np.array(hits, dtype=np.float64).reshape(len(texts), len(self.rules)))

    def save(self, folder: Path) -> dict[str, np.ndarray]:
        """Write what is not a tensor and return what is."""
        runs.write_text(folder / KEYWORDS, self.source)
        return {}


def load_linear(folder: Path, taxonomy: Taxonomy) -> LinearPredictor:
    """Return the predictor that `save` wrote."""
    tensors = {name: value.astype(np.float64) for name, value in load_file(folder / "model.safetensors").items()}
    features: TfidfFeatures | KeywordFeatures
    if (folder / KEYWORDS).exists():
        features = load_rules(folder / KEYWORDS, taxonomy)
    else:
        vocabulary: dict[str, int] = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        features = TfidfFeatures(vocabulary, tensors["idf"])
    return LinearPredictor(taxonomy, features, tensors["weights"], tensors["intercepts"])


def load_rules(path: Path, taxonomy: Taxonomy) -> KeywordFeatures:
    """Return the rules of a keyword file, YAML: label set → label → list of patterns, `{match, weight, unless}` or one string.

    Label sets that `taxonomy` does not have are left out. Raises InputError, naming file and label, for a label set
    without rules, a label that is unknown, a pattern that is no regular expression, or a form other than this.
    """
    source = path.read_text(encoding="utf-8")
    try:
        content = yaml.safe_load(source)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not readable as YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a mapping from label sets to labels to lists of patterns")
    rules: list[Rule] = []
    for label_set in taxonomy.sets:
        of_set = content.get(label_set.name)
        if not isinstance(of_set, dict) or not of_set:
            raise InputError(f"{path}: no patterns for the label set {label_set.name!r}; add them, or give another keywords=FILE")
        for label, lines in of_set.items():
            where = f"{path}: {label_set.name}/{label}"
            if label not in label_set.ids:
                raise InputError(f"{where}: no such label; the {label_set.name} labels are {', '.join(label_set.ids)}")
            if not isinstance(lines, list):
                raise InputError(f"{where}: expected a list of patterns")
            column = taxonomy.names.index(f"{label_set.name}/{label}")
            rules += [_rule(column, line, f"{where}, line {number}") for number, line in enumerate(lines, start=1)]
    return KeywordFeatures(source, tuple(rules))


def _rule(column: int, line: Any, where: str) -> Rule:
    given = {"match": line} if isinstance(line, str) else line
    if (
        not isinstance(given, dict)
        or not set(given) <= {"match", "weight", "unless"}
        or not isinstance(given.get("match"), str)
        or not isinstance(given.get("unless", ""), str)
        or not isinstance(given.get("weight", 1), (int, float))
    ):
        raise InputError(f"{where}: a pattern is a string, or a mapping with match and any of weight, unless; found {line!r}")
    try:
        unless = re.compile(given["unless"]) if given.get("unless") else None
        return Rule(column, re.compile(given["match"]), float(given.get("weight", 1)), unless)
    except re.error as error:
        raise InputError(f"{where}: not a regular expression: {error}") from None


def fit_keywords(path: Path, taxonomy: Taxonomy, dev: Sequence[Passage]) -> LinearPredictor:
    """Return keyword rules: a label's score is the sum of the weights of its rules that match; calibrated on `dev` only."""
    features = load_rules(path, taxonomy)
    matched = features([passage.text for passage in dev])
    own = np.zeros((len(features.rules), len(taxonomy.names)))
    for number, rule in enumerate(features.rules):
        own[number, rule.column] = rule.weight
    weights, intercepts = [], []
    for label_set in taxonomy.sets:
        rows, targets = _targets(label_set, dev)
        of_set = own[:, taxonomy.columns[label_set.name]]
        # A label without rules, or without positives in dev, stays improbable.
        calibrated, constant = _calibrate(label_set, of_set, np.full(of_set.shape[1], RARE), matched[rows], targets)
        weights.append(calibrated)
        intercepts.append(constant)
    return LinearPredictor(taxonomy, features, np.concatenate(weights, axis=1), np.concatenate(intercepts))


def fit_majority(taxonomy: Taxonomy, train: Sequence[Passage]) -> LinearPredictor:
    """Return the predictor that gives every text the shares of the training labels."""
    intercepts = []
    for label_set in taxonomy.sets:
        shares = _targets(label_set, train)[1].mean(axis=0).clip(1e-6, 1 - 1e-6)
        intercepts.append(np.log(shares / (1 - shares)) if label_set.kind == "multi" else np.log(shares))
    return LinearPredictor(taxonomy, TfidfFeatures({}, np.empty(0)), np.empty((0, len(taxonomy.names))), np.concatenate(intercepts))


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
    features_of = TfidfFeatures(vocabulary, vectorizer.idf_)
    return LinearPredictor(taxonomy, features_of, np.concatenate(weights, axis=1), np.concatenate(intercepts))


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
    weights, intercepts = np.zeros((features.shape[1], count)), np.full(count, RARE)
    for k in range(count):
        if 0 < targets[:, k].sum() < len(targets):
            machine = LinearSVC(C=strength, class_weight="balanced", random_state=0).fit(features, targets[:, k])
            weights[:, k], intercepts[k] = machine.coef_[0], machine.intercept_[0]
    weights, intercepts = _calibrate(label_set, weights, intercepts, dev_features, dev_targets)
    probabilities = label_set.activate(np.asarray(dev_features @ weights) + intercepts).clip(1e-9, 1 - 1e-9)
    of_gold = dev_targets * np.log(probabilities)
    rest = (1 - dev_targets) * np.log(1 - probabilities) if label_set.kind == "multi" else 0.0
    return float(-(of_gold + rest).sum() / len(dev_targets)), weights, intercepts


def _calibrate(
    label_set: LabelSet, weights: np.ndarray, intercepts: np.ndarray, dev_features: csr_matrix, dev_targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights `(features, labels)` and intercepts `(labels,)` whose scores are log-odds, fitted on dev.

    Platt's sigmoid for each label of a multi-label set; for a single-label set a multinomial logistic regression over
    the labels' scores, where dev shows every label.
    """
    weights, intercepts = weights.copy(), intercepts.copy()
    count = dev_targets.shape[1]
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
    return weights, intercepts
