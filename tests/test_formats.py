"""Formats: one fixture each, of our own writing, and real samples where they are at hand. Nothing is lost, nobody is swapped."""

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gikai import InputError
from gikai.minutes import KINDS, account, documents, find_documents, iterate, parse_header, read_minutes
from gikai.records import Minutes
from gikai.text import normalise

FIXTURES = Path(__file__).parent / "fixtures/minutes"
SHARED = Path(__file__).resolve().parents[2] / "shared"
SAMPLES = SHARED / "minutes/formats"
shared = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real samples are not at hand")

# Format, and for each speech: role, speaker, title, beginning of the text.
EXPECTED = {
    "bubbles.md": ("Markdown, speech bubbles", [
        ("executive_head", "大和田喜八", "市長", "本案は、"), ("member", "真鍋和人", "議員", "交付率は"), ("executive_official", "桐生", "市民部長", "- 窓口:三割 - コン"),
    ]),
    "committee.txt": ("plain text", [
        ("chair", "小田切", "委員長", "ただいま"), ("member", "真鍋", "委員", "一点"), ("executive_official", "桐生", "デジタル推進課長", "お答え"),
        (None, "早瀬", "副委員長", "私からも"), ("member", "久我山(健)", "委員", "最後に"),
    ]),
    "dbsearch_frame.html": ("DB-Search HTML, one frame", [("chair", "砂川とし江", "議長", "これより"), ("member", "真鍋和人", "4番", "おはようございます。 審査の")]),
    "dbsearch_list.html": ("DB-Search HTML", [
        ("chair", "砂川とし江", "議長", "報告します。 定足数"), ("other", "壬生八重", "議会事務局長", "報告"), ("committee_reporter", "早瀬光", "議会運営委員長", "協議の"),
        ("member", "真鍋和人", "十一番", "私は A&B 社の事例"), ("chair", "砂川とし江", "議長", "討論を終わります。"),
    ]),
    "diet.json": ("Diet API JSON", [
        ("chair", "小田切正文", "委員長", "これより会議を開きます。 質疑"), ("member", "真鍋和人", "委員", "伺います"),
        ("executive_official", "大和田喜八", "国務大臣", "お答え"), ("other", "桐生静江", "参考人", "御紹介"),
    ]),
    "diet.xml": ("XML", [("chair", "砂川とし江", "議長", "これより"), ("member", "真鍋和人", None, "賛成の")]),
    "discussnet.json": ("DiscussNet JSON", [
        ("chair", "砂川とし江", "議長", "ただいま"), ("member", "真鍋和人", None, "電子申請について伺います。......以上です。"),
        ("executive_official", "桐生静江", "副市長", "お答え"), ("committee_reporter", "早瀬光", "総務常任委員長", "御報告いたします。 以上"),
        ("chair", "砂川とし江", "議長", "散会"),
    ]),
    "generic.json": ("JSON records", [
        ("chair", "砂川とし江", "議長", "再開"), ("member", "真鍋和人", "議員", "伺います。 二点"), ("executive_official", "桐生静江", "総務課長", "お答え"),
        (None, "早瀬光", None, "補足"),
    ]),
    "generic_table.html": ("HTML", [
        ("chair", "砂川", "議長", "再開"), ("executive_head", "大和田", "町長", "お答えします。 予算"), ("member", "真鍋和人", "議員", "伺います"),
        ("executive_official", "桐生", "総務課長", "榎並の件を"),
    ]),
    "gijiroku_committee.html": ("gijiroku.com HTML", [
        ("chair", "小田切", "委員長", "ただいま"), ("executive_official", "桐生", "福祉政策課長", "御報告"), ("member", "真鍋", "委員", "伺います"),
    ]),
    "gijiroku_plenary.html": ("gijiroku.com HTML", [("chair", "砂川とし江", "議長", "皆様"), ("executive_head", "大和田喜八", "市長", "御説明")]),
    "kensakusystem.txt": ("plain text", [
        ("chair", "砂川とし江", "議長", "ただいまから本日の会議を開きます。 会議録署名議員は、 1番"), ("member", "真鍋和人", "1番", "窓口の電子申請について伺います。 三割"),
        ("executive_head", "大和田喜八", "区長", "お答え"), ("other", "壬生八重", "議会事務局長", "諸般の"),
    ]),
    "plain.txt": ("plain text", [
        ("chair", "砂川 とし江", "議長", "ただいま"), ("member", "真鍋和人", "議員", "まず、3点"), ("executive_official", "桐生静江", "都市創造部長", "3点の"),
        ("committee_reporter", "早瀬 光", "総務常任委員長", "審査の"), ("chair", "砂川 とし江", "議長", "質疑は"),
    ]),
    "plain_pdf.txt": ("plain text", [
        ("chair", "砂川とし江", "議長", "本日は雨の中をお越しいただき恐れ入ります。開会の前に少しだけ申し上げます。今年は春が早く、町の桜も例年より十日ほど早く咲きました。"),
        ("chair", "砂川とし江", "議長", "日程第1は署名される方の指名でございます。今回は席順により、次のお二人といたしまして 1番 真鍋 和人 議員 7番"), ("chair", "砂川とし江", "議長", "町長どうぞ。"),
        ("executive_head", "大和田喜八", "町長", "四月からの取組を二点、順を追って御報告いたしますのでお聞きください。"), ("executive_official", "桐生静江", "税務住民課参事", "納付書の"),
    ]),
    "poliinfo2.json": ("PoliInfo-2 JSON", [
        ("chair", "小田切", "委員長", "ただいま"), ("executive_official", "桐生", "財務局長", "御説明申し上げます。 予算案"), ("other", "壬生", "議事部長", "お手元"),
        (None, "真鍋委長", None, "確認"),
    ]),
    "poliinfo3.json": ("PoliInfo-3 JSON", [
        ("chair", "砂川とし江", "議長", "会議を"), ("executive_head", "大和田喜八", "市長", "御説明"), ("member", "真鍋 和人", "議員", "質問"), (None, "桐生静江", "その他", "お答え"),
    ]),
    "poliinfo4.html": ("HTML", [("executive_head", "大和田 喜八", "市長", "計画の二年目に当たり、三つの柱をお示しします。 一つ目の")]),
    "poliinfo4.json": ("PoliInfo-4 JSON", [
        ("chair", "砂川とし江", "議長", "これより本日の会議を開きます。 議事部長をして"), ("other", "壬生八重", "議事部長", "知事より"),
        ("chair", "砂川とし江", "議長", "これより質問に入ります。"), ("member", "真鍋和人", "百十三番", "一点目を伺います。 二点目"),
    ]),
    "register_minutes.js": ("registerMinutes JavaScript", [
        ("chair", "小田切", "委員長", "これより"), ("chair", "小田切", "委員長", "よろしくお願いいたします。"), ("executive_official", "桐生", "戸籍住民課長", "御説明いたします。 項番1"),
        ("member", "久我山(伸)", "委員", "3項目"), ("other", "榎本", "区議会事務局長", "資料を御覧ください。"),
    ]),
    "rows.jsonl": ("JSON Lines", [("executive_head", "大和田喜八", "市長", "窓口"), ("member", "真鍋和人", "議員", "伺います"), (None, None, None, "話者のない")]),
    "rows_japanese.csv": ("CSV", [("executive_head", "大和田喜八", "町長", "お答え"), ("member", "真鍋和人", "3番", "伺います。 二点です。")]),
    "search_results.txt": ("search results", [(None, None, None, "町では"), ("member", "早瀬光", "委員", "少し心配")]),
    "transcript.md": ("Markdown", [(None, None, None, "皆様おはようございます。"), (None, None, None, "それではこれより審査に入ります。")]),
    "unmarked.txt": ("plain text", [
        ("chair", None, "委員長", "ただいま"), ("other", None, "議会事務局長", "会期の案を御説明します。 12日から"), ("member", "真鍋", "委員", "質問の"),
        (None, None, "副委員長", "私からも"), ("chair", None, "委員長", "これで"),
    ]),
    "variable.js": ("JSON in JavaScript", [("chair", "砂川", "議長", "再開"), ("member", "真鍋", "委員", "伺います")]),
}  # fmt: skip


