"""Lines to speeches: who says which line, and what the lines are that nobody says. Every format ends here.

Library module; no command of its own. A reader turns its source into blocks, `assemble` turns blocks into minutes.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gikai.minutes.headers import MARKS, Header, parse_header, role_of
from gikai.records import Minutes, Speech
from gikai.text import normalise, visible

KINDS = {
    "header": "speaker header",
    "stage direction": "what stenographers add: 〔登壇〕, (拍手), interjections",
    "time": "when the sitting opens, pauses, ends",
    "rule": "a line drawn across the page",
    "page mark": "page number",
    "agenda": "agenda, bills, headings",
    "roll call": "who is present, absent, in attendance",
    "title page": "what precedes the first speech and is none of these",
    "appendix": "what follows the close: signatures, documents",
    "navigation": "page furniture, links, numbers that the publishing system adds",
    "outside": "text between speeches that the source gives to no speaker",
    "other speaker": "in a row that is one passage, what other speakers say in it",
}
"""What a character of a source can be when it is not speech."""

# Everything that stenographers add to what was said. Applied to normalised text, so brackets are half-width.
_ADDED = re.compile(
    r"〔[^〔〕]{0,400}〕|[【\[〔(]\s?(?:p\.?\s?)?\d{1,5}\s?頁\s?[】\]〕)]|"
    r"\((?:(?:拍手|笑声|笑い)[^()]{0,10}|発言する者[^()]{0,6}|私語[^()]{0,8}|(?:「[^「」]{0,200}」[、,と ]{0,2}){1,20}(?:と?呼ぶ(?:者あり)?|と呼び、?[^)]{0,40}|"
    r"の声(?:あり|多数)?|等?の?声あり)|(?:拍手、)?「[^「」]{0,200}」と呼ぶ者あり|"
    r"[^()「」]{0,20}(?:登壇|降壇|退席|着席|起立|挙手|入場|退場|離席)[^()「」]{0,6}|傍聴席[^()]{0,15}|[^()「」]{0,10}呼ぶ者あり|"
    r"(?:別冊|別紙|資料編?|巻末|末尾)[^()。]{0,16}(?:参照|掲載))\)|"
    r"\[[^\[\]]{0,20}(?:登壇|拍手|起立|挙手|呼ぶ者あり)[^\[\]]{0,6}\]|"
    r"「[^」]{1,20}」と呼ぶ者あり"
)
_PAGE_MARK = re.compile(r"頁")
_RULE = re.compile(r"^[\s─━―—‐–\-=＝・*＊_…~〜～∼+◇◆○●☆★.]{4,}$|^[─━―—]{2,}$|^[-*_]{3}$")
_EVENT = "(?:開議宣告|開議|開会|再開|休憩|散会|閉会|延会|閉議|中断|開会・開議|閉議・閉会|散会・閉会)"
_CLOCK = r"(?:午前|午後|正午|[零〇一二三四五六七八九十\d]{1,3}時)"
_TIME = re.compile(
    rf"^[{MARKS}\s(〔\[]*(?:{_CLOCK}[^。]{{0,24}}{_EVENT}[^。]{{0,3}}|{_EVENT}[\s:(]*{_CLOCK}[^。]{{0,20}}|(?:開会|開議|散会|閉会)時刻[^。]{{0,24}})[)〕\]\s]*$"
)
_CLOSED = re.compile(r"散会|閉会|延会|閉議")
_PAGE_LINE = re.compile(
    r"^[-─―‐－–]?\s?(?:p\.?\s?|第)?\d{1,4}\s?(?:頁|ページ)?\s?[-─―‐－–]?$|^[【\[]\s?\d+\s?頁\s?[】\]]$|^\d{1,4}\s?/\s?\d{1,4}$"
)
_CUE = re.compile(r"^(?:\d{1,2}:)?\d{1,2}:\d{2}[.,]\d{1,3}\s?-->")
_LINK = re.compile(r"https?://\S+")
_HEADING = re.compile(rf"^[{MARKS}]")
_STANDING = re.compile(r"^[△▲▽▼]")
_SPOKEN = re.compile(r"[。？?！!]")
_ITEM = re.compile(
    r"^(?:(?:追加)?日程第?\s?[\d一二三四五六七八九十百]+|第\s?[\d一二三四五六七八九十百]+(?:\s|号|、)|(?:議案|報告|請願|陳情|発議|認定|承認|同意|諮問|意見書|決議)(?:案)?第\s?[\d一二三四五六七八九十百]+号?|"
    r"(?:市|町|村|区|県)第\d+号議案|第[\d一二三四五六七八九十]+号議案|(?:諸般の報告|会期の決定|会議録署名議員の指名|一般質問|議事日程|会期)$)"
)
_AGENDA = re.compile(
    r"(?:議\s?事\s?日\s?程|会議に付した(?:事件|案件|議案)|付議事件|付託(?:案件|議案)|審査(?:案件|事項)|調査事項|目次|会期日程)"
)
_ROLL_CALL = re.compile(
    r"(?:出\s?席|欠\s?席|遅\s?参|遅\s?刻|早\s?退|応\s?招|不応招)\s?(?:議\s?員|委\s?員|者|説明員)|説\s?明\s?員|説明のため.{0,12}出席|(?:事務局|書記).{0,8}(?:職員|出席)|"
    r"職務のため.{0,16}出席|(?:議会|議事)?事務局(?:出席)?職員|傍聴(?:議員|者)|委員外議員$|会議録署名(?:議員|委員)|地方自治法第121条"
)
_INLINE = re.compile(rf"(?<=[\s。」)）])[{MARKS}](?=\S)")
_WINDOW = 300
_COMMITTEE = re.compile(r"委員会|分科会|協議会|審査会|懇談会|調査会")
_COUNCILS = re.compile(r"(?:教育|農業|選挙管理|公平|監査|人事)委員会")
UNPUNCTUATED_SHARE = 1 / 400
"""Fewer full stops a character than this, in a text of 200 characters or more: speech recognition, not a stenographer."""


@dataclass(frozen=True)
class Block:
    """Lines of a source that belong together, and what the source itself says about them.

    `turn`: it is one speaker's record, all of it said unless its form tells otherwise; `unattributed`: it is a record to
    which the source gives no speaker. `header`: who speaks, as a field of the source says it. `kind`: it is no speech,
    says the source. `passage`: it is a passage as it stands. `labels`: lines (by index) that begin with
    a text set off from the rest, in bold or as a term, which may name a speaker.
    """

    lines: list[str]
    header: Header | None = None
    turn: bool = False
    unattributed: bool = False
    kind: str | None = None
    passage: bool = False
    labels: dict[int, str] = field(default_factory=dict)
    headings: frozenset[int] = frozenset()
    id: str | None = None
    assembly: str | None = None
    date: str | None = None
    meeting: str | None = None


def strip_added(text: str) -> str:
    """Return `text` normalised, without stage directions, interjections and page marks."""
    return normalise(_ADDED.sub(" ", normalise(text)))


def is_unpunctuated(text: str) -> bool:
    """True where `text` lacks the full stops that a written record would have."""
    return len(text) >= 200 and len(re.findall(r"[。.?!？！]", text)) < UNPUNCTUATED_SHARE * len(text)


def is_plenary(meeting: str | None, titles: Iterable[str]) -> bool:
    """True for a plenary sitting (本会議): by who presides according to the headers, else by the meeting's name.

    Where chairs of both kinds speak, the name decides, and without one the more frequent kind.
    """
    bare = [re.sub(r"\s", "", title) for title in titles]
    speakers = sum(bool(re.search(r"^(?:仮|臨時|副)?議長$", title)) for title in bare)
    chairs = sum(bool(re.search(r"(?<!副)(?:委員長|座長)$|分科会.*主査$", title)) for title in bare)
    named = None if not meeting or not meeting.strip() else not _COMMITTEE.search(_COUNCILS.sub("", meeting))
    # A name found at the top of a text may be that of another meeting, which its agenda mentions.
    told = max(speakers, chairs) >= 3 and min(speakers, chairs) == 0
    if named is not None and not (told and "本会議" not in str(meeting)):
        return named
    return speakers * 2 >= speakers + chairs


def split_headers(line: str, plenary: bool) -> list[tuple[Header | None, str, str]]:
    """Return (header, its text, what is said) for each part of a line that another speaker says.

    The first header is None where the line begins without one. The texts together are the line.
    """
    header = parse_header(line, plenary)
    parts: list[tuple[Header | None, str, str]] = []
    begin, start = 0, len(line) - len(header.rest) if header else 0
    for match in _INLINE.finditer(line):
        if match.start() < start:
            continue
        window = line[match.start() : match.start() + _WINDOW]
        following = parse_header(window, plenary)
        if following:
            parts.append((header, line[begin:start], line[start : match.start()]))
            header, begin, start = following, match.start(), match.start() + len(window) - len(following.rest)
    parts.append((header, line[begin:start], line[start:]))
    return parts


def assemble(
    blocks: Iterable[Block],
    source: str,
    form: str,
    assembly: str | None = None,
    date: str | None = None,
    meeting: str | None = None,
    characters: int | None = None,
) -> Minutes:
    """Return the minutes that `blocks` make: speeches with their roles, and everything else as an aside with its kind.

    `characters` is the number of visible characters of the source, counted by the reader on another way than through
    the blocks where there is one; without it, the lines of the blocks are counted.
    """
    blocks = list(blocks)
    reading = _Reading(blocks, meeting)
    for block in blocks:
        reading.read(block)
    counted = sum(visible(line) for block in blocks for line in block.lines) if characters is None else characters
    return Minutes(source, tuple(reading.speeches), assembly, date, meeting, form, tuple(reading.asides), counted)


def account(minutes: Minutes) -> dict[str, float]:
    """Return the share of the source's visible characters that is speech, is each kind of aside, and is unaccounted for."""
    counts: Counter[str] = Counter({"speech": sum(visible(speech.text) for speech in minutes.speeches)})
    for kind, text in minutes.asides:
        counts[kind] += visible(text)
    counts["unaccounted"] = minutes.characters - counts.total()
    return {kind: count / max(1, minutes.characters) for kind, count in counts.items()}


