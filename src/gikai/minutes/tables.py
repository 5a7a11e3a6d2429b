"""Rows with a `text` column: JSON Lines, CSV, Parquet; plain or compressed.

Library module; no command of its own.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gikai import InputError
from gikai.minutes.headers import role_of
from gikai.minutes.plain import is_plenary, is_unpunctuated, split_headers, strip_added
from gikai.records import Minutes, Speech
from gikai.text import normalise

_OPEN: dict[str, Any] = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}
PASSAGE = 400
"""A row of at most so many characters is a passage as it stands; a longer one is cut like any speech."""


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a JSON Lines file (plain, .gz, .bz2 or .xz) that have a non-empty `text`, one at a time."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    with _OPEN.get(path.suffix, open)(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(f"{path}:{number}: not valid JSON: {error.msg}") from None
            if isinstance(row, dict) and isinstance(row.get("text"), str) and row["text"].strip():
                yield row


def read_jsonl_text(text: str, source: str) -> Minutes | None:
    """Return the rows of JSON Lines as speeches; None where the first line is no JSON object with a `text`."""
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            if not rows:
                return None
            raise InputError(f"line {number} is not valid JSON: {error}") from None
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            if not rows:
                return None
            raise InputError(f'line {number} has no "text"')
        rows.append(row)
    return _minutes(rows, source) if rows else None


def read_csv_text(text: str, source: str) -> Minutes | None:
    """Return the rows of CSV or TSV with a `text` column as speeches; None where the first line names no such column."""
    first = text.split("\n", 1)[0].strip()
    delimiter = "\t" if "\t" in first else ","
    if "text" not in [name.strip().strip('"') for name in first.split(delimiter)]:
        return None
    csv.field_size_limit(10_000_000)
    try:
        rows = [
            {(key or "").strip(): value for key, value in row.items()}
            for row in csv.DictReader(io.StringIO(text, newline=None), delimiter=delimiter)
        ]
    except csv.Error as error:
        raise InputError(f"not a readable CSV table: {error}") from None
    return _minutes(rows, source)


def read_parquet(data: bytes, source: str) -> Minutes:
    """Return the rows of a Parquet file with a `text` column as speeches; raise InputError where it has none."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(io.BytesIO(data))
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"not a readable Parquet file: {str(error).splitlines()[0]}") from None
    if "text" not in table.column_names:
        raise InputError(f'Parquet without a "text" column; it has {", ".join(table.column_names)}')
    return _minutes(table.to_pylist(), source)


def _minutes(rows: list[dict[str, Any]], source: str) -> Minutes:
    speeches = []
    for number, row in enumerate(rows, start=1):
        of_row = {key: _string(row.get(key)) for key in ("id", "assembly", "date", "meeting", "title", "speaker")}
        of_row["id"] = of_row["id"] or f"{source}#{number}"
        # A header in the text would give the role away; of several speakers, the longest part is kept.
        plenary = is_plenary(of_row["meeting"], [of_row["title"]] if of_row["title"] else [])
        header, said = max(split_headers(str(row.get("text") or "").strip(), plenary), key=lambda part: len(part[1]))
        said = strip_added(said)
        if not re.search(r"\w", said):
            continue
        of_row["speaker"] = of_row["speaker"] or (normalise(header.name) if header and header.name else None)
        title = of_row.pop("title") or (normalise(header.title) if header and header.title else None)
        role = role_of(title, plenary) if title or header else None
        speeches.append(
            Speech(
                text=said,
                title=title,
                role=role,
                passages=((0, len(said)),) if len(said) <= PASSAGE else None,
                unpunctuated=is_unpunctuated(said),
                **of_row,
            )
        )
    return Minutes(source=source, speeches=tuple(speeches))


def _string(value: Any) -> str | None:
    return (normalise(str(value)) or None) if value is not None else None