def accounted(minutes: Minutes) -> None:
    shares = account(minutes)
    assert shares["unaccounted"] == 0, shares
    assert sum(shares.values()) == pytest.approx(1)
    assert {kind for kind, _ in minutes.asides} <= set(KINDS)


@pytest.mark.parametrize("name", sorted(path.name for path in FIXTURES.iterdir()))
def test_every_fixture(name: str) -> None:
    data = (FIXTURES / name).read_bytes()
    if name == "speakers.html":
        with pytest.raises(InputError, match="list of speakers"):
            read_minutes(data, name)
        return
    form, speeches = EXPECTED[name]
    minutes = read_minutes(data, name)
    assert minutes.format == form
    assert [(s.role, s.speaker, s.title) for s in minutes.speeches] == [speech[:3] for speech in speeches]
    for speech, expected in zip(minutes.speeches, speeches, strict=True):
        assert speech.text.startswith(expected[3])
        assert not re.search(r"[○◯〇◎◆〔〕<>]|拍手|台本|偽物", speech.text)
    accounted(minutes)


def test_where_and_when() -> None:
    stated = {
        "plain.txt": ("榎並市議会", "2024-06-12", "令和6年第2回定例会"),
        "discussnet.json": ("榎並市議会", "2024-06-12", "令和 6年第2回定例会"),
        "dbsearch_list.html": (None, "2024-06-12", "令和6年第2回定例会(第1号)"),
        "poliinfo3.json": ("榎並市", "2024-06-12", "令和6年第2回定例会(第1日)"),
        "register_minutes.js": (None, "2024-06-14", "2024年6月14日 区民委員会"),
        "generic.json": ("榎並町議会", "2024-06-12", "令和6年第2回定例会"),
        "diet.json": ("衆議院", "2024-03-05", "総務委員会"),
    }
    for name, (assembly, date, meeting) in stated.items():
        minutes = read_minutes((FIXTURES / name).read_bytes(), name)
        assert (minutes.assembly, minutes.date, minutes.meeting) == (assembly, date, meeting), name


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp932", "euc_jis_2004", "iso2022_jp_ext", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("name", ["plain.txt", "dbsearch_list.html", "poliinfo3.json", "rows_japanese.csv"])
def test_encodings(name: str, encoding: str) -> None:
    data = (FIXTURES / name).read_bytes()
    text = data.decode("cp932" if name.endswith(".csv") else "utf-8").replace("―", "-").replace("─", "-").replace("&nbsp;", "")
    minutes = read_minutes(text.encode(encoding), name)
    assert [s.speaker for s in minutes.speeches] == [speech[1] for speech in EXPECTED[name][1]]


