"""Fit a baseline into a run folder that evaluation and prediction treat like any other.

python scripts/baseline.py name=majority|keywords|tfidf [run=DIR] [train=FILE] [dev=FILE] [taxonomy=DIR] [keywords=FILE]
"""

import time
from dataclasses import asdict
from pathlib import Path

import yaml

from gikai import runs
from gikai.baselines import fit_keywords, fit_majority, fit_tfidf, load_linear
from gikai.config import Baseline
from gikai.dataset import load_labelled
from gikai.evaluate import fit_on_dev
from gikai.labels import load_taxonomy
from gikai.text import NORMALISATION


def fit_baseline(config: Baseline) -> Path:
    """Fit `config.name` on `config.train`, thresholds on `config.dev`, and return the run folder; run.json comes last.

    Keyword rules learn nothing from `config.train`: they are read from `config.keywords` and calibrated on `config.dev`.
    """
    started = time.time()
    run = Path(config.run)
    taxonomy = load_taxonomy(Path(config.taxonomy))
    data = {"train": Path(config.train), "dev": Path(config.dev)}
    if config.name == "keywords":
        del data["train"]
    passages = {name: load_labelled(path, taxonomy) for name, path in data.items()}
    rules = {}
    if config.name == "keywords":
        rules["keywords"] = {"file": config.keywords, "sha256": runs.sha256(Path(config.keywords))}
    fit = {
        "keywords": lambda: fit_keywords(Path(config.keywords), taxonomy, passages["dev"]),
        "tfidf": lambda: fit_tfidf(taxonomy, passages["train"], passages["dev"]),
        "majority": lambda: fit_majority(taxonomy, passages["train"]),
    }
    with runs.locked(run, "fitting a baseline"):
        runs.copy_taxonomy(Path(config.taxonomy), run, [label_set.name for label_set in taxonomy.sets])
        runs.write_text(run / "config.yaml", yaml.safe_dump(asdict(config), allow_unicode=True, sort_keys=False))
        fit[config.name]().save(run / "model")
        predictor = load_linear(run / "model", taxonomy)
        fit_on_dev(run, predictor, passages["dev"], f"{run.name} on {data['dev'].name}")
        runs.write_json(
            run / "run.json",
            {
                "name": run.name,
                "kind": "keywords" if config.name == "keywords" else "linear",
                "baseline": config.name,
                "normalisation": NORMALISATION,
                "data": {
                    **{
                        name: {"file": str(path), "sha256": runs.sha256(path), "passages": len(passages[name])}
                        for name, path in data.items()
                    },
                    **rules,
                },
                "seconds": round(time.time() - started, 1),
                **runs.provenance(),
            },
        )
    return run
