"""How fast batch inference is beside stock Hugging Face: same weights, same passages, one process, turns taken.

python scripts/benchmark.py run=DIR [passages=5000] [repeats=3] [backend=auto] [output=DIR]
"""

import gc
import json
import logging
import random
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PretrainedConfig, pipeline

from gikai import InputError, runs
from gikai.config import Benchmark
from gikai.predict import score_rows
from gikai.predictor import AGREEMENT, OnnxPredictor, TorchPredictor, choose_backend, decisions, load_predictor
from gikai.records import read_jsonl
from gikai.runs import open_run
from gikai.text import normalise
from gikai.tokenizer import PROCESSES_PAY, Tokenizer

log = logging.getLogger(__name__)

MARKS = "<!-- benchmark -->", "<!-- /benchmark -->"


def benchmark(config: Benchmark) -> dict[str, Any]:
    """Measure `config.run` beside stock Hugging Face; write benchmark.json and return what it holds.

    Stock is `pipeline("text-classification", batch_size=32)` in float32. Both get the same raw texts and give, for each,
    the probabilities of all labels; start-up and one warming-up round are outside of the time. The two take turns, so
    that what else the machine does meets both; ratios are of neighbouring turns. Raises InputError for a TF-IDF run.
    """
    run, output = open_run(Path(config.run)), Path(config.output)
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    if record["kind"] != "bert":
        raise InputError(f"run={run} holds no BERT; there is no stock pipeline to compare it with")
    thresholds = json.loads((run / "thresholds.json").read_text(encoding="utf-8"))
    texts = mixed_texts([Path(path) for path in config.texts], config.passages, config.shortest, config.longest)
    backend = choose_backend(run, texts) if config.backend == "auto" else config.backend
    predictor = load_predictor(run, config.tokens, backend)
    assert isinstance(predictor, TorchPredictor | OnnxPredictor)
    taxonomy, tokenizer, limit = predictor.taxonomy, predictor.tokenizer, predictor.max_length
    log.info("backend %s; %d passages of %d to %d characters", backend, len(texts), config.shortest, config.longest)

    stock_tokenizer: Any = AutoTokenizer.from_pretrained(str(run / "model"))
    stock_model = AutoModelForSequenceClassification.from_pretrained(str(run / "model"), dtype=torch.float32)
    device = 0 if torch.cuda.is_available() else "cpu"
    stock: Any = pipeline("text-classification", model=stock_model, tokenizer=stock_tokenizer, batch_size=32, top_k=None, device=device)
    stock_limit = stock_model.config.max_position_embeddings

    def of_stock(part: Sequence[str]) -> np.ndarray:
        found = stock(list(part), function_to_apply="none", truncation=True, max_length=stock_limit)
        logits = np.array(
            [[scores[name] for name in taxonomy.names] for scores in ({s["label"]: s["score"] for s in row} for row in found)]
        )
        return taxonomy.activate(logits)

    def of_ours(part: Sequence[str]) -> list[dict[str, Any]]:
        return to_rows(part, predictor, thresholds)

    for warming in (of_stock, of_ours):
        warming(texts[:64])
    turns = interleaved({"stock": lambda: of_stock(texts), "ours": lambda: of_ours(texts)}, config.repeats)

    ids = [tokenizer.ids(text) for text in texts]

    def stock_ids() -> list[list[int]]:
        return [stock_tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]

    tasks: dict[str, Callable[[], object]] = {"stock": stock_ids, "ours": lambda: [tokenizer.ids(text) for text in texts]}
    cores = torch.get_num_threads()
    parallel = Tokenizer(run / "model", workers=cores)
    if cores > 1:
        parallel.many([text for text in texts[:64] for _ in range(PROCESSES_PAY // 64 + 1)])
        tasks["processes"] = lambda: parallel.many(texts)
    tokenisation = interleaved(tasks, config.repeats)
    parallel.close()
    scored = interleaved({"ours": lambda: predictor.score(ids)}, config.repeats)["ours"]
    wanted = decisions(taxonomy, thresholds, load_predictor(run, config.tokens).probabilities(texts))
    from_stock = decisions(taxonomy, thresholds, of_stock(texts))
    found = decisions(taxonomy, thresholds, predictor.probabilities(texts))
    rate = matmul_rate()
    needed = float(sum(flops(stock_model.config, min(len(i) + 2, limit)) for i in ids))
    pads = sum(max(len(i) for i in ids[start : start + 32]) + 2 for start in range(0, len(ids), 32) for _ in ids[start : start + 32])
    result: dict[str, Any] = {
        "run": str(run),
        "backend": backend,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": cores,
        "passages": len(texts),
        "characters": {
            "shortest": min(map(len, texts)),
            "mean": round(statistics.mean(map(len, texts)), 1),
            "longest": max(map(len, texts)),
        },
        "pieces": {"mean": round(statistics.mean(map(len, ids)) + 2, 1), "mean_padded_by_stock": round(pads / len(ids), 1)},
        "longer_than_one_window": sum(len(i) + 2 > limit for i in ids),
        "end_to_end": compared(turns, len(texts)),
        "tokenisation": {**compared(tokenisation, len(texts)), "identical_ids": stock_ids() == ids},
        "scoring": {
            "ours": summary([len(texts) / turn["seconds"] for turn in scored]),
            "gigaflops": round(needed / statistics.median(turn["seconds"] for turn in scored) / 1e9, 1),
            "matmul_gigaflops_float32": round(rate, 1),
        },
        "agreement": {
            "decisions": int(wanted.size),
            "with_stock": round(float((found == from_stock).mean()), 5),
            "with_float32": round(float((found == wanted).mean()), 5),
            "float32_with_stock": round(float((wanted == from_stock).mean()), 5),
            "passages_all_equal_to_stock": round(float((found == from_stock).all(axis=1).mean()), 5),
            "asked": AGREEMENT,
        },
        "growth": [grown(count, texts, of_ours) for count in config.growth],
        **runs.provenance(),
    }
    result["scoring"]["share_of_matmul"] = round(result["scoring"]["gigaflops"] / rate, 3)
    runs.write_json(output / "benchmark.json", result)
    lines = table(result)
    if config.table is not None:
        write_between(Path(config.table), lines)
    print("\n".join([*lines, "", f"written to {output / 'benchmark.json'}"]))
    return result


def mixed_texts(paths: Sequence[Path], count: int, shortest: int, longest: int) -> list[str]:
    """Return `count` different texts, lengths spread evenly from `shortest` to `longest` characters, always the same ones.

    They are cut one after another from the files' texts joined in a shuffled order; where those are used up, they are
    shuffled again.
    """
    rng = random.Random(0)
    sources = [normalise(row["text"]) for path in paths for _, row in read_jsonl(path)]
    stream, position, texts = "", 0, []
    for _ in range(count):
        length = rng.randint(shortest, longest)
        while len(stream) - position < length:
            rng.shuffle(sources)
            stream, position = stream[position:] + "".join(sources), 0
        texts.append(stream[position : position + length])
        position += length
    return texts


def to_rows(
    texts: Sequence[str], predictor: TorchPredictor | OnnxPredictor, thresholds: dict[str, dict[str, float]]
) -> list[dict[str, Any]]:
    """Return the rows that batch inference would write for raw `texts`."""
    empty = dict.fromkeys(
        ("id", "source", "assembly", "date", "meeting", "speaker", "title", "header_role", "passage_index", "start", "end")
    )
    return score_rows([{**empty, "text": normalise(text), "unpunctuated": False} for text in texts], predictor, thresholds)


def interleaved(tasks: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[dict[str, float]]]:
    """Return seconds and peak memory of each task, each turn; the tasks take turns, in alternating order."""
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in tasks}
    for turn in range(repeats):
        for name in list(tasks)[:: 1 if turn % 2 == 0 else -1]:
            turns[name].append(measured(tasks[name]))
            log.info("turn %d of %d, %s: %.2f seconds", turn + 1, repeats, name, turns[name][-1]["seconds"])
    return turns


def measured(task: Callable[[], object]) -> dict[str, float]:
    """Return wall seconds of `task`, and its peak resident memory in MiB: of the whole process, and over what it began with."""
    process, stop, peak = psutil.Process(), threading.Event(), 0
    gc.collect()
    before = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not stop.wait(0.02):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    began = time.perf_counter()
    result = task()
    seconds = time.perf_counter() - began
    stop.set()
    watcher.join()
    peak = max(peak, process.memory_info().rss)
    del result
    return {"seconds": seconds, "peak_mib": peak / 2**20, "more_mib": (peak - before) / 2**20}


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return median, lowest and highest."""
    return {"median": round(statistics.median(values), 2), "low": round(min(values), 2), "high": round(max(values), 2)}


def compared(turns: dict[str, list[dict[str, float]]], count: int) -> dict[str, Any]:
    """Return passages per second of each task and, for all but stock, its ratio to stock, turn by turn; and peak memory."""
    result: dict[str, Any] = {}
    for name, of_task in turns.items():
        result[name] = {
            "passages_per_second": summary([count / turn["seconds"] for turn in of_task]),
            "peak_mib": round(max(turn["peak_mib"] for turn in of_task)),
            "more_mib": round(max(turn["more_mib"] for turn in of_task)),
        }
        if name != "stock":
            pairs = zip(turns["stock"], of_task, strict=True)
            result[name]["ratio_to_stock"] = summary([stock["seconds"] / ours["seconds"] for stock, ours in pairs])
    return result


def flops(config: PretrainedConfig, length: int) -> int:
    """Return the floating-point operations of a BERT forward pass over one sequence: its matrix products, nothing padded."""
    width, inner = config.hidden_size, config.intermediate_size
    return int(config.num_hidden_layers * length * (8 * width**2 + 4 * width * inner + 4 * width * length))


def matmul_rate() -> float:
    """Return what this machine reaches in float32 matrix products of 2048 by 2048, in 10⁹ operations a second."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = 2048
    a, b = torch.randn(size, size, device=device), torch.randn(size, size, device=device)
    best = float("inf")
    for _ in range(8):
        began = time.perf_counter()
        (a @ b).sum().item()
        best = min(best, time.perf_counter() - began)
    return float(2 * size**3 / best / 1e9)


def grown(count: int, texts: Sequence[str], task: Callable[[Sequence[str]], object], shard: int = 4096) -> dict[str, float]:
    """Return what `count` passages cost, shard by shard as a job takes them; `texts` are taken again from the start as often as needed."""

    def job() -> None:
        for start in range(0, count, shard):
            task([texts[number % len(texts)] for number in range(start, min(start + shard, count))])

    cost = measured(job)
    log.info("%d passages: %.1f seconds, %.0f MiB", count, cost["seconds"], cost["peak_mib"])
    return {
        "passages": count,
        "seconds": round(cost["seconds"], 2),
        "passages_per_second": round(count / cost["seconds"], 1),
        "peak_mib": round(cost["peak_mib"]),
    }


def table(result: dict[str, Any]) -> list[str]:
    """Return the Markdown tables of a benchmark.json."""

    def spread(values: dict[str, float], digits: int = 0) -> str:
        return f"{values['median']:,.{digits}f} [{values['low']:,.{digits}f}, {values['high']:,.{digits}f}]"

    whole, tokens, score, agree = result["end_to_end"], result["tokenisation"], result["scoring"], result["agreement"]
    lines = [
        f"{result['passages']:,} passages of {result['characters']['shortest']} to {result['characters']['longest']} characters "
        f"({result['pieces']['mean']} pieces each, {result['pieces']['mean_padded_by_stock']} as stock pads them), run `{Path(result['run']).name}`, "
        f"backend `{result['backend']}`, {result['machine']}, {result['threads']} threads, device {result['device']}.",
        "",
        "| | stock, passages a second | gikai, passages a second | ratio |",
        "|---|---|---|---|",
        f"| raw text to rows | {spread(whole['stock']['passages_per_second'])} | {spread(whole['ours']['passages_per_second'])} "
        f"| {spread(whole['ours']['ratio_to_stock'], 2)} |",
        f"| tokenisation alone, one process | {spread(tokens['stock']['passages_per_second'])} | {spread(tokens['ours']['passages_per_second'])} "
        f"| {spread(tokens['ours']['ratio_to_stock'], 2)} |",
        *(
            f"| tokenisation alone, {result['threads']} worker processes | | {spread(tokens['processes']['passages_per_second'])} "
            f"| {spread(tokens['processes']['ratio_to_stock'], 2)} |"
            for _ in range("processes" in tokens)
        ),
        f"| scoring alone | | {spread(score['ours'])} | |",
        f"| peak memory, MiB (over the start) | {whole['stock']['peak_mib']:,} ({whole['stock']['more_mib']:,}) "
        f"| {whole['ours']['peak_mib']:,} ({whole['ours']['more_mib']:,}) | |",
        "",
        f"Ids are {'identical' if tokens['identical_ids'] else '**not identical**'}. Of {agree['decisions']:,} decisions {agree['with_stock']:.2%} are those "
        f"of the stock pipeline, {agree['with_float32']:.2%} those of float32 here; {agree['passages_all_equal_to_stock']:.2%} of passages agree "
        f"in every label. Scoring does {score['gigaflops']:,.0f}·10⁹ operations a second, {score['share_of_matmul']:.0%} of what float32 matrix products of "
        f"2048 × 2048 reach here ({score['matmul_gigaflops_float32']:,.0f}·10⁹).",
    ]
    if result["growth"]:
        lines += ["", "| passages | seconds | passages a second | peak memory, MiB |", "|---|---|---|---|"]
        lines += [
            f"| {g['passages']:,} | {g['seconds']:,.1f} | {g['passages_per_second']:,.0f} | {g['peak_mib']:,} |" for g in result["growth"]
        ]
    return lines


def write_between(page: Path, lines: Sequence[str]) -> None:
    """Put `lines` between the marks of a page; raise InputError where it has none."""
    text = page.read_text(encoding="utf-8")
    before, first, rest = text.partition(MARKS[0])
    _, second, after = rest.partition(MARKS[1])
    if not first or not second:
        raise InputError(f"table={page}: the page has no lines {MARKS[0]} and {MARKS[1]} to write between")
    runs.write_text(page, "\n".join([before + MARKS[0], *lines, MARKS[1] + after]))
