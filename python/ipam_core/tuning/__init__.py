"""Search for settings: what a workload waits, holds and calls under each of many.

candidates.py   which settings are tried
outcome.py      what one of them gives, and the front of those that none beats
trials.py       environments played on a fleet, under several seeds
concerns.py     what explain has against one
search.py       try all, choose one, and check it again

May import: diagnosis, simulation, and below.
"""

from ipam_core.tuning.outcome import Outcome
from ipam_core.tuning.search import Goals, Tuning, tune

__all__ = ["Goals", "Outcome", "Tuning", "tune"]
