"""The same batch job on Ray: inputs are read and shards finished by workers on many machines, each with its own model.

python scripts/predict.py run=DIR input=PATH output=DIR engine=ray [workers=N]
"""

import collections
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from gikai import InputError
from gikai.config import Predict
from gikai.predict import Finisher, Job, Reader, Worker, batch, report
from gikai.shards import Input, Part, Shard, read_input

RETRIES = 3
"""So often a worker that died is started again, and what it had in hand done again; then the job stops, to be resumed."""
AHEAD = 2
"""Shards handed to each worker at a time, and inputs read ahead for each: what bounds memory."""


def predict(config: Predict) -> dict[str, Any]:
    """Do what `gikai.predict.predict` does with Ray workers; rows are the same, whatever their number.

    Shards are cut by input position in this process, which reads no text but what workers have parsed; Ray Data, whose
    blocks are its own, has no place for shards that must hold the same passages every time. The run, the input and the
    output must be where every worker reaches them: one machine, a shared folder, or an object store.
    """
    ray = _ray()
    for name, place in (("input", config.input), ("output", config.output)):
        if place.startswith("memory://"):
            raise InputError(f"{name}={place} is within one process; engine=ray needs a place that all workers reach")
    # What Ray says of workers that died is no result.
    with contextlib.redirect_stdout(sys.stderr):
        ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        try:
            cluster = ray.cluster_resources()
            gpus = int(cluster.get("GPU", 0))
            workers = config.workers or gpus or max(1, int(cluster.get("CPU", 1)))
            result = batch(config, _reader(ray, workers), lambda job: _finisher(ray, job, workers, bool(gpus)))
        finally:
            ray.shutdown()
    print(report(config, result))
    return result


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody, and no network is needed
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray's behaviour to come, without its warning
    try:
        import ray
    except ImportError:
        raise InputError("engine=ray needs the package ray: pip install -e '.[ray]'") from None
    return ray


def _reader(ray: Any, workers: int) -> Reader:
    # Reading asks for no CPU of its own: models may hold all of them, and would wait for it for ever.
    read = ray.remote(num_cpus=0, max_retries=RETRIES, num_returns="streaming", _generator_backpressure_num_objects=4)(read_input)

    def reader(inputs: Sequence[Input], start: int) -> Iterator[tuple[int, Part]]:
        begun: collections.deque[tuple[int, Any]] = collections.deque()
        following = start
        while begun or following < len(inputs):
            while following < len(inputs) and len(begun) < AHEAD * workers:
                begun.append((following, read.remote(*inputs[following])))
                following += 1
            index, parts = begun.popleft()
            for part in parts:
                yield index, _result(ray, part)

    return reader


def _finisher(ray: Any, job: Job, workers: int, gpu: bool) -> Finisher:
    needs = {"num_gpus": 1, "num_cpus": 0} if gpu else {"num_cpus": 1}
    actor = ray.remote(max_restarts=RETRIES, max_task_retries=RETRIES, **needs)(Worker)

    def finish(shards: Iterator[Shard]) -> Iterator[Shard]:
        pool = [actor.remote(job) for _ in range(workers)]
        free = collections.deque(pool * AHEAD)
        at_work: dict[Any, tuple[Any, Shard]] = {}

        def one() -> Shard:
            ready, _ = ray.wait(list(at_work), num_returns=1)
            worker, shard = at_work.pop(ready[0])
            _result(ray, ready[0])
            free.append(worker)
            return shard

        for shard in shards:
            worker = free.popleft()
            at_work[worker.finish.remote(shard.number, shard.rows)] = (worker, shard)
            shard.rows.clear()
            if not free:
                yield one()
        while at_work:
            yield one()

    return finish


def _result(ray: Any, reference: Any) -> Any:
    """Return what a worker returned; raise what it raised, as if it had happened here."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise (error.cause or error) from None
    except ray.exceptions.RayError as error:
        raise RuntimeError(f"a worker died {RETRIES + 1} times; the same command again goes on from here: {error}") from None
