"""JSON minutes: DiscussNet, the Diet's API, NTCIR PoliInfo, registerMinutes, and any list of records with text and speaker.

Library module; no command of its own. What is XML or JavaScript around such records is read as the records.
"""

import functools
import json
import re
from collections.abc import Iterator
from typing import Any

import lxml.etree

from gikai import InputError
from gikai.minutes.headers import Header, parse_header, role_of
from gikai.minutes.html import html_lines, speaker_header
from gikai.minutes.plain import date_of, metadata
from gikai.minutes.speeches import Block, assemble
from gikai.records import Minutes
from gikai.text import normalise, visible

# Names of fields, in lower case without `_` and `-`; the first that a record has is taken.
TEXT = (
    "text",
    "utterance",
    "speech",
    "body",
    "content",
    "statement",
    "発言",
    "発言内容",
    "発言本文",
    "本文",
    "内容",
    "テキスト",
    "transcript",
    "message",
    "remark",
    "paragraphs",
    "lines",
    "texts",
)
SPEAKER = ("speakername", "speaker", "発言者", "発言者名", "氏名", "話者", "name", "who", "voicetitle", "talker", "member")
POSITION = ("speakerposition", "position", "役職", "肩書", "肩書き", "職名", "speakertitle", "post", "jobtitle")
ROLE = ("speakerrole", "role", "役割", "speakertype")
DATE = ("date", "dateiso", "開催日", "日付", "年月日", "meetingdate", "heldon", "会議日", "day")
ASSEMBLY = (
    "assembly",
    "localgovernmentname",
    "prefecture",
    "nameofhouse",
    "自治体名",
    "自治体",
    "議会名",
    "議会",
    "municipality",
    "city",
    "council",
    "assemblyname",
)
MEETING = ("meeting", "nameofmeeting", "proceedingtitle", "会議名", "会議", "meetingname", "会議録名", "session", "heading", "title")
ID = ("id", "speechid", "発言id", "statementid")
_NOBODY = {"", "null", "none", "-", "―", "会議録情報"}
_LOOKS = re.compile(r'\s*(?:\{\s*["}]|\[\s*[\[{"\]])')
_CALL = re.compile(r"^[^\n\"'{}\[\]。]{0,200}?(?:\w\(|=|export default)[ \t]*(?=[{\[])", re.MULTILINE)
_MARKUP = re.compile(r"</?(?:pre|br|p|div|span|b|a|font)\b[^<>]*>", re.IGNORECASE)
_RECORD_WORDS = re.compile(r"^(?:名簿|議題|目次|日程|会議録情報)$")


def read_json(text: str, source: str) -> Minutes | None:
    """Return the speeches of JSON minutes; None where `text` is something else.

    Raises InputError for JSON that is damaged, or in which no records with a text are.
    """
    if not _LOOKS.match(text):
        return None
    try:
        value = json.loads(text)
    except RecursionError:
        raise InputError("JSON nested too deeply") from None
    except ValueError as error:
        raise InputError(f"damaged JSON: {str(error)[:80]}") from None
    minutes = value_minutes(value, source)
    if minutes is None:
        raise InputError("JSON without records that have a text")
    return minutes


def read_javascript(text: str, source: str) -> Minutes | None:
    """Return the speeches in a script that hands JSON to a call or a variable: `registerMinutes({…});`, `const minutes = […];`."""
    decoder = json.JSONDecoder()
    values: list[Any] = []
    end = failed = 0
    named = ""
    for match in _CALL.finditer(text):
        if match.start() < end or failed == 50:
            continue
        try:
            value, end = decoder.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            failed += 1
            continue
        values += [value] * bool(value)
        named = named or ("registerMinutes JavaScript" if "registerMinutes" in match[0] else "JSON in JavaScript")
    return value_minutes(values[0] if len(values) == 1 else values, source, named) if values else None


def read_xml(text: str, source: str) -> Minutes | None:
    """Return the speeches of XML records (the Diet's API with recordPacking=xml), or None where `text` is something else."""
    if not text.lstrip().startswith("<?xml") or "<html" in text[:2000].lower():
        return None
    parser = lxml.etree.XMLParser(resolve_entities=False, no_network=True, recover=True, remove_comments=True, remove_pis=True)
    try:
        root = lxml.etree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text).encode("utf-8", "ignore"), parser)
        return None if root is None else value_minutes(_of_element(root), source, "XML")
    except (lxml.etree.LxmlError, ValueError, RecursionError):
        return None


