# `make help` lists the targets. Everything is installed into .venv, from the hash-pinned locks in requirements/.
# An interpreter of your choice: make PYTHON=python3.12 run

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
EXPERIMENT ?= phx70
SPECIES ?= rat
OUT ?= results/$(EXPERIMENT)
# Test workers: two suit the smallest machine that the suite must pass on.
WORKERS ?= 2
ARGS ?=
export PYTHON

LOCKED := requirements/uv.txt requirements/build.txt pyproject.toml scripts/setup
COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet $(ARGS)

.PHONY: help run test lint format check locks clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.stamp-run ## simulate a 70% hepatectomy in the rat and write its report (EXPERIMENT=, SPECIES=, OUT=)
	@$(BIN)/hepatalk run "$(EXPERIMENT)" --species "$(SPECIES)" --out "$(OUT)"

test: .venv/.stamp-dev ## the whole gate: lint, types, import rules, tests (ARGS= goes to pytest)
	@$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

lint: .venv/.stamp-dev ## style, formatting, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# The stubs in .venv are those of its own Python; checked as another version's, numpy's give false errors.
	$(BIN)/mypy --strict --python-version "$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')" src
	$(BIN)/lint-imports --no-logo

format: .venv/.stamp-dev ## rewrite the code in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

check: .venv/.stamp-run ## check the knowledge: sources, units, orphans, the healthy steady state
	@$(BIN)/hepatalk check $(ARGS)

locks: .venv/.stamp-run ## resolve the dependencies again and rewrite requirements/*.txt (ARGS=--upgrade for newer ones)
	$(COMPILE) requirements/uv.in -o requirements/uv.txt
	$(COMPILE) pyproject.toml -o requirements/run.txt
	$(COMPILE) -c requirements/run.txt --extra dev pyproject.toml -o requirements/dev.txt
	$(COMPILE) --extra dev --extra bench pyproject.toml -o requirements/bench.txt
	$(COMPILE) -c requirements/run.txt -c requirements/dev.txt requirements/build.in -o requirements/build.txt

clean: ## remove the environment, caches and build output (results/ stays)
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.stamp-run: requirements/run.txt $(LOCKED)
	@scripts/setup run

.venv/.stamp-dev: requirements/dev.txt $(LOCKED)
	@scripts/setup dev
