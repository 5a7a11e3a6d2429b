"""Batch inference: minutes or passages in, one row a passage out, nothing lost, resumed where it stopped.

python scripts/predict.py run=DIR input=PATH output=DIR [format=parquet|jsonl|csv] [engine=local|ray]
"""

import csv
import hashlib
import io
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gikai import InputError, runs
from gikai.config import Predict
from gikai.labels import Taxonomy, load_taxonomy
from gikai.predictor import Predictor, choose_backend, load_predictor
from gikai.runs import fingerprint, model_files, open_run, sha256
from gikai.shards import Input, Part, Row, Shard, cut, entries, find_inputs, read_input, record, resume, shard_name
from gikai.store import Store, file_system, local_path, locked
from gikai.text import NORMALISATION, quote

SAMPLE = 512
"""Passages on which backend=auto measures."""


@dataclass(frozen=True)
class Job:
    """What a worker needs to finish shards, in whatever process it runs."""

    run: str
    output: str
    format: str
    tokens: int
    backend: str


class Worker:
    """A model in memory that finishes shards: the same for every engine."""

    def __init__(self, job: Job) -> None:
        self.job, self.store = job, Store(job.output)
        self.predictor = load_predictor(Path(job.run), job.tokens, job.backend)
        self.thresholds = json.loads((Path(job.run) / "thresholds.json").read_text(encoding="utf-8"))

    def finish(self, number: int, rows: list[Row]) -> None:
        """Score and write one shard, unless it is there already: what exists is complete and was scored alike."""
        name = shard_name(number, self.job.format)
        if self.store.exists(name) or (number and not rows):
            return
        scored = score_rows(rows, self.predictor, self.thresholds)
        self.store.write(name, encode_rows(scored, self.job.format, self.predictor.taxonomy))


Reader = Callable[[Sequence[Input], int], Iterator[tuple[int, Part]]]
"""Reads inputs from the given index on, in order: (index, part)."""
Finisher = Callable[[Iterator[Shard]], Iterator[Shard]]
"""Yields every shard when its file is there, in whatever order."""


def read_here(inputs: Sequence[Input], start: int) -> Iterator[tuple[int, Part]]:
    """Read inputs one after the other in this process."""
    for index in range(start, len(inputs)):
        yield from ((index, part) for part in read_input(*inputs[index]))


def finish_here(job: Job) -> Finisher:
    """Return what finishes shards one after the other in this process; the model is loaded at once.

    The next shard is read while one is scored.
    """
    worker = Worker(job)

    def finish(shards: Iterator[Shard]) -> Iterator[Shard]:
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(next, shards, None)
            while (shard := coming.result()) is not None:
                coming = ahead.submit(next, shards, None)
                worker.finish(shard.number, shard.rows)
                yield shard

    return finish


def predict(config: Predict) -> dict[str, Any]:
    """Do the job in this process, print what came of it, and return what predict.json records."""
    result = batch(config, read_here, finish_here)
    print(report(config, result))
    return result


def batch(config: Predict, reader: Reader, finisher: Callable[[Job], Finisher]) -> dict[str, Any]:
    """Score every passage of `config.input` into `config.output` and return what predict.json records.

    Rows are written in shards of `config.shard` passages, cut by input position; a shard that exists is complete, and
    a journal says which inputs are in shards. The same command goes on where it stopped; another model or setting in
    the same output raises InputError, as does a second job on it. A document that cannot be read goes to
    rejected.jsonl with its reason, and the rest goes on.
    """
    run, store = open_run(Path(config.run)), Store(config.output)
    inputs = find_inputs(config.input)
    _apart(config, inputs)
    settings = {
        "model": fingerprint(model_files(run)),
        "files": _files_hash(inputs),
        "normalisation": NORMALISATION,
        **{key: getattr(config, key) for key in ("format", "drop_duplicates", "shard", "tokens")},
    }
    taxonomy = load_taxonomy(run / "taxonomy")
    with locked(config.output, "predicting"):
        wanted = "onnx-int8" if config.backend == "onnx" else config.backend
        begun = _begun(store, settings, wanted)
        if not store.exists("predict.json"):
            job = Job(str(run), config.output, config.format, config.tokens, begun["backend"] if begun else _backend(run, inputs, wanted))
            # The model is loaded before the job is begun: one that does not load must not leave an output behind.
            finish = finisher(job)
            settings["backend"] = job.backend
            if begun is None:
                _write_json(store, "job.json", settings)
            _score(config, store, inputs, reader, finish)
            _conclude(config, store, settings, taxonomy)
        result: dict[str, Any] = json.loads(store.read("predict.json"))
        missing = [name for name in (shard_name(number, config.format) for number in range(result["shards"])) if not store.exists(name)]
        if missing:
            raise InputError(f"{config.output}: {missing[0]} of this finished job is gone; choose a new output=…")
        store.remove("journal")
    return result


