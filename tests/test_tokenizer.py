"""Fast tokenisation: the stock tokenizer's ids, for every setting that tohoku-nlp checkpoints use."""

import itertools
import json
import lzma
import os
import threading
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import BertJapaneseTokenizer

from gikai import InputError
from gikai.text import normalise
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
    "［MASK］ [mask] [ MASK ] [UNK] [PAD][CLS]",
    "か\u3099き\u309aｶﾞﾊﾟ ハ\uff9f e\u0301 ﾞ",
    "👨\u200d👩\u200d👧 🇯🇵 ☺\ufe0f 葛\U000e0100城",
    "ゼロ\u200b幅\ufeff、\u2060結合\u00ad子",
    "左\u202e右\u2066中\u2069",
    "行\x0b頁\x0c改\x85段\u2029終\r\n",
    "Ｊ（ ゜∀゜）し と Ｎｅｗ\u3000Ｙｏｒｋ",
    "##です ## a##b",
    "ǅABΣΑΣ Iİıß ﷺ",
    "\ue000私用\U0010ffff領域\ufffe",
    " 前後 の  空白 ",
    "㌔㍍㈱℡№①⑳Ⅳⅳ㋿",
    "マイナンバーカードスマートフォン" * 40,
    "０１２３４５６７８９" * 30,
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
@given(
    text=st.one_of(
        st.text(max_size=60),
        st.text(alphabet="マイナンバーｶｰﾄﾞABｃ12①㍻ \u3000[]MASKです。𠮷が\u3099\u200b\u200d\u00a0#Ｊ（゜∀）しΣİ🇯\n\x1f", max_size=60),
    )
)
def test_exact_on_any_text(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.ids(text) == stock_ids(tokenizer, text)


def test_the_shipped_tokenizer_is_exact(root: Path) -> None:
    tokenizer = Tokenizer(root / "data/pretrained/compact")
    assert tokenizer.exact
    for text in [*TEXTS, (root / "data/samples").read_text(encoding="utf-8") if (root / "data/samples").is_file() else "議会"]:
        assert tokenizer.ids(text) == stock_ids(tokenizer, text)


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_exact_over_a_corpus(root: Path) -> None:
    """Over a sample of the bundled passages; GIKAI_CORPUS="FILE …" reads every line of those files instead (JSON Lines, .xz too)."""
    tokenizer = Tokenizer(root / "data/pretrained/compact")
    named = os.environ.get("GIKAI_CORPUS", "").split()
    count = 0
    for name in named or [str(root / f"data/labelled/{split}.jsonl") for split in ("train", "dev")]:
        with (lzma.open if name.endswith(".xz") else open)(name, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(itertools.islice(lines, None if named else 400), start=1):
                text = normalise(json.loads(line)["text"])
                assert tokenizer.ids(text) == stock_ids(tokenizer, text), f"{name}:{number}"
                count += 1
    print(f"{count} texts, identical ids; {tokenizer.left_to_stock} of them left to the stock tokenizer")
    assert count >= 800
    assert tokenizer.left_to_stock < count / 2


def test_halves_of_surrogate_pairs_are_refused_by_both(tiny: Path) -> None:
    tokenizer = Tokenizer(tiny)
    for text in ("\ud83d", "端末\udc00です"):
        with pytest.raises(UnicodeEncodeError):
            stock_ids(tokenizer, text)
        with pytest.raises(UnicodeEncodeError):
            tokenizer.ids(text)


def test_what_is_left_to_stock_is_counted_and_said_once(tiny: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    tokenizer = Tokenizer(tiny)
    for text in ("電子申込み", "[MASK]です", "タブ\tです", "端末 です"):
        tokenizer.ids(text)
    assert tokenizer.left_to_stock == 2
    assert caplog.text.count("left to the stock tokenizer") == 1


def test_threads_share_a_tokenizer(tiny: Path) -> None:
    tokenizer = Tokenizer(tiny)
    texts = [text for text in TEXTS if text] * 5
    wanted = [tokenizer.ids(text) for text in texts]
    found: dict[int, list[list[int]]] = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: [tokenizer.ids(text) for text in texts]})) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[n] == wanted for n in range(4))


@pytest.mark.slow
def test_worker_processes_give_the_same_ids(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gikai.tokenizer.PROCESSES_PAY", 10)
    monkeypatch.setattr("gikai.tokenizer.CHUNK", 7)
    alone, shared = Tokenizer(tiny), Tokenizer(tiny, workers=2)
    assert shared.many(TEXTS[:3]) == alone.many(TEXTS[:3])
    assert shared._pool is None
    assert shared.many(TEXTS) == alone.many(TEXTS)
    assert shared._pool is not None
    shared.close()


@pytest.mark.parametrize("option", ["", "-b 16384", "-d"])
def test_mecab_options_other_than_dictionaries_are_left_to_stock(tiny: Path, tmp_path: Path, option: str) -> None:
    import unidic_lite

    given = f'-d "{unidic_lite.DICDIR}" -r "{unidic_lite.DICDIR}/mecabrc"' if option == "-d" else option
    mecab = {"mecab_dic": None if option == "-d" else "unidic_lite", "mecab_option": given}
    tokenizer = Tokenizer(tokenizer_folder(tiny, tmp_path, False, "wordpiece", mecab))
    assert tokenizer.exact == (option != "-b 16384")
    assert tokenizer.ids("電子申込みの端末です") == stock_ids(tokenizer, "電子申込みの端末です")


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
