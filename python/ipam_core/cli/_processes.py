"""Work on several processes, or on a Dask cluster; an interrupt ends it at once."""

from __future__ import annotations

import logging
import os
import signal
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from multiprocessing import active_children
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from ipam_core._extras import extra
from ipam_core.cli._out import print_error
from ipam_core.errors import InputError, IpamError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from contextlib import AbstractContextManager
    from pathlib import Path

_REACHED_WITHIN_S = 10
"""How long the client waits for a scheduler when it connects."""
KILLED = "processes were killed again and again, perhaps because memory ran out"
_CLOSED_WITHIN_S = 2
"""How long the client waits for a cluster's answer when it disconnects."""
_LOOK_S = 2.0
"""How often a cluster is asked for its workers."""
_NO_WORKER_S = 10.0
"""After so long without a worker it is said that there is none."""


class _Processes(Executor):
    """Processes that leave an interrupt, which a terminal sends to all, to their parent.

    If one of them is killed, all calls that have not ended fail with `BrokenExecutor`; the next
    call is made by new processes. A new process first has the handler of its parent: so
    interrupts wait while one starts.
    """

    def __init__(self, n_jobs: int) -> None:
        self._n_jobs = n_jobs
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._n_jobs, initializer=_ignore_interrupts)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            try:
                return self._pool.submit(fn, *args, **kwargs)
            except BrokenExecutor:
                self._pool.shutdown()
                self._pool = self._new_pool()
                return self._pool.submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._pool.shutdown(wait, cancel_futures=cancel_futures)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def executor_of(
    n_jobs: int,
    scheduler: str | None,
    *,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
) -> AbstractContextManager[Executor | None]:
    """Give what --jobs, --scheduler and the --tls options ask for; None: this process.

    No jobs are one for each processor. Raises as `cluster`.
    """
    if scheduler is not None:
        return cluster(scheduler, ca=ca, cert=cert, key=key)
    if ca or cert or key:
        raise InputError("--tls-ca, --tls-cert and --tls-key go with --scheduler tls://HOST:PORT")
    n_jobs = n_jobs or os.cpu_count() or 1
    return nullcontext() if n_jobs == 1 else processes(n_jobs)


@contextmanager
def processes(n_jobs: int) -> Iterator[Executor]:
    """Give an executor of so many processes; on any error they are killed.

    Raises `IpamError` if they are killed from outside again and again (`executing`).
    """
    executor = _Processes(n_jobs)
    try:
        yield executor
    except BrokenExecutor:
        raise IpamError(KILLED) from None
    except BaseException:
        for child in active_children():
            child.kill()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def cluster(
    scheduler: str, *, ca: Path | None = None, cert: Path | None = None, key: Path | None = None
) -> Iterator[Executor]:
    """Give an executor on the Dask cluster of a scheduler; on any error its work is cancelled.

    With `tls://` everything is encrypted, and both sides are authenticated by the files: a
    certificate authority, this client's certificate and its key. Dask's own configuration
    gives those that are left out.

    Raises:
        MissingExtraError: the extra `dist` is not installed.
        InputError: no such scheduler, or files that are no certificates.
        IpamError: workers died again and again (other workers do the work of one that dies),
            or the scheduler is gone.
    """
    with extra("dist", "--scheduler"):
        from distributed import Client, KilledWorker, Security
    # It logs the traceback of a lost connection; here that is one line.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    given = {"tls_ca_file": ca, "tls_client_cert": cert, "tls_client_key": key}
    files = {name: str(path) for name, path in given.items() if path is not None}
    encrypted = scheduler.startswith("tls://")
    if files and not encrypted:
        raise InputError(f"--scheduler {scheduler!r}: certificates are for tls://HOST:PORT")
    try:
        security = Security(require_encryption=True, **files) if encrypted else None  # type: ignore[no-untyped-call]
        client = Client(scheduler, timeout=_REACHED_WITHIN_S, security=security)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"--scheduler {scheduler!r}: {error}") from error
    executor = client.get_executor()  # type: ignore[no-untyped-call]
    try:
        with _workers_watched(client, scheduler):
            yield executor
    except KilledWorker:
        raise IpamError(KILLED) from None
    except CancelledError:
        raise IpamError(f"--scheduler {scheduler!r}: it is gone, and its work with it") from None
    except BaseException:
        executor.shutdown(wait=False)  # cancels unfinished work
        raise
    finally:
        client.close(timeout=_CLOSED_WITHIN_S)  # type: ignore[no-untyped-call]


@contextmanager
def _workers_watched(client: Any, scheduler: str) -> Iterator[None]:
    """Say once if a cluster has no worker for long: its work waits for one, without a word."""
    ended = Event()

    def watch() -> None:
        left_s = _NO_WORKER_S
        while left_s > 0:
            if ended.wait(_LOOK_S):
                return
            with suppress(OSError, TimeoutError):  # no answer: then the work says so
                workers = client.sync(client.scheduler.ncores, callback_timeout=_LOOK_S)
                left_s = _NO_WORKER_S if workers else left_s - _LOOK_S
        print_error(
            f"--scheduler {scheduler!r}: no worker for {_NO_WORKER_S:g} s; the work waits for one"
        )

    watching = Thread(target=watch, name="workers watched", daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join(_LOOK_S)
