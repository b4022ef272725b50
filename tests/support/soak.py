"""Whether this run takes its time: more examples, longer lives."""

import os

SOAK = bool(os.environ.get("IPAM_CORE_SOAK"))


def examples(quick: int, soak: int = 2000) -> int:
    """Return how many examples, scenarios or seeds a test plays: quickly, or in a soak."""
    return soak if SOAK else quick
