# SPDX-License-Identifier: EUPL-1.2
# `make run` starts a server; `make test` is what continuous integration runs. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= $(CURDIR)/data
PORT ?= 8200
HSM ?=
STORAGE ?= sqlite
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK := $(BIN)/uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
	--no-emit-index-url --no-header --no-annotate $(LOCKFLAGS)
# Two more than there are cores: a worker that waits for a server leaves its core to another.
WORKERS ?= $(shell expr $$(nproc) + 2)
# tests/conftest.py says what comes first, and what one worker runs together.
SHARED := --dist loadscope --no-loadscope-reorder

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# ------------------------------------------------------------------------------------------- to use it
.PHONY: run
run: compiled ## start a development server that keeps its secrets in ./data (DATA=... elsewhere, PORT=..., HSM=1, STORAGE=postgres: two on one PostgreSQL)
	@mkdir -p -m 700 "$(DATA)"
	database="$(DATA)/coffre.db"
	if [[ -n "$(HSM)" ]]; then # sealed by a SoftHSM token of its own in ./data/hsm
		.ci/system-packages hsm
		variables=$$(.ci/dev-token "$(DATA)/hsm" $(BIN)/vaultctl)
		eval "$$variables"
		database="$(DATA)/coffre-hsm.db"
	fi
	case "$(STORAGE)" in
		sqlite) ;;
		postgres) # two servers, and a PostgreSQL of their own in ./data/postgres
			.ci/system-packages postgres
			exec .ci/dev-postgres "$(DATA)" "$(CURDIR)/$(BIN)/vaultctl" "$(PORT)" ;;
		*) echo "STORAGE is sqlite or postgres" >&2; exit 1 ;;
	esac
	exec $(BIN)/vaultctl server -dev -dev-storage="$$database" -dev-listen-address=127.0.0.1:$(PORT)

$(VENV)/.python:
	@PYTHON="$(PYTHON)" .ci/system-packages run
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.x")'
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then $(PYTHON) -m venv $(VENV); fi
	touch $@

$(VENV)/.run: requirements.lock requirements-build.lock pyproject.toml $(VENV)/.python
	@echo "installing the locked dependencies into $(VENV)"
	$(PIP) install --require-hashes --no-deps -r requirements.lock
	$(PIP) install --require-hashes --no-deps -r requirements-build.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	$(PIP) check
	touch $@

# The bytecode that an installed package has: without it every start of a server or of vaultctl compiles all sources.
.PHONY: compiled
compiled: $(VENV)/.run
	@$(BIN)/python -m compileall -q vault nhi hsm cli api-spec/conformance

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@echo "installing the locked test dependencies into $(VENV)"
	$(PIP) install --require-hashes --no-deps -r requirements-dev.lock
	$(PIP) check
	touch $@