def _wrap_width(lines: list[str]) -> int | None:
    """Return the width at which lines are cut in the middle of sentences, as in text taken from PDF, or None."""
    widths = sorted(len(line.strip()) for line in lines if len(line.strip()) >= 15)
    if len(widths) < 8:
        return None
    width = widths[int(len(widths) * 0.9)]
    full = [line for line in lines if width - 3 <= len(line.strip()) <= width + 3]
    broken = [line for line in full if not re.search(r"[。」）)？?]\s*$", line)]
    return width if width <= 70 and len(full) >= 0.3 * len(widths) and len(broken) >= 0.5 * len(full) else None


class _Reading:
    """The state of reading one document, line by line: who is speaking, or what part of the record this is."""

    def __init__(self, blocks: list[Block], meeting: str | None) -> None:
        self.speeches: list[Speech] = []
        self.asides: list[tuple[str, str]] = []
        titles: dict[str | None, list[str]] = defaultdict(list)
        for block in blocks:
            key = block.meeting or meeting
            if block.header and block.header.title:
                titles[key].append(block.header.title)
            if block.kind is None:
                for index, line in enumerate(block.lines):
                    header = header_of(line, block.labels.get(index), plenary=True)
                    if header and header.title:
                        titles[key].append(header.title)
        self.plenary = {key: is_plenary(key, titles.get(key, [])) for key in {block.meeting or meeting for block in blocks}}
        self.meeting = meeting
        self.headers = any(titles.values()) or any(block.header for block in blocks)
        self.width = _wrap_width([line for block in blocks if block.kind is None for line in block.lines])
        self.header: Header | None = None
        self.section: str | None = "title page" if self.headers else None
        """What lines are that nobody says, until the next header; None while somebody speaks."""
        self.ruled = False
        self.body: list[tuple[str, bool]] = []
        """Lines that are said, each with whether the page's width cut it off."""
        self.block = Block([])

    def read(self, block: Block) -> None:
        """Read one block; a speech never goes on beyond it."""
        self.end()
        self.block, self.ruled = block, False
        if block.kind is not None:
            self.asides += [(block.kind, line) for line in block.lines if line.strip()]
            return
        if block.passage:
            self.read_passage(block)
            return
        self.header = block.header
        silent = self.headers and block.header is None and (block.unattributed or not block.turn)
        self.section = ("outside" if self.speeches else "title page") if silent else None
        if (
            block.header is not None
            and any(header_of(line, None, True) for line in block.lines[1:10])
            and not header_of(block.lines[0], None, True)
        ):
            # The record's own header stands below some lines: 会議の経過, 開会.
            self.section = "outside" if self.speeches else "title page"
        before = len(self.speeches)
        for index, line in enumerate(block.lines):
            self.read_line(line, block.labels.get(index), index in block.headings)
        self.end()
        if block.id is not None and len(self.speeches) > before + 1:
            self.speeches[before:] = [replace(speech, id=None) for speech in self.speeches[before:]]

    def read_passage(self, block: Block) -> None:
        """Read a row that is one passage: of several speakers in it, the longest part is kept, with its own header if it has one."""
        parts = split_headers(normalise(" ".join(block.lines)), self.plenary[block.meeting or self.meeting])
        longest = max(parts, key=lambda part: len(part[2]))
        for part in parts:
            header, heading, said = part
            if heading:
                self.asides.append(("header", heading))
            if part is longest:
                self.header, self.body = _merged(header, block.header) if header else block.header, [(said, False)]
                self.end()
            elif said.strip():
                self.asides.append(("other speaker", said))

    def read_line(self, raw: str, label: str | None, heading: bool) -> None:
        """Put one line where it belongs."""
        line = normalise(raw)
        if not line:
            return
        kind = _kind_of_line(line)
        if kind == "time" and _CLOSED.search(line):
            self.end()
            self.asides.append(("time", line))
            # What follows the close, signatures and documents, is nobody's speech.
            if self.headers:
                self.header, self.section = None, "appendix"
            return
        if kind is not None:
            self.asides.append((kind, line))
            self.ruled = self.ruled or kind == "rule"
            return
        plenary = self.plenary[self.block.meeting or self.meeting]
        labelled = header_of(line, normalise(label), plenary) if label else None
        parts = [(labelled, line[: len(line) - len(labelled.rest)], labelled.rest)] if labelled else split_headers(line, plenary)
        if parts[0][0] is None and len(parts) == 1:
            self.read_unheaded(raw, line, heading)
            return
        for header, heading_text, said in parts:
            if header is not None:
                self.end()
                self.asides.append(("header", heading_text))
                self.header, self.section, self.ruled = _merged(header, self.block.header), None, False
            if not said.strip():
                continue
            if self.section is not None:
                self.asides.append((self.section, said))
            else:
                self.body.append((said, self.wrapped(raw)))

    def read_unheaded(self, raw: str, line: str, heading: bool) -> None:
        """Put a line without a header: it is said by whoever speaks, or belongs to a part of the record that nobody says."""
        spoken = bool(_SPOKEN.search(line)) or len(line) >= 80 or self.wrapped(raw) or not self.headers
        if heading and not _SPOKEN.search(line):
            self.asides.append(("agenda", line))
            if not self.headers:
                self.end()
            return
        if (
            self.section in ("outside", "title page")
            and spoken
            and (self.header is not None or (self.speeches and self.block.unattributed))
        ):
            # A record without a speaker, in the middle of others: said, by somebody unknown.
            self.section = None
        short = len(line) <= 60 and not _SPOKEN.search(line)
        # A sentence goes on in this line: 会議録署名議員は、 / 5番 …議員 / を指名します。
        unfinished = (
            self.section is None and bool(self.body) and not self.ruled and not re.search(r"[。」』)）?？!！…]\s*$", self.body[-1][0])
        )
        if (
            self.headers
            and short
            and not unfinished
            and not self.wrapped(raw)
            and (_ROLL_CALL.search(line) or _AGENDA.search(line))
            and _is_section(line)
        ):
            self.asides.append((kind := "roll call" if _ROLL_CALL.search(line) else "agenda", line))
            if self.section is not None or not self.block.turn:
                self.end()
                self.section = kind if self.section != "appendix" else "appendix"
            else:
                self.ruled = True
            return
        if self.section is not None:
            # A chair who goes on after a list that was put into his speech.
            if self.section in ("agenda", "roll call") and self.header is not None and re.search(r"(?:ます|です|ました|ません)。", line):
                self.section = None
            else:
                kind = "agenda" if _ITEM.match(line) or (_HEADING.match(line) and short) else self.section
                self.asides.append((kind, line))
                return
        item = self.ruled or (_ITEM.match(line) and not line.endswith(("、", ",")))
        if _STANDING.match(line) or (_HEADING.match(line) and short) or (self.headers and item and not spoken and not unfinished):
            self.asides.append(("agenda", line))
        else:
            self.ruled = False
            self.body.append((raw, self.wrapped(raw)))

    def wrapped(self, raw: str) -> bool:
        """True for a line that is as wide as the page and breaks off in the middle of a sentence."""
        return self.width is not None and self.width - 3 <= len(raw.strip()) <= self.width + 3 and not raw.rstrip().endswith("。")

    def end(self) -> None:
        """Close the speech that is being read, if there is one."""
        if not self.body:
            return
        text = self.joined()
        self.body = []
        plenary = self.plenary.get(self.block.meeting or self.meeting, True)
        speech = make_speech(text, self.header, plenary, self.block)
        for match in _ADDED.finditer(normalise(text)):
            self.asides.append(("page mark" if _PAGE_MARK.search(match[0]) and len(match[0]) <= 10 else "stage direction", match[0]))
        if speech is not None:
            self.speeches.append(speech)
        elif left := strip_added(text):
            self.asides.append(("stage direction", left))

    def joined(self) -> str:
        """Return the lines of the speech as one text; a sentence that the page's width cut in two becomes whole again."""
        text, before = "", False
        for raw, cut in self.body:
            line = normalise(raw)
            whole = before and not raw[:1].isspace() and not text[-1:].isascii() and not line[:1].isascii()
            text += line if whole else f"\n{line}"
            before = cut
        return text


