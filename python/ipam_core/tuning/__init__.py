"""Search for settings: the waits, idle addresses and EC2 calls of a workload under each.

candidates.py   which settings are tried
outcome.py      the outcome of one of them, and the Pareto front
trials.py       environments played on a fleet, under several seeds
concerns.py     what explain finds wrong with one
search.py       tries all, chooses one, and checks it again
sweep.py        every combination of given values, without a choice

May import: diagnosis, simulation, and below.
"""

from ipam_core.tuning.outcome import Outcome
from ipam_core.tuning.search import Goals, Tuning, tune
from ipam_core.tuning.sweep import SweepRow, sweep

__all__ = ["Goals", "Outcome", "SweepRow", "Tuning", "sweep", "tune"]