def test_a_page_that_states_the_wrong_encoding_is_read_all_the_same() -> None:
    page = (FIXTURES / "gijiroku_plenary.html").read_bytes().decode("cp932")
    assert "charset=Shift_JIS" in page
    assert read_minutes(page.encode(), "x").speeches[1].speaker == "大和田喜八"


def test_word() -> None:
    body = "".join(
        f"<w:p><w:r><w:t>{line}</w:t></w:r></w:p>" for line in ("○議長（砂川とし江君）　開きます。", "○３番（真鍋和人君）　伺います。")
    )
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(
            "word/document.xml",
            f'<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>',
        )
    minutes = read_minutes(data.getvalue(), "x.docx")
    assert (minutes.format, [s.role for s in minutes.speeches]) == ("Word", ["chair", "member"])
    accounted(minutes)


def test_archives(tmp_path: Path) -> None:
    plain, page = (FIXTURES / "plain.txt").read_bytes(), (FIXTURES / "gijiroku_plenary.html").read_bytes()
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("x.txt", plain)
    with zipfile.ZipFile(tmp_path / "会議録.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("令和6年/plain.txt", plain)
        archive.writestr("page.html", page)
        archive.writestr("inner.zip", inner.getvalue())
        archive.writestr("../../escape.txt", plain)
        archive.writestr("__MACOSX/._page.html", b"\x00\x05")
        archive.writestr(".DS_Store", b"\x00")
        archive.writestr("empty.txt", b"")
        archive.writestr("folder/", b"")
    (tmp_path / "damaged.zip").write_bytes(b"PK\x03\x04damaged")
    found = dict(iterate(find_documents(str(tmp_path))))
    assert set(found) == {
        "damaged.zip",
        *(f"会議録.zip!{name}" for name in ("令和6年/plain.txt", "page.html", "inner.zip", "../../escape.txt", "empty.txt")),
    }
    assert len(found["会議録.zip!令和6年/plain.txt"].speeches) == 5  # type: ignore[union-attr]
    assert len(found["会議録.zip!page.html"].speeches) == 2  # type: ignore[union-attr]
    reasons = {source: str(reason) for source, reason in found.items() if isinstance(reason, InputError)}
    assert "inside an archive" in reasons["会議録.zip!inner.zip"]
    assert "leads out of the archive" in reasons["会議録.zip!../../escape.txt"]
    assert len(reasons) == 4
    assert not (tmp_path.parent / "escape.txt").exists()


def test_members_named_on_a_japanese_windows(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("x.txt")
        archive.writestr(info, (FIXTURES / "plain.txt").read_bytes())
    data = (tmp_path / "a.zip").read_bytes().replace(b"x.txt", "会.t".encode("cp932") + b"x")
    (tmp_path / "a.zip").write_bytes(data)
    assert [source for source, _ in find_documents(str(tmp_path))] == ["a.zip!会.tx"]


def test_archives_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "WHOLE", 10_000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("large.txt", "○議長（砂川とし江君）　開きます。\n" * 1000)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress("○議長（砂川とし江君）　開きます。\n".encode() * 1000))
    assert all("larger than" in str(reason) for _, reason in iterate(find_documents(str(tmp_path))))
    monkeypatch.setattr(documents, "MEMBERS", 1)
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for number in range(3):
            archive.writestr(f"{number}.txt", "○議長（砂川とし江君）　開きます。")
    assert [source for source, _ in find_documents(str(tmp_path / "many.zip"))] == ["many.zip"]
    assert "too many members" in str(next(iter(iterate(find_documents(str(tmp_path / "many.zip")))))[1])


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files(compress: object) -> None:
    assert len(read_minutes(compress((FIXTURES / "plain.txt").read_bytes()), "x").speeches) == 5  # type: ignore[operator]


@pytest.mark.parametrize("form", ["jsonl", "jsonl.gz", "csv", "parquet", "txt"])
def test_large_files_come_in_parts_that_are_the_whole(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / f"large.{form}"
    rows = [{"text": f"{number}番目の発言です。", "title": "市長"} for number in range(2500)]
    if form.startswith("jsonl"):
        data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(data) if form.endswith("gz") else data)
    elif form == "csv":
        path.write_text("text,title\n" + "".join(f"{row['text']},{row['title']}\n" for row in rows), encoding="utf-8")
    elif form == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(f"○市長（甲野太郎君）　{row['text']}\n" for row in rows), encoding="utf-8")
    whole = read_minutes(path.read_bytes(), path.name)
    monkeypatch.setattr(documents, "LARGE", 8_000)
    monkeypatch.setattr(documents, "PART", 400)
    parts = [minutes for _, minutes in iterate([(path.name, path)])]
    assert len(parts) > 1
    assert all(isinstance(part, Minutes) for part in parts)
    assert [s for part in parts for s in part.speeches] == list(whole.speeches)  # type: ignore[union-attr]
    assert [part.first for part in parts] == [sum(len(p.speeches) for p in parts[:n]) for n in range(len(parts))]  # type: ignore[union-attr]
    if form == "jsonl":
        path.write_bytes(path.read_bytes() + b"{broken\n")
        ((_, reason),) = iterate([(path.name, path)])
        assert "line 2501" in str(reason)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"%PDF-1.7\n", "pdftotext"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Word"),
        (b"{\\rtf1\\ansi", "RTF"),
        (b'{"a": 1,\n', "damaged JSON"),
        (b'{"a": 1}', "without records"),
        (b"[[" * 100_000, "nested too deeply"),
        ("自治体\t見出し\n榎並市\t○議長\n帆波町\t○町長\n".encode(), "without a column of texts; it has 自治体, 見出し"),
        (b"<html><body><a href='/'>x</a><p>y</p></body></html>", "no speech"),
    ],
)
def test_rejections_say_what_would_be_right(data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_minutes(data, "x")


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["○議長（砂川とし江君）　開きます。", "○３番（真鍋和人君）", "　伺います。（拍手）以上です。", "〔３番真鍋和人君登壇〕", "─────", "- 3 -", "午前10時　開議", "午後３時　散会",
             "〇出席議員（２人）", "　１番　真鍋和人", "△日程第１　会期の決定", "日程第２　議案第３号", "会議録署名議員は、", "【 3頁】", "「異議なし」と呼ぶ者あり", "（「異議なし」", "と呼ぶ者あり）",
             "か\u3099", "\u3099を", "´", "㌔ﾃﾞｼﾞﾀﾙ", "https://example.jp/a"]
        ),
        st.text(alphabet="○議長（君）「」〔〕。あ△1 　\u3099ﾞ", max_size=20),
        st.text(max_size=12),
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(LINES)
def test_every_character_of_plain_text_is_accounted_for(lines: list[str]) -> None:
    try:
        minutes = read_minutes("\n".join(["○議長（砂川とし江君）　はい。", *lines]).encode("utf-8", "ignore"), "x")
    except InputError:
        return
    accounted(minutes)


