"""Search for settings: what a workload waits, holds and calls under each of many.

candidates.py   which settings are tried
outcome.py      what one of them gives, and the front of those that none beats
search.py       try all, choose one, and check it again
"""

from ipam_core.tuning.outcome import Outcome
from ipam_core.tuning.search import Goals, Tuning, tune

__all__ = ["Goals", "Outcome", "Tuning", "tune"]
