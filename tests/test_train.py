"""Training through the public door: a run that reloads to the same scores, repeats, resumes, and refuses what it must."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import gikai, labelled_rows, torchrun, write_rows
from gikai import InputError
from gikai.config import Evaluate, ModelConfig, TaskConfig, Train, TrainConfig
from gikai.dataset import load_labelled
from gikai.evaluate import evaluate
from gikai.finetune import finetune
from gikai.labels import load_taxonomy
from gikai.predictor import load_predictor

FILES = ["calibration.json", "config.yaml", "dev", "model", "run.json", "taxonomy", "thresholds.json"]


def settings(run: Path, tiny: Path, labelled: Path, root: Path, **changes: object) -> Train:
    epochs = changes.pop("epochs", 2)
    return Train(
        run=str(run),
        dev=str(labelled / "dev.jsonl"),
        taxonomy=str(changes.pop("taxonomy", root / "data/taxonomy")),
        model=ModelConfig(path=str(tiny), max_length=64, lr=3e-3, head_lr=1e-2, epochs=epochs),  # type: ignore[arg-type]
        train=TrainConfig(file=str(labelled / "train.jsonl"), batch_size=8),
        **changes,  # type: ignore[arg-type]
    )


def metrics_of(folder: Path) -> dict[str, dict[str, float]]:
    value: dict[str, dict[str, float]] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return value


def test_run_folder_and_learning(run: Path) -> None:
    # A job that tries the faster backends adds onnx/ to a run.
    assert sorted(path.name for path in run.iterdir() if not path.name.startswith(".") and path.name != "onnx") == FILES
    assert sorted(path.name for path in (run / "dev").iterdir()) == ["metrics.json", "predictions.jsonl", "report.html"]
    metrics = metrics_of(run / "dev")
    assert metrics["role"]["accuracy"] > 0.7
    assert metrics["initiative"]["map"] > 0.6
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert {"seed", "device", "seconds", "data", "versions", "commit", "threads"} <= set(record)


def test_scores_after_training_equal_scores_after_reloading(run: Path, labelled: Path, tmp_path: Path) -> None:
    evaluate(Evaluate(run=str(run), data=str(labelled / "dev.jsonl"), output=str(tmp_path)))
    assert metrics_of(tmp_path) == metrics_of(run / "dev")


def test_stock_transformers_loads_it_and_its_logits_equal_ours(run: Path, labelled: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    predictor = load_predictor(run)
    model = AutoModelForSequenceClassification.from_pretrained(str(run / "model"))
    tokenizer = AutoTokenizer.from_pretrained(str(run / "model"))
    assert list(model.config.id2label.values()) == predictor.taxonomy.names
    texts = [passage.text for passage in load_labelled(labelled / "holdout.jsonl", predictor.taxonomy)]
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model.eval()(**inputs).logits.numpy()
    assert np.abs(logits - predictor.logits(texts)).max() < 1e-4


def test_batching_changes_nothing_and_long_texts_are_not_cut(run: Path) -> None:
    predictor = load_predictor(run)
    long = "保育所の入所申込みをスマートフォンから出せます。" * 12
    texts = ["端末です。", long, "手数料です。" * 3]
    together = predictor.logits(texts)
    alone = np.concatenate([predictor.logits([text]) for text in texts])
    assert np.abs(together - alone).max() < 1e-5
    assert len(predictor.tokenizer.windows(long, predictor.max_length)) > 1


def test_one_seed_gives_the_same_metrics_twice(tiny: Path, labelled: Path, root: Path, tmp_path: Path) -> None:
    first, second = (finetune(settings(tmp_path / name, tiny, labelled, root)) for name in ("a", "b"))
    assert metrics_of(first / "dev") == metrics_of(second / "dev")


def test_stopped_and_started_again_it_ends_the_same(
    tiny: Path, labelled: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = finetune(settings(tmp_path / "whole", tiny, labelled, root, epochs=3))
    from transformers import Trainer

    save = Trainer._save_checkpoint

    def stop_after_second(self: Trainer, *arguments: object, **named: object) -> None:
        save(self, *arguments, **named)
        if self.state.epoch >= 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "_save_checkpoint", stop_after_second)
    with pytest.raises(KeyboardInterrupt):
        finetune(settings(tmp_path / "broken", tiny, labelled, root, epochs=3))
    monkeypatch.undo()
    assert not (tmp_path / "broken" / "run.json").exists()
    with pytest.raises(InputError, match="begun here with another model"):
        finetune(settings(tmp_path / "broken", tiny, labelled, root, epochs=4))
    resumed = finetune(settings(tmp_path / "broken", tiny, labelled, root, epochs=3))
    assert metrics_of(resumed / "dev") == metrics_of(whole / "dev")


@pytest.mark.slow
def test_two_processes_make_one_run(tiny: Path, labelled: Path, tmp_path: Path) -> None:
    """`torchrun` on CPUs: one run folder, written once, that learned."""
    run = tmp_path / "two"
    files = f"train={labelled / 'train.jsonl'}", f"dev={labelled / 'dev.jsonl'}"
    model = f"model.path={tiny}", "model.max_length=64", "model.lr=2e-3", "model.head_lr=1e-2", "model.epochs=20"
    result = torchrun(
        "train", f"run={run}", *files, *model, "train.batch_size=4", "train.dropout=0", "train.multi_weight=4", "train.patience=20"
    )
    assert result.returncode == 0, result.stderr
    assert not (run / "checkpoints").exists()
    assert json.loads((run / "run.json").read_text(encoding="utf-8"))["best_dev"] > 0.4  # after one epoch: below 0.2
    assert evaluate(Evaluate(run=str(run), data=str(labelled / "holdout.jsonl"), output=str(tmp_path / "held")))


def test_a_finished_run_is_refused(run: Path, tiny: Path, labelled: Path, root: Path) -> None:
    with pytest.raises(InputError, match="this run is finished"):
        settings(run, tiny, labelled, root)


def test_a_run_of_one_label_set_is_the_same_code(tiny: Path, labelled: Path, root: Path, tmp_path: Path) -> None:
    folder = finetune(settings(tmp_path / "role", tiny, labelled, root, task=TaskConfig(label_sets=["role"])))
    assert set(metrics_of(folder / "dev")) == {"n", "cluster", "role"}
    with pytest.raises(InputError, match="no label set 'speaker'"):
        finetune(settings(tmp_path / "x", tiny, labelled, root, task=TaskConfig(label_sets=["speaker"])))


def test_taxonomy_and_id2label_must_agree(run: Path, tmp_path: Path, labelled: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run/taxonomy/role.yaml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    chair = next(line for line in lines if "id: chair" in line)
    path.write_text("".join([line for line in lines if line is not chair] + [chair]), encoding="utf-8")
    said = gikai("evaluate", f"run={tmp_path / 'run'}", f"data={labelled / 'dev.jsonl'}")
    assert said.returncode == 2
    assert "id2label and taxonomy/ disagree: output 16 is role/chair in the model" in said.stderr


def test_wrong_data_is_named_by_the_command(run: Path, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "x.jsonl", [{"id": "a", "text": "あ", "initiatives": ["dx"]}])
    said = gikai("evaluate", f"run={run}", f"data={path}")
    assert (said.returncode, said.stderr.count("\n")) == (2, 1)
    assert f"{path}:1:" in said.stderr
    assert "online_procedures" in said.stderr
    (tmp_path / "empty.jsonl").write_text("")
    assert "the file is empty" in gikai("evaluate", f"run={run}", f"data={tmp_path / 'empty.jsonl'}").stderr


def test_three_labels_of_ones_own(tiny: Path, tmp_path: Path) -> None:
    """From two YAML files and a JSONL to predictions, as a practitioner with other classes would."""
    taxonomy = tmp_path / "my taxonomy（案）"
    taxonomy.mkdir()
    (taxonomy / "topic.yaml").write_text("field: topics\nkind: multi\nlabels:\n  - {id: 保育}\n  - {id: 支払}\n", encoding="utf-8")
    (taxonomy / "tone.yaml").write_text("field: tone\nkind: single\nlabels:\n  - {id: 質問}\n  - {id: 答弁}\n", encoding="utf-8")
    names = {"online_procedures": "保育", "cashless_payment": "支払"}

    def rows(count: int, start: int) -> list[dict[str, object]]:
        return [
            {
                "id": row["id"],
                "text": row["text"],
                "topics": [names[label] for label in row["initiatives"] if label in names],  # type: ignore[attr-defined]
                "tone": "質問" if row["role"] == "member" else "答弁",
            }
            for row in labelled_rows(count, start)
        ]

    train, dev = write_rows(tmp_path / "train.jsonl", rows(60, 0)), write_rows(tmp_path / "dev.jsonl", rows(24, 100))
    said = gikai(
        "train", f"taxonomy={taxonomy}", f"train={train}", f"dev={dev}", f"run={tmp_path / 'run'}", f"model.path={tiny}",
        "model.epochs=20", "model.lr=2e-3", "model.head_lr=1e-2", "model.max_length=64", "train.batch_size=8", "train.dropout=0", "train.patience=20",
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines()[-1] == str(tmp_path / "run")
    said = gikai("predict", f"run={tmp_path / 'run'}", f"input={dev}", f"output={tmp_path / 'out'}", "format=jsonl")
    assert said.returncode == 0, said.stderr
    predicted = [json.loads(line) for line in (tmp_path / "out/rows-00000.jsonl").read_text(encoding="utf-8").splitlines()]
    gold = {row["id"]: row for row in rows(24, 100)}
    assert len(predicted) == 24
    assert sum(row["tone"] == gold[row["id"]]["tone"] for row in predicted) >= 16
    assert len(predicted[0]["topic_probabilities"]) == 2
    assert load_taxonomy(tmp_path / "run/taxonomy").names == ["tone/質問", "tone/答弁", "topic/保育", "topic/支払"]


def test_a_hub_checkpoint_of_the_tohoku_type_takes_the_same_path(root: Path, tmp_path: Path, labelled: Path) -> None:
    """model=tohoku_v3 offline: a tiny random checkpoint with that tokenizer's configuration in the Hub cache's place."""
    from transformers import BertConfig, BertForMaskedLM, BertJapaneseTokenizer

    folder = tmp_path / "hub"
    folder.mkdir()
    shutil.copy(root / "data/pretrained/compact/vocab.txt", folder / "vocab.txt")
    tokenizer = BertJapaneseTokenizer(
        str(folder / "vocab.txt"),
        do_lower_case=False,
        word_tokenizer_type="mecab",
        subword_tokenizer_type="wordpiece",
        mecab_kwargs={"mecab_dic": "unidic_lite"},
        model_max_length=512,
    )
    tokenizer.save_pretrained(str(folder))
    BertForMaskedLM(
        BertConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32)
    ).save_pretrained(str(folder))
    said = gikai(
        "train", "model=tohoku_v3", f"model.path={folder}", "model.revision=null", f"train={labelled / 'train.jsonl'}",
        f"dev={labelled / 'dev.jsonl'}", f"run={tmp_path / 'run'}", "model.epochs=1",
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert json.loads((tmp_path / "run/run.json").read_text(encoding="utf-8"))["max_length"] == 512


def test_a_checkpoint_out_of_reach_is_one_sentence(labelled: Path, tmp_path: Path) -> None:
    said = gikai(
        "train", "model=tohoku_v3", f"train={labelled / 'train.jsonl'}", f"dev={labelled / 'dev.jsonl'}", f"run={tmp_path / 'run'}"
    )
    assert said.returncode == 2
    assert said.stderr.startswith("error: ")
    assert "tohoku-nlp/bert-base-japanese-v3" in said.stderr
