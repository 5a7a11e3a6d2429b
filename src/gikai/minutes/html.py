"""HTML minutes: the pages of DB-Search, gijiroku.com and others, and any page whose lines have speaker headers.

Library module; no command of its own. A real parser gives the elements; scripts, styles and markup never reach a text.
"""

import itertools
import re
from dataclasses import dataclass, field

import lxml.etree
import lxml.html

from gikai.minutes.headers import Header, parse_header
from gikai.minutes.plain import date_of, metadata
from gikai.minutes.speeches import Block, assemble, header_of
from gikai.records import Minutes
from gikai.text import normalise, visible

_DROPPED = {"script", "style", "noscript", "template", "head", "rt", "rp", "svg", "iframe", "object"}
_FURNITURE = {"select", "option", "button", "textarea", "nav", "footer", "label", "datalist"}
_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details", "div", "dl", "dt", "fieldset", "figure",
    "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "legend", "li", "main", "nav", "ol", "p", "pre", "section", "summary",
    "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul", "option", "select", "button",
}  # fmt: skip
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6", "legend", "caption", "summary"}
_LABELS = {"b", "strong", "dt", "th", "td", "em", "u"} | _HEADINGS
_LABEL_CLASS = re.compile(r"speaker|hatsugen|発言者|(?<![a-z])name|who(?![a-z])", re.IGNORECASE)
_TURN = ("data-voice-title", "data-speaker", "data-speaker-name", "data-speaker_name")
_NUMBERS = re.compile(r"page-text__number|voice__detail|voice-detail|hit_count|page-text__hit")
_LOOKS = re.compile(r"<(?:!doctype|html|head|body|div|p|br|pre|table|span|a|ul|ol|dl|font|center|h[1-6]|meta|title)\b", re.IGNORECASE)


@dataclass
class _Flow:
    """Lines under construction: the finished ones, with what the markup says of them, and the one being written."""

    lines: list[str] = field(default_factory=list)
    labels: dict[int, str] = field(default_factory=dict)
    headings: set[int] = field(default_factory=set)
    line: str = ""
    label: str | None = None
    heading: bool = False

    def end_line(self) -> None:
        if self.line.strip():
            if self.label and self.label.strip():
                self.labels[len(self.lines)] = self.label
            if self.heading:
                self.headings.add(len(self.lines))
            self.lines.append(self.line)
        self.line, self.label, self.heading = "", None, False


def looks_like_html(text: str) -> bool:
    """True where `text` begins as an HTML page, or is a piece of one."""
    top = text[:4000]
    return bool(_LOOKS.search(top)) and (text.lstrip()[:1] == "<" or len(re.findall(r"</?\w+[^<>]*>", top)) >= 8)


def read_html(text: str, source: str) -> Minutes | None:
    """Return the speeches of an HTML page, or None where `text` is something else.

    Elements that the publishing system marks as one speaker's (`data-voice-title`, `data-speaker`) are taken as such; all
    other text is read line by line, as block elements and <br> make lines.
    """
    return page_minutes(text, source, "HTML") if looks_like_html(text) else None


def page_minutes(text: str, source: str, form: str) -> Minutes:
    """Return the minutes in HTML `text`, whatever it was made from."""
    root = parse(text)
    if root is None:
        return Minutes(source, (), format=form)
    blocks = page_blocks(root)
    names = [
        ("data-voice-title", "DB-Search HTML"), ("page-text__voice", "DB-Search HTML, one frame"), ('NAME="HUID', "gijiroku.com HTML"),
        ("data-speaker", f"{form}, speech bubbles"), ("r_Speakers.exe", "kensakusystem HTML, list of speakers"),
    ]  # fmt: skip
    furnished = form == "HTML"
    form = next((name for mark, name in names if mark in text), form)
    told = [element_text(root, "//*[contains(@class,'command__docname')]"), element_text(root, "//*[contains(@class,'command__date')]")]
    title = element_text(root, "//title") or ""
    top = [line for block in blocks for line in block.lines][:200]
    found = metadata([line for line in (*told, title) if line] + top)
    named = metadata([line for line in (*told, title) if line])
    assembly, date, meeting = (first or second for first, second in zip(named, found, strict=True))
    characters = visible("".join(_visible_text(root)))
    return assemble(
        _only_said(blocks) if furnished else blocks,
        source,
        form,
        assembly,
        date or date_of(normalise(" ".join(filter(None, told)))),
        meeting,
        characters,
    )


def parse(text: str) -> lxml.html.HtmlElement | None:
    """Return the root element of `text`, or None where nothing is in it."""
    # The parser takes no control characters and no declaration of an encoding that is no longer true.
    clean = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", " ", re.sub(r"^\s*<\?xml[^>]*\?>", "", text))
    try:
        return lxml.html.document_fromstring(clean, parser=lxml.html.HTMLParser(huge_tree=True, remove_comments=True, remove_pis=True))
    except (lxml.etree.LxmlError, ValueError):
        return None


def html_lines(text: str) -> list[str]:
    """Return the lines of an HTML fragment."""
    root = parse(text)
    return [] if root is None else [line for block in page_blocks(root) for line in block.lines]


def element_text(root: lxml.html.HtmlElement, path: str) -> str | None:
    """Return the normalised text of the first element at an XPath, or None."""
    found = root.xpath(path)
    return normalise("".join(found[0].itertext())) or None if found else None