@settings(max_examples=150, deadline=None)
@given(LINES, st.sampled_from(["p", "div", "td", "pre", "b", "dt", "script", "li", "blockquote", "nav"]))
def test_every_character_of_a_page_is_accounted_for(lines: list[str], tag: str) -> None:
    page = "".join(f"<{tag}>{line}</{tag}>\n" for line in lines)
    try:
        minutes = read_minutes(f"<html><body><p>○議長（砂川とし江君）　はい。</p>{page}</body></html>".encode("utf-8", "ignore"), "x")
    except InputError:
        return
    accounted(minutes)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["議長", "３番", "市長", "その他", None]), LINES), min_size=1, max_size=5))
def test_every_character_of_records_is_accounted_for(records: list[tuple[str | None, list[str]]]) -> None:
    rows = [
        {"speakerPosition": position, "speaker": "甲野太郎" if position else None, "utterance": "\n".join(lines)}
        for position, lines in records
    ]
    try:
        minutes = read_minutes(json.dumps(rows).encode(), "x")
    except InputError:
        return
    accounted(minutes)
    # A title is a record's own, or stands in its text: あ 1議長）（「… reads as a header within the line.
    said = "".join(normalise(line) for _, lines in records for line in lines).replace(" ", "")
    assert all(s.title in {None, "議長", "3番", "市長", "その他"} or str(s.title).replace(" ", "") in said for s in minutes.speeches)


