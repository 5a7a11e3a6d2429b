"""Fine-tune the joint model on labelled passages; the result is a run folder.

python scripts/train.py [task=joint] [model=compact] [train=FILE] [dev=FILE] [taxonomy=DIR] [run=DIR]
"""

import contextlib
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch.utils.data import Dataset
from transformers import EarlyStoppingCallback, EvalPrediction, PreTrainedModel, Trainer, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback, ProgressCallback, TrainerCallback

from gikai import InputError, runs
from gikai.config import Train
from gikai.dataset import load_labelled
from gikai.evaluate import fit_on_dev
from gikai.labels import Taxonomy, load_taxonomy
from gikai.metrics import fit_thresholds, score
from gikai.model import has_bf16, joint_loss, load_model, parameter_groups, start_model
from gikai.predictor import TorchPredictor
from gikai.records import Passage
from gikai.text import NORMALISATION
from gikai.tokenizer import Tokenizer

log = logging.getLogger(__name__)


class Encoded(Dataset[dict[str, Any]]):
    """Passages as model inputs: `input_ids` (first window), `length`, and `labels` `(all labels,)`, NaN where unlabelled."""

    def __init__(self, passages: Sequence[Passage], tokenizer: Tokenizer, taxonomy: Taxonomy, max_length: int) -> None:
        windows = [tokenizer.windows(passage.text, max_length) for passage in passages]
        self.ids = [of_passage[0] for of_passage in windows]
        self.longer = sum(len(of_passage) > 1 for of_passage in windows)
        self.labels = [taxonomy.encode(passage.gold) for passage in passages]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self.ids[index], "length": len(self.ids[index]), "labels": self.labels[index]}


def finetune(config: Train) -> Path:
    """Train into `config.run` and return it: model, taxonomy, thresholds, dev scores, `run.json` last.

    An unfinished run folder is resumed from its newest checkpoint; a finished one raises InputError, as does one begun
    with other settings. Training twice with one seed on one CPU gives the same metrics.
    """
    run = Path(config.run)
    taxonomy = load_taxonomy(Path(config.taxonomy)).select(config.task.label_sets)
    data = {"train": Path(config.train.file), "dev": Path(config.dev)}
    passages = {name: load_labelled(path, taxonomy) for name, path in data.items()}
    # Under torchrun the first process holds the folder; the others follow it.
    with runs.locked(run, "training") if int(os.environ.get("RANK", "0")) == 0 else contextlib.nullcontext():
        return _finetune(config, run, taxonomy, data, passages)


def _finetune(config: Train, run: Path, taxonomy: Taxonomy, data: dict[str, Path], passages: dict[str, list[Passage]]) -> Path:
    started = time.time()
    set_seed(config.train.seed)
    hashes = {name: runs.sha256(path) for name, path in data.items()}
    hashes["taxonomy"] = runs.fingerprint(sorted(path for path in Path(config.taxonomy).iterdir() if path.suffix in (".yaml", ".yml")))
    # Loaded before the folder is begun: a mistyped checkpoint must not leave a run that another one cannot continue.
    tokenizer = Tokenizer(config.model.path, revision=config.model.revision)
    model = start_model(config.model.path, config.model.revision, taxonomy, config.train.dropout)
    _begin(run, config, taxonomy, hashes)
    limit = min(config.model.max_length, model.config.max_position_embeddings)
    encoded = {name: Encoded(items, tokenizer, taxonomy, limit) for name, items in passages.items()}
    if encoded["train"].longer:
        log.warning(
            "%d of %d training passages are longer than %d pieces: their first window is learned",
            encoded["train"].longer,
            len(encoded["train"]),
            limit,
        )
    bf16 = config.train.precision == "bf16" or (config.train.precision == "auto" and has_bf16())
    trainer = _trainer(config, run, taxonomy, model, tokenizer, encoded, bf16)
    trainer.train(resume_from_checkpoint=_newest_checkpoint(run))

    if trainer.is_world_process_zero():
        # Thresholds and dev scores come from the model as it was written, so that reloading cannot change them.
        model.cpu()
        model.save_pretrained(str(run / "model"))
        tokenizer.stock.save_pretrained(str(run / "model"))
        predictor = TorchPredictor(load_model(run, taxonomy), tokenizer, taxonomy, limit)
        metrics = fit_on_dev(run, predictor, passages["dev"], f"{run.name} on {data['dev'].name}")
        shutil.rmtree(run / "checkpoints", ignore_errors=True)
        runs.write_json(
            run / "run.json",
            {
                "name": run.name,
                "kind": "bert",
                "max_length": limit,
                "normalisation": NORMALISATION,
                "seed": config.train.seed,
                "data": {name: {"file": str(data[name]), "sha256": hashes[name], "passages": len(passages[name])} for name in data},
                "start": {"path": config.model.path, "revision": config.model.revision},
                "device": str(trainer.args.device),
                "bf16": bf16,
                "threads": torch.get_num_threads(),
                "epochs": round(float(trainer.state.epoch or 0), 2),
                "best_dev": trainer.state.best_metric,
                "dev": {
                    name: {key: value for key, value in metrics[name].items() if isinstance(value, float)}
                    for name in metrics
                    if isinstance(metrics[name], dict)
                },
                "seconds": round(time.time() - started, 1),
                **runs.provenance(),
            },
        )
    return run


def dev_score(run: Path) -> float | None:
    """Return the best dev score of a finished run, which a sweep optimises; None to a process of torchrun that writes none."""
    if int(os.environ.get("RANK", "0")) != 0:
        return None
    return float(json.loads((run / "run.json").read_text(encoding="utf-8"))["best_dev"])


