"""Rows with a text: JSON Lines, CSV, Parquet; plain or compressed, whole or in parts.

Library module; no command of its own.
"""

import bz2
import csv
import gzip
import io
import itertools
import json
import lzma
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gikai import InputError
from gikai.minutes.headers import Header, parse_header
from gikai.minutes.html import speaker_header
from gikai.minutes.json_minutes import (
    ASSEMBLY,
    DATE,
    ID,
    MEETING,
    POSITION,
    SPEAKER,
    fields_of,
    first_of,
    holds_texts,
    text_key,
    value_minutes,
)
from gikai.minutes.plain import date_of
from gikai.minutes.speeches import Block, assemble
from gikai.records import Minutes
from gikai.text import normalise

_OPEN: dict[str, Any] = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}
PASSAGE = 400
"""A row of at most so many characters is a passage as it stands; a longer one is cut like any speech."""
PART = 5000
"""Rows of a large table that are in memory at a time."""


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


def read_jsonl(text: str, source: str) -> Minutes | None:
    """Return the rows of JSON Lines as speeches; None where the first line is no JSON object with a text.

    A line that holds a whole sitting (records within the object) is read as such.
    """
    if text.lstrip()[:1] != "{":
        return None
    rows = list(jsonl_rows(io.StringIO(text.lstrip())))
    if rows and (text_key(rows[0]) is None or any(holds_texts(item) for item in rows[0].values())):
        return value_minutes(rows, source)
    return row_minutes(rows, source, "JSON Lines") if rows else None


def jsonl_rows(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the objects of JSON Lines; nothing where the first line is none. Raises InputError where a later line is none."""
    key: str | None = None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == 1:
                return
            raise InputError(f"line {number} is not valid JSON: {str(error)[:80]}") from None
        if not isinstance(row, dict):
            if number == 1:
                return
            raise InputError(f"line {number} is no JSON object")
        key = text_key(row) if number == 1 else key
        if key is not None and not isinstance(row.get(key), str):
            raise InputError(f'line {number} has no "{key}"')
        yield row


def read_csv(text: str, source: str) -> Minutes | None:
    """Return the rows of CSV or TSV with a column of texts as speeches; None where the first line names no columns.

    Raises InputError for a table that has columns, but none of texts.
    """
    lines = text.splitlines()
    delimiter = next((mark for mark in ("\t", ",") if lines and mark in lines[0]), None)
    if delimiter is None:
        return None
    names = [name.strip().strip('"') for name in lines[0].split(delimiter)]
    if text_key(dict.fromkeys(names, "")) is None:
        counts = [line.count(delimiter) for line in lines[:20] if line.strip()]
        if len(counts) >= 3 and delimiter == "\t" and len(set(counts)) == 1 and not re.search(r"[。　]", lines[0]):
            raise InputError(f"a table without a column of texts; it has {', '.join(names)[:80]}")
        return None
    return row_minutes(list(csv_rows(io.StringIO(text, newline=None))), source, "CSV")


def csv_rows(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the rows of CSV or TSV whose first line names the columns; raises InputError where they cannot be told."""
    csv.field_size_limit(10_000_000)
    lines = iter(lines)
    first = next(lines, "")
    try:
        for row in csv.DictReader(itertools.chain([first], lines), delimiter="\t" if "\t" in first else ","):
            yield {(key or "").strip().strip("\ufeff"): value for key, value in row.items()}
    except csv.Error as error:
        raise InputError(f"not a readable CSV table: {error}") from None


def read_parquet(data: bytes, source: str) -> Minutes:
    """Return the rows of a Parquet file with a column of texts as speeches; raise InputError where it has none."""
    return row_minutes(list(parquet_rows(io.BytesIO(data))), source, "Parquet")


def parquet_rows(file: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file (a path or an open file), a batch in memory at a time."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.ParquetFile(file)
        names = table.schema_arrow.names
        if text_key(dict.fromkeys(names, "")) is None:
            raise InputError(f'Parquet without a "text" column; it has {", ".join(names)}')
        for batch in table.iter_batches(batch_size=PART):
            yield from batch.to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"not a readable Parquet file: {(str(error).splitlines() or ['damaged'])[0]}") from None


def row_minutes(rows: list[dict[str, Any]], source: str, form: str, first: int = 0) -> Minutes:
    """Return rows as speeches; `first` is the number of rows of the same table before these."""
    return assemble((_block(row, f"{source}#{number}") for number, row in enumerate(rows, start=first + 1)), source, form)


def _block(row: dict[str, Any], made: str) -> Block:
    fields = fields_of(row)
    key = text_key(row)
    text = str(row[key]) if key is not None else ""
    title, speaker = first_of(fields, ("title", *POSITION)), first_of(fields, SPEAKER)
    named = speaker_header(speaker)
    header = named if title is None else Header(named.name if named and named.title else speaker, title, None, "")
    stated = first_of(fields, DATE)
    lines = text.splitlines()
    # A whole sitting in one row, however short, is no passage.
    sitting = sum(parse_header(line, plenary=True) is not None for line in lines) >= 2
    return Block(
        lines,
        header=header,
        turn=True,
        passage=len(normalise(text)) <= PASSAGE and not sitting,
        id=first_of(fields, ID) or made,
        assembly=first_of(fields, ASSEMBLY),
        date=date_of(stated) or stated if stated else None,
        meeting=first_of(fields, MEETING[:-1]),
    )
