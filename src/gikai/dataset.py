"""Labelled passages from JSON Lines, checked line by line against a taxonomy.

Library module; no command of its own. File format: docs/FILES.md.
"""

import re
from pathlib import Path
from typing import Any

from gikai import InputError
from gikai.labels import Taxonomy
from gikai.records import Passage, read_jsonl
from gikai.text import normalise

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def load_labelled(path: Path, taxonomy: Taxonomy) -> list[Passage]:
    """Return the passages of a labelled file, texts normalised, gold checked against `taxonomy`.

    Raises InputError with file and line number for a missing `id` or `text`, a repeated id, an empty text, a label the
    taxonomy does not have, or a file in which no passage carries any of the taxonomy's label sets.
    """
    passages: list[Passage] = []
    lines: dict[str, int] = {}
    for number, row in read_jsonl(path):
        where = f"{path}:{number}"
        passage = parse_passage(row, where, taxonomy)
        if passage.id in lines:
            raise InputError(f"{where}: id {passage.id!r} was already used on line {lines[passage.id]}")
        lines[passage.id] = number
        passages.append(passage)
    if not any(value is not None for passage in passages for value in passage.gold.values()):
        fields = " or ".join(f'"{label_set.field}"' for label_set in taxonomy.sets)
        raise InputError(f"{path}: no passage has {fields}; nothing here is labelled for this taxonomy")
    return passages


def parse_passage(row: dict[str, Any], where: str, taxonomy: Taxonomy) -> Passage:
    """Return one labelled row as a passage; raise InputError, beginning with `where`, for the first thing wrong in it."""
    for key in ("id", "text"):
        if not isinstance(row.get(key), str) or not row[key].strip():
            raise InputError(f'{where}: "{key}" must be a non-empty string, found {row.get(key)!r}')
    for key in ("assembly", "date", "meeting", "source", "role_source"):
        if row.get(key) is not None and not isinstance(row[key], str):
            raise InputError(f'{where}: "{key}" must be a string or null, found {row[key]!r}')
    if row.get("date") is not None and not _DATE.fullmatch(row["date"]):
        raise InputError(f'{where}: "date" must be YYYY-MM-DD or null, found {row["date"]!r}')
    text = normalise(row["text"])
    if not text:
        raise InputError(f"{where}: the text has no visible character")
    return Passage(
        id=row["id"],
        text=text,
        gold={label_set.name: label_set.check(row.get(label_set.field), where) for label_set in taxonomy.sets},
        assembly=row.get("assembly"),
        date=row.get("date"),
        meeting=row.get("meeting"),
        source=row.get("source"),
        role_source=row.get("role_source"),
    )
