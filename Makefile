# Everything a user or developer does with the repository. All targets are safe to repeat.
VENV   ?= .venv
PYTHON ?= python3
BIN    := $(VENV)/bin
NAME   ?= dev
NODES  ?= 1
PORT   ?= 6443

.PHONY: setup up down test unit integration e2e check format bench images lock

setup: ## virtual environment and, as root on Debian or Ubuntu, missing system packages
	@PYTHON=$(PYTHON) VENV=$(VENV) scripts/setup.sh

up: setup ## a running cluster and its kubeconfig context
	@scripts/docker-engine.sh start
	@$(BIN)/kubeling status --name $(NAME) >/dev/null 2>&1 \
	  || $(BIN)/kubeling start --name $(NAME) 2>/dev/null \
	  || $(BIN)/kubeling up --name $(NAME) --nodes $(NODES) --port $(PORT)

down: ## undoes up: processes, containers, network, rules, kubeconfig entry, the engine if we started it
	@if [ -x $(BIN)/kubeling ]; then $(BIN)/kubeling down --name $(NAME); fi
	@scripts/docker-engine.sh stop

check: setup ## lint, format, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: setup ## every test
	@scripts/test.sh

unit: setup
	$(BIN)/pytest tests/unit -n 2 -q

integration: setup
	$(BIN)/pytest tests/integration -n 2 -q

e2e: setup images
	$(BIN)/pytest tests/e2e -q

images: ## the images that examples and tests use, built from Debian's packages
	@scripts/images.sh

bench: setup images ## measurements of the hot paths (pod_start and streams need root and Docker)
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.scheduling
	$(BIN)/python -m benchmarks.pod_start
	$(BIN)/python -m benchmarks.node
	$(BIN)/python -m benchmarks.streams
	$(BIN)/python -m benchmarks.rollout
	$(BIN)/python -m benchmarks.idle

lock: setup ## requirements.lock anew from pyproject.toml
	$(BIN)/pip install -q pip-tools
	$(BIN)/pip-compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	  --allow-unsafe --strip-extras --extra dev -o requirements.lock pyproject.toml
