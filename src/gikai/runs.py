"""The run folder: its layout, complete-or-absent file writing, hashes and provenance.

Library module; no command of its own.
"""

import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from gikai import InputError, __version__

PACKAGES = ("torch", "transformers", "scikit-learn", "fugashi", "unidic-lite", "numpy", "hydra-core")


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; on success it is flushed to disk and renamed to `path`.

    A file that exists under its final name is therefore complete, also after a crash or a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            # Writing to a full disk does not say where.
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8; complete or not at all."""
    with written(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented UTF-8 JSON; complete or not at all."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line; complete or not at all."""
    with written(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@contextlib.contextmanager
def locked(folder: Path, doing: str) -> Iterator[TextIO]:
    """Hold an exclusive operating-system lock on `folder`, which dies with the process.

    Raises InputError when another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder}: cannot be used as a folder: {error.strerror}") from None
    with handle as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{folder}: another process is at work in this folder; wait for it, or choose another for {doing}") from None
        yield file


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(paths: Iterable[Path]) -> str:
    """Return one SHA-256 over the names and contents of several files, order as given."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode())
        digest.update(bytes.fromhex(sha256(path)))
    return digest.hexdigest()


def model_files(run: Path) -> list[Path]:
    """Return the files of a run that decide what it predicts: model, taxonomy, thresholds; in a fixed order."""
    files = [p for folder in ("model", "taxonomy") for p in sorted((run / folder).iterdir()) if p.is_file()]
    return [*files, run / "thresholds.json"]


def open_run(run: Path) -> Path:
    """Return `run` when it is a finished run folder; raise InputError with what is missing otherwise."""
    if not run.is_dir():
        raise InputError(f"{run}: no such run folder")
    missing = [name for name in ("model", "taxonomy", "thresholds.json", "run.json") if not (run / name).exists()]
    if missing:
        raise InputError(f"{run}: not a finished run: {', '.join(missing)} missing; train into it first")
    return run


def changed_data(run: Path) -> dict[str, str]:
    """Return by name ("train", "dev", …) the files that `run` was fitted on and that hold something else now."""
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    return {
        name: data["file"]
        for name, data in record.get("data", {}).items()
        if Path(data["file"]).exists() and sha256(Path(data["file"])) != data["sha256"]
    }


def copy_taxonomy(folder: Path, run: Path, names: Iterable[str]) -> None:
    """Copy the YAML files of the named label sets from a taxonomy folder into `<run>/taxonomy/`."""
    for name in names:
        source = next(path for suffix in (".yaml", ".yml") if (path := folder / f"{name}{suffix}").exists())
        write_text(run / "taxonomy" / f"{name}.yaml", source.read_text(encoding="utf-8"))


def provenance() -> dict[str, Any]:
    """Return what is needed to know which code made a result: versions, commit, machine."""
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "gikai": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "versions": versions,
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }


def _commit() -> str | None:
    """Return the commit of the source tree, marked when it has uncommitted changes; None outside a checkout."""
    here = Path(__file__).resolve().parent
    git = ["git", "-C", str(here)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True)
        status = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.stdout.strip() + ("+changes" if status.stdout.strip() else "")