def _begin(run: Path, config: Train, taxonomy: Taxonomy, hashes: dict[str, str]) -> None:
    """Write the run's configuration and taxonomy, or check that an unfinished run was begun with the same."""
    settings = {**asdict(config), "run": str(run), "data_sha256": hashes}
    path = run / "config.yaml"
    if int(os.environ.get("RANK", "0")) != 0:
        return
    if path.exists():
        before = yaml.safe_load(path.read_text(encoding="utf-8"))
        changed = sorted(key for key in settings if key != "run" and before.get(key) != settings[key])
        if changed:
            raise InputError(
                f"{run}: an unfinished run was begun here with another {changed[0]}; repeat that command, or choose another run=…"
            )
        return
    runs.copy_taxonomy(Path(config.taxonomy), run, [label_set.name for label_set in taxonomy.sets])
    runs.write_text(path, yaml.safe_dump(settings, allow_unicode=True, sort_keys=False))


def _newest_checkpoint(run: Path) -> str | None:
    """Return the newest complete checkpoint; `Trainer` writes trainer_state.json last."""
    found = [path for path in (run / "checkpoints").glob("checkpoint-*") if (path / "trainer_state.json").exists()]
    newest = max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
    if newest is not None:
        log.info("going on from %s", newest)
    return str(newest) if newest else None


class DevLine(TrainerCallback):
    """Prints one line an epoch: what a person wants to see of a training that goes on."""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        """Print dev scores; the loss is in checkpoints and trackers."""
        if state.is_world_process_zero and logs and "eval_score" in logs:
            scores = "  ".join(
                f"{key.removeprefix('eval_')} {value:.3f}"
                for key, value in logs.items()
                if "_f1" in key or "_map" in key or "_accuracy" in key
            )
            log.info("epoch %4.1f  dev score %.3f  (%s)", state.epoch, logs["eval_score"], scores)


class QuietProgress(ProgressCallback):
    """`Trainer`'s bar with rate and time left, without its dictionaries: `DevLine` says what there is to say."""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        """Print nothing."""


def _trainer(
    config: Train,
    run: Path,
    taxonomy: Taxonomy,
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    encoded: dict[str, Encoded],
    bf16: bool,
) -> Trainer:
    settings = config.train
    # Trackers write into the run folder, unless the user's environment names a place.
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(run / "tensorboard"))
    os.environ.setdefault("MLFLOW_TRACKING_URI", f"sqlite:///{(run / 'mlflow.db').resolve()}")
    arguments = TrainingArguments(
        output_dir=str(run / "checkpoints"),
        num_train_epochs=config.model.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=64,
        gradient_accumulation_steps=settings.accumulation,
        warmup_steps=settings.warmup,
        lr_scheduler_type="linear",
        max_grad_norm=1.0,
        train_sampling_strategy="group_by_length",
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="score",
        greater_is_better=True,
        logging_strategy="epoch",
        report_to=settings.report_to or "none",
        run_name=run.name,
        seed=settings.seed,
        bf16=bf16,
        use_cpu=not torch.accelerator.is_available(),
        remove_unused_columns=False,
        label_names=["labels"],
        disable_tqdm=not sys.stderr.isatty(),
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    groups = parameter_groups(model, config.model.lr, config.model.head_lr, settings.layer_decay, settings.weight_decay)
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=encoded["train"],
        eval_dataset=encoded["dev"],
        data_collator=lambda items: collate(items, tokenizer.pad),
        compute_loss_func=joint_loss(taxonomy, settings.positive_weight, settings.multi_weight),
        compute_metrics=lambda prediction: dev_scores(prediction, taxonomy),
        optimizers=(torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6, fused=True), None),
        callbacks=[EarlyStoppingCallback(early_stopping_patience=settings.patience), DevLine()],
    )
    trainer.remove_callback(PrinterCallback if trainer.args.disable_tqdm else ProgressCallback)
    if not trainer.args.disable_tqdm:
        trainer.add_callback(QuietProgress())
    return trainer


def collate(items: Sequence[dict[str, Any]], pad: int) -> dict[str, torch.Tensor]:
    """Return one batch, padded to its longest sequence: `input_ids`, `attention_mask` `(n, longest)`, `labels` `(n, all labels)`."""
    longest = max(len(item["input_ids"]) for item in items)
    ids = torch.full((len(items), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(items), longest), dtype=torch.long)
    for row, item in enumerate(items):
        length = len(item["input_ids"])
        ids[row, :length] = torch.tensor(item["input_ids"])
        mask[row, :length] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.from_numpy(np.stack([item["labels"] for item in items]))}


def dev_scores(prediction: EvalPrediction, taxonomy: Taxonomy) -> dict[str, float]:
    """Return dev metrics of an epoch. `score`, which stops and chooses, is the mean over label sets of their main score.

    For a multi-label set that is mean average precision, which needs no threshold; for a single-label set macro-F1.
    """
    logits = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
    probabilities = taxonomy.activate(np.asarray(logits))
    results: dict[str, float] = {}
    main = []
    for label_set in taxonomy.sets:
        # Gold comes with the predictions: `Trainer` groups dev by length too, and gives both back in that order.
        targets = np.asarray(prediction.label_ids)[:, taxonomy.columns[label_set.name]]
        gold = [None if np.isnan(row).any() else label_set.decode(row[None] > 0.5)[0] for row in targets]
        if all(value is None for value in gold):
            continue
        of_set = probabilities[:, taxonomy.columns[label_set.name]]
        scores = score(label_set, gold, of_set, fit_thresholds(label_set, gold, of_set))
        main.append(scores["map"] if label_set.kind == "multi" else scores["macro_f1"])
        results |= {f"{label_set.name}_{key}": value for key, value in scores.items() if isinstance(value, float)}
    return {"score": float(np.mean(main)), **results}
