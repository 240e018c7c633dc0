# One word sets up, one word checks. Every target sets up what it needs and may be called again without harm.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH_VENV := .venv-torch
TORCH := torch==2.13.0
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-deps

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long test-torch lint bench soak lab lock clean system-packages bench-packages

help:  ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

setup: $(VENV)/.ready  ## Make .venv with everything pinned in requirements.lock

$(VENV)/.ready: requirements.lock pyproject.toml hatch_build.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Turnout needs Python 3.11 or newer; `make PYTHON=python3.11 setup` names one")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned packages into $(VENV) (a few minutes the first time) ..."
	@$(BIN)/python $(PIP_INSTALL) --require-hashes -r requirements.lock
	@$(BIN)/python $(PIP_INSTALL) --no-build-isolation -e .
# A working copy is not compiled by its installation, and where Python may not keep what it compiles every process would do it anew.
	@$(BIN)/python -m compileall -q pipelines ipext
	@touch $@

demo: setup  ## Bring the digits classifier from its notebooks into production and back, on real data
	@$(BIN)/python notebooks/digits/demo.py

test: lint system-packages  ## Check style, types and imports, then run the tests but those of PyTorch and the long ones
	@$(BIN)/python -m pytest -m "not torch and not long"

test-long: setup system-packages  ## Run the tests that take long by nature: other frameworks, a cluster, pipelines, a watch
	@$(BIN)/python -m pytest -m "long and not torch" tests/e2e

# The other tests stand on packages that this environment has not: only the files of PyTorch's are collected.
test-torch: $(TORCH_VENV)/.ready  ## Run the tests of PyTorch models, in an environment of their own
	@$(TORCH_VENV)/bin/python -m pytest -m torch $$(grep -rl 'mark\.torch' tests --include='*.py')

$(TORCH_VENV)/.ready: requirements-torch.lock pyproject.toml hatch_build.py
	@test -x $(TORCH_VENV)/bin/python || $(PYTHON) -m venv $(TORCH_VENV)
	@echo "Installing PyTorch and the pinned packages into $(TORCH_VENV) ..."
	@$(TORCH_VENV)/bin/python $(PIP_INSTALL) --require-hashes -r requirements-torch.lock
	@$(TORCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	@$(TORCH_VENV)/bin/python $(PIP_INSTALL) --no-build-isolation -e .
	@touch $@

lint: setup  ## Check style, types and the import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup bench-packages  ## Measure serving side by side with what people use instead
	@$(BIN)/python -m benchmarks.serving --write-docs
	@$(BIN)/python -m benchmarks.gateway --write-docs
	@$(BIN)/python -m benchmarks.watched --write-docs
	@$(BIN)/python -m benchmarks.command_line --write-docs
	@$(BIN)/python -m benchmarks.warm_kernels --write-docs
	@$(BIN)/python -m benchmarks.unchanged --write-docs
	@$(BIN)/python -m benchmarks.sweep --write-docs
	@$(BIN)/python -m benchmarks.canary --write-docs
	@$(BIN)/python -m benchmarks.drift --write-docs

soak: setup  ## Switch, kill and fill up for an hour, and write down what was lost
	@$(BIN)/python -m tests.soak.reliability --write-docs

lab: setup  ## Open JupyterLab on the first ten minutes, notebooks/quickstart.ipynb
	@$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks/quickstart.ipynb

# What some tests need of the operating system. Without the right to install it they are skipped, and say so.
system-packages:
	@$(call install,svn,subversion) || echo "subversion is not installed, and cannot be from here: its tests will be skipped"
	@$(call install,wrk,wrk) || echo "wrk is not installed, and cannot be from here: the benchmark's tests will be skipped"
	@$(call install,chromium,chromium) || echo "chromium is not installed, and cannot be from here: the browser's tests will be skipped"
	@$(call install,promtool,prometheus) || echo "prometheus is not installed, and cannot be from here: its tests will be skipped"
	@$(call install,amtool,prometheus-alertmanager) || echo "alertmanager is not installed, and cannot be from here: its tests will be skipped"

bench-packages:
	@$(call install,wrk,wrk) || { echo "the benchmark needs wrk: install it with your package manager" >&2; exit 1; }

# $(call install,PROGRAM,PACKAGE): nothing when the program is there.
install = command -v $(1) >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	&& apt-get update -qq && apt-get install -y -qq $(2) >/dev/null; }

lock:  ## Resolve the dependencies anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--extra all --extra dev pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header \
		--extra torch --extra sklearn --extra test --constraint requirements.lock pyproject.toml -o requirements-torch.lock

clean:  ## Remove the environments and caches, never .turnout
	rm -rf .venv .venv-* build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