def page_blocks(root: lxml.html.HtmlElement) -> list[Block]:
    """Return the page as blocks: one for each element that is a speaker's turn or a quotation, one for the lines between two such."""
    blocks: list[Block] = []
    flow = _Flow()
    dropped = furniture = preformatted = 0
    turns: list[tuple[lxml.html.HtmlElement, Header | None]] = []
    furniture_line = ""

    def close(**known: object) -> None:
        flow.end_line()
        # 議長 above a sentence speaks; above a name, it stands in a list of those present.
        for index in [index for index, label in flow.labels.items() if normalise(label) == normalise(flow.lines[index])]:
            if "。" not in "".join(flow.lines[index + 1 : index + 2]):
                del flow.labels[index]
        if flow.lines:
            blocks.append(Block(flow.lines, labels=flow.labels, headings=frozenset(flow.headings), **known))  # type: ignore[arg-type]
        flow.lines, flow.labels, flow.headings = [], {}, set()

    def close_turn() -> None:
        header = turns[-1][1] if turns else None
        close(turn=bool(turns), header=header)

    def write(text: str | None) -> None:
        nonlocal furniture_line
        if not text or dropped:
            return
        if furniture:
            furniture_line += text
            return
        pieces = re.split(r"\r\n?|\n", text) if preformatted else [re.sub(r"[ \t\r\n\f]+", " ", text)]
        for index, piece in enumerate(pieces):
            if index:
                flow.end_line()
            flow.line += piece

    # A damaged page may hold several roots, one after the other.
    roots = (root, *root.itersiblings())
    for event, element in itertools.chain.from_iterable(lxml.etree.iterwalk(each, events=("start", "end")) for each in roots):
        tag = element.tag if isinstance(element.tag, str) else ""
        classes = element.get("class") or ""
        furnished = tag in _FURNITURE or bool(_NUMBERS.search(classes))
        if event == "start":
            turn = next((element.get(key) for key in _TURN if element.get(key)), None)
            if (turn or "page-text__voice" in classes) and not turns and not dropped:
                close()
                turns.append((element, speaker_header(turn) if turn else None))
            elif tag == "blockquote" and not turns:
                close()
            if tag in _BLOCKS:
                flow.end_line()
            if tag in _HEADINGS:
                flow.heading = True
            dropped += tag in _DROPPED
            if furnished and not furniture and not dropped:
                flow.end_line()
            furniture += furnished
            preformatted += tag == "pre"
            write(element.text)
        else:
            if (
                not dropped
                and not furniture
                and flow.label is None
                and flow.line.strip()
                and (tag in _LABELS or _LABEL_CLASS.search(classes))
            ):
                whole = "".join(element.itertext())
                if normalise(whole) == normalise(flow.line):
                    flow.label = flow.line
            dropped -= tag in _DROPPED
            preformatted -= tag == "pre"
            if furnished:
                furniture -= 1
                if not furniture and furniture_line.strip():
                    if turns:
                        close_turn()
                    else:
                        close()
                    blocks.append(Block([re.sub(r"\s+", " ", furniture_line)], kind="navigation"))
                    furniture_line = ""
            if tag in _BLOCKS:
                flow.end_line()
            if turns and turns[-1][0] is element:
                close_turn()
                turns.pop()
            elif tag == "blockquote" and not turns:
                close()
            write(element.tail)
    close()
    return blocks


def _only_said(blocks: list[Block]) -> list[Block]:
    """Return `blocks`; in a page without any speaker, only paragraphs count as said, and the rest is furniture."""
    if any(block.header or block.turn for block in blocks):
        return blocks
    if any(header_of(line, block.labels.get(index), plenary=True) for block in blocks for index, line in enumerate(block.lines)):
        return blocks
    kept: list[Block] = []
    for block in blocks:
        said = [line for line in block.lines if "。" in line]
        other = [line for line in block.lines if "。" not in line]
        kept += [Block(other, kind="navigation")] * bool(other) + [Block(said, kind=block.kind)] * bool(said)
    return kept


def speaker_header(label: str | None) -> Header | None:
    """Return who a label such as `◯議長（甲野太郎君）` or `👍 乙山花子議員（新緑会）` names; a plain name has no role."""
    if not label:
        return None
    bare = re.sub(r"^[^\w○◯〇◎◆●△（(]+", "", normalise(label))
    for text in (bare, f"○{bare}", f"○{re.sub(r'[(（][^()（）]*[)）]$', '', bare)}"):
        header = parse_header(text, plenary=True)
        if header is not None and not header.rest.strip():
            return header
    return Header(bare, None, None, "") if bare else None


def _visible_text(root: lxml.html.HtmlElement) -> list[str]:
    """Return the text nodes of the page that are not in dropped elements: the count that the reading is checked against."""
    hidden: dict[lxml.html.HtmlElement, bool] = {}
    texts: list[str] = []
    for node in root.xpath("//text()"):
        parent = node.getparent().getparent() if node.is_tail else node.getparent()
        if parent is None:
            continue
        if parent not in hidden:
            hidden[parent] = parent.tag in _DROPPED or any(ancestor.tag in _DROPPED for ancestor in parent.iterancestors())
        if not hidden[parent]:
            texts.append(str(node))
    return texts
