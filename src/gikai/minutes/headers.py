"""Speaker headers of assembly minutes: who speaks, with which title, in which role (data/GUIDELINES.md, section 3).

Library module; no command of its own. `parse_header("○市長（甲野太郎君）　お答えします。", plenary=True)`
"""

import functools
import re
from dataclasses import dataclass

MARKS = "○◯〇◎◆●△□◇"
_DIGITS = "0-9０-９一二三四五六七八九十百"
_SPACE = r"[ \u3000\t]"

# Row numbers are those of the guidelines' table 3.2; the first row that matches decides.
_COUNCIL = "(?:選挙管理|農業|公平|教育|人事|収用|公安|海区漁業調整|固定資産評価審査)"
_GUEST = re.compile(r"参考人|公述人|証人|請願者|請願人|陳情者|陳情人|請願提出者|陳情提出者|来賓")
_INTRODUCER = re.compile(r"紹介議員|提出者")
_OFFICE = re.compile(r"議会.*(?:局|部|課|室)|^事務局(?:長|次長|主幹|主査|書記)?$|^書記長?$|^議事(?:課|係|担当)")
_DEPUTY = re.compile(rf"副(?:知事|市長|町長|村長|区長)|教育長|監査委員|{_COUNCIL}委員会?.*(?:委員長|会長|委員|局長|次長)")
_DEPUTY_CHAIR = re.compile(r"副(?:委員|会|座)長$|副主査$")
_COMMITTEE_CHAIR = re.compile(r"(?:委員会?|分科会|座|協議会|部会)長$|分科会委員長$|分科会会長$")
_SPEAKER = re.compile(r"^(?:仮|臨時|副|年長)?議長(?:職務代理者|代理)?$")
_PRESIDING = re.compile(r"^(?:.*(?:委員会?|分科会|協議会)長(?:代理|職務代理者)?|(?:年長|臨時|仮)?委員長|座長|会長|.*分科会.*主査)$")
_OFFICIAL = re.compile(
    r"(?:[部課局室所館園署校場院係班団]長|センター長|本部長|支所長|次長|参事官?|主幹|主査|主任|主事|係長|補佐|理事|"
    r"[監官]|管理者|消防長|事務長|助役|収入役|出納長|出納員|技師長|所管|担当|専門員|補佐官|教育次長|副参事|医監|代表|委員長|長)$"
)
_HEAD = re.compile(r"^[一-龥々ぁ-んァ-ヶー]{0,7}(?:知事|市長|町長|村長|(?<!行政)(?<!地)区長)(?:職務代理者|職務執行者)?$")
_MEMBER = re.compile(rf"^(?:議席番号)?[{_DIGITS}]+番(?:議員)?$|議員$|委員$")

# What a title can end with: where a header has no brackets, this is what tells it from an agenda line.
_TITLE_END = (
    r"議長|委員長|座長|分科会長|部会長|会長|知事|市長|町長|村長|区長|教育長|部長|課長|局長|室長|公室長|所長|館長|園長|署長|校長|場長|院長|"
    r"係長|班長|団長|消防長|事務長|本部長|センター長|支所長|次長|参事官|副参事|参事|主幹|主査|主任|課長補佐|部長補佐|補佐官|補佐|理事|"
    r"政策監|危機管理監|管理監|技監|調整監|監理監|推進監|統括監|医監|管理官|統括官|審議官|管理者|助役|収入役|出納長|監査委員|書記長|書記|"
    r"委員|議員|参考人|公述人|証人|請願者|陳情者"
)
_QUALIFIER = r"(?:職務代理者|職務執行者|代理|心得|事務取扱)"
_TITLE = rf"(?:{_TITLE_END}){_QUALIFIER}?"
_HONORIFIC = re.compile(r"(?:君|くん|さん|様|氏|殿|女史|先生)$")
_NUMBER = rf"(?:議席番号)?[{_DIGITS}]+番"

