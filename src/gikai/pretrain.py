"""Masked-language-model pre-training of a compact Japanese BERT on minutes, with a second objective for [CLS].

python scripts/pretrain.py corpus=PATH [init=PATH] [run=DIR] [steps=N]
"""

import hashlib
import json
import logging
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import BertConfig, BertForPreTraining
from transformers.utils import logging as transformers_logging

from gikai import InputError, runs
from gikai.config import Pretrain
from gikai.labels import Taxonomy, load_taxonomy
from gikai.minutes import read_rows, role_of
from gikai.model import has_bf16, known_head
from gikai.predictor import choose_backend, load_predictor
from gikai.text import normalise
from gikai.tokenizer import Tokenizer

log = logging.getLogger(__name__)

ROLES = ("chair", "member", "committee_reporter", "executive_head", "executive_official", "other")
IGNORE = -100
VALIDATION_WINDOWS = 256
COOLDOWN = 0.3
"""Share of the steps over which the rate falls linearly to zero, after warm-up and a constant stretch."""


# --- words ---------------------------------------------------------------------------------------------------------


def mask_words(
    ids: torch.Tensor,
    continues: torch.Tensor,
    special: torch.Tensor,
    rate: float,
    mask_id: int,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose whole words and hide them: 80 percent as [MASK], 10 as random pieces, 10 unchanged (Devlin et al. 2019).

    `ids` is `(n, length)`; `continues` and `special` are `(vocabulary,)` booleans: pieces that continue a word, and
    those never chosen. Returns (inputs, targets), both `(n, length)`; targets are -100 where nothing is predicted.
    The choice falls on words, so that all pieces of a word share it; `rate` is the expected share of pieces.
    """
    fixed = special[ids]
    starts = ~continues[ids] | fixed
    starts[:, 1:] |= fixed[:, :-1]
    starts[:, 0] = True
    word = starts.cumsum(dim=1) - 1
    chance = torch.rand(ids.shape, generator=generator).gather(1, word)
    action = torch.rand(ids.shape, generator=generator).gather(1, word)
    chosen = (chance < rate) & ~fixed
    targets = torch.where(chosen, ids, IGNORE)
    inputs = torch.where(chosen & (action < 0.8), mask_id, ids)
    ordinary = (~special).nonzero().squeeze(1)
    random = ordinary[torch.randint(len(ordinary), ids.shape, generator=generator)]
    inputs = torch.where(chosen & (action >= 0.8) & (action < 0.9), random, inputs)
    return inputs, targets


def train_vocabulary(corpus: list[Path], size: int, folder: Path) -> None:
    """Write a `BertJapaneseTokenizer` folder: WordPiece of `size` pieces over unidic-lite words of the corpus."""
    import fugashi
    import unidic_lite
    from tokenizers import Tokenizer as WordPieceModel
    from tokenizers import models, pre_tokenizers, trainers
    from transformers import BertJapaneseTokenizer

    parse = fugashi.GenericTagger(f'-d "{unidic_lite.DICDIR}" -r "{unidic_lite.DICDIR}/mecabrc" -Owakati').parse
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    model = WordPieceModel(models.WordPiece(unk_token="[UNK]"))
    model.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, limit_alphabet=size // 2, show_progress=False)
    model.train_from_iterator((parse(normalise(row["text"])) for row in _rows(corpus)), trainer)
    folder.mkdir(parents=True, exist_ok=True)
    pieces = sorted(model.get_vocab().items(), key=lambda item: item[1])
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece, _ in pieces), encoding="utf-8")
    BertJapaneseTokenizer(
        str(folder / "vocab.txt"),
        word_tokenizer_type="mecab",
        subword_tokenizer_type="wordpiece",
        mecab_kwargs={"mecab_dic": "unidic_lite"},
        model_max_length=512,
    ).save_pretrained(str(folder))


# --- data ----------------------------------------------------------------------------------------------------------


def _rows(corpus: list[Path], keep: str | None = None) -> Iterator[dict[str, Any]]:
    wanted = re.compile(keep) if keep else None
    for path in corpus:
        for row in read_rows(path):
            if wanted is None or wanted.search(row["text"]):
                yield row


def tokenise(corpus: list[Path], tokenizer: Tokenizer, validation: float, folder: Path, keep: str | None = None) -> None:
    """Write the corpus as one stream of ids a split, with the speaker's role for each token, to `folder`.

    Speeches are ended by [SEP]; whole documents (assembly, date, meeting) go to `validation` by a hash of their name,
    so that validation never sees a sitting that training saw. Files: {train,validation}.{ids,roles}.npy.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    streams = {split: ((partial / f"{split}.ids").open("wb"), (partial / f"{split}.roles").open("wb")) for split in ("train", "validation")}
    for row in _rows(corpus, keep):
        document = "|".join(str(row.get(key) or "") for key in ("assembly", "date", "meeting", "source"))
        share = int.from_bytes(hashlib.blake2b(document.encode(), digest_size=4).digest()) / 2**32
        meeting = str(row.get("meeting") or "")
        role = role_of(str(row["title"]), plenary="委員会" not in meeting) if row.get("title") else None
        ids = [*tokenizer.ids(normalise(row["text"])), tokenizer.sep]
        of_ids, of_roles = streams["validation" if share < validation else "train"]
        of_ids.write(np.asarray(ids, dtype=np.uint16 if len(tokenizer) < 65536 else np.uint32).tobytes())
        of_roles.write(np.full(len(ids), ROLES.index(role) if role else -1, dtype=np.int8).tobytes())
    for split, files in streams.items():
        for name, file, kind in zip(("ids", "roles"), files, (np.uint16 if len(tokenizer) < 65536 else np.uint32, np.int8), strict=True):
            file.close()
            np.save(partial / f"{split}.{name}.npy", np.fromfile(partial / f"{split}.{name}", dtype=kind))
            (partial / f"{split}.{name}").unlink()
    partial.rename(folder)


class Windows:
    """Packed sequences: [CLS] and `length` - 1 tokens of the stream, no padding; order and cut depend on the epoch only.

    The batch of a step is a function of (seed, step), so a resumed training reads what an uninterrupted one would.
    """

    def __init__(self, folder: Path, split: str, length: int, cls: int, seed: int) -> None:
        self.ids = np.load(folder / f"{split}.ids.npy", mmap_mode="r")
        self.roles = np.load(folder / f"{split}.roles.npy", mmap_mode="r")
        self.length, self.cls, self.seed = length, cls, seed
        count = max(0, len(self.ids) // (length - 1) - 1)
        if count == 0:
            raise InputError(f"corpus: {len(self.ids)} tokens for {split}; at least {2 * (length - 1)} are needed")
        self.chosen = np.arange(count)
        """The windows that are read: all of them, or those that a teacher labelled."""
        self.labels: np.ndarray | None = None
        self._epoch, self._order, self._offset = -1, np.empty(0, dtype=np.int64), 0

    @property
    def count(self) -> int:
        """How many windows one epoch reads."""
        return len(self.chosen)

    def taught(self, folder: Path, split: str) -> "Windows":
        """Restrict to the windows that `teach` labelled, and give their labels with each batch."""
        self.chosen = np.load(folder / f"{split}.windows.npy")
        self.labels = np.load(folder / f"{split}.labels.npy", mmap_mode="r")
        return self

    def batch(self, first: int, size: int) -> dict[str, torch.Tensor]:
        """Return windows `first` to `first + size` of the endless sequence: `ids` `(size, length)`, `roles` `(size,)`, `labels`.

        A window's role is that of the speech which holds 70 percent of it or more; -100 where none does. `labels`
        `(size, all labels)` are a teacher's probabilities; no column without a teacher. Each epoch cuts the stream at
        another offset, but for labelled windows, which stay as they were labelled.
        """
        ids = np.empty((size, self.length), dtype=np.int64)
        roles = np.full(size, IGNORE, dtype=np.int64)
        labels = np.empty((size, 0 if self.labels is None else self.labels.shape[1]), dtype=np.float32)
        ids[:, 0] = self.cls
        for row in range(size):
            epoch, index = divmod(first + row, self.count)
            if epoch != self._epoch:
                random = np.random.default_rng([self.seed, epoch])
                self._epoch, self._order, self._offset = epoch, random.permutation(self.count), int(random.integers(self.length - 1))
            window = self._order[index]
            start = int(self.chosen[window]) * (self.length - 1)
            if self.labels is None:
                start += self._offset
            else:
                labels[row] = self.labels[window]
            ids[row, 1:] = self.ids[start : start + self.length - 1]
            roles[row] = _majority(self.roles[start : start + self.length - 1])
        return {"ids": torch.from_numpy(ids), "roles": torch.from_numpy(roles), "labels": torch.from_numpy(labels)}


def _majority(roles: np.ndarray) -> int:
    """Return the role of 70 percent or more of the tokens, or -100."""
    counts = np.bincount(roles[roles >= 0], minlength=len(ROLES))
    return int(counts.argmax()) if counts.max() >= 0.7 * len(roles) else IGNORE


def teach(config: Pretrain, windows: Windows, tokenizer: Tokenizer, taxonomy: Taxonomy, folder: Path, split: str) -> None:
    """Write the teachers' mean probabilities of the windows that are worth their labels to `folder` (self-training).

    Worth it are windows in which `keep` is found, and a share `others` of the rest, drawn evenly over the speakers' roles:
    nearly all speech is officials' and members'. Files: {split}.windows.npy (numbers of windows), {split}.labels.npy
    `(windows, all labels)` float16; where a header gives the role, it stands for the teachers'. Soft labels after Hinton
    et al. (2015); of several teachers at once, as they propose for ensembles.
    """
    pieces = [piece.removeprefix("##") for piece in tokenizer.stock.convert_ids_to_tokens(list(range(len(tokenizer))))]
    for index in tokenizer.stock.all_special_ids:
        pieces[index] = " " if index == tokenizer.sep else ""
    wanted = re.compile(normalise(config.keep)) if config.keep else None
    step = windows.length - 1

    def text(window: int) -> str:
        return "".join(pieces[index] for index in windows.ids[window * step : (window + 1) * step]).strip()

    numbers = [window for window in range(windows.count) if wanted is None or wanted.search(text(window))]
    kept = set(numbers)
    rest: dict[int, list[int]] = {}
    for window in range(windows.count):
        if window not in kept:
            rest.setdefault(_majority(windows.roles[window * step : (window + 1) * step]), []).append(window)
    random = np.random.default_rng(config.seed)
    for role in sorted(rest):
        quota = round(config.others * (windows.count - len(kept)) / len(rest))
        numbers += random.permutation(rest[role])[:quota].tolist()
    if not numbers:
        raise InputError(f"keep: {config.keep!r} is found in no window of {split}")
    parts = [[text(number) for number in numbers[start : start + 4096]] for start in range(0, len(numbers), 4096)]
    every = np.zeros((len(numbers), len(taxonomy.names)))
    for run in map(Path, config.teacher):
        predictor = load_predictor(run, backend=choose_backend(run, parts[0]))
        every += np.concatenate([predictor.probabilities(part) for part in parts]) / len(config.teacher)
    for label_set in taxonomy.sets:
        if label_set.ids == list(ROLES):
            for row, role in enumerate(_majority(windows.roles[n * step : (n + 1) * step]) for n in numbers):
                if role != IGNORE:
                    every[row, taxonomy.columns[label_set.name]] = np.arange(len(ROLES)) == role
    np.save(folder / f"{split}.labels.npy", every.astype(np.float16))
    np.save(folder / f"{split}.windows.npy", np.array(numbers))
    log.info("%s: %d of %d windows labelled by %s", split, len(numbers), windows.count, " and ".join(config.teacher))


def piece_weights(windows: Windows, vocabulary: int, special: torch.Tensor) -> torch.Tensor:
    """Return `(vocabulary,)` inverse document frequencies of pieces; 0 for special ones and those in a fifth of windows."""
    random = np.random.default_rng(0)
    sample = random.choice(windows.count, size=min(windows.count, 20000), replace=False)
    frequency = np.zeros(vocabulary)
    for index in sample:
        start = int(index) * (windows.length - 1)
        frequency[np.unique(windows.ids[start : start + windows.length - 1])] += 1
    weights = np.log(len(sample) / np.maximum(frequency, 1.0))
    weights[frequency > 0.2 * len(sample)] = 0
    return torch.from_numpy(weights.astype(np.float32)) * ~special


# --- model ---------------------------------------------------------------------------------------------------------


class Objectives(nn.Module):
    """A stock `BertForPreTraining` and its losses: masked words; and from the pooled [CLS], words, role and a teacher's labels.

    The pooled vector predicts the window's content words (a bag, weighted by inverse document frequency), the speaker's
    role from the header, and the labels of a teacher where there is one. Masked-language modelling alone leaves [CLS]
    and its pooler untrained, and they are what the stock classifier reads.
    """

    def __init__(self, bert: BertForPreTraining, weights: torch.Tensor, taxonomy: Taxonomy | None = None) -> None:
        super().__init__()
        self.bert = bert
        # The head of next-sentence prediction stays as it is; `torchrun` would wait for its gradient.
        bert.cls.seq_relationship.requires_grad_(False)
        width = bert.config.hidden_size
        self.bag = nn.Linear(width, width)
        self.role = nn.Linear(width, len(ROLES))
        self.taxonomy = taxonomy
        self.label = nn.Linear(width, len(taxonomy.names)) if taxonomy else None
        self.weights: torch.Tensor
        self.register_buffer("weights", weights, persistent=False)

    def forward(
        self, inputs: torch.Tensor, targets: torch.Tensor, ids: torch.Tensor, roles: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return the losses `mlm`, `bag`, `role`, `label` and the counts of right guesses, each a scalar."""
        encoded = self.bert.bert(input_ids=inputs)
        chosen = targets != IGNORE
        # Only the hidden pieces are scored: at 20 percent this saves most of the vocabulary's matrix product.
        logits = self.bert.cls.predictions(encoded.last_hidden_state[chosen])
        wanted = targets[chosen]
        mlm = nn.functional.cross_entropy(logits.float(), wanted, reduction="sum") / max(1, len(wanted))
        pooled = encoded.pooler_output
        bag_logits = self.bert.cls.predictions.decoder(self.bag(pooled)).float()
        bag = torch.zeros_like(bag_logits).scatter_(1, ids, self.weights[ids])
        total = bag.sum(dim=1)
        weighed = total > 0
        bag_loss = -(bag * bag_logits.log_softmax(dim=1)).sum(dim=1)[weighed] / total[weighed]
        role_logits = self.role(pooled).float()
        known = (roles != IGNORE).sum()
        role = nn.functional.cross_entropy(role_logits, roles, ignore_index=IGNORE, reduction="sum") / known.clamp(min=1)
        return {
            "mlm": mlm,
            "bag": bag_loss.sum() / weighed.sum().clamp(min=1),
            "role": role,
            "label": self._label_loss(pooled, labels),
            "mlm_right": (logits.argmax(dim=1) == wanted).sum(),
            "mlm_count": chosen.sum(),
            "role_right": (role_logits.argmax(dim=1) == roles).sum(),
            "role_count": known,
        }

    def _label_loss(self, pooled: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Cross-entropy against the teacher's soft labels, summed over the labels of a set, averaged over windows; 0 without one."""
        if self.taxonomy is None or self.label is None:
            return pooled.new_zeros(())
        logits = self.label(pooled).float()
        loss: torch.Tensor = logits.sum() * 0.0
        for label_set in self.taxonomy.sets:
            columns = self.taxonomy.columns[label_set.name]
            if label_set.kind == "multi":
                each = nn.functional.binary_cross_entropy_with_logits(logits[:, columns], labels[:, columns], reduction="none").sum(dim=1)
            else:
                each = nn.functional.cross_entropy(logits[:, columns], labels[:, columns], reduction="none")
            loss = loss + each.mean()
        return loss


def _fresh_or_loaded(config: Pretrain, tokenizer: Tokenizer) -> BertForPreTraining:
    dropout: dict[str, Any] = {"hidden_dropout_prob": config.dropout, "attention_probs_dropout_prob": config.dropout}
    if not config.init:
        return BertForPreTraining(
            BertConfig(
                vocab_size=len(tokenizer),
                hidden_size=config.width,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                intermediate_size=4 * config.width,
                pad_token_id=tokenizer.pad,
                **dropout,
            )
        )
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    model: BertForPreTraining = BertForPreTraining.from_pretrained(config.init, dtype=torch.float32, **dropout)
    if model.config.vocab_size != len(tokenizer):
        raise InputError(f"{config.init}: the model has {model.config.vocab_size} pieces and its tokenizer {len(tokenizer)}")
    return model


# --- the training --------------------------------------------------------------------------------------------------


def rate(step: int, config: Pretrain) -> float:
    """Return the share of the peak rate at `step`: linear warm-up, constant, linear fall over the last COOLDOWN."""
    rising = (step + 1) / max(1, config.warmup)
    falling = (config.steps - step) / max(1.0, COOLDOWN * config.steps)
    return min(1.0, rising, falling)


def pretrain(config: Pretrain) -> Path:
    """Pre-train into `config.run` and return the folder of the finished checkpoint, `<run>/model`.

    Goes on from the newest checkpoint of an unfinished run, to the same weights as without the interruption (on CPU).
    Under `torchrun` every process takes its part of each batch. Raises InputError for a finished run folder, or one
    begun with other settings.
    """
    run = Path(config.run)
    world, rank, device = _processes()
    if (run / "run.json").exists():
        raise InputError(f"{run}: already finished; choose another run folder")
    started = time.time()
    run.mkdir(parents=True, exist_ok=True)
    settings = asdict(config)
    if rank == 0:
        _same_settings(run, settings)
    corpus = [Path(path) for path in config.corpus]
    tokenizer = _tokenizer(config, corpus, run)
    if rank == 0 and not (run / "tokens").exists():
        log.info("tokenising %s", ", ".join(config.corpus))
        # A teacher chooses among windows, so all speeches are cut into windows for it.
        tokenise(corpus, tokenizer, config.validation, run / "tokens", None if config.teacher else config.keep)
    _wait()
    train = Windows(run / "tokens", "train", config.length, tokenizer.cls, config.seed)
    validation = Windows(run / "tokens", "validation", config.length, tokenizer.cls, 0) if config.validation else None
    weights = piece_weights(train, len(tokenizer), _special(tokenizer))
    taxonomy = None
    if config.teacher:
        taxonomy = load_taxonomy(Path(config.teacher[0]) / "taxonomy")
        for run_of_teacher in config.teacher[1:]:
            if load_taxonomy(Path(run_of_teacher) / "taxonomy").names != taxonomy.names:
                raise InputError(f"teacher: {run_of_teacher} has other labels than {config.teacher[0]}; teachers share one taxonomy")
        for split, windows in (("train", train), ("validation", validation)):
            if windows is not None:
                if rank == 0 and not (run / "tokens" / f"{split}.windows.npy").exists():
                    teach(config, windows, tokenizer, taxonomy, run / "tokens", split)
                _wait()
                windows.taught(run / "tokens", split)
    continues = torch.tensor(tokenizer.continues())
    special = _special(tokenizer)

    torch.manual_seed(config.seed)
    objectives = Objectives(_fresh_or_loaded(config, tokenizer), weights, taxonomy).to(device)
    if config.init and taxonomy is not None and objectives.label is not None:
        known_head(objectives.label, taxonomy.names, config.init, None)
    optimizer = torch.optim.AdamW(_groups(objectives, config.weight_decay), lr=config.lr, betas=(0.9, 0.98), eps=1e-6, fused=True)
    step = _restore(run, objectives, optimizer)
    parallel: nn.Module = nn.parallel.DistributedDataParallel(objectives) if world > 1 else objectives
    bf16 = config.precision == "bf16" or (config.precision == "auto" and has_bf16())
    weight = {"mlm": 1.0, "bag": config.bag_weight, "role": config.role_weight, "label": config.label_weight if taxonomy else 0.0}
    tokens_a_step = config.batch_size * config.accumulation * config.length
    clock, clock_step = time.time(), step
    while step < config.steps:
        # Dropout and masking of a step depend on (seed, step, process) alone: nothing of the random state needs saving.
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step * 1_009 + rank)
        torch.manual_seed(config.seed * 7_000_003 + step * 1_013 + rank)
        for group in optimizer.param_groups:
            group["lr"] = config.lr * rate(step, config)
        parallel.train()
        sums = dict.fromkeys(weight, 0.0)
        for part in range(config.accumulation):
            size = config.batch_size // world
            first = (step * config.accumulation + part) * config.batch_size + rank * size
            batch = train.batch(first, size)
            inputs, targets = mask_words(batch["ids"], continues, special, config.mask_rate, tokenizer.mask, generator)
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                losses = parallel(inputs.to(device), targets.to(device), **{name: value.to(device) for name, value in batch.items()})
            loss = torch.stack([weight[name] * losses[name] for name in weight]).sum() / config.accumulation
            loss.backward()
            for name in weight:
                sums[name] += float(losses[name].detach()) / config.accumulation
        nn.utils.clip_grad_norm_(objectives.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        if rank == 0 and (step % 100 == 0 or step == config.steps):
            speed = (step - clock_step) * tokens_a_step / (time.time() - clock)
            log.info("step %d/%d  %s  %.0f tokens/s", step, config.steps, "  ".join(f"{k} {v:.3f}" for k, v in sums.items()), speed)
            clock, clock_step = time.time(), step
        if rank == 0 and validation and (step % config.evaluate_every == 0 or step == config.steps):
            scores = evaluate_mlm(objectives, validation, continues, special, config, tokenizer.mask, bf16)
            log.info("step %d  validation  %s", step, "  ".join(f"{name} {value:.4f}" for name, value in scores.items()))
            with (run / "validation.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, "tokens": step * tokens_a_step, "seconds": time.time() - started, **scores}) + "\n")
        if rank == 0 and (step % config.save_every == 0 or step == config.steps):
            _save(run, objectives, optimizer, step)
    if rank == 0:
        _finish(
            run,
            objectives,
            tokenizer,
            {
                "config": settings,
                "steps": step,
                "tokens": step * tokens_a_step,
                "seconds_last_start": round(time.time() - started, 1),
                "corpus_sha256": runs.fingerprint(corpus),
                "device": str(device),
                "bf16": bf16,
                "processes": world,
                **runs.provenance(),
            },
        )
    _wait()
    return run / "model"


@torch.no_grad()
def evaluate_mlm(
    objectives: Objectives, windows: Windows, continues: torch.Tensor, special: torch.Tensor, config: Pretrain, mask_id: int, bf16: bool
) -> dict[str, float]:
    """Return losses and accuracies over the first validation windows, always masked in the same way."""
    objectives.eval()
    device = next(objectives.parameters()).device
    generator = torch.Generator().manual_seed(0)
    totals: dict[str, float] = {}
    batches = 0
    for first in range(0, min(windows.count, VALIDATION_WINDOWS), 32):
        batch = windows.batch(first, min(32, windows.count - first))
        inputs, targets = mask_words(batch["ids"], continues, special, config.mask_rate, mask_id, generator)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            losses = objectives(inputs.to(device), targets.to(device), **{name: value.to(device) for name, value in batch.items()})
        for name, value in losses.items():
            totals[name] = totals.get(name, 0.0) + float(value)
        batches += 1
    mean = {f"{name}_loss": totals[name] / batches for name in ("mlm", "bag", "role", *(["label"] if objectives.taxonomy else []))}
    return {
        **mean,
        "mlm_accuracy": totals["mlm_right"] / max(1.0, totals["mlm_count"]),
        "role_accuracy": totals["role_right"] / max(1.0, totals["role_count"]),
    }


def _tokenizer(config: Pretrain, corpus: list[Path], run: Path) -> Tokenizer:
    source = config.vocabulary or config.init
    if source:
        return Tokenizer(source)
    folder = run / "vocabulary"
    if not (folder / "tokenizer_config.json").exists():
        log.info("training a vocabulary of %d pieces", config.vocabulary_size)
        train_vocabulary(corpus, config.vocabulary_size, folder)
    return Tokenizer(folder)


def _special(tokenizer: Tokenizer) -> torch.Tensor:
    special = torch.zeros(len(tokenizer), dtype=torch.bool)
    special[tokenizer.stock.all_special_ids] = True
    return special


def _groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices only: biases, norms and embeddings of position stay free."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    return [{"params": matrices, "weight_decay": decay}, {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0}]


def _same_settings(run: Path, settings: dict[str, Any]) -> None:
    path = run / "settings.json"
    if not path.exists():
        runs.write_json(path, settings)
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    changed = [key for key in settings if before.get(key) != settings[key]]
    if changed:
        raise InputError(
            f"{run}: begun with {changed[0]}={before.get(changed[0])}, now {settings[changed[0]]}; go on as begun or choose another run"
        )


def _save(run: Path, objectives: Objectives, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Write a checkpoint aside and rename it; older ones go only after that."""
    folder = run / f"checkpoint-{step}"
    partial = run / f"checkpoint-{step}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    state = {name: value.contiguous() for name, value in objectives.state_dict().items()}
    # The decoder shares its weights with the embeddings: safetensors holds each tensor once.
    save_file({name: value for name, value in state.items() if "predictions.decoder" not in name}, partial / "model.safetensors")
    moments = {}
    for index, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            moments[f"{index}.{name}"] = torch.as_tensor(value).contiguous()
    save_file(moments, partial / "optimizer.safetensors")
    partial.rename(folder)
    for other in _checkpoints(run):
        if other != folder:
            shutil.rmtree(other)


def _checkpoints(run: Path) -> list[Path]:
    found = [path for path in run.glob("checkpoint-*") if path.suffix != ".partial"]
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def _restore(run: Path, objectives: Objectives, optimizer: torch.optim.Optimizer) -> int:
    checkpoints = _checkpoints(run)
    if not checkpoints:
        return 0
    folder = checkpoints[-1]
    objectives.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in load_file(folder / "optimizer.safetensors").items():
        index, _, name = key.partition(".")
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    step = int(folder.name.rpartition("-")[2])
    log.info("going on from step %d", step)
    return step


def _finish(run: Path, objectives: Objectives, tokenizer: Tokenizer, record: dict[str, Any]) -> None:
    folder = run / "model"
    shutil.rmtree(folder, ignore_errors=True)
    model = objectives.bert
    model.half()
    head = {}
    model.config.num_labels = 2  # the library's default: a start with a head must not lend its labels' names to a result without
    if objectives.taxonomy is not None and objectives.label is not None:
        # What was learned from the teacher stays with the checkpoint, as the head that a stock classifier would load.
        names = objectives.taxonomy.names
        model.config.id2label, model.config.label2id = dict(enumerate(names)), {name: index for index, name in enumerate(names)}
        head = {f"classifier.{name}": value.detach().half().cpu() for name, value in objectives.label.named_parameters()}
    model.save_pretrained(str(folder))
    if head:
        save_file({**load_file(folder / "model.safetensors"), **head}, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.stock.save_pretrained(str(folder))
    validation = run / "validation.jsonl"
    if validation.exists():
        record["validation"] = json.loads(validation.read_text(encoding="utf-8").splitlines()[-1])
    runs.write_json(run / "run.json", record)


def _processes() -> tuple[int, int, torch.device]:
    """Return (processes, this process, its device); joins the group when started by `torchrun`."""
    import os

    world, rank, local = (int(os.environ.get(name, default)) for name, default in (("WORLD_SIZE", 1), ("RANK", 0), ("LOCAL_RANK", 0)))
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    if world > 1 and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return world, rank, device


def _wait() -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()
