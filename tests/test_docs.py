"""What README and make help say is there: every command runs or composes, every target has help."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from conftest import skip_without_plugins
from gikai.config import CONF, SCHEMAS, override, register, sweep_folder

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "data").glob("*.md")),
    *sorted((ROOT / "data/pretrained").rglob("*.md")),
]
COMMAND = re.compile(
    r"^\s*(?:HF_HUB_OFFLINE=1 |\S*torchrun .*?)?(?:\.venv/bin/)?(?:python )?scripts/(\w+)\.py((?:[^\n\\#]|\\\n)*)", re.MULTILINE
)


def commands() -> list[tuple[str, str, str]]:
    found = []
    for page in PAGES:
        for block in re.findall(r"```(?:bash|sh|console)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for script, rest in COMMAND.findall(block):
                found.append((page.name, script, rest.replace("\\\n", " ")))
    return found


@pytest.mark.parametrize(("page", "script", "rest"), commands(), ids=lambda value: value[:40])
def test_commands_in_the_docs_compose(page: str, script: str, rest: str, run: Path) -> None:
    """Settings are checked for real; whether the example's own files exist is not."""
    assert (ROOT / "scripts" / f"{script}.py").exists(), f"{page} names scripts/{script}.py"
    skip_without_plugins(rest)
    given = shlex.split(rest)
    arguments = [override(argument, script) for argument in given if argument not in ("-m", "--multirun")]
    if len(arguments) < len(given):
        arguments = sweep_folder(arguments)
    register()
    with initialize_config_dir(str(CONF), version_base=None):
        config = compose(script, overrides=[a for a in arguments if "," not in a.partition("=")[2] or "[" in a or "'" in a])
    assert set(OmegaConf.to_container(config, resolve=False)) == set(SCHEMAS[script].__dataclass_fields__)


def test_the_page_on_scaling_has_a_command_for_each_way() -> None:
    rests = " ".join(f"{script} {rest}" for page, script, rest in commands() if page == "SCALING.md")
    for way in ("engine=ray", "--multirun experiment=sweep", "hydra/launcher=submitit_slurm", "model=tohoku_v3"):
        assert way in rests


def test_readme_has_commands() -> None:
    assert len([c for c in commands() if c[0] == "README.md"]) >= 6


def test_make_targets_have_help_and_are_real() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    for target in targets:
        assert re.search(rf"make {target}\s+\S", said) or target == "help", f"{target} has no help"
    for page in PAGES:
        for target in re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8")):
            assert target in targets, f"{page.name} names make {target}"


def test_scripts_are_thin() -> None:
    for script in (ROOT / "scripts").glob("*.py"):
        lines = script.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= 25, script
        assert lines[0].startswith('"""'), script


def test_the_project_speaks_of_itself_alone() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout.split("\n")
    words = re.compile(r"(?<![\w.])/(?:work|root|tmp)/")
    for name in tracked:
        path = ROOT / name
        if path.suffix in (".py", ".md", ".yaml", ".toml", ".txt") and path.is_file() and "tests/" not in name:
            assert not words.search(path.read_text(encoding="utf-8")), name


def test_data_card_counts_are_those_of_the_files() -> None:
    card = (ROOT / "data/README.md").read_text(encoding="utf-8")
    lines = {
        split: len((ROOT / f"data/labelled/{split}.jsonl").read_text(encoding="utf-8").splitlines())
        for split in ("train", "dev", "holdout")
    }
    assert f"| passages | {lines['train']} | {lines['dev']} | {lines['holdout']} |" in card
