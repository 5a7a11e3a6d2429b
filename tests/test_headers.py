"""Speaker headers: every form of guidelines 3.2 and 3.3, on fictional people."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gikai.minutes import parse_header, role_of

PLENARY = [
    ("○議長（甲野太郎君）　これより会議を開きます。", "甲野太郎", "議長", "chair", "これより会議を開きます。"),
    ("◯議長（甲野　太郎君）　開議します。", "甲野　太郎", "議長", "chair", "開議します。"),
    ("〇２９番（乙山花子議員）　質問します。", "乙山花子", "２９番", "member", "質問します。"),
    ("○（丙田次郎区長）　お答えします。", "丙田次郎", "区長", "executive_head", "お答えします。"),
    ("○（丙田次郎議長）　次に参ります。", "丙田次郎", "議長", "chair", "次に参ります。"),
    ("◎市長（丁川三郎君）　お答えいたします。", "丁川三郎", "市長", "executive_head", "お答えいたします。"),
    ("◯丁川市長　お答えいたします。", "丁川", "市長", "executive_head", "お答えいたします。"),
    ("○総務課長（戊村四郎）　御説明します。", "戊村四郎", "総務課長", "executive_official", "御説明します。"),
    ("○総務課長兼デジタル推進室長（戊村四郎君）　はい。", "戊村四郎", "総務課長兼デジタル推進室長", "executive_official", "はい。"),
    ("○青嶺支所長（兼地域振興課長）（己野五郎君）　はい。", "己野五郎", "青嶺支所長（兼地域振興課長）", "executive_official", "はい。"),
    ("○議員（８番　庚沢六子君）　伺います。", "庚沢六子", "議員", "member", "伺います。"),
    ("◯24番庚沢六子議員　伺います。", "庚沢六子", "24番", "member", "伺います。"),
    ("◆庚沢六子君　伺います。", "庚沢六子", None, "member", "伺います。"),
    ("○市岡企画財政課長　お答えします。", "市岡", "企画財政課長", "executive_official", "お答えします。"),
    ("○総務課長　鈴木一郎　お答えします。", "鈴木一郎", "総務課長", "executive_official", "お答えします。"),
    ("○教育長（辛島七郎君）（登壇）　お答えします。", "辛島七郎", "教育長", "executive_official", "（登壇）　お答えします。"),
    ("○総務常任委員長（壬生八重君）　御報告します。", "壬生八重", "総務常任委員長", "committee_reporter", "御報告します。"),
    ("○選挙管理委員会委員長（壬生八重君）　はい。", "壬生八重", "選挙管理委員会委員長", "executive_official", "はい。"),
    ("○代表監査委員（壬生八重君）　はい。", "壬生八重", "代表監査委員", "executive_official", "はい。"),
    ("○臨時議長（壬生八重君）　はい。", "壬生八重", "臨時議長", "chair", "はい。"),
    ("○市長職務代理者副市長（壬生八重君）　はい。", "壬生八重", "市長職務代理者副市長", "executive_official", "はい。"),
    ("○議会事務局長（壬生八重君）　はい。", "壬生八重", "議会事務局長", "other", "はい。"),
    ("○参考人（壬生八重君）　はい。", "壬生八重", "参考人", "other", "はい。"),
    ("○紹介議員（壬生八重君）　はい。", "壬生八重", "紹介議員", "committee_reporter", "はい。"),
    ("○市長公室長（壬生八重君）　はい。", "壬生八重", "市長公室長", "executive_official", "はい。"),
    ("○会計管理者（壬生八重君）　はい。", "壬生八重", "会計管理者", "executive_official", "はい。"),
    ("○３番　甲野太郎議員　伺います。", "甲野太郎", "３番", "member", "伺います。"),
    ("○榎並市長（甲野太郎君）　はい。", "甲野太郎", "榎並市長", "executive_head", "はい。"),
    ("議長（甲野太郎君）　開議します。", "甲野太郎", "議長", "chair", "開議します。"),
    ("12 ◯乙山花子委員【 3頁】 少し心配です。", "乙山花子", "委員", "member", "少し心配です。"),
]
COMMITTEE = [
    ("◯丁川委員長　開会します。", "丁川", "委員長", "chair", "開会します。"),
    ("○総務委員長（壬生八重君）　開会します。", "壬生八重", "総務委員長", "chair", "開会します。"),
    ("○副委員長（壬生八重君）　伺います。", "壬生八重", "副委員長", None, "伺います。"),
    ("◎戊村　都市計画課長　お答えします。", "戊村", "都市計画課長", "executive_official", "お答えします。"),
    ("◆庚沢　委員　伺います。", "庚沢", "委員", "member", "伺います。"),
]
NOT_HEADERS = [
    "○一般質問",
    "◎日程第１　会議録署名議員の指名",
    "○議長の選挙について",
    "△議案第５号　条例の一部改正について",
    "○○番（甲野太郎君）　質問します。",
    "○（拍手）",
    "本日の出席議員は次のとおりである。",
    "　市長が申し上げたとおりでございます。",
    "○議長（氏名君）　→ role=議長, name=氏名",
    "",
    "○",
]


@pytest.mark.parametrize(("line", "name", "title", "role", "rest"), PLENARY)
def test_plenary(line: str, name: str, title: str, role: str, rest: str) -> None:
    header = parse_header(line, plenary=True)
    assert header is not None
    assert (header.name, header.title, header.role, header.rest) == (name, title, role, rest)


@pytest.mark.parametrize(("line", "name", "title", "role", "rest"), COMMITTEE)
def test_committee(line: str, name: str, title: str, role: str | None, rest: str) -> None:
    header = parse_header(line, plenary=False)
    assert header is not None
    assert (header.name, header.title, header.role, header.rest) == (name, title, role, rest)


# Every mark, system and kind of title, and lines that look like headers: sitting (P plenary, C committee), line, name (- for no header), title, role.
with (Path(__file__).parent / "fixtures/header_lines.tsv").open(encoding="utf-8", newline="") as _file:
    VARIED = list(csv.DictReader(_file, delimiter="\t", quoting=csv.QUOTE_NONE))


@pytest.mark.parametrize("row", VARIED, ids=lambda row: f"{row['sitting']} {row['line'][:30]}")
def test_varied_lines(row: dict[str, str]) -> None:
    header = parse_header(row["line"], plenary=row["sitting"] == "P")
    found = ("-", "", "") if header is None else (header.name or "", header.title or "", header.role or "")
    assert found == (row["name"], row["title"], row["role"])


@pytest.mark.parametrize("line", NOT_HEADERS)
def test_not_a_header(line: str) -> None:
    assert parse_header(line, plenary=True) is None


@given(st.text(alphabet="○◯◎◆（）()君議長市委員番１2 　課長田中。、兼【】頁:→", max_size=40), st.booleans())
def test_any_line_gives_a_header_or_none(line: str, plenary: bool) -> None:
    header = parse_header(line, plenary)
    if header is not None:
        assert line.endswith(header.rest)
        assert header.name or header.title


def test_no_title_is_a_member_and_an_unknown_one_is_nobody() -> None:
    assert role_of(None, plenary=True) == "member"
    assert role_of("朗読", plenary=True) is None
