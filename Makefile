# Every target sets up what it needs in .venv; PYTHON chooses the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Looking for a newer pip takes its time at each call.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The tests start hundreds of processes: each would compile again all that it imports.
unexport PYTHONDONTWRITEBYTECODE
# The machine's own pip installs into the environment, if it is of 22.3 or later: to set one up
# there takes 3 s. It is there once the tests need a newer one.
PIP = $(if $(shell $(PYTHON) -c 'import pip; v = pip.__version__.split("."); \
		print("can" * ((int(v[0]), int(v[1])) >= (22, 3)))' 2>/dev/null),\
	$(PYTHON) -m pip --python $(BIN)/python,$(BIN)/python -m pip)
SOURCES := CMakeLists.txt $(wildcard src/ipam_core/*.pyx src/ipam_core/*.pxd)
COMPILED := $(patsubst src/ipam_core/%.pyx,ipam_core.%,$(wildcard src/ipam_core/*.pyx))

.PHONY: demo demo-cluster web test bench sanitize soak lint docs release clean

demo: $(VENV)/.built  # nothing but what it runs: no linter, peer or test server
	$(BIN)/ipam-core demo
	@if $(BIN)/python -c "import grpc" 2>/dev/null; then $(BIN)/ipam-core demo --live; fi

# A cluster of 40 nodes on two mock servers, and every command that reads a cluster.
demo-cluster: $(VENV)/.built
	$(PIP) install --quiet "ipam-core[cli,exporter,vpc]"
	$(BIN)/python examples/demo_cluster.py

# The page for a browser; its extra is installed first. PORT is free to choose: 0 is any.
PORT ?= 0
web: $(VENV)/.built
	$(PIP) install --quiet "ipam-core[cli,web]"
	$(BIN)/ipam-core web --port $(PORT)

# One more process than processors: each waits now and then for a program that it has started.
test: $(VENV)/.ready
	$(BIN)/python -m pytest --dist worksteal --numprocesses $$($(BIN)/python -c \
		'import os; print(len(getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count()))(0)) + 1)')

# BENCH_SHORT=1 measures each for less time: enough to see that all of it runs.
# CHECK=1 fails where a goal is missed by more than its noise.
bench: $(VENV)/.ready
	$(BIN)/python -m pytest benchmarks/bench_*.py -q --benchmark-disable-gc \
		--benchmark-max-time=$(if $(BENCH_SHORT),0.05,0.5) --benchmark-json=bench.json > bench.log \
		|| (cat bench.log; exit 1)
	$(BIN)/python benchmarks/report.py bench.json --memory $(if $(CHECK),--check)

# The core built with checks and sanitizers, in an environment of its own with what its tests
# need alone: any finding ends the run, and so does a sanitizer that is not there.
SANITIZE := .venv-sanitize
ASAN := $(shell $(CC) -print-file-name=libasan.so) $(shell $(CC) -print-file-name=libubsan.so)
sanitize:
	@test -e "$(firstword $(ASAN))" -a -e "$(lastword $(ASAN))" || \
		{ echo "no sanitizer libraries with $(CC)"; exit 1; }
	$(PYTHON) -m venv $(SANITIZE)
	$(SANITIZE)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(SANITIZE)/bin/python -m pip install --quiet --group build --group core
	CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer" \
		$(SANITIZE)/bin/python -m pip install --quiet --no-build-isolation --force-reinstall \
		--no-deps --config-settings cmake.build-type=Debug --config-settings build-dir=build/sanitize .
	rm -f $(SANITIZE)/found.*  # what pytest would keep with the output of the test
	LD_PRELOAD="$(ASAN)" PYTHONMALLOC=malloc \
		ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:log_path=$(abspath $(SANITIZE))/found \
		UBSAN_OPTIONS=print_stacktrace=1:log_path=$(abspath $(SANITIZE))/found \
		HYPOTHESIS_PROFILE=sanitize $(SANITIZE)/bin/python -m pytest \
		tests/core tests/subnet/test_subnet.py tests/subnet/test_hostile.py \
		tests/fleet/test_resident.py -q -p no:cacheprovider \
		--numprocesses auto --dist worksteal --max-worker-restart 0 \
		|| { head -n 30 $(SANITIZE)/found.*; exit 1; }

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/cython-lint src  # it calls pycodestyle by name
	$(BIN)/mypy
	$(BIN)/stubtest --ignore-unused-allowlist --allowlist stubtest-allowlist.txt $(COMPILED)

# The site, in site/: any warning ends the build (with --quiet none is counted).
docs: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --group docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# sdist, wheel, bill of materials and checksums, in dist/, each checked in a new environment.
release: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --group release
	$(BIN)/python tools/release.py

# The environment: made anew when what it installs is declared anew. Any pip will do; the
# build says whether it needs a CMake and a Ninja beside those of the machine.
$(VENV)/.made: pyproject.toml
	$(PYTHON) -m venv $(if $(findstring --python,$(PIP)),--without-pip) $(VENV)
	$(BIN)/python -c 'import tomllib as t; p = t.load(open("pyproject.toml", "rb")); \
		extras = p["project"]["optional-dependencies"]; \
		print(*p["build-system"]["requires"], *extras["cli"], *extras["agent"], sep="\n")' > $@.txt
	$(PIP) install --quiet --no-compile --requirement $@.txt
	$(BIN)/python -c 'import scikit_build_core.build as b; \
		print(*b.get_requires_for_build_editable(), sep="\n")' > $@.txt
	test ! -s $@.txt || $(PIP) install --quiet --requirement $@.txt
	touch $@

# The package: built anew when a source of the core changes, or what is installed with it.
$(VENV)/.built: $(VENV)/.made Makefile $(SOURCES)
	$(PIP) install --quiet --no-build-isolation --no-deps --editable .
	touch $@

# What development takes beyond that.
$(VENV)/.ready: $(VENV)/.built
	$(PIP) install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --group dev "ipam-core[all]"
	touch $@

# What is too long for CI: more examples, more lives, more kills.
soak: $(VENV)/.ready
	HYPOTHESIS_PROFILE=soak IPAM_CORE_SOAK=1 $(BIN)/python -m pytest -q --numprocesses auto --dist worksteal

clean:
	rm -rf site bench.json bench.log $(VENV) $(SANITIZE) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