def make_speech(text: str, header: Header | None, plenary: bool, block: Block) -> Speech | None:
    """Return a speech with its added matter stripped, or None where nothing was said."""
    said = strip_added(text)
    if not re.search(r"\w", said):
        return None
    return Speech(
        text=said,
        speaker=(normalise(header.name) or None) if header and header.name else None,
        title=(normalise(header.title) or None) if header and header.title else None,
        role=(role_of(header.title, plenary) if header.title else header.role) if header else None,
        passages=((0, len(said)),) if block.passage else None,
        unpunctuated=is_unpunctuated(said),
        id=block.id,
        assembly=block.assembly,
        date=block.date,
        meeting=block.meeting,
    )


def _kind_of_line(line: str) -> str | None:
    """Return what a normalised line is where its form alone tells it, else None."""
    if _RULE.match(line):
        return "rule"
    if len(line) <= 12 and _PAGE_LINE.match(line):
        return "page mark"
    if len(line) <= 48 and _TIME.match(line):
        return "time"
    if line[0] in "〔([「" and not re.search(r"\w", _ADDED.sub("", line)):
        return "stage direction"
    if line[0] == "〔" and line[-1] == "〕":
        return "stage direction"
    if _CUE.match(line) or line == "WEBVTT":
        return "navigation"
    if "http" in line and len(_LINK.sub("", line)) <= 30:
        return "navigation"
    return None


