# Every target is a line or two that calls the real tool. Needs python3 (3.11 to 3.13), pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
UV_VERSION := 0.13.9
PEERS := .venv-peers

.DEFAULT_GOAL := dev-install
.PHONY: dev-install up down status kafka picture run-api bench bench-http bench-warehouse bench-readers bench-peers manifest openapi test test-integration faults check architecture contracts sql definitions ci format lint type-check secrets-scan secrets-accept audit sbom lock clean help

dev-install: $(INSTALLED)  ## install the locked environment into .venv (a bare `make` does this)

# --without-pip: Debian's python3 has no ensurepip unless python3-venv is installed, and uv needs none.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "Python 3.11 to 3.13 is needed; $$($(PYTHON) --version) was found. Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { echo "pip is missing: install python3-pip"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv --without-pip $(VENV) || \
	  { echo "venv is missing: install python3-venv"; exit 1; }
	@test -x $(BIN)/uv || $(PYTHON) -m pip --python $(BIN)/python install --quiet uv==$(UV_VERSION)
	@# Compiled once here (30 s) rather than in every process: Dagster starts in 4 s instead of 10 where none may write.
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

up: $(INSTALLED)  ## start the platform, replay the demo, print a prediction (ARGS="--sample --detach")
	@$(BIN)/analytics up $(ARGS)

down: $(INSTALLED)  ## let everything land, then stop
	@$(BIN)/analytics down

status: $(INSTALLED)  ## say what runs
	@$(BIN)/analytics status

kafka: $(INSTALLED)  ## a real Apache Kafka on port 9092, fetched through Maven (needs a JDK 17)
	@$(BIN)/python -m deployments.kafka $(ARGS)

picture: $(INSTALLED)  ## the README's lineage picture, from the running UI (needs Chromium)
	@$(BIN)/python -m deployments.local.lineage_picture

run-api: $(INSTALLED)  ## the API alone on port 8000 (needs a Kafka: ANALYTICS_KAFKA__BOOTSTRAP_SERVERS)
	@$(BIN)/python -m api

bench: $(INSTALLED)  ## measure the streaming tier; six minutes, exit 1 on a missed target (ARGS="--help")
	@$(BIN)/python -m streaming.benchmark $(ARGS)

bench-http: $(INSTALLED)  ## measure the front door over HTTP, beside plain FastAPI; three minutes (ARGS="--help")
	@$(BIN)/python -m deployments.load $(ARGS)

bench-readers: manifest  ## readers of metrics beside builds of the demo's warehouse; some minutes (ARGS="--help")
	@$(BIN)/python -m deployments.readers $(ARGS)

bench-warehouse: $(INSTALLED)  ## 100 million events loaded and built, beside bare DuckDB; half an hour (ARGS="--help")
	@$(BIN)/python -m deployments.scale $(ARGS)

bench-peers: $(INSTALLED) $(PEERS)/.installed  ## the same job on stock Faust, Quix Streams, Bytewax and Pathway
	@$(BIN)/python -m streaming.benchmark --engine platform faust quix bytewax pathway $(ARGS)

# They hold confluent-kafka below ours, so they have an environment of their own.
$(PEERS)/.installed: deployments/peers/requirements.lock
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(PEERS)
	$(BIN)/uv pip sync --quiet --python $(PEERS)/bin/python --require-hashes $<
	@touch $@

manifest: $(INSTALLED)  ## what Dagster reads of the dbt project
	@DBT_PROJECT_DIR=dbt_project DBT_PROFILES_DIR=dbt_project $(BIN)/dbt --quiet parse

openapi: $(INSTALLED)  ## renew the API's promise to its clients; a breaking change wants ARGS=--breaking
	@$(BIN)/python -m tests.api.openapi_snapshot $(ARGS)

test: manifest  ## all that needs only packages and the embedded broker
	$(BIN)/pytest -m "not integration" -n 2 $(ARGS)

test-integration: manifest  ## real Kafka, Postgres, Chromium, and whole platforms
	$(BIN)/pytest -m "integration and not alone" -n 2 --dist worksteal $(ARGS)
	$(BIN)/pytest -m "integration and alone" $(ARGS)

faults: manifest  ## 20 seeded rounds of every fault, on the embedded broker and on Kafka (FAULT_ROUNDS, FAULT_SEED)
	@failed=; export FAULT_ROUNDS=$${FAULT_ROUNDS:-20}; \
	$(BIN)/pytest tests/faults -m "not alone" -n 2 $(ARGS) || failed=1; \
	$(BIN)/pytest tests/faults -m alone $(ARGS) || failed=1; \
	[ -z "$$failed" ]

check: lint type-check secrets-scan architecture contracts sql definitions  ## all that needs no run: lint, types, architecture, contracts, SQL, definitions

ci: check test  ## lint, format, types and tests, as before a commit

format: $(INSTALLED)  ## rewrite the code in the one format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

lint: $(INSTALLED)  ## ruff, and the format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type-check: $(INSTALLED)  ## mypy --strict
	$(BIN)/mypy .

architecture: $(INSTALLED)  ## the imports between the packages
	$(BIN)/lint-imports

contracts: manifest  ## schemas, what is generated of them, and what a change would break
	$(BIN)/analytics schemas check
	$(BIN)/analytics contract generate --check
	$(BIN)/analytics contract diff

sql: $(INSTALLED)  ## the format of the dbt models and tests
	$(BIN)/sqlfluff lint --disable-progress-bar dbt_project/models dbt_project/tests

definitions: manifest  ## every code location loads
	DAGSTER_DISABLE_TELEMETRY=1 $(BIN)/dg check defs
	DAGSTER_DISABLE_TELEMETRY=1 $(BIN)/dagster definitions validate -w workspace.yaml

secrets-scan: $(INSTALLED)  ## nothing in the repository looks like a secret that nobody has judged
	$(BIN)/python -m deployments.audit.repository_secrets

secrets-accept: $(INSTALLED)  ## judge what the scan finds as harmless; read it first
	$(BIN)/python -m deployments.audit.repository_secrets --accept

audit: $(INSTALLED)  ## known vulnerabilities of the locked packages; exit 3 where nobody could look (ARGS="--osv-url …")
	@$(BIN)/python -m deployments.audit.dependencies $(ARGS)

sbom: $(INSTALLED)  ## build/sbom.cdx.json: every locked package with its hashes, as CycloneDX
	@mkdir -p build
	$(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible \
	  --output-file build/sbom.cdx.json

lock: $(INSTALLED)  ## resolve pyproject.toml anew; hashes, no registry addresses
	$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --generate-hashes \
	  --no-emit-index-url --no-header --quiet --output-file requirements.lock
	$(BIN)/uv pip compile deployments/peers/requirements.in --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet --output-file deployments/peers/requirements.lock

clean:  ## remove the environment and every cache; data folders stay
	rm -rf $(VENV) $(PEERS) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dbt_project/target *.egg-info

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-18s %s\n", $$1, $$2}'
