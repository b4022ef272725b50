"""Optional dependencies: loaded where they are used, and named where they are missing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ipam_core.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator


_PACKAGE = "ipam_core."


@contextmanager
def extra(name: str, purpose: str) -> Iterator[None]:
    """Import in the body what an extra brings.

    Raises `MissingExtraError` if it is not installed, and names the module if only one that it
    needs is missing. What is installed and does not load raises its own error.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == "ipam_core":
            raise
        raise MissingExtraError(name, purpose, _inner(missing)) from missing


def _inner(missing: ModuleNotFoundError) -> str:
    """Return the missing module's name if another package than this one asked for it, else ""."""
    at = missing.__traceback__
    at = at and at.tb_next  # the body of the `with`
    asked_here = True
    while at is not None and at.tb_next is not None:
        at = at.tb_next
        asked_here = str(at.tb_frame.f_globals.get("__name__")).startswith(_PACKAGE)
    return "" if asked_here else str(missing.name)


def numpy_for(purpose: str) -> Any:
    """Return NumPy, for the compiled core. Raises `MissingExtraError`. Cost: 0.2 microseconds."""
    try:
        import numpy  # noqa: PLC0415  (loaded where it is used: it takes 0.1 s)
    except ModuleNotFoundError:
        with extra("batch", purpose):
            raise
    return numpy
