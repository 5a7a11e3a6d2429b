"""Score a run on labelled passages: predictions, metrics, slices, attributions of errors, and a report.

python scripts/evaluate.py run=DIR [data=FILE] [output=DIR] [baselines=[DIR,…]] [words=60]
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gikai import runs
from gikai.attributions import occlusion
from gikai.calibration import abstain, fit_temperature, reliability
from gikai.config import SHIPPED, Evaluate
from gikai.dataset import load_labelled
from gikai.labels import LabelSet, Taxonomy
from gikai.metrics import cluster_names, fit_thresholds, headline, interval, resample, score
from gikai.predictor import Predictor, load_predictor
from gikai.records import Passage
from gikai.report import summary, write_report
from gikai.slices import CHANGES, LEAST, members
from gikai.text import normalise

SLICED = ("macro_f1", "map", "accuracy")
"""Scores of a slice, of those that its label set has."""


@dataclass(frozen=True)
class Fitted:
    """What a run fitted on dev: thresholds by multi-label set and label, temperatures by label set."""

    thresholds: dict[str, dict[str, float]]
    temperatures: dict[str, float] = field(default_factory=dict)

    def cuts(self, label_set: LabelSet) -> list[float]:
        """Return one threshold a label, in the order of columns; 0.5 where none was fitted."""
        return [self.thresholds.get(label_set.name, {}).get(label_id, 0.5) for label_id in label_set.ids]


def evaluate(config: Evaluate) -> Path:
    """Score `config.run` on `config.data`, print the scores and return the folder of the results.

    The shipped holdout goes to `<run>/holdout/`, other data to `<run>/eval/<file stem>/`, unless `output` says where.
    """
    output = Path(config.output) if config.output else result_folder(Path(config.run), Path(config.data))
    print(summary(evaluate_run(Path(config.run), Path(config.data), output, config.words, [Path(run) for run in config.baselines])))
    return output


def evaluate_run(folder: Path, data: Path, output: Path, words: int, baselines: Sequence[Path] = ()) -> dict[str, Any]:
    """Write the whole evaluation of the run in `folder` on `data` to `output` and return the metrics; evaluation.json last."""
    started = time.time()
    run = runs.open_run(folder)
    predictor = load_predictor(run)
    passages = load_labelled(data, predictor.taxonomy)
    metrics = evaluate_predictor(
        predictor,
        load_fitted(run),
        passages,
        output,
        f"{run.name} on {data.name}",
        parts=True,
        words=words,
        compared=[compared(other, predictor.taxonomy, passages) for other in baselines],
    )
    runs.write_json(
        output / "evaluation.json",
        {
            "run": str(run),
            "model": runs.fingerprint(runs.model_files(run)),
            "data": {"file": str(data), "sha256": runs.sha256(data), "passages": len(passages)},
            "seconds": round(time.time() - started, 1),
            **runs.provenance(),
        },
    )
    return metrics


def result_folder(run: Path, data: Path) -> Path:
    """Return where the evaluation of `run` on `data` lies unless somebody says otherwise."""
    shipped = data.resolve() == Path(f"{SHIPPED}/holdout.jsonl").resolve()
    return run / "holdout" if shipped else run / "eval" / data.stem


def load_fitted(run: Path) -> Fitted:
    """Return what `run` fitted on dev; no temperatures for a run that was made before there were any."""
    thresholds = json.loads((run / "thresholds.json").read_text(encoding="utf-8"))
    calibration = run / "calibration.json"
    content = json.loads(calibration.read_text(encoding="utf-8")) if calibration.exists() else {}
    return Fitted(thresholds, {name: of_set["temperature"] for name, of_set in content.items()})


def fit_on_dev(run: Path, predictor: Predictor, dev: Sequence[Passage], title: str) -> dict[str, Any]:
    """Fit thresholds and temperatures on `dev`, write them and `dev/` into the run folder, and return the dev metrics."""
    probabilities = predictor.probabilities([passage.text for passage in dev])
    thresholds, temperatures = {}, {}
    for label_set in predictor.taxonomy.sets:
        gold = [passage.gold.get(label_set.name) for passage in dev]
        of_set = probabilities[:, predictor.taxonomy.columns[label_set.name]]
        temperatures[label_set.name] = fit_temperature(label_set, gold, of_set)
        if label_set.kind == "multi":
            thresholds[label_set.name] = dict(zip(label_set.ids, fit_thresholds(label_set, gold, of_set), strict=True))
    runs.write_json(run / "thresholds.json", thresholds)
    runs.write_json(run / "calibration.json", {name: {"temperature": value} for name, value in temperatures.items()})
    return evaluate_predictor(predictor, Fitted(thresholds, temperatures), dev, run / "dev", title)


def evaluate_predictor(
    predictor: Predictor,
    fitted: Fitted,
    passages: Sequence[Passage],
    output: Path,
    title: str,
    parts: bool = False,
    words: int = 0,
    compared: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Write an evaluation to `output` and return the metrics: predictions.jsonl, metrics.json and report.html.

    `parts` adds slices.json, `words` attributions.json for so many errors, `compared` the scores of other runs on the
    same passages.
    """
    taxonomy = predictor.taxonomy
    probabilities = predictor.probabilities([passage.text for passage in passages])
    metrics, rows = measure(taxonomy, probabilities, fitted, passages)
    slices = [
        *(slice_scores(taxonomy, probabilities, fitted, passages) if parts else ()),
        *(changed_scores(predictor, probabilities, fitted, passages) if parts else ()),
    ]
    attributions = explain(predictor, rows, passages, words) if words else {}
    if compared:
        metrics["compared"] = list(compared)
    runs.write_jsonl(output / "predictions.jsonl", rows)
    runs.write_json(output / "metrics.json", metrics)
    if parts:
        runs.write_json(output / "slices.json", slices)
        runs.write_json(output / "attributions.json", attributions)
    write_report(output / "report.html", title, taxonomy, metrics, passages, rows, slices, attributions)
    return metrics


