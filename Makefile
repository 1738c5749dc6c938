# Everything runs from one local environment, .venv; nothing else of the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install demo test check format bench soak lock clean

help: ## List what there is
	@grep -hE '^[a-z]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  make %-9s %s\n", $$1, $$2}'

# Versions are pinned in constraints.txt, so that today's green is tomorrow's; `make lock` renews them.
$(VENV)/.server: pyproject.toml sdk/pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or newer is needed, and `$(PYTHON)` is not. Name one: make PYTHON=python3.13 …'; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
	@echo "Installing Trailkeeper into $(VENV) …"
	@$(PIP) install --upgrade "pip>=25.1"
	@$(PIP) install --constraint constraints.txt --editable . --editable ./sdk
	@touch $@

$(VENV)/.test: $(VENV)/.server
	@echo "Installing what the tests need into $(VENV) …"
	@$(PIP) install --constraint constraints.txt --group test
	@touch $@

install: $(VENV)/.server ## Install the server, the SDK and the command into .venv

demo: $(VENV)/.server ## Start the whole trail embedded, with a sample application emitting real events
	@$(BIN)/python -m examples.demo

test: $(VENV)/.test ## Install what the tests need and run them all (PYTEST_ARGS="-k name" for some)
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.test ## Style, types and layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@cd sdk && ../$(BIN)/mypy --strict trailkeeper
	@$(BIN)/lint-imports --no-cache

format: $(VENV)/.test ## Put the code in its form
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

bench: $(VENV)/.test ## Measure, side by side in one run, and print the table
	@$(BIN)/python -m bench

soak: $(VENV)/.test ## Mix all faults at random and count (MINUTES=10 SEED=1 SOAK_ARGS=--json)
	@$(BIN)/python -m tests.faults.soak --minutes $(or $(MINUTES),10) --seed $(or $(SEED),1) $(SOAK_ARGS)

lock: $(VENV)/.test ## Renew constraints.txt from what is installed
	@$(PIP) freeze --exclude-editable | grep -v ' @ ' > constraints.txt

clean: ## Remove what was built, the environment too
	rm -rf $(VENV) .demo .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
