"""Eight threads, single calls and batches without the GIL: none twice, none lost.

Fails when `_wait` does not wait (tried: single calls then run into a batch half way).
"""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from ipam_core._store import DataStore, Sandbox

N_THREADS = 8
ROUNDS = 60
BATCH = 400


@pytest.fixture(autouse=True)
def switch_often():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def test_no_address_is_given_twice_and_none_is_lost():
    store = DataStore("prefix", cooldown_s=0)
    for eni in range(16):
        store.add_eni(f"eni-{eni}", device_number=eni)
        for prefix in range(60):
            store.add_prefix(f"eni-{eni}", f"10.{eni}.{prefix // 16}.{prefix % 16 * 16}/28")
    total = store.stats(1).total
    problems = []
    start = threading.Barrier(N_THREADS)

    def single(name):
        pods = [Sandbox(f"{name}-{n}") for n in range(40)]
        start.wait()
        for turn in range(ROUNDS):
            given = [store.assign(pod, None, 10 * turn + 1).address for pod in pods]
            if len(set(given)) != len(given):
                problems.append(f"{name}: given twice")
            if [store.find(pod).address for pod in pods] != given:
                problems.append(f"{name}: lost")
            for pod in pods:
                store.release(pod, 10 * turn + 2)

    def batch(name):
        joined = b"".join(Sandbox(f"{name}-{n}").digest for n in range(BATCH))
        digests = np.frombuffer(joined, dtype=np.uint64).reshape(-1, 2)
        start.wait()
        for turn in range(ROUNDS):
            given = store.assign_many(digests, 10 * turn + 1)
            if len(np.unique(given[:, 1])) != BATCH:
                problems.append(f"{name}: given twice")
            freed = store.release_many(digests, 10 * turn + 2)
            if not np.array_equal(given, freed):
                problems.append(f"{name}: lost")

    def guarded(target, name):
        try:
            target(name)
        except Exception as error:
            problems.append(f"{name}: {error!r}")

    threads = [
        threading.Thread(target=guarded, args=(single if n % 2 else batch, f"t{n}"))
        for n in range(N_THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    store._check()
    stats = store.stats()
    assert (stats.total, stats.assigned, stats.cooling) == (total, 0, 0)


def loaded(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_without_the_gil_the_core_is_not_loaded():
    """As with PYTHON_GIL=0 on a free-threaded Python, where nothing turns it on again."""
    done = loaded("import sys\nsys._is_gil_enabled = lambda: False\nimport ipam_core._store")
    line = done.stderr.splitlines()[-1]
    assert line.startswith("ImportError: ipam_core needs the GIL, and this Python runs with")


def test_a_second_interpreter_does_not_get_the_core():
    code = (
        "try:\n    import _interpreters as interpreters\n"
        "except ImportError:\n    import _xxsubinterpreters as interpreters\n"
        "import ipam_core._store\n"
        "other = interpreters.create()\n"
        "tries = 'try:\\n import ipam_core._store\\nexcept ImportError as error:\\n print(error)'\n"
        "interpreters.run_string(other, tries)\n"
    )
    done = loaded(code)
    assert done.returncode == 0, done.stderr
    assert "interpreter" in done.stdout
