"""Slices hold the passages that they say, and changed texts say the same in another form."""

import pytest

from gikai.records import Passage
from gikai.slices import CHANGES, LEAST, members
from gikai.text import normalise

TEXT = "帆波町のスマート自治体構想では、甲野太郎議員の御質問のとおり、DXをRPA2件で「試行」します。各議員、皆さんもよろしいですか?"


def passage(text: str = TEXT, **more: str) -> Passage:
    return Passage(id="a", text=normalise(text), **more)


def test_members_of_slices() -> None:
    towns = [passage(assembly="帆波町議会", date="2024-03-01", meeting="総務常任委員会")] * LEAST
    others = [
        passage("短い。", assembly="水守県議会", date="2023-03-01", meeting="令和5年第1回定例会", role_source="header"),
        passage("途中で切れ", assembly="組合", role_source="header"),
    ] * LEAST
    found = {(name, value): rows for name, value, rows in members([*towns, *others])}
    assert found["assembly", "町"] == list(range(LEAST))
    assert found["assembly", "都道府県"] == list(range(LEAST, 3 * LEAST, 2))
    assert found["year", "2024"] == list(range(LEAST))
    assert found["meeting", "committee"] == list(range(LEAST))
    assert found["meeting", "plenary"] == found["assembly", "都道府県"]
    assert found["end", "cut off"] == list(range(LEAST + 1, 3 * LEAST, 2))
    assert found["length", "0 to 99 characters"] == list(range(3 * LEAST))
    assert found["role from", "header"] == list(range(LEAST, 3 * LEAST))
    assert members(towns[: LEAST - 1]) == []


def test_search_words_are_masked() -> None:
    assert "スマート自治体" not in CHANGES["search word masked"](passage())
    assert "DX" not in CHANGES["search word masked"](passage())
    assert CHANGES["search word masked"](passage()).count("［語］") == 2


def test_names_are_masked_and_other_people_are_not() -> None:
    masked = CHANGES["names masked"](passage(assembly="帆波町議会"))
    assert "帆波" not in masked
    assert "甲野" not in masked
    assert "［氏名］議員" in masked
    assert "各議員、皆さんも" in masked


@pytest.mark.parametrize("change", ["half-width", "full-width"])
def test_width_is_gone_after_normalising(change: str) -> None:
    text = passage("ガ行とパソコンのDX、RPA2件です!")
    changed = CHANGES[change](text)
    assert changed != text.text
    assert normalise(changed) == text.text


def test_speech_recognition_has_no_punctuation() -> None:
    assert CHANGES["without punctuation"](passage("はい、2.5件を「試行」します。")) == "はい2.5件を試行します"
