"""Minutes to speeches: plain text, search results, tables, encodings; nothing raises but InputError."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gikai import InputError
from gikai.minutes import find_documents, iterate, read_minutes
from gikai.minutes.plain import date_of
from gikai.records import Minutes

PLAIN = """榎並市議会会議録
令和６年６月12日（水曜日）　令和６年第２回定例会
出席議員（18名）
─────────────
午前10時00分　開議
○議長（砂川とし江君）　開議します。
　〔７番　木曽文吾君登壇〕
○７番（木曽文吾君）　伺います。
　窓口はどうなりますか。（拍手）
- 12 -
○市長（大和田喜八君）（登壇）　お答えします。〔「そうだ」と呼ぶ者あり〕直します。
△議案第１号　補正予算
○議長（砂川とし江君）　終わります。
午前11時　散会
"""


def read(text: str) -> Minutes:
    return read_minutes(text.encode(), "x.txt")


def test_plain_minutes() -> None:
    minutes = read(PLAIN)
    assert (minutes.assembly, minutes.date) == ("榎並市議会", "2024-06-12")
    assert [(s.role, s.speaker, s.title, s.text) for s in minutes.speeches] == [
        ("chair", "砂川とし江", "議長", "開議します。"),
        ("member", "木曽文吾", "7番", "伺います。 窓口はどうなりますか。"),
        ("executive_head", "大和田喜八", "市長", "お答えします。 直します。"),
        ("chair", "砂川とし江", "議長", "終わります。"),
    ]


def test_committee_is_told_from_its_headers() -> None:
    minutes = read("○委員長（壬生八重君）　開きます。\n○委員（庚沢六子君）　伺います。\n○副委員長（丙田次郎君）　私も伺います。\n")
    assert [s.role for s in minutes.speeches] == ["chair", "member", None]


SEARCH = """帆波町議会 2024-06-12 06月12日-03号
町では窓口の申請書を書かずに済むようにいたしました。三つの届が対象です。
14 ◯早瀬光委員【 3頁】 少し心配なのですけれども、いつからでしょうか。
一方、計画には三つの方針がございます。 ○議長(藤間新太) 市民部長。
"""


def test_search_results_keep_one_row_a_line() -> None:
    minutes = read(SEARCH)
    assert [(s.assembly, s.role, s.text) for s in minutes.speeches] == [
        ("帆波町議会", None, "町では窓口の申請書を書かずに済むようにいたしました。三つの届が対象です。"),
        (None, "member", "少し心配なのですけれども、いつからでしょうか。"),
        (None, None, "一方、計画には三つの方針がございます。"),
    ]
    assert all(s.passages == ((0, len(s.text)),) for s in minutes.speeches)
    assert minutes.speeches[0].date == "2024-06-12"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932", "euc_jp", "iso2022_jp", "utf-16"])
def test_encodings(encoding: str) -> None:
    plain = PLAIN.replace("─", "-") * 3
    assert len(read_minutes(plain.encode(encoding), "x").speeches) == 12


def test_tables(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [{"id": "a", "text": "窓口を直します。", "title": "市長", "meeting": "定例会"}, {"id": "b", "text": "長い発言です。" * 80}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "x.parquet")
    jsonl = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    csv = "id,text,title,meeting\na,窓口を直します。,市長,定例会\nb," + "長い発言です。" * 80 + ",,\n"
    for data in (jsonl.encode(), gzip.compress(jsonl.encode()), csv.encode("cp932"), (tmp_path / "x.parquet").read_bytes()):
        minutes = read_minutes(data, "x")
        assert [(s.id, s.role) for s in minutes.speeches] == [("a", "executive_head"), ("b", None)]
        assert minutes.speeches[0].passages == ((0, 8),)
        assert minutes.speeches[1].passages is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n\t", "empty"),
        (b"\x7fELF\x00\x00\x01", "binary"),
        (bytes(range(128, 256)) * 20, "binary, or in no encoding"),
        (b"\x1f\x8b\x08broken", "damaged"),
        (b"PAR1broken", "not a readable Parquet"),
        ("─────\n- 3 -\n".encode(), "no speech"),
        (b'{"text": "a"}\n{"txet": "b"}', 'line 2 has no "text"'),
    ],
)
def test_rejections_have_one_short_reason(data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        read_minutes(data, "x")
    assert "\n" not in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=400),
        st.text(max_size=300).map(str.encode),
        st.text(alphabet="○議長（君）\n「」〔〕。あ△1", max_size=300).map(str.encode),
    )
)
def test_any_bytes_give_speeches_or_a_reason(data: bytes) -> None:
    reason = ""
    speeches = None
    try:
        speeches = read_minutes(data, "x").speeches
    except InputError as error:
        reason = str(error)
    assert all(speech.text for speech in speeches) if speeches else reason and "\n" not in reason


def test_a_folder_in_a_fixed_order_without_hidden_files(tmp_path: Path) -> None:
    for name in ("b.txt", "a/c.txt", ".hidden/x.txt", "a/.y.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(PLAIN, encoding="utf-8")
    assert [source for source, _ in find_documents(str(tmp_path))] == ["a/c.txt", "b.txt"]
    assert len(list(iterate(find_documents(str(tmp_path / "*.txt"))))) == 1
    with pytest.raises(InputError, match="no such file"):
        find_documents(str(tmp_path / "none"))


def test_dates() -> None:
    assert date_of("令和元年5月1日") == "2019-05-01"
    assert date_of("平成31年4月30日") == "2019-04-30"
    assert date_of("2024-06-12 3号") == "2024-06-12"
    assert date_of("日付なし") is None


def test_samples_have_every_form(root: Path) -> None:
    documents = [minutes for _, minutes in iterate(find_documents(str(root / "data/samples"))) if isinstance(minutes, Minutes)]
    assert len(documents) == 3
    assert {minutes.assembly for minutes in documents} == {"榎並市議会", "帆波町議会", "水守県議会"}
    assert all(speech.role for minutes in documents for speech in minutes.speeches)
    assert not any(mark in speech.text for minutes in documents for speech in minutes.speeches for mark in ("○", "◯", "〔", "拍手"))


def test_headings_rules_and_times_inside_a_speech_lose_nothing() -> None:
    text = "○市長（甲野太郎君）　三点申します。\n◎１　電子申請\n利用率は三割です。\n──────\n午後１時　再開\n九月から始めます。\n閉会　午後３時\n署名議員\n"
    assert [s.text for s in read(text).speeches] == ["三点申します。 利用率は三割です。 九月から始めます。"]


@pytest.mark.parametrize(
    "added",
    [
        "（拍手起こる）",
        "（「異議なし」の声）",
        "（笑声あり）",
        "（「議長」と呼ぶ）",
        "（「賛成」「反対」と呼ぶ者あり）",
        "〔市長登壇〕",
        "（拍手する者あり）",
    ],
)
def test_what_stenographers_add_is_taken_out(added: str) -> None:
    assert [s.text for s in read(f"○市長（甲野太郎君）　前です。{added}後です。").speeches] == ["前です。 後です。"]


def test_headers_in_rows_do_not_reach_the_text() -> None:
    row = json.dumps({"text": "○市長（甲野太郎君）　お答えします。 ○議長（乙山花子君） 次。"}, ensure_ascii=False)
    (speech,) = read(row + "\n").speeches
    assert (speech.text, speech.speaker, speech.role) == ("お答えします。", "甲野太郎", "executive_head")


def test_rows_without_words_leave_the_ids_of_the_others_alone() -> None:
    rows = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in ("（拍手）", "窓口を直します。"))
    assert [s.id for s in read(rows).speeches] == ["x.txt#2"]


@pytest.mark.parametrize("data", [b"text\ra\rb", b'{"text": "\\ud800\xe3\x81\x82"}', b'{"text":' + b"[" * 100000])
def test_odd_tables_are_read_or_rejected(data: bytes) -> None:
    try:
        assert all(speech.text.encode() for speech in read_minutes(data, "x").speeches)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
