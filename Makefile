# make demo   trains, converts, predicts and proves on the embedded digits
# make test   every test
# make lint   ruff, mypy, import contracts, the documentation site with its links
# make docs   regenerates docs/reference/cli.md and builds the site into build/site
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
RUN ?= runs/demo
# Test processes, one more than there are cores, as some wait for what another makes; the tests of one file
# run one after the other.
JOBS ?= $(shell expr $$(nproc) + 1)
# PyPI's PyTorch brings gigabytes of CUDA: its tests run where a wheel of the CPU build lies at hand.
TORCH ?= $(firstword $(wildcard /opt/wheels/torch-*-cp311-*.whl))

# mkdocs-material's note on its successor.
export NO_MKDOCS_2_WARNING := 1

.PHONY: demo test lint docs clean

$(VENV)/.workstation: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[workstation]'
	touch $@

$(VENV)/.dev: $(VENV)/.workstation
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[workstation,dev]' $(TORCH)
	touch $@

demo: $(VENV)/.workstation
	$(BIN)/edge-rnn train --data digits --preset demo --out $(RUN) --overwrite
	$(BIN)/edge-rnn evaluate $(RUN)
	$(BIN)/edge-rnn convert $(RUN) --precision all
	$(BIN)/edge-rnn predict $(RUN)/$(notdir $(RUN))-int8.tflite $(RUN)/example.npy --top 3

test: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.write_cli --check
	$(BIN)/mkdocs build --strict

docs: $(VENV)/.dev
	$(BIN)/python -m scripts.write_cli
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) build dist *.egg-info
