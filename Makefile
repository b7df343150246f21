# Each command sets itself up: R with lme4 and nlme where that can be done, .venv, the package.
.PHONY: audit test quick search lint docs adapters setup clean

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
TOOLS := $(VENV)/.tools
# One BLAS thread: the matrices are small. Bytecode is written even where the machine says not to: the
# tests start dozens of interpreters, each of which would compile the whole package again.
TEST := OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(VENV)/bin/python -m pytest

audit: $(STAMP)
	$(VENV)/bin/pp-compare audit seed_case1 seed_case2 seed_case3

# What people install is what is tested: the wheel, in an environment of its own, outside of here.
test: $(TOOLS)
	sh tests/report/setup_browser.sh
	$(VENV)/bin/python .ci/installed.py

# The same tests on the checkout as it is: for the one that one is working on, as in
# make quick TESTS=tests/model
quick: $(STAMP)
	$(TEST) $(TESTS)

search: $(STAMP)
	$(TEST) -n auto -m slow

lint: $(STAMP)
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check -e .[dev]
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

docs: $(STAMP)
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check -e .[docs]
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict
	$(TEST) -m "slow or not slow" tests/docs

# Other people's packages, in an environment of their own: some hold back libraries of ours.
adapters: $(STAMP)
	-apt-get install -y --no-install-recommends r-cran-glmmtmb r-cran-lmertest r-cran-emmeans
	$(PYTHON) -m venv .venv-adapters
	.venv-adapters/bin/python -m pip install -q --disable-pip-version-check -e .[adapters,test]
	OPENBLAS_NUM_THREADS=1 .venv-adapters/bin/python -m pytest -m "slow or not slow" tests/adapters
	.venv-adapters/bin/pp-compare league --limit 300 --markdown docs/league.md

setup: $(STAMP)

$(TOOLS): setup.sh
	PYTHON=$(PYTHON) ./setup.sh $(VENV) tools
	touch $(TOOLS)

$(STAMP): pyproject.toml r/setup.sh setup.sh
	PYTHON=$(PYTHON) ./setup.sh $(VENV)
	touch $(STAMP)

clean:
	rm -rf $(VENV)
