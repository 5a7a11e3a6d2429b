"""Fixtures: a tiny random Japanese BERT with the real tokenizer, a small labelled corpus, a run trained on it. Offline."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import pytest
import torch

torch.set_num_threads(2)

ROOT = Path(__file__).resolve().parents[1]

SENTENCES = {
    "online_procedures": "保育の電子申込みです。",
    "cashless_payment": "窓口で手数料を払う。",
    "education_dx": "児童の学習端末。",
}
ENDINGS = {
    "chair": "これより質疑。",
    "member": "伺います。",
    "executive_official": "答弁とします。",
}


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of 2 layers and 32 units whose vocabulary is single characters and some words; a stock folder."""
    from transformers import BertConfig, BertForPreTraining, BertJapaneseTokenizer

    folder = tmp_path_factory.mktemp("tiny")
    text = "".join([*SENTENCES.values(), *ENDINGS.values()])
    letters = sorted(set(text + "0123456789abcdefghijklmnopqrstuvwxyz、。「」()"))
    words = ["電子", "申込み", "スマート", "端末", "質疑", "手数料", "##フォン", "ます", "です"]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters), *words]
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in dict.fromkeys(pieces)), encoding="utf-8")
    tokenizer = BertJapaneseTokenizer(
        str(folder / "vocab.txt"),
        word_tokenizer_type="mecab",
        subword_tokenizer_type="wordpiece",
        mecab_kwargs={"mecab_dic": "unidic_lite"},
    )
    tokenizer.save_pretrained(str(folder))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    BertForPreTraining(config).save_pretrained(str(folder))
    return folder


def labelled_rows(count: int, start: int = 0) -> list[dict[str, object]]:
    """Return passages whose labels can be learned: a sentence a label, an ending a role."""
    labels, roles = list(SENTENCES), list(ENDINGS)
    rows: list[dict[str, object]] = []
    for index in range(start, start + count):
        label, role = labels[index % 3], roles[(index // 3) % 3]
        chosen = [] if index % 7 == 6 else [label]
        text = ("道路の補修。" if not chosen else SENTENCES[label]) + ENDINGS[role]
        rows.append(
            {
                "id": f"p{index}",
                "text": f"{text}{index}",
                "initiatives": chosen,
                "role": role,
                "assembly": f"架空{index % 5}市議会",
            }
        )
    return rows


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.jsonl, dev.jsonl and holdout.jsonl of learnable passages under the shipped taxonomy."""
    folder = tmp_path_factory.mktemp("labelled")
    write_rows(folder / "train.jsonl", labelled_rows(180))
    write_rows(folder / "dev.jsonl", labelled_rows(24, 300))
    write_rows(folder / "holdout.jsonl", labelled_rows(24, 400))
    return folder


def gikai(script: str, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a script as a person would, and return what it said."""
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / f"{script}.py"), *arguments], cwd=cwd, capture_output=True, text=True, timeout=280
    )


def torchrun(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script in two processes of `torchrun`, a thread each."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(ROOT / f"scripts/{script}.py")]
    return subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=280, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, tiny: Path, labelled: Path) -> Path:
    """A finished run of the tiny model."""
    from gikai.config import ModelConfig, Train, TrainConfig
    from gikai.finetune import finetune

    folder = tmp_path_factory.mktemp("runs") / "tiny"
    return finetune(
        Train(
            run=str(folder),
            dev=str(labelled / "dev.jsonl"),
            taxonomy=str(ROOT / "data/taxonomy"),
            model=ModelConfig(path=str(tiny), max_length=64, lr=2e-3, head_lr=1e-2, epochs=20),
            train=TrainConfig(file=str(labelled / "train.jsonl"), batch_size=8, dropout=0.0, multi_weight=4.0, patience=20),
        )
    )


def skip_without_plugins(text: str) -> None:
    """Skip where `text` asks for a Hydra plugin that this environment lacks."""
    for pattern, package, extra in (
        ("optuna|experiment=sweep", "hydra_optuna_sweeper", "sweep"),
        ("submitit", "hydra_submitit_launcher", "slurm"),
    ):
        if re.search(pattern, text) and not any((Path(place) / "hydra_plugins" / package).is_dir() for place in sys.path):
            pytest.skip(f"{package} is not installed: pip install -e '.[{extra}]'")
