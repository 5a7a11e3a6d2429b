"""A module imports only from the lines below its own; base modules stay free of torch and transformers."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

LAYERS = [
    {"cluster", "benchmark"},
    {"finetune", "pretrain", "predict", "prepare", "checks", "baseline", "compare", "label_quality"},
    {"evaluate"},
    {"report"},
    {"plots"},
    {"predictor", "shards"},
    {"model", "baselines", "export", "repeats"},
    {"minutes", "passages", "dataset", "metrics", "calibration", "slices", "attributions", "tokenizer", "store"},
    {"config", "labels", "records", "text", "runs"},
]
SOURCE = Path(__file__).resolve().parents[1] / "src" / "gikai"
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).as_posix() != "__init__.py")


def layer(module: str) -> int:
    return next(index for index, names in enumerate(LAYERS) if module in names)


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "gikai":
            parts = node.module.split(".")
            names |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("gikai.")}
    return {name for name in names if name not in ("InputError", "__version__")}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_imports_point_down(path: Path) -> None:
    module = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    for name in imported(path) - {module}:
        assert layer(name) > layer(module), f"{module} imports {name}, which is not below it"


def test_an_upward_import_would_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "text.py"
    path.write_text("from gikai.finetune import finetune\nfrom gikai import runs\nimport gikai.model\n", encoding="utf-8")
    assert imported(path) == {"finetune", "runs", "model"}


@pytest.mark.parametrize(
    "module",
    [
        "minutes",
        "passages",
        "dataset",
        "metrics",
        "calibration",
        "slices",
        "attributions",
        "plots",
        "report",
        "config",
        "labels",
        "records",
        "text",
        "runs",
        "checks",
        "label_quality",
        "prepare",
        "shards",
    ],
)
def test_light_modules_do_without_torch(module: str) -> None:
    code = f"import sys, gikai.{module}; assert not {{'torch', 'transformers'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_hydra_only_at_the_door() -> None:
    for path in MODULES:
        if path.name != "config.py":
            assert not re.search(r"^\s*(?:import|from) hydra", path.read_text(encoding="utf-8"), re.MULTILINE), path
