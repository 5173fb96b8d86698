# make demo            set-up, a training run on embedded data, pictures, exported files
# make test            set-up and the test suite
# make setup GPU=1     the same environment with TensorFlow's CUDA libraries
PYTHON ?= python3
VENV ?= .venv
TORCH_VENV ?= .venv-torch
DOCS_VENV ?= .venv-docs
RUNTIMES_VENV ?= .venv-runtimes
# TensorFlow 2.15 has no build for a newer Python.
RUNTIMES_PYTHON ?= $(shell command -v python3.11 || command -v python3.10 || echo $(PYTHON))
GPU ?=
# The CPU build of TensorFlow is a fifth of the size of the one with CUDA.
TENSORFLOW ?= $(if $(GPU),gpu,cpu)
TORCH ?= torch==2.13.0
RUN ?= runs/demo
# Each worker holds a TensorFlow of its own: more of them than this gain nothing.
WORKERS ?= auto --maxprocesses=8
# Files in their order: the slowest would come last if it were by their number of tests.
PYTEST ?= -q --no-loadscope-reorder

BIN := $(VENV)/bin
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
REQUIREMENTS := pyproject.toml constraints.txt $(wildcard requirements/*.txt)
SOURCES := sn_keras training export benchmarks tests examples

.PHONY: help setup setup-dev demo test test-fast test-torch test-runtimes docs notebook lint format format-check typecheck clean
.DEFAULT_GOAL := help

help:
	@echo "make demo        train on embedded MNIST images, export, and say where everything is"
	@echo "make test        run the test suite (sn_keras on JAX, then all on TensorFlow)"
	@echo "make test-fast   the same without the tests that take seconds each"
	@echo "make docs        build the site in site/, with links checked"
	@echo "make test-torch  run the tests of sn_keras on torch, in an environment of its own"
	@echo "make test-runtimes  run exported files in TensorFlow 2.15 and an onnxruntime of 2024"
	@echo "make setup       what demo needs; setup-dev: what test, lint and typecheck need"
	@echo "make lint | format | format-check | typecheck | clean"
	@echo "Variables: PYTHON=$(PYTHON) VENV=$(VENV) GPU=$(GPU) RUN=$(RUN)"

# Each build of TensorFlow has stamps of its own.
SETUP := $(VENV)/.setup-$(TENSORFLOW)
SETUP_DEV := $(VENV)/.setup-dev-$(TENSORFLOW)
OTHERS = $(filter-out $(SETUP) $(SETUP_DEV),$(wildcard $(VENV)/.setup*))

setup: $(SETUP)
setup-dev: $(SETUP_DEV)

# A stamp is written last, so that an interrupted set-up is taken up again.
$(SETUP): $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "sn-keras needs Python 3.10 or newer, $(PYTHON) is " + sys.version.split()[0])'
	@echo "Setting up $(VENV)"
	$(PYTHON) -m venv $(if $(OTHERS),--clear) $(VENV)
	$(BIN)/python $(PIP_INSTALL) --editable ".[$(TENSORFLOW)]" --requirement requirements/run.txt
	@touch $@

$(SETUP_DEV): $(SETUP)
	$(BIN)/python $(PIP_INSTALL) --editable ".[$(TENSORFLOW)]" --requirement requirements/dev.txt
	@touch $@

demo: setup
	$(BIN)/python -m training fit --preset mnist-demo --run $(RUN)
	$(BIN)/python -m export $(RUN) --output $(RUN)/exported --overwrite
	@echo
	@echo "Sample grids       $(RUN)/samples/"
	@echo "TensorBoard logs   $(RUN)/logs/  ($(BIN)/tensorboard --logdir $(RUN)/logs)"
	@echo "Exported models    $(RUN)/exported/"

# JAX compiles operation by operation: what one process has compiled the others take.
test: export JAX_COMPILATION_CACHE_DIR = $(abspath $(VENV))/.jax
test: export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS = 0
test: setup-dev
	KERAS_BACKEND=jax $(BIN)/python -m pytest $(PYTEST) -n $(WORKERS) --dist loadfile tests/sn_keras
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest $(PYTEST) -n $(WORKERS) --dist loadfile

# Of what is not marked slow, in under two minutes on 2 cores.
test-fast: setup-dev
	KERAS_BACKEND=tensorflow $(BIN)/python -m pytest $(PYTEST) -n $(WORKERS) --dist loadfile -m "not slow"

$(DOCS_VENV)/.setup: requirements/docs.txt
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

docs: $(DOCS_VENV)/.setup
	$(DOCS_VENV)/bin/zensical build --clean --strict

notebook: $(DOCS_VENV)/.setup
	$(DOCS_VENV)/bin/jupytext --to notebook examples/own_gan.py

$(TORCH_VENV)/.setup: $(REQUIREMENTS)
	$(PYTHON) -m venv $(TORCH_VENV)
	$(TORCH_VENV)/bin/python $(PIP_INSTALL) --editable . $(TORCH) pytest hypothesis pytest-xdist scipy
	@touch $@

test-torch: $(TORCH_VENV)/.setup
	KERAS_BACKEND=torch $(TORCH_VENV)/bin/python -m pytest $(PYTEST) -n $(WORKERS) --dist loadfile tests/sn_keras

$(RUNTIMES_VENV)/.setup: requirements/runtimes.txt
	$(RUNTIMES_PYTHON) -m venv $(RUNTIMES_VENV)
	$(RUNTIMES_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements/runtimes.txt
	@touch $@

test-runtimes: setup-dev $(RUNTIMES_VENV)/.setup
	RUNTIMES_PYTHON=$(abspath $(RUNTIMES_VENV))/bin/python $(BIN)/python -m pytest $(PYTEST) tests/export/test_runtimes.py

lint: setup-dev
	$(BIN)/python -m ruff check $(SOURCES)

format: setup-dev
	$(BIN)/python -m ruff check --fix $(SOURCES)
	$(BIN)/python -m ruff format $(SOURCES)

format-check: setup-dev
	$(BIN)/python -m ruff format --check $(SOURCES)

typecheck: setup-dev
	$(BIN)/python -m mypy

clean:
	rm -rf $(VENV) $(TORCH_VENV) $(DOCS_VENV) $(RUNTIMES_VENV) site build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +
