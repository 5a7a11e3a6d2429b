"""Plain-text minutes: speaker headers at line starts, or the results of a search with one passage a line.

Library module; no command of its own.
"""

import re

from gikai.minutes.headers import parse_header
from gikai.minutes.speeches import Block, assemble, header_of
from gikai.records import Minutes
from gikai.text import normalise, visible

_RESULT_HEAD = re.compile(r"^(?P<assembly>\S{1,20}?(?:議会|都|道|府|県|市|区|町|村))\s+(?P<date>\d{4}-\d{2}-\d{2})\s+(?P<meeting>\S.*)$")
_ERA = {"明治": 1867, "大正": 1911, "昭和": 1925, "平成": 1988, "令和": 2018}
_KANJI = {"元": 1, **{digit: value for value, digit in enumerate("〇一二三四五六七八九")}, "零": 0}
_NUMBER = r"(元|\d{1,2}|[〇零一二三四五六七八九十百]{1,4})"
_DATE = re.compile(rf"(?:(令和|平成|昭和|大正|明治)\s*{_NUMBER}|(\d{{4}}))\s*年\s*{_NUMBER}\s*月\s*{_NUMBER}\s*日")
_ASSEMBLY = re.compile(r"([一-龥々ヶケノぁ-んァ-ヴー]{1,12}[都道府県市区町村])(?:議会|会(?=定例会|臨時会|会議録))")
_MEETING = re.compile(
    r"((?:(?:令和|平成|昭和)\s*(?:元|\d{1,2})年\s*)?第?\s*\d*\s*回?\s*(?:定例会|臨時会)(?:\s?\([^()]{0,24}\)|\S{0,20})|"
    r"\S{0,24}(?<!教育)(?<!農業)(?<!管理)(?<!公平)(?:委員会|分科会|協議会|審査会))"
)


_SESSION = re.compile(r"((?:令和|平成|昭和)\s?(?:元|\d{1,2})年)?\s?(第\s?\d{1,3}\s?回)\S{1,14}?(?:議会|会)\s?(定例会|臨時会)")


_FIRST_WORD = re.compile(r"^((?:[^\s、。][ \u3000]){1,4}[^\s、。](?=[ \u3000]{2,}\S)|[^\s、。]{2,24})[ \u3000\t]+\S")


def read_search_results(text: str, source: str) -> Minutes | None:
    """Return the passages of search results, one a line, or None where `text` is something else.

    The first line holds assembly, date and sitting of the first result; the other results come from other assemblies
    that are not named, so theirs are None. A line is one passage: of several speakers in it, the longest part is kept,
    with its own header if it has one.
    """
    top, _, below = text.partition("\n")
    head = _RESULT_HEAD.match(top.strip())
    if head is None:
        return None
    blocks = [Block([top], kind="title page")]
    for line in below.splitlines():
        if line.strip():
            assembly, date, meeting = map(normalise, head.groups()) if len(blocks) == 1 else (None, None, None)
            blocks.append(Block([line], turn=True, passage=True, assembly=assembly, date=date, meeting=meeting))
    return assemble(blocks, source, "search results", characters=visible(text))


def read_plain(text: str, source: str) -> Minutes:
    """Return the speeches of plain-text minutes; a text without any header is one speech of an unknown speaker."""
    lines = text.splitlines()
    block = Block(lines, labels=unmarked_speakers(lines))
    return assemble([block], source, "plain text", *metadata(lines), characters=visible(text))


def unmarked_speakers(lines: list[str]) -> dict[int, str]:
    """Return the first words that name speakers, by line, of a text that marks none: `委員長　開会します。`, `真鍋委員　伺います。`

    Empty where the text has headers with marks or brackets, or fewer than three such lines.
    """
    if any(parse_header(line, plenary=True) for line in lines):
        return {}
    found: dict[int, str] = {}
    said = 0
    for index, line in enumerate(lines):
        first = _FIRST_WORD.match(line)
        if first and header_of(line, first[1], plenary=True):
            found[index] = first[1]
            said += "。" in line
    return found if said >= 3 and 2 * said >= len(found) else {}


def metadata(lines: list[str]) -> tuple[str | None, str | None, str | None]:
    """Return (assembly, ISO date, meeting) as the lines before the first speech state them."""
    first = next((index for index, line in enumerate(lines[:200]) if parse_header(line, plenary=True)), None)
    top = normalise(" ".join(line for line in lines[: 5 if first is None else first][:40] if len(line) < 120))
    assembly = _ASSEMBLY.search(top)
    meeting = _MEETING.search(top)
    session = _SESSION.search(top)
    name = re.sub(r"^.*[回年]", "", assembly[1]) + "議会" if assembly else None
    if session and (meeting is None or "回" not in meeting[1]):
        return name, date_of(top), "".join(part or "" for part in session.groups())
    return name, date_of(top), meeting[1].removeprefix(name or "").strip() or None if meeting else None


def date_of(text: str) -> str | None:
    """Return the first Japanese or ISO date in normalised `text` as YYYY-MM-DD."""
    match = _DATE.search(text)
    if match is None:
        iso = re.search(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)", text)
        return _iso(*map(int, iso.groups())) if iso else None
    era, of_era, western, month, day = match.groups()
    year = int(western) if western else _ERA[era] + _integer(of_era)
    return _iso(year, _integer(month), _integer(day))


def _iso(year: int, month: int, day: int) -> str | None:
    return f"{year:04d}-{month:02d}-{day:02d}" if 1 <= month <= 12 and 1 <= day <= 31 else None


def _integer(number: str) -> int:
    """Return the value of digits, or of kanji up to 99: 元, 十二, 二十三, 二三."""
    if number.isdecimal():
        return int(number)
    tens, ten, units = number.rpartition("十")
    if not ten:
        return int("".join(str(_KANJI.get(digit, 0)) for digit in number))
    return (_KANJI.get(tens, 1) if tens else 1) * 10 + (_KANJI.get(units, 0) if units else 0)
