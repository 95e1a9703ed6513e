# What can be done here, and how. `make` alone prints this list.
# PYTHON chooses the interpreter a new environment is made with, VENV where it stands, ARGS goes to the program run,
# BENCH names questions of the bench.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
BENCH ?=
export PYTHON VENV
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help up demo test test-matrix test-eras test-kubectl conformance-mcp lint format bench docs prove compiled test-compiled dist clean

help: ## print this list
	@grep -hE '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F'\t' '{ printf "  make %-15s %s\n", $$1, $$2 }'

up: ## install if needed, then serve models on 127.0.0.1:8080 and administration on 127.0.0.1:9090
	@scripts/venv.sh run
	@PYTHONPATH="$$(scripts/compiled.sh path)$${PYTHONPATH:+:$$PYTHONPATH}" exec $(BIN)/heddle up $(ARGS)

demo: ## the same with the offline model and a page of what to try next
	@scripts/venv.sh run
	@exec $(BIN)/heddle demo $(ARGS)

test: ## run every test (ARGS="tests/unit -k name" narrows it)
	@scripts/venv.sh dev
	@scripts/test.sh $(ARGS)

test-matrix: ## real SDKs through the gateway, every dialect by every vendor, printed as a table
	@scripts/venv.sh dev
	@$(BIN)/python -m pytest tests/matrix $(ARGS)

test-eras: ## MCP clients of every protocol version by tool servers of every kind, printed as a table
	@scripts/venv.sh dev
	@scripts/node_setup.sh
	@$(BIN)/python -m pytest tests/eras $(ARGS)
	@$(BIN)/python -m tests.eras.page > docs/reference/mcp-eras.md

test-kubectl: ## every kubectl that is here, the Python clients, kopf and Helm against a control plane
	@scripts/venv.sh dev
	@. scripts/services.sh && ALL_KUBECTLS=1 $(BIN)/python -m pytest tests/e2e/controlplane/test_kubectl_versions.py \
		tests/e2e/controlplane/test_kubectl.py tests/e2e/controlplane/test_clients.py tests/e2e/controlplane/test_conditions.py $(ARGS)

conformance-mcp: ## the public MCP conformance suite through the gateway, and the score written down
	@scripts/venv.sh dev
	@scripts/conformance_mcp.sh $(ARGS)

lint: ## ruff, formatting, types, import contracts
	@scripts/venv.sh dev
	@scripts/lint.sh

format: ## let ruff rewrite what it can
	@scripts/venv.sh dev
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

bench: ## measure against peers beside us (BENCH=mcp ARGS="--seconds 5"; all of it takes about half an hour)
	@scripts/venv.sh run
	@scripts/bench_setup.sh
	@scripts/compiled.sh || echo "bench: measuring the interpreted package instead" >&2
	@$(BIN)/python -m bench.run $(BENCH) $(ARGS)

docs: ## write the reference pages that are generated from the code
	@scripts/venv.sh run
	@scripts/docs.sh

prove: ## tests, lint, fuzzing, stalled callers and kills by the thousand, then every figure we claim; fails if one is missed
	@$(MAKE) --no-print-directory test ARGS=
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m tests.proofs.run --save
	@$(MAKE) --no-print-directory bench ARGS="--check --save $(ARGS)"

compiled: ## compile the hot path into .compiled/ (needs a C compiler); `make up` and `make bench` then use it
	@scripts/venv.sh dev
	@scripts/compiled.sh

test-compiled: ## the same, then the end-to-end and property tests on it
	@scripts/venv.sh dev
	@scripts/compiled.sh test

dist: ## build the wheel and the container, and check that they install and start
	@scripts/venv.sh run
	@scripts/dist.sh

clean: ## remove everything that was made here, environments included
	rm -rf .venv .bench .compiled .compiled.new dist build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
