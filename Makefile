# Everything a person or CI needs; `make help` lists it.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# More flags for `make evolve`, as in: make evolve ARGS="--data wine --seed 1"
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help evolve test test-slow test-lowest style check format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

evolve: $(VENV)/.run  ## install evonet into .venv and evolve networks for the digits data
	$(BIN)/python -m evonet evolve --max-minutes 2 $(ARGS)

test: $(VENV)/.test  ## install evonet into .venv and run the tests
	$(BIN)/python -m pytest -n 2 --durations=12

test-slow: $(VENV)/.test  ## the tests that take minutes
	$(BIN)/python -m pytest -n 2 -m slow

test-lowest:  ## the tests with the lowest versions that pyproject.toml allows
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet uv
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct -e '.[test]'
	.venv-lowest/bin/python -m pytest -n 2

style: $(VENV)/.dev  ## check format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: style test  ## everything CI runs

format: $(VENV)/.dev  ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the environments and what was built
	rm -rf .venv .venv-lowest build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# One stamp for each set of dependencies; a change of pyproject.toml installs again.
$(VENV)/.run: pyproject.toml | $(VENV)/bin/python
	@echo "Installing evonet and TensorFlow into $(VENV), a minute or two ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	@echo "Installing evonet, TensorFlow and the test tools into $(VENV), a minute or two ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@ $(VENV)/.run

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.test $(VENV)/.run
