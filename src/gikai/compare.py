"""Several runs on the same passages: one table, and which differences are real.

python scripts/compare.py runs=[A,B,…] [data=FILE] [write=README.md] [output=FILE] [fresh=true]
"""

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gikai import InputError, runs
from gikai.config import Compare
from gikai.dataset import load_labelled
from gikai.evaluate import evaluate_run, result_folder
from gikai.labels import LabelSet, load_taxonomy
from gikai.metrics import cluster_names, headline, holm, interval, p_value, resample
from gikai.report import HEADLINES

log = logging.getLogger(__name__)

SCORES = ("macro_f1", "map")
"""Scores that are compared, of those that a label set has."""
REPLICATES = 2000
LEVEL = 0.05
START, END = "<!-- results -->", "<!-- /results -->"


@dataclass
class Difference:
    """One run against the first in one score. `p` is corrected for all differences of the comparison."""

    data: str
    run: str
    first: str
    label_set: str
    score: str
    difference: float
    ci: list[float]
    p: float

    @property
    def real(self) -> bool:
        """Whether chance is an unlikely explanation."""
        return self.p < LEVEL


def compare(config: Compare) -> str:
    """Return the comparison as text: a Markdown table of all runs, then every later run's differences from the first.

    Differences are paired: every bootstrap replicate draws the same clusters for both runs. A run that was evaluated on
    this very file is not evaluated again. With `config.write` the table replaces what stands between the two markers of
    that file; with `config.output` everything is written as JSON.
    """
    run_folders = [runs.open_run(Path(run)) for run in config.runs]
    _check_fresh(run_folders, config.fresh)
    before, after = _around_markers(Path(config.write)) if config.write else ("", "")
    results = [Results(run_folders, Path(data)) for data in config.data]
    differences = [difference for result in results for difference in result.differences()]
    for difference, corrected in zip(differences, holm([difference.p for difference in differences]), strict=True):
        difference.p = corrected
    table = _table(results, run_folders, differences)
    if config.write:
        runs.write_text(Path(config.write), f"{before}{START}\n{table}\n{END}{after}")
    if config.output:
        scores = [{"data": str(result.data), "run": str(run), **result.scores(run)} for result in results for run in run_folders]
        runs.write_json(Path(config.output), {"scores": scores, "differences": [{**asdict(d), "real": d.real} for d in differences]})
    return "\n".join([table, "", *_lines(differences, results)])


class Results:
    """What all runs said and scored on one labelled file; evaluates those that have not been, or not on these bytes."""

    def __init__(self, run_folders: Sequence[Path], data: Path) -> None:
        self.data, self.run_folders = data, run_folders
        self.sets = {run: load_taxonomy(run / "taxonomy").sets for run in run_folders}
        self.shared = [label_set for label_set in self.sets[run_folders[0]] if any(self._has(run, label_set) for run in run_folders[1:])]
        if not self.shared:
            raise InputError(f"{run_folders[0]} and the other runs have no label set in common; there is nothing to compare")
        folders = {run: _evaluated(run, data) for run in run_folders}
        self.rows = {run: _read_rows(folder / "predictions.jsonl") for run, folder in folders.items()}
        self.metrics = {run: json.loads((folder / "metrics.json").read_text(encoding="utf-8")) for run, folder in folders.items()}
        self.clusters, self.unit = cluster_names(load_labelled(data, load_taxonomy(run_folders[0] / "taxonomy")))
        self.n = len(self.clusters)

    def _has(self, run: Path, label_set: LabelSet) -> bool:
        return any(label_set.same(other) for other in self.sets[run])

    def scores(self, run: Path) -> dict[str, Any]:
        """Return the headline scores and intervals of `run` by label set, for those that are compared."""
        return {
            label_set.name: {"n": of_set["n"], **{key: of_set[key] for key in of_set["ci"]}, "ci": of_set["ci"]}
            for label_set in self.shared
            if self._has(run, label_set) and (of_set := self.metrics[run].get(label_set.name))
        }

    def columns(self) -> list[tuple[LabelSet, str]]:
        """Return (label set, score) of every column of the table."""
        first = self.metrics[self.run_folders[0]]
        return [(label_set, key) for label_set in self.shared for key in SCORES if key in first.get(label_set.name, {})]

    def differences(self) -> list[Difference]:
        """Return every later run's differences from the first; p-values not corrected yet."""
        found = []
        first = self.run_folders[0]
        for label_set in dict.fromkeys(label_set for label_set, _ in self.columns()):
            gold = [row[label_set.name]["gold"] for row in self.rows[first]]
            known = [index for index, value in enumerate(gold) if value is not None]
            weights = np.concatenate([np.ones((1, len(known))), resample(np.asarray(self.clusters)[known], 0, REPLICATES)])
            base = self._replicates(first, label_set, known, weights)
            for run in self.run_folders[1:]:
                if not self._has(run, label_set):
                    continue
                values = self._replicates(run, label_set, known, weights)
                for score in (key for of_set, key in self.columns() if of_set == label_set):
                    paired = values[score] - base[score]
                    ci = interval(paired[1:], float(paired[0]))
                    found.append(
                        Difference(str(self.data), str(run), str(first), label_set.name, score, float(paired[0]), ci, p_value(paired[1:]))
                    )
        return found

    def _replicates(self, run: Path, label_set: LabelSet, known: Sequence[int], weights: np.ndarray) -> dict[str, np.ndarray]:
        rows = [self.rows[run][index][label_set.name] for index in known]
        truth, chosen = (np.array([label_set.encode(row[key]) for row in rows]) > 0.5 for key in ("gold", "predicted"))
        return headline(label_set, truth, chosen, np.array([row["probabilities"] for row in rows]), weights)


