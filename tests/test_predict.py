"""Batch inference: every document accounted for, formats alike, resumed and refused as promised."""

import contextlib
import csv
import itertools
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import fsspec
import pyarrow.parquet
import pytest

from conftest import gikai, labelled_rows, write_rows
from gikai import InputError
from gikai.config import Predict
from gikai.minutes import iterate
from gikai.predict import Finisher, Job, batch, finish_here, predict, read_here
from gikai.shards import Input, Part, Shard
from gikai.store import Store, locked
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


def contents(output: Path) -> dict[str, bytes]:
    """Return the bytes of every shard: a job is the same when they are."""
    return {path.name: path.read_bytes() for path in sorted(output.glob("rows-*"))}


def counts_of(record: dict[str, object]) -> dict[str, object]:
    return {key: record[key] for key in ("documents", "done", "rejected", "speeches", "passages", "duplicates", "shards")}


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


def test_an_interrupted_job_ends_like_an_uninterrupted_one(run: Path, folder: Path, tmp_path: Path) -> None:
    job(run, folder, tmp_path / "whole", shard=4)

    def stopping(task: Job) -> Finisher:
        finish = finish_here(task)
        return lambda shards: finish(stop_at_third(shards))

    def stop_at_third(shards: Iterator[Shard]) -> Iterator[Shard]:
        yield from itertools.islice(shards, 2)
        raise KeyboardInterrupt

    settings = Predict(run=str(run), input=str(folder), output=str(tmp_path / "broken"), shard=4)
    with pytest.raises(KeyboardInterrupt):
        batch(settings, read_here, stopping)
    before = (tmp_path / "broken/rows-00000.parquet").stat().st_mtime_ns
    read: list[int] = []

    def reading(inputs: Sequence[Input], start: int) -> Iterator[tuple[int, Part]]:
        for index, part in read_here(inputs, start):
            read.append(index)
            yield index, part

    record = batch(settings, reading, finish_here)
    assert read[0] == 3, "two rejected documents and the first sitting are in finished shards: not read again"
    assert (tmp_path / "broken/rows-00000.parquet").stat().st_mtime_ns == before
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")
    assert counts_of(record) == counts_of(json.loads((tmp_path / "whole/predict.json").read_text(encoding="utf-8")))
    with pytest.raises(InputError, match="begun with another shard"):
        job(run, folder, tmp_path / "broken", shard=5)


def test_a_finished_job_is_left_alone(run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job(run, folder, tmp_path / "out")
    said = capsys.readouterr().out
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir() if path.name != ".lock"}
    assert sorted(before) == ["job.json", "predict.json", "rejected.jsonl", "rows-00000.parquet"]
    job(run, folder, tmp_path / "out")
    assert capsys.readouterr().out == said
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir() if path.name != ".lock"} == before
    (tmp_path / "out/rows-00000.parquet").unlink()
    with pytest.raises(InputError, match=r"rows-00000\.parquet of this finished job is gone"):
        job(run, folder, tmp_path / "out")


def test_another_model_setting_or_input_is_refused(run: Path, folder: Path, tmp_path: Path) -> None:
    job(run, folder, tmp_path / "out")
    for settings in ({"drop_duplicates": True}, {"format": "csv"}, {"tokens": 4096}):
        with pytest.raises(InputError, match=f"begun with another {next(iter(settings))}"):
            job(run, folder, tmp_path / "out", **settings)
    other = shutil.copytree(run, tmp_path / "other")
    thresholds = json.loads((other / "thresholds.json").read_text(encoding="utf-8"))
    thresholds["initiative"] = dict.fromkeys(thresholds["initiative"], 0.01)
    (other / "thresholds.json").write_text(json.dumps(thresholds), encoding="utf-8")
    with pytest.raises(InputError, match="begun with another model"):
        job(other, folder, tmp_path / "out")
    (folder / "more.txt").write_text("○議長（架空太郎君） これより会議を開きます。", encoding="utf-8")
    with pytest.raises(InputError, match="begun with another files"):
        job(run, folder, tmp_path / "out")


