"""Whatever stops a batch job (SIGKILL, SIGTERM, Ctrl-C, a full disk), the same command ends it with the same rows."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet
import pytest

from conftest import ROOT, gikai, labelled_rows, write_rows


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight documents of 40 passages with repeats, and one that is rejected."""
    folder = tmp_path_factory.mktemp("source")
    for number in range(8):
        write_rows(folder / f"{number}.jsonl", [*labelled_rows(34, 100 * number), *labelled_rows(6, 90 * number)])
    (folder / "4b.txt").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def whole(run: Path, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a job that nothing stopped."""
    output = tmp_path_factory.mktemp("whole") / "out"
    said = gikai("predict", *arguments(run, source, output))
    assert said.returncode == 0, said.stderr
    return output


SHARD = 2


def arguments(run: Path, source: Path, output: Path) -> list[str]:
    """A job of many small shards, so that there is time to stop it; one backend, so that rows are the same to the last digit."""
    return [f"run={run}", f"input={source}", f"output={output}", f"shard={SHARD}", "backend=torch"]


def contents(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(output.iterdir()) if path.name not in (".lock", "predict.json", "job.json")}


def counts(output: Path) -> dict[str, int]:
    record = json.loads((output / "predict.json").read_text(encoding="utf-8"))
    return {key: record[key] for key in ("documents", "done", "rejected", "speeches", "passages", "duplicates", "shards")}


def assert_same(output: Path, whole: Path) -> None:
    """No file more, none fewer, none different: no row lost, none twice."""
    assert contents(output) == contents(whole)
    assert counts(output) == counts(whole)


def killed(run: Path, source: Path, outputs: Path, kills: int, seed: int) -> None:
    said = subprocess.run(
        [sys.executable, str(ROOT / "tests/killed.py"), str(run), str(source), str(outputs), str(kills), str(seed)],
        capture_output=True, text=True, timeout=1500,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    report = json.loads(said.stdout)
    print(report)
    assert report["killed"] == kills
    for number in range(report["outputs"]):
        assert_same(outputs / str(number), outputs / "whole")


def test_killed_at_5_random_moments(run: Path, source: Path, tmp_path: Path) -> None:
    killed(run, source, tmp_path, 5, 1)


@pytest.mark.slow
@pytest.mark.timeout(1600)
def test_killed_at_50_random_moments(run: Path, source: Path, tmp_path: Path) -> None:
    killed(run, source, tmp_path, 50, 2)


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_in_order(stop: signal.Signals, code: int, run: Path, source: Path, whole: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    command = [sys.executable, str(ROOT / "scripts/predict.py"), *arguments(run, source, output)]
    # A shell that starts the tests in the background has its children ignore Ctrl-C.
    heed = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        deadline = time.monotonic() + 200
        while not (output / "journal/00001.json").exists() and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(stop)
        said = process.communicate(timeout=60)
    assert (process.returncode, said[0]) == (code, "")
    assert said[1] == "interrupted; the same command again goes on from here\n"
    assert not list(output.rglob("*.partial"))
    assert not (output / "predict.json").exists()
    assert gikai("predict", *arguments(run, source, output)).returncode == 0
    assert_same(output, whole)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], None] | None, Callable[[], None]]]:
    """A folder where room ends, what a process must call so that it does, and what makes room.

    A file system of 200 kB where this user may mount one; else processes that may write no file over 8 kB.
    """
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "gikai-test", str(folder)]
    try:
        mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, timeout=20).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        yield folder, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000)), lambda: None
        return
    try:
        yield folder, None, lambda: subprocess.run(["mount", "-o", "remount,size=20m", str(folder)], check=True, timeout=20) and None
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=20)


def test_a_full_disk_is_said_and_the_job_goes_on(
    small_disk: tuple[Path, Callable[[], None] | None, Callable[[], None]], run: Path, source: Path, whole: Path
) -> None:
    folder, before, make_room = small_disk
    command = [sys.executable, str(ROOT / "scripts/predict.py"), *arguments(run, source, folder / "out")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=280, preexec_fn=before)
    assert (said.returncode, said.stderr.count("\n")) == (1, 1), said.stderr
    assert said.stderr.startswith(f"error: {folder / 'out'}")
    assert said.stderr.endswith("make room, and the same command again goes on from here\n")
    rows = sorted((folder / "out").glob("rows-*"))
    assert not list((folder / "out").rglob("*.partial"))
    assert all(pyarrow.parquet.read_table(path).num_rows == SHARD for path in rows)
    assert before or 0 < len(rows) < len(list(whole.glob("rows-*")))
    make_room()
    assert gikai("predict", *arguments(run, source, folder / "out")).returncode == 0
    assert_same(folder / "out", whole)
