"""What the library warns of, as lines on the error stream."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ipam_core.cli._out import print_error

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        why = f": {record.exc_info[1]!r}" if record.exc_info else ""
        print_error(f"{record.levelname.lower()}: {record.getMessage()}{why}")


@contextmanager
def warnings_told(name: str) -> Iterator[None]:
    """Print the warnings of a logger, and of those below it, within the block."""
    logger, lines = logging.getLogger(name), _Lines(logging.WARNING)
    logger.addHandler(lines)
    try:
        yield
    finally:
        logger.removeHandler(lines)