def raw_records(path: Path) -> list[tuple[str, str]]:
    """Return (speaker as the file has it, text) of a sample's records, read without the package."""
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".js":
        value = json.loads(text[text.index("registerMinutes(") + len("registerMinutes(") : text.rindex(")")])
        return [(voice["speaker"], voice["text"]) for voice in value["voices"]]
    value = json.loads(text)
    if isinstance(value, dict) and "tenant_minutes" in value:
        kept = [minute for minute in value["tenant_minutes"] if minute["minute_type"] != "名簿"]
        return [(minute["title"], re.sub(r"<[^>]+>", "", minute["body"]).split("）", 1)[1]) for minute in kept]
    if isinstance(value, dict):
        return [(u["speakerPosition"] + u["speaker"], u["utterance"]) for day in value["local"] for u in day["proceeding"]]
    if "Proceeding" in value[0]:
        return [(u["Speaker"], u["Utterance"]) for day in value for u in day["Proceeding"] if u["Speaker"] != "null"]
    return [(f"{u['SpeakerPosition']}{u['SpeakerName']}", u["Utterance"]) for u in value if u["SpeakerName"]]


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", normalise(text))


RAW = sorted([*SAMPLES.glob("*.js"), *SAMPLES.glob("*.json"), *(FIXTURES / n for n in ("register_minutes.js", "discussnet.json", "poliinfo2.json", "poliinfo3.json", "poliinfo4.json"))])  # fmt: skip


