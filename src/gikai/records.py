"""The records that travel between modules (speech, minutes, passage), and the reading of JSON lines.

Library module; no command of its own.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gikai import InputError


@dataclass(frozen=True)
class Speech:
    """One speaker's continuous turn. `text` is normalised and holds no header, stage direction or interjection."""

    text: str
    speaker: str | None = None
    title: str | None = None
    role: str | None = None
    passages: tuple[tuple[int, int], ...] | None = None
    """Offsets of passages where the source says what a passage is (one line, one row); None where gikai cuts."""
    id: str | None = None
    """The source's own id of this row, where it has one."""
    assembly: str | None = None
    date: str | None = None
    meeting: str | None = None
    unpunctuated: bool = False
    """True where the text came without punctuation, as speech recognition gives it."""


@dataclass(frozen=True)
class Minutes:
    """One document: what was said at one sitting. Metadata of the document holds where a speech has none of its own."""

    source: str
    speeches: tuple[Speech, ...]
    assembly: str | None = None
    date: str | None = None
    meeting: str | None = None
    format: str = "plain text"
    asides: tuple[tuple[str, str], ...] = ()
    """What is not speech, in order: (kind, text); `gikai.minutes.KINDS` lists the kinds."""
    characters: int = 0
    """Visible characters of the source; each is in a speech or in an aside."""
    first: int = 0
    """Number of speeches of the same document before these, where a large file comes in several parts."""


@dataclass(frozen=True)
class Passage:
    """What is labelled and classified: 1 to 5 sentences of one speech, and where they come from."""

    id: str
    text: str
    gold: dict[str, list[str] | str | None] = field(default_factory=dict)
    """Gold labels by label set name; a set that is absent or None was not annotated."""
    assembly: str | None = None
    date: str | None = None
    meeting: str | None = None
    source: str | None = None
    role_source: str | None = None
    """Where the role comes from ("header", "model", …), where the row says so."""


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) for every non-empty line of a UTF-8 JSON Lines file.

    Raises InputError, naming file and line, where the file is missing, empty, not UTF-8, or a line is no JSON object.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    number = 0
    seen = False
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                seen = True
                try:
                    value = json.loads(line)
                except (json.JSONDecodeError, RecursionError) as error:
                    raise InputError(f"{path}:{number}: not valid JSON: {error}") from None
                if not isinstance(value, dict):
                    raise InputError(f"{path}:{number}: expected a JSON object, found {type(value).__name__}")
                yield number, value
    except UnicodeDecodeError:
        raise InputError(f"{path}:{number + 1}: not UTF-8; save the file as UTF-8") from None
    if not seen:
        raise InputError(f"{path}: the file is empty; expected one JSON object a line")
