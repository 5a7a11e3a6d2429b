"""Throughput beside stock Hugging Face: same weights, same passages, one process; JSON, and the table of docs/PERFORMANCE.md.

python scripts/benchmark.py run=DIR [passages=5000] [repeats=3] [backend=auto] [output=DIR]
"""

from gikai.config import Benchmark, main


def run(config: Benchmark) -> None:
    from gikai.benchmark import benchmark

    benchmark(config)


if __name__ == "__main__":
    main("benchmark", run)
