"""Why pods get no address on a node, from what it and its cluster show.

diagnosis.py   `diagnose`: all causes judged, and the headline
gather.py      what the inputs show, each value with where it is from
facts.py       the same as a value, with what follows from it
agent.py       does the agent run
pools.py       the counts of its pools
causes/        each cause's evidence for and against it; table.py lists them
finding.py     what is said of one
prognosis.py   the fix simulated

May import: diagnosis.inputs, diagnosis.fixes, simulation, and below.
"""

from ipam_core.diagnosis.doctor.diagnosis import Diagnosis, diagnose

__all__ = ["Diagnosis", "diagnose"]