_LEAD = re.compile(rf"^{_SPACE}*(?:[0-9０-９]{{1,4}}[:：.．]?{_SPACE}*)?(?P<mark>[{MARKS}]){_SPACE}*")
_PAGE = re.compile(rf"^{_SPACE}*(?:【{_SPACE}*[0-9０-９]+{_SPACE}*頁{_SPACE}*】|〔{_SPACE}*[0-9０-９]+{_SPACE}*頁{_SPACE}*〕){_SPACE}*")
_BRACKETS = re.compile(r"[（(](?P<inside>[^（()）]*(?:[（(][^（()）]*[)）][^（()）]*)?)[)）]?")
_NAME = re.compile(r"^[^\s0-9０-９、。,.，．!?！？:：=＝→<>「」『』【】〔〕()（）・]{1,12}$|^[^\s、。]{1,6}[ \u3000]{1,3}[^\s、。]{1,6}$")
_NOT_A_NAME = re.compile(r"登壇|起立|拍手|発言|挙手|議席|質問|答弁|説明|休憩|開会|案|件|事件|続き|要旨|関連|U\+|番号|年度")

# Words that departments' names begin with: where a surname runs into a title without a separator, it ends here.
_DEPARTMENT = re.compile(
    r"企画|総務|財政|財務|税務|市民|町民|村民|区民|県民|都民|住民|福祉|保健|健康|医療|介護|高齢|障害|障がい|子ども|こども|子育て|児童|保育|青少年|"
    r"教育|学校|学務|指導|生涯|社会|文化|スポーツ|図書|環境|清掃|生活|資源|廃棄|防災|危機|消防|警防|予防|都市|建設|建築|土木|道路|河川|港湾|"
    r"住宅|公園|緑|みどり|まちづくり|街づくり|地域|地方|産業|商工|商業|観光|農林|農業|農政|林業|水産|経済|労働|雇用|上下水道|水道|下水道|工務|管理|"
    r"交通|情報|デジタル|ＤＸ|DX|ICT|ＩＣＴ|IT|政策|行政|行革|行財政|人事|職員|契約|経理|会計|出納|用地|管財|施設|営繕|広報|秘書|庶務|議会|監査|"
    r"選挙|戸籍|国保|国民|年金|保険|納税|収納|課税|資産|移住|定住|交流|国際|男女|人権|協働|病院|支所|出張所|開発|整備|再開発|復興|中央|東部|西部|"
    r"南部|北部|担当|統括|技術|副|市長|町長|村長|区長|知事|理事|次長|参事|主幹|部長|課長|局長|室長|特別|常任|予算|決算|文教|厚生|民生|議院|広聴|"
    r"オリンピック|感染|新型|ワクチン|公営|事業|入札|未来|創生|創造|魅力|シティ|ブランド|ふるさと|林政|畜産|食肉|市場|空港|新幹線|温暖|気候|脱炭素|エネルギー|"
    r"安全|暮らし|くらし|共生|多文化|平和|消費|動物|衛生|食品|検査|試験|研究|調査|統計|法務|文書|電算|電子|総合|構造|戦略|改革|推進|女性|若者"
)


@dataclass(frozen=True)
class Header:
    """A speaker header. `rest` is what follows it on the line; name, title and role are None where not given.

    `role` is None for a deputy committee chair and for a title that the guidelines do not place.
    """

    name: str | None
    title: str | None
    role: str | None
    rest: str


def role_of(title: str | None, plenary: bool) -> str | None:
    """Return the role id that a title stands for (guidelines 3.2), or None where the title does not decide it.

    `plenary` tells a committee chair who reports (plenary) from one who presides (committee). No title at all (a
    name alone, with 君) is a member.
    """
    if title is None:
        return "member"
    bare = re.sub(r"[\s\u3000]|[（(].*?[)）]", "", title).strip(MARKS)
    if not bare:
        return None
    if _INTRODUCER.search(bare):
        return "committee_reporter"
    if _GUEST.search(bare):
        return "other"
    if _DEPUTY.search(bare):
        return "executive_official"
    if _OFFICE.search(bare) and not bare.endswith(("委員長", "議長", "委員")):
        return "other"
    if _DEPUTY_CHAIR.search(bare):
        return None
    if _SPEAKER.match(bare):
        return "chair"
    if plenary and _COMMITTEE_CHAIR.search(bare) and bare not in ("委員長", "座長"):
        return "committee_reporter"
    if _PRESIDING.match(bare):
        return "other" if plenary and bare == "会長" else "chair"
    if bare.endswith("会長"):
        return "other"
    if _HEAD.match(bare):
        return "executive_head"
    if _MEMBER.search(bare):
        return "member"
    if _OFFICIAL.search(bare):
        return "executive_official"
    return None