def measure(
    taxonomy: Taxonomy, probabilities: np.ndarray, fitted: Fitted, passages: Sequence[Passage]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return (what metrics.json holds, the rows of predictions.jsonl) for `probabilities` `(n, all labels)`.

    Scores are of the probabilities as they are written, six digits, so that the rows alone give the same scores again.
    """
    probabilities = np.round(probabilities, 6)
    clusters, unit = cluster_names(passages)
    rows: list[dict[str, Any]] = [{"id": passage.id} for passage in passages]
    metrics: dict[str, Any] = {"n": len(passages), "cluster": unit}
    for label_set in taxonomy.sets:
        gold = [passage.gold.get(label_set.name) for passage in passages]
        of_set = probabilities[:, taxonomy.columns[label_set.name]]
        cuts = fitted.cuts(label_set)
        predicted = label_set.decode(label_set.choose(of_set, cuts))
        for row, value, scores, choice in zip(rows, gold, of_set, predicted, strict=True):
            row[label_set.name] = {"gold": value, "probabilities": [float(p) for p in scores], "predicted": choice}
        if all(value is None for value in gold):
            continue
        of_gold = metrics[label_set.name] = score(label_set, gold, of_set, cuts, clusters)
        of_gold["calibration"] = {"before": reliability(label_set, gold, of_set)}
        if label_set.name in fitted.temperatures:
            temperature = fitted.temperatures[label_set.name]
            after = reliability(label_set, gold, label_set.temper(of_set, temperature))
            of_gold["calibration"] |= {"after": after, "temperature": temperature}
        of_gold["abstain"] = abstain(label_set, gold, of_set, cuts)
    return metrics, rows


def compared(run: Path, taxonomy: Taxonomy, passages: Sequence[Passage]) -> dict[str, Any]:
    """Return the headline scores of another run on the same passages, for the label sets that both runs know."""
    predictor = load_predictor(runs.open_run(run))
    metrics, _ = measure(predictor.taxonomy, predictor.probabilities([p.text for p in passages]), load_fitted(run), passages)
    of_run: dict[str, Any] = {"run": str(run)}
    for label_set in taxonomy.sets:
        if label_set.name in metrics and any(label_set.same(other) for other in predictor.taxonomy.sets):
            scores = metrics[label_set.name]
            of_run[label_set.name] = {"n": scores["n"], **{name: scores[name] for name in scores["ci"]}, "ci": scores["ci"]}
    return of_run


def slice_scores(taxonomy: Taxonomy, probabilities: np.ndarray, fitted: Fitted, passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """Return the scores of every slice of `passages`: rows of slices.json. Macro-F1 is over the labels that occur there."""
    found = []
    for name, value, rows in members(passages):
        inside = [passages[row] for row in rows]
        of_slice: dict[str, Any] = {"slice": name, "value": value, "n": len(rows)}
        for label_set_name, (known, once, replicates) in _part(taxonomy, probabilities[rows], fitted, inside).items():
            of_slice[label_set_name] = {"n": known, **once, "ci": _intervals(replicates, once)}
        found.append(of_slice)
    return found


def changed_scores(predictor: Predictor, probabilities: np.ndarray, fitted: Fitted, passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """Return the scores of passages whose text was changed, and the change against the same passages unchanged.

    Only passages that a change touches are counted; those that are the same again once normalised keep their scores.
    """
    found = []
    for name, change in CHANGES.items():
        raw = {row: text for row, passage in enumerate(passages) if (text := change(passage)) != passage.text}
        if len(raw) < LEAST:
            continue
        texts = {row: normalise(text) for row, text in raw.items()}
        again = [row for row, text in texts.items() if text and text != passages[row].text]
        after = probabilities.copy()
        if again:
            after[again] = predictor.probabilities([texts[row] for row in again])
        rows = list(raw)
        inside = [passages[row] for row in rows]
        of_change: dict[str, Any] = {"slice": "text changed", "value": name, "n": len(rows)}
        before = _part(predictor.taxonomy, probabilities[rows], fitted, inside)
        for label_set_name, (known, once, replicates) in _part(predictor.taxonomy, after[rows], fitted, inside).items():
            _, once_before, replicates_before = before[label_set_name]
            difference = {key: once[key] - once_before[key] for key in once}
            paired = {key: replicates[key] - replicates_before[key] for key in once}
            of_change[label_set_name] = {
                "n": known,
                **once,
                "ci": _intervals(replicates, once),
                "change": {**difference, "ci": _intervals(paired, difference)},
            }
        found.append(of_change)
    return found


def _intervals(replicates: dict[str, np.ndarray], once: dict[str, float]) -> dict[str, list[float]]:
    return {key: interval(replicates[key], value) for key, value in once.items()}


def _part(
    taxonomy: Taxonomy, probabilities: np.ndarray, fitted: Fitted, passages: Sequence[Passage]
) -> dict[str, tuple[int, dict[str, float], dict[str, np.ndarray]]]:
    """Return (passages with gold, scores, their replicates) by label set; the same passages draw the same replicates."""
    clusters = np.asarray(cluster_names(passages)[0])
    result = {}
    for label_set in taxonomy.sets:
        gold = [passage.gold.get(label_set.name) for passage in passages]
        rows, truth, kept = label_set.known(gold, np.round(probabilities[:, taxonomy.columns[label_set.name]], 6))
        if not truth.any():
            continue
        chosen = label_set.choose(kept, fitted.cuts(label_set))
        weights = np.concatenate([np.ones((1, len(rows))), resample(clusters[rows], seed=0)])
        scores = headline(label_set, truth, chosen, kept, weights, occurring=True)
        kept_scores = {key: values for key, values in scores.items() if key in SLICED}
        once = {key: float(values[0]) for key, values in kept_scores.items()}
        result[label_set.name] = len(rows), once, {key: values[1:] for key, values in kept_scores.items()}
    return result


def explain(
    predictor: Predictor, rows: Sequence[dict[str, Any]], passages: Sequence[Passage], count: int
) -> dict[str, dict[str, list[list[Any]]]]:
    """Return for the first `count` passages with a wrong label which words made the labels that are missed or invented.

    The form of attributions.json: passage id → "label set/label" → [start, end, fall of the label's log-odds without it].
    """
    names = predictor.taxonomy.names
    chosen: list[int] = []
    columns: list[list[int]] = []
    for number, row in enumerate(rows):
        wrong: list[int] = []
        for label_set in predictor.taxonomy.sets:
            of_set = row[label_set.name]
            if of_set["gold"] is not None:
                differs = (label_set.encode(of_set["gold"]) > 0.5) != (label_set.encode(of_set["predicted"]) > 0.5)
                wrong += [int(k) + predictor.taxonomy.columns[label_set.name].start for k in np.flatnonzero(differs)]
        if wrong and len(chosen) < count:
            chosen.append(number)
            columns.append(wrong)
    if not chosen:
        return {}
    found = occlusion([passages[number].text for number in chosen], columns, predictor.probabilities)
    return {
        passages[number].id: {names[column]: spans for column, spans in of_text.items() if spans}
        for number, of_text in zip(chosen, found, strict=True)
    }
