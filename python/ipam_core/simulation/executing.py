"""Calls that an executor makes, each again if the process that made it died.

A call depends on its arguments alone, so it does not matter how often it is begun.
"""

from __future__ import annotations

import os
from array import array
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, as_completed, wait
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from concurrent.futures import Executor, Future

T = TypeVar("T")

WAIT_S = 0.2
"""So long a wait for the next result is, where somebody wants to hear of it."""
MOST_DEATHS = 3
"""After so many deaths with no result between them, a call is to blame, or the memory."""


def completed(
    executor: Executor,
    function: Callable[..., T],
    calls: Sequence[tuple[Any, ...]],
    on_wait: Callable[[], None] | None = None,
) -> Iterator[tuple[int, T]]:
    """Yield the number and the result of each call, as they end.

    `on_wait` is called several times a second while they are made, if there are few calls.

    If a process of the executor dies, the calls without a result are given to it again: an
    executor that goes on with new processes, as that of the command line does, then makes
    them. Dask's scheduler does the same by itself. When the iterator is closed, calls that have
    not begun are cancelled.

    Raises:
        BrokenExecutor: processes died `MOST_DEATHS` times with no result in between, or the
            executor takes no more calls.
        Exception: whatever a call raised.
    """
    left, n_deaths = dict(enumerate(calls)), 0
    while left:
        futures, death = {}, None
        try:
            try:
                for number, arguments in left.items():
                    futures[executor.submit(function, *arguments)] = number
            except BrokenExecutor as error:
                death = error
            for future in _ended(futures, on_wait):
                try:
                    result = future.result()
                except BrokenExecutor as error:
                    death = error
                    continue
                n_deaths = 0
                number = futures[future]
                del left[number]
                yield number, result
        finally:
            for future in futures:
                future.cancel()
        if death is not None:
            n_deaths += 1
            if n_deaths == MOST_DEATHS:
                raise death


def _ended(
    futures: Collection[Future[T]], on_wait: Callable[[], None] | None
) -> Iterator[Future[T]]:
    if on_wait is None:
        yield from as_completed(futures)
        return
    left = set(futures)
    while left:
        done, left = wait(left, WAIT_S, FIRST_COMPLETED)
        on_wait()
        yield from done


class Shares:
    """How far calls have come that other processes make, each reported by a `Reporter` of its own.

    A file of one number for each call. A process of another machine does not see it: what it
    does counts once it is done. As a context it removes the file.
    """

    def __init__(self, n_calls: int) -> None:
        self._file = NamedTemporaryFile(prefix="ipam-core-")  # noqa: SIM115  (closed by __exit__)
        self._n_calls = n_calls
        self._file.write(bytes(8 * n_calls))
        self._file.flush()

    def __enter__(self) -> Shares:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def reporter(self, number: int) -> Reporter:
        """Return what a call reports its share with."""
        return Reporter(self._file.name, number)

    def read(self) -> array[float]:
        """Return the share of each call that is done, as far as it was reported."""
        return array("d", os.pread(self._file.fileno(), 8 * self._n_calls, 0))


class Reporter:
    """Reports the share of one call that is done; it may be pickled."""

    def __init__(self, path: str, number: int) -> None:
        self._path = path
        self._number = number

    def __call__(self, share: float) -> None:
        """Report a share."""
        try:
            file = os.open(self._path, os.O_WRONLY)
        except FileNotFoundError:  # another machine
            return
        try:
            os.pwrite(file, array("d", [share]).tobytes(), 8 * self._number)
        finally:
            os.close(file)
