"""The page shows what metrics and predictions say, as text and nothing but text, and asks the network for nothing."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from gikai import plots, report
from gikai.labels import Label, LabelSet, Taxonomy
from gikai.metrics import score
from gikai.records import Passage
from gikai.report import marked, summary, write_report

SCRIPT = "<script>document.title='taken'</script>"
IMAGE = '<img src="http://127.0.0.1:9/x.png" onerror="document.title=\'taken\'">'
TOPIC = LabelSet(
    "取組.v2",
    "topics",
    "multi",
    (Label("portal", "電子申請"), Label(SCRIPT, IMAGE), Label('a "quoted" $x^{ & b', "🙂 $\\frac$"), Label("never", "出現しない")),
)
ROLE = LabelSet("役割", "who", "single", (Label("chair", "議長"), Label("member", "議員"), Label("staff")))
TAXONOMY = Taxonomy((TOPIC, ROLE))


def results(
    count: int = 40, text: str = "架空町の電子申請について伺います。"
) -> tuple[dict[str, Any], list[Passage], list[dict[str, Any]]]:
    """Return metrics in the form of today's metrics.json, passages (some not annotated) and rows of predictions.jsonl."""
    random = np.random.default_rng(0)
    passages, rows = [], []
    for index in range(count):
        topics = [label.id for label in TOPIC.labels[:3] if random.random() < 0.4]
        gold = {TOPIC.name: topics if index % 5 else None, ROLE.name: ROLE.ids[index % 3] if index % 4 else None}
        passages.append(Passage(f"p{index}", f"{text}{index}", gold, assembly=f"架空{index % 5}町議会", date="2024-06-12"))
        rows.append({"id": f"p{index}"})
    metrics: dict[str, Any] = {"n": count, "cluster": "assembly"}
    for label_set in TAXONOMY.sets:
        gold = [passage.gold[label_set.name] for passage in passages]
        probabilities = label_set.activate(random.normal(size=(count, len(label_set.labels))))
        predicted = label_set.decode(label_set.choose(probabilities, [0.5] * len(label_set.labels)))
        for row, value, of_row, choice in zip(rows, gold, probabilities, predicted, strict=True):
            row[label_set.name] = {"gold": value, "probabilities": of_row.tolist(), "predicted": choice}
        thresholds = [0.5] * len(label_set.labels)
        metrics[label_set.name] = score(label_set, gold, probabilities, thresholds, [passage.assembly or "" for passage in passages])
    return metrics, passages, rows


