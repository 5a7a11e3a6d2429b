"""Speaker headers of assembly minutes: who speaks, with which title, in which role (data/GUIDELINES.md, section 3).

Library module; no command of its own. `parse_header("○市長（甲野太郎君）　お答えします。", plenary=True)`
"""

import functools
import re
from dataclasses import dataclass

MARKS = "○◯〇◎◉⚪⭕●◆◇□■△▲▽▼☆★"
_BULLETS = "・･*＊"
"""Marks that begin a list far more often than a speech: after them only a title with a bracketed name is a header."""
_DIGITS = "0-9０-９一二三四五六七八九十百"
_SPACE = r"[ \u3000\t\xa0]"

# Row numbers are those of the guidelines' table 3.2; the first row that matches decides.
_COUNCIL = "(?:選挙管理|農業|公平|教育|人事|収用|公安|海区漁業調整|固定資産評価審査)"
_GOVERNMENT = re.compile(r"政府参考人|政府委員|政府特別補佐人|説明員$")
_GUEST = re.compile(r"参考人|公述人|証人|請願者|請願人|陳情者|陳情人|請願提出者|陳情提出者|来賓|外部監査人|意見陳述")
_INTRODUCER = re.compile(r"紹介議員|提出者|提案者|発議者")
_OFFICE = re.compile(
    r"議会.*(?:局|部|課|室)|^事務局(?:長|次長|主幹|主査|書記|職員)?$|^(?:書記|書記長|局長補佐)$|^議事(?:調査)?(?:部|課|係|担当|グループ)"
)
_DEPUTY = re.compile(rf"副(?:知事|市長|町長|村長|区長)|教育長|監査委員|{_COUNCIL}委員会?.*(?:長|委員|次長|職務代理者?)$|{_COUNCIL}委員$")
_DEPUTY_CHAIR = re.compile(r"副(?:委員|会|座)長$|副主査$")
_COMMITTEE_CHAIR = re.compile(r"(?:委員会?|分科会|協議会|部会|審査会|調査会)(?:委員|会|座)?長$|分科会主査$")
_BARE_CHAIR = re.compile(r"^(?:年長|臨時|仮|新|前)?(?:委員長|座長)$")
_SPEAKER = re.compile(
    r"^(?:仮|臨時|副|年長|新|前|市会|町会|村会|区会|県会|市議会|町議会|村議会|区議会|県議会|府議会|道議会|都議会)?(?:副)?議長(?:職務代理者?|代理)?$|^年長(?:議員|委員)$"
)
_PRESIDING = re.compile(
    r"(?:委員会?|分科会|協議会|部会|審査会|調査会)(?:委員|会|座)?長(?:代理|職務代理者?)?$|座長(?:代理|職務代理者?)?$|^会長(?:代理|職務代理者?)?$|分科会.*主査$"
)
_OFFICIAL = re.compile(
    r"(?:[部課局室所館園署校場院係班団]長|次長|参事官?|副?主幹|主査|主任|主事|補佐|理事|[監官課室係]|管理者|消防長|事務長|助役|収入役|出納長|"
    r"出納員|所管|担当|専門員|専門監|大臣|技師|保健師|指導主事|調整役|責任者|代表者?|長)$"
)
_HEAD = re.compile(r"^[一-龥々〆ヶケノぁ-んァ-ヶー]{0,7}(?:知事|市長|町長|村長|(?<!行政)(?<!地)(?<!大)区長)(?:職務代理者?|職務執行者)?$")
_UNION_HEAD = re.compile(r"広域連合長$|^企業長$|組合長$|(?:組合|企業団)管理者$|^内閣総理大臣$")
_MEMBER = re.compile(rf"^(?:議席番号|第)?[{_DIGITS}]+番(?:議員|委員)?$|議員$|委員$")
_QUALIFIERS = r"(?:職務代理者?|職務執行者|代理|心得|事務取扱|取扱|兼務|兼任|併任)"

