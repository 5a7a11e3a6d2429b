"""List passages that look mislabelled, and how far two annotations agree.

python scripts/check_labels.py data=FILE [against=FILE] [taxonomy=DIR] [show=20] [output=FILE]
"""

from gikai.config import CheckLabels, main


def run(config: CheckLabels) -> None:
    from gikai.label_quality import check_labels

    print(check_labels(config))


if __name__ == "__main__":
    main("check_labels", run)
