# Needs make, Python 3.10 or later (PYTHON=...) and PyPI. Everything is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Most tests wait for something, so run more of them at a time than there are processors.
WORKERS ?= 4

# mysqlclient is built from source, so only where MariaDB's headers are (libmariadb-dev).
MYSQL := $(if $(shell command -v mariadb_config),--group mysql)

# Keep pip's messages from hiding ours.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Like pip, trust the certificate authorities of the machine.
export UV_SYSTEM_CERTS ?= true
# Containers like to set it, and each of the many interpreters here would then compile Airflow anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo airflow emulator test verify bench chaos e2e docs lint dist audit types matrix lock clean

help: ## list the make targets
	@grep -E '^[a-z][a-z0-9.-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

setup: $(VENV)/.done ## install everything into .venv, as pinned in constraints.txt

demo: setup ## text 25,000 made-up people from a real Airflow, against the emulator
	$(BIN)/python -m airflow_provider_twilio_comms.demo $(ARGS)

airflow: setup ## run Airflow and the emulator with the examples until Ctrl-C; DAGS=FOLDER for your own DAGs
	$(BIN)/python -m airflow_provider_twilio_comms.demo --keep $(if $(DAGS),--dags "$(DAGS)") $(ARGS)

emulator: setup ## run the emulator alone and print a connection to paste; ARGS="--help" lists its options
	$(BIN)/python -m airflow_provider_twilio_comms.emulator $(ARGS)

test: lint ## lint, check types, and run every test that needs one process only, in parallel
	$(BIN)/python -m pytest -m process -n $(WORKERS) --dist worksteal $(ARGS)

verify: setup ## run the other tests: real Airflow, browser, deployment, chaos, documentation, package; and the audit
	$(BIN)/python -m tests.dist.audit
	$(BIN)/python -m pytest -m "not process and not long" $(ARGS)

bench: setup ## measure sends, waits and imports, each compared with a baseline
	$(BIN)/python -m tests.bench $(ARGS)

chaos: setup ## break a real Airflow and change its lists while it sends, and count who was texted twice or not at all
	$(BIN)/python -m tests.chaos $(ARGS)

e2e: setup ## test a deployment (PostgreSQL, Redis, Celery, two workers and triggerers) that is killed and restarted
	$(BIN)/python -m pytest tests/e2e -m e2e $(ARGS)

docs: setup ## build the documentation into build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet $(ARGS)

lint: setup ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

dist: setup ## build the package, check it, install it in a new environment and use it there
	$(BIN)/python -m tests.dist

audit: setup ## look for known vulnerabilities of the dependencies
	$(BIN)/python -m tests.dist.audit $(ARGS)

types: setup ## check that every public name has a complete type
	$(BIN)/python -m tests.dist.completeness

matrix: setup ## run the in-process tests on Airflow 3.2 and 3.3 and on the installed Pythons from 3.10 to 3.13
	$(BIN)/python -m tests.dist.matrix $(ARGS)

lock: setup ## update constraints.txt after a change of dependencies; UPGRADE=--upgrade for the newest versions
	echo "uv pip hatchling" | tr ' ' '\n' | $(BIN)/uv pip compile --universal --python-version 3.10 $(UPGRADE) \
		--all-extras --group dev --group mysql --no-annotate --custom-compile-command "make lock" \
		--quiet --output-file constraints.txt pyproject.toml -

clean: ## remove everything that the other targets created
	rm -rf $(VENV) $(VENV)-* build dist .mypy_cache .ruff_cache .pytest_cache

$(BIN)/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or later, please: make PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv

$(VENV)/.done: pyproject.toml constraints.txt Makefile airflow_provider_twilio_comms/__init__.py | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(VENV) --constraint constraints.txt --build-constraint constraints.txt \
		--editable '.[demo,emulator,parquet]' --group dev $(MYSQL)
	touch $@