def test_two_jobs_on_one_output_exclude_each_other(run: Path, folder: Path, tmp_path: Path) -> None:
    with locked(str(tmp_path / "out"), "predicting"):
        said = gikai("predict", f"run={run}", f"input={folder}", f"output={tmp_path / 'out'}")
        assert (said.returncode, said.stderr.count("\n")) == (2, 1)
        assert "another process is at work in this folder" in said.stderr
    job(run, folder, tmp_path / "out")


def test_repeats_are_known_across_shards_documents_and_interruptions(run: Path, tmp_path: Path) -> None:
    """Every text of the second document is one of the first; a job that went on knows them as an uninterrupted one does."""
    (tmp_path / "in").mkdir()
    write_rows(tmp_path / "in/a.jsonl", labelled_rows(30))
    write_rows(tmp_path / "in/b.jsonl", [*labelled_rows(30), *labelled_rows(5, 30)])
    record = job(run, tmp_path / "in", tmp_path / "whole", shard=10, drop_duplicates=True)
    store = Store(str(tmp_path / "parts"))
    settings = Predict(run=str(run), input=str(tmp_path / "in"), output=str(tmp_path / "parts"), shard=10, drop_duplicates=True)
    for _ in range(5):
        if store.exists("predict.json"):
            break
        with contextlib.suppress(KeyboardInterrupt):
            batch(settings, read_here, lambda task: lambda shards: stop_after_one(finish_here(task)(shards)))
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    assert record["passages"] == 65
    texts = [row["text"] for row in rows_of(tmp_path / "parts")]
    assert len(texts) == len(set(texts)) == 65 - int(str(record["duplicates"]))


def stop_after_one(shards: Iterator[Shard]) -> Iterator[Shard]:
    first = next(shards)
    yield first
    if not first.after.last:
        raise KeyboardInterrupt


def test_a_reader_that_fails_rejects_its_document_only(run: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(documents: list[tuple[str, Path]]) -> Iterator[object]:
        if documents[0][0].startswith("empty"):
            raise ZeroDivisionError("nobody foresaw this")
        return iterate(documents)

    monkeypatch.setattr("gikai.shards.iterate", failing)
    record = job(run, folder, tmp_path / "out")
    assert (record["done"], record["rejected"]) == (3, 2)
    assert "the reader failed: ZeroDivisionError: nobody foresaw this" in (tmp_path / "out/rejected.jsonl").read_text(encoding="utf-8")


def test_object_storage_holds_what_a_folder_holds(run: Path, folder: Path, tmp_path: Path) -> None:
    job(run, folder, tmp_path / "here", shard=4)
    memory = fsspec.filesystem("memory")
    for path in folder.iterdir():
        memory.pipe_file(f"/会議録/{path.name}", path.read_bytes())
    for source, output in (
        (folder, "memory://out"),
        ("memory://会議録", tmp_path / "there"),
        (folder.as_uri(), (tmp_path / "uri").as_uri()),
    ):
        predict(Predict(run=str(run), input=str(source), output=str(output), shard=4))
    fetched = tmp_path / "fetched"
    memory.get("/out", str(fetched), recursive=True)
    for place in (fetched, tmp_path / "there", tmp_path / "uri"):
        assert contents(place) == contents(tmp_path / "here")
        assert (place / "rejected.jsonl").read_bytes() == (tmp_path / "here/rejected.jsonl").read_bytes()
    with pytest.raises(InputError, match="begun with another shard"):
        predict(Predict(run=str(run), input=str(folder), output="memory://out", shard=5))
    with pytest.raises(InputError, match="cannot be opened"):
        predict(Predict(run=str(run), input="nowhere://x", output=str(tmp_path / "none")))


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
