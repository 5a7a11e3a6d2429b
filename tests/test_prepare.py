"""prepare: passages with header roles that training takes as they are; every document counted."""

import json
from pathlib import Path

import pytest

from conftest import gikai
from gikai import InputError
from gikai.checks import check_data
from gikai.config import CheckData, Prepare
from gikai.dataset import load_labelled
from gikai.labels import load_taxonomy
from gikai.prepare import prepare

FIXTURES = Path(__file__).parent / "fixtures/minutes"


def rows_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_minutes_become_labelled_passages(tmp_path: Path, root: Path) -> None:
    said = gikai("prepare", f"input={root / 'data/samples'}", f"output={tmp_path / '役割.jsonl'}", f"report={tmp_path / 'report.md'}")
    assert said.returncode == 0, said.stderr
    rows = rows_of(tmp_path / "役割.jsonl")
    assert said.stdout.splitlines()[-1].startswith("3 documents: 3 done, 0 rejected; ")
    assert f"{len(rows)} with a role written" in said.stdout
    assert "unaccounted 0.0%" in said.stdout
    assert {row["role"] for row in rows} >= {"chair", "member", "executive_head", "executive_official"}
    assert all(row["initiatives"] is None and len(str(row["text"])) >= 40 for row in rows)
    assert len({row["id"] for row in rows}) == len(rows) == len({row["text"] for row in rows})
    assert len([line for line in (tmp_path / "report.md").read_text(encoding="utf-8").splitlines() if line.endswith("| 0.0% |")]) == 3
    # Training and the data checks take the file as it is.
    taxonomy = load_taxonomy(root / "data/taxonomy")
    passages = load_labelled(tmp_path / "役割.jsonl", taxonomy)
    assert [passage.gold["role"] for passage in passages] == [row["role"] for row in rows]
    problems = check_data(CheckData(data=[str(tmp_path / "役割.jsonl")], taxonomy=str(root / "data/taxonomy")))
    assert not [problem for problem in problems if "header" in problem or "stage direction" in problem or "duplicate" in problem]


def test_every_document_is_in_the_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summaries = prepare(Prepare(input=str(FIXTURES), output=str(tmp_path / "out.jsonl"), report=str(tmp_path / "r.md"), shortest=1))
    assert set(summaries) == {path.name for path in FIXTURES.iterdir()}
    assert [source for source, summary in summaries.items() if summary.reason] == ["speakers.html"]
    assert summaries["poliinfo3.json"].unknown == {"その他": 1}
    assert summaries["committee.txt"].unknown == {"副委員長": 1}
    said = capsys.readouterr().out
    assert "  その他  1" in said
    rows = rows_of(tmp_path / "out.jsonl")
    assert sum(sum(summary.written.values()) for summary in summaries.values()) == len(rows)
    assert len((tmp_path / "r.md").read_text(encoding="utf-8").splitlines()) == len(summaries) + 2


def test_repeats_are_written_once_unless_asked_for(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("○市長（甲野太郎君）　" + "電子申請の利用を広げてまいります。" * 4, encoding="utf-8")
    for drop, count in ((True, 1), (False, 2)):
        output = tmp_path / f"{drop}" / "out.jsonl"
        prepare(Prepare(input=str(tmp_path / "*.txt"), output=str(output), drop_duplicates=drop))
        assert len(rows_of(output)) == count


def test_what_cannot_be_prepared_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("誰の発言か分からない文章です。" * 10, encoding="utf-8")
    with pytest.raises(InputError, match="no passage has a role"):
        prepare(Prepare(input=str(tmp_path / "a.txt"), output=str(tmp_path / "out/out.jsonl")))
    assert not (tmp_path / "out/out.jsonl").exists()
    with pytest.raises(InputError, match=r"ends in \.jsonl"):
        Prepare(input="x", output="x.csv")
    (tmp_path / "rows.jsonl").write_text('{"text": "窓口を直します。", "title": "市長"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="one of the input files"):
        prepare(Prepare(input=str(tmp_path), output=str(tmp_path / "rows.jsonl")))
