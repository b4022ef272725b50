# Every target sets up what it needs in .venv; PYTHON chooses the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := CMakeLists.txt $(wildcard src/ipam_core/*.pyx src/ipam_core/*.pxd)
COMPILED := $(patsubst src/ipam_core/%.pyx,ipam_core.%,$(wildcard src/ipam_core/*.pyx))

.PHONY: demo test bench lint clean

demo: $(VENV)/.built
	$(BIN)/ipam-core demo

test: $(VENV)/.built
	$(BIN)/python -m pytest --numprocesses auto

# BENCH_SHORT=1 measures each for less time: enough to see that all of it runs.
bench: $(VENV)/.built
	$(BIN)/python -m pytest benchmarks/bench_*.py -q --benchmark-disable-gc \
		--benchmark-max-time=$(if $(BENCH_SHORT),0.05,0.5) --benchmark-json=bench.json > bench.log \
		|| (cat bench.log; exit 1)
	$(BIN)/python benchmarks/report.py bench.json --memory

lint: export PATH := $(abspath $(BIN)):$(PATH)  # cython-lint calls pycodestyle by name
lint: $(VENV)/.built
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/cython-lint src
	$(BIN)/mypy
	$(BIN)/stubtest --ignore-unused-allowlist --allowlist stubtest-allowlist.txt $(COMPILED)

# The environment: made anew when what it installs is declared anew.
$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

# The compiled core: built anew when a source of it changes.
$(VENV)/.built: $(VENV)/.ready $(SOURCES)
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[aws,plan,plot]"
	touch $@

clean:
	rm -rf bench.json bench.log $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
