"""Fast Japanese tokenisation with exactly the ids of `BertJapaneseTokenizer`.

Library module; no command of its own. MeCab cuts words; each word's pieces are computed once and remembered.
"""

import itertools
import logging
import multiprocessing
import re
import threading
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from gikai import InputError

log = logging.getLogger(__name__)

MEMO_SIZE = 200_000
"""Words remembered at most; about 40 MB. A full memo is emptied, which costs a second and changes nothing."""

PROCESSES_PAY = 16_384
"""Texts after which worker processes are started: starting them costs about as much as these do in one process."""

CHUNK = 256
"""Texts a worker process is given at a time, where there are many."""

# Characters that MeCab's joined output could not give back as its list of words does.
_UNSAFE = re.compile(r"[^\S ]|[\x00-\x1f\x7f-\x9f]")


class Memo(dict[str, tuple[int, ...]]):
    """Pieces by word, computed when first asked for; emptied when full. A lookup that hits never leaves C."""

    def __init__(self, pieces: Callable[[str], Iterable[int]]) -> None:
        super().__init__()
        self.pieces = pieces

    def __missing__(self, word: str) -> tuple[int, ...]:
        if len(self) >= MEMO_SIZE:
            self.clear()
        value = self[word] = tuple(self.pieces(word))
        return value


class Tokenizer:
    """Turns texts into word-piece ids, identical to the stock tokenizer of the same folder, several times faster.

    `stock` is that tokenizer. Settings that this class cannot reproduce exactly (a word tokenizer other than MeCab, a
    sub-word tokenizer other than WordPiece or characters) are left to it, with a warning; so is a single text that holds
    a special token or white space other than plain spaces: `left_to_stock` counts those, and the first is logged.
    Threads may share a tokenizer. `workers` processes share the work of `many` once there is enough of it.
    """

    def __init__(self, folder: str | Path, workers: int = 1, **pretrained: Any) -> None:
        from transformers import AutoTokenizer

        try:
            self.stock: Any = AutoTokenizer.from_pretrained(str(folder), **pretrained)
        except (OSError, ValueError) as error:
            raise InputError(f"{folder}: no tokenizer can be loaded from here: {str(error).splitlines()[0]}") from None
        self.folder = str(folder)
        self.unknown = int(self.stock.unk_token_id)
        self.cls, self.sep = int(self.stock.cls_token_id), int(self.stock.sep_token_id)
        self.pad, self.mask = int(self.stock.pad_token_id), int(self.stock.mask_token_id)
        self.left_to_stock = 0
        self._workers, self._settings, self._seen = workers, pretrained, 0
        self._pool: ProcessPoolExecutor | None = None
        self._memo = Memo(self._pieces)
        self._lock = threading.Lock()
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
        if not self.exact:
            return self._stock_ids(text)
        normal = unicodedata.normalize("NFKC", text) if self._normalise else text
        # What is printable holds neither control characters nor white space other than the plain space.
        unsafe = not normal.isprintable() and _UNSAFE.search(normal)
        if unsafe or self._special.search(text) or (self._spaces_in_words and " " in normal):
            self.left_to_stock += 1
            if self.left_to_stock == 1:
                log.info("texts with special tokens or unusual white space are left to the stock tokenizer, one by one")
            return self._stock_ids(text)
        with self._lock:
            words = self._parse(normal).split(" ")
        return list(itertools.chain.from_iterable(map(self._memo.__getitem__, words)))

    def many(self, texts: Sequence[str]) -> list[list[int]]:
        """Return `ids` of every text, in order; in worker processes where there are some and enough to do."""
        self._seen += len(texts)
        if self._workers < 2 or self._seen < PROCESSES_PAY:
            return [self.ids(text) for text in texts]
        if self._pool is None:
            # Not forked: threads of the scoring side may hold locks that a forked child would wait for in vain.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._workers, context, _start_worker, (self.folder, self._settings))
        size = max(1, min(CHUNK, len(texts) // (4 * self._workers)))
        chunks = [list(texts[start : start + size]) for start in range(0, len(texts), size)]
        return list(itertools.chain.from_iterable(self._pool.map(_work, chunks)))

    def close(self) -> None:
        """End the worker processes, if any were started; the next large enough `many` starts them again."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def windows(self, text: str, max_length: int) -> list[list[int]]:
        """Return `text` as one or more sequences of at most `max_length` ids, [CLS] and [SEP] included.

        A longer text becomes windows of equal stride that overlap by about a quarter; nothing is cut off.
        """
        return self.cut(self.ids(text), max_length)

    def cut(self, ids: list[int], max_length: int) -> list[list[int]]:
        """Return the `windows` of a text whose ids are known."""
        room = max_length - 2
        if len(ids) <= room:
            return [[self.cls, *ids, self.sep]]
        count = -(-(len(ids) - room) // (room * 3 // 4)) + 1
        starts = [round(index * (len(ids) - room) / (count - 1)) for index in range(count)]
        return [[self.cls, *ids[start : start + room], self.sep] for start in starts]

    def continues(self) -> list[bool]:
        """Return, for each id, whether that piece continues a word (its token begins with `##`)."""
        return [token.startswith("##") for token in self.stock.convert_ids_to_tokens(list(range(len(self.stock))))]

    def _stock_ids(self, text: str) -> list[int]:
        # Its MeCab nodes are read after the parse, which another thread's parse would overwrite.
        with self._lock:
            return [int(index) for index in self.stock.convert_tokens_to_ids(self.stock.tokenize(text))]

    def _plain(self) -> bool:
        settings = self.stock.mecab_kwargs or {}
        options = set(settings) - {"mecab_dic", "mecab_option", "normalize_text"}
        # Of MeCab's own options those that name dictionaries are known to leave its joined output alone.
        options |= set(re.findall(r"(?:^|\s)-(?![dru]\b)\S+", settings.get("mecab_option") or ""))
        extra = set(self.stock.added_tokens_encoder) - set(self.stock.all_special_tokens)
        return not options and not extra and self.stock.do_word_tokenize and self.stock.do_subword_tokenize

    def _prepare(self, character: bool) -> None:
        import fugashi

        word_tokenizer = self.stock.word_tokenizer
        self._normalise = bool(word_tokenizer.normalize_text)
        self._lower = bool(word_tokenizer.do_lower_case)
        self._character = character
        # A dictionary may hold words with a space inside; characters, unlike WordPiece, would see it. In unidic-lite no such
        # word is NFKC, so that a normalised text cannot hold one.
        settings = self.stock.mecab_kwargs or {}
        self._spaces_in_words = character and not (self._normalise and settings.get("mecab_dic", "unidic_lite") == "unidic_lite")
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


_of_worker: list[Tokenizer] = []


def _start_worker(folder: str, settings: dict[str, Any]) -> None:
    _of_worker[:] = [Tokenizer(folder, **settings)]


def _work(texts: list[str]) -> list[list[int]]:
    return [_of_worker[0].ids(text) for text in texts]


def _mecab_options(settings: dict[str, Any]) -> str:
    """Return MeCab's command line for a tokenizer configuration, as `BertJapaneseTokenizer` builds it."""
    import importlib

    options = settings.get("mecab_option") or ""
    dictionary = settings.get("mecab_dic", "unidic_lite")
    if dictionary is None:
        return options
    folder = importlib.import_module(dictionary).DICDIR
    return f'-d "{folder}" -r "{folder}/mecabrc" {options}'
