"""Compare runs on the same passages: one table, and which differences are real.

python scripts/compare.py runs=[A,B,…] [data=FILE] [write=README.md] [output=FILE] [fresh=true]
"""

from gikai.config import Compare, main


def run(config: Compare) -> None:
    from gikai.compare import compare

    print(compare(config))


if __name__ == "__main__":
    main("compare", run)
