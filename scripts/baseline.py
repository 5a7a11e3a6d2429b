"""Fit a baseline; the result is a run like any other. Prints the run folder last.

python scripts/baseline.py name=majority|keywords|tfidf [run=DIR] [train=FILE] [dev=FILE] [taxonomy=DIR] [keywords=FILE]
"""

from gikai.config import Baseline, main


def run(config: Baseline) -> None:
    from gikai.baseline import fit_baseline

    print(fit_baseline(config))


if __name__ == "__main__":
    main("baseline", run)
