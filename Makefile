# gikai: the commands of the project. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OFFLINE := HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false

.DEFAULT_GOAL := setup
.PHONY: help setup demo results test test-slow

help:  ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 20

setup: $(READY)  ## create .venv and install gikai into it, where it is missing or stale

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,onnx,quality]'
	touch $@

demo: $(READY)  ## the main job: fine-tune, score on the holdout, label the sample minutes (CPU, offline, under 15 minutes)
	@if [ -f runs/demo/run.json ]; then echo "runs/demo is finished; using it (remove the folder to train anew)"; \
	else $(OFFLINE) $(BIN)/python scripts/train.py run=runs/demo; fi
	$(OFFLINE) $(BIN)/python scripts/evaluate.py run=runs/demo
	rm -rf outputs/demo
	$(OFFLINE) $(BIN)/python scripts/predict.py run=runs/demo input=data/samples output=outputs/demo show=12

RESULTS := runs/results
MODELS := compact tfidf keywords majority
# Real passages are measured on where they lie beside the project; they are not part of it.
HELD := data/labelled/holdout.jsonl $(wildcard ../shared/labelled/real_dev.jsonl)
empty :=
comma := ,
list = [$(subst $(empty) $(empty),$(comma),$(strip $(1)))]

results: $(READY)  ## train and evaluate all that the README table shows, and rewrite the table
	@for model in $(MODELS); do \
		if [ -f $(RESULTS)/$$model/run.json ]; then echo "$(RESULTS)/$$model is finished; using it, if its data are still the same"; \
		elif [ $$model = compact ]; then $(OFFLINE) $(BIN)/python scripts/train.py run=$(RESULTS)/$$model || exit; \
		else $(BIN)/python scripts/baseline.py name=$$model run=$(RESULTS)/$$model || exit; fi; done
	$(OFFLINE) $(BIN)/python scripts/compare.py "runs=$(call list,$(MODELS:%=$(RESULTS)/%))" "data=$(call list,$(HELD))" write=README.md fresh=true

test: $(READY)  ## the whole check: format, lint, types, tests (warnings are errors)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(OFFLINE) $(BIN)/python -m pytest -q

test-slow: $(READY)  ## the tests that take minutes
	$(OFFLINE) $(BIN)/python -m pytest -q -m slow