@pytest.mark.parametrize("path", RAW, ids=lambda path: path.name)
def test_records_keep_their_speaker_and_their_text(path: Path) -> None:
    """Against the raw file, read on another way: every line is in a speech of that speaker, or is listed as something else."""
    minutes = read_minutes(path.read_bytes(), path.name)
    asides = {squeezed(text) for _, text in minutes.asides}
    speeches = iter(minutes.speeches)
    speech, left = None, ""
    for speaker, text in raw_records(path):
        lines = [
            squeezed(re.sub(r"〔[^〕]*〕|（[^（）]*(?:拍手|呼ぶ者あり|声あり|参照|登壇|私語する者あり)[^（）]*）", "", line))
            for line in text.splitlines()
        ]
        said = "".join(line for line in lines if line not in asides)
        if not re.search(r"\w", said):
            continue
        if not left:
            speech = next(speeches)
            left = squeezed(speech.text)
        assert speech is not None
        assert left.startswith(said), (said[:50], left[:50])
        left = left[len(said) :]
        named = squeezed(speaker).replace("(", "").replace(")", "").replace("君", "")
        assert named in {
            squeezed(f"{speech.title or ''}{speech.speaker or ''}").replace("(", "").replace(")", ""),
            squeezed(f"{speech.speaker or ''}{speech.title or ''}").replace("(", "").replace(")", ""),
        }
    assert not left
    assert next(speeches, None) is None


@shared
def test_every_real_sample_is_read_or_says_why_not() -> None:
    rejected = []
    for source, minutes in iterate(find_documents(str(SAMPLES))):
        if isinstance(minutes, InputError):
            rejected.append(source)
            continue
        accounted(minutes)
        assert all(
            not re.search(r"[○◯〇◎◆]\S{1,12}(?:長|番|員)[（(]|</?\w+>|function|registerMinutes", s.text) for s in minutes.speeches
        ), source
    # Lists of speakers, and tables of header lines: nobody says anything in them.
    assert sorted(re.sub(r".*_(speakers|examples|web)\..*", r"\1", source) for source in rejected) == [
        "examples",
        "speakers",
        "speakers",
        "web",
    ]


@shared
def test_real_header_lines() -> None:
    rows = [json.loads(line) for line in (SHARED / "labelled/header_lines.jsonl").read_text(encoding="utf-8").splitlines()]
    found = [(row, parse_header(row["line"], plenary=True)) for row in rows]
    headers = [(row, header) for row, header in found if row["is_header"] and header is not None]
    assert sum((header is not None) == row["is_header"] for row, header in found) >= 0.98 * len(rows)
    assert sum(header.name == row["name"] for row, header in headers) >= 0.97 * sum(row["is_header"] for row in rows)
    assert sum(header.role == row["role"] for row, header in headers) >= 0.98 * sum(row["is_header"] for row in rows)