def _evaluated(run: Path, data: Path) -> Path:
    """Return the folder of `run`'s evaluation on the bytes of `data`; evaluates where there is none by this model."""
    folder = result_folder(run, data)
    record = folder / "evaluation.json"
    if record.exists():
        content = json.loads(record.read_text(encoding="utf-8"))
        same = content["data"]["sha256"] == runs.sha256(data) and content["model"] == runs.fingerprint(runs.model_files(run))
        if same and (folder / "predictions.jsonl").exists() and (folder / "metrics.json").exists():
            return folder
    log.info("evaluating %s on %s", run, data)
    evaluate_run(run, data, folder, words=0)
    return folder


def _read_rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _check_fresh(run_folders: Sequence[Path], fresh: bool) -> None:
    """Say where a run was fitted on a file that has changed since; an error where only fresh runs are wanted."""
    for run in run_folders:
        for name, changed in runs.changed_data(run).items():
            message = f"{run}: {name} was another {changed} than the one there now"
            if fresh:
                raise InputError(f"{message}; remove the run folder and fit it again")
            log.warning("%s; its scores are those of the old data", message)


def _around_markers(path: Path) -> tuple[str, str]:
    """Return the text of `path` before and after the markers; raise InputError where they are not there once, in order."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    parts = re.split(f"{START}.*?{END}", text, flags=re.DOTALL)
    if len(parts) != 2:
        raise InputError(f"write={path}: the file must hold the line {START} and, below it, {END}, once; the table goes between")
    return parts[0], parts[1]


def _table(results: Sequence[Results], run_folders: Sequence[Path], differences: Sequence[Difference]) -> str:
    real = {(d.data, d.run, d.label_set, d.score) for d in differences if d.real}
    names = {run: run.name for run in run_folders}
    if len(set(names.values())) < len(names):
        names = {run: str(run) for run in run_folders}
    head, units = ["model"], []
    for result in results:
        for number, (label_set, key) in enumerate(result.columns()):
            title = f"{label_set.name} {'mAP' if key == 'map' else HEADLINES[key]}"
            head.append(f"{result.data.stem}{f' ({result.n})' if number == 0 else ''}: {title}")
        units.append(f"{len(set(result.clusters))} {result.unit} clusters of {result.data.stem}")
    lines = [head, ["---"] * len(head)]
    for run in run_folders:
        cells = [names[run]]
        for result in results:
            scores = result.scores(run)
            for label_set, key in result.columns():
                if key not in scores.get(label_set.name, {}):
                    cells.append("–")
                    continue
                low, high = scores[label_set.name]["ci"][key]
                star = " \\*" if (str(result.data), str(run), label_set.name, key) in real else ""
                cells.append(f"{scores[label_set.name][key]:.3f} [{low:.3f}, {high:.3f}]{star}")
        lines.append(cells)
    widths = [max(len(line[column]) for line in lines if line[0] != "---") for column in range(len(head))]
    body = [
        "| " + " | ".join(cell.ljust(width) if cell != "---" else "-" * width for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    ]
    note = (
        f"95% bootstrap intervals over {' and '.join(units)}. \\*: differs from {names[run_folders[0]]} beyond chance "
        f"(paired bootstrap, Holm over {len(differences)} differences, p < {LEVEL})."
    )
    return "\n".join([*body, "", note])


def _lines(differences: Sequence[Difference], results: Sequence[Results]) -> list[str]:
    lines = []
    for result in results:
        mine = [difference for difference in differences if difference.data == str(result.data)]
        lines.append(f"differences from {mine[0].first} on {result.data}" if mine else f"no differences on {result.data}")
        for d in mine:
            verdict = f"real: {'better' if d.difference > 0 else 'worse'}" if d.real else "no difference beyond chance"
            if d.difference == 0 and d.ci == [0, 0]:
                verdict = "no difference"
            title = f"{d.label_set} {HEADLINES[d.score]}"
            lines.append(f"  {d.run}  {title:<34}{d.difference:+.3f}  [{d.ci[0]:+.3f}, {d.ci[1]:+.3f}]  p {d.p:.4f}  {verdict}")
    return lines
