"""Run a job again and again, killed at random moments, until it is done; `tests/test_interruptions.py` starts this.

python tests/killed.py RUN INPUT OUTPUTS KILLS SEED

A process of its own, which imports and forks but computes nothing itself: a job then starts in no time.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from gikai.config import Predict
from gikai.predict import predict


def start(run: str, source: str, output: Path) -> int:
    """Fork a job and return its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        torch.set_num_threads(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        predict(Predict(run=run, input=source, output=str(output), shard=8, backend="torch"))
        code = 0
    finally:
        os._exit(code)


def main(run: str, source: str, outputs: Path, kills: int, seed: int) -> None:
    """Make `outputs/whole` without interruption, then outputs/0, 1, … under kills; print what happened as JSON."""
    random.seed(seed)
    began = time.monotonic()
    assert os.waitpid(start(run, source, outputs / "whole"), 0)[1] == 0
    seconds = time.monotonic() - began
    killed = number = 0
    ended = False
    while killed < kills or not ended:
        child = start(run, source, outputs / str(number))
        if killed < kills:
            time.sleep(random.uniform(0, seconds))
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        ended = not os.WIFSIGNALED(status)
        if ended:
            assert status == 0, status
            number += 1
        else:
            killed += 1
    print(json.dumps({"killed": killed, "outputs": number, "seconds": round(seconds, 2)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