def enriched(metrics: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the metrics with everything that an evaluation may add to them, and slices."""
    bins = [{"confidence": 0.1, "share": 0.2, "count": 9}, {"confidence": None, "share": None, "count": 0}]
    for label_set in TAXONOMY.sets:
        metrics[label_set.name] |= {
            "calibration": {"before": {"ece": 0.111, "brier": 0.2, "bins": bins}, "after": {"ece": 0.022, "brier": 0.1, "bins": bins}},
            "abstain": {"curve": [{"coverage": share, "precision": 1 - share / 3, "threshold": 0.5} for share in (0.2, 0.6, 1.0)]},
        }
    metrics[TOPIC.name]["empty_f1"] = 0.777
    metrics[ROLE.name]["groups_f1"] = {IMAGE: {"f1": 0.456, "within": None}, "執行部": {"f1": 0.8, "within": 0.654}}
    metrics["compared"] = [{"run": f"runs/{SCRIPT}", TOPIC.name: {"macro_f1": 0.123, "ci": {"macro_f1": [0.101, 0.145]}}}]
    slices = [
        {
            "slice": "length",
            "value": f"under 100 {IMAGE}",
            "n": 7,
            TOPIC.name: {"macro_f1": 0.5, "map": 0.6, "ci": {"macro_f1": [0.4, 0.61]}},
        },
        {
            "slice": "changed",
            "value": "half-width",
            "n": 40,
            ROLE.name: {"macro_f1": 0.5, "accuracy": 0.6, "change": {"macro_f1": -0.0312, "ci": {"macro_f1": [-0.05, 0.012]}}},
        },
    ]
    return metrics, slices


def page(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "lxml")


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> BeautifulSoup:
    """A page with every section; texts, labels, runs and slices are hostile."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    metrics, passages, rows = results(text=f"{SCRIPT}{IMAGE}電子申請です。")
    metrics, slices = enriched(metrics)
    wrong = f"{TOPIC.name}/{SCRIPT}"
    attributions = {passage.id: {wrong: [[0, 8, 2.0], [8, 16, -1.0], [16, 20, 0.01]]} for passage in passages[:25]}
    write_report(path, f"demo {SCRIPT}", TAXONOMY, metrics, passages, rows, slices, attributions)
    return page(path)


def test_every_text_is_text(full: BeautifulSoup) -> None:
    assert len(full.find_all("script")) == 1
    assert {image["src"][:26] for image in full.find_all("img")} == {"data:image/svg+xml;base64,"}
    assert not [tag for tag in full.find_all(True) if any(name.startswith("on") for name in tag.attrs)]
    assert full.title is not None
    assert full.title.text == f"demo {SCRIPT}"
    for place in ("h1", "th", "article p", "article li", "option", "figcaption"):
        assert any(SCRIPT in element.get_text() for element in full.select(place)), place
    assert any(IMAGE in element.get_text() for element in full.select("#slices th"))


def test_nothing_is_fetched_and_only_the_own_script_runs(full: BeautifulSoup) -> None:
    for tag in full.find_all(True):
        for name in ("src", "href", "action", "srcset", "data"):
            assert str(tag.get(name, "#")).startswith(("#", "data:")), tag
    assert not full.find_all(["link", "iframe", "object", "embed", "base"])
    assert "url(" not in full.style.text
    assert "@import" not in full.style.text
    policy = full.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    digest = base64.b64encode(hashlib.sha256(full.script.string.encode()).digest()).decode()
    assert rules["script-src"] == f"'sha256-{digest}'"


def test_every_section_is_there_and_reachable(full: BeautifulSoup) -> None:
    text = full.get_text(" ", strip=True)
    for words in ("Scores", "Every label", "Confusion", "Precision and recall", "Can the probabilities be trusted?", "Slices", "Errors"):
        assert words in [heading.get_text() for heading in full.find_all(["h2", "h3"])], words
    for number in ("0.777", "0.123", "[0.101, 0.145]", "0.111", "0.022", "[0.400, 0.610]", "-0.031 [-0.050, +0.012]", "0.456", "0.654"):
        assert number in text, number
    for link in full.select("nav a"):
        assert full.find(id=link["href"].removeprefix("#")), link
    assert all(header.get("scope") for header in full.find_all("th"))
    assert all(image["alt"] for image in full.find_all("img"))
    assert "occlusion" in text


def test_todays_metrics_make_a_page_without_the_new_sections(tmp_path: Path) -> None:
    metrics, passages, rows = results()
    write_report(tmp_path / "report.html", "demo", TAXONOMY, metrics, passages, rows)
    soup = page(tmp_path / "report.html")
    headings = [heading.get_text() for heading in soup.find_all(["h2", "h3"])]
    assert "Errors" in headings
    assert not {"Slices", "Can the probabilities be trusted?"} & set(headings)
    assert not soup.find_all("mark")
    text = soup.get_text(" ", strip=True)
    for label_set in TAXONOMY.sets:
        scores = metrics[label_set.name]
        assert f"{scores['macro_f1']:.3f} [{scores['ci']['macro_f1'][0]:.3f}, {scores['ci']['macro_f1'][1]:.3f}]" in text


def test_a_label_set_that_no_passage_carries_has_no_section(tmp_path: Path) -> None:
    metrics, passages, rows = results()
    del metrics[ROLE.name]
    for row in rows:
        row[ROLE.name]["gold"] = None
    write_report(tmp_path / "report.html", "demo", TAXONOMY, metrics, passages, rows)
    assert [link.text for link in page(tmp_path / "report.html").select("nav a")] == ["Scores", TOPIC.name, "Errors"]


def test_confusion_is_that_of_the_metrics(tmp_path: Path) -> None:
    metrics, passages, rows = results()
    write_report(tmp_path / "report.html", "demo", TAXONOMY, metrics, passages, rows)
    body = page(tmp_path / "report.html").select(".confusion tbody tr")
    shown = [[int(cell.text) for cell in row.find_all("td")] for row in body]
    assert [row[:-1] for row in shown] == metrics[ROLE.name]["confusion"]
    assert [row[-1] for row in shown] == [metrics[ROLE.name]["labels"][label_id]["support"] for label_id in ROLE.ids]


def test_only_labels_that_occur_have_a_curve(full: BeautifulSoup) -> None:
    captions = [caption.get_text() for caption in full.select(".plots:not(.large) figcaption")]
    assert len(captions) == 3 + 3
    assert not [caption for caption in captions if caption.startswith("never")]


def test_filters_agree_with_the_predictions(tmp_path: Path) -> None:
    metrics, passages, rows = results()
    write_report(tmp_path / "report.html", "demo", TAXONOMY, metrics, passages, rows)
    soup = page(tmp_path / "report.html")
    names = {option["value"]: option["data-set"] for option in soup.select("select[name=label] option[data-set]")}
    assert len(names) == len(TAXONOMY.names)
    expected = {}
    for row in rows:
        keys = set()
        for number, label_set in enumerate(TAXONOMY.sets):
            gold, predicted = (
                {value} if isinstance(value, str) else value for value in (row[label_set.name][k] for k in ("gold", "predicted"))
            )
            if gold is not None:
                keys |= {f"missed.{number}.{number}/{label_set.ids.index(label_id)}" for label_id in set(gold) - set(predicted)}
                keys |= {f"invented.{number}.{number}/{label_set.ids.index(label_id)}" for label_id in set(predicted) - set(gold)}
        if keys:
            expected[row["id"]] = keys
    found = {card.h3.text.split(" · ")[0]: set(card["data-errors"].split()) for card in soup.select("#errors > article")}
    assert found == expected
    assert {key.split(".")[2] for keys in found.values() for key in keys} <= set(names)
    assert {control.get("name") for control in soup.select("#filters label select, #filters label input")} == {
        "set",
        "label",
        "kind",
        "search",
    }


def test_words_are_marked_for_the_wrong_label_only(full: BeautifulSoup) -> None:
    for card in full.select("#errors > article"):
        wrong = any(SCRIPT in item.text and item["class"] != ["found"] for item in card.find_all("li"))
        marks = card.find_all("mark")
        assert not marks or wrong
        if marks:
            assert [mark.text for mark in marks] == [SCRIPT[:8], SCRIPT[8:16]]
            assert [mark.get("class") for mark in marks] == [None, ["against"]]
    assert full.select("#errors mark")


def test_right_everywhere_means_no_list(tmp_path: Path) -> None:
    metrics, passages, rows = results()
    for row in rows:
        for label_set in TAXONOMY.sets:
            row[label_set.name]["predicted"] = row[label_set.name]["gold"]
    write_report(tmp_path / "report.html", "demo", TAXONOMY, metrics, passages, rows)
    soup = page(tmp_path / "report.html")
    assert "every label of every passage is right" in soup.get_text()
    assert not soup.find_all(["article", "form"])


def test_a_long_list_is_cut_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "ERRORS", 2)
    metrics, passages, rows = results()
    write_report(tmp_path / "report.html", "demo", TAXONOMY, metrics, passages, rows)
    soup = page(tmp_path / "report.html")
    assert len(soup.find_all("article")) == 2
    assert "the first 2 are below" in soup.get_text()


