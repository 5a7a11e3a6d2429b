"""Passages: nothing lost, bounds kept, brackets respected."""

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from gikai.passages import LONGEST, SENTENCES, clauses, passages, sentences
from gikai.text import normalise

SPOKEN = (
    st.lists(
        st.text(alphabet="あいうえ亜議会、「」（）()『』です", min_size=1, max_size=120).map(lambda s: s + "。"), min_size=1, max_size=20
    )
    .map("".join)
    .map(normalise)
)


def visible(text: str) -> str:
    return re.sub(r"\W", "", text)


@given(SPOKEN)
def test_every_visible_character_is_in_exactly_one_passage(text: str) -> None:
    spans = passages(text)
    assert visible("".join(text[start:end] for start, end in spans)) == visible(text)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


@given(SPOKEN)
def test_bounds(text: str) -> None:
    for start, end in passages(text):
        inside = sentences(text[start:end])
        assert len(inside) <= SENTENCES
        assert end - start <= LONGEST or len(inside) == 1


def test_full_stops_in_brackets_do_not_end_a_sentence() -> None:
    text = "市長は「やります。必ずやります。」と述べました。次に移ります(以上。)ので。"
    assert [text[a:b] for a, b in sentences(text)] == ["市長は「やります。必ずやります。」と述べました。", "次に移ります(以上。)ので。"]


def test_a_bracket_never_closed_does_not_swallow_the_speech() -> None:
    text = "彼は「そうです。" + "次の文であります。" * 80
    assert len(sentences(text)) > 20
    assert max(end - start for start, end in passages(text)) <= LONGEST


def test_a_short_speech_is_one_short_passage() -> None:
    assert passages("賛成です。") == [(0, 5)]
    assert passages("") == []
    assert passages("……。") == []


def test_a_long_sentence_stays_whole() -> None:
    text = "それから、" * 150 + "以上です。"
    assert passages(text) == [(0, len(text))]


def test_speech_recognition_is_cut_at_clause_ends() -> None:
    text = "えーそれでは次の質問に移りたいと思います" * 30
    spans = passages(text, unpunctuated=True)
    assert len(spans) > 1
    assert "".join(text[a:b] for a, b in spans) == text
    assert max(b - a for a, b in clauses(text)) < 200
