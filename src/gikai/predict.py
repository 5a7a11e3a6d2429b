"""Batch inference: minutes or passages in, one row a passage out, nothing lost, resumed where it stopped.

python scripts/predict.py run=DIR input=PATH output=DIR [format=parquet|jsonl|csv]
"""

import csv
import hashlib
import itertools
import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gikai import InputError, runs
from gikai.config import Predict
from gikai.labels import Taxonomy
from gikai.minutes import find_documents, iterate
from gikai.passages import near_duplicates, passages
from gikai.predictor import Predictor, load_predictor
from gikai.records import Minutes
from gikai.runs import fingerprint, model_files, open_run, sha256
from gikai.text import NORMALISATION, quote

log = logging.getLogger(__name__)


def predict(config: Predict) -> dict[str, Any]:
    """Score every passage of `config.input` into `config.output` and return what predict.json records.

    Rows are written in shards of `config.shard` passages, cut by input position; a shard that exists is complete. The
    same command goes on where it stopped; another model or setting in the same output raises InputError. A document
    that cannot be read goes to rejected.jsonl with its reason, and the rest goes on.
    """
    started = time.time()
    run, output = open_run(Path(config.run)), Path(config.output)
    files = find_documents(config.input)
    if any(path.resolve().is_relative_to(output.resolve()) for _, path in files):
        raise InputError(f"output={output} holds input files; choose a folder outside of the input")
    hashes = {path: sha256(path) for path in {path for _, path in files}}
    settings = {
        "model": fingerprint(model_files(run)),
        "files": hashlib.sha256("\n".join(f"{source}\t{hashes[path]}" for source, path in files).encode()).hexdigest(),
        "normalisation": NORMALISATION,
        "backend": "torch",
        **{key: getattr(config, key) for key in ("format", "drop_duplicates", "shard", "tokens")},
    }
    with runs.locked(output, "predicting"):
        _same_job(output, settings)
        predictor = load_predictor(run, config.tokens)
        thresholds = json.loads((run / "thresholds.json").read_text(encoding="utf-8"))
        counts = {"documents": len(files), "done": 0, "rejected": 0, "speeches": 0, "passages": 0, "duplicates": 0}
        rejected: list[dict[str, str]] = []
        shard: list[dict[str, Any]] = []
        number = 0
        for row in _rows(config, predictor.taxonomy, counts, rejected, files):
            shard.append(row)
            if len(shard) == config.shard:
                _write_shard(output, number, shard, config.format, predictor, thresholds)
                number, shard = number + 1, []
        if shard or number == 0:
            _write_shard(output, number, shard, config.format, predictor, thresholds)
        runs.write_jsonl(output / "rejected.jsonl", rejected)
        record = {
            "run": str(run),
            "input": config.input,
            **settings,
            **counts,
            "columns": {label_set.name: label_set.ids for label_set in predictor.taxonomy.sets},
            "seconds": round(time.time() - started, 2),
            **runs.provenance(),
        }
        runs.write_json(output / "predict.json", record)
    if config.show:
        print(_table(_first_rows(output, config), predictor.taxonomy))
    print(
        f"{counts['documents']} documents: {counts['done']} done, {counts['rejected']} rejected; "
        f"{counts['speeches']} speeches, {counts['passages']} passages, {counts['duplicates']} of them repeated"
        f"{' and dropped' if config.drop_duplicates else ''}; rows in {output}"
    )
    return record


def _same_job(output: Path, settings: dict[str, Any]) -> None:
    path = output / "job.json"
    if not path.exists():
        foreign = sorted(file.name for file in output.iterdir() if file.name != ".lock")
        if foreign:
            raise InputError(f"{output}: the folder already holds {foreign[0]}; choose an empty or a new output=…")
        runs.write_json(path, settings)
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    changed = [key for key in settings if before.get(key) != settings[key]]
    if changed:
        raise InputError(f"{output}: begun with another {changed[0]}; repeat that command, or choose a new output=…")


