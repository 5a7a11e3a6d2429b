"""Data checks: each fault is found, and clean data passes."""

import json
from pathlib import Path

import numpy as np

from conftest import gikai, labelled_rows, write_rows
from gikai.checks import SPAN, _hashes, check_data
from gikai.config import CheckData

TEXT = "町の図書館では、貸出しの手続を家の画面から済ませられるようにしまして、昨年の秋から三千二百人の方に御利用いただいております。"


def problems(folder: Path, rows: dict[str, list[dict[str, object]]], **settings: object) -> list[str]:
    paths = [str(write_rows(folder / f"{name}.jsonl", items)) for name, items in rows.items()]
    return check_data(CheckData(data=paths, **settings))  # type: ignore[arg-type]


def row(name: str, text: str, **more: object) -> dict[str, object]:
    return {"id": name, "text": text, "initiatives": [], "role": "member", **more}


def test_clean_data_passes(tmp_path: Path) -> None:
    assert problems(tmp_path, {"train": [row("a", TEXT)]}) == []


def test_each_fault_is_found(tmp_path: Path) -> None:
    rows = {
        "train": [
            row("a", TEXT, assembly="帆波町議会"),
            row("a", "別の話題でありまして、雪が降った朝に通学路の除雪をどの順番で進めるのか、地区の皆様に早めにお知らせをいたします。"),
            row("b", TEXT.replace("三千二百人", "三千三百人")),
            row("c", "○議長（甲野太郎君）　" + "これより会議を開き、" * 6),
            row("d", "拍手を頂きました。（拍手）今後とも努力してまいりますので、皆様の御理解と御協力をどうかよろしくお願い申し上げます。"),
            row("e", "短い。"),
            row("f", TEXT[::-1], initiatives=["dx"]),
        ],
        "holdout": [
            row(
                "g",
                "全く違う話でございまして、川の土手に咲く菜の花の種を毎年秋に子ども会の皆さんが播いてくださっております。",
                assembly="帆波町議会",
            )
        ],
    }
    found = "\n".join(problems(tmp_path, rows))
    for expected in (
        "id 'a' is also at",
        "near duplicate",
        "speaker header",
        "stage direction",
        "3 characters",
        "unknown label 'dx'",
        "帆波町議会 is in holdout and train",
    ):
        assert expected in found, expected


def test_copied_spans_are_found_and_formulas_are_not(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    formula = "これより質疑に入りますが、本件につきまして御質疑のある方は挙手を願いたいと存じます。"
    lines = [{"text": f"前置きが違います。{formula}", "assembly": f"架空{k}市", "date": None, "meeting": "定例会"} for k in range(3)]
    lines.append({"text": "前の文。" + TEXT[4:60] + "後の文。", "assembly": "某市", "meeting": "委員会"})
    (theirs / "m.jsonl").write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    rows = {"train": [row("a", TEXT), row("b", "委員長として申し上げます。" + formula)]}
    found = problems(tmp_path, rows, against=[str(theirs)])
    assert len(found) == 1
    assert "train.jsonl:1: shares 30 characters with 某市" in found[0]


def test_hashes_are_equal_only_for_equal_spans() -> None:
    text = "議会の会議録を読み上げます。" * 9 + "おわり"
    hashes = _hashes(text)
    spans = [text[k : k + SPAN] for k in range(len(text) - SPAN + 1)]
    assert len(hashes) == len(spans)
    assert len(np.unique(hashes)) == len(set(spans))
    assert hashes[3] == _hashes("違う前置き" + text[3:])[5]


def test_floors_hold_for_the_shipped_set_only(tmp_path: Path) -> None:
    rows = labelled_rows(20)
    few = problems(tmp_path, {"train": rows}, floors="shipped")
    assert any("20 passages; the floor is 2400" in line for line in few)
    assert not any("the floor is" in line for line in problems(tmp_path, {"train": rows}))


def test_command_exits_1_with_a_list(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "x.jsonl", [row("e", "短い。")])
    said = gikai("check_data", f"data={path}")
    assert said.returncode == 1
    assert said.stdout.splitlines()[-1] == f"1 problems in {path}"
