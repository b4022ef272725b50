"""A real Dask scheduler with workers that are processes, on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def cluster_of(
    folder: Path, *tls: str, n_workers: int = 2
) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Start a scheduler and workers; give the scheduler's address, and it and the workers."""
    file = folder / "scheduler.json"
    started = []

    def start(*arguments: str) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments, *tls],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started.append(process)

    try:
        start("scheduler", "--host", "tls://127.0.0.1" if tls else "127.0.0.1", "--port", "0",
              "--no-dashboard", "--scheduler-file", str(file))  # fmt: skip
        for _ in range(600):
            if file.exists() and file.stat().st_size:
                break
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        for _ in range(n_workers):
            start("worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny",
                  "--local-directory", str(folder))  # fmt: skip
        yield address, started
    finally:
        for process in reversed(started):
            process.kill()  # a worker that is asked to stop takes half a minute
            process.wait()
