# Every target sets up .venv by itself, from the lock; only python3 (3.11 or later, with venv) and make are needed.
# uv is used if it is there, because it is faster; both ways install the same versions.

# The first suitable Python; override with `make PYTHON=/path/to/python ...`.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
UV := $(shell command -v uv 2>/dev/null)
ARGS ?=
VENDOR ?= docket
CELLS ?=
# What needs PostgreSQL is in test-chaos, what needs a browser in test-ui; nothing that README tells a user to run
# may need either.
WITHOUT_DATABASE := --ignore=tests/airflow2 --ignore=tests/chaos --ignore=tests/conformance --ignore=tests/ui/browser

VENV := .venv
READY := $(VENV)/.ready
# The peers that `make bench` measures hold packages back; they get an environment of their own.
BENCH := .local/bench
BENCH_READY := $(BENCH)/.ready
RUN := $(VENV)/bin/python
TOOLS := .local/tools
TOOLS_READY := $(TOOLS)/.ready

# Airflow's imports cost three times as much without bytecode.
unexport PYTHONDONTWRITEBYTECODE
# A test that imports Airflow must not make an ~/airflow.
export AIRFLOW_HOME := $(CURDIR)/.local/unit
# Behind a proxy that has its own certificate, uv finds that where pip does.
export UV_SYSTEM_CERTS := true

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo ui ui-pictures bench bench-bounds bench-ui gate-study test test-unit test-integration test-ui test-chaos test-chaos-version test-matrix dist \
	docs lint format lock vendor-lines clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## Run the example DAG on a real local Airflow, against the sandbox.
	@$(RUN) -m tests.rig.demo

ui: $(READY) ## Keep that Airflow running to look around in; Ctrl-C stops it.
	@$(RUN) -m tests.rig.ui

test: $(READY) ## Unit and integration tests; pass options by ARGS="-k name".
	$(RUN) -m pytest tests $(WITHOUT_DATABASE) $(ARGS)

test-unit: $(READY) ## Only the tests that start no Airflow.
	$(RUN) -m pytest tests $(WITHOUT_DATABASE) -m "not integration" $(ARGS)

test-integration: $(READY) ## Only the tests that start an Airflow.
	$(RUN) -m pytest tests $(WITHOUT_DATABASE) -m integration $(ARGS)

test-ui: $(READY) ## What people see, in a real browser; skipped where there is no Chromium.
	$(RUN) -m pytest tests/ui/browser $(ARGS)

ui-pictures: $(READY) ## Take the pictures of docs/images anew, in a real Airflow; needs Chromium.
	@$(RUN) -m tests.ui.browser.pictures

bench-ui: $(READY) ## How long the tab takes for a group of 1,000 tests; needs Chromium.
	@$(RUN) -m tests.ui.browser.large

test-chaos: $(READY) ## Kill things, and both vendors' lifecycles, on PostgreSQL (TESTERARMY_TEST_DATABASE_URL).
	$(RUN) -m pytest tests/conformance $(ARGS)
	$(RUN) -m pytest tests/chaos $(ARGS)

# What a user or a lost worker does to one task; the other rows need what only the newest Airflow has.
CHAOS_ROWS := (User and not just and not triggerer) or (Worker and waiting)
test-chaos-version: ## The kill, mark and clear rows on Airflow 2.11 to 3.2; OLD_PYTHON names a Python that has it.
	@test -n "$(OLD_PYTHON)" || { echo "Name a Python: make test-chaos-version OLD_PYTHON=/path/to/python"; exit 1; }
	if $(OLD_PYTHON) -c 'from airflow import __version__ as v; raise SystemExit(not v.startswith("2."))'; \
	then $(OLD_PYTHON) -m pytest tests/airflow2 $(ARGS); \
	else $(OLD_PYTHON) -m pytest tests/chaos/test_chaos.py -k "$(CHAOS_ROWS)" $(ARGS); fi

bench-bounds: $(READY) ## What hostile answers cost at most, in memory and turns of the event loop.
	@$(VENV)/bin/python -m benchmarks.bounds

gate-study: $(READY) ## Simulate quarters of nights under several gates, and write docs/gate-study.md.
	@$(RUN) -m benchmarks.gate_study

bench: $(BENCH_READY) ## Compare the cost of waiting with other providers'; parts by ARGS="--part triggers --sizes 100".
	@$(BENCH)/bin/python -m benchmarks $(ARGS)

test-matrix: dist ## Every Airflow on every Python, from the built wheel; CELLS="2.11 lowest-py3.11" selects.
	@$(TOOLS)/bin/python -m tests.matrix $(CELLS)

dist: $(TOOLS_READY) ## Build the wheel and the sdist into dist/, and check them.
	@$(TOOLS)/bin/uv build --quiet --clear --python $(or $(PYTHON),3.12) --out-dir dist .
	@$(TOOLS)/bin/twine check --strict dist/*
	@$(TOOLS)/bin/check-wheel-contents dist/*.whl
	@$(TOOLS)/bin/python -m tests.matrix.check_dist dist

docs: $(READY) ## Write the generated parts of docs/ anew.
	$(RUN) -m tests.docs.generate

lint: $(READY) ## Check style and types; changes nothing.
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy -p tests.rig
	$(VENV)/bin/mypy -p benchmarks

format: $(READY) ## Mend style where it can be done automatically.
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

lock: ## Resolve all dependencies anew, for every supported Python, into the lock files.
	@$(if $(UV),,$(MAKE) $(TOOLS_READY))
	$(or $(UV),$(TOOLS)/bin/uv) lock --upgrade
	for extra in dev bench; do \
		$(or $(UV),$(TOOLS)/bin/uv) export --quiet --locked --extra $$extra --no-emit-project \
			--output-file requirements-$$extra.lock || exit; \
	done

vendor-lines: ## Lines of a vendor's own files, folder by folder; VENDOR=docket names it.
	@git ls-files '*$(VENDOR)*' | xargs -n1 wc -l \
		| awk '{folder = $$2; sub("/[^/]*$$", "", folder); lines[folder] += $$1} \
			END {for (folder in lines) printf "%6d %s\n", lines[folder], folder}' | sort -k2

clean: ## Remove the environment, caches, builds and what `make ui` kept.
	rm -rf $(VENV) .local build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

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
# The locks are complete, so pip has nothing to resolve.
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

# The extra that an environment holds.
extra = $(if $(filter $(BENCH_READY),$1),bench,dev)

define check_python
@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	|| { echo "Python 3.11 or later is needed, found: $$($(or $(PYTHON),python3) --version 2>&1)." \
	"Name one with 'make PYTHON=/path/to/python3.12 ...', or install uv, which brings its own."; exit 1; }
endef
