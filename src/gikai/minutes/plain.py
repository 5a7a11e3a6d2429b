"""Plain-text minutes: speaker headers at line starts, or the results of a search with one passage a line.

Library module; no command of its own.
"""

import re
from dataclasses import replace

from gikai.minutes.headers import MARKS, Header, parse_header, role_of
from gikai.records import Minutes, Speech
from gikai.text import normalise

# Everything that stenographers add to what was said. Applied to normalised text, so brackets are half-width.
_ADDED = re.compile(
    r"〔[^〕]*〕|【\s*\d+\s*頁\s*】|"
    r"\((?:(?:拍手|笑声|笑い)[^()]{0,10}|発言する者[^()]{0,6}|(?:「[^」]*」[、 ]*)+(?:と呼ぶ(?:者あり)?|と呼び、?[^)]*|の声(?:あり)?)|"
    r"[^()「」]{0,20}(?:登壇|降壇|退席|着席|起立|挙手|入場|退場)[^()]{0,6}|傍聴席[^()]{0,15}|[^()「」]{0,10}呼ぶ者あり)\)|"
    r"\[[^\[\]]{0,20}(?:登壇|拍手|起立|挙手|呼ぶ者あり)[^\[\]]{0,6}\]|"
    r"「[^」]{1,20}」と呼ぶ者あり"
)
_RULE = re.compile(r"^[\s─━―—\-=＝・*＊_‐…~〜]{4,}$")
_EVENT = "(?:開議宣告|開議|開会|再開|休憩|散会|閉会|延会|閉議)"
_TIME = re.compile(rf"^[{MARKS}\s(（]*(?:(?:午前|午後|正午)[^。]{{0,24}}{_EVENT}|{_EVENT}[\s:：]*(?:午前|午後|正午)[^。]{{0,16}})[)）\s]*$")
_CLOSED = re.compile(r"散会|閉会|延会|閉議")
_PAGE_LINE = re.compile(r"^\s*(?:-\s*\d+\s*-|[─―‐－]\s*\d+\s*[─―‐－]|\d{1,4}|【\s*\d+\s*頁\s*】)\s*$")
_HEADING = re.compile(r"^\s*[△▲■□◇◆●◎]")
_RESULT_HEAD = re.compile(r"^(?P<assembly>\S{1,20}?(?:議会|都|道|府|県|市|区|町|村))\s+(?P<date>\d{4}-\d{2}-\d{2})\s+(?P<meeting>\S.*)$")
_ERA = {"明治": 1867, "大正": 1911, "昭和": 1925, "平成": 1988, "令和": 2018}
_DATE = re.compile(r"(?:(令和|平成|昭和)\s*(元|\d{1,2})|(\d{4}))\s*年\s*(\d{1,2})\s*月\s*(\d{1,2})\s*日")
_ASSEMBLY = re.compile(r"([一-龥々ヶケノ々ぁ-んァ-ヴー]{1,12}[都道府県市区町村])議会")
_MEETING = re.compile(
    r"((?:(?:令和|平成|昭和)\s*(?:元|\d{1,2})年\s*)?第?\s*\d*\s*回?\s*(?:定例会|臨時会)\S{0,20}|\S{0,24}(?:委員会|分科会|協議会|審査会))"
)
_COMMITTEE = re.compile(r"委員会|分科会|協議会|審査会|懇談会")
_INLINE = re.compile(rf"(?<=[\s。」)）])[{MARKS}](?=\S)")
UNPUNCTUATED_SHARE = 1 / 400
"""Fewer full stops a character than this, in a text of 200 characters or more: speech recognition, not a stenographer."""


def strip_added(text: str) -> str:
    """Return `text` normalised, without stage directions, interjections and page marks."""
    return normalise(_ADDED.sub(" ", normalise(text)))


def is_unpunctuated(text: str) -> bool:
    """True where `text` lacks the full stops that a written record would have."""
    return len(text) >= 200 and len(re.findall(r"[。.?!？！]", text)) < UNPUNCTUATED_SHARE * len(text)


def is_plenary(meeting: str | None, titles: list[str]) -> bool:
    """True for a plenary sitting (本会議): by the meeting's name, else by who presides according to the headers."""
    if meeting:
        return not _COMMITTEE.search(meeting)
    presided = [title for title in titles if re.search(r"議長$|委員長$|座長$", title)]
    return not presided or sum(title.endswith("議長") for title in presided) * 2 >= len(presided)


