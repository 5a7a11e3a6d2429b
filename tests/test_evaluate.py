"""Evaluation through its script: every file, every number again from the rows, slices, attributions, other runs beside it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from conftest import gikai, labelled_rows, write_rows
from gikai.baseline import fit_baseline
from gikai.config import Baseline, Evaluate
from gikai.dataset import load_labelled
from gikai.evaluate import evaluate
from gikai.labels import load_taxonomy

FILES = ["attributions.json", "evaluation.json", "metrics.json", "predictions.jsonl", "report.html", "slices.json"]


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def baseline(name: str, run: Path, train: Path, dev: Path, taxonomy: Path) -> Path:
    return fit_baseline(Baseline(name=name, run=str(run), train=str(train), dev=str(dev), taxonomy=str(taxonomy)))


@pytest.fixture(scope="module")
def majority(tmp_path_factory: pytest.TempPathFactory, labelled: Path, root: Path) -> Path:
    folder = tmp_path_factory.mktemp("majority") / "run"
    return baseline("majority", folder, labelled / "train.jsonl", labelled / "dev.jsonl", root / "data/taxonomy")


@pytest.fixture(scope="module")
def evaluated(run: Path, majority: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The tiny BERT evaluated by the script on 60 passages of half a dozen meetings; (data, results)."""
    folder = tmp_path_factory.mktemp("evaluated")
    rows = [row | {"date": f"202{k % 2}-06-01", "meeting": ("総務委員会", "定例会")[k % 2]} for k, row in enumerate(labelled_rows(60, 700))]
    data = write_rows(folder / "mine.jsonl", rows)
    said = gikai("evaluate", f"run={run}", f"data={data}", f"output={folder / 'out'}", f"baselines=[{majority}]", "words=8")
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines()[-1] == str(folder / "out")
    return data, folder / "out"


def test_every_file_is_written_and_says_what_of(evaluated: tuple[Path, Path], run: Path) -> None:
    _, out = evaluated
    assert sorted(path.name for path in out.iterdir()) == FILES
    record = read(out / "evaluation.json")
    assert record["data"]["passages"] == 60
    assert record["run"] == str(run)


