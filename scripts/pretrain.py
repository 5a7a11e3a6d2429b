"""Pre-train a compact Japanese BERT on minutes, or any checkpoint further: masked words, and words and role from [CLS].

python scripts/pretrain.py corpus=minutes.jsonl.xz [init=data/pretrained/compact] [run=runs/pretrain] [steps=10000]
"""

from gikai.config import Pretrain, main


def run(config: Pretrain) -> None:
    from gikai.pretrain import pretrain

    print(pretrain(config))


if __name__ == "__main__":
    main("pretrain", run)
