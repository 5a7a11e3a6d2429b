"""How good labels are: passages that look mislabelled, and how far two annotations of the same passages agree.

python scripts/check_labels.py data=FILE [against=FILE] [taxonomy=DIR] [show=20] [output=FILE]
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.multilabel_classification.filter import find_label_issues as find_multi_label_issues
from nltk.metrics.agreement import AnnotationTask
from nltk.metrics.distance import binary_distance, masi_distance
from sklearn.metrics import cohen_kappa_score

from gikai import InputError, runs
from gikai.baselines import fit_tfidf
from gikai.config import CheckLabels
from gikai.dataset import load_labelled
from gikai.labels import LabelSet, Taxonomy, load_taxonomy
from gikai.metrics import cluster_names
from gikai.records import Passage
from gikai.text import quote

log = logging.getLogger(__name__)

FOLDS = 5


def check_labels(config: CheckLabels) -> str:
    """Return, as text for review, the passages of `config.data` that look mislabelled, and agreement with `config.against`.

    With `config.output` all suspects, not only the first `config.show` of each label set, are written as JSON Lines.
    """
    taxonomy = load_taxonomy(Path(config.taxonomy))
    passages = load_labelled(Path(config.data), taxonomy)
    lines: list[str] = []
    if config.against:
        lines += _agreement_lines(taxonomy, passages, load_labelled(Path(config.against), taxonomy), config)
    found = suspects(taxonomy, passages)
    for label_set in taxonomy.sets:
        of_set = [row for row in found if row["label_set"] == label_set.name]
        count = sum(passage.gold.get(label_set.name) is not None for passage in passages)
        lines.append(
            f"{label_set.name}: {len(of_set)} of {count} passages look mislabelled to TF-IDF that has not seen them "
            f"({FOLDS} folds, confident learning){'; the likeliest first' if of_set else ''}"
        )
        for row in of_set[: config.show]:
            odds = ", ".join(f"{item['label']} {item['kind']}? ({item['probability']:.2f})" for item in row["at_odds"])
            gold = row["gold"] if isinstance(row["gold"], str) else "[" + ", ".join(row["gold"]) + "]"
            lines.append(f"  {row['id']}  gold {gold}  {odds}\n    {quote(row['text'], 120)}")
    if config.output:
        runs.write_jsonl(Path(config.output), found)
    return "\n".join(lines)


def suspects(taxonomy: Taxonomy, passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """Return the passages whose labels are likely errors, the likeliest first within each label set.

    Confident learning (Northcutt et al. 2021, Confident Learning: Estimating Uncertainty in Dataset Labels) from
    cross-validated probabilities. `at_odds` names the labels most at odds with the gold: missing, or wrong.
    """
    probabilities = cross_validated(taxonomy, passages)
    found = []
    for label_set in taxonomy.sets:
        gold = [passage.gold.get(label_set.name) for passage in passages]
        rows, truth, of_set = label_set.known(gold, probabilities[:, taxonomy.columns[label_set.name]])
        for index in _issues(label_set, truth, of_set):
            passage = passages[rows[index]]
            found.append(
                {
                    "id": passage.id,
                    "label_set": label_set.name,
                    "gold": passage.gold[label_set.name],
                    "at_odds": _at_odds(label_set, truth[index], of_set[index]),
                    "probabilities": [round(float(p), 6) for p in of_set[index]],
                    "text": passage.text,
                }
            )
    return found


def _issues(label_set: LabelSet, truth: np.ndarray, probabilities: np.ndarray) -> list[int]:
    """Return row numbers of likely label errors, the likeliest first; labels that never or always occur cannot be judged."""
    judged = truth.any(axis=0) & ~truth.all(axis=0)
    if not judged.any():
        return []
    truth, probabilities = truth[:, judged], probabilities[:, judged]
    if label_set.kind == "multi":
        labels = [np.flatnonzero(row).tolist() for row in truth]
        indices = find_multi_label_issues(labels, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    else:
        shares = probabilities / probabilities.sum(axis=1, keepdims=True)
        indices = find_label_issues(truth.argmax(axis=1), shares, return_indices_ranked_by="self_confidence", n_jobs=1)
    return [int(index) for index in indices]


def _at_odds(label_set: LabelSet, truth: np.ndarray, probabilities: np.ndarray) -> list[dict[str, Any]]:
    """Return the labels on whose side the model is not: those past one half, or else the one nearest to it."""
    distance = np.where(truth, 1 - probabilities, probabilities)
    order = np.argsort(-distance, kind="stable")
    chosen = [k for k in order if distance[k] > 0.5] or [order[0]]
    return [
        {"label": label_set.ids[k], "kind": "wrong" if truth[k] else "missing", "probability": round(float(probabilities[k]), 4)}
        for k in chosen
    ]


def cross_validated(taxonomy: Taxonomy, passages: Sequence[Passage]) -> np.ndarray:
    """Return `(n, all labels)` probabilities of TF-IDF that saw neither the passage nor its assembly (or meeting).

    In each of FOLDS turns one part is scored, the next calibrates, the rest trains.
    """
    clusters, unit = cluster_names(passages)
    names = np.unique(clusters)
    if len(names) < FOLDS:
        raise InputError(f"{len(names)} passages to cross-validate with; at least {FOLDS} are needed")
    part_of = dict(zip(np.random.default_rng(0).permutation(names).tolist(), np.arange(len(names)) % FOLDS, strict=True))
    parts = np.array([part_of[name] for name in clusters])
    probabilities = np.empty((len(passages), len(taxonomy.names)))
    for fold in range(FOLDS):
        log.info("part %d of %d, by %s", fold + 1, FOLDS, unit)
        held, calibrating = parts == fold, parts == (fold + 1) % FOLDS
        train = [passage for passage, skip in zip(passages, held | calibrating, strict=True) if not skip]
        dev = [passage for passage, chosen in zip(passages, calibrating, strict=True) if chosen]
        predictor = fit_tfidf(taxonomy, train, dev)
        probabilities[held] = predictor.probabilities([passage.text for passage, chosen in zip(passages, held, strict=True) if chosen])
    return probabilities


def agreement(label_set: LabelSet, first: Sequence[Any], second: Sequence[Any]) -> dict[str, Any]:
    """Return how far two annotations of the same passages agree: `n`, `same`, `alpha`, and Cohen's kappa by label.

    `alpha` is Krippendorff's, with MASI distance (Passonneau 2006) where several labels may apply. Kappa is None for a
    label that neither annotation gives, or that both give always. Pairs with a None are left out.
    """
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    truth = [np.array([label_set.encode(pair[side]) for pair in pairs]).reshape(len(pairs), len(label_set.labels)) > 0.5 for side in (0, 1)]
    kappa: dict[str, float | None] = {}
    for k, label_id in enumerate(label_set.ids):
        a, b = truth[0][:, k], truth[1][:, k]
        constant = len(pairs) == 0 or ((a == a[0]).all() and (b == a[0]).all())
        kappa[label_id] = None if constant else float(cohen_kappa_score(a, b))
    # MASI of two empty sets is undefined; "none applies" is a value of its own.
    values = [(f"{side}", str(row), frozenset(_as_set(pair[side]) or {""})) for row, pair in enumerate(pairs) for side in (0, 1)]
    distance = masi_distance if label_set.kind == "multi" else binary_distance
    return {
        "n": len(pairs),
        "same": float((truth[0] == truth[1]).all(axis=1).mean()) if pairs else None,
        "alpha": float(AnnotationTask(data=values, distance=distance).alpha()) if pairs else None,
        "kappa": kappa,
    }


def _as_set(value: list[str] | str) -> set[str]:
    return {value} if isinstance(value, str) else set(value)


def _agreement_lines(taxonomy: Taxonomy, first: Sequence[Passage], second: Sequence[Passage], config: CheckLabels) -> list[str]:
    theirs = {passage.id: passage for passage in second}
    shared = [passage for passage in first if passage.id in theirs]
    if not shared:
        raise InputError(f"{config.data} and {config.against} have no id in common; agreement needs the same passages")
    different = [passage.id for passage in shared if passage.text != theirs[passage.id].text]
    if different:
        raise InputError(f"{config.against}: passage {different[0]!r} has another text than in {config.data}")
    lines = [f"{len(shared)} passages are in both files; {len(first) - len(shared)} and {len(second) - len(shared)} in one alone"]
    for label_set in taxonomy.sets:
        gold = [[passage.gold.get(label_set.name) for passage in side] for side in (shared, [theirs[passage.id] for passage in shared])]
        found = agreement(label_set, *gold)
        if not found["n"]:
            continue
        kappas = {label: value for label, value in found["kappa"].items() if value is not None}
        kind = "MASI" if label_set.kind == "multi" else "nominal"
        lines.append(f"{label_set.name} ({found['n']}): alpha ({kind}) {found['alpha']:.3f}, exactly the same {found['same']:.3f}")
        lines += [f"  {label:<24} kappa {value:.3f}" for label, value in kappas.items()]
        missing = [label for label in label_set.ids if label not in kappas]
        if missing:
            lines.append(f"  in neither file, or everywhere: {', '.join(missing)}")
    return lines