def report(config: Predict, result: dict[str, Any]) -> str:
    """Return the first rows, where they are asked for, and the line that counts what was done and rejected."""
    line = (
        f"{result['documents']} documents: {result['done']} done, {result['rejected']} rejected; "
        f"{result['speeches']} speeches, {result['passages']} passages, {result['duplicates']} of them repeated"
        f"{' and dropped' if config.drop_duplicates else ''}; rows in {config.output}"
    )
    if not config.show:
        return line
    return f"{_table(_first_rows(Store(config.output), config), load_taxonomy(Path(config.run) / 'taxonomy'))}\n{line}"


def _apart(config: Predict, inputs: Sequence[Input]) -> None:
    """Refuse an output that holds input: its rows would be the input of the next job."""
    output = local_path(config.output)
    if output is None:
        system, root = file_system(config.output)
        inside = any(isinstance(place, str) and place.startswith(system.unstrip_protocol(root).rstrip("/") + "/") for _, place in inputs)
    else:
        folder = output.resolve()
        inside = any(isinstance(place, Path) and place.resolve().is_relative_to(folder) for _, place in inputs)
    if inside:
        raise InputError(f"output={config.output} holds input files; choose a folder outside of the input")


def _files_hash(inputs: Sequence[Input]) -> str:
    """Return one hash over the sources and contents of all inputs; of what is not local, over what its store says of it."""
    total = hashlib.sha256()
    for place, same in itertools.groupby(inputs, key=lambda item: item[1]):
        if isinstance(place, Path):
            content = sha256(place)
        else:
            system, name = file_system(place)
            content = system.ukey(name)
        for source, _ in same:
            total.update(f"{source}\t{content}\n".encode())
    return total.hexdigest()


def _begun(store: Store, settings: dict[str, Any], backend: str) -> dict[str, Any] | None:
    """Return what the job was begun with, None where it is new; raises InputError where that was another job."""
    if not store.exists("job.json"):
        foreign = sorted(store.names() - {".lock"})
        if foreign:
            raise InputError(f"{store.place}: the folder already holds {foreign[0]}; choose an empty or a new output=…")
        return None
    begun: dict[str, Any] = json.loads(store.read("job.json"))
    asked = settings if backend == "auto" else {**settings, "backend": backend}
    changed = [key for key in asked if begun.get(key) != asked[key]]
    if changed:
        raise InputError(f"{store.place}: begun with another {changed[0]}; repeat that command, or choose a new output=…")
    return begun


def _backend(run: Path, inputs: Sequence[Input], wanted: str) -> str:
    """Return what scores a new job, measured on its first passages where the choice is free; a job that goes on keeps it."""
    if wanted != "auto":
        return wanted
    texts = (row["text"] for _, part in read_here(inputs, 0) for row in part.rows)
    return choose_backend(run, list(itertools.islice(texts, SAMPLE)))


def _score(config: Predict, store: Store, inputs: Sequence[Input], reader: Reader, finish: Finisher) -> None:
    """Finish the shards that are not finished, and write each into the journal."""
    number, start, seen = resume(store, config.format)
    if start.last:
        return
    began, passages = time.monotonic(), 0
    with _progress_bar() as bar:
        task = bar.add_task("documents", total=len(inputs), completed=start.input, rate="")

        def followed() -> Iterator[tuple[int, Part]]:
            for index, part in reader(inputs, start.input):
                bar.update(task, completed=index)
                yield index, part

        for shard in finish(cut(followed(), number, start, seen, config.shard, config.drop_duplicates)):
            seconds = time.monotonic() - began
            record(store, shard, start.seconds + seconds)
            passages += shard.count
            bar.update(task, rate=f"{passages / seconds:,.0f} passages/s")
        bar.update(task, completed=len(inputs))


def _conclude(config: Predict, store: Store, settings: dict[str, Any], taxonomy: Taxonomy) -> None:
    """Write rejected.jsonl and, last, predict.json from the journal."""
    rejected: list[str] = []
    shards = 0
    entry: dict[str, Any] = {}
    for entry in entries(store, config.format):
        rejected.extend(json.dumps(document, ensure_ascii=False) + "\n" for document in entry["rejected_documents"])
        shards += bool(entry["rows"]) or shards == 0
    store.write("rejected.jsonl", "".join(rejected).encode())
    counts = {key: entry[key] for key in ("done", "rejected", "speeches", "passages", "duplicates")}
    seconds = entry["seconds"]
    _write_json(
        store,
        "predict.json",
        {
            "run": config.run,
            "input": config.input,
            **settings,
            "documents": counts["done"] + counts["rejected"],
            **counts,
            "shards": shards,
            "columns": {label_set.name: label_set.ids for label_set in taxonomy.sets},
            "engine": config.engine,
            "seconds": seconds,
            "passages_per_second": round(counts["passages"] / seconds, 1) if seconds else None,
            **runs.provenance(),
        },
    )


