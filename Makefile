# `make` alone tells what there is. Everything runs from .venv, which the first target that needs it sets up.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV ?= .venv
OUT ?= demo-out
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq

# The first interpreter that is new enough; PYTHON=... overrides.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)

.PHONY: help setup demo test check fmt render bench docs clean

help: ## what there is
	@echo 'EchoStack: a text file becomes a running, interruptible, real-time voice automation.'
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## make .venv with everything in it (the other targets do it by themselves)

$(READY): pyproject.toml requirements/embedded.txt requirements/constraints.txt
	@test -n '$(PYTHON)' || { echo 'EchoStack needs Python 3.11 or newer, and none was found: install one, or name it with PYTHON=...' >&2; exit 1; }
	@echo 'Setting up $(VENV): the first time takes a few minutes, with a download of some 450 MB.'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --no-deps --require-hashes --only-binary :all: -r requirements/embedded.txt
	@$(PIP) install -c requirements/constraints.txt -e '.[embedded,model,livekit,deepgram,anthropic,elevenlabs,openai,providers,web,dev]'
	@touch $@

demo: $(READY) ## a call on real speech, with an interruption; writes audio, transcript, trace and picture
	@$(BIN)/echostack demo --out $(OUT)

test: $(READY) ## everything that has to hold: lint, format, types, imports, tests
	@.ci/checks $(BIN) all

check: $(READY) ## the same without the tests, and the shipped .echo files
	@.ci/checks $(BIN) static

fmt: $(READY) ## bring the code and the shipped .echo files into their one form
	@$(BIN)/ruff check -q --fix --exit-zero .
	@$(BIN)/ruff format -q .
	@find graphs playbooks examples tests/behaviours -name '*.echo' -exec $(BIN)/echostack fmt {} +

# With the engine that comes along, so that the pictures are the same bytes on every machine.
render: $(READY) ## draw the shipped .echo files again: graphs/*.svg, and the examples in docs/pictures/
	@mkdir -p docs/pictures
	@for file in graphs/*.echo; do $(BIN)/echostack render --bundled $$file -o $${file%.echo}.svg || exit 1; done
	@for file in examples/*.echo; do \
		$(BIN)/echostack render --bundled $$file -o docs/pictures/$$(basename $$file .echo).svg || exit 1; done

bench: $(READY) ## run every script in benchmarks/; prints medians and ratios
	@$(BIN)/python -m benchmarks

docs: $(READY) ## write again what comes out of the code: schemas, connectors, the messages of findings
	@$(BIN)/echostack schema > docs/echo.schema.json
	@$(BIN)/echostack schema --scenarios > docs/scenarios.schema.json
	@$(BIN)/python -m echostack.connectors.reference docs/connectors.md
	@$(BIN)/python -m tests.diagnostics.pages --update

clean: ## remove what was made here, .venv included
	@rm -rf $(VENV) $(OUT) out dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
