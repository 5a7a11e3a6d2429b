"""Fast tokenisation: the stock tokenizer's ids, for every setting that tohoku-nlp checkpoints use."""

import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import BertJapaneseTokenizer

from gikai import InputError
from gikai.tokenizer import Tokenizer

TEXTS = [
    "",
    " ",
    "マイナンバーカードの交付率は72.3%です。",
    "ＤＸ推進課　ﾃﾞｼﾞﾀﾙ庁\n改行\tタブ",
    "[MASK]と[SEP]を含む文",
    "🙂𠮷野家 İstanbul ǅ ß ﬁ ㍿ ①",
    "a" * 120 + " " + "漢" * 101,
    "x\u3000y\u00a0z\u2028w\u200bv",
    "\x00\x01制御文字",
]


def tokenizer_folder(tiny: Path, folder: Path, lower: bool, subword: str, mecab: dict[str, object]) -> Path:
    (folder / "vocab.txt").write_text((tiny / "vocab.txt").read_text(encoding="utf-8"), encoding="utf-8")
    BertJapaneseTokenizer(
        str(folder / "vocab.txt"), do_lower_case=lower, word_tokenizer_type="mecab", subword_tokenizer_type=subword, mecab_kwargs=mecab
    ).save_pretrained(str(folder))
    return folder


SETTINGS = [
    (lower, subword, mecab)
    for lower in (False, True)
    for subword in ("wordpiece", "character")
    for mecab in ({"mecab_dic": "unidic_lite"}, {"mecab_dic": "unidic_lite", "normalize_text": False})
]


@pytest.fixture(scope="module", params=SETTINGS, ids=str)
def tokenizer(request: pytest.FixtureRequest, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer(tokenizer_folder(tiny, tmp_path_factory.mktemp("tokenizer"), *request.param))


def stock_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.stock(text, add_special_tokens=False)["input_ids"])


def test_exact_on_odd_texts(tokenizer: Tokenizer) -> None:
    assert tokenizer.exact
    for text in TEXTS:
        assert tokenizer.ids(text) == stock_ids(tokenizer, text), repr(text)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.text(max_size=60), st.text(alphabet="マイナンバーｶｰﾄﾞABｃ12①㍻ \u3000[]MASKです。𠮷が\u3099", max_size=60)))
def test_exact_on_any_text(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.ids(text) == stock_ids(tokenizer, text)


def test_the_shipped_tokenizer_is_exact(root: Path) -> None:
    tokenizer = Tokenizer(root / "data/pretrained/compact")
    assert tokenizer.exact
    for text in [*TEXTS, (root / "data/samples").read_text(encoding="utf-8") if (root / "data/samples").is_file() else "議会"]:
        assert tokenizer.ids(text) == stock_ids(tokenizer, text)


def test_a_full_memo_changes_nothing(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gikai.tokenizer.MEMO_SIZE", 2)
    tokenizer = Tokenizer(tiny)
    assert tokenizer.ids(TEXTS[2]) == stock_ids(tokenizer, TEXTS[2])


def test_windows_cover_every_piece(tiny: Path) -> None:
    tokenizer = Tokenizer(tiny)
    text = "電子申込みの手数料です。" * 40
    ids = tokenizer.ids(text)
    windows = tokenizer.windows(text, 32)
    assert all(len(window) <= 32 and window[0] == tokenizer.cls and window[-1] == tokenizer.sep for window in windows)
    covered = list(windows[0][1:-1])
    for window in windows[1:]:
        body = window[1:-1]
        overlap = max(k for k in range(len(body) + 1) if covered[len(covered) - k :] == body[:k])
        covered += body[overlap:]
    assert covered[: len(ids)] == ids[: len(covered)]
    assert windows[-1][1:-1] == ids[-30:]
    assert tokenizer.windows("端末", 32) == [[tokenizer.cls, *tokenizer.ids("端末"), tokenizer.sep]]


def test_a_word_tokenizer_without_a_fast_path_is_left_to_stock(tiny: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "vocab.txt").write_text((tiny / "vocab.txt").read_text(encoding="utf-8"), encoding="utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        BertJapaneseTokenizer(str(tmp_path / "vocab.txt"), word_tokenizer_type="basic").save_pretrained(str(tmp_path))
    tokenizer = Tokenizer(tmp_path)
    assert not tokenizer.exact
    assert "no fast exact path" in caplog.text
    assert tokenizer.ids("です 端末") == stock_ids(tokenizer, "です 端末")


def test_no_tokenizer_here(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no tokenizer can be loaded"):
        Tokenizer(tmp_path)