def make_speech(text: str, header: Header | None, plenary: bool) -> Speech | None:
    """Return a speech with its added matter stripped, or None where nothing was said."""
    said = strip_added(text)
    if not re.search(r"\w", said):
        return None
    return Speech(
        text=said,
        speaker=normalise(header.name) if header and header.name else None,
        title=normalise(header.title) if header and header.title else None,
        role=role_of(header.title, plenary) if header else None,
        unpunctuated=is_unpunctuated(said),
    )


def split_headers(line: str, plenary: bool) -> list[tuple[Header | None, str]]:
    """Return the parts of a line that different speakers said, each with its header; (None, …) for what precedes one."""
    first = parse_header(line, plenary)
    # What is left of the line after the header so far; the next header is looked for in it.
    parts: list[tuple[Header | None, str]] = [(first, first.rest if first else line)]
    while True:
        header, said = parts[-1]
        for match in _INLINE.finditer(said):
            following = parse_header(said[match.start() :], plenary)
            if following:
                parts[-1] = (header, said[: match.start()])
                parts.append((following, following.rest))
                break
        else:
            return parts if parts[0][0] or parts[0][1].strip() else parts[1:]


def read_search_results(text: str, source: str) -> Minutes | None:
    """Return the passages of search results, one a line, or None where `text` is something else.

    The first line holds assembly, date and sitting of the first result; the other results come from other assemblies
    that are not named, so theirs are None. A line is one passage: of several speakers in it, the longest part is kept,
    with its own header if it has one.
    """
    lines = text.splitlines()
    head = _RESULT_HEAD.match(lines[0].strip()) if lines else None
    if head is None:
        return None
    speeches = []
    for number, line in enumerate(line for line in lines[1:] if line.strip()):
        assembly, date, meeting = map(normalise, head.groups()) if number == 0 else (None, None, None)
        plenary = is_plenary(meeting, [])
        header, said = max(split_headers(line.strip(), plenary), key=lambda part: len(part[1]))
        speech = make_speech(said, header, plenary)
        if speech is not None:
            speeches.append(replace(speech, passages=((0, len(speech.text)),), assembly=assembly, date=date, meeting=meeting))
    return Minutes(source=source, speeches=tuple(speeches))


def read_plain(text: str, source: str) -> Minutes:
    """Return the speeches of plain-text minutes; a text without any header is one speech of an unknown speaker."""
    lines = text.splitlines()
    found = [(line, parse_header(line, plenary=True)) for line in lines]
    titles = [header.title for _, header in found if header and header.title]
    first = next((index for index, (_, header) in enumerate(found) if header), 0)
    assembly, date, meeting = _metadata(lines[: first or min(len(lines), 5)])
    plenary = is_plenary(meeting, titles)
    speeches: list[Speech] = []
    header: Header | None = None
    body: list[str] = []
    speaking = not titles

    def end() -> None:
        speech = make_speech("\n".join(body), header, plenary)
        if speech is not None and speaking:
            speeches.append(speech)
        body.clear()

    for line, _ in found:
        # Rules, times, page numbers and headings stand between speeches or within one; what follows is still said by
        # whoever spoke last, until the next header; after the close, signatures and appendices are nobody's speech.
        if _CLOSED.search(line) and _TIME.match(line.strip()):
            end()
            header, speaking = None, not titles
            continue
        if _RULE.match(line) or _TIME.match(line.strip()) or _PAGE_LINE.match(line):
            continue
        for part_header, said in split_headers(line, plenary):
            if part_header:
                end()
                header, speaking = part_header, True
            elif _HEADING.match(said):
                continue
            body.append(said)
    end()
    return Minutes(source=source, speeches=tuple(speeches), assembly=assembly, date=date, meeting=meeting)


def _metadata(lines: list[str]) -> tuple[str | None, str | None, str | None]:
    """Return (assembly, ISO date, meeting) as the lines before the first speech state them."""
    top = normalise(" ".join(line for line in lines[:40] if len(line) < 120))
    assembly = _ASSEMBLY.search(top)
    meeting = _MEETING.search(top)
    name = re.sub(r"^.*[回年]", "", assembly[1]) + "議会" if assembly else None
    return name, date_of(top), meeting[1].removeprefix(name or "").strip() if meeting else None


def date_of(text: str) -> str | None:
    """Return the first Japanese or ISO date in normalised `text` as YYYY-MM-DD."""
    match = _DATE.search(text)
    if match is None:
        iso = re.search(r"\b(\d{4})[-/](\d{1,2})[-/](\d{1,2})\b", text)
        return "{:04d}-{:02d}-{:02d}".format(*map(int, iso.groups())) if iso else None
    era, of_era, western, month, day = match.groups()
    year = int(western) if western else _ERA[era] + (1 if of_era == "元" else int(of_era))
    return f"{year:04d}-{int(month):02d}-{int(day):02d}"
