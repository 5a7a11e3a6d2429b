"""Fine-tune a Japanese BERT on labelled passages; prints the run folder last.

python scripts/train.py [task=joint] [model=compact] [train=FILE] [dev=FILE] [taxonomy=DIR] [experiment=…] [run=DIR]
"""

from gikai.config import Train, main


def run(config: Train) -> float | None:
    from gikai.finetune import dev_score, finetune

    folder = finetune(config)
    print(folder)
    return dev_score(folder)


if __name__ == "__main__":
    main("train", run)