CLIENTS := $(VENV)/clients
COLLECTION := ansible_collections/community/hashi_vault
SCHEMAS := kubernetes_validate/kubernetes-json-schema/v1.35.0-local-strict
NODE := tests/integration/node
$(VENV)/.clients: requirements-clients.lock .ci/unpack $(NODE)/package-lock.json $(VENV)/.dev
	@echo "installing the locked clients that tests drive into $(CLIENTS)"
	rm -rf $(CLIENTS)
	mkdir -p $(CLIENTS)
	$(PIP) download --require-hashes --no-deps --only-binary :all: -r requirements-clients.lock -d $(CLIENTS)
	$(BIN)/python .ci/unpack $(CLIENTS) $(COLLECTION)/ $(SCHEMAS)/ helm_python/
	rm $(CLIENTS)/*.whl
	cp $(NODE)/package.json $(NODE)/package-lock.json $(NODE)/.npmrc $(CLIENTS)
	npm ci --prefix $(CLIENTS) --silent --no-audit --no-fund
	touch $@

# ------------------------------------------------------------------------------------------- to change it
.PHONY: system
system:
	@PYTHON="$(PYTHON)" .ci/system-packages test

.PHONY: test
test: ready ## everything that must hold, on a bare Debian machine too
	export HYPOTHESIS_PROFILE=ci PYTHONDONTWRITEBYTECODE=
	$(BIN)/python -m pytest -n $(WORKERS) $(SHARED) -m "not soak and not alone"
	$(BIN)/python -m pytest -m "alone and not soak" $$(grep -rl --include='test_*.py' 'mark\.alone' tests)

# A recipe of its own, as one that calls make is run even by `make -n`.
.PHONY: ready
ready: system compiled $(VENV)/.clients
	@PYTHONDONTWRITEBYTECODE= $(MAKE) --no-print-directory -j2 -O check collected

# Makes the bytecode of all tests once, beside the checks: otherwise each worker makes it for itself.
.PHONY: collected
collected: $(VENV)/.clients
	@echo "collecting the tests"
	@found=$$($(BIN)/python -m pytest --collect-only -qq) || { echo "$$found"; exit 1; }

.PHONY: check
check: types lint imports sizes generated ## lint, format, types, import directions, sizes, generated files

.PHONY: lint types imports sizes generated
lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
types: $(VENV)/.dev
	$(BIN)/mypy
imports: $(VENV)/.dev
	PYTHONPATH=cli:api-spec/conformance:. $(BIN)/lint-imports
sizes: $(VENV)/.dev
	$(BIN)/python -m tests.house.sizes
generated: $(VENV)/.dev
	$(BIN)/python -m vault.server.spec --check
	$(BIN)/python -m tests.api_spec --check

.PHONY: docs
docs: $(VENV)/.dev ## make the site of the documents in build/site, which is read without a server
	$(BIN)/python -m sphinx -q -W --keep-going -c docs . build/site

.PHONY: conformance
conformance: system $(VENV)/.dev ## judge Coffre and OpenBao by the European Secrets API; writes api-spec/reports and build/esa-conformance.zip (SIGN_KEY=FILE signs the reports)
	@mkdir -p build
	PYTHONPATH=api-spec/conformance $(BIN)/python -m esa_conformance.packing build/esa-conformance.zip
	PYTHONPATH=api-spec/conformance SIGN_KEY="$(SIGN_KEY)" $(BIN)/python -m tests.conformance_suite
	$(BIN)/python -m tests.api_spec

.PHONY: bench
bench: system $(VENV)/.dev ## beside OpenBao on one core, with TLS: rates, latencies, start, memory (10 minutes; BENCHFLAGS="--beside CHECKOUT": before, after)
	$(BIN)/python -m tests.perf.bench $(BENCHFLAGS)

.PHONY: bench-postgres
bench-postgres: system $(VENV)/.dev ## both on one PostgreSQL, at 16 and 64 connections (6 minutes; BENCHFLAGS="--round-trip 0.5 --commit 1": a database that is further away)
	$(BIN)/python -m tests.perf.postgres.bench $(BENCHFLAGS)

.PHONY: bench-storm
bench-storm: system $(VENV)/.dev ## what a node writes while another one revokes, in calm, and beside as much other work (2 minutes; BENCHFLAGS="--rate 1000": a thousand revocations a second)
	$(BIN)/python -m tests.perf.postgres.storm $(BENCHFLAGS)

.PHONY: bench-leases
bench-leases: system $(VENV)/.dev ## a million leases, OpenBao beside: restart, memory, reads while 100,000 are revoked (10 minutes)
	$(BIN)/python -m tests.perf.leases $(BENCHFLAGS)

.PHONY: bench-hsm
bench-hsm: system $(VENV)/.dev ## what the agent process costs beside calls in process, on SoftHSM (half a minute)
	$(BIN)/python -m tests.perf.hsm $(BENCHFLAGS)

.PHONY: bench-backup
bench-backup: $(VENV)/.dev ## a backup of 400 MB under 50 writes a second, compared entry by entry, old and new way (2 minutes)
	$(BIN)/python -m tests.perf.backup $(BENCHFLAGS)

.PHONY: soak
soak: system $(VENV)/.clients ## the tests that take minutes: kill -9 under load, power cuts, 100,000 malformed requests
	PYTHON="$(PYTHON)" .ci/system-packages soak
	HYPOTHESIS_PROFILE=ci $(BIN)/python -m pytest -m soak --timeout 1800 -o faulthandler_timeout=4000
	$(MAKE) --no-print-directory routes

ROUTE_KINDS := memory-lagging sqlite sqlite-2 postgresql postgresql-2 pgbouncer-2
KIND ?= $(ROUTE_KINDS)
.PHONY: routes
routes: system $(VENV)/.clients ## the tests of routes on every storage, one after the other (KIND=postgresql-2: on one)
	for kind in $(KIND); do
		HYPOTHESIS_PROFILE=ci $(BIN)/python -m pytest -n $(WORKERS) $(SHARED) -m "not soak and not alone" --routes $$kind tests/routes
	done

.PHONY: coverage
coverage: system $(VENV)/.clients ## branch coverage of the quick tests
	$(BIN)/python -m pytest -n $(WORKERS) $(SHARED) -m "not soak and not alone" --ignore=tests/integration/test_container.py --cov --cov-report=term

.PHONY: packages
packages: $(VENV)/.run ## in ./dist: source distribution, wheel, and a folder of all wheels to install from
	PYTHON=$(BIN)/python packaging/wheels dist

.PHONY: deb
deb: ## in ./dist: the Debian package, of this machine's release and architecture
	@PYTHON=/usr/bin/python3 .ci/system-packages deb
	packaging/deb dist

.PHONY: lock
lock: $(VENV)/.dev ## write the lock files anew (LOCKFLAGS=--upgrade to move versions)
	$(LOCK) --extra server --extra cel --extra hsm --extra postgres --extra s3 --extra otel -o requirements.lock pyproject.toml
	$(LOCK) --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml
	$(LOCK) -c requirements-dev.lock -o requirements-build.lock .ci/build.in
	$(LOCK) --no-deps -o requirements-clients.lock .ci/clients.in
	cd tests/integration/node && npm install --package-lock-only --no-audit --no-fund

.PHONY: clean
clean: ## remove what was built; secrets in ./data stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
