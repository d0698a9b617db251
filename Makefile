# make run | test | torch | ui | bench | bench-peers | check | verify | clean. Needs Python 3.11 and make; everything else is installed here.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
VECTORBT := .venv-vectorbt
export DAGSTER_HOME := $(CURDIR)/.dagster
export OMP_WAIT_POLICY := PASSIVE
export OMP_NUM_THREADS := 1
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: run test torch test-assets test-commands test-library ui bench bench-peers check verify clean

run: $(VENV)/.runtime
	@$(BIN)/scalper run

# Three parts side by side, of about the same length: many tests wait for processes they started, and two cores have time
# for a third. The assets as users materialise them; the commands, layers and what takes long; the rest of the library.
ASSETS := tests/assets tests/tuning tests/book tests/remote
BESIDE := tests/commands tests/live tests/forecasters tests/champions tests/scenarios tests/layers tests/bars

test: $(VENV)/.dev
	@$(MAKE) --no-print-directory -j3 test-assets test-commands test-library

test-assets test-commands test-library: export TZ = UTC
test-assets: PART = $(ASSETS)
test-commands: PART = $(BESIDE)
test-assets test-commands: $(VENV)/.dev
	@echo "$@ runs beside the others; its result comes in one piece"
	@$(BIN)/python -m pytest -q -m "not verify" $(PART) > $(VENV)/$@.log 2>&1; \
		status=$$?; cat $(VENV)/$@.log; exit $$status

test-library: $(VENV)/.dev
	$(BIN)/python -m pytest -q -m "not verify" $(ASSETS:%=--ignore=%) $(BESIDE:%=--ignore=%)

verify: $(VENV)/.dev
	TZ=UTC $(BIN)/python -m pytest -q -m verify
	$(BIN)/scalper verify

ui: $(VENV)/.runtime
	@$(BIN)/scalper init
	$(BIN)/dagster dev -m scalper_assets.definitions

bench: $(VENV)/.dev
	$(BIN)/python -m bench

bench-peers: $(VENV)/.dev
	-@$(MAKE) --no-print-directory $(PEERS)/.ready
	-@$(MAKE) --no-print-directory $(VECTORBT)/.ready
	$(BIN)/python -m bench.peers $(PEERS)/bin/python $(VECTORBT)/bin/python

$(PEERS)/.ready: bench/peers/requirements.txt | $(VENV)/bin/python
	@echo "installing the peers (once, some minutes)"
	$(BIN)/python -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(BIN)/scalper init
	$(BIN)/dagster definitions validate -m scalper_assets.definitions

$(VECTORBT)/.ready: bench/peers/vectorbt.txt | $(VENV)/bin/python
	@echo "installing vectorbt (once, a minute or two)"
	$(BIN)/python -m venv $(VECTORBT)
	$(VECTORBT)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "Python 3.11 is needed; found '$(PYTHON)'. Name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing (once, one or two minutes)"
	$(PIP) -e .
	@echo "compiling the feature kernels (once, about a minute)"
	@$(BIN)/scalper init
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(PIP) -e ".[dev]"
	@touch $@

torch: $(VENV)/.dev
	$(PIP) -e ".[torch]"

clean:
	rm -rf warehouse/demo warehouse/majors32 ticks/*_synthetic.* .dagster
