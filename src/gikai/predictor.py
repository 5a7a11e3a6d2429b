"""Texts to probabilities, whatever the run holds: one interface for every model that predicts.

Library module; no command of its own.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from transformers import PreTrainedModel

from gikai.baselines import LinearPredictor, load_linear
from gikai.labels import Taxonomy, load_taxonomy
from gikai.model import load_model
from gikai.tokenizer import Tokenizer

TOKENS = 8192


class Predictor(Protocol):
    """Anything that turns texts into probabilities."""

    taxonomy: Taxonomy

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return `(n, all labels)` float64, columns in taxonomy order; `texts` are normalised."""
        ...


class TorchPredictor:
    """A fine-tuned BERT. Sequences are sorted by length and batched by token budget; order is restored.

    A text longer than `max_length` pieces is scored in overlapping windows: a multi-label set takes the highest logit
    over windows (one window is enough to show an initiative), a single-label set the mean.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: Tokenizer, taxonomy: Taxonomy, max_length: int, tokens: int = TOKENS) -> None:
        self.taxonomy, self.tokenizer, self.max_length, self.tokens = taxonomy, tokenizer, max_length, tokens
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.eval().to(self.device)

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return `(n, all labels)` float64, columns in taxonomy order; `texts` are normalised."""
        return self.taxonomy.activate(self.logits(texts))

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return `(n, all labels)` float32, windows of one text pooled."""
        sequences: list[list[int]] = []
        owner: list[int] = []
        for index, text in enumerate(texts):
            windows = self.tokenizer.windows(text, self.max_length)
            sequences.extend(windows)
            owner.extend([index] * len(windows))
        of_window = self._score(sequences)
        if len(sequences) == len(texts):
            return of_window
        return pool(of_window, np.asarray(owner), len(texts), self.taxonomy)

    def _score(self, sequences: list[list[int]]) -> np.ndarray:
        logits = np.empty((len(sequences), len(self.taxonomy.names)), dtype=np.float32)
        for batch in batches([len(sequence) for sequence in sequences], self.tokens):
            longest = max(len(sequences[index]) for index in batch)
            ids = torch.full((len(batch), longest), self.tokenizer.pad, dtype=torch.long)
            mask = torch.zeros((len(batch), longest), dtype=torch.long)
            for row, index in enumerate(batch):
                length = len(sequences[index])
                ids[row, :length] = torch.tensor(sequences[index])
                mask[row, :length] = 1
            with torch.inference_mode():
                output = self.model(input_ids=ids.to(self.device), attention_mask=mask.to(self.device))
            logits[batch] = output.logits.float().cpu().numpy()
        return logits


def batches(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Return indices in batches of like lengths: sorted, each at most `tokens` with padding, at least one sequence each."""
    result: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: (lengths[i], i)):
        if result and lengths[index] * (len(result[-1]) + 1) <= tokens:
            result[-1].append(index)
        else:
            result.append([index])
    return result


def pool(logits: np.ndarray, owner: np.ndarray, count: int, taxonomy: Taxonomy) -> np.ndarray:
    """Return `(count, all labels)` from `(windows, all labels)`; `owner` says whose window each row is."""
    pooled = np.empty((count, logits.shape[1]), dtype=np.float32)
    starts = np.searchsorted(owner, np.arange(count))
    for label_set in taxonomy.sets:
        columns = taxonomy.columns[label_set.name]
        pooled[:, columns] = label_set.pool(logits[:, columns], starts)
    return pooled


def load_predictor(run: Path, tokens: int = TOKENS) -> TorchPredictor | LinearPredictor:
    """Return the predictor of a finished run; raise InputError where model and taxonomy disagree."""
    taxonomy = load_taxonomy(run / "taxonomy")
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    if record["kind"] in ("linear", "keywords"):
        return load_linear(run / "model", taxonomy)
    model = load_model(run, taxonomy)
    return TorchPredictor(model, Tokenizer(run / "model"), taxonomy, record["max_length"], tokens)
