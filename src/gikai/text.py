"""The one normalisation that every text goes through before anything else looks at it.

Library module; no command of its own.
"""

import re
import unicodedata

NORMALISATION = 1
"""Version of `normalise`, recorded in every run: a run reads only texts normalised as it was trained on."""

# Control and invisible format characters, and halves of surrogate pairs; they carry no meaning in minutes and split words in MeCab.
_INVISIBLE = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ud800-\udfff]")
_SPACES = re.compile(r"\s+")


def normalise(text: str) -> str:
    """Return `text` in NFKC, without invisible characters, every run of white space one plain space, ends stripped.

    Full-width digits and brackets become half-width, half-width katakana full-width. Idempotent. Offsets that gikai
    writes refer to text in this form.
    """
    # Most of what is read is in this form already: printable text holds nothing invisible, and of white space only the plain space.
    if text.isprintable() and "  " not in text and text[:1] != " " and text[-1:] != " " and unicodedata.is_normalized("NFKC", text):
        return text
    composed = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))
    return _SPACES.sub(" ", _INVISIBLE.sub("", composed)).strip()


def visible(text: str) -> int:
    """Return how many characters of `text` are visible; the same however the text is cut, joined or normalised."""
    return len(_SPACES.sub("", unicodedata.normalize("NFKD", _INVISIBLE.sub("", text))))


def quote(text: str, length: int = 40) -> str:
    """Return the start of `text` on one line, for use in a message."""
    flat = _SPACES.sub(" ", text).strip()
    return flat if len(flat) <= length else flat[: length - 1] + "…"
