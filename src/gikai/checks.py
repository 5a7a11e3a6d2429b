"""Checks of labelled data: schema, duplicates, leaks between splits, header remnants, floors, copied spans.

python scripts/check_data.py [data=PATH …] [against=PATH] [floors=shipped]
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gikai import InputError
from gikai.config import CheckData
from gikai.dataset import parse_passage
from gikai.labels import Taxonomy, load_taxonomy
from gikai.minutes import find_documents, parse_header, read_rows, strip_added
from gikai.minutes.documents import decode
from gikai.passages import near_duplicates
from gikai.records import Passage, read_jsonl
from gikai.text import normalise, quote

SPAN = 30
"""Characters in a row that a passage may not share with a text of `against`."""
FORMULA_MEETINGS = 3
"""A span that stands in so many different meetings is a formula of procedure, not a copy."""
FRAME = 12
FRAME_SHARE = 0.2
"""Two passages of one label share a frame where spans of FRAME characters that only they have cover more than this."""
SHORT, LONG = 40, 600

LEAST_PASSAGES = {"train": 2400, "dev": 400, "holdout": 900}
LEAST_POSITIVES = {"train": 110, "holdout": 45}
LEAST_ASSEMBLIES = 40
NONE_SHARE = (0.30, 0.40)
HARD_SHARE = 0.5
SEVERAL_SHARE = 0.25
ROLE_SHARE = 0.08
HARD = {"slogan", "national", "private", "passing", "list", "coincidence"}


@dataclass(frozen=True)
class Entry:
    """A passage, where it stands, and the flags of its row."""

    passage: Passage
    where: str
    split: str
    flags: tuple[str, ...]


def check_data(config: CheckData) -> list[str]:
    """Return what is wrong with the labelled files of `config.data`, one sentence each; empty where nothing is."""
    taxonomy = load_taxonomy(Path(config.taxonomy))
    problems: list[str] = []
    entries = [entry for path in config.data for entry in _load(Path(path), taxonomy, problems)]
    problems += _ids(entries)
    problems += _texts(entries)
    problems += _duplicates(entries)
    problems += _assemblies(entries)
    if config.floors == "shipped":
        problems += _floors(entries, taxonomy)
        problems += _frames(entries)
    for path in config.against:
        problems += copied(entries, path)
    return problems


def _load(path: Path, taxonomy: Taxonomy, problems: list[str]) -> Iterator[Entry]:
    for number, row in read_jsonl(path):
        where = f"{path}:{number}"
        try:
            passage = parse_passage(row, where, taxonomy)
        except InputError as error:
            problems.append(str(error))
            continue
        yield Entry(passage, where, path.stem, tuple(row.get("flags") or ()))


def _ids(entries: Sequence[Entry]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for entry in entries:
        if entry.passage.id in seen:
            yield f"{entry.where}: id {entry.passage.id!r} is also at {seen[entry.passage.id]}"
        seen.setdefault(entry.passage.id, entry.where)


def _texts(entries: Sequence[Entry]) -> Iterator[str]:
    """Header remnants, which leak the role, stage directions, and lengths far from what a passage has."""
    inline = re.compile(r"[○◯〇◎◆●△][^○◯〇◎◆●△]{1,40}")
    for entry in entries:
        text = entry.passage.text
        if any(parse_header(match[0], plenary=True) for match in inline.finditer(text)):
            yield f"{entry.where}: a speaker header is left in the text: {quote(text)}"
        if strip_added(text) != text:
            yield f"{entry.where}: a stage direction, interjection or page mark is left in the text: {quote(text)}"
        if not SHORT <= len(text) <= LONG:
            yield f"{entry.where}: {len(text)} characters; a passage has {SHORT} to {LONG}"


def _duplicates(entries: Sequence[Entry]) -> Iterator[str]:
    for second, first, jaccard in near_duplicates([entry.passage.text for entry in entries]):
        across = "" if entries[first].split == entries[second].split else ", across splits"
        text = quote(entries[second].passage.text)
        yield f"{entries[second].where}: near duplicate of {entries[first].where} (Jaccard {jaccard:.2f}{across}): {text}"


def _assemblies(entries: Sequence[Entry]) -> Iterator[str]:
    splits: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.passage.assembly:
            splits[entry.passage.assembly].add(entry.split)
    for assembly, where in sorted(splits.items()):
        if len(where) > 1:
            yield f"{assembly} is in {' and '.join(sorted(where))}; an assembly belongs to one split"


def _floors(entries: Sequence[Entry], taxonomy: Taxonomy) -> Iterator[str]:
    """The floors of the shipped set; a user's own data has none."""
    initiative, role = taxonomy.sets
    assemblies = {entry.passage.assembly for entry in entries}
    if len(assemblies) < LEAST_ASSEMBLIES:
        yield f"{len(assemblies)} assemblies; the floor is {LEAST_ASSEMBLIES}"
    for split, least in LEAST_PASSAGES.items():
        rows = [entry for entry in entries if entry.split == split]
        if len(rows) < least:
            yield f"{split}: {len(rows)} passages; the floor is {least}"
        if not rows:
            continue
        gold = [entry.passage.gold[initiative.name] or [] for entry in rows]
        counts = Counter(label for labels in gold for label in labels)
        for label in initiative.ids:
            if counts[label] < LEAST_POSITIVES.get(split, 0):
                yield f"{split}: {counts[label]} passages with {label}; the floor is {LEAST_POSITIVES[split]}"
        none = [entry for entry, labels in zip(rows, gold, strict=True) if not labels]
        low, high = NONE_SHARE
        if not low <= len(none) / len(rows) <= high:
            yield f"{split}: {len(none) / len(rows):.0%} of passages have no initiative; it should be {low:.0%} to {high:.0%}"
        hard = sum(bool(HARD & set(entry.flags)) for entry in none)
        if hard < HARD_SHARE * len(none):
            yield f"{split}: {hard} of {len(none)} passages without initiative are hard; at least half should be"
        several = sum(len(labels) > 1 for labels in gold)
        if several < SEVERAL_SHARE * (len(rows) - len(none)):
            yield f"{split}: {several} of {len(rows) - len(none)} positives have two labels or more; at least a quarter should have"
        roles = Counter(entry.passage.gold[role.name] for entry in rows)
        for label in role.ids:
            if roles[label] < ROLE_SHARE * len(rows):
                yield f"{split}: {roles[label] / len(rows):.1%} of passages are by {label}; at least {ROLE_SHARE:.0%} should be"


