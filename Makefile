PYTHON ?= python3.11
VENV = .venv
INSTALLED = $(VENV)/.installed

.PHONY: demo test test-all gpu-check lint types parity clean

$(INSTALLED): setup.py pyproject.toml
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q --disable-pip-version-check -e '.[demo,onnx,litert,quantize,ray,dev]'
	touch $@

demo: $(INSTALLED)
	$(VENV)/bin/retinue demo

test: $(INSTALLED)
	$(VENV)/bin/pytest -m 'not slow' -n 2 --dist loadfile --no-loadscope-reorder

test-all: $(INSTALLED)
	$(VENV)/bin/pytest

# Whether the first GPU learns what the CPU learns, in float32 and in 16 bits; says so and does nothing without one.
gpu-check: $(INSTALLED)
	$(VENV)/bin/retinue doctor --gpu

lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(MAKE) --no-print-directory types

# The repository is the package, so mypy finds `retinue` through a link to this folder.
types: $(INSTALLED)
	mkdir -p $(VENV)/types && ln -sfn "$(CURDIR)" $(VENV)/types/retinue
	cd $(VENV)/types && MYPYPATH=. ../bin/mypy --config-file retinue/pyproject.toml --cache-dir .mypy_cache \
	  -p retinue.configs -p retinue.data -p retinue.backbones -p retinue.tasks -p retinue.explain -p retinue.pipeline \
	  -p retinue.cli

# Golden numbers anew from the peers' own code, in an environment of its own (see benchmarks/parity/README.md).
parity: $(INSTALLED)
	test -x .parity/bin/python || $(PYTHON) -m venv .parity
	.parity/bin/pip install -q torch torchvision timm
	.parity/bin/python benchmarks/parity/golden.py
	$(VENV)/bin/pytest tests/backbones/test_golden.py

clean:
	rm -rf $(VENV) build *.egg-info
