"""Markdown minutes: books of speech bubbles, transcripts in sections; read as the HTML that they stand for.

Library module; no command of its own.
"""

import re

from gikai.minutes.html import page_minutes
from gikai.records import Minutes

_LOOKS = re.compile(r"^#{1,6} \S|^<\w+[^<>]{0,200} data-speaker=", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
_QUOTE = re.compile(r"^\s{0,3}>\s?")
_BULLET = re.compile(r"^\s*[-*+]\s+(?=\*\*|__)")
_LINK = re.compile(r"!?\[([^\[\]]{0,300})\]\([^()\s]{0,1000}\)")
_BOLD = re.compile(r"(\*\*|__)(?=\S)([^*_\n]{1,100})\1")


def read_markdown(text: str, source: str) -> Minutes | None:
    """Return the speeches of a Markdown page, or None where `text` has neither headings nor bubbles of Markdown.

    Only what bears on who says what is read: headings, quotations, bold labels, links, and HTML as it stands. Every line
    stays a line, with the numbers of lists, which are text in minutes.
    """
    if not _LOOKS.search(text[:100_000]):
        return None
    page: list[str] = []
    quoted = False
    for line in text.splitlines():
        quote = _QUOTE.match(line)
        if bool(quote) != quoted:
            page.append("</blockquote>" if quoted else "<blockquote>")
            quoted = not quoted
        inline = _BOLD.sub(r"<b>\2</b>", _LINK.sub(r"\1", _BULLET.sub("", line[quote.end() :] if quote else line)))
        heading = _HEADING.match(inline)
        page.append(f"<h2>{heading[1]}</h2>" if heading else f"{inline}<br>" if inline.strip() else "")
    return page_minutes(f"<body>{chr(10).join(page)}{'</blockquote>' * quoted}</body>", source, "Markdown")
