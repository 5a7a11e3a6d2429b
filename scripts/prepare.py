"""Turn minutes into passages with the roles that their headers give, ready to train on; the last line counts them.

python scripts/prepare.py input=PATH output=FILE.jsonl [report=FILE.md] [shortest=40] [drop_duplicates=true]
"""

from gikai.config import Prepare, main


def run(config: Prepare) -> None:
    from gikai.prepare import prepare

    prepare(config)


if __name__ == "__main__":
    main("prepare", run)
