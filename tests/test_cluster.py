"""The batch job on Ray: the rows of the local job, whatever the number of workers and whichever of them dies."""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from conftest import ROOT, gikai, labelled_rows, write_rows
from gikai import InputError
from gikai.config import Predict

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install -e '.[ray]'")


def contents(output: Path) -> dict[str, bytes]:
    names = (".lock", "predict.json", "job.json")
    return {path.name: path.read_bytes() for path in sorted(output.iterdir()) if path.name not in names}


@needs_ray
@pytest.mark.timeout(900)
def test_the_rows_of_the_local_job_though_a_worker_is_killed(run: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(6):
        write_rows(source / f"{number}.jsonl", labelled_rows(300, 200 * number))
    (source / "empty.txt").write_bytes(b"")
    # Not auto: under load the two jobs may find another backend the faster.
    settings = [f"run={run}", f"input={source}", "shard=16", "backend=onnx"]
    local = gikai("predict", *settings, f"output={tmp_path / 'local'}")
    assert local.returncode == 0, local.stderr
    output = tmp_path / "ray"
    command = [sys.executable, str(ROOT / "scripts/predict.py"), *settings, f"output={output.as_uri()}", "engine=ray", "workers=2"]
    environment = {**os.environ, "RAY_ADDRESS": "local"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as job:
        try:
            deadline = time.monotonic() + 400
            while not (output / "rows-00000.parquet").exists() and job.poll() is None and time.monotonic() < deadline:
                time.sleep(0.002)
            workers = [child for child in psutil.Process(job.pid).children(recursive=True) if child.name().startswith("ray::Worker")]
            assert len(workers) == 2
            workers[0].send_signal(signal.SIGKILL)
            unfinished = not (output / "predict.json").exists()
            said = job.communicate(timeout=400)
        finally:
            job.kill()
    assert job.returncode == 0, said[1]
    assert unfinished, "the worker was killed too late to be missed"
    assert said[0].splitlines()[-1].split("; rows in")[0] == local.stdout.splitlines()[-1].split("; rows in")[0]
    assert contents(output) == contents(tmp_path / "local")


@needs_ray
def test_a_place_within_one_process_is_refused(run: Path, root: Path) -> None:
    from gikai.cluster import predict

    with pytest.raises(InputError, match="engine=ray needs a place that all workers reach"):
        predict(Predict(run=str(run), input=str(root / "data/samples"), output="memory://out", engine="ray"))


def test_without_ray_the_way_to_get_it_is_said(run: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gikai.cluster import predict

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install -e '\.\[ray\]'"):
        predict(Predict(run=str(run), input=str(root / "data/samples"), output=str(tmp_path / "out"), engine="ray"))
    assert not (tmp_path / "out").exists()