def parse_header(line: str, plenary: bool) -> Header | None:
    """Return the speaker header that `line` begins with, or None where it does not begin with one.

    Reads the forms of guidelines 3.2 and 3.3: any circle mark or none before a bracketed name, leading numbers,
    title before or after the name, 番 numbers, 君/さん/議員, page marks. Name and title are as written in the line.
    """
    lead = _LEAD.match(line)
    body = line[lead.end() :] if lead else line.strip(" \u3000\t")
    if lead and re.match(rf"^[{MARKS}]", body) and not re.match(rf"^[{MARKS}]{{2,}}$", body.split("（")[0]):
        return None
    found = _bracketed(body, marked=lead is not None) or (_bare(body) if lead else None)
    if found is None:
        return None
    name, title, rest = found
    rest = _PAGE.sub("", rest).lstrip(" \u3000\t")
    # A description of a header form (`○議長（氏名君） → role=議長`) is not a line of minutes.
    if re.match(r"→|->|－＞|⇒|=", rest) or re.search(r"(?:→|->)\s*(?:role|name)\s*=", rest):
        return None
    return Header(name=name, title=title, role=role_of(title, plenary), rest=rest)


def _bracketed(body: str, marked: bool) -> tuple[str | None, str | None, str] | None:
    """Read `title（name君）rest` and `（name title）rest`; brackets after a title may be several, the last is the name."""
    first = _BRACKETS.search(body)
    if first is None or first.start() > 40:
        return None
    title = body[: first.start()].strip(" \u3000\t")
    if re.search(rf"[、。,.「」=:：]|[{MARKS}]", title):
        return None
    groups = [first]
    while (following := _BRACKETS.match(body, groups[-1].end())) and not _NOT_A_NAME.search(following["inside"]):
        groups.append(following)
    inside, end = groups[-1]["inside"].strip(" \u3000\t"), groups[-1].end()
    title += "".join(group[0] for group in groups[:-1])
    if not title:
        split = _split(_HONORIFIC.sub("", inside)) if marked else None
        return None if split is None else (*split, body[end:])
    if not _is_title(title):
        return None
    number = re.match(rf"^({_NUMBER}){_SPACE}*", inside)
    name = inside[number.end() :] if number else inside
    name = _HONORIFIC.sub("", name)
    # ○議長（岡田議長君）, ○２９番（氏名議員）: the bracket repeats a title after the name.
    name = re.sub(rf"(?<=[^\s])(?:{_TITLE_END})$", "", name) if re.search(rf"(?:{_TITLE_END})$", name) else name
    name = name.strip(" \u3000\t")
    if not name or not _NAME.match(name) or _NOT_A_NAME.search(name):
        return None
    if not marked and not (_HONORIFIC.search(inside) or inside.endswith("議員")) and body[end : end + 1].strip():
        return None
    return name, title, body[end:]


def _bare(body: str) -> tuple[str | None, str | None, str] | None:
    """Read headers without brackets: `name title rest`, `title name rest`, `24番name議員 rest`, `name君 rest`."""
    head, rest = _cut(body)
    if not head or re.search(rf"[、。「」=:：<>\[\]()（）→]|[{MARKS}]", head):
        return None
    if head == "議長" and not rest:
        return None
    honorific = _HONORIFIC.search(head)
    if honorific and not re.search(rf"(?:{_TITLE_END})$", head):
        name = head[: honorific.start()]
        number = re.match(rf"^({_NUMBER})", name)
        if number and name[number.end() :]:
            return name[number.end() :], number[1], rest
        return (name, None, rest) if len(name) >= 2 and _NAME.match(name) else None
    if re.fullmatch(_NUMBER, head):
        # ○３番　甲野太郎議員　伺います: number, space, name.
        second, after = _cut(rest)
        bare = re.sub(r"(?:議員|委員)$", "", _HONORIFIC.sub("", second))
        if bare != second and bare and _NAME.match(bare):
            return bare, head, after
    found = _split(head)
    if found is None:
        # ◎戊村 都市計画課長: name, space, title.
        second, after = _cut(rest)
        if 1 <= len(head) <= 8 and _NAME.match(head) and re.search(rf"{_TITLE}$", second) and _is_title(second):
            return head, second, after
        return None
    before, title = found
    if before is None and title is not None:
        # ○総務課長　鈴木一郎　お答えします: title, space, name, space.
        second, after = _cut(rest)
        bare = _HONORIFIC.sub("", second)
        if after and 3 <= len(bare) <= 6 and _NAME.match(bare) and not _NOT_A_NAME.search(bare) and _is_person(bare):
            return bare, title, after
    return before, title, rest


