"""Texts to probabilities, whatever the run holds: one interface for every model that predicts.

Library module; no command of its own.
"""

import importlib.metadata
import importlib.util
import itertools
import json
import logging
import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from transformers import PreTrainedModel

from gikai import InputError, runs
from gikai.baselines import LinearPredictor, load_linear
from gikai.config import CONF, SHIPPED
from gikai.labels import Taxonomy, load_taxonomy
from gikai.model import has_bf16, load_model
from gikai.records import read_jsonl
from gikai.text import normalise
from gikai.tokenizer import Tokenizer

log = logging.getLogger(__name__)

T = TypeVar("T")

TOKENS = 8192

FEW = 64
"""Texts that a thread of the ONNX backend takes at a time; less and less towards the end, so that all threads end together."""

AGREEMENT = 0.995
"""Share of decisions in which a faster backend must agree with float32; below it the backend is refused."""

CHECKED = 150
"""Passages over which that share is measured; at 16 labels and a role, 2,550 decisions."""

WORTH_CHOOSING = 256
"""Fewer texts than these are scored sooner than backends are compared."""


class Predictor(Protocol):
    """Anything that turns texts into probabilities."""

    taxonomy: Taxonomy

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return `(n, all labels)` float64, columns in taxonomy order; `texts` are normalised."""
        ...


class TorchPredictor:
    """A fine-tuned BERT. Sequences are sorted by length and batched by token budget; order is restored.

    In float32 it is the reference that every other backend is measured against; `bf16` computes in bfloat16. A text longer than `max_length` pieces is scored in overlapping windows: a multi-label set takes the highest logit
    over windows (one window is enough to show an initiative), a single-label set the mean.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: Tokenizer, taxonomy: Taxonomy, max_length: int, tokens: int = TOKENS, bf16: bool = False
    ) -> None:
        self.taxonomy, self.tokenizer, self.max_length, self.tokens = taxonomy, tokenizer, max_length, tokens
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.eval().to(self.device, torch.bfloat16 if bf16 else torch.float32)

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return `(n, all labels)` float64, columns in taxonomy order; `texts` are normalised."""
        return self.taxonomy.activate(self.logits(texts))

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return `(n, all labels)` float32, windows of one text pooled."""
        return self.score(self.tokenizer.many(texts))

    def score(self, ids: Sequence[list[int]]) -> np.ndarray:
        """Return the `logits` of texts whose ids are known."""
        sequences: list[list[int]] = []
        owner: list[int] = []
        for index, of_text in enumerate(ids):
            windows = self.tokenizer.cut(of_text, self.max_length)
            sequences.extend(windows)
            owner.extend([index] * len(windows))
        of_window = self._score(sequences)
        if len(sequences) == len(ids):
            return of_window
        return pool(of_window, np.asarray(owner), len(ids), self.taxonomy)

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


