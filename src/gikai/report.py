"""Results for people: a summary table for the terminal and one self-contained page. Reads files and records, no model.

Library module; no command of its own.
"""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gikai import runs
from gikai.labels import Taxonomy
from gikai.records import Passage

HEADLINES = {
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "map": "mean average precision",
    "exact_match": "exactly right",
    "accuracy": "accuracy",
    "coarse_macro_f1": "coarse macro-F1",
}


def summary(metrics: dict[str, Any]) -> str:
    """Return the headline scores as lines of text, each with its count and 95 percent interval."""
    lines = []
    for name, of_set in metrics.items():
        if not isinstance(of_set, dict):
            continue
        lines.append(f"{name} ({of_set['n']} passages; 95% intervals over {of_set['clusters']} clusters by {metrics['cluster']})")
        for key, title in HEADLINES.items():
            if key in of_set:
                low, high = of_set["ci"][key]
                lines.append(f"  {title:<24}{of_set[key]:.3f}  [{low:.3f}, {high:.3f}]")
    return "\n".join(lines)


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
    """Write one self-contained HTML page: headline scores, scores a label, role confusion, errors. All text is escaped."""
    parts = [f"<h1>{html.escape(title)}</h1>", f"<p>{metrics['n']} passages; intervals are 95% bootstrap by {metrics['cluster']}.</p>"]
    for label_set in taxonomy.sets:
        if label_set.name not in metrics:
            continue
        scores = metrics[label_set.name]
        parts.append(f"<h2>{html.escape(label_set.name)} (n={scores['n']})</h2>")
        body = [[HEADLINES[key], f"{scores[key]:.3f}", "[{:.3f}, {:.3f}]".format(*scores["ci"][key])] for key in HEADLINES if key in scores]
        parts.append(_table(["score", "value", "95% interval"], body))
        columns = ["precision", "recall", "f1", "ap", "support"]
        body = []
        for label in label_set.labels:
            of_label = scores["labels"][label.id]
            body.append(
                [
                    label.id,
                    label.ja,
                    *("" if of_label[c] is None else f"{of_label[c]:.3f}" if c != "support" else str(of_label[c]) for c in columns),
                ]
            )
        parts.append(_table(["label", "", *columns], body))
        if "confusion" in scores:
            body = [[label_id, *map(str, counts)] for label_id, counts in zip(label_set.ids, scores["confusion"], strict=True)]
            parts.append("<h3>Confusion (rows: gold, columns: predicted)</h3>" + _table(["", *label_set.ids], body))
    parts.append("<h2>Errors</h2>")
    body = []
    for passage, row in zip(passages, rows, strict=True):
        wrong = {
            s.name: row[s.name]
            for s in taxonomy.sets
            if row[s.name]["gold"] is not None and row[s.name]["gold"] != row[s.name]["predicted"]
        }
        if wrong:
            body.append(
                [passage.id, passage.text, "; ".join(f"{name}: {_show(v['gold'])} → {_show(v['predicted'])}" for name, v in wrong.items())]
            )
    parts.append(_table(["id", "text", "gold → predicted"], body))
    style = (
        "body{font-family:sans-serif;max-width:70em;margin:auto;padding:1em}table{border-collapse:collapse;margin:1em 0}"
        "td,th{border:1px solid #ccc;padding:.2em .5em;text-align:left;vertical-align:top}"
    )
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title><style>{style}</style></head><body>{''.join(parts)}</body></html>\n"
    )
    runs.write_text(path, page)


def _show(value: list[str] | str | None) -> str:
    return value if isinstance(value, str) else "[" + ", ".join(value or []) + "]"


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return an HTML table; every cell is escaped."""
    rows = ["<tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in head) + "</tr>"]
    rows += ["<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in body]
    return f"<table>{''.join(rows)}</table>"
