# make demo     trains, converts, predicts and proves on the embedded digits
# make check    lint, and the tests of units and of the device side: minutes
# make test     every test but the exhaustive ones
# make nightly  every test with other random models, trainings from scratch, and 333,000 mutated files
# make lint     ruff, mypy, import contracts, the documentation site with its links
# make wheels   a wheel for each platform into dist/, cross-compiled; the first time takes ten minutes
# make sanitized  the C library with checks for wrong accesses, into build/sanitized
# make docs     regenerates docs/reference/cli.md and builds the site into build/site
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
RUN ?= runs/demo
# Test processes, one more than there are cores, as some wait for what another makes.
JOBS ?= $(shell expr $$(nproc) + 1)
# Tests that share a fixture of their module stay in one process (tests/support/collection.py).
PYTEST = $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadgroup --no-loadscope-reorder
# PyPI's PyTorch brings gigabytes of CUDA: its tests run where a wheel of the CPU build lies at hand.
TORCH ?= $(firstword $(wildcard /opt/wheels/torch-*-cp311-*.whl))

# Silences mkdocs-material's note on its successor.
export NO_MKDOCS_2_WARNING := 1

.PHONY: demo check test nightly lint wheels sanitized docs clean

# pip takes a minute for so many packages; uv takes seconds, where it can be had.
PIP = $(BIN)/pip --quiet --disable-pip-version-check install
UV = $(BIN)/uv pip install --quiet --python $(BIN)/python
INSTALL = { $(PIP) uv && $(UV) $(packages); } || $(PIP) $(packages)

$(VENV)/.workstation: packages = --editable '.[workstation]'
$(VENV)/.workstation: pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(INSTALL)
	touch $@

$(VENV)/.dev: packages = --editable '.[workstation,dev]' $(TORCH)
$(VENV)/.dev: $(VENV)/.workstation
	$(INSTALL)
	touch $@

# An editable installation compiles the library once. From then on it follows the sources.
$(VENV)/.library: $(wildcard edge_runtime/native/c/*.[ch]) scripts/compile_library.py $(VENV)/.dev
	$(BIN)/python -m scripts.compile_library
	touch $@

wheels: $(VENV)/.dev
	$(BIN)/python -m scripts.build_wheels --out dist

sanitized: $(VENV)/.dev
	$(BIN)/python -m scripts.compile_library --sanitize

demo: $(VENV)/.workstation
	$(BIN)/edge-rnn train --data digits --preset demo --out $(RUN) --overwrite
	$(BIN)/edge-rnn evaluate $(RUN)
	$(BIN)/edge-rnn convert $(RUN) --precision all
	$(BIN)/edge-rnn predict $(RUN)/$(notdir $(RUN))-int8.tflite $(RUN)/example.npy --top 3

check: lint $(VENV)/.library
	$(PYTEST) -m 'not trained and not nightly' tests/unit tests/runtime

test: $(VENV)/.library
	$(PYTEST) --durations=40

nightly: $(VENV)/.library
	EDGE_RNN_TEST_CACHE=$$(mktemp -d) $(PYTEST) -m '' --hypothesis-profile explore --durations=100
	$(BIN)/python -m tests.fuzz --mutations 30000

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.write_cli --check
	$(BIN)/python -m scripts.write_data_errors --check
	$(BIN)/mkdocs build --strict

docs: $(VENV)/.dev
	$(BIN)/python -m scripts.write_cli
	$(BIN)/python -m scripts.write_data_errors
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) build dist *.egg-info
