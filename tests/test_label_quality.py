"""Label quality: errors put in on purpose are found, and agreement agrees with worked examples and scikit-learn."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from conftest import gikai, labelled_rows, write_rows
from gikai import InputError
from gikai.config import CheckLabels
from gikai.label_quality import agreement, check_labels
from gikai.labels import Label, LabelSet

MULTI = LabelSet("m", "m", "multi", (Label("a"), Label("b")))
SINGLE = LabelSet("s", "s", "single", tuple(Label(i) for i in "abc"))


def test_errors_put_in_on_purpose_are_found(tmp_path: Path, root: Path) -> None:
    rows = labelled_rows(240)
    wrong = {}
    for row in rows[5::40]:
        row["initiatives"] = ["education_dx"] if row["initiatives"] != ["education_dx"] else ["cashless_payment"]
        wrong[row["id"]] = row["initiatives"]
    for row in rows[7::60]:
        row["role"] = "chair" if row["role"] != "chair" else "member"
        wrong[row["id"]] = row["role"]
    data = write_rows(tmp_path / "mine.jsonl", rows)
    said = gikai("check_labels", f"data={data}", f"taxonomy={root / 'data/taxonomy'}", f"output={tmp_path / 'suspects.jsonl'}", "show=3")
    assert said.returncode == 0, said.stderr
    found = [json.loads(line) for line in (tmp_path / "suspects.jsonl").read_text(encoding="utf-8").splitlines()]
    ids = {row["id"] for row in found}
    assert len(set(wrong) & ids) >= 0.8 * len(wrong)
    assert len(ids) <= 2 * len(wrong)
    first = next(row for row in found if row["id"] == "p5" and row["label_set"] == "initiative")
    kinds = {item["label"]: item["kind"] for item in first["at_odds"]}
    assert kinds[wrong["p5"][0]] == "wrong"
    assert "missing" in kinds.values()
    assert said.stdout.count("  gold ") == 6
    assert f"initiative: {sum(row['label_set'] == 'initiative' for row in found)} of 240 passages look mislabelled" in said.stdout


def test_agreement_of_a_worked_example() -> None:
    """Krippendorff's alpha by hand: MASI distances 0, 2/3 and 1 observed; expected 2 * (2 + 3 + 3 + 1 + 2/3 + 1) / 30."""
    found = agreement(MULTI, [["a"], ["a", "b"], [], None], [["a"], ["a"], ["b"], ["a"]])
    assert found["n"] == 3
    assert found["same"] == pytest.approx(1 / 3)
    assert found["alpha"] == pytest.approx(1 - (5 / 9) / (2 * (32 / 3) / 30))
    assert found["kappa"]["a"] == 1.0


def test_agreement_of_single_labels() -> None:
    """Nominal alpha by hand: 1 of 4 pairs differs; expected from a 3, b 3, c 2 of 8: 2 * (9 + 6 + 6) / 56."""
    first, second = list("aabc"), list("abbc")
    found = agreement(SINGLE, first, second)
    assert found["alpha"] == pytest.approx(1 - (1 / 4) / (2 * 21 / 56))
    truth = np.array([[label == k for k in "abc"] for label in first]), np.array([[label == k for k in "abc"] for label in second])
    assert found["kappa"]["b"] == pytest.approx(cohen_kappa_score(truth[0][:, 1], truth[1][:, 1]))


def test_perfect_agreement_and_labels_that_never_occur() -> None:
    found = agreement(MULTI, [["a"], [], []], [["a"], [], []])
    assert found["alpha"] == 1.0
    assert found["kappa"] == {"a": 1.0, "b": None}


def test_two_files_through_the_door(tmp_path: Path, root: Path) -> None:
    first = labelled_rows(60)
    second = [dict(row) for row in first[10:]]
    second[0]["role"] = "other"
    settings = {"taxonomy": str(root / "data/taxonomy"), "show": 0}
    data, against = write_rows(tmp_path / "a.jsonl", first), write_rows(tmp_path / "b.jsonl", second)
    text = check_labels(CheckLabels(data=str(data), against=str(against), **settings))  # type: ignore[arg-type]
    assert "50 passages are in both files; 10 and 0 in one alone" in text
    assert "initiative (50): alpha (MASI) 1.000, exactly the same 1.000" in text
    assert "exactly the same 0.980" in text
    second[3]["text"] = "別の文。"
    write_rows(against, second)
    with pytest.raises(InputError, match="has another text"):
        check_labels(CheckLabels(data=str(data), against=str(against), **settings))  # type: ignore[arg-type]
    write_rows(against, labelled_rows(5, 900))
    with pytest.raises(InputError, match="no id in common"):
        check_labels(CheckLabels(data=str(data), against=str(against), **settings))  # type: ignore[arg-type]