# What a title can end with: where a header has no brackets, this is what tells it from an agenda line.
_TITLE_END = (
    r"議長|委員長|座長|分科会長|部会長|協議会長|会長|知事|市長|町長|村長|区長|教育長|部長|課長|局長|室長|公室長|所長|館長|園長|署長|校長|場長|院長|"
    r"係長|班長|団長|消防長|事務長|本部長|センター長|支所長|連合長|組合長|企業長|次長|参事官|副参事|参事|副主幹|主幹|主査|主任|主事|課長補佐|部長補佐|"
    r"補佐官|補佐|副理事|理事|政策監|危機管理監|管理監|技監|調整監|監理監|推進監|統括監|専門監|教育監|医監|総監|管理官|統括官|審議官|政務官|長官|管理者|"
    r"助役|収入役|出納長|監査委員|書記長|書記|委員|議員|参考人|公述人|証人|請願者|陳情者|監査人|提出者|提案者|発議者|大臣|事務局"
)
_TITLE = rf"(?:{_TITLE_END}){_QUALIFIERS}?"
_ENDS_IN_TITLE = re.compile(rf"{_TITLE}$")
_BEGINS_WITH_TITLE = re.compile(r"^(?:副?議長|副?委員長|座長|副?市長|副?町長|副?村長|副?区長|副?知事|教育長)")
_LOOSE_TITLE = re.compile(r"(?:[長監官]|担当|専門員)$")
_HONOURED_TITLE = re.compile(r"[師士員者人手役職課室係]$")
"""With a mark before it and 君 after the name in its bracket, this is a title too (保健師, 弁護士, 総務課)."""
_HONORIFIC = re.compile(rf"{_SPACE}*(?:君|くん|さん|様|氏|殿|女史|先生)$")
_NUMBER = rf"(?:議席番号|第)?[{_DIGITS}]+番"
# Headings that end like a title, or name people without letting them speak.
_NO_TITLE = re.compile(
    r"質問|質疑|討論|挨拶|署名|出席|欠席|遅刻|早退|不応招|応招|傍聴人|選挙(?!管理)|選任|選出|辞職|辞任|就任|互選|任命|指名|報告|提出議案|答弁者|質問者|発言者|説明者|出席者|^各|^両|^全|^他の|^議席$|^同"
)

# Without one of each, a line is no header: most lines are settled by that.
_SIGN = re.compile(rf"[{MARKS}{re.escape(_BULLETS)}（()）〔\[［【＜<〈《:：]")
_TITULAR = re.compile(r"[長監官員番君氏者事査任補幹役書記人臣局ん様史生殿佐師士手職課室係当理心扱務長]")
_WINDOW = 240
"""A header ends within so many characters; what follows on the line is not looked at."""
_LEAD = re.compile(
    rf"^{_SPACE}*(?:[\[［(（]?[0-9０-９]{{1,4}}[\]］)）]?[:：.．]?{_SPACE}*)?(?P<mark>[{MARKS}{re.escape(_BULLETS)}])[\ufe0e\ufe0f]?{_SPACE}*"
)
_PAGE_INSIDE = rf"{_SPACE}*(?:p\.?|P\.?|Ｐ)?{_SPACE}*[0-9０-９]+{_SPACE}*(?:頁|ページ){_SPACE}*"
_PAGE = re.compile(
    rf"^{_SPACE}*(?:【{_PAGE_INSIDE}】|〔{_PAGE_INSIDE}〕|\[{_PAGE_INSIDE}\]|［{_PAGE_INSIDE}］|[(（]{_PAGE_INSIDE}[)）]){_SPACE}*"
)
_SPACED_TITLE = re.compile(
    rf"^(?P<title>[^\s（(](?:{_SPACE}{{1,3}}[^\s（(]){{1,6}})(?={_SPACE}*[（(〔【]|{_SPACE}{{2,}}|{_SPACE}\S{{2,}}|$)"
)
_PAIRS = {"（": "）)", "(": ")）", "〔": "〕", "[": "]］", "［": "］]", "【": "】", "＜": "＞", "<": ">", "〈": "〉", "《": "》"}
_OPEN = re.compile("[（(〔\\[［【＜<〈《]")
_NAME = re.compile(
    r"^(?:[^\s0-9０-９、。,.，．!?！？:：;；=＝→<>＜＞「」『』【】〔〕\[\]［］()（）・/／*＊#]{1,14}"
    r"|[^\s、。「」（()）]{1,7}[ \u3000\t\xa0]{1,4}[^\s、。「」（()）]{1,7}"
    r"|[^\s、。「」（()）]{1,2}(?:[ \u3000\t\xa0]{1,3}[^\s、。「」（()）]{1,3}){2,5}"
    r"|[ァ-ヶー一-龥々]{1,10}・[ァ-ヶー一-龥々・]{1,14}"
    r"|[^\s0-9０-９、。（()）]{1,4}[（(][^（()）\s]{1,3}[)）][^\s0-9０-９、。（()）]{0,4})$"
)
_NOT_A_NAME = re.compile(
    r"登壇|降壇|起立|着席|退席|退場|入場|拍手|発言|挙手|議席|質問|質疑|答弁|説明|休憩|開会|開議|散会|閉会|再開|案$|^案|事件|続き|要旨|関連|U\+|番号|年度|"
    r"なし$|^無$|^略$|省略|[0-9０-９][人名]|^[一二三四五六七八九十百]+[人名番]$|提出|報告|可決|否決|採決|以下|参照|内線|兼務|担当$|資料|別紙|予定|仮称"
)
# What follows a name that is only mentioned: 「市長（…君）から」, 「議長（…）の不信任」.
_MENTIONED = re.compile(
    r"^(?:[のをがへ、。，・,)）]|から|より|に(?:対|関|つ|よ|お願|は|も)|は、|も、|と(?:の|、|と)|ほか|外|及び|並びに|ら[がは、]|による)"
)
_HEADING_REST = re.compile(
    r"^[^。、…]{0,24}(?:説明|報告|質疑|挨拶|あいさつ|提案|選挙|辞職|指名|互選|について|の件|議案|方針|討論|採決|質問)$"
)

