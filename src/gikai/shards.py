"""What a batch job reads: documents to unscored rows, rows to shards cut by position, and the journal of finished shards.

Library module; no command of its own.
"""

import base64
import contextlib
import itertools
import json
import logging
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gikai import InputError
from gikai.minutes import find_documents, iterate
from gikai.passages import passages
from gikai.records import Minutes
from gikai.repeats import Seen, digest, near_repeats
from gikai.store import Store, file_system, local_path

log = logging.getLogger(__name__)

WINDOW = 500
"""Near repeats are looked for among so many consecutive passages of a document: memory and time stay bounded."""

Input = tuple[str, Path | str]
"""Its source, as rows call it, and where it is: a path, or a URL."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Part:
    """Some consecutive passages of an input as unscored rows; the last part of an input says what became of it."""

    rows: list[Row] = field(default_factory=list)
    near: set[int] = field(default_factory=set)
    """Indices of `rows` that nearly repeat an earlier one."""
    done: int = 0
    rejected: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Progress:
    """How far a job is: which input and how many of its passages are in shards, and what was counted until there."""

    input: int = 0
    passages_of_input: int = 0
    done: int = 0
    rejected: int = 0
    speeches: int = 0
    passages: int = 0
    duplicates: int = 0
    seconds: float = 0.0
    last: bool = False


@dataclass(frozen=True)
class Shard:
    """Rows that are scored and written together; what is new with them goes into the journal when they are."""

    number: int
    rows: list[Row]
    count: int
    after: Progress
    rejected: list[dict[str, str]]
    digests: list[bytes]


def find_inputs(place: str) -> list[Input]:
    """Return the inputs of a file, a folder, a glob or a URL of one of them, in a fixed order; raises InputError where there is none."""
    path = local_path(place)
    if path is not None:
        return [(source, file) for source, file in find_documents(str(path))]
    system, root = file_system(place)
    found = system.glob(root) if "*" in root else system.find(root)
    below = {name: name.removeprefix(root).lstrip("/") or name.rpartition("/")[2] for name in sorted(found)}
    visible = [name for name, source in below.items() if not any(part.startswith(".") for part in source.split("/"))]
    if not visible:
        raise InputError(f"{place}: no such file, folder or pattern")
    return [(below[name], system.unstrip_protocol(name)) for name in visible]


def read_input(source: str, place: Path | str) -> Iterator[Part]:
    """Yield the passages of one input in parts; the same parts whenever and wherever it is read.

    What cannot be read is rejected with its reason. A reader that fails in a way nobody foresaw rejects its document
    too: a job over ten thousand documents must not end at one.
    """
    done = 0
    rejected = []
    with _fetched(source, place) as documents:
        for document in documents:
            reason = None
            try:
                for _, minutes in iterate([document]):
                    if isinstance(minutes, InputError):
                        reason = str(minutes)
                        continue
                    rows = passage_rows(minutes)
                    while window := list(itertools.islice(rows, WINDOW)):
                        yield Part(window, near_repeats([row["text"] for row in window]))
            except (OSError, MemoryError):
                raise
            except Exception as error:
                log.warning("%s: the reader failed", document[0], exc_info=True)
                reason = f"the reader failed: {type(error).__name__}: {error}"
            if reason is None:
                done += 1
            else:
                rejected.append({"path": document[0], "reason": reason})
    yield Part(done=done, rejected=rejected)


@contextlib.contextmanager
def _fetched(source: str, place: Path | str) -> Iterator[list[tuple[str, Path]]]:
    """Yield the documents of an input as local files; one from elsewhere is fetched into a temporary folder."""
    if isinstance(place, Path):
        yield [(source, place)]
        return
    system, name = file_system(place)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name.rpartition("/")[2]
        system.get_file(name, str(path))
        yield [(source + found.removeprefix(path.name), file) for found, file in find_documents(str(path))]


def passage_rows(minutes: Minutes) -> Iterator[Row]:
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


def cut(parts: Iterable[tuple[int, Part]], number: int, start: Progress, seen: Seen, size: int, drop_duplicates: bool) -> Iterator[Shard]:
    """Yield shards of `size` rows from (index of the input, part), which begin with the input that `start` is in.

    What `start` has behind it is passed over, so that a job that goes on cuts where it would have cut. The last shard
    may be short or empty. Exact repeats are looked for in the whole job.
    """
    at = start
    skip = start.passages_of_input
    rows: list[Row] = []
    rejected: list[dict[str, str]] = []
    digests: list[bytes] = []
    for index, part in parts:
        if index != at.input:
            at, skip = replace(at, input=index, passages_of_input=0), 0
        for place, row in enumerate(part.rows):
            if skip:
                skip -= 1
                continue
            near = place in part.near
            new = False
            if not (near and drop_duplicates):
                new = seen.add(item := digest(row["text"]))
                if new:
                    digests.append(item)
            at = replace(
                at,
                passages_of_input=at.passages_of_input + 1,
                speeches=at.speeches + (row["passage_index"] == 0),
                passages=at.passages + 1,
                duplicates=at.duplicates + (near or not new),
            )
            if drop_duplicates and (near or not new):
                continue
            rows.append(row)
            if len(rows) == size:
                yield Shard(number, rows, size, at, rejected, digests)
                number, rows, rejected, digests = number + 1, [], [], []
        at = replace(at, done=at.done + part.done, rejected=at.rejected + len(part.rejected))
        rejected.extend(part.rejected)
    yield Shard(number, rows, len(rows), replace(at, last=True), rejected, digests)


def shard_name(number: int, form: str) -> str:
    """Return the file name of a shard."""
    return f"rows-{number:05d}.{form}"


def record(store: Store, shard: Shard, seconds: float) -> None:
    """Write that a shard is finished. Its entry holds how far the job is, so that going on reads nothing again."""
    entry = {
        "rows": shard.count,
        **asdict(replace(shard.after, seconds=round(seconds, 2))),
        "rejected_documents": shard.rejected,
        "digests": base64.b64encode(b"".join(shard.digests)).decode(),
    }
    store.write(f"journal/{shard.number:05d}.json", (json.dumps(entry, ensure_ascii=False) + "\n").encode())


def entries(store: Store, form: str) -> Iterator[dict[str, Any]]:
    """Yield the journal's entries of the shards that are finished without a gap, in order."""
    written = store.names("journal")
    for number in itertools.count():
        if f"{number:05d}.json" not in written:
            return
        entry = json.loads(store.read(f"journal/{number:05d}.json"))
        if (entry["rows"] or number == 0) and not store.exists(shard_name(number, form)):
            return
        yield entry
        if entry["last"]:
            return


def resume(store: Store, form: str) -> tuple[int, Progress, Seen]:
    """Return the number of the first shard that is not finished, how far the job is, and what texts it has seen."""
    number, at, seen = 0, Progress(), Seen()
    for entry in entries(store, form):
        number, at = number + 1, Progress(**{key: entry[key] for key in Progress.__dataclass_fields__})
        data = base64.b64decode(entry["digests"])
        for place in range(0, len(data), 12):
            seen.add(data[place : place + 12])
    return number, at, seen