class OnnxPredictor:
    """The same BERT from `<run>/onnx/model.onnx`, int8 weights, on CPU cores.

    Each core scores one sequence at a time: nothing is padded, and what a text gets does not depend on what is scored
    beside it. Tokenisation happens on the same threads. Long texts are pooled over windows as in `TorchPredictor`.
    """

    def __init__(self, path: Path, tokenizer: Tokenizer, taxonomy: Taxonomy, max_length: int, threads: int) -> None:
        import onnxruntime

        self.taxonomy, self.tokenizer, self.max_length, self.threads = taxonomy, tokenizer, max_length, threads
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Further fusions would join additions and norms into an operator that is slower than the two.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return `(n, all labels)` float64, columns in taxonomy order; `texts` are normalised."""
        return self.taxonomy.activate(self.logits(texts))

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Return `(n, all labels)` float32, windows of one text pooled."""
        return self._shared(texts, lambda few: [self.tokenizer.ids(text) for text in few])

    def score(self, ids: Sequence[list[int]]) -> np.ndarray:
        """Return the `logits` of texts whose ids are known."""
        return self._shared(ids, list)

    def _shared(self, items: Sequence[T], tokenise: Callable[[Sequence[T]], list[list[int]]]) -> np.ndarray:
        """Return one row an item, in order; threads take a few items at a time, and none after an interruption.

        Each few are all tokenised and then all scored: MeCab's dictionary and the model take turns in the cache.
        """
        few, start = [], 0
        while start < len(items):
            size = max(1, min(FEW, (len(items) - start) // (2 * self.threads)))
            few.append(items[start : start + size])
            start += size
        threads = ThreadPoolExecutor(self.threads)
        try:
            rows = list(threads.map(lambda some: [self._score(ids) for ids in tokenise(some)], few))
        finally:
            threads.shutdown(cancel_futures=True)
        return np.array(list(itertools.chain.from_iterable(rows)), dtype=np.float32).reshape(len(items), len(self.taxonomy.names))

    def _score(self, ids: list[int]) -> np.ndarray:
        windows = self.tokenizer.cut(ids, self.max_length)
        logits: np.ndarray = np.concatenate([self.session.run(None, {"ids": np.array([window], dtype=np.int64)})[0] for window in windows])
        if len(windows) > 1:
            logits = pool(logits, np.zeros(len(windows), dtype=int), 1, self.taxonomy)
        row: np.ndarray = logits[0]
        return row


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


def load_predictor(run: Path, tokens: int = TOKENS, backend: str = "torch") -> TorchPredictor | OnnxPredictor | LinearPredictor:
    """Return the predictor of a finished run, ready to score with `backend`.

    `torch`: float32, the reference. `torch-bf16` and `onnx-int8` (or `onnx`) are faster and checked against it once for
    each run and machine. A baseline has one backend, `linear`. Raises InputError where model and taxonomy disagree,
    where the run or this machine has no such backend, and where that one's decisions differ too often from float32's.
    """
    taxonomy = load_taxonomy(run / "taxonomy")
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    if record["kind"] in ("linear", "keywords"):
        if backend not in ("linear", "torch"):
            raise InputError(f"{run} is a baseline, which has no backend {backend}; leave backend out")
        return load_linear(run / "model", taxonomy)
    if backend == "onnx":
        backend = "onnx-int8"
    if backend == "torch":
        return _load(run, taxonomy, record, tokens, backend)
    if backend not in backends():
        needs = {"torch-bf16": "a processor that computes in bfloat16", "onnx-int8": "the packages onnx and onnxruntime, and no GPU"}
        raise InputError(f"backend={backend} needs {needs[backend]}" if backend in needs else f"there is no backend {backend}")
    agreement = checked(run)["agreement"].get(backend)
    if isinstance(agreement, str):
        raise InputError(f"backend={backend}: {agreement}")
    if agreement < AGREEMENT:
        raise InputError(
            f"backend={backend} is refused for {run}: it agrees with float32 on {agreement:.2%} of decisions, "
            f"less than {AGREEMENT:.1%}; use backend=torch"
        )
    return _load(run, taxonomy, record, tokens, backend)


def backends() -> list[str]:
    """Return the names of the backends that this machine and this installation have, the reference first."""
    names = ["torch"]
    if has_bf16():
        names.append("torch-bf16")
    if not torch.cuda.is_available() and all(importlib.util.find_spec(package) for package in ("onnx", "onnxruntime")):
        names.append("onnx-int8")
    return names


def choose_backend(run: Path, texts: Sequence[str]) -> str:
    """Return the backend that scores `texts`, a sample of what is to come, fastest on this machine, after about a second.

    Only backends that agree with float32 take part. Fewer than `WORTH_CHOOSING` texts are not worth the comparison: torch.
    """
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    if record["kind"] in ("linear", "keywords"):
        return "linear"
    if len(texts) < WORTH_CHOOSING or len(backends()) == 1:
        return "torch"
    taxonomy = load_taxonomy(run / "taxonomy")
    try:
        agreement = checked(run)["agreement"]
    except (OSError, InputError) as error:
        log.warning("%s: faster backends cannot be prepared here (%s); torch is used", run, error)
        return "torch"
    rates: dict[str, float] = {}
    for name in backends():
        share = agreement.get(name, 1.0)
        if isinstance(share, str):
            log.warning("backend %s is left out: %s", name, share)
        elif share < AGREEMENT:
            log.warning("backend %s is left out: it agrees with float32 on %.2f%% of decisions", name, 100 * share)
        else:
            rates[name] = _rate(_load(run, taxonomy, record, TOKENS, name), texts)
    log.info("passages per second: %s", ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items()))
    return max(rates, key=lambda name: rates[name])


def checked(run: Path) -> dict[str, Any]:
    """Return `<run>/onnx/manifest.json`; export and check the faster backends first where that was not done here yet.

    `agreement` holds, for each backend beside torch, the share of decisions (each label of a multi-label set, the label
    of a single-label set) that are float32's, over passages from a few pieces to several windows long; or a sentence
    that says why the model has no such backend. Another model, machine or version of the libraries is checked anew.
    """
    folder = run / "onnx"
    names = backends()[1:]
    state = {
        "model": runs.fingerprint(runs.model_files(run)),
        "device": _device(),
        "graph": _graph_format(names),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", *(["onnxruntime"] if "onnx-int8" in names else []))},
    }
    manifest = folder / "manifest.json"
    if manifest.exists():
        before: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
        if all(before.get(key) == value for key, value in state.items()) and set(names) <= set(before["agreement"]):
            return before
    taxonomy = load_taxonomy(run / "taxonomy")
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    thresholds = json.loads((run / "thresholds.json").read_text(encoding="utf-8"))
    texts = _texts_to_check(record)
    log.info("%s: checking %s against float32 on %d passages, once for this run and machine", run, " and ".join(names), len(texts))
    with runs.locked(folder, "exporting"):
        reference = decisions(taxonomy, thresholds, _load(run, taxonomy, record, TOKENS, "torch").probabilities(texts))
        agreement: dict[str, float | str] = {}
        for name in names:
            try:
                if name == "onnx-int8":
                    from gikai.export import export

                    export(load_model(run, taxonomy), folder / "model.onnx")
                found = decisions(taxonomy, thresholds, _load(run, taxonomy, record, TOKENS, name).probabilities(texts))
                agreement[name] = float((found == reference).mean())
            except InputError as error:
                agreement[name] = str(error)
        result = {**state, "passages": len(texts), "decisions": reference.size, "agreement": agreement}
        runs.write_json(manifest, result)
    return result


def _graph_format(names: Sequence[str]) -> int | None:
    """Return the version of the graph that an export would have; None where there is no ONNX backend."""
    if "onnx-int8" not in names:
        return None
    from gikai.export import FORMAT

    return FORMAT


def decisions(taxonomy: Taxonomy, thresholds: dict[str, dict[str, float]], probabilities: np.ndarray) -> np.ndarray:
    """Return `(n, decisions)` integers: 0 or 1 for each label of a multi-label set, the column for a single-label set."""
    columns = []
    for label_set in taxonomy.sets:
        cuts = [thresholds.get(label_set.name, {}).get(label_id, 0.5) for label_id in label_set.ids]
        chosen = label_set.choose(probabilities[:, taxonomy.columns[label_set.name]], cuts)
        columns.append(chosen.astype(int) if label_set.kind == "multi" else chosen.argmax(axis=1)[:, None])
    return np.concatenate(columns, axis=1)


def _load(run: Path, taxonomy: Taxonomy, record: dict[str, Any], tokens: int, backend: str) -> TorchPredictor | OnnxPredictor:
    workers = min(8, torch.get_num_threads()) if torch.cuda.is_available() else 1
    tokenizer = Tokenizer(run / "model", workers)
    if backend == "onnx-int8":
        return OnnxPredictor(run / "onnx/model.onnx", tokenizer, taxonomy, record["max_length"], torch.get_num_threads())
    return TorchPredictor(load_model(run, taxonomy), tokenizer, taxonomy, record["max_length"], tokens, backend == "torch-bf16")


def _rate(predictor: Predictor, texts: Sequence[str]) -> float:
    """Return texts per second, over slices that double until one takes a fifth of a second."""
    predictor.probabilities(texts[:4])
    start, count = 0, 8
    while True:
        piece = texts[start : start + count]
        began = time.perf_counter()
        predictor.probabilities(piece)
        seconds = time.perf_counter() - began
        if seconds > 0.2 or start + 3 * count > len(texts):
            return len(piece) / seconds
        start, count = start + count, 2 * count


def _texts_to_check(record: dict[str, Any]) -> list[str]:
    """Return passages of the run's own dev file, or of the shipped one: some whole, some cut short, some joined to long ones."""
    shipped = CONF.parent / SHIPPED / "dev.jsonl"
    own = record.get("data", {}).get("dev", {}).get("file")
    path = Path(own) if own and Path(own).is_file() else shipped
    texts = [normalise(row["text"]) for _, row in read_jsonl(path)]
    step = max(1, len(texts) // CHECKED)
    shapes = [texts[start : start + 4] for start in range(0, len(texts), step)][:CHECKED]
    cut = (lambda t: t[0], lambda t: t[0][:20], lambda t: t[0][:70], lambda t: "".join(t[:2]), lambda t: "".join(t))
    return [cut[number % len(cut)](texts) for number, texts in enumerate(shapes)]


def _device() -> str:
    """Return the name of what computes here: int8 and bfloat16 round differently from one processor to the next."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines() if cpuinfo.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{named[0] if named else platform.processor() or platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
