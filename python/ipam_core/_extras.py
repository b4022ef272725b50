"""Optional dependencies: loaded where they are used, and named where they are missing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ipam_core.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def extra(name: str, purpose: str) -> Iterator[None]:
    """Import in the body what an extra brings.

    Raises `MissingExtraError` if it is not installed. What is installed and does not load
    raises its own error.
    """
    try:
        yield
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] == "ipam_core":
            raise
        raise MissingExtraError(name, purpose) from missing


def numpy_for(purpose: str) -> Any:
    """Return NumPy, for the compiled core. Raises `MissingExtraError`. Cost: 0.2 microseconds."""
    try:
        import numpy  # noqa: PLC0415  (loaded where it is used: it takes 0.1 s)
    except ModuleNotFoundError as missing:
        raise MissingExtraError("batch", purpose) from missing
    return numpy
