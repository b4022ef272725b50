"""Search for settings: the waits, idle addresses and EC2 calls of a workload under each.

candidates.py   which settings are tried
outcome.py      the outcome of one of them, and the Pareto front
trials.py       environments played on a fleet, under several seeds
concerns.py     what explain finds wrong with one
search.py       tries all, chooses one, and checks it again

May import: diagnosis, simulation, and below.
"""

from ipam_core.tuning.outcome import Outcome
from ipam_core.tuning.search import Goals, Tuning, tune

__all__ = ["Goals", "Outcome", "Tuning", "tune"]