def _frames(entries: Sequence[Entry]) -> Iterator[str]:
    """Pairs of passages of one label that share a frame, formulas (spans of three assemblies or more) apart."""
    texts = [_compact(entry.passage.text) for entry in entries]
    holders: dict[str, list[int]] = defaultdict(list)
    for number, text in enumerate(texts):
        for gram in set(_grams(text, FRAME)):
            holders[gram].append(number)
    shared: dict[tuple[int, int], list[str]] = defaultdict(list)
    for gram, numbers in holders.items():
        if len(numbers) > 1 and len({entries[number].passage.assembly for number in numbers}) < FORMULA_MEETINGS:
            for position, first in enumerate(numbers):
                for second in numbers[position + 1 :]:
                    shared[first, second].append(gram)
    for (first, second), grams in sorted(shared.items()):
        labels = [{str(value) for value in entries[number].passage.gold.values()} for number in (first, second)]
        covered = min(1.0, (len(grams) + FRAME - 1) / min(len(texts[first]), len(texts[second])))
        if covered > FRAME_SHARE and labels[0] & labels[1]:
            yield f"{entries[second].where}: shares a frame with {entries[first].where} ({covered:.0%}), as in {max(grams)!r}"


def _compact(text: str) -> str:
    return re.sub(r"\s+", "", normalise(text))


def _grams(text: str, size: int) -> Iterator[str]:
    return (text[start : start + size] for start in range(max(1, len(text) - size + 1)))


# --- copied spans --------------------------------------------------------------------------------------------------

_BASE = 6364136223846793005
_INVERSE = pow(_BASE, -1, 2**64)


def copied(entries: Sequence[Entry], path: str) -> Iterator[str]:
    """Yield passages that share SPAN or more consecutive characters with a text of `path`, formulas apart.

    Ours are indexed and theirs streamed, so `path` may hold any amount of text. White space does not count.
    """
    ours: dict[str, list[int]] = defaultdict(list)
    for number, entry in enumerate(entries):
        text = _compact(entry.passage.text)
        for start in range(len(text) - SPAN + 1):
            ours[text[start : start + SPAN]].append(number)
    index = np.unique(np.concatenate([_hashes(span) for span in ours])) if ours else np.empty(0, dtype=np.uint64)
    meetings: dict[str, set[str]] = defaultdict(set)
    for meeting, text in _their_texts(path):
        theirs = _compact(text)
        hashes = _hashes(theirs)
        if not len(hashes) or not len(index):
            continue
        place = np.minimum(np.searchsorted(index, hashes), len(index) - 1)
        for start in np.flatnonzero(index[place] == hashes).tolist():
            span = theirs[start : start + SPAN]
            if span in ours and len(meetings[span]) < FORMULA_MEETINGS:
                meetings[span].add(meeting)
    found: dict[int, tuple[str, str]] = {}
    for span, where in meetings.items():
        if len(where) < FORMULA_MEETINGS:
            for number in ours[span]:
                found.setdefault(number, (span, min(where)))
    for number, (span, where_there) in sorted(found.items()):
        yield f"{entries[number].where}: shares {SPAN} characters with {where_there}: {span}"


def _hashes(text: str) -> np.ndarray:
    """Return a 64-bit polynomial hash of every SPAN consecutive characters of `text`, in one pass."""
    if len(text) < SPAN:
        return np.empty(0, dtype=np.uint64)
    codes = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    powers = _powers(_BASE, len(codes))
    prefix = np.concatenate([[np.uint64(0)], np.cumsum(codes * powers, dtype=np.uint64)])
    return np.asarray((prefix[SPAN:] - prefix[:-SPAN]) * _powers(_INVERSE, len(codes))[: len(codes) - SPAN + 1])


_POWERS: dict[int, np.ndarray] = {}


def _powers(base: int, count: int) -> np.ndarray:
    """Return base**0 … base**(count - 1) modulo 2**64; grown as needed and kept."""
    known = _POWERS.get(base)
    if known is None or len(known) < count:
        factors = np.full(max(count, 4096) * 2, base, dtype=np.uint64)
        factors[0] = 1
        known = _POWERS[base] = np.cumprod(factors, dtype=np.uint64)
    return known[:count]


def _their_texts(path: str) -> Iterator[tuple[str, str]]:
    """Yield (meeting, text) for everything at `path`: rows of JSON Lines, or the lines of any other text file."""
    for source, file in find_documents(path):
        if ".jsonl" in file.suffixes:
            for row in read_rows(file):
                yield (
                    "|".join(str(row.get(key) or "") for key in ("assembly", "date", "meeting")).strip("|") or f"{source}:{row.get('id')}",
                    row["text"],
                )
        else:
            for line in decode(file.read_bytes()).splitlines():
                yield source, line