def test_a_thousand_passages_stay_small(tmp_path: Path) -> None:
    metrics, passages, rows = results(1000, "架空町の電子申請について伺います。" * 20)
    attributions = {passage.id: {name: [[k, k + 1, 1.0] for k in range(0, 300, 2)] for name in TAXONOMY.names} for passage in passages[:60]}
    write_report(tmp_path / "report.html", "demo", TAXONOMY, metrics, passages, rows, (), attributions)
    assert (tmp_path / "report.html").stat().st_size < 3e6


def test_the_same_results_make_the_same_page(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_report(tmp_path / name, "demo", TAXONOMY, *results())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("title", ["議会だより", "🙂 $\\frac$", "--> <script>", "very_long_label_" * 9, "とても長い名前" * 9, ""])
def test_plots_take_any_title(title: str) -> None:
    image = plots.precision_recall(title, np.array([True, False, True]), np.array([0.9, 0.8, 0.1]), (0.5, 0.5))
    svg = base64.b64decode(image.removeprefix("data:image/svg+xml;base64,")).decode()
    tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(svg).iter()}
    assert not {"text", "script", "image"} & tags
    assert "currentColor" in svg
    assert plots.INK not in svg


def test_japanese_is_drawn_with_a_font_that_has_it() -> None:
    curve = [{"coverage": 0.5, "precision": 0.9}, {"coverage": 1.0, "precision": 0.8}]
    one, other = (base64.b64decode(plots.selective(title, curve).removeprefix("data:image/svg+xml;base64,")) for title in ("議", "会"))
    assert b"IPAexGothic" in one
    assert re.findall(rb'<path id="IPAex.*?/>', one, re.DOTALL) != re.findall(rb'<path id="IPAex.*?/>', other, re.DOTALL)


