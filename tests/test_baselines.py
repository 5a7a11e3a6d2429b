"""Baselines: runs like any other, agreeing with scikit-learn's own route; no pickle."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from conftest import gikai
from gikai import InputError
from gikai.baseline import fit_baseline
from gikai.baselines import load_linear, load_rules
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


def test_keywords_are_rules_that_a_person_can_read(labelled: Path, root: Path, tmp_path: Path, taxonomy: Taxonomy) -> None:
    """A rule is worth its weight, `unless` takes it back, and the file travels with the run."""
    rules = tmp_path / "rules（案）.yaml"
    rules.write_text(
        "initiative:\n"
        "  online_procedures: ['電子の?申込み', {match: 申込, weight: 0.5, unless: 電子}]\n"
        "  cashless_payment: [{match: 手数料を払う, weight: 2}]\n"
        "  education_dx: [学習端末]\n"
        "role:\n"
        "  chair: [質疑]\n"
        "  member: [伺います]\n"
        "  executive_official: [答弁]\n",
        encoding="utf-8",
    )
    arguments = [f"train={labelled / 'train.jsonl'}", f"dev={labelled / 'dev.jsonl'}", f"keywords={rules}"]
    said = gikai("baseline", "name=keywords", f"run={tmp_path / 'keywords'}", *arguments)
    assert said.returncode == 0, said.stderr
    run = tmp_path / "keywords"
    assert json.loads((run / "run.json").read_text(encoding="utf-8"))["kind"] == "keywords"
    assert (run / "model/keywords.yaml").read_text(encoding="utf-8") == rules.read_text(encoding="utf-8")
    metrics = json.loads((run / "dev/metrics.json").read_text(encoding="utf-8"))
    assert metrics["initiative"]["labels"]["online_procedures"]["f1"] == 1.0
    assert metrics["initiative"]["labels"]["education_dx"]["f1"] == 1.0
    predictor = load_predictor(run)
    column = taxonomy.names.index("initiative/online_procedures")
    electronic, paper, neither = predictor.probabilities(["電子申込みです。", "申込みです。", "道路です。"])[:, column]
    assert electronic > paper > neither
    assert gikai("predict", f"run={run}", f"input={root / 'data/samples'}", f"output={tmp_path / 'out'}").returncode == 0


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        ("initiative: {online_procedures: ['(']}", "initiative/online_procedures, line 1: not a regular expression"),
        ("initiative: {dx: [a]}", "initiative/dx: no such label"),
        ("initiative: {online_procedures: [{macth: a}]}", "a pattern is a string, or a mapping"),
        ("initiative: {online_procedures: [a]}", "no patterns for the label set 'role'"),
        ("- a", "expected a mapping"),
        ("a: [", "not readable as YAML"),
    ],
)
def test_a_wrong_rule_is_named(content: str, wrong: str, tmp_path: Path, taxonomy: Taxonomy) -> None:
    path = tmp_path / "k.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(wrong)):
        load_rules(path, taxonomy)


def test_the_shipped_rules_fit_the_shipped_taxonomy(root: Path, taxonomy: Taxonomy) -> None:
    features = load_rules(root / "data/keywords.yaml", taxonomy)
    assert {rule.column for rule in features.rules} == set(range(len(taxonomy.names)))
