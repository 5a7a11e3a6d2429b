"""From a path to documents: which files there are, their bytes, their encoding and their format.

Library module; no command of its own.
"""

import glob
import gzip
import lzma
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from charset_normalizer import from_bytes

from gikai import InputError
from gikai.minutes.plain import read_plain, read_search_results
from gikai.minutes.tables import read_csv_text, read_jsonl_text, read_parquet
from gikai.records import Minutes

JAPANESE = ["utf_8", "cp932", "euc_jis_2004", "iso2022_jp", "utf_16"]
BAD_SHARE = 0.005
"""More replacement or control characters than this: the encoding was guessed wrongly, or it is no text."""


def find_documents(path: str) -> list[tuple[str, Path]]:
    """Return (source, file) for a file, a folder (all files below it) or a glob, in a fixed order.

    `source` is the path relative to a folder, else the file's name. Hidden files and folders are left out. Raises
    InputError where there is no file.
    """
    place = Path(path)
    if place.is_file():
        return [(place.name, place)]
    if place.is_dir():
        files = sorted(file for file in place.rglob("*") if file.is_file() and not _hidden(file.relative_to(place)))
        found = [(str(file.relative_to(place)), file) for file in files]
    else:
        found = [(match, Path(match)) for match in sorted(glob.glob(path, recursive=True)) if Path(match).is_file()]
    if not found:
        raise InputError(f"{path}: {'no file in this folder' if place.is_dir() else 'no such file, folder or pattern'}")
    return found


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def read_minutes(data: bytes, source: str) -> Minutes:
    """Return the document in `data`; what it is, is told from its content.

    Raises InputError with a short reason where it is empty, binary, in no Japanese encoding, or nothing is said in it.
    """
    data = _unpacked(data)
    if not data.strip():
        raise InputError("the file is empty")
    minutes = read_parquet(data, source) if data[:4] == b"PAR1" else _read_text(decode(data), source)
    if not minutes.speeches:
        raise InputError("nothing is said in it: no speech was found")
    return minutes


def _read_text(text: str, source: str) -> Minutes:
    found = read_search_results(text, source)
    if found is None and text.lstrip()[:1] == "{":
        found = read_jsonl_text(text, source)
        if found is None:
            raise InputError('JSON without a "text" in each line is no format known here')
    if found is None and (text.lstrip()[:1] in ("<", "[") or "registerMinutes(" in text[:2000]):
        raise InputError("HTML, JavaScript and nested JSON minutes are not read yet")
    return found or read_csv_text(text, source) or read_plain(text, source)


def _unpacked(data: bytes) -> bytes:
    try:
        if data[:2] == b"\x1f\x8b":
            return gzip.decompress(data)
        if data[:6] == b"\xfd7zXZ\x00":
            return lzma.decompress(data)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        raise InputError("the compressed file is damaged") from None
    return data


def decode(data: bytes) -> str:
    """Return the text of `data`, in any encoding that Japanese minutes come in; raise InputError where it is none."""
    text = None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", errors="replace")
    elif b"\x00" in data[:4096]:
        raise InputError("the file is binary, not text")
    elif b"\x1b$" in data:
        text = data.decode("iso2022_jp_ext", errors="replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            best = from_bytes(data[:200_000], cp_isolation=JAPANESE).best()
            if best is not None:
                text = data.decode(best.encoding, errors="replace")
    if text is None or _bad_share(text) > BAD_SHARE:
        raise InputError("the file is binary, or in no encoding that Japanese minutes come in")
    return text


def _bad_share(text: str) -> float:
    """Share of replacement, private-use and control characters: near 0 in any text decoded rightly."""
    bad = sum(1 for c in text if c == "\ufffd" or "\ue000" <= c <= "\uf8ff" or (c < " " and c not in "\t\n\r\f\v") or "\x7f" <= c <= "\x9f")
    return bad / max(1, len(text))


def iterate(documents: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, Minutes | InputError]]:
    """Yield (source, document or why it was rejected) for what `find_documents` found; one is in memory at a time."""
    for source, file in documents:
        try:
            yield source, read_minutes(file.read_bytes(), source)
        except InputError as reason:
            yield source, reason
        except OSError as error:
            yield source, InputError(f"cannot be read: {error.strerror}")
