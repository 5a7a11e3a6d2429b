"""Check labelled data: schema, taxonomy, duplicates, leaks, copied spans; exit 1 with a list of what is wrong.

python scripts/check_data.py [data=PATH …] [against=PATH] [floors=shipped]
"""

import sys

from gikai.config import CheckData, main


def run(config: CheckData) -> None:
    from gikai.checks import check_data

    problems = check_data(config)
    print("\n".join([*problems, f"{len(problems)} problems in {', '.join(config.data)}"]))
    if problems:
        sys.exit(1)


if __name__ == "__main__":
    main("check_data", run)