def test_the_scores_come_out_of_the_rows_again(evaluated: tuple[Path, Path], root: Path) -> None:
    """By scikit-learn, from predictions.jsonl alone."""
    _, out = evaluated
    rows = [json.loads(line) for line in (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    metrics = read(out / "metrics.json")
    taxonomy = load_taxonomy(root / "data/taxonomy")
    initiative = taxonomy.sets[0]
    truth, chosen = (np.array([initiative.encode(row["initiative"][key]) for row in rows]) for key in ("gold", "predicted"))
    probabilities = np.array([row["initiative"]["probabilities"] for row in rows])
    occurring = truth.any(axis=0)
    scores = metrics["initiative"]
    assert scores["macro_f1"] == pytest.approx(f1_score(truth, chosen, average="macro", zero_division=0))
    assert scores["map"] == pytest.approx(average_precision_score(truth[:, occurring], probabilities[:, occurring], average="macro"))
    assert scores["empty_f1"] == pytest.approx(f1_score(~truth.any(axis=1), ~chosen.any(axis=1)))
    for key in ("gold", "predicted"):
        assert all(row["role"][key] in taxonomy.sets[1].ids for row in rows)
    assert np.trace(metrics["role"]["confusion"]) / 60 == pytest.approx(metrics["role"]["accuracy"])
    assert {"before", "after", "temperature"} == set(metrics["role"]["calibration"])
    assert metrics["initiative"]["abstain"]["curve"][-1]["precision"] == pytest.approx(scores["exact_match"])


def test_other_runs_stand_beside_it(evaluated: tuple[Path, Path], majority: Path, tmp_path: Path) -> None:
    data, out = evaluated
    beside = read(out / "metrics.json")["compared"]
    assert [other["run"] for other in beside] == [str(majority)]
    alone = read(evaluate(Evaluate(run=str(majority), data=str(data), output=str(tmp_path), words=0)) / "metrics.json")
    for name in ("initiative", "role"):
        assert beside[0][name]["macro_f1"] == alone[name]["macro_f1"]
        assert beside[0][name]["ci"] == alone[name]["ci"]


def test_slices_and_changed_texts(evaluated: tuple[Path, Path]) -> None:
    _, out = evaluated
    slices = read(out / "slices.json")
    found = {(row["slice"], row["value"]): row for row in slices}
    assert found["meeting", "committee"]["n"] == found["year", "2020"]["n"] == 30
    assert found["assembly", "市"]["n"] == 60
    low, high = found["assembly", "市"]["role"]["ci"]["accuracy"]
    assert low <= found["assembly", "市"]["role"]["accuracy"] <= high
    metrics = read(out / "metrics.json")
    assert found["assembly", "市"]["role"]["accuracy"] == metrics["role"]["accuracy"]
    assert found["assembly", "市"]["initiative"]["map"] == metrics["initiative"]["map"]
    assert set(found["text changed", "half-width"]["role"]["change"]) == {"macro_f1", "accuracy", "ci"}
    assert found["text changed", "full-width"]["initiative"]["change"]["map"] == 0
    assert found["text changed", "without punctuation"]["n"] == 60


def test_attributions_point_into_the_texts_of_errors(evaluated: tuple[Path, Path], root: Path) -> None:
    data, out = evaluated
    texts = {passage.id: passage.text for passage in load_labelled(data, load_taxonomy(root / "data/taxonomy"))}
    rows = {row["id"]: row for row in map(json.loads, (out / "predictions.jsonl").read_text(encoding="utf-8").splitlines())}
    attributions = read(out / "attributions.json")
    assert 0 < len(attributions) <= 8
    for name, of_labels in attributions.items():
        for label, spans in of_labels.items():
            label_set, label_id = label.split("/")
            row = rows[name][label_set]
            assert (label_id in row["gold"]) != (label_id in row["predicted"]) or label_set == "role"
            assert all(0 <= start < end <= len(texts[name]) for start, end, _ in spans)


def test_a_taxonomy_of_ones_own_goes_all_the_way(tmp_path: Path) -> None:
    """One multi set of three labels: fit, evaluate with another run beside it, compare, check labels."""
    taxonomy = tmp_path / "taxonomy"
    taxonomy.mkdir()
    (taxonomy / "topic.yaml").write_text(
        "field: topics\nkind: multi\nlabels:\n  - {id: 保育}\n  - {id: 支払}\n  - {id: 端末}\n", encoding="utf-8"
    )
    names = {"online_procedures": "保育", "cashless_payment": "支払", "education_dx": "端末"}

    def rows(count: int, start: int) -> list[dict[str, object]]:
        return [
            {"id": row["id"], "text": row["text"], "topics": [names[label] for label in row["initiatives"]]}  # type: ignore[attr-defined]
            for row in labelled_rows(count, start)
        ]

    train, dev, held = (
        write_rows(tmp_path / f"{n}.jsonl", rows(c, s)) for n, c, s in (("train", 60, 0), ("dev", 30, 100), ("held", 40, 200))
    )
    rules = tmp_path / "rules.yaml"
    rules.write_text("topic: {保育: [保育], 支払: [手数料], 端末: [学習端末]}\n", encoding="utf-8")
    for name in ("tfidf", "keywords"):
        fit_baseline(
            Baseline(name=name, run=str(tmp_path / name), train=str(train), dev=str(dev), taxonomy=str(taxonomy), keywords=str(rules))
        )
    runs = [str(tmp_path / "tfidf"), str(tmp_path / "keywords")]
    said = gikai("evaluate", f"run={runs[0]}", f"data={held}", f"baselines={runs[1]}")
    assert said.returncode == 0, said.stderr
    metrics = read(tmp_path / "tfidf/eval/held/metrics.json")
    assert metrics["cluster"] == "assembly"
    assert metrics["topic"]["clusters"] == 40
    assert metrics["compared"][0]["topic"]["macro_f1"] == 1.0
    said = gikai("compare", f"runs=[{','.join(runs)}]", f"data={held}")
    assert said.returncode == 0, said.stderr
    assert "held (40): topic macro-F1" in said.stdout
