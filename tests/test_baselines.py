"""Baselines: runs like any other, agreeing with scikit-learn's own route; no pickle."""

import json
from pathlib import Path

import numpy as np
import pytest

from conftest import gikai
from gikai.baseline import fit_baseline
from gikai.baselines import load_linear
from gikai.config import Baseline, Evaluate
from gikai.dataset import load_labelled
from gikai.evaluate import evaluate
from gikai.labels import Taxonomy, load_taxonomy
from gikai.predictor import load_predictor


@pytest.fixture(scope="module")
def taxonomy(root: Path) -> Taxonomy:
    return load_taxonomy(root / "data/taxonomy")


def fitted(name: str, folder: Path, labelled: Path, root: Path) -> Path:
    return fit_baseline(
        Baseline(
            name=name,
            run=str(folder),
            train=str(labelled / "train.jsonl"),
            dev=str(labelled / "dev.jsonl"),
            taxonomy=str(root / "data/taxonomy"),
        )
    )


def test_tfidf_learns_and_reloads_to_the_same_scores(labelled: Path, root: Path, tmp_path: Path) -> None:
    run = fitted("tfidf", tmp_path / "tfidf", labelled, root)
    metrics = json.loads((run / "dev/metrics.json").read_text(encoding="utf-8"))
    assert metrics["role"]["accuracy"] > 0.9
    assert metrics["initiative"]["map"] > 0.95
    evaluate(Evaluate(run=str(run), data=str(labelled / "dev.jsonl"), output=str(tmp_path / "again")))
    assert json.loads((tmp_path / "again/metrics.json").read_text(encoding="utf-8")) == metrics
    assert not [path for path in run.rglob("*") if path.suffix in (".pkl", ".pickle", ".joblib", ".npy")]


def test_features_agree_with_scikit_learn(labelled: Path, root: Path, tmp_path: Path, taxonomy: Taxonomy) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    run = fitted("tfidf", tmp_path / "tfidf", labelled, root)
    texts = [passage.text for passage in load_labelled(labelled / "train.jsonl", taxonomy)]
    stock = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), sublinear_tf=True, lowercase=False, min_df=2).fit(texts)
    ours = load_linear(run / "model", taxonomy).features(texts[:20])
    assert np.abs(ours.toarray() - stock.transform(texts[:20]).toarray()).max() < 1e-6


def test_majority_gives_the_shares_of_train(labelled: Path, root: Path, tmp_path: Path, taxonomy: Taxonomy) -> None:
    predictor = load_predictor(fitted("majority", tmp_path / "majority", labelled, root))
    passages = load_labelled(labelled / "train.jsonl", taxonomy)
    probabilities = predictor.probabilities(["何でもよい文。", "別の文。"])
    shares = np.mean([taxonomy.encode(passage.gold) for passage in passages], axis=0)
    assert np.allclose(probabilities, np.stack([shares, shares]), atol=1e-4)


def test_a_baseline_predicts_like_any_run(labelled: Path, root: Path, tmp_path: Path) -> None:
    run = fitted("majority", tmp_path / "majority", labelled, root)
    said = gikai("predict", f"run={run}", f"input={root / 'data/samples'}", f"output={tmp_path / 'out'}")
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("3 documents: 3 done")
    assert gikai("baseline", "name=svm").stderr.startswith("error: name is 'svm'")
