"""Parts of an evaluation: passages that have something in common, and the same passages with their text changed.

Library module; no command of its own. Texts and metadata only, no model.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence

from gikai.records import Passage

LEAST = 20
"""Passages that a slice must have to be shown."""

_ASSEMBLY = re.compile(r"(都|道|府|県|市|区|町|村)(?:議会)?$")
_COMMITTEE = re.compile(r"委員会|分科会|協議会|審査会|調査会|懇談会")
_PLENARY = re.compile(r"定例|臨時|本会議|通年")
_WHOLE = re.compile(r"[。?!][」』)]*$|[。?!」』)]$")

_SEARCHED = re.compile(r"スマート(?:自治体|シティ|市役所|区役所|役所)|(?:自治体)?DX|デジタル ?・? ?トランスフォーメーション")
_PERSON = re.compile(r"[々一-龥ァ-ヴヶ]{1,5}(?=(?:議員|委員|部長|課長|局長|君|さん|氏)(?![会長]))")
_NO_PERSON = re.compile(
    r"(?:同|各|全|両|本|当|前|新|女性|男性|若手|先輩|同僚|紹介|関係|担当|選出|所属|国会|市議会|区議会|町議会|村議会|県議会|都議会|"
    r"皆|奥|娘|息子|子|お子|母|父|業者|職人|医者|議員|委員|参加者|利用者|専門|民生|児童|教育|監査|特別|常任|運営|副)$"
)
_PUNCTUATION = re.compile(r"[、。?!「」『』]")

# Half-width katakana and marks by their full-width form, a voiced sound as two characters, as old systems wrote them.
_HALF = {unicodedata.normalize("NFKC", chr(code)): chr(code) for code in range(0xFF61, 0xFFA0)}
_HALF |= {
    unicodedata.normalize("NFKC", kana + mark): kana + mark
    for kana in map(chr, range(0xFF66, 0xFF9E))
    for mark in "ﾞﾟ"
    if len(unicodedata.normalize("NFKC", kana + mark)) == 1
}
_FULL = {chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)}


def members(passages: Sequence[Passage]) -> list[tuple[str, str, list[int]]]:
    """Return (slice, value, row numbers) for every slice of at least LEAST passages, values in order.

    Slices are: kind of assembly, year, length, plenary or committee, whole or cut off, and, where the rows say it, where
    the role comes from. A passage that lacks what a slice looks at is in none of its values.
    """
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row, passage in enumerate(passages):
        for name, value in _values(passage).items():
            if value is not None:
                found[name, value].append(row)
    order = list(_values(Passage(id="", text="")))
    return [
        (name, value, rows)
        for (name, value), rows in sorted(found.items(), key=lambda item: (order.index(item[0][0]), item[0][1]))
        if len(rows) >= LEAST
    ]


def _values(passage: Passage) -> dict[str, str | None]:
    kind = _ASSEMBLY.search(passage.assembly or "")
    hundreds = min(len(passage.text) // 100, 3)
    meeting = passage.meeting or ""
    return {
        "assembly": None if kind is None else "都道府県" if kind[1] in "都道府県" else kind[1],
        "year": passage.date[:4] if passage.date else None,
        "length": ("0 to 99 characters", "100 to 199", "200 to 299", "300 and more")[hundreds],
        "meeting": "committee" if _COMMITTEE.search(meeting) else "plenary" if _PLENARY.search(meeting) else None,
        "end": "whole" if _WHOLE.search(passage.text) else "cut off",
        "role from": passage.role_source,
    }


def _searched(passage: Passage) -> str:
    return _SEARCHED.sub("［語］", passage.text)


def _unnamed(passage: Passage) -> str:
    place = re.sub("議会$", "", passage.assembly or "")
    text = passage.text.replace(place, "［自治体］") if len(place) > 1 else passage.text
    return _PERSON.sub(lambda match: match[0] if _NO_PERSON.search(match[0]) else "［氏名］", text)


def _half_width(passage: Passage) -> str:
    return "".join(_HALF.get(character, character) for character in passage.text)


def _full_width(passage: Passage) -> str:
    return "".join(_FULL.get(character, character) for character in passage.text)


def _unpunctuated(passage: Passage) -> str:
    return _PUNCTUATION.sub("", passage.text)


CHANGES: dict[str, Callable[[Passage], str]] = {
    "search word masked": _searched,
    "names masked": _unnamed,
    "half-width": _half_width,
    "full-width": _full_width,
    "without punctuation": _unpunctuated,
}
"""Ways in which the same passage could have come; each returns raw text, which is normalised like any other.

The words that minutes are searched by, taken out: does the model need them? Names of persons and of the assembly: does
it know them? Katakana half-width, letters and digits full-width: does the writing matter? No punctuation: is speech
recognition read as well?
"""
