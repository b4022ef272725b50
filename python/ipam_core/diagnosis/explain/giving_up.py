"""The end of a search that nobody waits for any more: nodes stop between two pods."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from ipam_core.errors import IpamError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class GivenUpError(IpamError):
    """Nobody waits for the answer any more."""


_is_given_up: ContextVar[Callable[[], bool] | None] = ContextVar("is_given_up", default=None)


@contextmanager
def given_up_if(is_given_up: Callable[[], bool]) -> Iterator[None]:
    """Ask, while the body plays nodes, whether it still has to.

    It is asked at every pod, in this thread. Raises `GivenUpError` there; what was played until
    then is of no use, and must not be kept.
    """
    before = _is_given_up.set(is_given_up)
    try:
        yield
    finally:
        _is_given_up.reset(before)


def check_wanted() -> None:
    """Raise `GivenUpError` if nobody waits for the answer. Cost: 30 ns where nobody may give up."""
    is_given_up = _is_given_up.get()
    if is_given_up is not None and is_given_up():
        raise GivenUpError("nobody waits for the answer any more")