UNSEEN = [
    ("html rows", "<html><body><table><tr><th>発言者</th><th>内容</th></tr><tr><td>砂川議長</td><td>開きます。</td></tr><tr><td>真鍋議員</td><td>伺います。</td></tr></table></body></html>", "chair member"),
    ("html spans", '<div><span class="speaker">砂川議長</span><span>開きます。</span></div><div><span class="speaker">大和田町長</span><span>お答えします。</span></div>', "chair executive_head"),
    ("html terms", "<dl><dt>○議長（砂川とし江君）</dt><dd>開きます。</dd><dt>○町長（大和田喜八君）</dt><dd>お答えします。</dd></dl>", "chair executive_head"),
    ("html anchors", '<html><body><a id="9">○25番（真鍋和人）</a>（登壇）　おはようございます。<br><a id="10">○市長（大和田喜八）</a>　お答えします。', "member executive_head"),
    ("html attendance", "<html><body><table><tr><td>議長</td><td>砂川とし江</td></tr><tr><td>町長</td><td>大和田喜八</td></tr></table><p>○議長（砂川とし江君）　開きます。</p></body></html>", "chair"),
    ("markdown headings", "# 会議録\n\n## ○議長（砂川とし江君）\n\n開きます。\n\n## ○３番（真鍋和人君）\n\n伺います。\n", "chair member"),
    ("markdown bold", "# 会議録\n\n- **議長（砂川とし江君）**: 開きます。\n- **市長（大和田喜八君）**: お答えします。\n", "chair executive_head"),
    ("colons", "議長：開きます。\n真鍋議員：伺います。三点です。\n市長：お答えします。\n", "chair member executive_head"),
    ("lenticular brackets", "【砂川議長】　開きます。\n【真鍋議員】　伺います。\n　続きです。\n", "chair member"),
    ("spaced titles", "議　長　　ただいまから開きます。\n町　長　　お答えします。\n３番　　　伺います。\n", "chair executive_head member"),
    ("nested speaker", '{"meeting": {"title": "定例会"}, "speeches": [{"speaker": {"name": "砂川とし江", "role": "議長"}, "paragraphs": ["開きます。", "次に。"]}]}', "chair"),
    ("page in JSON", '{"html": "<p>○議長（砂川とし江君）　開きます。</p><p>○３番（真鍋和人君）　伺います。</p>"}', "chair member"),
    ("sittings as rows", '{"title": "本会議", "text": "○議長（砂川とし江君）　開きます。\\n○３番（真鍋和人君）　伺います。"}\n{"title": "委員会", "text": "話です。"}', "chair member None"),
    ("calls", 'add({"speaker": "砂川議長", "text": "開きます。"});\nadd({"speaker": "真鍋議員", "text": "伺います。"});\n', "chair member"),
    ("own XML", '<?xml version="1.0"?><m><speech><speaker>砂川議長</speaker><text>開きます。</text></speech><speech><speaker>真鍋委員</speaker><text>伺います。</text></speech></m>', "chair member"),
    ("subtitles", "1\n00:00:01,000 --> 00:00:04,000\n開きます。\n\n2\n00:00:05,000 --> 00:00:09,000\n伺います。\n", "None"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "roles"), UNSEEN, ids=[case[0] for case in UNSEEN])
def test_formats_never_seen(name: str, text: str, roles: str) -> None:
    minutes = read_minutes(text.encode(), name)
    assert " ".join(str(speech.role) for speech in minutes.speeches) == roles
    assert not any("砂川" in speech.text or "00:00" in speech.text for speech in minutes.speeches)
    accounted(minutes)


def test_csv_of_its_own_making_is_read_back() -> None:
    text = io.StringIO()
    csv.writer(text).writerows([["text", "speaker"], ["「はい」、\nと述べた。", "大和田町長"]])
    ((speech),) = read_minutes(text.getvalue().encode(), "x").speeches
    assert (speech.text, speech.role) == ("「はい」、 と述べた。", "executive_head")
