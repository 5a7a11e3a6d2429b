"""Results for people: a summary table for the terminal and one self-contained page. Reads files and records, no model.

Library module; no command of its own.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from gikai import plots, runs
from gikai.labels import Label, LabelSet, Taxonomy
from gikai.records import Passage

HEADLINES = {
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "map": "mean average precision",
    "exact_match": "exactly right",
    "empty_f1": "F1 of no label",
    "accuracy": "accuracy",
    "coarse_macro_f1": "coarse macro-F1",
}
SLICED = ("macro_f1", "map", "accuracy")
ERRORS = 1000
"""Errors that the page lists: more would make it slow on a phone. The page says so where there are more."""
FAINT = 0.1
"""Words of less than this share of the strongest word's weight are not marked."""
PAGE = Environment(loader=PackageLoader("gikai", "page"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def summary(metrics: dict[str, Any]) -> str:
    """Return the headline scores as lines of text, each with its count and 95 percent interval; compared runs beside them."""
    lines = []
    for name, of_set in metrics.items():
        if not isinstance(of_set, dict):
            continue
        lines.append(f"{name} ({of_set['n']} passages; 95% intervals over {of_set['clusters']} clusters by {metrics['cluster']})")
        for key, title in HEADLINES.items():
            if key in of_set:
                lines.append(f"  {title:<24}{_scored(of_set, key)}")
                for other in metrics.get("compared", []):
                    if key in other.get(name, {}):
                        lines.append(f"    {other['run']:<20}  {_scored(other[name], key)}")
    return "\n".join(lines)


def _scored(scores: dict[str, Any], key: str) -> str:
    interval = "  [{:.3f}, {:.3f}]".format(*scores["ci"][key]) if key in scores.get("ci", {}) else ""
    return f"{scores[key]:.3f}{interval}"


def write_report(
    path: Path,
    title: str,
    taxonomy: Taxonomy,
    metrics: dict[str, Any],
    passages: Sequence[Passage],
    rows: Sequence[dict[str, Any]],
    slices: Sequence[dict[str, Any]] = (),
    attributions: dict[str, dict[str, list[list[float]]]] | None = None,
) -> None:
    """Write one self-contained HTML page: scores beside compared runs, curves, confusion, calibration, slices, errors.

    `rows` are those of predictions.jsonl, one a passage; `slices` and `attributions` the contents of slices.json and
    attributions.json. What `metrics` does not hold has no section. Every text is escaped by the template engine, and
    the page's Content-Security-Policy lets nothing be fetched and no script run but its own.
    """
    sets = [label_set for label_set in taxonomy.sets if label_set.name in metrics]
    curves, reliability, selective = {}, {}, {}
    for label_set in sets:
        scores = metrics[label_set.name]
        curves[label_set.name] = _curves(label_set, scores, [row[label_set.name] for row in rows])
        if "calibration" in scores:
            reliability[label_set.name] = plots.reliability(label_set.name, scores["calibration"])
        if scores.get("abstain", {}).get("curve"):
            selective[label_set.name] = plots.selective(label_set.name, scores["abstain"]["curve"])
    errors = _errors(taxonomy, metrics, passages, rows, attributions or {})
    script, css = ((files("gikai") / "page" / f"report.{part}").read_text(encoding="utf-8").strip() for part in ("js", "css"))
    page = PAGE.get_template("report.html").render(
        title=title,
        metrics=metrics,
        sets=sets,
        headlines=HEADLINES,
        compared={s.name: [other for other in metrics.get("compared", []) if s.name in other] for s in sets},
        curves=curves,
        reliability=reliability,
        selective=selective,
        slices={kind: [row for row in slices if row["slice"] == kind] for kind in dict.fromkeys(row["slice"] for row in slices)},
        slice_keys={s.name: [key for key in SLICED if key in metrics[s.name]] for s in sets},
        errors=errors[:ERRORS],
        wrong=len(errors),
        explained=sum(bool(error.texts[0][0]) for error in errors[:ERRORS]),
        css=css,
        script=script,
        script_hash="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    runs.write_text(path, page)


def _curves(label_set: LabelSet, scores: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[tuple[Label, str]]:
    """Return a precision-recall curve for each label that some passage carries; `rows` are those of this label set."""
    known = [row for row in rows if row["gold"] is not None]
    truth = np.array([label_set.encode(row["gold"]) for row in known]) > 0.5
    probabilities = np.array([row["probabilities"] for row in known])
    result = []
    for k, label in enumerate(label_set.labels):
        if truth[:, k].any():
            of_label = scores["labels"][label.id]
            chosen = of_label["precision"], of_label["recall"]
            result.append((label, plots.precision_recall(label.ja or label.id, truth[:, k], probabilities[:, k], chosen)))
    return result


@dataclass(frozen=True)
class Choice:
    """A label of one passage: missed (gold, not predicted), invented (predicted, not gold) or found (both)."""

    kind: str
    name: str
    label: Label
    probability: float
    key: str
    """Kind, number of the label set, and number of both set and label: what the page's filters compare."""


@dataclass(frozen=True)
class Error:
    """A passage with a wrong label, as the page shows it; `texts` are (label explained or None, parts of the text)."""

    passage: Passage
    choices: list[Choice]
    texts: list[tuple[str | None, list[tuple[str, float]]]]

    @property
    def keys(self) -> list[str]:
        """The keys of its wrong labels."""
        return [choice.key for choice in self.choices if choice.kind != "found"]


def _errors(
    taxonomy: Taxonomy,
    metrics: dict[str, Any],
    passages: Sequence[Passage],
    rows: Sequence[dict[str, Any]],
    attributions: dict[str, dict[str, list[list[float]]]],
) -> list[Error]:
    """Return the passages with a wrong label, those with attributions first."""
    errors = []
    sets = [label_set for label_set in taxonomy.sets if label_set.name in metrics]
    for passage, row in zip(passages, rows, strict=True):
        choices = [choice for number, label_set in enumerate(sets) for choice in _choices(number, label_set, row[label_set.name])]
        wrong = [choice.name for choice in choices if choice.kind != "found"]
        if wrong:
            of_passage = attributions.get(passage.id, {})
            texts: list[tuple[str | None, list[tuple[str, float]]]] = [
                (name, marked(passage.text, of_passage[name])) for name in wrong if of_passage.get(name)
            ]
            errors.append(Error(passage, choices, texts or [(None, [(passage.text, 0.0)])]))
    return sorted(errors, key=lambda error: error.texts[0][0] is None)


def _choices(number: int, label_set: LabelSet, row: dict[str, Any]) -> list[Choice]:
    if row["gold"] is None:
        return []
    gold, predicted = (label_set.encode(row[key]) > 0.5 for key in ("gold", "predicted"))
    choices = []
    for k, label in enumerate(label_set.labels):
        if gold[k] or predicted[k]:
            kind = "found" if gold[k] and predicted[k] else "missed" if gold[k] else "invented"
            name = f"{label_set.name}/{label.id}"
            choices.append(Choice(kind, name, label, row["probabilities"][k], f"{kind}.{number}.{number}/{k}"))
    return choices


def marked(text: str, spans: Sequence[Sequence[float]]) -> list[tuple[str, float]]:
    """Return `text` in parts, each with its weight in [-1, 1] (1: the strongest of the text; 0: not marked).

    `spans` are (start, end, weight) in characters; a span that overlaps an earlier one is left out.
    """
    strongest = max((abs(weight) for _, _, weight in spans), default=0.0)
    parts: list[tuple[str, float]] = []
    done = 0
    for start, end, weight in sorted(spans, key=lambda span: span[0]):
        begin, stop = int(start), int(end)
        if done <= begin < stop and abs(weight) > FAINT * strongest:
            parts += [(text[done:begin], 0.0), (text[begin:stop], weight / strongest)]
            done = stop
    return [(part, weight) for part, weight in [*parts, (text[done:], 0.0)] if part]