def _write_json(store: Store, name: str, value: Any) -> None:
    store.write(name, (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode())


def encode_rows(rows: list[Row], form: str, taxonomy: Taxonomy) -> bytes:
    """Return scored rows as the bytes of a Parquet, JSON Lines or CSV file; in CSV, lists are JSON."""
    schema = _schema(taxonomy)
    if form == "parquet":
        import pyarrow
        import pyarrow.parquet

        data = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), data)
        return data.getvalue()
    if form == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=[column.name for column in schema])
    writer.writeheader()
    writer.writerows({key: json.dumps(v, ensure_ascii=False) if isinstance(v, list) else v for key, v in row.items()} for row in rows)
    return text.getvalue().encode("utf-8-sig")


def score_rows(rows: list[Row], predictor: Predictor, thresholds: dict[str, dict[str, float]]) -> list[Row]:
    """Return `rows` with labels and all probabilities; a role that the header gives stands, with the model's beside it."""
    taxonomy = predictor.taxonomy
    probabilities = predictor.probabilities([row["text"] for row in rows]) if rows else np.empty((0, len(taxonomy.names)))
    scored = [{key: row[key] for key in ("id", "source", "assembly", "date", "meeting", "speaker", "title", "text")} for row in rows]
    for label_set in taxonomy.sets:
        of_set = probabilities[:, taxonomy.columns[label_set.name]]
        cuts = [thresholds.get(label_set.name, {}).get(label_id, 0.5) for label_id in label_set.ids]
        ids = set(label_set.ids)
        decoded = zip(rows, scored, label_set.decode(label_set.choose(of_set, cuts)), of_set.tolist(), strict=True)
        for row, result, label, of_row in decoded:
            result[label_set.field] = label
            if label_set.field == "role":
                from_header = row["header_role"] in ids
                result["role"] = row["header_role"] if from_header else label
                result["role_source"] = "header" if from_header else "model"
            result[f"{label_set.name}_probabilities"] = [round(p, 6) for p in of_row]
    for row, result in zip(rows, scored, strict=True):
        result.update({key: row[key] for key in ("passage_index", "start", "end", "unpunctuated")})
    return scored


def _first_rows(store: Store, config: Predict) -> list[Row]:
    """Return the first `config.show` rows of the first shard, as they were written."""
    data = store.read(shard_name(0, config.format))
    if config.format == "parquet":
        import pyarrow.parquet

        rows: list[Row] = pyarrow.parquet.read_table(io.BytesIO(data)).slice(0, config.show).to_pylist()
        return rows
    lines = io.StringIO(data.decode("utf-8-sig"), newline="")
    return list(itertools.islice(csv.DictReader(lines) if config.format == "csv" else map(json.loads, lines), config.show))


def _table(rows: list[Row], taxonomy: Taxonomy) -> str:
    """Return rows as lines for a terminal: where, labels of each set, the start of the text."""
    lines = []
    for row in rows:
        labels = "  ".join(", ".join(value) or "-" if isinstance(value := row[s.field], list) else str(value) for s in taxonomy.sets)
        lines.append(f"{row['id']}  {labels}\n    {quote(row['text'], 60)}")
    return "\n".join(lines)


def _schema(taxonomy: Taxonomy) -> Any:
    import pyarrow

    text, numbers = pyarrow.string(), pyarrow.list_(pyarrow.float64())
    fields = [(name, text) for name in ("id", "source", "assembly", "date", "meeting", "speaker", "title", "text")]
    for label_set in taxonomy.sets:
        fields.append((label_set.field, pyarrow.list_(text) if label_set.kind == "multi" else text))
        if label_set.field == "role":
            fields.append(("role_source", text))
        fields.append((f"{label_set.name}_probabilities", numbers))
    fields += [("passage_index", pyarrow.int64()), ("start", pyarrow.int64()), ("end", pyarrow.int64()), ("unpunctuated", pyarrow.bool_())]
    return pyarrow.schema(fields)


def _progress_bar() -> Any:
    """Return a progress bar with rate and time left; silent when stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]}")
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, TimeElapsedColumn(), TimeRemainingColumn()]
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
