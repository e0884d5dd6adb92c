# Needs make and Python 3.10 or later (PYTHON=...), and PyPI. Everything is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Most tests wait for something, so more of them at a time than there are processors.
WORKERS ?= 4

# Nothing here asks questions, and pip's chatter would hide ours.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# As pip does: a machine may trust an authority of its own.
export UV_SYSTEM_CERTS ?= true

.DEFAULT_GOAL := help
.PHONY: help setup demo airflow emulator test verify bench chaos e2e docs lint dist audit types matrix lock clean

help: ## list what there is
	@grep -E '^[a-z][a-z0-9.-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

setup: $(VENV)/.done ## make .venv with everything in it, as constraints.txt says

demo: setup ## text 25,000 people from a real Airflow, against the emulator
	$(BIN)/python -m airflow_provider_twilio_comms.demo $(ARGS)

airflow: setup ## keep Airflow and the emulator running with the examples loaded, until Ctrl-C
	$(BIN)/python -m airflow_provider_twilio_comms.demo --keep $(ARGS)

emulator: setup ## start the emulator alone and print the connection to paste
	$(BIN)/python -m airflow_provider_twilio_comms.emulator $(ARGS)

test: lint ## lint, types, and every test that runs in one process, some at a time
	$(BIN)/python -m pytest -m process -n $(WORKERS) --dist worksteal $(ARGS)

verify: setup ## all the other tests: real Airflow, browser, deployment, chaos, documentation, distribution; the audit
	$(BIN)/python -m tests.dist.audit
	$(BIN)/python -m pytest -m "not process and not long" $(ARGS)

bench: setup ## measure what a send costs, in pairs with the floor below it
	$(BIN)/python -m tests.bench $(ARGS)

chaos: setup ## break a real Airflow and change its lists while it sends, and count who was texted twice or not at all
	$(BIN)/python -m tests.chaos $(ARGS)

e2e: setup ## a whole deployment (PostgreSQL, Redis, Celery, two workers, two triggerers), killed and restarted
	$(BIN)/python -m pytest tests/e2e -m e2e $(ARGS)

docs: setup ## the documentation, into build/site; make verify builds and checks it too
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet $(ARGS)

lint: setup ## style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

dist: setup ## build what is shipped, check it, install it elsewhere and use it there
	$(BIN)/python -m tests.dist

audit: setup ## known vulnerabilities of what we depend on
	$(BIN)/python -m tests.dist.audit $(ARGS)

types: setup ## whether everything public has a type that every type checker reads the same way
	$(BIN)/python -m tests.dist.completeness

matrix: setup ## the suite's in-process part on Airflow 3.2 and 3.3 and Python 3.10 to 3.13, as far as they are here
	$(BIN)/python -m tests.dist.matrix $(ARGS)

lock: setup ## write constraints.txt anew after a change of dependencies; UPGRADE=--upgrade for newest versions
	echo "uv pip hatchling" | tr ' ' '\n' | $(BIN)/uv pip compile --universal --python-version 3.10 $(UPGRADE) \
		--all-extras --group dev --no-annotate --custom-compile-command "make lock" \
		--quiet --output-file constraints.txt pyproject.toml -

clean: ## remove what the other words made
	rm -rf $(VENV) $(VENV)-* build dist .mypy_cache .ruff_cache .pytest_cache

$(BIN)/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later, please: make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv

$(VENV)/.done: pyproject.toml constraints.txt Makefile airflow_provider_twilio_comms/__init__.py | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(VENV) --constraint constraints.txt --build-constraint constraints.txt \
		--editable '.[demo,emulator,parquet]' --group dev
	touch $@
