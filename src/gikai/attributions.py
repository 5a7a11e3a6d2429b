"""Which words made a label: what its log-odds lose when a word is taken out (occlusion; Zeiler and Fergus 2014).

Library module; no command of its own. Works for every predictor, since it only asks for probabilities.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

LEAST = 0.01
"""Weights below this are not kept."""
_FUNCTION = {"助詞", "助動詞", "補助記号", "接尾辞", "空白"}
"""Parts of speech that lean on the word before them."""
_NOUN = {"名詞", "接頭辞"}


def words(text: str) -> list[tuple[int, int]]:
    """Return offsets of the words of normalised `text`, with the particles and endings that lean on them.

    Runs of nouns are one word (電子申請, マイナンバーカード), since taking out half of one leaves the other to be read.
    """
    spans: list[tuple[int, int]] = []
    position, before, noun = 0, ("", ""), False
    for surface, part, kind in _morphemes(text):
        start = text.index(surface, position)
        position = start + len(surface)
        # An auxiliary verb (行って|おり|ます) leans; the same verb after a case particle (申請を|始める) stands for itself.
        leans = part in _FUNCTION or (kind == "非自立可能" and before[1] not in ("格助詞", "係助詞"))
        joins = spans and spans[-1][1] == start and (leans or (noun and part in _NOUN) or before[0] == "接頭辞")
        if joins:
            spans[-1] = (spans[-1][0], position)
        else:
            spans.append((start, position))
        before, noun = (part, kind), part in _NOUN or (part == "接尾辞" and noun)
    return spans


def occlusion(
    texts: Sequence[str], columns: Sequence[Sequence[int]], probabilities: Callable[[Sequence[str]], np.ndarray]
) -> list[dict[int, list[list[Any]]]]:
    """Return for each text, by column, `[start, end, weight]` of its words: the fall of that column's log-odds without it.

    `columns` says which outputs of each text to explain; `probabilities` turns texts into `(n, all labels)`. Weights
    below LEAST are left out.
    """
    spans = [words(text) if wanted else [] for text, wanted in zip(texts, columns, strict=True)]
    variants = [text[:start] + text[end:] for text, of_text in zip(texts, spans, strict=True) for start, end in of_text]
    # A text of one word leaves nothing to read.
    kept = [number for number, variant in enumerate(variants) if variant.strip()]
    log_odds = _log_odds(probabilities([*texts, *(variants[number] for number in kept)]))
    whole = log_odds[: len(texts)]
    without = np.full((len(variants), log_odds.shape[1]), np.nan)
    without[kept] = log_odds[len(texts) :]
    result = []
    position = 0
    for row, (of_text, wanted) in enumerate(zip(spans, columns, strict=True)):
        falls = whole[row] - without[position : position + len(of_text)]
        position += len(of_text)
        result.append(
            {
                column: [
                    [start, end, round(float(fall), 3)]
                    for (start, end), fall in zip(of_text, falls[:, column], strict=True)
                    if abs(fall) >= LEAST
                ]
                for column in wanted
            }
        )
    return result


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    kept = probabilities.clip(1e-9, 1 - 1e-9)
    return np.asarray(np.log(kept) - np.log1p(-kept))


@cache
def _tagger() -> Any:
    import fugashi
    import unidic_lite

    folder = unidic_lite.DICDIR
    return fugashi.GenericTagger(f'-d "{folder}" -r "{folder}/mecabrc"')


def _morphemes(text: str) -> list[tuple[str, str, str]]:
    """Return (surface, part of speech, its first subdivision) of every morpheme."""
    return [(node.surface, node.feature[0], node.feature[1] if len(node.feature) > 1 else "") for node in _tagger()(text)]
