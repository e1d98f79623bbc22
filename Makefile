# Everything happens in .venv, which make builds with PYTHON, 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help run install test check bench faults

help: ## Show this list
	@sed -n 's/^\([a-z]*\):[^#]*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

run: $(INSTALLED) ## Run every part on this machine, until Ctrl-C
	@exec $(BIN)/chargehand up

install: $(INSTALLED) ## Build .venv; the other targets do it when it is out of date

test: $(INSTALLED) ## Run the tests
	$(BIN)/python -m pytest $(ARGS)

check: $(INSTALLED) ## What a commit needs: lint, format, types, tests under coverage
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage report

bench: $(INSTALLED) ## Measure, and compare with the budgets
	$(BIN)/python -m bench $(ARGS)

faults: $(INSTALLED) ## Run the slow fault tests too: kills, outages, slow calls
	$(BIN)/python -m pytest -m "slow or not slow" tests/faults tests/worker/test_state_machine.py $(ARGS)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	{ echo 'Chargehand needs Python 3.11 or newer, and "$(PYTHON)" is not: name one, as in make run PYTHON=python3.12' >&2; exit 1; }
	@echo 'Installing into $(VENV) ...'
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes --requirement requirements.lock
	@$(PIP) install --no-build-isolation --no-deps --editable .
	@touch $@
