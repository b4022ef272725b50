"""Work on several processes, or on a Dask cluster; an interrupt ends it at once."""

from __future__ import annotations

import os
import signal
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from multiprocessing import active_children
from typing import TYPE_CHECKING, Any

from ipam_core.errors import InputError, IpamError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor, Future
    from contextlib import AbstractContextManager
    from pathlib import Path

_REACHED_WITHIN_S = 10
"""How long the client waits for a scheduler when it connects."""
_CLOSED_WITHIN_S = 2
"""How long the client waits for a cluster's answer when it disconnects."""


class _Processes(ProcessPoolExecutor):
    """Processes that leave an interrupt, which a terminal sends to all, to their parent.

    A new process first has the handler of its parent: so interrupts wait while one starts.
    """

    def __init__(self, n_jobs: int) -> None:
        super().__init__(n_jobs, initializer=_ignore_interrupts)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


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

    Raises `IpamError` if one of them is killed from outside.
    """
    executor = _Processes(n_jobs)
    try:
        yield executor
    except BrokenExecutor:
        raise IpamError("a process was killed, perhaps because memory ran out") from None
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
    """
    try:
        from distributed import Client, Security
    except ImportError:
        raise MissingExtraError("dist", "--scheduler") from None
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
        yield executor
    except BaseException:
        executor.shutdown(wait=False)  # cancels unfinished work
        raise
    finally:
        client.close(timeout=_CLOSED_WITHIN_S)  # type: ignore[no-untyped-call]
