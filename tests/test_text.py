"""Normalisation: idempotent, and what it is said to do."""

from hypothesis import given
from hypothesis import strategies as st

from gikai.text import normalise, quote


@given(st.text())
def test_normalise_is_idempotent(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@given(st.text())
def test_normalised_text_has_single_spaces_and_no_controls(text: str) -> None:
    normal = normalise(text)
    assert "  " not in normal
    assert normal == normal.strip()
    assert not any(character in normal for character in "\t\n\r\x00\u200b\ufeff")


@given(st.text(st.characters(codec="utf-8")) | st.text("あ県DX 1、。"))
def test_text_that_is_in_this_form_already_comes_back_as_it_would_have(text: str) -> None:
    normal = normalise(text)
    assert normalise(normal) == normalise(f"\u3000{normal}\u200b\n") == normal


def test_widths() -> None:
    assert normalise("ＤＸ\u3000推進（第２回）\r\nｶｰﾄﾞ") == "DX 推進(第2回) カード"


def test_quote_is_one_short_line() -> None:
    assert quote("一\n二", 10) == "一 二"
    assert len(quote("あ" * 100, 20)) == 20
