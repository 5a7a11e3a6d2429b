"""Typed configuration of every script, and the door they all enter by: quoting, errors in one sentence, exit codes.

Library module; no command of its own. Values are in `conf/`; these dataclasses are their schema.
"""

import dataclasses
import errno
import importlib.util
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from gikai import InputError

CONF = Path(__file__).resolve().parents[2] / "conf"
SHIPPED = "data/labelled"
BACKENDS = ("auto", "torch", "torch-bf16", "onnx", "onnx-int8")


def _at_least(name: str, value: float, low: float) -> None:
    if value < low:
        raise InputError(f"{name} is {value}; it must be at least {low:g}")


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{name} is {value}; it must be between {low:g} and {high:g}")


def _exists(name: str, path: str) -> None:
    if not Path(path).exists():
        raise InputError(f"{name}={path}: no such file or folder")


def _fit_paths(run: str, train: str, dev: str, taxonomy: str) -> None:
    """Check what everything that is fitted must hold to: files that are there, no holdout, a run not yet finished."""
    if Path(train).resolve() == Path(dev).resolve():
        raise InputError(f"train and dev are the same file, {dev}; thresholds and early stopping need other passages")
    for name, path in (("train", train), ("dev", dev), ("taxonomy", taxonomy)):
        _exists(name, path)
        if Path(path).resolve() == Path(f"{SHIPPED}/holdout.jsonl").resolve():
            raise InputError(f"{name}={path} is the holdout, which training never opens; use other passages")
    if (Path(run) / "run.json").exists():
        raise InputError(f"{run}: this run is finished; choose another run=… or remove the folder")


def _finished(name: str, run: str) -> None:
    if not Path(run).is_dir():
        raise InputError(f"{name}={run}: no such run folder")
    if not (Path(run) / "run.json").exists():
        raise InputError(f"{name}={run}: not a finished run: it has no run.json; train into it first")


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")


@dataclass
class TaskConfig:
    """Which label sets of the taxonomy the model learns; None: all of them."""

    label_sets: list[str] | None = None

    def __post_init__(self) -> None:
        if self.label_sets == []:
            raise InputError("task.label_sets is empty; name at least one label set, or null for all")


@dataclass
class ModelConfig:
    """Where training starts from, and what belongs to that checkpoint."""

    path: str = "data/pretrained/compact"
    revision: str | None = None
    max_length: int = 256
    lr: float = 5e-4
    head_lr: float = 1e-3
    epochs: int = 12

    def __post_init__(self) -> None:
        _within("model.max_length", self.max_length, 16, 8192)
        _within("model.lr", self.lr, 1e-9, 1)
        _within("model.head_lr", self.head_lr, 1e-9, 1)
        _at_least("model.epochs", self.epochs, 1)


@dataclass
class TrainConfig:
    """How the joint model is fitted. `file` is what `train=FILE` on the command line sets."""

    file: str = f"{SHIPPED}/train.jsonl"
    batch_size: int = 16
    accumulation: int = 1
    warmup: float = 0.1
    weight_decay: float = 0.01
    layer_decay: float = 1.0
    positive_weight: float = 4.0
    multi_weight: float = 6.0
    dropout: float = 0.1
    patience: int = 4
    seed: int = 1
    precision: str = "auto"
    report_to: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        _at_least("train.batch_size", self.batch_size, 1)
        _at_least("train.accumulation", self.accumulation, 1)
        _within("train.warmup", self.warmup, 0, 0.99)
        _within("train.weight_decay", self.weight_decay, 0, 1)
        _within("train.seed", self.seed, 0, 2**32 - 1)
        _at_least("train.patience", self.patience, 1)
        _within("train.layer_decay", self.layer_decay, 0.01, 1)
        _within("train.dropout", self.dropout, 0, 0.9)
        _at_least("train.positive_weight", self.positive_weight, 0.01)
        _at_least("train.multi_weight", self.multi_weight, 0)
        _one_of("train.precision", self.precision, ("auto", "bf16", "float32"))
        for tracker in self.report_to:
            _one_of("train.report_to", tracker, ("tensorboard", "mlflow"))
            if importlib.util.find_spec(tracker) is None:
                raise InputError(f"train.report_to={tracker} needs the package {tracker}: pip install -e '.[tracking]'")