def _cut(body: str) -> tuple[str, str]:
    """Split at the first white space or page mark; `答弁` after a title also ends the header."""
    match = re.match(rf"^(.*?(?:{_TITLE}))(?=答弁[.．…（(]|【|〔)", body)
    if match and not re.search(_SPACE, match[1]):
        return match[1], body[match.end() :]
    parts = re.split(rf"{_SPACE}+|(?=【)", body, maxsplit=1)
    return parts[0], parts[1] if len(parts) > 1 else ""


def _is_title(title: str) -> bool:
    """True for 24番, 市長, 総務課長, 総務部長兼危機管理監, 青山支所長（兼…） and the like."""
    bare = re.sub(r"[（(].*?[)）]", "", title).strip(" \u3000\t")
    return bool(
        re.fullmatch(_NUMBER + r"(?:議員)?", bare)
        or (re.search(rf"(?:{_TITLE})$|[長監官]$|担当$", bare) and len(bare) <= 30 and not re.search(r"[のがはをにで]\S*?$", bare[-4:-1]))
    )


def _split(head: str) -> tuple[str | None, str | None] | None:
    """Split `name title` written without a separator; None where `head` does not end with a title."""
    number = re.match(rf"^({_NUMBER})", head)
    if number:
        name = re.sub(r"(?:議員|委員)$", "", _HONORIFIC.sub("", head[number.end() :])).strip(" \u3000\t")
        return name or None, number[1]
    spaced = re.match(rf"^(\S+(?:{_SPACE}+\S+)?){_SPACE}+(\S*(?:{_TITLE}))$", head)
    if spaced and _NAME.match(spaced[1]):
        return spaced[1], spaced[2]
    ending = re.search(rf"{_TITLE}$", head)
    if ending is None or re.search(r"[はをがにでと]$", head[: ending.start()]):
        return None
    if not head[: ending.start()]:
        return None, head
    cut = _name_end(head, ending.start())
    if cut == 0:
        return None, head
    return head[:cut], head[cut:]


def _name_end(head: str, title_start: int) -> int:
    """Return how many leading characters of `head` are a person's name; 0 where it is all title."""
    simple = re.search(r"(?:仮|臨時|副)?議長$|副?委員長$|座長$|委員$|議員$|(?:副)?(?:知事|市長|町長|村長|区長|教育長)$", head)
    if simple and not _DEPARTMENT.search(head[: simple.start()]) and not head[: simple.start()].endswith("監査"):
        return simple.start()
    for department in _DEPARTMENT.finditer(head):
        # A surname may itself hold such a word (中央, 緑): the name needs a character, and people's names come first.
        if department.start() > title_start:
            break
        if department.start() == 0:
            return 0
        if department.start() >= 1:
            person = _person_length(head)
            return max(department.start(), person) if person <= department.start() + 1 and person else department.start()
    person = _person_length(head)
    return person if 0 < person <= title_start else 0


@functools.cache
def _tagger():  # type: ignore[no-untyped-def]
    import fugashi
    import unidic_lite

    return fugashi.GenericTagger(f'-r "{unidic_lite.DICDIR}/dicrc" -d "{unidic_lite.DICDIR}"')


def _person_length(text: str) -> int:
    """Length of the leading words that the dictionary knows as parts of people's names."""
    length = 0
    for word in _tagger()(text):
        if "人名" not in word.feature[:4]:
            break
        length += len(word.surface)
    return length


def _is_person(text: str) -> bool:
    return _person_length(text) == len(text)