# Words that departments' names begin with: where a surname runs into a title without a separator, it ends here.
_DEPARTMENT = re.compile(
    r"企画|総務|財政|財務|税務|市民|町民|村民|区民|県民|都民|府民|道民|住民|福祉|保健|健康|健幸|医療|医務|介護|高齢|長寿|障害|障がい|子ども|こども|子供|子育て|"
    r"児童|保育|青少年|母子|家庭|教育|学校|学務|指導|生涯|社会|文化|スポーツ|体育|図書|環境|清掃|生活|資源|循環|廃棄|リサイクル|ごみ|防災|防犯|危機|消防|"
    r"警防|警察|警備|救急|予防|都市|建設|建築|土木|道路|河川|港湾|住宅|公園|緑地|緑化|緑政|みどり|まちづくり|街づくり|まち|地域|地方|産業|商工|商業|観光|農林|"
    r"農業|農政|農村|農地|耕地|林業|林務|森林|水産|漁業|漁港|経済|労働|雇用|しごと|上下水道|水道|下水道|工務|工事|管理|交通|情報|通信|デジタル|スマート|ＤＸ|"
    r"DX|ICT|ＩＣＴ|IT|ＩＴ|政策|行政|行革|行財政|人事|人材|職員|契約|経理|会計|出納|用地|管財|施設|設備|庁舎|営繕|広報|秘書|庶務|議会|区議会|市議会|町議会|"
    r"村議会|県議会|都議会|府議会|道議会|議事|監査|代表|選挙|戸籍|国保|国民|年金|保険|納税|収納|徴収|債権|課税|資産|移住|定住|交流|国際|男女|人権|協働|自治|"
    r"コミュニティ|病院|市立|町立|村立|区立|県立|都立|市営|町営|区政|都政|県政|市政|町政|村政|支所|出張所|総合支所|開発|整備|再開発|復興|中央|東部|西部|南部|"
    r"北部|担当|総括|統括|技術|副|市長|町長|村長|区長|知事|理事|次長|参事|主幹|部長|課長|局長|室長|特別|常任|臨時|予算|決算|文教|厚生|民生|議院|広聴|広域|"
    r"オリンピック|感染|新型|ワクチン|公営|事業|企業|誘致|入札|未来|創生|創造|魅力|シティ|ブランド|ふるさと|林政|畜産|食肉|食育|給食|市場|空港|鉄道|新幹線|"
    r"温暖|気候|脱炭素|ゼロカーボン|カーボン|ＧＸ|GX|ＳＤＧ|SDG|エネルギー|安全|安心|国務|暮らし|くらし|共生|多文化|平和|消費|動物|衛生|食品|検査|試験|研究|調査|統計|"
    r"事務局|法務|法制|文書|電算|電子|総合|構造|戦略|改革|推進|女性|若者|支援|相談|包括|発達|保護|生産|販売|物産|歴史|博物館|美術館|公民館|景観|区画|滞納|"
    r"歳入|歳出|債務|ものづくり|待機|住環境|街路|小中一貫|幼保|木密|制度|水と|水道|長期|災害|マスタープラン|報道|プロモーション|ＩＳＯ|ISO|定額|給付|新市場|金融|研修|海外|連絡|主税|財産|パラリンピック|ラグビー|卸売|収税|局|区長室|市長室|町長室|知事室|健全|健診|保険|看護|動植物|自然|鳥獣|有害|空家|空き家|空き|宅地|建物|設計|土地|固定資産|市街地|鉄軌道|地下鉄|バス|自転車|駐車|駐輪|航路|離島|山村|過疎|半島|豊か|元気|いきいき|はつらつ|すこやか|健やか|あんしん|ささえあい|つながり|関係人口|人口|少子|若年|雇い|授産|更生|援護|引揚|同和|隣保|外国|姉妹|友好|平和|憲政|公聴|情政|電算|統合|一元|再生|活性|にぎわい|賑わい|商店|伝統|工業|鉱業|醸造|食料|食と|果樹|園芸|特産|物流|流通|計量|危険|保安|火薬|特殊|指令|通報|調停|訴訟|争訟|訟務|不動産|借地|公共|公有|公用|車両|守衛|電話|文書|印刷|広告|観測|調達|監理|計画|施策|公室|内部|外部|基地|渉外|国土|治水|砂防|下水|浄水|環状|新庁舎|教委|公平|固定|収用|海区|公安|大臣|内閣"
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


_Found = tuple[str | None, str | None, str]
"""Name, title, and what follows on the line."""


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
    if _GOVERNMENT.search(bare):
        return "executive_official"
    if _GUEST.search(bare):
        return "other"
    if _DEPUTY.search(bare):
        return "executive_official"
    if _OFFICE.search(bare) and not bare.endswith(("委員長", "議長", "委員")):
        return "other"
    if _DEPUTY_CHAIR.search(bare):
        return None
    if _SPEAKER.match(bare) or _BARE_CHAIR.match(bare):
        return "chair"
    if plenary and _COMMITTEE_CHAIR.search(bare):
        return "committee_reporter"
    if _PRESIDING.search(bare):
        return "other" if plenary and bare == "会長" else "chair"
    if bare.endswith("会長"):
        return "other"
    if _HEAD.match(bare) or _UNION_HEAD.search(bare):
        return "executive_head"
    if _MEMBER.search(bare):
        return "member"
    if _OFFICIAL.search(re.sub(rf"{_QUALIFIERS}$", "", bare)):
        return "executive_official"
    return None


def parse_header(line: str, plenary: bool) -> Header | None:
    """Return the speaker header that `line` begins with, or None where it does not begin with one.

    Reads the forms of guidelines 3.2 and 3.3: any circle mark or none before a bracketed name, leading numbers,
    title before or after the name, 番 numbers, 君/さん/議員, page marks, a bracket lost on one side, 【name title】 and
    `title:`. Name and title are as written in the line.
    """
    line, tail = line[:_WINDOW], line[_WINDOW:]
    if not (_SIGN.search(line) and _TITULAR.search(line)):
        return None
    lead = _LEAD.match(line)
    mark = lead["mark"] if lead else ""
    body = line[lead.end() :] if lead else line.strip(" \u3000\t\xa0")
    # ○○番（…）, ○○○課長: the circles stand for a name or number left out, in an example or a form.
    if not body or (mark and body[0] in MARKS):
        return None
    spaced = _SPACED_TITLE.match(body)
    if spaced and re.fullmatch(rf"副?{_TITLE}" + r"|\S+[部課局室所]長", tight := re.sub(r"\s", "", spaced[0])):
        body = tight + body[spaced.end() :]
    found = _bracketed(body, mark)
    if found is None and mark and mark not in _BULLETS:
        found = _bare(body)
    if found is None:
        found = _colon(body) or _half_bracket(body, mark)
    if found is None:
        return None
    name, title, rest = found
    rest = _PAGE.sub("", rest).lstrip(" \u3000\t\xa0")
    rest = re.sub(rf"^[:：]{_SPACE}*", "", rest)
    rest = re.sub(rf"^登壇(?:{_SPACE}+|$)", "", rest)
    # A description of a header form (`○議長（氏名君） → role=議長`) is not a line of minutes.
    if re.match(r"→|->|－＞|⇒|=", rest) or re.search(r"(?:→|->)\s*(?:role|name)\s*=", rest):
        return None
    return Header(name=name, title=title, role=role_of(title, plenary), rest=rest + tail)


def _bracketed(body: str, mark: str) -> _Found | None:
    """Read `title（name君）rest`, `（name title）rest`, `【name title】rest`; of several brackets the last holds the name."""
    opening = _OPEN.search(body)
    if opening is None or opening.start() > 44:
        return None
    title = body[: opening.start()].strip(" \u3000\t\xa0")
    if re.search(rf"[、。,「」=:：]|[{MARKS}]", title):
        return None
    inside, end = _inside(body, opening.start())
    if inside is None:
        return None
    if not title:
        if not mark and body[0] not in "【〔（(＜《":
            return None
        return _enclosed(inside, body[end:], mark)
    if len(title) <= 4 and 1 <= len(inside) <= 3 and not _is_title(title) and not _HONORIFIC.search(inside):
        # ○久我（正）議員: two members of one surname are told apart by a character of the given name.
        following = _split_titled(body[end:], mark)
        if following is not None and mark:
            return body[: opening.start()].strip() + body[opening.start() : end], following[1], following[2]
        return None
    while (following_open := _OPEN.match(body, end)) is not None:
        another, after = _inside(body, following_open.start())
        if another is None or _NOT_A_NAME.search(another) or not _NAME.match(_without_titles(another)):
            break
        title, inside, end = title + body[opening.start() : end], another, after
        opening = following_open
    honoured = _HONORIFIC.search(inside.strip()) or inside.endswith(("議員", "委員"))
    if not honoured and (member := re.fullmatch(r"(\S{2,6}?)(議員|委員)", title)) and _person_length(member[1]) >= 2:
        # 真鍋和人議員（新緑会）: the bracket holds the member's group.
        return member[1], member[2], body[end:]
    if not _is_title(title) and not (
        mark and honoured and len(title) <= 12 and _HONOURED_TITLE.search(title) and not _NO_TITLE.search(title)
    ):
        return None
    name = _name_inside(inside)
    rest = body[end:]
    if name is None:
        # ○市長（登壇）, ○町長【3頁】: the bracket does not name anybody.
        return None
    if _MENTIONED.match(rest) or (len(name) == 1 and not honoured and rest[:1].strip()):
        return None
    if not mark and not honoured and rest[:1].strip():
        return None
    return name, title, rest


def _inside(body: str, start: int) -> tuple[str | None, int]:
    """Return what the bracket at `start` holds, nested brackets included, and where it ends; (None, 0) where it never does.

    A bracket that is not closed ends at the first white space.
    """
    closing, depth = _PAIRS[body[start]], 0
    for position in range(start, min(len(body), start + 60)):
        if body[position] == body[start]:
            depth += 1
        elif body[position] in closing:
            depth -= 1
            if depth == 0:
                return body[start + 1 : position], position + 1
    unclosed = re.match(r"[^\s、。（()）]{2,8}(?=\s|$)", body[start + 1 :])
    return (unclosed[0], start + 1 + unclosed.end()) if unclosed and body[start] in "（(" else (None, 0)


def _enclosed(inside: str, rest: str, mark: str) -> _Found | None:
    """Read what stands alone in a bracket: `name title`, `title name君`, `番 name君`, `name君`."""
    inside = inside.strip(" \u3000\t\xa0")
    if _NOT_A_NAME.search(inside) or (not mark and (_HONORIFIC.search(inside) or not _ENDS_IN_TITLE.search(inside))):
        return None
    if _MENTIONED.match(rest) or (not mark and rest[:1].strip() and rest[:1] in "（("):
        return None
    found = _bare(inside)
    if found is None or found[2]:
        return None
    name, title, _ = found
    if name is None and title is not None and re.fullmatch(_NUMBER, title):
        honoured = _bare(rest)
        return (honoured[0], title, honoured[2]) if honoured and honoured[0] and honoured[1] is None else None
    # （市長） alone says what stands before it in an agenda; with speech after it, who speaks.
    return None if name is None and (mark or not rest.strip()) and title not in ("議長", "委員長") else (name, title, rest)


def _name_inside(inside: str) -> str | None:
    """Return the person that a bracket after a title names, or None where it names nobody."""
    inside = inside.strip(" \u3000\t\xa0")
    number = re.match(rf"^{_NUMBER}{_SPACE}*", inside)
    name = re.sub(r"(?:君|さん|氏|様)?登壇$", lambda m: m[0].removesuffix("登壇"), inside[number.end() if number else 0 :])
    name = _without_titles(name)
    if not name or not _NAME.match(name) or _NOT_A_NAME.search(name):
        return None
    # 会長（区長）: a title, not a person.
    return None if re.fullmatch(rf"(?:[副前元新])?{_TITLE}", name) else name


def _without_titles(name: str) -> str:
    """Drop 君 and the like, and a title repeated after the name: 砂川議長君, 氏名議員."""
    name = _HONORIFIC.sub("", name.strip(" \u3000\t\xa0"))
    repeated = _ENDS_IN_TITLE.search(name)
    return name[: repeated.start()].strip(" \u3000\t\xa0") if repeated and repeated.start() else name


def _bare(body: str) -> _Found | None:
    """Read headers without brackets: `name title rest`, `title name rest`, `24番name議員 rest`, `name君 rest`."""
    titled = re.match(rf"^(\S*?(?:{_TITLE}))(?=答弁[.．…（(]|【|〔|\[|［)", body)
    if titled:
        return _first_token(titled[1], "", body[titled.end() :])
    return _first_token(*_cut(body))


def _cut(body: str) -> tuple[str, str, str]:
    """Split at the first white space: what precedes it, itself, what follows."""
    space = re.search(rf"{_SPACE}+", body)
    return (body[: space.start()], space[0], body[space.end() :]) if space else (body, "", "")


def _first_token(head: str, gap: str, rest: str) -> _Found | None:
    """Read the header that the first word `head` of a line begins; `gap` is the white space after it."""
    if not head or re.search(rf"[、。「」=:：<>\[\]()（）→/／]|[{MARKS}]", head) or _NO_TITLE.search(head):
        return None
    if _HEADING_REST.match(rest):
        return None
    honorific = _HONORIFIC.search(head)
    if honorific and not _ENDS_IN_TITLE.search(head):
        return _honoured(head[: honorific.start()], rest)
    number = re.fullmatch(rf"({_NUMBER})(?:議員|委員)?", head)
    if number:
        name, after = _following_name(rest)
        return (name, number[1], after) if name else (None, head, rest)
    found = _split(head)
    if found is None:
        return _spaced(head, gap, rest)
    name, title = found
    if name is None:
        following, after = _following_name(rest)
        if following:
            return following, title, after
    return name, title, rest


def _honoured(head: str, rest: str) -> _Found | None:
    """Read what precedes 君: a name, a number and a name, or a title and a name."""
    number = re.match(rf"^({_NUMBER})", head)
    if number and head[number.end() :]:
        return head[number.end() :], number[1], rest
    title = _BEGINS_WITH_TITLE.match(head)
    if title and len(head) - title.end() >= 2:
        return head[title.end() :], title[0], rest
    return (head, None, rest) if len(head) >= 2 and _NAME.match(head) else None


def _following_name(rest: str) -> tuple[str | None, str]:
    """Return the name that `rest` begins with (一語, or two before 君 or 議員), and what follows it."""
    second, gap, after = _cut(rest)
    bare = re.sub(r"(?:議員|委員)$", "", _HONORIFIC.sub("", second))
    if bare and bare != second and _NAME.match(bare):
        return bare, after
    third, _, further = _cut(after)
    if 1 <= len(second) <= 4 and _NAME.match(second):
        if third in ("君", "議員", "さん", "氏"):
            return second, further
        given = re.sub(r"(?:議員|委員)$", "", _HONORIFIC.sub("", third))
        if given and given != third and len(given) <= 5 and _NAME.match(given):
            return second + gap + given, further
    if 3 <= len(bare) <= 6 and _NAME.match(bare) and not _NOT_A_NAME.search(bare):
        known = _person_length(bare, "人名|地名")
        if known == len(bare) or (known >= 2 and after and len(bare) - known <= 3 and not re.search(r"[のはをにがでともへ]$", bare)):
            return bare, after
    return None, rest


def _spaced(head: str, gap: str, rest: str) -> _Found | None:
    """Read `surname title` and `surname given-name title`, in each of which spaces stand between the parts; or `name 君`."""
    if not (1 <= len(head) <= 8 and _NAME.match(head)) or _NOT_A_NAME.search(head) or _NO_TITLE.search(head):
        return None
    second, _, after = _cut(rest)
    if re.search(r"[、。]", second):
        return None
    if _ENDS_IN_TITLE.search(second) and _is_title(second):
        given = re.fullmatch(r"(\S{1,4}?)(?:議員|委員|議長|委員長|市長|町長|村長|区長|知事)", second)
        split = _split(second) if given and len(head) <= 4 else None
        if split and split[0] and not split[0].startswith("副"):
            return head + gap + split[0], split[1], after
        return head, second, after
    honorific = _HONORIFIC.search(second)
    if honorific and len(head) <= 4 and len(second) <= 6:
        return head + gap * bool(honorific.start()) + second[: honorific.start()], None, after
    third, _, further = _cut(after)
    if len(head) <= 4 and len(second) <= 5 and _NAME.match(second) and _ENDS_IN_TITLE.search(third) and _is_title(third):
        return head + gap + second, third, further
    return None


def _colon(body: str) -> _Found | None:
    """Read `委員長(小田切君):rest` after its bracket is gone, `庶務係長:rest` and `真鍋委員：rest`."""
    match = re.match(rf"^([^\s、。:：「」（()）]{{2,24}}){_SPACE}?[:：](?!//)", body)
    if match is None or not _ENDS_IN_TITLE.search(match[1]) or _NO_TITLE.search(match[1]):
        return None
    found, rest = _split(match[1]), body[match.end() :]
    # 市長：任期４年 is an entry of a list.
    return None if found is None or (found[0] is None and rest and "。" not in rest) else (*found, rest)


def _half_bracket(body: str, mark: str) -> _Found | None:
    """Read headers that lost their opening bracket: `委員長小田切正文)`, `小田切正文委員長)`."""
    match = re.match(rf"^([^、。:：「」（()）\[\]]{{2,26}})[)）](?={_SPACE}|[^、。]|$)", body)
    if match is None or _NO_TITLE.search(match[1]) or (not mark and not _ENDS_IN_TITLE.search(match[1])):
        return None
    inside = match[1].strip()
    number = re.match(rf"^({_NUMBER})(\S.*)$", inside)
    title = _BEGINS_WITH_TITLE.match(inside)
    if title or number:
        given = title[0] if title else number[1] if number else ""
        name = _without_titles(inside[len(given) :])
        return (name, given, body[match.end() :]) if len(name) >= 2 and _NAME.match(name) else None
    if not _ENDS_IN_TITLE.search(inside):
        return None
    found = _split(inside)
    return None if found is None else (*found, body[match.end() :])


def _split_titled(text: str, mark: str) -> _Found | None:
    """Return (None, title, rest) where `text` begins with a title and white space."""
    head, _, rest = _cut(text)
    return (None, head, rest) if mark and _ENDS_IN_TITLE.search(head) and _is_title(head) else None


def _is_title(title: str) -> bool:
    """True for 24番, 市長, 総務課長, 総務部長兼危機管理監, 青山支所長（兼…） and the like."""
    bare = re.sub(r"[（(].*?[)）]", "", title).strip(" \u3000\t\xa0")
    if _NO_TITLE.search(bare) or not re.match(r"\w", bare):
        return False
    if re.fullmatch(_NUMBER + r"(?:議員|委員)?", bare):
        return True
    ends = _ENDS_IN_TITLE.search(bare) or _LOOSE_TITLE.search(bare) or re.search(rf"{_QUALIFIERS}$", bare)
    return bool(ends and len(bare) <= 44 and not re.match(r"[0-9０-９]", bare) and not re.search(r"[のがはをにで]\S*?$", bare[-4:-1]))


def _split(head: str) -> tuple[str | None, str | None] | None:
    """Split `name title` written without a separator; None where `head` does not end with a title."""
    number = re.match(rf"^({_NUMBER})", head)
    if number:
        name = re.sub(r"(?:議員|委員)$", "", _HONORIFIC.sub("", head[number.end() :])).strip(" \u3000\t\xa0")
        return name or None, number[1]
    spaced = re.match(rf"^(\S+(?:{_SPACE}+\S+)?){_SPACE}+(\S*(?:{_TITLE}))$", head)
    if spaced and _NAME.match(spaced[1]):
        return spaced[1], spaced[2]
    ending = _ENDS_IN_TITLE.search(head)
    if ending is None or re.search(r"[はをがにでと]$", head[: ending.start()]):
        return None
    if not head[: ending.start()]:
        return None, head
    cut = _name_end(head, ending.start())
    if cut == 0:
        return None, head
    return (head[:cut].strip(" \u3000\t\xa0"), head[cut:]) if len(head[:cut]) <= 10 else None


def _name_end(head: str, title_start: int) -> int:
    """Return how many leading characters of `head` are a person's name; 0 where it is all title."""
    simple = re.search(
        r"(?:仮|臨時|副)?議長$|副?委員長$|座長$|委員$|議員$|(?:副)?(?:知事|市長|町長|村長|区長|教育長)$|"
        r"助役$|収入役$|出納長$|書記長?$|技監$|副?参事$|副?理事$|副?主幹$|参考人$|公述人$|証人$|次長$|消防長$",
        head,
    )
    if simple and not _DEPARTMENT.search(head[: simple.start()]) and not head[: simple.start()].endswith("監査"):
        return simple.start()
    ends, noun = _leading_names(head)
    starts = [match.start() for match in _overlapping(_DEPARTMENT, head) if match.start() <= title_start]
    # A surname may itself begin with such a word (緑川, 南部): a name that the dictionary knows, right before one, comes first.
    known = [end for end in ends if end in starts or end == title_start]
    if known:
        return known[0]
    if 0 in starts:
        return 0
    before = ends[-1] if ends else 0
    if noun and (not starts or starts[0] > before + (0 if ends else 2)):
        # A department that the list does not know begins with a common noun: 災害対策, 財産管理.
        return before
    if starts:
        return starts[0]
    return ends[-1] if ends and ends[-1] <= title_start else 0


def _leading_names(text: str) -> tuple[list[int], bool]:
    """Return where the leading words end that the dictionary knows as people's names, and whether a common noun follows them."""
    ends: list[int] = []
    length = 0
    for word in _tagger()(text.encode("utf-8", "ignore").decode()):
        kinds = "/".join(word.feature[:4])
        if "人名" not in kinds:
            return ends, "普通名詞" in kinds and len(word.surface) >= 2
        length += len(word.surface)
        ends.append(length)
    return ends, False


def _overlapping(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    return [match for start in range(len(text)) if (match := pattern.match(text, start))]


@functools.cache
def _tagger():  # type: ignore[no-untyped-def]
    import fugashi
    import unidic_lite

    return fugashi.GenericTagger(f'-r "{unidic_lite.DICDIR}/dicrc" -d "{unidic_lite.DICDIR}"')


def _person_length(text: str, kinds: str = "人名") -> int:
    """Length of the leading words that the dictionary knows as parts of people's names (or of the `kinds` given)."""
    length = 0
    for word in _tagger()(text.encode("utf-8", "ignore").decode()):
        if not re.search(kinds, "/".join(word.feature[:4])):
            break
        length += len(word.surface)
    return length
