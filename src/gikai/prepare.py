"""Minutes to passages with the roles that their headers give: labelled data for the role, at any scale.

python scripts/prepare.py input=PATH output=FILE.jsonl [report=FILE.md] [shortest=40] [drop_duplicates=true]
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gikai import InputError, runs
from gikai.config import Prepare
from gikai.minutes import account, find_documents, iterate
from gikai.passages import passages
from gikai.records import Minutes


@dataclass
class Summary:
    """What one document, or all of them, came to."""

    format: str = ""
    reason: str = ""
    """Why it was rejected; empty where it was read."""
    speeches: int = 0
    passages: int = 0
    roles: Counter[str] = field(default_factory=Counter)
    """Roles of the speeches."""
    written: Counter[str] = field(default_factory=Counter)
    """Roles of the passages that were written."""
    unknown: Counter[str] = field(default_factory=Counter)
    """Titles that stand for no role, by the speeches under them."""
    characters: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    """Visible characters in speeches, in each kind of aside, and unaccounted for."""


def prepare(config: Prepare) -> dict[str, Summary]:
    """Write the passages of `config.input` whose speaker's header gives a role to `config.output`; return a summary a document.

    Every row is a labelled passage that carries a role and no initiatives (null). Repeated passages are written once
    unless `drop_duplicates` is false. Prints what the job came to; `config.report` receives a table of the documents.
    Raises InputError where no passage has a role.
    """
    output = Path(config.output)
    documents = find_documents(config.input)
    if any(document.path.resolve() == output.resolve() for document in documents):
        raise InputError(f"output={output} is one of the input files; choose another")
    summaries: dict[str, Summary] = {}
    output.parent.mkdir(parents=True, exist_ok=True)
    with runs.written(output) as partial:
        with partial.open("w", encoding="utf-8") as file:
            written = 0
            for row in _rows(documents, config, summaries):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                written += 1
        if not written:
            raise InputError(f"{config.input}: no passage has a role: {_first_reason(summaries)}")
    if config.report is not None:
        Path(config.report).parent.mkdir(parents=True, exist_ok=True)
        with runs.written(Path(config.report)) as partial:
            partial.write_text(table(summaries), encoding="utf-8")
    print(_totals(summaries, written, output))
    return summaries


def _rows(documents: list[Any], config: Prepare, summaries: dict[str, Summary]) -> Iterator[dict[str, Any]]:
    """Yield the labelled passages in input order, and fill in the summaries on the way."""
    seen: set[bytes] = set()
    for source, minutes in iterate(documents):
        summary = summaries.setdefault(source, Summary())
        if isinstance(minutes, InputError):
            summary.reason = str(minutes)
            continue
        _count(summary, minutes)
        for number, speech in enumerate(minutes.speeches, start=minutes.first + 1):
            cut = speech.passages or passages(speech.text, speech.unpunctuated)
            summary.passages += len(cut)
            for index, (start, end) in enumerate(cut, start=1):
                text = speech.text[start:end]
                digest = hashlib.blake2b(text.encode(), digest_size=12).digest()
                if speech.role is None or len(text) < config.shortest or (config.drop_duplicates and digest in seen):
                    continue
                seen.add(digest)
                summary.written[speech.role] += 1
                yield {
                    "id": f"{source}#{number}.{index}",
                    "text": text,
                    "initiatives": None,
                    "role": speech.role,
                    "assembly": speech.assembly or minutes.assembly,
                    "date": speech.date or minutes.date,
                    "meeting": speech.meeting or minutes.meeting,
                    "source": source,
                    "title": speech.title,
                }


def _count(summary: Summary, minutes: Minutes) -> None:
    summary.format = minutes.format
    summary.speeches += len(minutes.speeches)
    summary.roles.update(speech.role for speech in minutes.speeches if speech.role)
    summary.unknown.update(speech.title for speech in minutes.speeches if speech.role is None and speech.title)
    summary.characters += minutes.characters
    for kind, share in account(minutes).items():
        summary.kinds[kind] += round(share * minutes.characters)


def table(summaries: dict[str, Summary]) -> str:
    """Return a Markdown table with a line for each document: format, speeches, roles, unknown titles, shares of its characters."""
    lines = [
        "| document | format | speeches | speeches by role | titles without a role | speech | asides | unaccounted |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for source, summary in summaries.items():
        if summary.reason:
            lines.append(f"| {source} | rejected: {_cell(summary.reason)} | | | | | | |")
            continue
        total = max(1, summary.characters)
        speech, missing = summary.kinds["speech"] / total, summary.kinds["unaccounted"] / total
        aside = ", ".join(
            f"{kind} {count / total:.0%}" for kind, count in summary.kinds.most_common() if kind not in ("speech", "unaccounted") and count
        )
        cells = [
            source,
            summary.format,
            str(summary.speeches),
            _counts(summary.roles),
            _counts(summary.unknown),
            f"{speech:.1%}",
            aside,
            f"{missing:.1%}",
        ]
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common()) or "-"


def _first_reason(summaries: dict[str, Summary]) -> str:
    return next((summary.reason for summary in summaries.values() if summary.reason), "no header in them names a title that decides it")


def _totals(summaries: dict[str, Summary], written: int, output: Path) -> str:
    """Return the closing lines: documents, speeches, passages, roles, unknown titles with the most frequent first."""
    read = [summary for summary in summaries.values() if not summary.reason]
    roles: Counter[str] = sum((summary.written for summary in read), Counter())
    unknown: Counter[str] = sum((summary.unknown for summary in read), Counter())
    kinds: Counter[str] = sum((summary.kinds for summary in read), Counter())
    characters = max(1, sum(summary.characters for summary in read))
    lines = [f"{'role':<20}passages", *(f"{role:<20}{count}" for role, count in roles.most_common())]
    if unknown:
        lines += [
            "titles without a role (speeches), most frequent first",
            *(f"  {title}  {count}" for title, count in unknown.most_common(20)),
        ]
    shares = [f"{kind} {count / characters:.1%}" for kind, count in kinds.most_common() if kind != "unaccounted"]
    lines.append(f"characters: {', '.join(shares)}; unaccounted {kinds['unaccounted'] / characters:.1%}")
    lines.append(
        f"{len(summaries)} documents: {len(read)} done, {len(summaries) - len(read)} rejected; {sum(s.speeches for s in read)} speeches, "
        f"{sum(s.passages for s in read)} passages, {written} with a role written to {output}"
    )
    return "\n".join(lines)
