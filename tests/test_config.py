"""The door: every YAML composes, wrong settings stop with one sentence, any path a person types works."""

import json
import sys
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from conftest import gikai, skip_without_plugins
from gikai.config import CONF, SCHEMAS, override, register

EXPERIMENTS = sorted((CONF / "experiment").rglob("*.yaml"))


def composed(command: str, *overrides: str) -> object:
    register()
    with initialize_config_dir(str(CONF), version_base=None):
        return OmegaConf.to_object(compose(command, overrides=list(overrides), return_hydra_config=False))


REQUIRED = {
    "train": ["run=/none"],
    "evaluate": ["run=RUN", "data=RUN"],
    "benchmark": ["run=RUN"],
    "predict": ["run=RUN", "input=x", "output=y"],
    "prepare": ["input=x", "output=x.jsonl"],
    "pretrain": ["corpus=[x]"],
    "check_data": [],
    "baseline": ["name=majority"],
    "compare": ["runs=[RUN,RUN/.]", "data=[RUN]"],
    "check_labels": ["data=RUN"],
}


@pytest.mark.parametrize("command", sorted(SCHEMAS))
def test_every_command_has_a_script_and_composes(command: str, root: Path, run: Path) -> None:
    assert (root / "scripts" / f"{command}.py").exists()
    settings = composed(command, *(item.replace("RUN", str(run)) for item in REQUIRED[command]))
    assert type(settings) is SCHEMAS[command]


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_experiment_composes_and_names_its_command(path: Path) -> None:
    head = path.read_text(encoding="utf-8").splitlines()
    assert head[0] == "# @package _global_"
    command = head[1].split("scripts/")[1].split(".py")[0]
    assert f"experiment={path.stem}" in head[1]
    skip_without_plugins(path.read_text(encoding="utf-8"))
    composed(command, f"experiment={path.stem}", *REQUIRED[command])


@pytest.mark.parametrize("name", ["compact", "tohoku_v3"])
@pytest.mark.parametrize("task", ["joint", "initiative", "role"])
def test_every_model_and_task_composes(name: str, task: str) -> None:
    composed("train", f"model={name}", f"task={task}", "run=/none")


def test_no_more_yaml_than_promised() -> None:
    assert len(list(CONF.rglob("*.yaml"))) <= 24
    assert {path.name for path in CONF.iterdir() if path.is_dir()} == {"task", "model", "experiment"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "train.lrr=1"], "no setting is called 'train.lrr'"),
        (["train", "trian=x"], "no setting is called 'trian'"),
        (["train", "model=nope"], "model=nope does not exist; choose one of compact, tohoku_v3"),
        (["train", "train.seed=two"], "train.seed: Value 'two'"),
        (["train", "train.batch_size=0"], "train.batch_size is 0; it must be at least 1"),
        (["train", "model.max_length=5"], "between 16 and 8192"),
        (["train", "dev=data/labelled/train.jsonl"], "train and dev are the same file"),
        (["train", "train=data/labelled/holdout.jsonl"], "is the holdout, which training never opens"),
        (["baseline", "name=tfidf", "dev=data/labelled/holdout.jsonl"], "is the holdout, which training never opens"),
        (["train", "train=会議録/令和6年（第2回）, a=b~.jsonl"], "train=会議録/令和6年（第2回）, a=b~.jsonl: no such file"),
        (["train", "'bad"], "cannot read"),
        (["train", "train.report_to=[wandb]"], "train.report_to is 'wandb'; it must be one of tensorboard, mlflow"),
        (["evaluate"], "run is not set"),
        (["evaluate", "run=runs/nope"], "run=runs/nope: no such run folder"),
        (["predict", "run=data", "input=x", "output=y"], "not a finished run"),
        (["evaluate", "-m", "run=a,b"], "evaluate takes no --multirun; train, baseline, pretrain do"),
        (["train", "-m", "hydra/launcher=nowhere"], "hydra/launcher=nowhere is not installed"),
        (["pretrain", "corpus=x", "warmup=9", "steps=9"], "warmup (9) must be below steps (9)"),
    ],
)
def test_wrong_settings_stop_with_one_sentence_and_code_2(arguments: list[str], said: str) -> None:
    import time

    started = time.monotonic()
    result = gikai(*arguments)
    assert result.returncode == 2, result.stderr
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error: ")
    assert time.monotonic() - started < 5


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(lambda s: s != "null"))
def test_any_path_survives_the_door(path: str) -> None:
    argument = override(f"run={path}", "train")
    parsed = OverridesParser.create().parse_override(argument)
    value = OmegaConf.create({"run": parsed.value()}).run
    expected = path[1:-1] if len(path) > 1 and path[0] == path[-1] and path[0] in "'\"" else path
    assert value == expected or path.startswith("~")


@pytest.mark.parametrize("seeds", ["train.seed=1,2", "experiment=sweep"])
def test_each_job_of_a_sweep_has_its_run_folder_and_nothing_lies_elsewhere(
    seeds: str, root: Path, tiny: Path, labelled: Path, tmp_path: Path
) -> None:
    skip_without_plugins(seeds)
    (tmp_path / "here").mkdir()
    files = [f"train={labelled / 'train.jsonl'}", f"dev={labelled / 'dev.jsonl'}", f"taxonomy={root / 'data/taxonomy'}"]
    small = [f"model.path={tiny}", "model.epochs=1", "model.max_length=32", *(["hydra.sweeper.n_trials=2"] if "sweep" in seeds else [])]
    said = gikai("train", "-m", seeds, f"run={tmp_path / 'スイープ 1'}", *files, *small, cwd=tmp_path / "here")
    assert said.returncode == 0, said.stderr
    sweep = tmp_path / "スイープ 1"
    assert said.stdout.splitlines() == [str(sweep / "0"), str(sweep / "1")]
    scores = [json.loads((sweep / job / "run.json").read_text(encoding="utf-8"))["best_dev"] for job in ("0", "1")]
    assert list((tmp_path / "here").iterdir()) == []
    if seeds == "experiment=sweep":
        best = yaml.safe_load((sweep / "optimization_results.yaml").read_text(encoding="utf-8"))
        assert best["best_value"] == max(scores)
        assert sorted(path.name for path in sweep.iterdir()) == ["0", "1", "optimization_results.yaml"]
    else:
        assert sorted(path.name for path in sweep.iterdir()) == ["0", "1", "multirun.yaml"]


def test_train_is_both_a_file_and_a_section() -> None:
    assert override("train=a b.jsonl", "train") == "train.file='a b.jsonl'"
    assert override("train.seed=3", "train") == "train.seed=3"
    assert override("data=[a b,c]", "check_data") == "data=['a b','c']"
    assert override("data=a,b", "evaluate") == "data='a,b'"
    assert override("experiment=x", "train") == "experiment=x"


def test_hydra_leaves_nothing_behind(tmp_path: Path, root: Path, labelled: Path) -> None:
    """Neither a command that stops nor one that runs writes into the working directory."""
    assert gikai("train", "train.seed=two", cwd=tmp_path).returncode == 2
    arguments = [f"data={labelled / 'dev.jsonl'}", f"taxonomy={root / 'data/taxonomy'}"]
    assert gikai("check_data", *arguments, cwd=tmp_path).returncode == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_composing_needs_no_torch() -> None:
    code = "import sys; from gikai.config import register; register(); assert 'torch' not in sys.modules"
    import subprocess

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
