"""Why pods get no address on a node, from the files of the node and its cluster.

diagnosis.py   `diagnose`: all causes judged, and the headline
gather.py      the facts in the inputs, each value with its source
facts.py       the facts as a value, with conclusions from them
agent.py       does the agent run
pools.py       the counts of its pools
causes/        each cause's evidence for and against it; table.py lists them
plain.py       its parts as plain values, and back
shown.py       what is said of the node besides its causes
finding.py     the judgement about one cause
prognosis.py   the fix simulated

May import: diagnosis.inputs, diagnosis.fixes, simulation, and below.
"""

from ipam_core.diagnosis.doctor.diagnosis import Diagnosis, diagnose

__all__ = ["Diagnosis", "diagnose"]
