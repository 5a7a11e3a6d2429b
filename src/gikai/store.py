"""Where a job reads and writes: a local folder, or a place that fsspec opens (s3://, gs://, memory://, …).

Library module; no command of its own.
"""

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from gikai import InputError, runs


def local_path(place: str) -> Path | None:
    """Return the path that `place` names, `file://` included, or None where it is somewhere else."""
    if "://" not in place:
        return Path(place)
    parts = urlsplit(place)
    return Path(unquote(parts.path)) if parts.scheme in ("file", "local") else None


def file_system(place: str) -> tuple[Any, str]:
    """Return fsspec's file system for a URL and the path on it; raise InputError where there is none for it."""
    import fsspec.core

    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(place)
    except (ValueError, ImportError) as error:
        raise InputError(f"{place}: cannot be opened: {error}") from None
    return found


@dataclass(frozen=True)
class Store:
    """A folder of files that are complete or absent. Holds no connection, so that it can be sent to another process."""

    place: str

    def names(self, folder: str = "") -> set[str]:
        """Return the names of what is in it, or in a folder of it, partial files left out; empty where it is not there."""
        path = local_path(self.place)
        if path is not None:
            below = path / folder
            return {entry.name for entry in below.iterdir() if entry.suffix != ".partial"} if below.is_dir() else set()
        system, root = file_system(self.place)
        system.invalidate_cache()
        here = f"{root}/{folder}".rstrip("/")
        try:
            found = [name.rstrip("/") for name in system.ls(here, detail=False)]
        except FileNotFoundError:
            return set()
        return {name.rpartition("/")[2] for name in found if name != here}

    def exists(self, name: str) -> bool:
        """Return whether a file is there, and so complete."""
        path = local_path(self.place)
        if path is not None:
            return (path / name).exists()
        system, root = file_system(self.place)
        return bool(system.exists(f"{root}/{name}"))

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        path = local_path(self.place)
        if path is not None:
            return (path / name).read_bytes()
        system, root = file_system(self.place)
        data: bytes = system.cat_file(f"{root}/{name}")
        return data

    def write(self, name: str, data: bytes) -> None:
        """Write a file, complete or not at all: aside, flushed and renamed; one put where the place is an object store."""
        path = local_path(self.place)
        if path is not None:
            with runs.written(path / name) as partial:
                partial.write_bytes(data)
            return
        system, root = file_system(self.place)
        system.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
        system.pipe_file(f"{root}/{name}", data)

    def remove(self, folder: str) -> None:
        """Remove a folder of it, where it is there."""
        path = local_path(self.place)
        if path is not None:
            shutil.rmtree(path / folder, ignore_errors=True)
            return
        system, root = file_system(self.place)
        with contextlib.suppress(FileNotFoundError):
            system.rm(f"{root}/{folder}", recursive=True)


@contextlib.contextmanager
def locked(place: str, doing: str) -> Iterator[None]:
    """Hold an exclusive lock on a place, which dies with the process; raises InputError when another process holds it.

    For a place that is not local it excludes the processes of this machine and user only: object stores have no locks.
    """
    path = local_path(place)
    if path is None:
        path = Path(tempfile.gettempdir()) / f"gikai-{hashlib.sha256(place.encode()).hexdigest()[:16]}"
    with runs.locked(path, doing):
        yield
