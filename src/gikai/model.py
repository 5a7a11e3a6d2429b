"""The joint model: one stock BERT classifier over all labels of all label sets; its loss, its loading and saving.

Library module; no command of its own.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel
from transformers.utils import logging as transformers_logging

from gikai import InputError
from gikai.labels import Taxonomy, check_id2label


def start_model(path: str, revision: str | None, taxonomy: Taxonomy, dropout: float) -> PreTrainedModel:
    """Return a classifier on the encoder at `path` (folder or Hub name) with a linear layer over all labels.

    Its `id2label` are the taxonomy's column names. Labels that the checkpoint's own head knows by that name keep what it
    learned of them (`pretrain.py teacher=…` leaves such a head); all others start afresh. Raises InputError when no
    checkpoint can be loaded from `path`.
    """
    names = taxonomy.names
    _quiet()
    try:
        config = AutoConfig.from_pretrained(
            path,
            revision=revision,
            num_labels=len(names),
            id2label=dict(enumerate(names)),
            label2id={name: index for index, name in enumerate(names)},
            problem_type="multi_label_classification",
        )
        config.hidden_dropout_prob = config.attention_probs_dropout_prob = dropout
        model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(
            path, revision=revision, config=config, dtype=torch.float32, ignore_mismatched_sizes=True
        )
    except (OSError, ValueError) as error:
        raise InputError(f"model.path={path}: no checkpoint can be loaded from here: {str(error).splitlines()[0]}") from None
    for name, parameter in model.named_parameters():
        if name.startswith("classifier"):
            nn.init.normal_(parameter, std=model.config.initializer_range if parameter.ndim > 1 else 0.0)
    if isinstance(model.classifier, nn.Linear):
        known_head(model.classifier, names, path, revision)
    return model


def known_head(head: nn.Linear, names: list[str], path: str, revision: str | None) -> None:
    """Give `head`, one row a name, the rows of those labels that the checkpoint at `path` has a linear head for."""
    before = AutoConfig.from_pretrained(path, revision=revision).id2label or {}
    known = {names.index(name): int(index) for index, name in before.items() if name in names}
    if not known:
        return
    _quiet()
    learned = AutoModelForSequenceClassification.from_pretrained(path, revision=revision, dtype=torch.float32).classifier
    if isinstance(learned, nn.Linear):
        with torch.no_grad():
            head.weight[list(known)] = learned.weight[list(known.values())]
            head.bias[list(known)] = learned.bias[list(known.values())]


def load_model(run: Path, taxonomy: Taxonomy) -> PreTrainedModel:
    """Return the trained classifier of a run, in evaluation mode; raise InputError where it and `taxonomy` disagree."""
    _quiet()
    model: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(str(run / "model"), dtype=torch.float32)
    check_id2label(taxonomy, {int(index): str(name) for index, name in (model.config.id2label or {}).items()}, str(run))
    model.eval()
    return model


def _quiet() -> None:
    """Weights that a checkpoint lacks or has over are expected here; the library's report and bars are not for users."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


def joint_loss(taxonomy: Taxonomy, positive_weight: float, multi_weight: float) -> Callable[..., torch.Tensor]:
    """Return the loss that `Trainer` calls with (outputs, labels): the sum over label sets of their mean losses.

    `labels` is `(n, all labels)` float, NaN over the columns of a set that a passage does not carry; a set is averaged
    over the passages that carry it. Multi: binary cross-entropy, positives weighted, averaged over labels and times
    `multi_weight` (at 1 it drowns beside the other set's; summed over labels it drowns that one). Single: cross-entropy.
    """
    weight = torch.tensor(positive_weight)

    def binary(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        each = nn.functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weight.to(logits.device), reduction="none")
        return multi_weight * each.mean()

    losses: dict[str, Callable[..., torch.Tensor]] = {"multi": binary, "single": nn.functional.cross_entropy}

    def loss(outputs: Any, labels: torch.Tensor, **_: Any) -> torch.Tensor:
        logits = outputs["logits"].float()
        total: torch.Tensor = logits.sum() * 0.0
        for label_set in taxonomy.sets:
            columns = taxonomy.columns[label_set.name]
            carried = ~labels[:, columns].isnan().any(dim=1)
            if carried.any():
                total = total + losses[label_set.kind](logits[carried, columns], labels[carried, columns])
        return total

    return loss


def parameter_groups(model: PreTrainedModel, lr: float, head_lr: float, layer_decay: float, weight_decay: float) -> list[dict[str, Any]]:
    """Return optimiser groups: the classifier at `head_lr`, the top layer at `lr`, each layer below times `layer_decay`.

    Embeddings are the lowest layer (Howard and Ruder 2018, discriminative fine-tuning). Biases and norms do not decay.
    """
    layers = model.config.num_hidden_layers
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if name.startswith("classifier"):
            of_this = head_lr
        elif ".layer." in name:
            depth = int(name.split(".layer.")[1].split(".")[0])
            of_this = lr * layer_decay ** (layers - 1 - depth)
        elif "embeddings" in name:
            of_this = lr * layer_decay**layers
        else:
            of_this = lr
        decay = weight_decay if parameter.ndim >= 2 else 0.0
        groups.setdefault((of_this, decay), []).append(parameter)
    return [{"params": parameters, "lr": of_this, "weight_decay": decay} for (of_this, decay), parameters in groups.items()]


def has_bf16() -> bool:
    """True where this machine multiplies bfloat16 natively: there, and only there, it is the faster choice."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported())
