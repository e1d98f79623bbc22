# The targets use .venv, which make creates with PYTHON, 3.11 or newer.
PYTHON ?= python3
# Processes of the tests, each with its own servers: on two cores as many as keep them busy, and no more, which would be late.
# tests/scheduling.py says what runs where.
test: JOBS ?= 3
end-to-end: JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin

# Python keeps the bytecode of packages, which are installed without it: a stack starts in two fifths of the CPU time.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run install install-dev test end-to-end check lock bench faults screenshots

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

run: $(VENV)/.run ## Run a whole stack on this machine, until Ctrl-C
	@exec $(BIN)/chargehand up

install: $(VENV)/.run ## Install what make run needs into .venv; make run does it when the lock has changed

install-dev: $(VENV)/.dev ## Install what the tests and linters need too; the targets below do it

PYTEST = $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

test: $(VENV)/.dev ## Run the tests of the parts, JOBS=3 files at a time
	$(PYTEST) -m "not slow and not end_to_end" $(ARGS)

end-to-end: $(VENV)/.dev ## Run the tests of the whole product: stacks, browsers, the blocks of the documentation
	$(PYTEST) -m "end_to_end and not slow" $(ARGS)

check: $(VENV)/.dev ## What a commit needs: locks, lint, format, types, make test under coverage
	$(BIN)/python -m scripts.lock --check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	@$(MAKE) --no-print-directory test ARGS="--cov --cov-report=term:skip-covered $(ARGS)"

lock: | new-enough ## Update the locks to pyproject.toml; with UPGRADE=1 to the newest versions
	@$(firstword $(wildcard $(BIN)/python) $(PYTHON)) -m scripts.lock $(if $(UPGRADE),--upgrade)

bench: $(VENV)/.dev ## Measure, and compare with the budgets
	$(BIN)/python -m bench $(ARGS)

faults: $(VENV)/.dev ## Run the slow fault tests too: kills, lost servers, slow calls
	$(BIN)/python -m pytest -m "slow or not slow" tests/faults tests/hosts tests/worker/reconcile/test_state_machine.py tests/worker/hosts/test_machine.py $(ARGS)

screenshots: $(VENV)/.dev ## Take the pictures of docs/images from a fleet on this machine; needs Chromium
	$(BIN)/python -m scripts.screenshots

# The tests' lock includes the other one, so what it installs is enough for make run.
$(VENV)/.run: requirements.lock pyproject.toml | new-enough
	@$(PYTHON) -m scripts.install $(VENV) requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | new-enough
	@$(PYTHON) -m scripts.install $(VENV) requirements-dev.lock
	@touch $(VENV)/.run $@

.PHONY: new-enough
new-enough:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	{ echo 'Chargehand needs Python 3.11 or newer, and "$(PYTHON)" is not: set another one, as in make run PYTHON=python3.12' >&2; exit 1; }
