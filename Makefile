.PHONY: install demo lint test test-all docs docs-serve clean

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
EXAMPLES ?= all
PYTEST := -n $(WORKERS) --dist worksteal
# one thread a worker: the workers are as many as the cores
test test-all: export OMP_NUM_THREADS = 1

# torch comes first and by its exact version: a bare `torch` would pull gigabytes of CUDA packages
$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $$(grep '^torch==' constraints.txt)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

install: $(BIN)/.installed

demo: install
	$(BIN)/sktraffic demo

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

test: lint
	$(BIN)/python -m pytest $(PYTEST) -m "not slow"

test-all: lint
	$(BIN)/python -m pytest $(PYTEST)

$(BIN)/.installed-docs: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	touch $@

# EXAMPLES: all, or a regular expression of the examples to run (names without plot_)
docs: export SKTRAFFIC_DOCS_EXAMPLES = $(EXAMPLES)
docs: export OMP_NUM_THREADS = 1
docs: $(BIN)/.installed-docs
	$(BIN)/python -m sphinx -n -W --keep-going -b html docs docs/_build/html

docs-serve:
	$(BIN)/python -m http.server --directory docs/_build/html --bind 127.0.0.1 8000

clean:
	rm -rf docs/_build docs/api docs/auto_examples $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
