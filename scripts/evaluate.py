"""Score a run on labelled passages; prints the scores, and the folder of the results last.

python scripts/evaluate.py run=DIR [data=FILE] [output=DIR] [baselines=[DIR,…]] [words=60]
"""

from gikai.config import Evaluate, main


def run(config: Evaluate) -> None:
    from gikai.evaluate import evaluate

    print(evaluate(config))


if __name__ == "__main__":
    main("evaluate", run)
