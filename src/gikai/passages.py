"""Speeches to passages: sentences, brackets respected, grouped by 1 to 5 into 80 to 400 characters.

Library module; no command of its own.
"""

import itertools
import re
from collections.abc import Iterator, Sequence

from datasketch import MinHash, MinHashLSH

SHINGLE = 5
SIMILAR = 0.8
CONTAINED = 0.9
ALIKE = 0.5
"""Jaccard similarity from which containment counts: a short phrase within a long passage is no repeat of it."""
SENTENCES = 5
SHORTEST = 80
AIM = 150
LONGEST = 400

_OPEN, _CLOSE = "「『(〔【[", "」』)〕】]"
_ENDS = re.compile(r"(?P<end>[。?!？！]+) *")
# Where spoken Japanese without full stops may be cut: after a polite or conjunctive clause end.
_CLAUSE = re.compile(
    r"(?:ます|です|ました|でした|ません|ましょう|ください|ございます)(?=[^かがけのしとねよ])|(?:けれども|ですが|ますが|ので|まして|ですけど|ますと|、)"
)
CLAUSE_AIM = 120


def sentences(text: str) -> list[tuple[int, int]]:
    """Return offsets of the sentences of normalised `text`, together covering every character but spaces between them.

    A full stop inside 「」 or （） does not end a sentence; a bracket left open for 400 characters is taken as a slip.
    """
    bracketed = _bracketed(text)
    spans: list[tuple[int, int]] = []
    start = 0
    for end in _ENDS.finditer(text):
        if end.start() >= start and not bracketed[end.start()]:
            spans.append((start, end.end("end")))
            start = end.end()
    if start < len(text):
        spans.append((start, len(text)))
    return [span for span in spans if re.search(r"\w", text[span[0] : span[1]])] if re.search(r"\w", text) else []


def _bracketed(text: str) -> list[bool]:
    """Return for every character whether it is within a pair of brackets that are at most `LONGEST` apart."""
    inside = [0] * (len(text) + 1)
    opened: list[int] = []
    for position, character in enumerate(text):
        if character in _OPEN:
            opened.append(position)
        elif character in _CLOSE and opened and position - (start := opened.pop()) <= LONGEST:
            inside[start] += 1
            inside[position] -= 1
    return [depth > 0 for depth in itertools.accumulate(inside)]


def clauses(text: str) -> list[tuple[int, int]]:
    """Return offsets of stretches of about 120 characters, cut at clause ends: sentences for text without full stops."""
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _CLAUSE.finditer(text):
        if match.end() - start >= CLAUSE_AIM:
            spans.append((start, match.end()))
            start = match.end()
            while start < len(text) and text[start] == " ":
                start += 1
    if start < len(text):
        spans.append((start, len(text)))
    return spans


def passages(text: str, unpunctuated: bool = False) -> list[tuple[int, int]]:
    """Return offsets of the passages of one speech, in order, covering all that was said.

    Each holds 1 to 5 whole sentences and 80 to 400 characters where the speech allows: a shorter speech is one short
    passage, a longer sentence stays whole. Stretches are closed at about 150 characters; a short rest joins the
    passage before it where that stays within bounds.
    """
    spans = clauses(text) if unpunctuated else sentences(text)
    groups: list[list[tuple[int, int]]] = []
    for span in spans:
        if groups and _fits(groups[-1], span) and groups[-1][-1][1] - groups[-1][0][0] < AIM:
            groups[-1].append(span)
        else:
            groups.append([span])
    if len(groups) > 1 and groups[-1][-1][1] - groups[-1][0][0] < SHORTEST:
        rest = groups[-1]
        if len(groups[-2]) + len(rest) <= SENTENCES and rest[-1][1] - groups[-2][0][0] <= LONGEST:
            groups[-2:] = [groups[-2] + rest]
    return [(group[0][0], group[-1][1]) for group in groups]


def near_duplicates(texts: Sequence[str]) -> Iterator[tuple[int, int, float]]:
    """Yield (index, an earlier index, Jaccard similarity) for texts that repeat an earlier one, exactly or nearly.

    Near: Jaccard similarity of character 5-grams of 0.8, or of 0.5 with containment of 0.9, white space apart. MinHash with banding
    proposes pairs (Broder 1997); the exact sets decide.
    """
    index = MinHashLSH(threshold=ALIKE, num_perm=64)
    sets: dict[int, set[bytes]] = {}
    for number, text in enumerate(texts):
        compact = re.sub(r"\s+", "", text)
        grams = {compact[start : start + SHINGLE].encode() for start in range(max(1, len(compact) - SHINGLE + 1))}
        sketch = MinHash(num_perm=64)
        sketch.update_batch(grams)
        for other in sorted(index.query(sketch)):
            shared = len(grams & sets[other])
            jaccard = shared / len(grams | sets[other])
            if jaccard >= SIMILAR or (jaccard >= ALIKE and shared >= CONTAINED * min(len(grams), len(sets[other]))):
                yield number, other, jaccard
        index.insert(number, sketch)
        sets[number] = grams


def _fits(group: list[tuple[int, int]], span: tuple[int, int]) -> bool:
    return len(group) < SENTENCES and span[1] - group[0][0] <= LONGEST
