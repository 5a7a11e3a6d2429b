"""Pre-training: masking by its rates, exact resume after SIGKILL, a stock result."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForSequenceClassification, BertConfig, BertForMaskedLM, Trainer, TrainingArguments

from conftest import ROOT, gikai, torchrun
from gikai import InputError
from gikai.baseline import fit_baseline
from gikai.config import Baseline, Pretrain
from gikai.labels import Label, LabelSet, Taxonomy
from gikai.model import has_bf16, start_model
from gikai.predictor import load_predictor
from gikai.pretrain import IGNORE, mask_words, pretrain, rate


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty speeches of twenty sittings, with titles."""
    path = tmp_path_factory.mktemp("corpus") / "minutes.jsonl"
    titles = ["議長", "委員", "総務課長", "市長"]
    rows = [
        {
            "assembly": "帆波町議会",
            "date": f"2024-06-{1 + k % 20:02d}",
            "meeting": "総務委員会" if k % 2 else "定例会",
            "title": titles[k % 4],
            "text": f"{k}番目の発言です。保育の電子申込みと窓口の手数料についての質疑です。" * 4,
        }
        for k in range(40)
    ]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def settings(run: Path, corpus: Path, tiny: Path, **changes: object) -> Pretrain:
    values: dict[str, object] = {
        "run": str(run), "corpus": [str(corpus)], "vocabulary": str(tiny), "layers": 2, "width": 32, "heads": 2, "length": 32,
        "batch_size": 4, "steps": 12, "warmup": 2, "lr": 1e-3, "validation": 0.3, "evaluate_every": 6, "save_every": 3, **changes,
    }  # fmt: skip
    return Pretrain(**values)  # type: ignore[arg-type]


def test_masking_rates_on_100000_tokens() -> None:
    """80/10/10 of about a fifth; all pieces of a word together; special tokens never."""
    vocabulary = 1000
    continues = torch.zeros(vocabulary, dtype=torch.bool)
    continues[500:] = True
    special = torch.zeros(vocabulary, dtype=torch.bool)
    special[:5] = True
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, vocabulary, (1000, 100), generator=generator)
    ids[:, 0] = 2
    ids[:, 50] = 3
    inputs, targets = mask_words(ids, continues, special, 0.2, 4, generator)
    chosen = targets != IGNORE
    assert not (chosen & special[ids]).any()
    assert chosen.float().sum() / (~special[ids]).float().sum() == pytest.approx(0.2, abs=0.01)
    assert (targets[chosen] == ids[chosen]).all()
    assert (inputs[~chosen] == ids[~chosen]).all()
    masked = (inputs == 4) & chosen
    kept = (inputs == ids) & chosen
    assert masked.sum() / chosen.sum() == pytest.approx(0.8, abs=0.02)
    assert kept.sum() / chosen.sum() == pytest.approx(0.1, abs=0.02)
    assert not special[inputs[chosen & ~masked]].any()
    inside = continues[ids][:, 1:] & ~special[ids][:, :-1]
    assert (chosen[:, 1:] == chosen[:, :-1])[inside].all()
    assert (masked[:, 1:] == masked[:, :-1])[inside].all()


def test_rate_rises_stays_and_falls(corpus: Path, tiny: Path, tmp_path: Path) -> None:
    config = settings(tmp_path, corpus, tiny, steps=100, warmup=10)
    assert rate(0, config) == pytest.approx(0.1)
    assert rate(50, config) == 1.0
    assert 0 < rate(99, config) < 0.05


