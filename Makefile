# Lockgate. `make help` lists what can be made.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := .demo
FUZZ_SECONDS ?= 600
FUZZ_ONLY ?=
FUZZ_FOLDER ?= .fuzz
KIT_KEY ?= dist/kit-key/kit.pem
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help env env-dev system demo demo-clean ask test test-all test-offline lint format bench fuzz docs kit clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

$(VENV)/.made-demo: requirements/demo.txt requirements/build.txt pyproject.toml
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Lockgate needs Python 3.11 or newer"'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Building $(VENV) from requirements/demo.txt (hashed) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/build.txt -r requirements/demo.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --no-index -e .
	@touch $@

$(VENV)/.made-dev: $(VENV)/.made-demo requirements/dev.txt
	@echo "Adding development tools from requirements/dev.txt (hashed) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/dev.txt
	@touch $@

env: $(VENV)/.made-demo ## Build .venv with what running needs
env-dev: $(VENV)/.made-dev ## Build .venv with what developing needs

system: ## Install the Debian packages that the demo and the tests use
	@scripts/system-packages

demo: env system ## Show the whole way of a byte, on real packages and a real model
	@$(BIN)/python demo/run.py --folder $(DEMO)

ask: env ## Ask the demo one more question: make ask Q="…"
	@$(BIN)/lockgate isolate run --home $(DEMO)/lane/high -- $(BIN)/lockgate ask "$(Q)" --key-file $(DEMO)/api-key --home $(DEMO)/lane/high

demo-clean: ## Remove what the demo made
	@if test -x $(BIN)/lockgate; then $(BIN)/python demo/run.py --folder $(DEMO) --clean; else rm -rf $(DEMO); fi

lint: env-dev ## Style, types, layers
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache 2>&1 | tail -n 4

format: env-dev ## Format the code
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .

test: lint system ## Lint, then every test but the long ones
	@scripts/run-tests "not slow"

test-offline: env-dev ## The tests that need no registry, with the network removed
	@scripts/run-tests "not slow and not online"

test-all: lint system ## Everything, the long ones included
	@scripts/run-tests ""

bench: env-dev system ## Benchmarks: ratios to a peer or a limit in the same run
	@for each in bench/[a-z]*.py; do $(BIN)/python $$each $(BENCH); done

fuzz: env-dev ## Search for inputs that break a parser: make fuzz FUZZ_SECONDS=3600 FUZZ_ONLY=gguf
	@PYTHONPATH=tests $(BIN)/python -m fuzzing.run --seconds $(FUZZ_SECONDS) --only "$(FUZZ_ONLY)" --folder $(FUZZ_FOLDER)

docs: env-dev ## Check the documents: links and commands
	@$(BIN)/pytest -q tests/unit/test_docs.py

kit: env system ## Build the signed offline kit of the checked-out commit: make kit KIT_KEY=…
	@$(BIN)/python scripts/kit/make_kit.py --key $(KIT_KEY) --make-key $(KIT)

clean: demo-clean ## Remove everything that was made
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
