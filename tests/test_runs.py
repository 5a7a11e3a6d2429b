"""Complete-or-absent files, locks, run folders."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gikai import InputError, runs


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    runs.write_json(path, {"議会": 1})

    def fail() -> None:
        with runs.written(path) as partial:
            partial.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert json.loads(path.read_text(encoding="utf-8")) == {"議会": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_two_processes_exclude_each_other_and_a_dead_one_does_not(tmp_path: Path) -> None:
    code = f"""
import sys; from pathlib import Path; from gikai.runs import locked
with locked(Path({str(tmp_path)!r}), 'training'):
    print('held', flush=True); sys.stdin.read()
"""
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="another process is at work"), runs.locked(tmp_path, "predicting"):
        pass
    holder.kill()
    holder.communicate()
    with runs.locked(tmp_path, "predicting"):
        pass


def test_open_run_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such run folder"):
        runs.open_run(tmp_path / "none")
    (tmp_path / "model").mkdir()
    with pytest.raises(InputError, match=r"taxonomy, thresholds\.json, run\.json missing"):
        runs.open_run(tmp_path)


def test_provenance_has_versions() -> None:
    record = runs.provenance()
    assert record["versions"]["torch"]
    assert record["gikai"]