def value_minutes(value: Any, source: str, form: str | None = None) -> Minutes | None:
    """Return the minutes in a parsed JSON `value`, or None where it holds no records with a text."""
    try:
        blocks = list(_blocks(value, {}))
    except RecursionError:
        return None
    if not blocks:
        return None
    blocks = _joined(blocks)
    characters = sum(visible(line) for block in blocks for line in block.lines)
    # What no field says, the first record may: the title page of the sitting.
    top = metadata(blocks[0].lines) if blocks[0].kind is not None or blocks[0].unattributed else (None, None, None)
    names = ("assembly", "date", "meeting")
    shared = {name: _one(getattr(block, name) for block in blocks) or found for name, found in zip(names, top, strict=True)}
    return assemble(blocks, source, form or _form(value), **shared, characters=characters)


def _form(value: Any) -> str:
    """Return what the records are called where their fields show it."""
    top = json.dumps(value, ensure_ascii=False, default=str)[:3000] if isinstance(value, (dict, list)) else ""
    named = [
        ('"tenant_minutes"', "DiscussNet JSON"), ('"speechRecord"', "Diet API JSON"), ('"meetingRecord"', "Diet API JSON"),
        ('"Proceeding"', "PoliInfo-2 JSON"), ('"proceeding"', "PoliInfo-3 JSON"), ('"QuestionSpeaker"', "PoliInfo-4 JSON"),
    ]  # fmt: skip
    return next((name for mark, name in named if mark in top), "JSON records")


def _one(values: Iterator[str | None]) -> str | None:
    """Return the value that all share, or None."""
    found = set(values)
    return found.pop() if len(found) == 1 else None


@functools.lru_cache(maxsize=1024)
def _plain_name(key: str) -> str:
    return re.sub(r"[_\-\s]", "", key[:100]).lower()


