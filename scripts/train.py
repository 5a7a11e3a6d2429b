"""Fine-tune a Japanese BERT on labelled passages; prints the run folder last.

python scripts/train.py [task=joint] [model=compact] [train=FILE] [dev=FILE] [taxonomy=DIR] [experiment=…] [run=DIR]
"""

from gikai.config import Train, main


def run(config: Train) -> None:
    from gikai.finetune import finetune

    print(finetune(config))


if __name__ == "__main__":
    main("train", run)
