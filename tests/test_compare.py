"""Comparison through its script: identical runs do not differ, a better one does, and the table lands between its markers."""

import json
import logging
import shutil
from pathlib import Path

import pytest

from conftest import gikai, labelled_rows, write_rows
from gikai import InputError
from gikai.baseline import fit_baseline
from gikai.compare import compare
from gikai.config import Baseline, Compare

PAGE = "before\n<!-- results -->\nold\n<!-- /results -->\nafter\n"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, labelled: Path, root: Path) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("compared")
    found = {}
    for name in ("tfidf", "majority"):
        found[name] = fit_baseline(
            Baseline(
                name=name,
                run=str(folder / name),
                train=str(labelled / "train.jsonl"),
                dev=str(labelled / "dev.jsonl"),
                taxonomy=str(root / "data/taxonomy"),
            )
        )
    found["twin"] = folder / "twin"
    shutil.copytree(found["tfidf"], found["twin"])
    return found


@pytest.fixture(scope="module")
def holdout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("held") / "held.jsonl", labelled_rows(90, 400))


def test_identical_runs_do_not_differ_and_a_better_one_does(fitted: dict[str, Path], holdout: Path, tmp_path: Path) -> None:
    page = tmp_path / "README（案）.md"
    page.write_text(PAGE, encoding="utf-8")
    said = gikai(
        "compare", f"runs=[{fitted['majority']},{fitted['tfidf']}]", f"data={holdout}", f"write={page}", f"output={tmp_path / 'c.json'}"
    )
    assert said.returncode == 0, said.stderr
    written = page.read_text(encoding="utf-8")
    assert written.startswith("before\n<!-- results -->\n| model")
    assert written.endswith("<!-- /results -->\nafter\n")
    assert "old" not in written
    assert "held (90): initiative macro-F1" in written
    content = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert [d["score"] for d in content["differences"]] == ["macro_f1", "map", "macro_f1"]
    assert all(d["real"] and d["difference"] > 0 and d["ci"][0] > 0 for d in content["differences"])
    assert said.stdout.count("real: better") == 3
    scores = {row["run"]: row for row in content["scores"]}
    metrics = json.loads((fitted["tfidf"] / "eval/held/metrics.json").read_text(encoding="utf-8"))
    assert scores[str(fitted["tfidf"])]["initiative"]["macro_f1"] == metrics["initiative"]["macro_f1"]

    twins = compare(Compare(runs=[str(fitted["tfidf"]), str(fitted["twin"])], data=[str(holdout)]))
    assert twins.count("no difference") == 3
    assert "real:" not in twins
    assert "p 1.0000" in twins
    # Once more from the predictions that are there: the same table.
    again = gikai("compare", f"runs=[{fitted['majority']},{fitted['tfidf']}]", f"data={holdout}")
    assert again.stdout == said.stdout
    assert "evaluating" not in again.stderr


def test_other_bytes_are_evaluated_again(fitted: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_rows(tmp_path / "mine.jsonl", labelled_rows(30, 400))
    settings = Compare(runs=[str(fitted["tfidf"]), str(fitted["majority"])], data=[str(path)])
    with caplog.at_level(logging.INFO):
        assert "mine (30)" in compare(settings)
        caplog.clear()
        compare(settings)
        assert not caplog.messages
        write_rows(path, labelled_rows(33, 400))
        assert "mine (33)" in compare(settings)
    assert len(caplog.messages) == 2


def test_data_that_changed_since_is_said_or_refused(
    fitted: dict[str, Path], labelled: Path, holdout: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "old"
    shutil.copytree(fitted["majority"], run)
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    record["data"]["train"]["sha256"] = "0" * 64
    (run / "run.json").write_text(json.dumps(record), encoding="utf-8")
    compare(Compare(runs=[str(fitted["tfidf"]), str(run)], data=[str(holdout)]))
    assert f"{run}: train was another {labelled / 'train.jsonl'} than the one there now" in caplog.text
    with pytest.raises(InputError, match="remove the run folder and fit it again"):
        compare(Compare(runs=[str(fitted["tfidf"]), str(run)], data=[str(holdout)], fresh=True))


def test_what_cannot_be_compared_is_refused(fitted: dict[str, Path], holdout: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two different runs"):
        Compare(runs=[str(fitted["tfidf"])])
    page = tmp_path / "page.md"
    page.write_text("no markers\n", encoding="utf-8")
    with pytest.raises(InputError, match="must hold the line <!-- results -->"):
        compare(Compare(runs=[str(fitted["tfidf"]), str(fitted["majority"])], data=[str(holdout)], write=str(page)))
    assert page.read_text(encoding="utf-8") == "no markers\n"
    other = tmp_path / "taxonomy"
    other.mkdir()
    (other / "topic.yaml").write_text("field: initiatives\nkind: multi\nlabels:\n  - {id: education_dx}\n", encoding="utf-8")
    rows = [{"id": f"r{k}", "text": f"端末。{k}", "initiatives": ["education_dx"] if k % 2 else []} for k in range(20)]
    train, dev = write_rows(tmp_path / "t.jsonl", rows), write_rows(tmp_path / "d.jsonl", rows)
    mine = fit_baseline(Baseline(name="majority", run=str(tmp_path / "mine"), train=str(train), dev=str(dev), taxonomy=str(other)))
    with pytest.raises(InputError, match="no label set in common"):
        compare(Compare(runs=[str(fitted["tfidf"]), str(mine)], data=[str(holdout)]))
