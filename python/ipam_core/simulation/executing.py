"""Calls that an executor makes, each again if the process that made it died.

A call depends on its arguments alone, so it does not matter how often it is begun.
"""

from __future__ import annotations

from concurrent.futures import BrokenExecutor, as_completed
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

T = TypeVar("T")

MOST_DEATHS = 3
"""After so many deaths with no result between them, a call is to blame, or the memory."""


def completed(
    executor: Executor, function: Callable[..., T], calls: Sequence[tuple[Any, ...]]
) -> Iterator[tuple[int, T]]:
    """Yield the number and the result of each call, as they end.

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
            for future in as_completed(futures):
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