@dataclass
class Train:
    """`scripts/train.py`"""

    run: str
    dev: str = f"{SHIPPED}/dev.jsonl"
    taxonomy: str = "data/taxonomy"
    task: TaskConfig = field(default_factory=TaskConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        _fit_paths(self.run, self.train.file, self.dev, self.taxonomy)


@dataclass
class Evaluate:
    """`scripts/evaluate.py`"""

    run: str
    data: str = f"{SHIPPED}/holdout.jsonl"
    output: str | None = None
    baselines: list[str] = field(default_factory=list)
    """Other runs whose scores on the same passages stand beside this run's."""
    words: int = 60
    """Passages with a wrong label whose words are weighed (attributions.json); 0: none."""

    def __post_init__(self) -> None:
        _finished("run", self.run)
        _exists("data", self.data)
        for run in self.baselines:
            _finished("baselines", run)
        _at_least("words", self.words, 0)


@dataclass
class Predict:
    """`scripts/predict.py`"""

    run: str
    input: str
    output: str
    format: str = "parquet"
    backend: str = "auto"
    engine: str = "local"
    workers: int = 0
    """With engine=ray: how many models; 0: one a GPU of the cluster, or one a CPU where there is no GPU."""
    drop_duplicates: bool = False
    show: int = 0
    shard: int = 4096
    tokens: int = 8192

    def __post_init__(self) -> None:
        _finished("run", self.run)
        _one_of("format", self.format, ("parquet", "jsonl", "csv"))
        _one_of("backend", self.backend, BACKENDS)
        _one_of("engine", self.engine, ("local", "ray"))
        _at_least("workers", self.workers, 0)
        _at_least("shard", self.shard, 1)
        _at_least("tokens", self.tokens, 512)


@dataclass
class Prepare:
    """`scripts/prepare.py`"""

    input: str
    output: str
    report: str | None = None
    """File for a Markdown table of the documents."""
    shortest: int = 40
    drop_duplicates: bool = True

    def __post_init__(self) -> None:
        _at_least("shortest", self.shortest, 1)
        if not self.output.endswith(".jsonl"):
            raise InputError(f"output={self.output}: passages are written as JSON Lines; give a name that ends in .jsonl")


@dataclass
class Baseline:
    """`scripts/baseline.py`"""

    name: str
    run: str
    train: str = f"{SHIPPED}/train.jsonl"
    dev: str = f"{SHIPPED}/dev.jsonl"
    taxonomy: str = "data/taxonomy"
    keywords: str = "data/keywords.yaml"
    """The rules of name=keywords."""

    def __post_init__(self) -> None:
        _one_of("name", self.name, ("majority", "keywords", "tfidf"))
        _fit_paths(self.run, self.train, self.dev, self.taxonomy)
        if self.name == "keywords":
            _exists("keywords", self.keywords)


@dataclass
class Compare:
    """`scripts/compare.py`"""

    runs: list[str]
    data: list[str] = field(default_factory=lambda: [f"{SHIPPED}/holdout.jsonl"])
    write: str | None = None
    """A file that holds the two markers between which the table goes."""
    output: str | None = None
    fresh: bool = False
    """Refuse a run that was fitted on other data than its files hold now."""

    def __post_init__(self) -> None:
        if len(self.runs) < 2 or len(set(self.runs)) < len(self.runs):
            raise InputError("runs must name two different runs or more: runs=[A,B]")
        for run in self.runs:
            _finished("runs", run)
        for path in self.data:
            _exists("data", path)


@dataclass
class CheckData:
    """`scripts/check_data.py`"""

    data: list[str]
    taxonomy: str = "data/taxonomy"
    against: list[str] = field(default_factory=list)
    floors: str | None = None

    def __post_init__(self) -> None:
        if self.floors is not None:
            _one_of("floors", self.floors, ("shipped",))


@dataclass
class CheckLabels:
    """`scripts/check_labels.py`"""

    data: str
    against: str | None = None
    taxonomy: str = "data/taxonomy"
    show: int = 20
    output: str | None = None
    """A JSON Lines file for all passages that look mislabelled."""

    def __post_init__(self) -> None:
        _exists("data", self.data)
        if self.against is not None:
            _exists("against", self.against)
        _exists("taxonomy", self.taxonomy)
        _at_least("show", self.show, 0)
        for package in ("cleanlab", "nltk"):
            if importlib.util.find_spec(package) is None:
                raise InputError(f"check_labels needs the package {package}: pip install -e '.[quality]'")


@dataclass
class Pretrain:
    """`scripts/pretrain.py`"""

    run: str
    corpus: list[str]
    keep: str | None = None
    """Regular expression: only speeches (with a teacher: windows) in which it is found are read."""
    teacher: list[str] = field(default_factory=list)
    """Finished runs of one taxonomy: the pooled [CLS] learns the mean of their probabilities too (self-training)."""
    others: float = 0.1
    """Share of the windows without `keep` that a teacher labels all the same."""
    init: str | None = None
    vocabulary: str | None = None
    vocabulary_size: int = 16000
    layers: int = 4
    width: int = 256
    heads: int = 4
    length: int = 128
    batch_size: int = 16
    accumulation: int = 1
    steps: int = 10000
    warmup: int = 500
    lr: float = 5e-4
    weight_decay: float = 0.01
    mask_rate: float = 0.2
    bag_weight: float = 0.5
    role_weight: float = 0.5
    label_weight: float = 1.0
    dropout: float = 0.1
    validation: float = 0.01
    evaluate_every: int = 1000
    save_every: int = 500
    seed: int = 1
    precision: str = "auto"

    def __post_init__(self) -> None:
        _within("length", self.length, 16, 512)
        _within("mask_rate", self.mask_rate, 0.01, 0.9)
        _within("validation", self.validation, 0, 0.5)
        _within("others", self.others, 0, 1)
        for run in self.teacher:
            _finished("teacher", run)
        _one_of("precision", self.precision, ("auto", "bf16", "float32"))
        if self.warmup >= self.steps:
            raise InputError(f"warmup ({self.warmup}) must be below steps ({self.steps})")
        if self.width % self.heads:
            raise InputError(f"width ({self.width}) must be a multiple of heads ({self.heads})")


@dataclass
class Benchmark:
    """`scripts/benchmark.py`"""

    run: str
    passages: int = 5000
    repeats: int = 3
    backend: str = "auto"
    texts: list[str] = field(default_factory=lambda: [f"{SHIPPED}/train.jsonl", f"{SHIPPED}/dev.jsonl"])
    """Files whose texts are joined and cut to make the passages."""
    shortest: int = 20
    longest: int = 400
    """Characters; lengths are spread evenly between the two."""
    growth: list[int] = field(default_factory=lambda: [1_000, 10_000, 100_000])
    """Numbers of passages over which time and memory are followed; empty: not at all."""
    tokens: int = 8192
    output: str = "outputs/benchmark"
    table: str | None = None
    """A page whose lines between `<!-- benchmark -->` and `<!-- /benchmark -->` are written anew."""

    def __post_init__(self) -> None:
        _finished("run", self.run)
        _at_least("passages", self.passages, 64)
        _at_least("repeats", self.repeats, 1)
        _one_of("backend", self.backend, BACKENDS)
        _at_least("shortest", self.shortest, 1)
        _at_least("longest", self.longest, self.shortest)
        for path in self.texts:
            _exists("texts", path)
        for count in self.growth:
            _at_least("growth", count, 1)
        _at_least("tokens", self.tokens, 512)
        if self.table is not None:
            _exists("table", self.table)


SCHEMAS: dict[str, type] = {
    "train": Train,
    "evaluate": Evaluate,
    "predict": Predict,
    "prepare": Prepare,
    "baseline": Baseline,
    "compare": Compare,
    "check_data": CheckData,
    "check_labels": CheckLabels,
    "pretrain": Pretrain,
    "benchmark": Benchmark,
}

PATHS = {
    "run",
    "teacher",
    "data",
    "output",
    "input",
    "dev",
    "taxonomy",
    "against",
    "corpus",
    "init",
    "vocabulary",
    "runs",
    "baselines",
    "write",
    "report",
    "keywords",
    "table",
    "texts",
    "train.file",
    "model.path",
}
LISTS = {"data", "against", "corpus", "teacher", "runs", "baselines", "texts"}
"""Of PATHS, those that take several: `[A,B]`, or one path alone."""
ONE = {"evaluate", "check_labels"}
"""Commands whose `data` and `against` are single paths all the same."""


FITTING = ("train", "baseline", "pretrain")
"""The commands that make a run folder, and so can be swept."""


def register() -> None:
    """Register every schema, so that `conf/*.yaml` is checked against it. Idempotent."""
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    for name, schema in SCHEMAS.items():
        store.store(name=f"{name}_schema", node=schema)


def override(argument: str, command: str, sweep: bool = False) -> str:
    """Return one command-line argument as Hydra's grammar needs it: a path quoted, `train=FILE` as `train.file=FILE`.

    A path may then hold spaces, commas, brackets, `=` and `~`, as a person types it.
    """
    match = re.match(r"^(\+{0,2})([A-Za-z_][\w.]*)=(.*)$", argument, re.DOTALL)
    if match is None:
        return argument
    prefix, key, value = match.groups()
    if command == "train" and key == "train":
        key = "train.file"
    if (key not in PATHS and (command, key) != ("baseline", "train")) or value in ("", "null") or (sweep and "," in value):
        return f"{prefix}{key}={value}"
    takes_list = key in LISTS and not (command in ONE and key in ("data", "against"))
    if takes_list:
        items = [value]
        if value.startswith("[") and value.endswith("]"):
            items = [item.strip() for item in value[1:-1].split(",") if item.strip()]
        return f"{prefix}{key}=[{','.join(map(_quoted, items))}]"
    return f"{prefix}{key}={_quoted(value)}"


def sweep_folder(arguments: list[str]) -> list[str]:
    """Return the arguments of a sweep with `run=DIR` as the folder of the sweep, and a run folder for each job in it.

    All that Hydra and its plugins write of a sweep lies in that folder too.
    """
    given = [argument.removeprefix("run=") for argument in arguments if argument.startswith("run=")]
    folder = given[-1] if given else "runs/sweep_${now:%Y-%m-%d_%H%M%S}"
    rest = [argument for argument in arguments if not argument.startswith("run=")]
    return [*rest, f"hydra.sweep.dir={folder}", "run=${hydra:sweep.dir}/${hydra:job.num}"]


def _quoted(path: str) -> str:
    if len(path) > 1 and path[0] == path[-1] and path[0] in "'\"":
        path = path[1:-1]
    path = os.path.expanduser(path)
    # Hydra keeps backslashes literally unless they stand before a quote; ${…} would be interpolated.
    escaped = re.sub(r"(\\*)'", lambda m: m[1] * 2 + "\\'", path)
    escaped = re.sub(r"(\\+)$", lambda m: m[1] * 2, escaped).replace("${", "\\${")
    return f"'{escaped}'"


def main(command: str, function: Callable[[Any], float | None]) -> None:
    """Run `function` on the command's checked configuration; the one place where errors become exit codes.

    0 done; 2 the input or configuration is wrong, with one sentence on stderr; 1 anything else: it raises, or says in one
    sentence that the disk is full. Ctrl-C and SIGTERM end the command in order (130, 143). In a sweep, what `function`
    returns is the score to be optimised.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"
    _stop_in_order_on_sigterm()
    import hydra
    from hydra.errors import HydraException
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    register()
    for argument in sys.argv[1:]:
        if not re.match(r"^(?:-|[+~]{0,2}[A-Za-z_][\w./@]*(?:=|$))", argument) or (
            argument[:1] != "-" and "=" not in argument and argument[:1] != "~"
        ):
            _stop(f"cannot read {argument!r} on the command line; write key=value, and quote values with special characters", sweep=True)
    sweep = any(argument in ("-m", "--multirun") for argument in sys.argv[1:])
    sys.argv[1:] = [override(argument, command, sweep) for argument in sys.argv[1:]]
    if sweep:
        if command not in FITTING:
            _stop(f"{command} takes no --multirun; {', '.join(FITTING)} do", sweep)
        sys.argv[1:] = sweep_folder(sys.argv[1:])

    def run(config: DictConfig) -> float | None:
        # Errors end here, inside the job: Hydra would print lines of its own around them.
        try:
            missing = sorted(OmegaConf.missing_keys(config))
            if missing:
                raise InputError(f"{missing[0]} is not set; add {missing[0]}=… to the command")
            settings = OmegaConf.to_object(config)
        except (InputError, OmegaConfBaseException) as error:
            _stop(_sentence(error), sweep)
        try:
            return function(settings)
        except InputError as error:
            _stop(str(error), sweep)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            _stop(f"{error.filename or 'writing'}: {error.strerror}; make room, and the same command again goes on from here", sweep, 1)
        except KeyboardInterrupt as stop:
            print("interrupted; the same command again goes on from here", file=sys.stderr)
            os._exit(143 if stop.args == (signal.SIGTERM,) else 130)

    try:
        hydra.main(version_base=None, config_path=str(CONF), config_name=command)(run)()
    except (HydraException, OmegaConfBaseException) as error:
        _stop(_sentence(error), sweep=True)


def _stop_in_order_on_sigterm() -> None:
    """Let SIGTERM, which queues and shells send, end this process as Ctrl-C does; its children as before."""
    process = os.getpid()

    def stop(number: int, frame: object) -> None:
        if os.getpid() != process:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            return
        raise KeyboardInterrupt(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)


def _stop(message: str, sweep: bool, code: int = 2) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    if sweep:
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _sentence(error: Exception) -> str:
    """Return the first informative line of a Hydra error, which may be wrapped several times and name no key."""
    if isinstance(error, InputError):
        return str(error)
    if type(error).__name__ == "OverrideParseException":
        return (
            f"cannot read {getattr(error, 'override', '')!r} on the command line; write key=value, and quote values with special characters"
        )
    chain: list[BaseException] = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) is not None and len(chain) < 8:
        chain.append(inner)
    for cause in reversed(chain):
        if isinstance(cause, InputError):
            return str(cause)
    text = "\n".join(str(item) for item in chain)
    key = re.search(r"Key '([^']+)' not in '(\w+)'", text)
    if key:
        names = {schema.__name__: schema for schema in (*SCHEMAS.values(), TaskConfig, ModelConfig, TrainConfig)}
        have = [f.name for f in dataclasses.fields(names[key[2]])] if key[2] in names else []
        path = re.search(r"full_key: (\S+)", text)
        return (
            f"no setting is called {path[1] if path else key[1]!r}; there are {', '.join(have)}"
            if have
            else f"no setting is called {key[1]!r}"
        )
    plugin = re.search(r"Could not (?:find|load) '(hydra/\w+)/([^']+)'", text)
    if plugin:
        extra = {"hydra/sweeper": "sweep", "hydra/launcher": "slurm"}.get(plugin[1])
        return f"{plugin[1]}={plugin[2]} is not installed" + (f": pip install -e '.[{extra}]'" if extra else "")
    group = re.search(r"Could not (?:find|load) '(\w+)/([^']+)'", text)
    if group:
        choices = sorted(path.stem for path in (CONF / group[1]).glob("*.yaml"))
        return f"{group[1]}={group[2]} does not exist; choose one of {', '.join(choices) or 'none yet'}"
    value = re.search(r"(Value '.*?' of type .*? could not be converted to \w+|Invalid value assigned: .*)", text)
    path = re.search(r"full_key: (\S+)", text)
    if value:
        return f"{path[1] if path else 'a setting'}: {value[1]}"
    lines = [line.strip() for line in str(chain[-1]).splitlines() if line.strip()] or [str(error)]
    return lines[0]
