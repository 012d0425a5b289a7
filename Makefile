PYTHON ?= python3.11
VENV = .venv
INSTALLED = $(VENV)/.installed

.PHONY: demo test test-all lint clean

$(INSTALLED): setup.py pyproject.toml
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q --disable-pip-version-check -e '.[demo,dev]'
	touch $@

demo: $(INSTALLED)
	$(VENV)/bin/retinue demo

test: $(INSTALLED)
	$(VENV)/bin/pytest -m 'not slow'

test-all: $(INSTALLED)
	$(VENV)/bin/pytest

lint: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

clean:
	rm -rf $(VENV) build *.egg-info
