.PHONY: install demo lint test test-all fuzz mutants bombs deaths test-oldest test-matrix test-processors coverage lock-oldest audit dist docs docs-serve clean

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
EXAMPLES ?= all
PYTEST := -n $(WORKERS) --dist worksteal
# one thread a worker: the workers are as many as the cores
test test-all test-oldest coverage: export OMP_NUM_THREADS = 1

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

# random inputs to every parser, SECONDS each; what breaks a promise is kept in build/fuzz
SECONDS ?= 10
fuzz: install
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

# damaged captures, from the bundled ones or from those below CAPTURES
COUNT ?= 1000
CAPTURES ?= sktraffic/datasets/data/lab
mutants: install
	$(BIN)/python -m tools.mutants $(CAPTURES) --count $(COUNT)

# small files that would fill memory, disk or days
bombs: install
	$(BIN)/python -m tools.bombs

# commands that are killed, and disks that are taken away (partly as root)
KILLS ?= 100
deaths: install
	$(BIN)/python -m tools.deaths --kills $(KILLS)

# the oldest dependencies that the package lets in; PICK narrows the tests
OLDEST ?= .venv-oldest
PICK ?= -m "not slow"
$(OLDEST)/.installed: pyproject.toml constraints.txt requirements/oldest.txt
	$(PYTHON) -m venv --clear $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet $$(grep '^torch==' constraints.txt)
	$(OLDEST)/bin/python -m pip install --quiet -r requirements/oldest.txt
	$(OLDEST)/bin/python -m pip install --quiet --no-deps -e .
	touch $@

test-oldest: $(OLDEST)/.installed
	$(OLDEST)/bin/python -m pytest $(PYTEST) $(PICK)

# every Python that is here, with the newest and the oldest dependencies
test-matrix: install
	$(BIN)/python tools/matrix.py $(MATRIX)

# the tests as on other processors and with two threads; PICK narrows them
test-processors: install
	$(BIN)/python tools/processors.py $(PICK)

lock-oldest: install
	$(BIN)/python tools/oldest.py

# the share of lines that the tests run, and the files that they do not run whole
coverage: install
	$(BIN)/python -m pytest $(PYTEST) -m "not slow" --cov --cov-report=term-missing

# known holes of the pinned versions; in an environment of its own
audit:
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet pip-audit
	build/audit/bin/pip-audit --disable-pip --no-deps -r constraints.txt

# a wheel and a source distribution below dist/, checked
dist: install
	$(BIN)/python -m pip install --quiet build twine
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

$(BIN)/.installed-docs: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	touch $@

# the site, then the code on its pages, its links, and the site in Chromium where there is one;
# EXAMPLES: all, or a regular expression of the examples to run (names without plot_)
docs: export SKTRAFFIC_DOCS_EXAMPLES = $(EXAMPLES)
docs: export OMP_NUM_THREADS = 1
docs: $(BIN)/.installed-docs
	$(BIN)/python -m sphinx -n -W --keep-going -b html docs docs/_build/html
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile docs tests/docs

docs-serve:
	$(BIN)/python -m http.server --directory docs/_build/html --bind 127.0.0.1 8000

clean:
	rm -rf docs/_build docs/api docs/auto_examples $(VENV) $(OLDEST) build dist .coverage* .pytest_cache .ruff_cache .hypothesis