def _rows(
    config: Predict, taxonomy: Taxonomy, counts: dict[str, int], rejected: list[dict[str, str]], files: Sequence[tuple[str, Path]]
) -> Iterator[dict[str, Any]]:
    """Yield one row a passage, unscored, in input order; counts documents, speeches, passages and repeats on the way."""
    seen: set[bytes] = set()
    progress = _progress(len(files))
    with progress:
        for source, minutes in progress.track(iterate(files), total=len(files), description="documents"):
            if isinstance(minutes, InputError):
                counts["rejected"] += 1
                rejected.append({"path": source, "reason": str(minutes)})
                continue
            # A large file comes in parts.
            counts["done"] += minutes.first == 0
            counts["speeches"] += len(minutes.speeches)
            rows = list(passage_rows(minutes))
            # Near repeats are looked for within a document (search results return a paragraph twice), exact ones in the
            # whole job: twelve bytes a passage is all the memory that this may grow by.
            near = {number for number, _, _ in near_duplicates([row["text"] for row in rows])}
            for number, row in enumerate(rows):
                digest = hashlib.blake2b(row["text"].encode(), digest_size=12).digest()
                counts["passages"] += 1
                if number in near or digest in seen:
                    counts["duplicates"] += 1
                    if config.drop_duplicates:
                        continue
                seen.add(digest)
                yield row


def passage_rows(minutes: Minutes) -> Iterator[dict[str, Any]]:
    """Yield the passages of one document as rows without predictions; ids are the source's own, or made from position."""
    for number, speech in enumerate(minutes.speeches, start=minutes.first):
        cut = speech.passages or passages(speech.text, speech.unpunctuated)
        for index, (start, end) in enumerate(cut):
            own = speech.id if speech.id is not None and len(cut) == 1 else None
            yield {
                "id": own or f"{minutes.source}#{number + 1}.{index + 1}",
                "source": minutes.source,
                "assembly": speech.assembly or minutes.assembly,
                "date": speech.date or minutes.date,
                "meeting": speech.meeting or minutes.meeting,
                "speaker": speech.speaker,
                "title": speech.title,
                "text": speech.text[start:end],
                "passage_index": index,
                "start": start,
                "end": end,
                "unpunctuated": speech.unpunctuated,
                "header_role": speech.role,
            }


def _write_shard(
    output: Path, number: int, rows: list[dict[str, Any]], form: str, predictor: Predictor, thresholds: dict[str, dict[str, float]]
) -> None:
    """Score and write one shard, unless it is there already: what exists is complete and was scored alike."""
    path = output / f"rows-{number:05d}.{form}"
    if path.exists():
        return
    scored = score_rows(rows, predictor, thresholds)
    with runs.written(path) as partial:
        if form == "parquet":
            import pyarrow
            import pyarrow.parquet

            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(scored, schema=_schema(predictor.taxonomy)), partial)
        elif form == "jsonl":
            with partial.open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in scored)
        else:
            with partial.open("w", encoding="utf-8-sig", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=[field.name for field in _schema(predictor.taxonomy)])
                writer.writeheader()
                writer.writerows(
                    {key: json.dumps(v, ensure_ascii=False) if isinstance(v, list) else v for key, v in row.items()} for row in scored
                )


def score_rows(rows: list[dict[str, Any]], predictor: Predictor, thresholds: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """Return `rows` with labels and all probabilities; a role that the header gives stands, with the model's beside it."""
    taxonomy = predictor.taxonomy
    probabilities = predictor.probabilities([row["text"] for row in rows]) if rows else np.empty((0, len(taxonomy.names)))
    scored = []
    for index, row in enumerate(rows):
        head = {key: row[key] for key in ("id", "source", "assembly", "date", "meeting", "speaker", "title", "text")}
        labels: dict[str, Any] = {}
        for label_set in taxonomy.sets:
            of_set = probabilities[index : index + 1, taxonomy.columns[label_set.name]]
            cuts = [thresholds.get(label_set.name, {}).get(label_id, 0.5) for label_id in label_set.ids]
            labels[label_set.field] = label_set.decode(label_set.choose(of_set, cuts))[0]
            if label_set.field == "role":
                from_header = row["header_role"] in label_set.ids
                labels["role"] = row["header_role"] if from_header else labels["role"]
                labels["role_source"] = "header" if from_header else "model"
            labels[f"{label_set.name}_probabilities"] = [round(float(p), 6) for p in of_set[0]]
        scored.append({**head, **labels, **{key: row[key] for key in ("passage_index", "start", "end", "unpunctuated")}})
    return scored


def _first_rows(output: Path, config: Predict) -> list[dict[str, Any]]:
    """Return the first `config.show` rows of the first shard, as they were written."""
    path = output / f"rows-00000.{config.format}"
    if config.format == "parquet":
        import pyarrow.parquet

        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(path).slice(0, config.show).to_pylist()
        return rows
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.DictReader(file) if config.format == "csv" else map(json.loads, file)
        return list(itertools.islice(lines, config.show))


def _table(rows: list[dict[str, Any]], taxonomy: Taxonomy) -> str:
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


def _progress(total: int) -> Any:
    """Return a progress bar with rate and time left; silent when stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()]
    return Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
