"""Fast Japanese tokenisation with exactly the ids of `BertJapaneseTokenizer`.

Library module; no command of its own. MeCab cuts words; each word's pieces are computed once and remembered.
"""

import logging
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gikai import InputError

log = logging.getLogger(__name__)

MEMO_SIZE = 200_000
"""Words remembered at most; about 40 MB. A full memo is emptied, which costs a second and changes nothing."""

# Characters that MeCab's joined output could not give back as its list of words does.
_UNSAFE = re.compile(r"[^\S ]|[\x00-\x1f\x7f-\x9f]")


class Tokenizer:
    """Turns texts into word-piece ids, identical to the stock tokenizer of the same folder, several times faster.

    `stock` is that tokenizer. Settings that this class cannot reproduce exactly (a word tokenizer other than MeCab, a
    sub-word tokenizer other than WordPiece or characters) are left to it, with a warning; so is, in silence, a single
    text that holds a special token or a control character.
    """

    def __init__(self, folder: str | Path, **pretrained: Any) -> None:
        from transformers import AutoTokenizer

        try:
            self.stock: Any = AutoTokenizer.from_pretrained(str(folder), **pretrained)
        except (OSError, ValueError) as error:
            raise InputError(f"{folder}: no tokenizer can be loaded from here: {str(error).splitlines()[0]}") from None
        self.folder = str(folder)
        self.unknown = int(self.stock.unk_token_id)
        self.cls, self.sep = int(self.stock.cls_token_id), int(self.stock.sep_token_id)
        self.pad, self.mask = int(self.stock.pad_token_id), int(self.stock.mask_token_id)
        self._memo: dict[str, tuple[int, ...]] = {}
        kind = getattr(self.stock, "word_tokenizer_type", None), getattr(self.stock, "subword_tokenizer_type", None)
        self.exact = kind[0] == "mecab" and kind[1] in ("wordpiece", "character") and self._plain()
        if self.exact:
            self._prepare(kind[1] == "character")
        else:
            log.warning("%s: %s with %s has no fast exact path; the stock tokenizer is used", folder, *kind)

    def __len__(self) -> int:
        return len(self.stock)

    def ids(self, text: str) -> list[int]:
        """Return the ids of `text` without [CLS] and [SEP]."""
        normal = unicodedata.normalize("NFKC", text) if self.exact and self._normalise else text
        if not self.exact or _UNSAFE.search(normal) or self._special.search(text):
            return [int(index) for index in self.stock.convert_tokens_to_ids(self.stock.tokenize(text))]
        memo = self._memo
        ids: list[int] = []
        for word in self._parse(normal).split(" "):
            pieces = memo.get(word)
            if pieces is None:
                if len(memo) >= MEMO_SIZE:
                    memo.clear()
                pieces = memo[word] = tuple(self._pieces(word))
            ids.extend(pieces)
        return ids

    def windows(self, text: str, max_length: int) -> list[list[int]]:
        """Return `text` as one or more sequences of at most `max_length` ids, [CLS] and [SEP] included.

        A longer text becomes windows of equal stride that overlap by about a quarter; nothing is cut off.
        """
        ids = self.ids(text)
        room = max_length - 2
        if len(ids) <= room:
            return [[self.cls, *ids, self.sep]]
        count = -(-(len(ids) - room) // (room * 3 // 4)) + 1
        starts = [round(index * (len(ids) - room) / (count - 1)) for index in range(count)]
        return [[self.cls, *ids[start : start + room], self.sep] for start in starts]

    def continues(self) -> list[bool]:
        """Return, for each id, whether that piece continues a word (its token begins with `##`)."""
        return [token.startswith("##") for token in self.stock.convert_ids_to_tokens(list(range(len(self.stock))))]

    def _plain(self) -> bool:
        options = set(self.stock.mecab_kwargs or {}) - {"mecab_dic", "mecab_option", "normalize_text"}
        extra = set(self.stock.added_tokens_encoder) - set(self.stock.all_special_tokens)
        return not options and not extra and self.stock.do_word_tokenize and self.stock.do_subword_tokenize

    def _prepare(self, character: bool) -> None:
        import fugashi

        word_tokenizer = self.stock.word_tokenizer
        self._normalise = bool(word_tokenizer.normalize_text)
        self._lower = bool(word_tokenizer.do_lower_case)
        self._character = character
        self._never_split = {*word_tokenizer.never_split, *self.stock.all_special_tokens}
        self._vocabulary: dict[str, int] = self.stock.vocab
        self._special = re.compile("|".join(map(re.escape, self.stock.all_special_tokens)))
        # The same dictionary and options as the stock tokenizer's; words joined by spaces are the cheapest way out of MeCab.
        self._parse = fugashi.GenericTagger(_mecab_options(self.stock.mecab_kwargs or {}) + " -Owakati").parse

    def _pieces(self, word: str) -> Iterable[int]:
        vocabulary, unknown = self._vocabulary, self.unknown
        if self._lower and word not in self._never_split:
            word = word.lower()
        if self._character:
            return [vocabulary.get(character, unknown) for character in unicodedata.normalize("NFKC", word)]
        pieces: list[int] = []
        # Lower-casing or NFKC can put white space into a word; the stock tokenizer splits there once more.
        for token in word.split():
            pieces.extend(self._word_pieces(token))
        return pieces

    def _word_pieces(self, token: str) -> list[int]:
        """Greedy longest match first (WordPiece); [UNK] for the whole token where some part is not in the vocabulary."""
        if len(token) > self.stock.subword_tokenizer.max_input_chars_per_word:
            return [self.unknown]
        pieces: list[int] = []
        start = 0
        while start < len(token):
            prefix = "##" if start else ""
            for end in range(len(token), start, -1):
                piece = self._vocabulary.get(prefix + token[start:end])
                if piece is not None:
                    pieces.append(piece)
                    start = end
                    break
            else:
                return [self.unknown]
        return pieces


def _mecab_options(settings: dict[str, Any]) -> str:
    """Return MeCab's command line for a tokenizer configuration, as `BertJapaneseTokenizer` builds it."""
    import importlib

    options = settings.get("mecab_option") or ""
    dictionary = settings.get("mecab_dic", "unidic_lite")
    if dictionary is None:
        return options
    folder = importlib.import_module(dictionary).DICDIR
    return f'-d "{folder}" -r "{folder}/mecabrc" {options}'