def _is_section(line: str) -> bool:
    """True for a heading such as 〇出席議員（26人）, false for a line that mentions the word."""
    return bool(re.match(rf"^[{MARKS}\d\s.、()]*\S{{0,12}}(?:{_ROLL_CALL.pattern}|{_AGENDA.pattern})", line)) and not re.search(
        r"(?:[はをがに、]|で)$", line
    )


def header_of(raw: str, label: str | None, plenary: bool) -> Header | None:
    """Return the header of a line; a `label` that the source sets off needs no mark to be one."""
    header = parse_header(raw, plenary)
    if header is not None or not label:
        return header
    bare = label.strip().rstrip(":： \u3000")
    marked = parse_header(f"○{bare}", plenary) if 2 <= len(bare) <= 40 else None
    if marked is None or marked.rest.strip():
        return None
    rest = raw[raw.index(label) + len(label) :].lstrip(":： \u3000\t")
    return Header(marked.name, marked.title, marked.role, rest)


def _merged(header: Header, given: Header | None) -> Header:
    """Return the header in the text, completed by what the record's fields say of the same speaker."""
    if given is None:
        return header
    same = header.name is None or given.name is None or re.sub(r"\s", "", header.name) in re.sub(r"\s", "", given.name)
    if not same:
        return header
    title = header.title or given.title
    return Header(given.name or header.name, title, header.role if title == header.title else given.role, header.rest)
