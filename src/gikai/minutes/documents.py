"""From a path to documents: which files and archive members there are, their bytes, their encoding and their format.

Library module; no command of its own.
"""

import bz2
import codecs
import functools
import glob
import gzip
import io
import itertools
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from charset_normalizer import from_bytes

from gikai import InputError
from gikai.minutes.headers import parse_header
from gikai.minutes.html import read_html
from gikai.minutes.json_minutes import read_javascript, read_json, read_xml
from gikai.minutes.markdown import read_markdown
from gikai.minutes.plain import read_plain, read_search_results
from gikai.minutes.tables import PART, csv_rows, jsonl_rows, parquet_rows, read_csv, read_jsonl, read_parquet, row_minutes
from gikai.minutes.word import is_word, read_word
from gikai.records import Minutes

JAPANESE = ["utf_8", "cp932", "euc_jis_2004", "iso2022_jp", "utf_16"]
BAD_SHARE = 0.005
"""More replacement or control characters than this: the encoding was guessed wrongly, or it is no text."""
LARGE = 32_000_000
"""A file of more bytes is read in parts where its format allows: rows, lines."""
WHOLE = 512_000_000
"""The most bytes, unpacked, of a document that must be read whole."""
MEMBERS = 20_000
"""The most members of an archive that are read."""

# Every reader takes (text, source) and returns the minutes, or None where the text is not in its format; the first that
# takes it reads it. A new format is one function and one line here.
READERS: tuple[Callable[[str, str], Minutes | None], ...] = (
    read_search_results,
    read_jsonl,
    read_json,
    read_xml,
    read_javascript,
    read_csv,
    read_markdown,
    read_html,
    read_plain,
)


class Document(NamedTuple):
    """Something to read: `source` is what rows call it, `archive.zip!member` in an archive; `path` is the file."""

    source: str
    path: Path

    def read(self) -> bytes:
        """Return its bytes; raises InputError where it cannot be read or is too large."""
        try:
            archive, members = _archive(self.path, self.path.stat().st_mtime_ns) if "!" in self.source else (None, {})
            member = next((info for name, info in members.items() if self.source.endswith(f"!{name}")), None) if archive else None
            if archive is None or member is None:
                if self.path.stat().st_size > WHOLE:
                    raise InputError(f"larger than {WHOLE // 1_000_000} MB, and in no format that is read in parts")
                return self.path.read_bytes()
            if member.filename.startswith("/") or ".." in Path(member.filename).parts:
                raise InputError("its name in the archive leads out of the archive")
            with archive.open(member) as file:
                data = file.read(WHOLE + 1)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror or error}") from None
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError) as error:
            raise InputError("it is encrypted" if "password" in str(error) else "the archive is damaged") from None
        if len(data) > WHOLE:
            raise InputError(f"larger than {WHOLE // 1_000_000} MB when unpacked")
        return data


@functools.lru_cache(maxsize=1)
def _archive(path: Path, _changed: int) -> tuple[zipfile.ZipFile | None, dict[str, zipfile.ZipInfo]]:
    """Return an open archive and its members by name, where `path` is one that is read member by member; else (None, {})."""
    with path.open("rb") as opened:
        if opened.read(4) != b"PK\x03\x04":
            return None, {}
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        return None, {}
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if is_word(archive.namelist()) or len(infos) > MEMBERS:
        archive.close()
        return None, {}
    return archive, {_member_name(info): info for info in infos}


def find_documents(path: str) -> list[Document]:
    """Return the documents of a file, a folder (all files below it) or a glob, in a fixed order; a .zip gives its members.

    `source` is the path relative to a folder, else the file's name; `archive.zip!member` in an archive. Hidden files and
    folders are left out. Raises InputError where there is no file.
    """
    place = Path(path)
    if place.is_file():
        files = [(place.name, place)]
    elif place.is_dir():
        below = sorted(file for file in place.rglob("*") if file.is_file() and not _hidden(file.relative_to(place)))
        files = [(str(file.relative_to(place)), file) for file in below]
    else:
        files = [(match, Path(match)) for match in sorted(glob.glob(path, recursive=True)) if Path(match).is_file()]
    if not files:
        raise InputError(f"{path}: {'no file in this folder' if place.is_dir() else 'no such file, folder or pattern'}")
    return [document for source, file in files for document in _members(source, file)]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _members(source: str, file: Path) -> list[Document]:
    """Return the members of an archive, or the file itself: where it is no archive, or one that cannot be opened."""
    try:
        _, members = _archive(file, file.stat().st_mtime_ns)
    except OSError:
        members = {}
    names = sorted(
        name for name in members if not any((part.startswith(".") and part != "..") or part == "__MACOSX" for part in Path(name).parts)
    )
    return [Document(f"{source}!{name}", file) for name in names] or [Document(source, file)]


