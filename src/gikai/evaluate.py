"""Score a run on labelled passages: predictions.jsonl, metrics.json and report.html.

python scripts/evaluate.py run=DIR [data=FILE] [output=DIR]
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gikai import runs
from gikai.config import SHIPPED, Evaluate
from gikai.dataset import load_labelled
from gikai.metrics import cluster_names, fit_thresholds, score
from gikai.predictor import Predictor, load_predictor
from gikai.records import Passage
from gikai.report import summary, write_report


def evaluate(config: Evaluate) -> Path:
    """Score `config.run` on `config.data` and return the folder of the results.

    The shipped holdout goes to `<run>/holdout/`, other data to `<run>/eval/<file stem>/`, unless `output` says where.
    """
    run = runs.open_run(Path(config.run))
    data = Path(config.data)
    predictor = load_predictor(run)
    passages = load_labelled(data, predictor.taxonomy)
    shipped = data.resolve() == Path(f"{SHIPPED}/holdout.jsonl").resolve()
    output = Path(config.output) if config.output else (run / "holdout" if shipped else run / "eval" / data.stem)
    thresholds = json.loads((run / "thresholds.json").read_text(encoding="utf-8"))
    metrics = evaluate_predictor(predictor, thresholds, passages, output, f"{run.name} on {data.name}")
    print(summary(metrics))
    return output


def evaluate_predictor(
    predictor: Predictor, thresholds: dict[str, dict[str, float]], passages: Sequence[Passage], output: Path, title: str
) -> dict[str, Any]:
    """Write the three files of an evaluation to `output` and return the metrics."""
    taxonomy = predictor.taxonomy
    probabilities = predictor.probabilities([passage.text for passage in passages])
    clusters, unit = cluster_names(
        [passage.id for passage in passages],
        [passage.assembly for passage in passages],
        [(passage.date, passage.meeting) for passage in passages],
    )
    rows: list[dict[str, Any]] = [{"id": passage.id} for passage in passages]
    metrics: dict[str, Any] = {"n": len(passages), "cluster": unit}
    for label_set in taxonomy.sets:
        gold = [passage.gold.get(label_set.name) for passage in passages]
        of_set = probabilities[:, taxonomy.columns[label_set.name]]
        cuts = [thresholds.get(label_set.name, {}).get(label_id, 0.5) for label_id in label_set.ids]
        predicted = label_set.decode(label_set.choose(of_set, cuts))
        for row, value, scores, choice in zip(rows, gold, of_set, predicted, strict=True):
            row[label_set.name] = {"gold": value, "probabilities": [round(float(p), 6) for p in scores], "predicted": choice}
        if any(value is not None for value in gold):
            metrics[label_set.name] = score(label_set, gold, of_set, cuts, clusters)
    runs.write_jsonl(output / "predictions.jsonl", rows)
    runs.write_json(output / "metrics.json", metrics)
    write_report(output / "report.html", title, taxonomy, metrics, passages, rows)
    return metrics


def dev_thresholds(predictor: Predictor, dev: Sequence[Passage]) -> dict[str, dict[str, float]]:
    """Return thresholds by multi-label set and label id, fitted on `dev`; the form of thresholds.json."""
    probabilities = predictor.probabilities([passage.text for passage in dev])
    thresholds = {}
    for label_set in predictor.taxonomy.sets:
        if label_set.kind == "multi":
            gold = [passage.gold.get(label_set.name) for passage in dev]
            fitted = fit_thresholds(label_set, gold, probabilities[:, predictor.taxonomy.columns[label_set.name]])
            thresholds[label_set.name] = dict(zip(label_set.ids, fitted, strict=True))
    return thresholds
