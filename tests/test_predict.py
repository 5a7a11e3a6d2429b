"""Batch inference: every document accounted for, formats alike, resumed and refused as promised."""

import csv
import json
from pathlib import Path

import pyarrow.parquet
import pytest

from conftest import gikai
from gikai import InputError
from gikai.config import Predict
from gikai.predict import predict
from gikai.text import normalise

COLUMNS = [
    "id", "source", "assembly", "date", "meeting", "speaker", "title", "text", "initiatives", "initiative_probabilities",
    "role", "role_source", "role_probabilities", "passage_index", "start", "end", "unpunctuated",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, root: Path) -> Path:
    """Three sittings, an empty file and a binary one."""
    place = tmp_path / "会議録（令和6年）"
    place.mkdir()
    for sample in (root / "data/samples").iterdir():
        (place / sample.name).write_bytes(sample.read_bytes())
    (place / "empty.txt").write_bytes(b"")
    (place / "image.png").write_bytes(b"\x89PNG\x00\x00\x01")
    return place


def job(run: Path, source: Path, output: Path, **settings: object) -> dict[str, object]:
    return predict(Predict(run=str(run), input=str(source), output=str(output), **settings))  # type: ignore[arg-type]


def rows_of(output: Path) -> list[dict[str, object]]:
    return [row for path in sorted(output.glob("rows-*.parquet")) for row in pyarrow.parquet.read_table(path).to_pylist()]


def test_every_document_is_done_or_rejected(run: Path, folder: Path, tmp_path: Path) -> None:
    said = gikai("predict", f"run={run}", f"input={folder}", f"output={tmp_path / 'out'}")
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines()[-1].startswith("5 documents: 3 done, 2 rejected; ")
    rejected = [json.loads(line) for line in (tmp_path / "out/rejected.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["path"], row["reason"]) for row in rejected] == [
        ("empty.txt", "the file is empty"),
        ("image.png", "the file is binary, not text"),
    ]
    record = json.loads((tmp_path / "out/predict.json").read_text(encoding="utf-8"))
    assert record["documents"] == record["done"] + record["rejected"] == 5
    rows = rows_of(tmp_path / "out")
    assert list(rows[0]) == COLUMNS
    assert len(rows) == record["passages"]
    assert len({row["id"] for row in rows}) == len(rows)
    assert {row["role_source"] for row in rows} == {"header"}
    assert all(len(row["initiative_probabilities"]) == 16 and abs(sum(row["role_probabilities"]) - 1) < 1e-3 for row in rows)  # type: ignore[arg-type]
    assert all(normalise(str(row["text"])) == row["text"] and row["end"] - row["start"] == len(str(row["text"])) for row in rows)  # type: ignore[operator]


def test_formats_hold_the_same(run: Path, folder: Path, tmp_path: Path) -> None:
    for form in ("parquet", "jsonl", "csv"):
        job(run, folder, tmp_path / form, format=form)
    parquet = rows_of(tmp_path / "parquet")
    lines = (tmp_path / "jsonl/rows-00000.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == parquet
    with (tmp_path / "csv/rows-00000.csv").open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    assert [json.loads(row["initiatives"]) for row in table] == [row["initiatives"] for row in parquet]
    assert [row["text"] for row in table] == [row["text"] for row in parquet]


def test_search_results_one_row_a_line_and_repeats_dropped_on_request(run: Path, tmp_path: Path) -> None:
    line = "町では窓口の申請書を書かずに済むようにいたしました。三つの届が対象です。"
    path = tmp_path / "seed.txt"
    path.write_text(
        f"帆波町議会 2024-06-12 06月12日-03号\n{line}\n{line}\n14 ◯早瀬光委員【 3頁】 少し心配なのですけれども。\n", encoding="utf-8"
    )
    assert job(run, path, tmp_path / "all")["duplicates"] == 1
    assert len(rows_of(tmp_path / "all")) == 3
    job(run, path, tmp_path / "dropped", drop_duplicates=True)
    rows = rows_of(tmp_path / "dropped")
    assert [(row["assembly"], row["role_source"]) for row in rows] == [("帆波町議会", "model"), (None, "header")]
    assert rows[1]["role"] == "member"
    assert "早瀬" not in str(rows[1]["text"])


def test_an_interrupted_job_ends_like_an_uninterrupted_one(
    run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job(run, folder, tmp_path / "whole", shard=4)
    from gikai import predict as module

    write = module._write_shard

    def stop_at_third(output: Path, number: int, *rest: object) -> None:
        if number == 2:
            raise KeyboardInterrupt
        write(output, number, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_write_shard", stop_at_third)
    with pytest.raises(KeyboardInterrupt):
        job(run, folder, tmp_path / "broken", shard=4)
    monkeypatch.undo()
    before = (tmp_path / "broken/rows-00000.parquet").stat().st_mtime_ns
    job(run, folder, tmp_path / "broken", shard=4)
    assert (tmp_path / "broken/rows-00000.parquet").stat().st_mtime_ns == before
    assert rows_of(tmp_path / "broken") == rows_of(tmp_path / "whole")
    with pytest.raises(InputError, match="begun with another shard"):
        job(run, folder, tmp_path / "broken", shard=5)


def test_foreign_output_and_missing_input_are_refused(run: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds input files"):
        job(run, folder, folder)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"already holds notes\.txt"):
        job(run, folder, tmp_path / "other")
    said = gikai("predict", f"run={run}", f"input={tmp_path / 'none'}", f"output={tmp_path / 'out'}")
    assert (said.returncode, said.stderr.count("\n")) == (2, 1)
    assert not (tmp_path / "out").exists()


def test_nothing_readable_gives_an_empty_table_not_a_failure(run: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/empty.txt").write_text("")
    assert job(run, tmp_path / "in", tmp_path / "out")["rejected"] == 1
    assert pyarrow.parquet.read_table(tmp_path / "out/rows-00000.parquet").column_names == COLUMNS
