"""The benchmark: what it compares is the same work, what it writes is what it measured, and the table comes from that."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel

from conftest import labelled_rows, write_rows
from gikai import InputError
from gikai.benchmark import benchmark, compared, flops, interleaved, measured, mixed_texts, table, write_between
from gikai.config import Benchmark


@pytest.fixture
def one_thread() -> Iterator[None]:
    """With one core no worker processes are measured; starting them takes seconds."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("texts") / "texts.jsonl", labelled_rows(60))


def test_mixed_texts_are_spread_and_always_the_same(source: Path) -> None:
    texts = mixed_texts([source], 300, 20, 90)
    assert texts == mixed_texts([source], 300, 20, 90)
    lengths = [len(text) for text in texts]
    assert (len(texts), min(lengths), max(lengths)) == (300, 20, 90)
    assert 50 < sum(lengths) / 300 < 60
    assert len(set(texts)) > 290


def test_flops_are_those_that_pytorch_counts() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    config = BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=80, attn_implementation="eager"
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(input_ids=torch.ones(1, 21, dtype=torch.long))
    assert flops(config, 21) == counter.get_total_flops()


def test_turns_alternate_and_memory_is_followed() -> None:
    order: list[str] = []
    turns = interleaved({"stock": lambda: order.append("stock"), "ours": lambda: order.append("ours")}, 3)
    assert order == ["stock", "ours", "ours", "stock", "stock", "ours"]
    assert {name: len(of_task) for name, of_task in turns.items()} == {"stock": 3, "ours": 3}

    def heavy() -> int:
        block = bytearray(b"x" * (120 << 20))
        time.sleep(0.1)
        return len(block)

    cost = measured(heavy)
    assert cost["more_mib"] > 100
    assert cost["seconds"] > 0.1
    assert measured(lambda: None)["more_mib"] < 50


def test_ratios_are_of_neighbouring_turns() -> None:
    def turn(seconds: float) -> dict[str, float]:
        return {"seconds": seconds, "peak_mib": 10, "more_mib": 1}

    result = compared({"stock": [turn(10), turn(30)], "ours": [turn(1), turn(2)]}, 100)
    assert result["ours"]["ratio_to_stock"] == {"median": 12.5, "low": 10, "high": 15}
    assert result["stock"]["passages_per_second"]["high"] == 10


@pytest.mark.usefixtures("one_thread")
def test_the_benchmark_of_a_run(run: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "PAGE.md"
    page.write_text("# Page\n<!-- benchmark -->\nold\n<!-- /benchmark -->\nrest\n", encoding="utf-8")
    config = Benchmark(
        run=str(run), passages=96, repeats=2, backend="torch", texts=[str(source)], shortest=5, longest=40,
        growth=[50, 200], output=str(tmp_path / "out"), table=str(page),
    )  # fmt: skip
    result = benchmark(config)
    written = json.loads((tmp_path / "out/benchmark.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(result))
    assert result["tokenisation"]["identical_ids"]
    assert result["agreement"]["decisions"] == 96 * 17
    assert result["agreement"]["with_float32"] == 1
    assert result["agreement"]["float32_with_stock"] == 1
    assert result["pieces"]["mean_padded_by_stock"] > result["pieces"]["mean"]
    assert [row["passages"] for row in result["growth"]] == [50, 200]
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Page\n<!-- benchmark -->\n96 passages of 5 to 40 characters")
    assert text.endswith("<!-- /benchmark -->\nrest\n")
    assert "old" not in text
    assert "\n".join(table(written)) in text
    assert "\n".join(table(written)) in capsys.readouterr().out


def test_a_page_without_marks_and_a_run_without_a_bert_are_refused(run: Path, source: Path, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("no marks", encoding="utf-8")
    with pytest.raises(InputError, match="has no lines <!-- benchmark -->"):
        write_between(tmp_path / "page.md", ["line"])
    shutil.copytree(run, tmp_path / "tfidf")
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (tmp_path / "tfidf/run.json").write_text(json.dumps({**record, "kind": "linear"}), encoding="utf-8")
    with pytest.raises(InputError, match="holds no BERT"):
        benchmark(Benchmark(run=str(tmp_path / "tfidf"), texts=[str(source)]))