def fields_of(record: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a record under their names in lower case, without `_`, `-` and spaces."""
    fields = {_plain_name(str(key)): value for key, value in record.items()}
    for name in SPEAKER:
        # {"speaker": {"name": …, "position": …}}
        if isinstance(within := fields.get(name), dict):
            fields = {**{_plain_name(str(key)): value for key, value in within.items()}, **{k: v for k, v in fields.items() if k != name}}
    return fields


def first_of(fields: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """Return the first of the named fields that holds a text or number, normalised."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, (str, int, float)) and not isinstance(value, bool) and (found := normalise(str(value))):
            return found
    return None


def text_key(record: dict[str, Any]) -> str | None:
    """Return the key of a record that holds what was said, or None."""
    names = {_plain_name(str(key)): key for key, value in record.items() if isinstance(value, str) or _paragraphs(value)}
    return next((names[name] for name in TEXT if name in names), None)


def _paragraphs(value: Any) -> bool:
    """True for a text that comes as a list of its paragraphs."""
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _blocks(value: Any, known: dict[str, str | None]) -> Iterator[Block]:
    """Yield a block for every record in a nested value; date, assembly and meeting come from the objects around it."""
    if isinstance(value, list):
        records = [item for item in value if isinstance(item, dict)]
        key = _longest_key(records) if not any(text_key(record) for record in records) else None
        for item in value:
            yield from _of_record(item, known, key) if isinstance(item, dict) else _blocks(item, known) if isinstance(item, list) else ()
    elif isinstance(value, dict):
        yield from _of_record(value, known, None)


def _of_record(record: dict[str, Any], known: dict[str, str | None], key: str | None) -> Iterator[Block]:
    fields = fields_of(record)
    header, attributed, kind = _header(fields)
    own = {"date": date_of(first_of(fields, DATE) or ""), "assembly": first_of(fields, ASSEMBLY), "meeting": _meeting(fields, header)}
    known = {name: own[name] or known.get(name) for name in own}
    for about in (
        item for item in record.values() if isinstance(item, dict) and not any(isinstance(inner, (dict, list)) for inner in item.values())
    ):
        # {"meeting": {"title": …, "date": …}, "speeches": […]}
        told = fields_of(about)
        stated = {"date": date_of(first_of(told, DATE) or ""), "assembly": first_of(told, ASSEMBLY), "meeting": _meeting(told, None)}
        known = {name: known[name] or stated[name] for name in known}
    nested = [item for item in record.values() if isinstance(item, (dict, list)) and item]
    key = text_key(record) or key
    text = record.get(key) if key is not None else None
    text = "\n".join(text) if isinstance(text, list) and _paragraphs(text) else text
    if isinstance(text, str) and text.strip() and not any(holds_texts(item) for item in nested):
        lines = html_lines(text) if _MARKUP.search(text[:2000]) else text.splitlines()
        yield Block(
            lines,
            header=header,
            turn=attributed,
            unattributed=attributed and header is None,
            kind=kind,
            id=first_of(fields, ID),
            assembly=known["assembly"],
            date=known["date"],
            meeting=known["meeting"],
        )
        return
    for item in nested:
        yield from _blocks(item, known)


def holds_texts(value: Any) -> bool:
    """True for a list of records with a text: then the text beside it is a heading of theirs, or the whole of them."""
    return isinstance(value, list) and len([item for item in value if isinstance(item, dict) and text_key(item)]) >= 1 and len(value) >= 2


def _longest_key(records: list[dict[str, Any]]) -> str | None:
    """Return the key with the longest texts in Japanese, for records whose names of fields are not known; None without one."""
    lengths: dict[str, list[int]] = {}
    for record in records[:50]:
        for key, value in record.items():
            if isinstance(value, str) and re.search(r"[ぁ-ん]", value):
                lengths.setdefault(key, []).append(len(value))
    means = {key: sum(values) / len(records[:50]) for key, values in lengths.items()}
    best = max(means, key=lambda key: means[key], default=None)
    return best if best is not None and means[best] >= 15 else None


def _header(fields: dict[str, Any]) -> tuple[Header | None, bool, str | None]:
    """Return (who speaks, whether the record has a field for that, what the record is where it says that it is no speech)."""
    kinds = [str(fields.get(name) or "") for name in ("minutetype", "speaker", "type", "種別")]
    if any(_RECORD_WORDS.match(kind) for kind in kinds):
        return None, True, "roll call" if "名簿" in kinds or "会議録情報" in kinds else "agenda"
    attributed = any(name in fields for name in (*SPEAKER[:8], *POSITION)) or "minutetype" in fields
    speaker, position = _somebody(first_of(fields, SPEAKER)), _somebody(first_of(fields, POSITION))
    role = _somebody(first_of(fields, ROLE))
    label = str(fields.get("title") or "")
    if role and role_of(role, True) is not None and not position:
        position = role
    named = speaker_header(speaker) if speaker else None
    if position:
        name = named.name if named and named.title and named.name else speaker
        return Header(name, position, role_of(position, True), ""), True, None
    if named is None and label:
        titled = parse_header(f"○{label}", True) if not label.startswith(("○", "◯", "〇", "◎", "◆")) else parse_header(label, True)
        if titled is not None and not titled.rest.strip():
            return titled, True, None
        if len(label) <= 30 and "speaker" in fields and role_of(label, True) is not None:
            return Header(None, label, None, ""), True, None
    if named is not None and named.title is None and named.role is None and label and role_of(label, True) is not None and len(label) <= 30:
        return Header(named.name, label, None, ""), True, None
    if named is not None and named.title is None and fields.get("speakergroup"):
        return Header(named.name, None, "member", ""), True, None
    return named, attributed, None


def _somebody(value: str | None) -> str | None:
    return None if value is None or value.lower() in _NOBODY else value


def _meeting(fields: dict[str, Any], header: Header | None) -> str | None:
    """Return the meeting's name; a `title` may be that of a speaker instead."""
    found = first_of({name: value for name, value in fields.items() if name != "title"}, MEETING)
    title = first_of(fields, ("title",))
    if found is None and title and (re.search(r"会|号|日", title) and not parse_header(f"○{title}", True)):
        found = title
    return found


def _joined(blocks: list[Block]) -> list[Block]:
    """Return `blocks` with the sentences of one speaker joined, where every record is hardly more than a sentence."""
    short = sum(len(block.lines) == 1 and len(re.findall("。", block.lines[0])) <= 1 for block in blocks)
    if len(blocks) < 10 or short < 0.9 * len(blocks):
        return blocks
    joined: list[Block] = []
    for block in blocks:
        last = joined[-1] if joined else None
        if last and block.header and last.header == block.header and (last.meeting, last.date) == (block.meeting, block.date):
            joined[-1] = Block(
                last.lines + block.lines, header=last.header, turn=True, assembly=last.assembly, date=last.date, meeting=last.meeting
            )
        else:
            joined.append(block)
    return joined


def _of_element(element: Any) -> Any:
    """Return an XML element as nested dicts and lists, the way its JSON twin would be."""
    children = [child for child in element if isinstance(child.tag, str)]
    if not children:
        return element.text or ""
    value: dict[str, Any] = {}
    for child in children:
        tag, inner = lxml.etree.QName(child).localname, _of_element(child)
        if tag in value:
            value[tag] = [*value[tag], inner] if isinstance(value[tag], list) else [value[tag], inner]
        else:
            value[tag] = inner
    return value
