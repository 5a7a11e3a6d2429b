"""Word documents (.docx), as many offices publish their minutes: paragraphs and table cells are the lines.

Library module; no command of its own.
"""

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace

import lxml.etree

from gikai import InputError
from gikai.minutes.plain import read_plain
from gikai.records import Minutes

_BODY = "word/document.xml"
_LARGEST = 100_000_000
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"


def is_word(names: Sequence[str]) -> bool:
    """True for the members of an Office document, which is no archive of documents."""
    return "[Content_Types].xml" in names


def read_word(data: bytes, source: str) -> Minutes:
    """Return the speeches of a .docx file; raises InputError for any other archive, which is not opened inside another."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if _BODY not in names:
                what = (
                    "an Excel or PowerPoint file; save it as text or CSV"
                    if is_word(names)
                    else "an archive inside an archive, or with too many members"
                )
                raise InputError(what)
            with archive.open(_BODY) as file:
                body = file.read(_LARGEST + 1)
        if len(body) > _LARGEST:
            raise InputError(f"larger than {_LARGEST // 1_000_000} MB when unpacked")
        root = lxml.etree.fromstring(body, lxml.etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))
    except (zipfile.BadZipFile, zlib.error, lxml.etree.LxmlError, NotImplementedError, RuntimeError, EOFError, OSError, KeyError) as error:
        raise InputError(f"the archive is damaged or encrypted: {(str(error).splitlines() or [''])[0][:60]}") from None
    lines = []
    for paragraph in root.iter(f"{_W}p"):
        pieces = [
            "\n" if node.tag == f"{_W}br" else "\u3000" if node.tag == f"{_W}tab" else node.text or ""
            for node in paragraph.iter(f"{_W}t", f"{_W}br", f"{_W}tab")
        ]
        lines.append("".join(pieces))
    return replace(read_plain("\n".join(lines), source), format="Word")