@given(
    st.text(max_size=30),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.floats(-9, 9)), max_size=8),
)
def test_marks_never_change_the_text(text: str, spans: list[tuple[int, int, float]]) -> None:
    parts = marked(text, spans)
    assert "".join(part for part, _ in parts) == text
    assert all(-1 <= weight <= 1 for _, weight in parts)


def test_summary_names_the_compared_runs() -> None:
    metrics, _ = enriched(results()[0])
    lines = summary(metrics).splitlines()
    place = next(index for index, line in enumerate(lines) if "macro-F1" in line)
    assert lines[place + 1].split()[-3:] == ["0.123", "[0.101,", "0.145]"]


@pytest.mark.slow
def test_in_a_real_browser(tmp_path: Path) -> None:
    """Nothing hostile runs, and the page's own script does."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium here: the page was not opened in a browser")
    metrics, passages, rows = results(text=f"{SCRIPT}{IMAGE}電子申請です。")
    metrics, slices = enriched(metrics)
    write_report(tmp_path / "report.html", "demo", TAXONOMY, metrics, passages, rows, slices)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [browser, *options, profile, "--dump-dom", (tmp_path / "report.html").as_uri()]
    soup = BeautifulSoup(subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout, "lxml")
    assert soup.title is not None
    assert soup.title.text == "demo"
    assert soup.find(id="shown").text == f"{len(soup.find_all('article'))} of {len(soup.find_all('article'))} shown"
    assert not soup.find(id="filters").has_attr("hidden")
    assert len(soup.find_all("script")) == 1


def test_report_reads_what_json_gives_back(tmp_path: Path) -> None:
    metrics, slices = enriched(results()[0])
    _, passages, rows = results()
    write_report(tmp_path / "a", "demo", TAXONOMY, metrics, passages, rows, slices)
    again = json.loads(json.dumps([metrics, rows, slices]))
    write_report(tmp_path / "b", "demo", TAXONOMY, again[0], passages, again[1], again[2])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
