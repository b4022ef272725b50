# Every target sets up what it needs in .venv; PYTHON chooses the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORE := $(wildcard src/ipam_core/*.pyx src/ipam_core/*.pxd)
PYTEST := $(BIN)/python -m pytest

.PHONY: demo test bench lint clean

demo: $(VENV)/.built
	$(BIN)/ipam-core demo

test: $(VENV)/.built
	$(PYTEST) -n auto

lint: $(VENV)/.built
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/cython-lint src examples
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest ipam_core._bits

# The environment: rebuilt when what it installs is declared anew.
$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

# The compiled core: rebuilt when a source of it changes.
$(VENV)/.built: $(VENV)/.ready CMakeLists.txt $(CORE)
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable .
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