def _member_name(info: zipfile.ZipInfo) -> str:
    """Return a member's name; archives made on a Japanese Windows do not say that theirs is in CP932."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("cp932")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return info.filename


def read_minutes(data: bytes, source: str) -> Minutes:
    """Return the document in `data`; what it is, is told from its content.

    Raises InputError with a short reason where it is empty, binary, in no Japanese encoding, or nothing is said in it.
    """
    data = _unpacked(data)
    if not data.strip(b"\x00 \t\r\n"):
        raise InputError("the file is empty")
    if data[:4] == b"PAR1":
        minutes = read_parquet(data, source)
    elif data[:4] == b"PK\x03\x04":
        minutes = read_word(data, source)
    else:
        minutes = _read_text(decode(data), source)
    if not minutes.speeches:
        raise InputError(f"nothing is said in it: no speech was found ({minutes.format})")
    return minutes


def _read_text(text: str, source: str) -> Minutes:
    for reader in READERS:
        minutes = reader(text, source)
        if minutes is not None:
            return minutes
    raise InputError("no format known here")  # read_plain takes any text


def _unpacked(data: bytes) -> bytes:
    """Return what a compressed file holds, up to `WHOLE` bytes; raises InputError where it is damaged or larger."""
    opener: Any = next((opener for magic, opener in _COMPRESSED if data.startswith(magic)), None)
    if opener is None:
        return data
    try:
        with opener(io.BytesIO(data), "rb") as file:
            unpacked: bytes = file.read(WHOLE + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError):
        raise InputError("the compressed file is damaged") from None
    if len(unpacked) > WHOLE:
        raise InputError(f"larger than {WHOLE // 1_000_000} MB when unpacked")
    return unpacked


_COMPRESSED: tuple[tuple[bytes, Any], ...] = ((b"\x1f\x8b", gzip.open), (b"\xfd7zXZ\x00", lzma.open), (b"BZh", bz2.open))
_BINARY = (
    (b"%PDF", "a PDF; take its text out first, for example with pdftotext -layout"),
    (b"\xd0\xcf\x11\xe0", "an old Word or Excel file; save it as text or .docx"),
    (b"{\\rtf", "an RTF file; save it as text"),
)


def decode(data: bytes) -> str:
    """Return the text of `data`, in any encoding that Japanese minutes come in; raise InputError where it is none."""
    for magic, what in _BINARY:
        if data.startswith(magic):
            raise InputError(what)
    encoding = encoding_of(data)
    text = data.decode(encoding, errors="replace") if encoding else ""
    if encoding is None or _bad_share(text) > BAD_SHARE:
        raise InputError("the file is binary, or in no encoding that Japanese minutes come in")
    return text.replace("\ufeff", "")


def encoding_of(data: bytes) -> str | None:
    """Return the encoding of `data`, or None; raises InputError where it is binary.

    A byte order mark or an escape sequence decides; else UTF-8 where it fits; else what fits best of what the page
    says of itself, what charset-normalizer finds, and the usual ones, by the share of bad characters and of kana.
    """
    if data[:3] == b"\xef\xbb\xbf":
        return "utf-8-sig"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    sample = data[:200_000]
    if b"\x00" in sample:
        wide = [name for name in ("utf-16-le", "utf-16-be") if _quality(sample[: len(sample) // 2 * 2], name) > 0.8]
        if not wide:
            raise InputError("the file is binary, not text")
        return max(wide, key=lambda name: _quality(sample[: len(sample) // 2 * 2], name))
    if b"\x1b$" in sample:
        return "iso2022_jp_ext"
    # A character cut off at the end, or a few damaged ones, leave UTF-8 what it is.
    if _bad_share(data.decode("utf-8", errors="replace")) < 0.001:
        return "utf-8"
    stated = re.search(rb"charset\s*=\s*[\"']?\s*([\w-]+)", sample[:4000])
    names = ["utf-8", "cp932", "euc_jis_2004", "utf-16-le", "utf-16-be"]
    best = from_bytes(sample, cp_isolation=JAPANESE).best()
    for name in (best.encoding if best else None, stated[1].decode("ascii") if stated else None):
        try:
            names.insert(0, codecs.lookup(name or "utf-8").name)
        except LookupError:
            continue
    # Python's Shift_JIS lacks the characters that Windows adds to it.
    names = list(dict.fromkeys("cp932" if name.startswith("shift") else name for name in names))
    scored = {name: _quality(sample, name) for name in names}
    found = max(names, key=lambda name: scored[name])
    return found if scored[found] > 0 else None


def _quality(sample: bytes, encoding: str) -> float:
    """Return how much like Japanese text `sample` reads: the share of kana and kanji, less what is bad; half-width kana tell a wrong guess."""
    try:
        text = sample.decode(encoding, errors="replace")
    except (LookupError, UnicodeError, TypeError, ValueError):
        return -1.0
    bad = _bad_share(text[:-2])
    good = len(re.findall(r"[ぁ-んァ-ヶー一-龥々、。　「」（）\x20-\x7e\r\n]", text)) / max(1, len(text))
    return good - 20 * bad - len(re.findall(r"[\uff61-\uff9f]", text)) / max(1, len(text))


def _bad_share(text: str) -> float:
    """Share of replacement, private-use and control characters: near 0 in any text decoded rightly."""
    bad = len(re.findall(r"[\ufffd\ue000-\uf8ff\x00-\x08\x0e-\x1f\x7f-\x9f]", text))
    return bad / max(1, len(text))


def iterate(documents: Iterable[tuple[str, Path]]) -> Iterator[tuple[str, Minutes | InputError]]:
    """Yield (source, minutes or why they were rejected) for what `find_documents` found; one is in memory at a time.

    A large file of rows or lines comes as several minutes of the same source, one after the other; `first` of the later
    ones is above 0.
    """
    for document in itertools.starmap(Document, documents):
        try:
            parts = _large(document)
            if parts is None:
                yield document.source, read_minutes(document.read(), document.source)
                continue
            yield from ((document.source, part) for part in parts)
        except InputError as reason:
            yield document.source, reason


def _large(document: Document) -> Iterator[Minutes] | None:
    """Return the parts of a large file, or None where it is not large or must be read whole.

    The file is gone through once before anything is given out, so that what is wrong with it rejects all of it.
    """
    path = document.path
    try:
        if path.stat().st_size <= LARGE // 16:
            return None
        with path.open("rb") as file:
            magic = file.read(8)
        opener: Any = next((opener for start, opener in _COMPRESSED if magic.startswith(start)), None)
        if opener is None and path.stat().st_size <= LARGE:
            return None
        if magic[:4] == b"PAR1":
            sum(1 for _ in parquet_rows(path))
            return _table_parts(lambda: parquet_rows(path), document.source, "Parquet")
        open_bytes = opener or open
        with open_bytes(path, "rb") as file:
            sample = file.read(1_000_000)
            if opener is not None and len(sample) + len(file.read(LARGE)) <= LARGE:
                return None
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or 'the compressed file is damaged'}") from None
    encoding = encoding_of(sample)
    if encoding is None:
        return None
    text = sample.decode(encoding, errors="replace").rsplit("\n", 1)[0]

    def lines() -> Iterator[str]:
        try:
            with open_bytes(path, "rb") as file, io.TextIOWrapper(file, encoding=encoding, errors="replace") as opened:
                yield from opened
        except (OSError, EOFError, zlib.error, lzma.LZMAError):
            raise InputError("the compressed file is damaged") from None

    top = text.lstrip("\ufeff")
    if top.lstrip()[:1] == "{" and "\n" in text and next(jsonl_rows([top.split("\n", 1)[0]]), None) is not None:
        sum(1 for _ in jsonl_rows(lines()))
        return _table_parts(lambda: jsonl_rows(lines()), document.source, "JSON Lines")
    minutes = _read_text(text, document.source)
    if minutes.format == "CSV":
        sum(1 for _ in csv_rows(lines()))
        return _table_parts(lambda: csv_rows(lines()), document.source, "CSV")
    return _plain_parts(lines, minutes) if minutes.format == "plain text" else None


def _table_parts(rows: Callable[[], Iterator[dict[str, Any]]], source: str, form: str) -> Iterator[Minutes]:
    """Yield the rows of a table as minutes of `PART` rows each."""
    number = speeches = 0
    for part in _batches(rows()):
        minutes = replace(row_minutes(part, source, form, number), first=speeches)
        number, speeches = number + len(part), speeches + len(minutes.speeches)
        if minutes.speeches:
            yield minutes
    if not speeches:
        raise InputError(f"nothing is said in it: no speech was found ({form})")


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while part := list(itertools.islice(rows, PART)):
        yield part


def _plain_parts(lines: Callable[[], Iterator[str]], top: Minutes) -> Iterator[Minutes]:
    """Yield plain text as minutes of some megabytes each, cut before a speaker's header; what the top says holds for all."""
    speeches = 0
    for part in _cut_at_headers(lines()):
        minutes = replace(read_plain(part, top.source), assembly=top.assembly, date=top.date, meeting=top.meeting, first=speeches)
        speeches += len(minutes.speeches)
        if minutes.speeches:
            yield minutes
    if not speeches:
        raise InputError("nothing is said in it: no speech was found (plain text)")


def _cut_at_headers(lines: Iterable[str]) -> Iterator[str]:
    part: list[str] = []
    size = 0
    for line in lines:
        if size > LARGE // 8 and (parse_header(line.strip(), plenary=True) or size > LARGE):
            yield "".join(part)
            part, size = [], 0
        part.append(line)
        size += len(line)
    yield "".join(part)