def test_result_is_stock_and_goes_on_from_any_checkpoint(corpus: Path, tiny: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    folder = pretrain(settings(tmp_path / "first", corpus, tiny))
    model = AutoModelForMaskedLM.from_pretrained(str(folder))
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    assert model(**tokenizer("電子申込み", return_tensors="pt")).logits.shape[-1] == len(tokenizer)
    assert load_file(folder / "model.safetensors")["bert.pooler.dense.weight"].dtype == torch.float16
    record = json.loads((tmp_path / "first/run.json").read_text(encoding="utf-8"))
    assert {"tokens", "validation", "corpus_sha256", "steps"} <= set(record)
    further = pretrain(settings(tmp_path / "further", corpus, tiny, init=str(folder), vocabulary=None, steps=4))
    assert (further / "config.json").exists()
    with pytest.raises(InputError, match="already finished"):
        pretrain(settings(tmp_path / "first", corpus, tiny))


def test_vocabulary_from_the_corpus(corpus: Path, tiny: Path, tmp_path: Path) -> None:
    from gikai.tokenizer import Tokenizer

    folder = pretrain(settings(tmp_path / "run", corpus, tiny, vocabulary=None, vocabulary_size=120, steps=3, warmup=1))
    tokenizer = Tokenizer(folder)
    assert tokenizer.exact
    assert len(tokenizer) <= 120
    assert tokenizer.unknown not in tokenizer.ids("保育の電子申込みと窓口")


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_weights(corpus: Path, tiny: Path, tmp_path: Path) -> None:
    """SIGKILL as soon as the first checkpoint is there, and again later; then an uninterrupted run to compare with."""
    whole = pretrain(settings(tmp_path / "whole", corpus, tiny, steps=40))
    arguments = [
        f"{key}={value}"
        for key, value in vars(settings(tmp_path / "killed", corpus, tiny, steps=40)).items()
        if value is not None and key != "corpus"
    ]
    command = [sys.executable, str(ROOT / "scripts/pretrain.py"), f"corpus={corpus}", *arguments]
    for wanted in (3, 21):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "2"}
        )
        deadline = time.time() + 60
        while time.time() < deadline and process.poll() is None:
            steps = [int(path.name.split("-")[1]) for path in (tmp_path / "killed").glob("checkpoint-*") if path.suffix != ".partial"]
            if steps and max(steps) >= wanted:
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    if not (tmp_path / "killed/run.json").exists():
        result = subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "2"})
        assert result.returncode == 0, result.stderr
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (whole, tmp_path / "killed/model"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.slow
def test_two_processes_share_every_batch(corpus: Path, tiny: Path, tmp_path: Path) -> None:
    """Under `torchrun`, on CPUs: what a step learns from is the same, so that training ends near where one process does."""
    changes: dict[str, object] = {"steps": 60, "save_every": 60, "dropout": 0.0, "precision": "float32"}
    alone = pretrain(settings(tmp_path / "alone", corpus, tiny, **changes))
    values = vars(settings(tmp_path / "two", corpus, tiny, **changes))
    arguments = [f"{key}={value}" for key, value in values.items() if value is not None and key != "corpus"]
    result = torchrun("pretrain", f"corpus={corpus}", *arguments)
    assert result.returncode == 0, result.stderr
    records = [json.loads((folder / "run.json").read_text(encoding="utf-8")) for folder in (alone.parent, tmp_path / "two")]
    assert [record["processes"] for record in records] == [1, 2]
    assert records[0]["tokens"] == records[1]["tokens"]
    first, last = (
        json.loads(line)["mlm_loss"]
        for line in np.array((tmp_path / "two/validation.jsonl").read_text(encoding="utf-8").splitlines())[[0, -1]]
    )
    assert last < first
    assert abs(records[0]["validation"]["mlm_loss"] - records[1]["validation"]["mlm_loss"]) < 0.1 * first


def test_other_settings_in_an_unfinished_run_are_refused(corpus: Path, tiny: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "settings.json").write_text(json.dumps({**vars(settings(run, corpus, tiny)), "lr": 9.0}), encoding="utf-8")
    with pytest.raises(InputError, match=r"begun with lr=9\.0"):
        pretrain(settings(run, corpus, tiny))
    assert gikai("pretrain", f"corpus={tmp_path / 'none.jsonl'}", f"run={tmp_path / 'x'}").returncode == 2


def test_a_teacher_labels_windows_and_the_head_is_learned(corpus: Path, tiny: Path, run: Path, tmp_path: Path) -> None:
    """Only windows with the word, and a share of others, are read; their labels are the teachers' mean probabilities."""
    config = settings(tmp_path / "taught", corpus, tiny, teacher=[str(run)], keep="電子", others=0.0, length=24, steps=60, validation=0.0)
    pretrain(config)
    tokens = tmp_path / "taught" / "tokens"
    labels, windows = np.load(tokens / "train.labels.npy"), np.load(tokens / "train.windows.npy")
    predictor = load_predictor(run)
    assert labels.shape == (len(windows), len(predictor.taxonomy.names))
    assert 0 < len(windows) < len(np.load(tokens / "train.ids.npy")) // 23
    record = json.loads((tmp_path / "taught" / "run.json").read_text(encoding="utf-8"))
    assert record["config"]["teacher"] == [str(run)]

    # The head that was learned is a stock classifier's, and fine-tuning goes on from the labels it knows by name.
    head = AutoModelForSequenceClassification.from_pretrained(tmp_path / "taught" / "model", dtype=torch.float32)
    taxonomy = predictor.taxonomy
    assert list(head.config.id2label.values()) == taxonomy.names
    fewer = Taxonomy((taxonomy.sets[1], LabelSet("own", "own", "multi", (Label("new"),))))
    model = start_model(str(tmp_path / "taught" / "model"), None, fewer, dropout=0.1)
    known = taxonomy.columns[taxonomy.sets[1].name]
    assert torch.equal(model.classifier.weight[:-1], head.classifier.weight[known])
    assert list(model.config.id2label.values()) == fewer.names

    # Without a teacher the head is not learned on, so the result does not claim one.
    further = pretrain(settings(tmp_path / "further", corpus, tiny, init=str(tmp_path / "taught" / "model"), vocabulary=None, steps=4))
    assert not set(AutoConfig.from_pretrained(further).id2label.values()) & set(taxonomy.names)


def test_several_teachers_give_the_mean_of_what_each_gives(
    corpus: Path, tiny: Path, run: Path, labelled: Path, root: Path, tmp_path: Path
) -> None:
    majority = fit_baseline(
        Baseline(
            "majority", str(tmp_path / "majority"), str(labelled / "train.jsonl"), str(labelled / "dev.jsonl"), str(root / "data/taxonomy")
        )
    )
    found = []
    for number, teachers in enumerate(([run], [majority], [run, majority])):
        folder = tmp_path / str(number)
        pretrain(
            settings(folder, corpus, tiny, teacher=[str(teacher) for teacher in teachers], keep="電子", length=24, steps=3, validation=0.0)
        )
        found.append(np.load(folder / "tokens/train.labels.npy").astype(float))
    assert np.abs(found[2] - (found[0] + found[1]) / 2).max() < 1e-3
    assert np.abs(found[0] - found[1]).max() > 0.1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_faster_than_a_plain_trainer(root: Path, tmp_path: Path) -> None:
    """Tokens a second beside `Trainer` with `BertForMaskedLM`: same shape, same batches, both bf16 where the machine has it.

    The ratio is printed (`pytest -s -m slow -k plain_trainer`); rounds are interleaved, since machines are noisy.
    """
    length, size, steps, rounds = 128, 16, 12, 3
    shape = BertConfig(vocab_size=16000, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024)
    ids = torch.randint(5, 16000, (size * steps, length), generator=torch.Generator().manual_seed(0))
    continues, special = torch.zeros(16000, dtype=torch.bool), torch.arange(16000) < 5

    def plain() -> float:
        def collate(rows: list[torch.Tensor]) -> dict[str, torch.Tensor]:
            inputs, labels = mask_words(torch.stack(rows), continues, special, 0.2, 4, torch.Generator().manual_seed(0))
            return {"input_ids": inputs, "labels": labels}

        arguments = TrainingArguments(
            str(tmp_path), per_device_train_batch_size=size, max_steps=steps, bf16=has_bf16(), use_cpu=not torch.cuda.is_available(),
            save_strategy="no", logging_strategy="no", report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = Trainer(BertForMaskedLM(shape), arguments, train_dataset=list(ids), data_collator=collate)
        started = time.perf_counter()
        trainer.train()
        return ids.numel() / (time.perf_counter() - started)

    def ours(number: int) -> float:
        folder = tmp_path / f"ours{number}"
        (folder / "tokens").mkdir(parents=True)
        stream = folder / "tokens" / "train.ids.npy"
        np.save(stream, ids.numpy().astype(np.uint16).ravel())
        np.save(folder / "tokens" / "train.roles.npy", np.zeros(ids.numel(), dtype=np.int8))
        config = Pretrain(
            run=str(folder), corpus=[str(stream)], vocabulary=str(root / "data/pretrained/compact"), length=length, batch_size=size,
            steps=steps, warmup=1, validation=0.0, save_every=steps + 1,
        )  # fmt: skip
        started = time.perf_counter()
        pretrain(config)
        return ids.numel() / (time.perf_counter() - started)

    ratios = sorted(ours(number) / plain() for number in range(rounds))
    print(f"tokens a second, gikai / Trainer: median {np.median(ratios):.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f} over {rounds} rounds")
    assert np.median(ratios) > 1.2
