"""Occlusion: the word that makes a label weighs most, and offsets point at words of the text."""

import itertools
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gikai.attributions import occlusion, words
from gikai.text import normalise


def probabilities(texts: Sequence[str]) -> np.ndarray:
    """Column 0 likes 電子申請, column 1 dislikes it."""
    seen = np.array(["電子申請" in text for text in texts])
    return np.stack([np.where(seen, 0.9, 0.2), np.where(seen, 0.1, 0.5)], axis=1)


def test_the_word_that_makes_the_label_weighs_most() -> None:
    text = "来年の春から電子申請を始めます。"
    found = occlusion([text, "窓口です。", text], [[0, 1], [], [1]], probabilities)
    start, end, weight = found[0][0][0]
    assert text[start:end] == "電子申請を"
    assert weight == round(float(np.log(9) - np.log(0.25)), 3)
    assert found[0][1][0][2] < 0
    assert found[1] == {}
    assert found[2] == {1: found[0][1]}
    assert len(found[0][0]) == 1


def test_a_text_of_one_word_has_nothing_to_take_out() -> None:
    assert occlusion(["電子申請"], [[0]], probabilities) == [{0: []}]


def test_particles_lean_on_their_word() -> None:
    text = "マイナンバーカードの交付率は60%でございます。"
    assert [text[start:end] for start, end in words(text)] == ["マイナンバーカードの", "交付率は", "60%でございます。"]


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
def test_words_are_disjoint_and_cover_all_but_spaces(text: str) -> None:
    text = normalise(text)
    spans = words(text)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    assert "".join(text[start:end] for start, end in spans).replace(" ", "") == text.replace(" ", "")
