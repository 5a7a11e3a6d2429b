"""Labelled files: what is wrong is said with file, line and what would be right."""

from pathlib import Path

import pytest

from conftest import write_rows
from gikai import InputError
from gikai.dataset import load_labelled
from gikai.labels import load_taxonomy

GOOD = {"id": "a", "text": "窓口を　直します。", "initiatives": [], "role": "member"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "あ"}, r':2: "id" must be a non-empty string'),
        ({"id": "b", "text": " "}, r':2: "text" must be a non-empty string'),
        ({"id": "a", "text": "あ"}, r":2: id 'a' was already used on line 1"),
        ({"id": "b", "text": "あ", "initiatives": ["ai"]}, r":2: .*unknown label 'ai'.*online_procedures, frontyard_counter"),
        ({"id": "b", "text": "あ", "role": "mayor"}, r":2: .*unknown label 'mayor'.*chair, member"),
        ({"id": "b", "text": "あ", "initiatives": "ai_rpa"}, r":2: .*must be a list"),
        ({"id": "b", "text": "あ", "date": "令和6年"}, r':2: "date" must be YYYY-MM-DD'),
        ({"id": "b", "text": "あ", "assembly": 3}, r':2: "assembly" must be a string'),
        ({"id": "b", "text": "\u200b"}, r":2: the text has no visible character"),
    ],
)
def test_faults(root: Path, tmp_path: Path, row: dict[str, object], message: str) -> None:
    path = write_rows(tmp_path / "x.jsonl", [GOOD, row])
    with pytest.raises(InputError, match=message):
        load_labelled(path, load_taxonomy(root / "data/taxonomy"))


def test_partial_labels_and_normalised_text(root: Path, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "x.jsonl", [GOOD, {"id": "b", "text": "ＤＸ", "role": "chair"}])
    first, second = load_labelled(path, load_taxonomy(root / "data/taxonomy"))
    assert first.text == "窓口を 直します。"
    assert second.gold == {"initiative": None, "role": "chair"}


def test_a_file_without_any_label_is_refused(root: Path, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "x.jsonl", [{"id": "b", "text": "あ"}])
    with pytest.raises(InputError, match='no passage has "initiatives" or "role"'):
        load_labelled(path, load_taxonomy(root / "data/taxonomy"))
