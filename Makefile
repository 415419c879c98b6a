# Every target creates .venv from the lock. You need only python3 (3.11 or later, with venv) and make.
# uv is used if it is installed, because it is faster. Both ways install the same versions.

# The first Python that is new enough. Override it with `make PYTHON=/path/to/python ...`.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
UV := $(shell command -v uv 2>/dev/null)
ARGS ?=
VENDOR ?= docket
CELLS ?=
# Tests that need PostgreSQL belong to test-chaos, tests that need a browser to test-ui, tests that need Node.js to
# test-contract. Those of test-object-store, test-openlineage, test-queues and test-metrics need packages that $(VENV)
# does not have. The targets that README mentions must need none of them. The tests of test-nights take minutes.
WITHOUT_DATABASE := --ignore=tests/airflow2 --ignore=tests/chaos --ignore=tests/conformance --ignore=tests/lineage \
	--ignore=tests/metrics --ignore=tests/nights --ignore=tests/object_store \
	--ignore=tests/queues --ignore=tests/contract/servers --ignore=tests/ui/browser

VENV := .venv
READY := $(VENV)/.ready
# The providers that `make bench` compares with need older packages, so they get a separate environment.
BENCH := .local/bench
BENCH_READY := $(BENCH)/.ready
# The OpenLineage provider and the client of StatsD, on top of $(VENV).
MORE := .local/integrations
MORE_READY := $(MORE)/.ready
# Amazon's provider, S3's file system and a server with S3's API, on top of $(VENV).
S3 := .local/object-store
S3_READY := $(S3)/.ready
# The providers of message brokers and a server with SQS' API, on top of $(VENV).
QUEUES := .local/queues
QUEUES_READY := $(QUEUES)/.ready
# Sphinx and its theme, from a lock of their own.
SITE := .local/site
SITE_READY := $(SITE)/.ready
RUN := $(VENV)/bin/python
TOOLS := .local/tools
TOOLS_READY := $(TOOLS)/.ready
PRISM := .local/prism
PRISM_VERSION := 5.14.2
FUZZ := .local/fuzz
FUZZ_VERSION := 4.32.5
PROSE := $(wildcard *.md docs/*.md)

# Without cached bytecode, importing Airflow takes three times as long.
unexport PYTHONDONTWRITEBYTECODE
# Importing Airflow creates AIRFLOW_HOME. Tests must not create ~/airflow.
export AIRFLOW_HOME := $(CURDIR)/.local/unit
# uv then trusts the certificates of the system, as pip does, for example that of a corporate proxy.
export UV_SYSTEM_CERTS := true

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo ui ui-pictures bench bench-bounds bench-ui bench-history gate-study test test-unit test-integration \
	test-contract test-ui test-chaos test-history test-ask-version test-metrics test-nights test-object-store test-openlineage test-queues test-random-kills test-chaos-version simulate simulate-replay \
	simulate-plants test-matrix dist sbom docs docs-site docs-serve lint format lock vendor-lines clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## Run the example DAG on a local Airflow, against the sandbox.
	@$(RUN) -m tests.rig.demo

ui: $(READY) ## Start that Airflow and keep it running until Ctrl-C.
	@$(RUN) -m tests.rig.ui

# One process per core, and one for the tests that start an Airflow: those run one after the other in the same process
# (tests/parallel.py), and mostly wait.
PROCESSES = $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() or 1, 4) + 1)')
PARALLEL = -n $(PROCESSES) --dist loadscope

test: $(READY) ## Run the unit and integration tests; ARGS="-k name" passes options to pytest.
	$(RUN) -m pytest tests $(WITHOUT_DATABASE) $(PARALLEL) $(ARGS)

test-unit: $(READY) ## Run only the tests that start no Airflow.
	$(RUN) -m pytest tests $(WITHOUT_DATABASE) $(PARALLEL) -m "not integration" $(ARGS)

test-integration: $(READY) ## Run only the tests that start an Airflow.
	$(RUN) -m pytest tests $(WITHOUT_DATABASE) -m integration $(ARGS)

test-ui: $(READY) docs-site ## Test the tab and the site in a real browser; skipped without Chromium.
	$(RUN) -m pytest tests/ui/browser -n 2 --dist loadfile $(ARGS)

ui-pictures: $(READY) ## Retake the screenshots in docs/images; needs Chromium.
	@$(RUN) -m tests.ui.browser.pictures

bench-ui: $(READY) ## Measure how long the tab takes to show 1,000 tests; needs Chromium.
	@$(RUN) -m tests.ui.browser.large

bench-history: $(READY) ## Measure the history over 3,000 and 100,000 test tasks; needs PostgreSQL.
	@$(RUN) -m tests.ui.large_history

POSTGRES := postgresql+psycopg2://postgres@127.0.0.1:5432/postgres
test-history: export TESTERARMY_TEST_DATABASE_URL ?= $(POSTGRES)
test-history: $(READY) ## Test the history's queries; needs PostgreSQL.
	$(RUN) -m pytest tests/ui/test_history_index.py tests/ui/test_history_parts.py \
		tests/ui/test_history_requests.py $(ARGS)

test-chaos: $(READY) ## Test both vendors' lifecycles and kill Airflow's processes; needs PostgreSQL and Redis.
	$(RUN) -m pytest tests/conformance $(ARGS)
	$(RUN) -m pytest tests/chaos $(ARGS)

EXAMPLES ?= 25
# The vendor's OpenAPI document is not part of the repository. TESTERARMY_OPENAPI=path selects one; without it, the
# tests use the document that tests/contract makes.
test-contract: export TESTERARMY_OPENAPI ?= $(abspath $(wildcard ../shared/api/testerarmy-openapi.json))
test-contract: $(READY) $(PRISM)/.ready-$(PRISM_VERSION) $(FUZZ)/.ready-$(FUZZ_VERSION) ## Test client and sandbox with Prism and Schemathesis; needs Node.js.
	EXAMPLES=$(EXAMPLES) $(RUN) -m pytest tests/contract $(ARGS)

test-nights: $(READY) ## Play nights of a gate that remembers, on a real Airflow; needs PostgreSQL and Redis.
	$(RUN) -m pytest tests/nights $(ARGS)

test-openlineage: $(MORE_READY) ## Test the events of a real Airflow with the OpenLineage provider.
	$(MORE)/bin/python -m pytest tests/lineage $(ARGS)

test-metrics: $(MORE_READY) ## Test the metrics and spans of a real Airflow.
	$(MORE)/bin/python -m pytest tests/metrics $(ARGS)

test-object-store: $(S3_READY) ## Test memories, reports and the preview example with a server that has S3's API.
	$(S3)/bin/python -m pytest tests/object_store $(ARGS)

test-queues: $(QUEUES_READY) ## Test hints from SQS, Kafka and Redis; needs redis-server.
	$(QUEUES)/bin/python -m pytest tests/queues $(ARGS)

KILLS ?= 60
SEED ?=
test-random-kills: $(READY) ## Kill parts of Airflow at random moments, on both executors: KILLS=60; SEED=1 draws the same.
	TESTERARMY_RANDOM_KILLS=$(KILLS) SEED=$(SEED) $(RUN) -m pytest tests/chaos/random_kills $(ARGS)

# The rows in which a user acts on one task or its worker is lost. The other rows need the newest Airflow.
CHAOS_ROWS := (User and not just and not triggerer) or (Worker and waiting)
test-chaos-version: ## Run the kill, mark and clear rows on an older Airflow; OLD_PYTHON=... names its Python.
	@test -n "$(OLD_PYTHON)" || { echo "OLD_PYTHON is not set. Run: make test-chaos-version OLD_PYTHON=/path/to/python"; exit 1; }
	if $(OLD_PYTHON) -c 'from airflow import __version__ as v; raise SystemExit(not v.startswith("2."))'; \
	then $(OLD_PYTHON) -m pytest tests/airflow2 $(ARGS); \
	else $(OLD_PYTHON) -m pytest tests/chaos/test_chaos.py -k "$(CHAOS_ROWS)" $(ARGS); fi

test-ask-version: ## Ask a person, and keep a deadline, on Airflow 3.1 or 3.2; OLD_PYTHON=... names its Python.
	@test -n "$(OLD_PYTHON)" || { echo "OLD_PYTHON is not set. Run: make test-ask-version OLD_PYTHON=/path/to/python"; exit 1; }
	$(OLD_PYTHON) -m pytest tests/integration/test_ask.py tests/integration/test_deadline.py $(ARGS)

SEEDS ?= 50000
PLANT ?=
simulate: $(READY) ## Run the lifecycle in simulated worlds with random faults: SEEDS=1000000.
	@$(RUN) -m tests.simulation --seeds $(SEEDS) $(if $(PLANT),--plant $(PLANT)) $(ARGS)

simulate-replay: $(READY) ## Run one simulated world again, reduce it, and draw it: SEED=4711.
	@$(RUN) -m tests.simulation --replay $(SEED) $(if $(PLANT),--plant $(PLANT)) $(ARGS)

simulate-plants: $(READY) ## Break one line of the product at a time, and report after how many worlds that is found.
	@$(RUN) -m tests.simulation --plants $(ARGS)

bench-bounds: $(READY) ## Measure the memory and event-loop blocks that hostile answers cost at most.
	@$(VENV)/bin/python -m benchmarks.bounds

gate-study: $(READY) ## Simulate quarters of nights under several gates, and write docs/gate-study.md.
	@$(RUN) -m benchmarks.gate_study

bench: $(BENCH_READY) ## Compare the cost of waiting with other providers; ARGS="--part triggers --sizes 100" selects.
	@$(BENCH)/bin/python -m benchmarks $(ARGS)

# TESTS names the files and folders of the unit tests to run in each cell, if not all. JOBS=2 runs two cells at a time,
# because each of them waits for a while.
TESTS ?=
JOBS ?= 1
test-matrix: dist ## Test the built wheel on every Airflow and Python; CELLS="2.11 lowest-py3.11" selects.
	@TESTS="$(TESTS)" JOBS="$(JOBS)" $(TOOLS)/bin/python -m tests.matrix $(CELLS)

dist: $(TOOLS_READY) ## Build the wheel and the sdist into dist/ and check them.
	@$(TOOLS)/bin/uv build --quiet --clear --python $(or $(PYTHON),3.12) --out-dir dist .
	@$(TOOLS)/bin/twine check --strict dist/*
	@$(TOOLS)/bin/check-wheel-contents dist/*.whl
	@$(TOOLS)/bin/python -m tests.matrix.check_dist dist

sbom: $(TOOLS_READY) ## Write the bill of materials of the locked dependencies to .local/sbom.json (CycloneDX).
	@$(TOOLS)/bin/uv export --quiet --locked --no-emit-project --output-file .local/runtime.txt
	@$(TOOLS)/bin/cyclonedx-py requirements .local/runtime.txt --output-format JSON --output-file .local/sbom.json

docs: $(READY) $(SITE_READY) ## Regenerate the generated parts of docs/, and build the site.
	$(RUN) -m tests.docs.generate
	$(SITE)/bin/python -m website.build

RELEASE ?= latest
docs-site: $(SITE_READY) ## Build the site into .local/docs; warnings and dead links are errors. RELEASE=1.0 names its version.
	$(SITE)/bin/python -m website.build --version $(RELEASE)

docs-serve: docs-site ## Build the site and show it at http://127.0.0.1:8001 until Ctrl-C.
	$(SITE)/bin/python -m http.server 8001 --bind 127.0.0.1 --directory .local/docs

lint: $(READY) $(TOOLS_READY) ## Check style, types and prose without changing files.
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy -p tests.rig
	$(VENV)/bin/mypy -p benchmarks
	$(VENV)/bin/mypy -p website
	$(TOOLS)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(TOOLS)/bin/zizmor --offline --no-progress --quiet --config .ci/zizmor.yml .github/workflows
	$(TOOLS)/bin/proselint check --config .ci/proselint.json $(PROSE)

format: $(READY) ## Fix style automatically where possible.
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

lock: ## Update all dependencies in the lock files, for every supported Python.
	@$(if $(UV),,$(MAKE) $(TOOLS_READY))
	$(or $(UV),$(TOOLS)/bin/uv) lock --upgrade
	for extra in dev bench; do \
		$(or $(UV),$(TOOLS)/bin/uv) export --quiet --locked --extra $$extra --no-emit-project \
			--output-file requirements-$$extra.lock || exit; \
	done
	$(or $(UV),$(TOOLS)/bin/uv) pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.11 \
		.ci/site.in --output-file requirements-site.lock

vendor-lines: ## Count the lines of one vendor's files by folder; VENDOR=docket selects.
	@git ls-files '*$(VENDOR)*' | xargs -n1 wc -l \
		| awk '{folder = $$2; sub("/[^/]*$$", "", folder); lines[folder] += $$1} \
			END {for (folder in lines) printf "%6d %s\n", lines[folder], folder}' | sort -k2

clean: ## Remove the environment, caches, builds and the state of `make ui`.
	rm -rf $(VENV) .local build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(PRISM)/.ready-$(PRISM_VERSION):
	@rm -rf $(PRISM) && mkdir -p $(PRISM)
	@npm install --silent --no-audit --no-fund --prefix $(PRISM) @stoplight/prism-cli@$(PRISM_VERSION)
	@touch $@

$(FUZZ)/.ready-$(FUZZ_VERSION):
	$(call check_python)
	@$(PYTHON) -m venv --clear $(FUZZ)
	@$(FUZZ)/bin/python -m pip install --quiet --disable-pip-version-check schemathesis==$(FUZZ_VERSION)
	@touch $@

$(TOOLS_READY): .ci/tools.txt
	$(call check_python)
	@$(PYTHON) -m venv --clear $(TOOLS)
	@$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check -r .ci/tools.txt
	@touch $@

ifdef UV
$(READY) $(BENCH_READY): pyproject.toml uv.lock
	UV_PROJECT_ENVIRONMENT=$(@D) $(UV) sync --locked --extra $(call extra,$@) --compile-bytecode \
		--python $(or $(PYTHON),3.12)
	@touch $@
else
# The locks are complete, so pip does not resolve anything.
$(READY): requirements-dev.lock
$(BENCH_READY): requirements-bench.lock
$(READY) $(BENCH_READY): pyproject.toml
	$(call check_python)
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
		-r requirements-$(call extra,$@).lock
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@
endif

$(SITE_READY): requirements-site.lock
	$(call check_python)
	@$(PYTHON) -m venv --clear $(SITE)
	@$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $<
	@touch $@

$(MORE_READY): $(READY)
	$(call on_top,$(MORE),"apache-airflow-providers-openlineage>=2.9" statsd)
	@touch $@

$(S3_READY): $(READY) .ci/object-store.txt
	$(call on_top,$(S3),-r .ci/object-store.txt)
	@touch $@

$(QUEUES_READY): $(READY) .ci/queues.txt
	$(call on_top,$(QUEUES),-r .ci/queues.txt)
	@touch $@

# An environment that sees the packages of $(VENV), and more. The constraints keep every package of $(VENV) at its version,
# except python-dateutil, which botocore needs older.
define on_top
@$(RUN) -m venv --clear $1
@$1/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > $1/place
@$(RUN) -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
	> "$$(cat $1/place)/dev.pth"
@grep -E '^[a-z0-9._-]+==' requirements-dev.lock | grep -v '^python-dateutil==' | sed 's/ *\\$$//' > $1/constraints.txt
@$1/bin/python -m pip install --quiet --disable-pip-version-check --constraint $1/constraints.txt $2
endef

# The extra of pyproject.toml that an environment installs.
extra = $(if $(filter $(BENCH_READY),$1),bench,dev)

define check_python
@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "Python 3.11 or later is required, found: $$($(or $(PYTHON),python3) --version 2>&1)." \
	"Set another one with 'make PYTHON=/path/to/python3.12 ...', or install uv, which downloads its own."; exit 1; }
endef
